// The messages of the admin API, as src/clew/api/ defines them.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Key { group: string; kind: string; namespace: string; name: string }

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    creationTimestamp?: string;
    generation?: number;
    resourceVersion?: string;
    [name: string]: unknown;
  };
  spec?: any;
  status?: any;
  [name: string]: any;
}

export interface Finding {
  severity: string; problem: string; hint: string; code: string; file: string;
  line: number; column: number; object: string; field: string; text: string;
}

export interface Applied {
  key: Key; result: "created" | "configured" | "unchanged" | "deleted" | "refused";
  revision: number; object: Manifest | null; restored: number; error: string; diagnostics: Finding[];
}
export interface ApplyReport { items: Applied[]; dryRun: boolean }

export type State = "in force" | "pending" | "rejected" | "held" | "no proxy" | "not supported";
export interface ObjectStatus {
  key: Key; state: State; generation: number; observedGeneration: number; acknowledged: number;
  concerned: number; waiting: string[]; reason: string; heldAt: number | null; message: string;
  findings: Finding[];
}

export interface HistoryItem {
  revision: number; at: string; author: string; action: string; object: Manifest | null;
}

export interface TypeStatus {
  state: "acked" | "pending" | "nacked"; version: string; error: string; resources: string[];
}
export interface ProxyStatus {
  name: string; namespace: string; node: string; address: string; connected: boolean; since: string;
  types: Record<string, TypeStatus>;
  version?: string; certificateBegins?: number; certificateEnds?: number;
}
export interface Refusal {
  at: string; proxy: string; resource: string; reason: string; object: string;
  generation: number; heldAt: number; held: boolean;
}
export interface ProxyList { proxies: ProxyStatus[]; revision: number; refusals: Refusal[] }

export interface Trouble {
  severity: "error" | "warning"; problem: string; hint: string;
  object: Key | null; field: string; proxy: string; service: string; view: string;
}
export interface RecentChange {
  key: Key; revision: number; at: string; author: string; action: string;
  differences: string[]; state: State | "";
}
export interface Certificate { object: Key; subject: string; expires: string; secondsLeft: number }
export interface ProxyCertificate { name: string; namespace: string; node: string; secondsLeft: number; late: boolean }
export interface Overview {
  revision: number; rootNamespace: string; troubles: Trouble[];
  proxies: { connected: number; synced: number; pending: number; rejecting: number };
  objects: Record<string, number>; changes: RecentChange[]; certificates: Certificate[];
  proxyCertificates: ProxyCertificate[];
}

export interface KindItem {
  group: string; kind: string; plural: string; apiVersion: string; shortNames: string[];
  namespaced: boolean; standing: boolean;
}

export interface Reference { key: Key; field: string; exists: boolean }
export interface References { to: Reference[]; by: Reference[] }

export interface ResourceState {
  type: string; name: string; version: string; acknowledged: string; error: string; size: number;
}
export interface ProxyDetail {
  proxy: ProxyStatus; labels: Record<string, string>; serviceAccount: string; type: string;
  resources: ResourceState[]; refusals: Refusal[]; objects: Key[];
}

export interface ServiceSummary {
  host: string; namespace: string; name: string; source: Key; ports: string[];
  healthy: number; endpoints: number; rules: Key[]; versions: string[];
}
export interface SubsetView {
  name: string; labels: Record<string, string>; healthy: number; endpoints: number;
  rule: Key | null; field: string;
}
export interface RouteTarget {
  host: string; subset: string; port: number; weight: number; field: string;
  healthy: number; endpoints: number; problem: string;
}
export interface RouteView {
  source: Key | null; field: string; name: string; protocol: string;
  matches: string[]; targets: RouteTarget[]; actions: string[];
}
export interface RouteTable { gateway: string; hosts: string[]; routes: RouteView[] }
export interface EndpointView {
  address: string; port: number; portName: string; health: string; workload: string;
  version: string; zone: string; mutualTls: boolean; pod: Key | null; weight: number; subsets: string[];
}
export interface PolicyView { key: Key; says: string[] }
export interface ServiceView {
  summary: ServiceSummary; seenFrom: string; tables: RouteTable[]; subsets: SubsetView[];
  endpoints: EndpointView[]; policies: PolicyView[]; findings: Finding[];
  mutualTls: Record<string, string>;
}

export interface Latency { p50: number; p90: number; p95: number; p99: number }
export interface Traffic {
  requests: number; requestsPerSecond: number; clientErrors: number; serverErrors: number; errorShare: number;
  denied: number; codes: Record<string, number>; flags: Record<string, number>; latency: Latency | null;
  requestBytes: number; responseBytes: number; connectionsOpened: number; connectionsClosed: number;
  sentBytes: number; receivedBytes: number; mutualTls: number | null;
}
export interface TrafficNode {
  id: string; kind: "workload" | "service" | "unknown" | "other"; namespace: string; name: string;
  version: string; service: string; inbound: Traffic; outbound: Traffic;
}
export interface TrafficEdge {
  source: string; service: string; destination: string; version: string; protocol: string; reporter: string; traffic: Traffic;
}
export interface TrafficGraph {
  window: number; until: string; total: Traffic; nodes: TrafficNode[]; edges: TrafficEdge[]; proxies: number;
  mostEdges: number; crowds: { node: string; edges: number }[];
}
export interface SeriesPoint {
  at: number; requests: number; clientErrors: number; serverErrors: number;
  p50: number | null; p90: number | null; p99: number | null; connections: number;
}
export interface Series { name: string; points: SeriesPoint[] }
export interface SeriesList { step: number; series: Series[] }
