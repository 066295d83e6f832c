// Traces as src/clew/api/traces.py tells of them, and what Envoy says of each span in words.
import { flagWords } from "./flags";
import type { Json } from "./types";

export interface TraceSummary {
  id: string; start: string; duration: number; service: string; operation: string; status: number;
  spans: number; errors: number; services: string[];
}
export interface TraceSpan {
  id: string; parent: string; depth: number; service: string; operation: string; kind: string; offset: number; duration: number;
  status: number; error: boolean; message: string; attributes: Record<string, Json>; resource: Record<string, Json>;
  events: { offset: number; name: string; attributes: Record<string, Json> }[];
}
export interface Trace { summary: TraceSummary; spans: TraceSpan[] }

/** The address that answers a search; `now` is what "the last quarter of an hour" ends with. */
export function searchPath(query: Record<string, string>, now: number): string {
  const wanted = new URLSearchParams();
  for (const name of ["service", "operation", "status", "minDuration"]) if (query[name]) wanted.set(name, query[name]!);
  if (query.last) wanted.set("since", new Date(now - Number(query.last) * 1000).toISOString());
  wanted.set("limit", query.limit ?? "50");
  return `/v1/traces?${wanted}`;
}

/** Where the bar of a span is, in percent. Clocks of machines may differ, so it may begin outside. */
export function barOf(span: TraceSpan, whole: number): { left: number; width: number } {
  const left = Math.min(99.5, Math.max(0, whole > 0 ? (100 * span.offset) / whole : 0));
  return { left, width: Math.max(0.5, Math.min(100 - left, whole > 0 ? (100 * span.duration) / whole : 100)) };
}

export interface Target { direction: string; port: string; subset: string; host: string }

/** `outbound|9080|v1|reviews.default.svc.cluster.local;` → its parts; undefined of other names. */
export function clusterOf(name: string): Target | undefined {
  const parts = name.replace(/;.*$/, "").split("|");
  return parts.length === 4 ? { direction: parts[0]!, port: parts[1]!, subset: parts[2]!, host: parts[3]! } : undefined;
}

export function targetWords(name: string): string {
  const found = clusterOf(name);
  if (!found) return name.replace(/;.*$/, "");
  if (found.direction === "inbound") return `the program, port ${found.port}`;
  return `${found.host}:${found.port}${found.subset && `, subset ${found.subset}`}`;
}

/** What a proxy says of its span, most telling first: name and words of each fact that there is. */
export function factsOf(span: TraceSpan): [string, string][] {
  const said = (name: string) => { const value = span.attributes[name]; return value === undefined || value === "-" || value === "" ? "" : String(value); };
  const flags = said("response_flags"), node = said("node_id").split("~");
  const facts: [string, string][] = [
    ["Response", [span.status || "none", span.message].filter(Boolean).join(", ")],
    ["Why", flags && `${flags}: ${flagWords(flags)}`],
    ["Request", [said("http.method"), said("http.url")].filter(Boolean).join(" ")],
    ["Sent to", said("upstream_cluster") && targetWords(said("upstream_cluster"))],
    ["Endpoint", said("upstream_address")],
    ["Peer", said("peer.address")],
    ["Told by", node.length > 2 ? `${node[0] === "router" ? "gateway" : node[0]} ${node[2]}` : ""],
    ["Protocol", said("http.protocol")],
    ["Bytes", said("request_size") && `${said("request_size")} of the request, ${said("response_size")} of the response`],
    ["Caller's program", said("user_agent")],
    ["Request id", said("guid:x-request-id")],
  ];
  return facts.filter(([, words]) => words);
}

/** Services in the order in which they appear, for their colours. */
export function coloured(spans: readonly TraceSpan[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { service } of spans) if (!found.has(service)) found.set(service, found.size % 5);
  return found;
}
