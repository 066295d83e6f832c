// The graph as people look at it: by workload, version, app or service, made of the edges that were counted.
import type { Traffic, TrafficEdge, TrafficGraph, TrafficNode } from "../types";
import { shortHost } from "../words";

export type GraphKind = "versioned" | "app" | "workload" | "service";
export type NodeKind = "workload" | "service" | "app" | "unknown" | "other";

export interface GraphNode {
  id: string; kind: NodeKind; namespace: string; name: string; version: string;
  /** The canonical service of a workload or app; the host of a service. */
  service: string; inbound: Traffic; outbound: Traffic;
  /** The service that a workload stands below, "" if it stands alone. */
  card: string;
}
export interface GraphEdge {
  id: string; source: string; target: string; protocols: string[]; traffic: Traffic;
  /** Of what its source sends, in percent. */
  share: number;
  /** The weights that routes give, as `60` or `v1 95 | v2 5`, `+1` where another route decides of some requests; "" where nothing is split. */
  weights: string;
}
export interface Graph { kind: GraphKind; window: number; nodes: GraphNode[]; edges: GraphEdge[] }

/** Percentages by version, "" where the service has none of its own; `others`: how many routes for some requests decide otherwise. */
export interface Split { shares: ReadonlyMap<string, number>; others: number }
/** By the host of the service. */
export type Weights = ReadonlyMap<string, Split>;

export const NOTHING: Traffic = {
  requests: 0, requestsPerSecond: 0, clientErrors: 0, serverErrors: 0, errorShare: 0, denied: 0, codes: {}, flags: {}, latency: null,
  requestBytes: 0, responseBytes: 0, connectionsOpened: 0, connectionsClosed: 0, sentBytes: 0, receivedBytes: 0, mutualTls: null,
};

export function graphOf(found: TrafficGraph, kind: GraphKind, weights: Weights): Graph {
  const known = new Map(found.nodes.map((node) => [node.id, node]));
  const serves = servedBy(found.edges), behind = appsBehind(found.edges, known);
  const parts = new Map<string, { source: string; target: string; counted: TrafficEdge[] }>();
  for (const edge of found.edges) {
    const path = pathOf(edge, kind, known, serves, behind);
    for (let at = 1; at < path.length; at++) {
      const source = path[at - 1]!, target = path[at]!, id = `${source}→${target}`;
      const part = parts.get(id);
      if (part) part.counted.push(edge);
      else parts.set(id, { source, target, counted: [edge] });
    }
  }
  const edges = [...parts].map(([id, { source, target, counted }]) => ({
    id, source, target, share: 0, protocols: [...new Set(counted.map((each) => each.protocol))].sort(),
    traffic: together(counted.map((each) => each.traffic)), weights: weightsOf(counted, source, target, kind, weights),
  }));
  const sent = totals(edges, "source");
  for (const edge of edges) edge.share = (100 * volume(edge.traffic)) / (sent.get(edge.source) || 1);
  const ids = [...new Set(edges.flatMap((edge) => [edge.source, edge.target]))].sort();
  return { kind, window: found.window, edges, nodes: ids.map((id) => nodeOf(id, known.get(id), edges, kind === "versioned" ? serves.get(id) ?? "" : "")) };
}

/** The nodes that a call passes, in order. */
function pathOf(edge: TrafficEdge, kind: GraphKind, known: ReadonlyMap<string, TrafficNode>, serves: ReadonlyMap<string, string>, behind: ReadonlyMap<string, string>): string[] {
  const end = edge.destination || edge.service;
  switch (kind) {
    case "versioned": return [edge.source, edge.service, edge.destination].filter(Boolean);
    case "workload": return [edge.source, end].filter(Boolean);
    case "app": return [appOf(edge.source, known), edge.destination ? appOf(end, known) : behind.get(end) || end].filter(Boolean);
    case "service": return [serves.get(edge.source) ?? edge.source, edge.service || (serves.get(end) ?? end)].filter(Boolean);
  }
}

function appOf(id: string, known: ReadonlyMap<string, TrafficNode>): string {
  const node = known.get(id);
  return node?.kind === "workload" ? `app/${node.namespace}/${node.service || node.name}` : id;
}

/** By workload, the service that most of its requests were for. */
function servedBy(edges: readonly TrafficEdge[]): Map<string, string> {
  const most = new Map<string, number>(), found = new Map<string, string>();
  for (const { service, destination, traffic } of edges) {
    if (!service || !destination || volume(traffic) <= (most.get(destination) ?? -1)) continue;
    most.set(destination, volume(traffic));
    found.set(destination, service);
  }
  return found;
}

/** By service, the app that all of its workloads are; "" where they are several. What reached none of them was meant for it. */
function appsBehind(edges: readonly TrafficEdge[], known: ReadonlyMap<string, TrafficNode>): Map<string, string> {
  const found = new Map<string, string>();
  for (const { service, destination } of edges) {
    if (!service || !destination) continue;
    const app = appOf(destination, known);
    found.set(service, (found.get(service) ?? app) === app ? app : "");
  }
  return found;
}

