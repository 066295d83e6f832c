// Manifests as the text that people edit, and where in it a field is.
import { isMap, isSeq, parseDocument, stringify } from "yaml";
import type { Manifest } from "./types";

const SET_BY_THE_STORE = ["uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink"];
// Kubernetes reads YAML 1.1, where `yes` and `on` are true, so texts like these need quotes.
const FIRST = ["apiVersion", "kind", "metadata", "spec"];

/** What somebody wrote of an object: without status and what the store adds. */
export function written(manifest: Manifest): Manifest {
  const { status: _, ...rest } = manifest;
  const metadata = Object.fromEntries(
    Object.entries(manifest.metadata).filter(([name]) => !SET_BY_THE_STORE.includes(name)),
  );
  return { ...rest, metadata } as Manifest;
}

export function toYaml(value: unknown): string {
  return stringify(ordered(value), { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}

/** The text of an object, for people to read and change. */
export function manifestText(manifest: Manifest): string {
  return toYaml(written(manifest));
}

function ordered(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("kind" in value)) return value;
  const names = Object.keys(value);
  const sorted = [...FIRST.filter((name) => names.includes(name)), ...names.filter((name) => !FIRST.includes(name))];
  return Object.fromEntries(sorted.map((name) => [name, (value as Record<string, unknown>)[name]]));
}

/** `spec.http[0].timeout` → ["spec", "http", 0, "timeout"] */
export function fieldPath(field: string): (string | number)[] {
  return [...field.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map((found) =>
    found[2] !== undefined ? Number(found[2]) : (found[1] ?? found[3] ?? ""));
}

/** The 1-based line of a field, or of the nearest parent that is there. */
export function lineOf(text: string, field: string): number {
  let node: unknown = parseDocument(text).contents;
  let offset = 0;
  for (const part of fieldPath(field)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => String((item.key as { value?: unknown }).value) === String(part));
      if (!pair) break;
      offset = (pair.key as { range?: number[] }).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as { range?: number[] } | undefined;
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return text.slice(0, offset).split("\n").length;
}

/** The object in a text, null if it is not one. */
export function parsed(text: string): Manifest | null {
  try {
    const value = parseDocument(text, { version: "1.1" }).toJS();
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
