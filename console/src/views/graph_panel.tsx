// What is known of one node or edge of the graph, and where to go from it.
import type { ComponentChildren } from "preact";
import { flagWords } from "../lib/flags";
import { type Graph, type GraphEdge, type GraphNode, volume } from "../lib/graph/model";
import { isTcp } from "../lib/graph/paint";
import { serviceUrl, withQuery } from "../lib/router";
import { useSeries } from "../lib/traffic";
import type { Traffic } from "../lib/types";
import { bytes, milliseconds, percent, rate } from "../lib/words";
import { Chart } from "../ui/chart";
import { Icon } from "../ui/icons";
import { Pill } from "../ui/parts";

const MOST = 12;

export function GraphPanel({ graph, id, onPick }: { graph: Graph; id: string; onPick: (id: string) => void }) {
  const node = graph.nodes.find((each) => each.id === id), edge = graph.edges.find((each) => each.id === id);
  const title = node ? node.name : edge ? "Calls" : "Nothing";
  return (
    <section class="panel graphpanel" aria-label={`About ${title}`} aria-live="polite">
      <header><h2 class="wrap">{node ? node.name : edge ? "Calls" : "No traffic now"}</h2>
        <button class="btn small quiet" type="button" aria-label="Close" onClick={() => onPick("")}><Icon name="close" /></button></header>
      <div class="body stack">
        {node ? <AboutNode graph={graph} node={node} onPick={onPick} /> : edge ? <AboutEdge graph={graph} edge={edge} onPick={onPick} />
          : <p class="soft">It is not in the graph any more, or it is hidden.</p>}
      </div>
    </section>
  );
}

function AboutNode({ graph, node, onPick }: { graph: Graph; node: GraphNode; onPick: (id: string) => void }) {
  const into = graph.edges.filter((edge) => edge.target === node.id), out = graph.edges.filter((edge) => edge.source === node.id);
  const page = pageOf(graph, node.id), own = node.kind === "service" ? node.name : node.service || node.name;
  const known = node.kind !== "unknown" && node.kind !== "other";
  return <>
    <div class="tags"><span class="tag">{node.kind}</span>{node.namespace && <span class="tag">{node.namespace}</span>}{node.version && <span class="tag">version {node.version}</span>}</div>
    {volume(node.inbound) > 0 && <Facts title="What it is asked" of={node.inbound} window={graph.window} />}
    {node.kind !== "app" && <Past node={node} />}
    <Neighbours title="Called by" edges={into} end="source" graph={graph} onPick={onPick} />
    <Neighbours title="Calls" edges={out} end="target" graph={graph} onPick={onPick} />
    {!volume(node.inbound) && volume(node.outbound) > 0 && <Facts title="What it asks" of={node.outbound} window={graph.window} />}
    <Links>
      {page && <a class="link" href={page}>Routing, endpoints and policies</a>}
      {known && <a class="link" href={tracesOf(node)}>Traces</a>}
      {known && <a class="link" href={withQuery("/configuration", "", { text: own, all: "true" })}>Configuration</a>}
      {node.kind === "workload" && <a class="link" href={withQuery("/proxies", "", { text: node.name })}>Proxies</a>}
    </Links>
  </>;
}

function AboutEdge({ graph, edge, onPick }: { graph: Graph; edge: GraphEdge; onPick: (id: string) => void }) {
  const named = (id: string) => graph.nodes.find((node) => node.id === id)?.name ?? id;
  const target = graph.nodes.find((node) => node.id === edge.target), page = pageOf(graph, edge.id);
  return <>
    <p><button class="plain" type="button" onClick={() => onPick(edge.source)}><b>{named(edge.source)}</b></button> <span class="faint">→</span>{" "}
      <button class="plain" type="button" onClick={() => onPick(edge.target)}><b>{named(edge.target)}</b></button></p>
    <div class="tags">
      {edge.protocols.map((each) => <span class="tag">{each}</span>)}<span class="tag">{percent(edge.share)} of what it sends</span>
      {edge.weights && <span class="tag">weights {weightsText(edge.weights)}</span>}
    </div>
    <Facts title="" of={edge.traffic} window={graph.window} tcp={isTcp(edge.traffic)} />
    <Links>
      {page && <a class="link" href={page}>Routing, endpoints and policies</a>}
      {target && <a class="link" href={tracesOf(target)}>Traces</a>}
      {target && edge.traffic.errorShare > 0 && <a class="link" href={tracesOf(target, { status: "error" })}>Traces with errors</a>}
    </Links>
  </>;
}

/** `v1 95 | v2 5 +1`, in words. */
function weightsText(weights: string): string {
  const [shares = "", others] = weights.split(" +");
  return others ? `${shares}; ${others === "1" ? "another route decides" : `${others} other routes decide`} of some requests` : shares;
}

function Links({ children }: { children: ComponentChildren }) {
  return <nav class="links" aria-label="Where to go from here">{children}</nav>;
}