function nodeOf(id: string, known: TrafficNode | undefined, edges: readonly GraphEdge[], card: string): GraphNode {
  const ends = (end: "source" | "target") => together(edges.filter((edge) => edge[end] === id).map((edge) => edge.traffic));
  if (!known) {
    const [, namespace = "", name = ""] = id.split("/");
    return { id, kind: "app", namespace, name, version: "", service: name, inbound: ends("target"), outbound: ends("source"), card };
  }
  const { kind, namespace, version } = known;
  const name = kind === "unknown" ? "outside the mesh" : kind === "other" ? "all others" : kind === "service" ? shortHost(known.name) : known.name;
  return {
    id, kind, namespace, name, version, service: kind === "service" ? known.name : known.service, inbound: known.inbound,
    outbound: kind === "service" ? ends("source") : known.outbound,
    card: card.split("/")[1] === namespace ? card : "",
  };
}

function weightsOf(counted: readonly TrafficEdge[], source: string, target: string, kind: GraphKind, weights: Weights): string {
  const service = counted[0]?.service;
  if (!service || counted.some((each) => each.service !== service)) return "";
  const split = weights.get(service.split("/").slice(2).join("/"));
  if (!split) return "";
  const { shares, others } = split, whole = shares.get("");
  const more = others ? ` +${others}` : "";
  if (whole !== undefined) return source === service ? "" : `${whole}${more}`;
  const versions = new Set(counted.map((each) => each.version));
  // Between a service and a version of it, or a workload alone: just its own.
  if ((kind === "versioned" && source === service) || kind === "workload") {
    const own = versions.size === 1 ? shares.get([...versions][0]!) : undefined;
    return own === undefined ? "" : String(own);
  }
  return [...shares].map(([version, weight]) => `${version} ${weight}`).join(" | ") + more;
}

/** Requests and connections. */
export function volume(traffic: Traffic): number {
  return traffic.requests + traffic.connectionsOpened;
}

function totals(edges: readonly GraphEdge[], end: "source" | "target"): Map<string, number> {
  const found = new Map<string, number>();
  for (const edge of edges) found.set(edge[end], (found.get(edge[end]) ?? 0) + volume(edge.traffic));
  return found;
}

/** All of it as one. Percentiles of parts do not add up: theirs are weighed by requests, which lies between the lowest and the highest. */
export function together(parts: readonly Traffic[]): Traffic {
  if (parts.length === 1) return parts[0]!;
  const sum = (of: (part: Traffic) => number) => parts.reduce((total, part) => total + of(part), 0);
  const requests = sum((part) => part.requests), serverErrors = sum((part) => part.serverErrors);
  const timed = parts.filter((part) => part.latency), weight = timed.reduce((total, part) => total + part.requests, 0);
  const mean = (name: "p50" | "p90" | "p95" | "p99") => timed.reduce((total, part) => total + part.latency![name] * part.requests, 0) / weight;
  const secured = parts.filter((part) => part.mutualTls !== null), all = secured.reduce((total, part) => total + volume(part), 0);
  return {
    requests, serverErrors, requestsPerSecond: sum((part) => part.requestsPerSecond), clientErrors: sum((part) => part.clientErrors),
    errorShare: requests ? serverErrors / requests : 0, denied: sum((part) => part.denied),
    codes: counts(parts.map((part) => part.codes)), flags: counts(parts.map((part) => part.flags)),
    latency: weight ? { p50: mean("p50"), p90: mean("p90"), p95: mean("p95"), p99: mean("p99") } : null,
    requestBytes: sum((part) => part.requestBytes), responseBytes: sum((part) => part.responseBytes),
    connectionsOpened: sum((part) => part.connectionsOpened), connectionsClosed: sum((part) => part.connectionsClosed),
    sentBytes: sum((part) => part.sentBytes), receivedBytes: sum((part) => part.receivedBytes),
    mutualTls: all ? secured.reduce((total, part) => total + part.mutualTls! * volume(part), 0) / all : null,
  };
}

function counts(parts: readonly Record<string, number>[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const part of parts) for (const [name, number] of Object.entries(part)) found[name] = (found[name] ?? 0) + number;
  return Object.fromEntries(Object.entries(found).sort(([, a], [, b]) => b - a));
}

export type Health = "good" | "warn" | "bad" | "idle";
const DEGRADED = 0.001, FAILING = 0.05;

/** As in Kiali: some errors are a warning, many are a failure. */
export function healthOf(traffic: Traffic): Health {
  if (!volume(traffic) && !traffic.connectionsClosed && !traffic.sentBytes) return "idle";
  return traffic.errorShare >= FAILING ? "bad" : traffic.errorShare >= DEGRADED ? "warn" : "good";
}
