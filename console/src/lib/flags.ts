// Envoy's response flags in words, which `make docs` writes from src/clew/model/response_flags.py.
import words from "./flags.json";

const WORDS: Record<string, string> = words;

/** `UF,URX` as the words of each, "" for `-`. Flags without words stay as they are. */
export function flagWords(flags: string): string {
  return flags.split(",").filter((flag) => flag && flag !== "-").map((flag) => WORDS[flag] ?? flag).join("; ");
}
