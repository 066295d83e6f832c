// Who may call whom, with what identities, and how much of it is mutual TLS: as numbers and words.
import type { Manifest, TrafficGraph, Traffic } from "./types";
import { keyOf } from "./api";
import type { Key } from "./types";

export type Cell = "yes" | "no" | "some" | "asked";
export interface Matrix { targets: string[]; rows: { caller: string; cells: Cell[] }[] }
export interface Permission {
  caller: string; host: string; port: number; protocol: string; outcome: "allowed" | "denied" | "asked" | "mixed";
  workloads: { workload: string; outcome: string; rule: string; reason: string; dryRuns: string[] }[];
}
export interface CertificateSummary { subject: string; fingerprint: string; key: string; expires: string; secondsLeft: number }
export interface Authority {
  trustDomain: string; root: CertificateSummary; signing: CertificateSummary; trusted: CertificateSummary[]; trustDomainAliases: string[];
  pluggedIn: boolean; phase: string; waiting: string[]; followed: number; problem: string;
}

export const CELLS: Record<Cell, { mark: string; words: string; tone: "good" | "warn" | "info" | "" }> = {
  yes: { mark: "✓", words: "every request", tone: "good" },
  some: { mark: "◐", words: "it depends on the request", tone: "warn" },
  asked: { mark: "?", words: "an external authorizer decides", tone: "info" },
  no: { mark: "–", words: "no request", tone: "" },
};

/** `reviews.default.svc.cluster.local:9080` → its parts. Hosts outside Kubernetes have no namespace. */
export function targetOf(target: string): { host: string; port: string; name: string; namespace: string } {
  const at = target.lastIndexOf(":"), host = target.slice(0, at), parts = host.split(".");
  const inside = parts[2] === "svc";
  return { host, port: target.slice(at + 1), name: inside ? parts[0]! : host, namespace: inside ? parts[1]! : "" };
}

export interface Mode { key: Key; mode: string; scope: string; ports: [string, string][] }

/** What PeerAuthentications demand, the widest first. `root`: the namespace whose policies are for the whole mesh. */
export function modesOf(policies: readonly Manifest[], root: string): Mode[] {
  const found = policies.map((policy) => {
    const key = keyOf(policy), labels = Object.entries(policy.spec?.selector?.matchLabels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
    const scope = labels ? `workloads ${labels} in ${key.namespace}` : key.namespace === root ? "the whole mesh" : `namespace ${key.namespace}`;
    const ports = Object.entries(policy.spec?.portLevelMtls ?? {}).map(([port, of]: [string, any]): [string, string] => [port, of?.mode ?? "UNSET"]);
    return { key, mode: policy.spec?.mtls?.mode ?? "UNSET", scope, ports, width: labels ? 2 : key.namespace === root ? 0 : 1 };
  });
  return found.sort((a, b) => a.width - b.width || a.scope.localeCompare(b.scope)).map(({ width: _, ...mode }) => mode);
}

export interface Coverage { id: string; namespace: string; host: string; traffic: Traffic; plain: string[] }

/** Services by how much of what they are asked is not over mTLS, the worst first, and who asks so. */
export function coverageOf(graph: TrafficGraph): Coverage[] {
  const names = new Map(graph.nodes.map((node) => [node.id, node.kind === "unknown" ? "outside the mesh" : node.name]));
  return graph.nodes.filter((node) => node.kind === "service" && node.inbound.mutualTls !== null).map((node) => {
    const plain = graph.edges.filter((edge) => edge.service === node.id && edge.traffic.mutualTls !== null && edge.traffic.mutualTls < 1);
    return { id: node.id, namespace: node.namespace, host: node.name, traffic: node.inbound, plain: [...new Set(plain.map((edge) => names.get(edge.source) ?? edge.source))].sort() };
  }).sort((a, b) => a.traffic.mutualTls! - b.traffic.mutualTls! || b.traffic.requests - a.traffic.requests);
}

/** How a rotation of roots stands, in a sentence. */
export function phaseWords({ phase, waiting, followed }: Authority): string {
  const rest = waiting.length ? `; ${waiting.length} of ${waiting.length + followed} proxies have yet to follow` : "";
  if (phase === "trust") return `A new root is being trusted everywhere before anything is signed with it${rest}`;
  if (phase === "sign") return `Certificates are being signed by the new root, and the old one is trusted until all have followed${rest}`;
  return "No change of roots is under way";
}
