// Requests as they happen, as src/clew/api/tap.py tells of them.
import { openStream } from "./api";
import { clusterOf } from "./traces";
import type { Key } from "./types";
import { shortHost } from "./words";

export interface Explanation { flag: string; says: string; hint: string; objects: string[] }
export interface TapEvent {
  at: string; source: string; destination: string; method: string; authority: string; path: string; status: number; duration: number;
  flags: string[]; cluster: string; upstream: string; trace: string; explanations: Explanation[]; missed: number;
}

/** What watching costs ends by itself, as somebody may forget the page. */
export const SECONDS = 300;
const KEPT = 50;
// The kinds that can be to blame for one request: src/clew/server/blame.py.
const GROUPS: Record<string, string> = {
  VirtualService: "networking.istio.io", DestinationRule: "networking.istio.io",
  AuthorizationPolicy: "security.istio.io", RequestAuthentication: "security.istio.io",
};

export function tapPath(host: string): string {
  return `/v1/tap?to=${encodeURIComponent(shortHost(host))}&seconds=${SECONDS}`;
}

/** The events of the complete lines, and the rest that is yet to be completed. Empty lines say that the other side is there. */
export function splitLines(text: string): [TapEvent[], string] {
  const lines = text.split("\n"), rest = lines.pop()!;
  return [lines.filter(Boolean).map((line) => JSON.parse(line) as TapEvent), rest];
}

/** Who is asked for by a short name may be another's of that name: whether it is the one in this namespace. */
export function isFor(event: TapEvent, namespace: string, host: string): boolean {
  const sent = clusterOf(event.cluster)?.host;
  if (sent) return sent === host || shortHost(sent) !== shortHost(host);
  return !event.destination || event.destination.startsWith(`${namespace}/`);
}

export function hasFailed(event: TapEvent): boolean {
  return event.status === 0 || event.status >= 400;
}

/** The newest first, and no more of them than somebody reads. */
export function newest(found: readonly TapEvent[], before: readonly TapEvent[]): TapEvent[] {
  return [...found.toReversed(), ...before].slice(0, KEPT);
}

/** `VirtualService default/reviews` as a key, undefined of kinds that are never to blame. */
export function blamedKey(text: string): Key | undefined {
  const [kind, place] = text.split(" ") as [string, string | undefined], [namespace, name] = place?.split("/") ?? [];
  const group = GROUPS[kind];
  return group && namespace && name ? { group, kind, namespace, name } : undefined;
}

/** Read requests until the time is over. Throws when they cannot be watched. */
export async function watch(path: string, onEvents: (events: TapEvent[]) => void, signal: AbortSignal): Promise<void> {
  const reader = (await openStream(path, signal)).pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const [events, rest] = splitLines(pending + value);
    pending = rest;
    if (events.length) onEvents(events);
  }
}