function Facts({ title, of, window, tcp = false }: { title: string; of: Traffic; window: number; tcp?: boolean }) {
  const codes = Object.entries(of.codes).sort(([a], [b]) => Number(a) - Number(b)), flags = Object.entries(of.flags);
  const seconds = window || 1;
  return (
    <div>
      {title && <h3>{title}</h3>}
      <dl class="facts">
        {!tcp && of.requests > 0 && <><dt>Requests</dt><dd class="num">{rate(of.requestsPerSecond)}/s <span class="faint">({of.requests} in {Math.round(seconds)} s)</span></dd>
          <dt>Errors</dt><dd class="num">{of.errorShare ? <Pill tone={of.errorShare >= 0.05 ? "bad" : "warn"}>{percent(100 * of.errorShare)}</Pill> : "none"}
            {of.denied > 0 && <span class="soft"> {of.denied} denied</span>}</dd></>}
        {of.latency && <><dt>Latency</dt><dd class="num">p50 {milliseconds(of.latency.p50)}, p95 {milliseconds(of.latency.p95)}, p99 {milliseconds(of.latency.p99)}</dd></>}
        {of.connectionsOpened + of.sentBytes > 0 && <><dt>TCP</dt><dd class="num">{of.connectionsOpened} opened, {bytes(of.sentBytes)} sent, {bytes(of.receivedBytes)} received</dd></>}
        {of.requests > 0 && <><dt>Bytes</dt><dd class="num">{bytes(Math.round(of.requestBytes / seconds))}/s in, {bytes(Math.round(of.responseBytes / seconds))}/s out</dd></>}
        {of.mutualTls !== null && <><dt>mTLS</dt><dd class="num">{of.mutualTls === 1 ? <Pill tone="good" icon="lock">all of it</Pill> : <Pill tone="warn">{percent(100 * of.mutualTls)}</Pill>}</dd></>}
        {codes.length > 0 && <><dt>Responses</dt><dd class="tags">{codes.map(([code, number]) => <span class="tag">{code === "0" ? "none" : code} <b>{number}</b></span>)}</dd></>}
        {flags.length > 0 && <><dt>Why</dt><dd><ul>{flags.map(([flag, number]) => <li><code>{flag}</code> {flagWords(flag)} <span class="faint num">({number})</span></li>)}</ul></dd></>}
      </dl>
    </div>
  );
}

/** The last quarter of an hour. */
function Past({ node }: { node: GraphNode }) {
  const into = volume(node.inbound) > 0;
  const end = !into ? "source" : node.kind === "service" ? "service" : "destination";
  const points = useSeries(`/v1/traffic/series?window=900&step=15&${end}=${encodeURIComponent(node.id)}`)?.series[0]?.points ?? [];
  if (!points.some((point) => point.requests > 0)) return null;
  const times = points.map((point) => point.at);
  return (
    <div class="stack">
      <Chart title="Requests" unit="per second" times={times} marks={[]} area format={rate} lines={[
        { name: "all", tone: "s0", values: points.map((point) => point.requests) }, { name: "5xx", tone: "bad", values: points.map((point) => point.serverErrors) }]} />
      <Chart title="Latency" unit="" times={times} marks={[]} format={milliseconds} lines={[
        { name: "p50", tone: "s0", values: points.map((point) => point.p50) }, { name: "p99", tone: "s2", values: points.map((point) => point.p99) }]} />
    </div>
  );
}

function Neighbours({ title, edges, end, graph, onPick }: { title: string; edges: readonly GraphEdge[]; end: "source" | "target"; graph: Graph; onPick: (id: string) => void }) {
  if (!edges.length) return null;
  const named = new Map(graph.nodes.map((node) => [node.id, node.name]));
  const sorted = [...edges].sort((a, b) => b.traffic.errorShare - a.traffic.errorShare || volume(b.traffic) - volume(a.traffic));
  return (
    <div>
      <h3>{title}</h3>
      <ul class="neighbours">{sorted.slice(0, MOST).map((edge) => (
        <li><button class="plain" type="button" onClick={() => onPick(edge.id)}>{named.get(edge[end])}</button>
          <span class="num soft nowrap">{isTcp(edge.traffic) ? "TCP" : `${rate(edge.traffic.requestsPerSecond)}/s`}</span>
          <span class={`num nowrap ${edge.traffic.errorShare >= 0.05 ? "badtext" : edge.traffic.errorShare ? "warntext" : "faint"}`}>{percent(100 * edge.traffic.errorShare)}</span></li>
      ))}</ul>
      {edges.length > MOST && <p class="faint">and {edges.length - MOST} more</p>}
    </div>
  );
}

/** The page of the service that a node is, or that serves it. */
export function pageOf(graph: Graph, id: string): string | undefined {
  const edge = graph.edges.find((each) => each.id === id);
  const node = graph.nodes.find((each) => each.id === (edge ? edge.target : id));
  if (!node) return undefined;
  if (node.kind === "service") return serviceUrl(node.namespace, node.service);
  const from = graph.edges.find((each) => each.target === node.id && each.source.startsWith("service/"));
  if (from) { const [, namespace, ...host] = from.source.split("/"); return serviceUrl(namespace!, host.join("/")); }
  return node.service && node.kind !== "unknown" && node.kind !== "other" && volume(node.inbound) ? serviceUrl(node.namespace, `${node.service}.${node.namespace}.svc.cluster.local`) : undefined;
}

function tracesOf(node: GraphNode, more: Record<string, string> = {}): string {
  const name = node.kind === "service" ? node.name : node.service || node.name;
  return withQuery("/traces", "", { service: `${name}.${node.namespace}`, ...more });
}
