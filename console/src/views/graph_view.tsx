// Who calls whom, how much and how well, as it happens.
import { useMemo, useRef } from "preact/hooks";
import { filterOf, FIELDS, foundIn, without } from "../lib/graph/filter";
import { type Layout, layoutOf } from "../lib/graph/layout";
import { type Graph, graphOf, type GraphKind } from "../lib/graph/model";
import type { Labels } from "../lib/graph/paint";
import { trafficPath, useGraph } from "../lib/graph/stream";
import { weightsIn } from "../lib/graph/weights";
import { useLive } from "../lib/live";
import { go, setQuery } from "../lib/router";
import type { Manifest, TrafficGraph } from "../lib/types";
import { count, percent, rate } from "../lib/words";
import { Empty, Head, Notice, Twin } from "../ui/parts";
import type { ViewProps } from "../views";
import { GraphCanvas } from "./graph_canvas";
import { GraphPanel, pageOf } from "./graph_panel";
import { GraphTable } from "./graph_table";

const KINDS: Record<GraphKind, string> = { versioned: "Versions", app: "Apps", workload: "Workloads", service: "Services" };
const WINDOWS: Record<string, string> = { 30: "30 seconds", 60: "1 minute", 300: "5 minutes", 900: "15 minutes", 3600: "1 hour", 21600: "6 hours" };
const LABELS: Record<Labels, string> = { rate: "Rate and errors", share: "Share of requests", p50: "Latency p50", p95: "Latency p95", p99: "Latency p99", none: "No labels" };
const RULES = "/v1/objects?kind=VirtualService,DestinationRule,HTTPRoute,GRPCRoute,TCPRoute,TLSRoute";

export function GraphView({ url }: ViewProps) {
  const query = Object.fromEntries(url.searchParams) as Record<string, string>;
  const kind = (query.type && query.type in KINDS ? query.type : "versioned") as GraphKind;
  const labels = (query.labels && query.labels in LABELS ? query.labels : "rate") as Labels;
  const window = Number(query.window) || 60, namespace = query.namespace ?? "", still = query.still === "true";
  const found = useGraph(window, namespace, still);
  const { data: rules } = useLive<{ items: Manifest[] }>(RULES, ["objects"]);
  const weights = useMemo(() => weightsIn(rules?.items ?? []), [rules]);
  const hidden = useMemo(() => filterOf(query.hide ?? ""), [query.hide]), wanted = useMemo(() => filterOf(query.find ?? ""), [query.find]);
  const whole = useMemo(() => found && graphOf(found, kind, weights), [found, kind, weights]);
  const graph = useMemo(() => whole && without(whole, hidden), [whole, hidden]);
  const layout = useStableLayout(graph);
  const marked = useMemo(() => (graph && query.find ? foundIn(graph, wanted) : undefined), [graph, wanted, query.find]);
  const picked = query.picked ?? "";
  const look = useMemo(() => ({ labels, locks: query.locks !== "none", picked, found: marked }), [labels, query.locks, picked, marked]);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const moving = (query.motion ? query.motion === "on" : !calm) && !still;
  const pick = (id: string) => setQuery({ picked: id });
  const open = (id: string) => { const page = graph && pageOf(graph, id); if (page) go(page); };
  const table = query.view === "table";
  return (
    <div class="graphview">
      <Head title="Graph" sub={graph && found && <Summary of={found} graph={graph} />} actions={<>
        <button class="btn" type="button" aria-pressed={still} onClick={() => setQuery({ still: still ? "" : "true" })}>{still ? "Go on" : "Hold"}</button>
        <button class="btn" type="button" onClick={() => setQuery({ view: table ? "" : "table" })}>{table ? "Show the graph" : "Show as a table"}</button>
      </>} />
      <Controls query={query} kind={kind} labels={labels} moving={moving} namespaces={namespacesOf(found, namespace)} />
      {hidden.problem && <Notice tone="warn">Hide: {hidden.problem}</Notice>}
      {wanted.problem && <Notice tone="warn">Find: {wanted.problem}</Notice>}
      {found && found.crowds.length > 0 && <Notice tone="warn">There are more than {found.mostEdges} edges. The rest is in “all others”; the most are
        made by {found.crowds.map((each) => each.node.split("/").at(-1)).join(", ")}.</Notice>}
      {!graph ? null : !graph.edges.length ? <section class="panel"><Empty>{whole?.edges.length ? "Everything is hidden."
        : `No traffic in the last ${WINDOWS[window] ?? `${window} seconds`}. As soon as a request goes through the mesh, it shows here.`}</Empty></section>
        : table ? <GraphTable graph={graph} found={marked} onPick={(id) => setQuery({ view: "", picked: id })} />
        : <div class={`graph ${picked ? "split" : ""}`}>
          <section class="panel" aria-label="Graph">
            <GraphCanvas graph={graph} layout={layout!} look={look} moving={moving} onPick={pick} onOpen={open}
              said={`${count(graph.nodes.length, "node")} and ${count(graph.edges.length, "edge")}. ${KEYS}`} />
            <Legend />
          </section>
          {picked && <GraphPanel graph={graph} id={picked} onPick={pick} />}
        </div>}
      <Twin path={trafficPath(window, namespace)} command={`clew graph --window ${window}${namespace && ` -n ${namespace}`} -o json`} />
    </div>
  );
}

