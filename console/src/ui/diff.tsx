import { useMemo } from "preact/hooks";
import { diffLines, hunks } from "../lib/diff";

/** Two texts as one, with what came and what went. */
export function Diff({ before, after }: { before: string; after: string }) {
  const shown = useMemo(() => hunks(diffLines(before, after)), [before, after]);
  if (before === after) return <p class="empty">Nothing differs.</p>;
  return (
    <div class="diff editor" role="table" aria-label="Changed lines" tabIndex={0}>
      {shown.map((line) => line === null ? <div class="gap" role="row"><span role="cell">…</span></div> : (
        <div class={`l ${line.mark === "+" ? "add" : line.mark === "-" ? "del" : ""}`} role="row">
          <span role="cell">{line.old || ""}</span><span role="cell">{line.new || ""}</span>
          <i role="cell">{line.mark}</i><code role="cell">{line.text}</code>
        </div>
      ))}
    </div>
  );
}