const KEYS = "Arrows move, plus and minus zoom, 0 shows all, n and b pick the next and the one before, Enter opens it. "
  + "“Show as a table” has the same in words.";
const EXAMPLES = ["%error > 1", "rps > 5", "not healthy", "not mtls", "p95 > 200", "name contains ", "namespace = ", "node = workload"];

/** Computed anew only when nodes or edges come or go; then what stays keeps its order. */
function useStableLayout(graph: Graph | undefined): Layout | undefined {
  const last = useRef<{ of: string; layout: Layout } | undefined>(undefined);
  if (!graph) return undefined;
  const of = `${graph.kind} ${graph.nodes.map((node) => node.id).join()} ${graph.edges.map((edge) => edge.id).sort().join()}`;
  if (last.current?.of !== of) {
    const nodes = graph.nodes.map(({ id, namespace, card }) => ({ id, box: namespace, card }));
    const same = last.current?.of.startsWith(`${graph.kind} `) ? last.current.layout : undefined;
    last.current = { of, layout: layoutOf(nodes, graph.edges, same) };
  }
  return last.current.layout;
}

function namespacesOf(found: TrafficGraph | undefined, chosen: string): string[] {
  return [...new Set([chosen, ...(found?.nodes ?? []).map((node) => node.namespace)])].filter(Boolean).sort();
}

function Summary({ of, graph }: { of: TrafficGraph; graph: Graph }) {
  const { total } = of;
  return <>
    <span class="num">{rate(total.requestsPerSecond)} requests/s</span>
    <span class={`num ${total.errorShare >= 0.05 ? "badtext" : ""}`}>{percent(100 * total.errorShare)} errors</span>
    {total.mutualTls !== null && <span class="num">{percent(100 * total.mutualTls)} over mTLS</span>}
    <span class="num faint">{count(graph.nodes.length, "node")}, {count(graph.edges.length, "edge")}</span>
  </>;
}

function Controls({ query, kind, labels, moving, namespaces }: { query: Record<string, string>; kind: GraphKind; labels: Labels; moving: boolean; namespaces: readonly string[] }) {
  const select = (name: string, label: string, value: string, options: Record<string, string>, first = "") => (
    <select aria-label={label} value={value} onChange={(event) => setQuery({ [name]: event.currentTarget.value === first ? "" : event.currentTarget.value })}>
      {Object.entries(options).map(([key, text]) => <option value={key}>{text}</option>)}
    </select>
  );
  const expression = (name: "find" | "hide", label: string, example: string) => (
    <input type="search" class="expression mono" aria-label={label} placeholder={`${label}: ${example}`} value={query[name] ?? ""} list="expressions"
      title={`Fields: ${Object.keys(FIELDS).join(", ")}. Compare with = != > >= < <= contains startswith endswith, join with and, or, not.`}
      spellcheck={false} autocomplete="off" onInput={(event) => setQuery({ [name]: event.currentTarget.value })} />
  );
  return (
    <div class="filters" role="search">
      {select("type", "Graph of", kind, KINDS, "versioned")}
      {select("window", "Time", query.window ?? "60", WINDOWS, "60")}
      {select("namespace", "Namespace", query.namespace ?? "", { "": "All namespaces", ...Object.fromEntries(namespaces.map((each) => [each, each])) })}
      {select("labels", "Labels of edges", labels, LABELS, "rate")}
      <label class="check"><input type="checkbox" checked={moving} onChange={(event) => setQuery({ motion: event.currentTarget.checked ? "on" : "off" })} />Motion</label>
      <label class="check"><input type="checkbox" checked={query.locks !== "none"} onChange={(event) => setQuery({ locks: event.currentTarget.checked ? "" : "none" })} />mTLS</label>
      {expression("find", "Find", "rps > 5, %error > 1, not mtls …")}
      {expression("hide", "Hide", "name contains rev or node = unknown …")}
      <datalist id="expressions">{EXAMPLES.map((each) => <option value={each} />)}</datalist>
    </div>
  );
}

function Legend() {
  return (
    <ul class="graphlegend" aria-label="Legend">
      <li><i class="hex" />service</li><li><i class="disc" />workload</li>
      <li><i class="bar good" />healthy</li><li><i class="bar warn" />errors</li><li><i class="bar bad" />5 % errors or more</li><li><i class="bar info" />TCP</li>
    </ul>
  );
}
