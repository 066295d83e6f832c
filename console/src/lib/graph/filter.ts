// Expressions that find or hide parts of the graph: `name contains rev`, `rps > 5 and %error > 1`, `not mtls`.
import { type Graph, type GraphEdge, type GraphNode, healthOf, volume } from "./model";

export type Element = { node: GraphNode; edge?: undefined } | { edge: GraphEdge; node?: undefined };
type Test = (element: Element) => boolean;
export interface Filter { test: Test; problem: string }

/** What it reads of an element; undefined is not true of any value. */
type Field = (element: Element) => string | number | boolean | undefined;

const traffic = ({ node, edge }: Element) => (node ? (volume(node.inbound) ? node.inbound : node.outbound) : edge.traffic);
const ofNode = (read: (node: GraphNode) => string): Field => ({ node }) => node && read(node);
const ofEdge = (read: (edge: GraphEdge) => string | number): Field => ({ edge }) => edge && read(edge);
const share = (part: (element: Element) => number): Field => (element) => {
  const { requests } = traffic(element);
  return requests ? (100 * part(element)) / requests : 0;
};

export const FIELDS: Record<string, Field> = {
  name: ofNode((node) => node.name), namespace: ofNode((node) => node.namespace), version: ofNode((node) => node.version),
  app: ofNode((node) => (node.kind === "service" ? "" : node.service)), service: ofNode((node) => (node.kind === "service" ? node.name : "")),
  workload: ofNode((node) => (node.kind === "workload" ? node.name : "")), node: ofNode((node) => node.kind),
  rps: (element) => traffic(element).requestsPerSecond,
  "%error": (element) => 100 * traffic(element).errorShare,
  "%4xx": share((element) => traffic(element).clientErrors), "%denied": share((element) => traffic(element).denied),
  p50: (element) => traffic(element).latency?.p50, p90: (element) => traffic(element).latency?.p90,
  p95: (element) => traffic(element).latency?.p95, p99: (element) => traffic(element).latency?.p99,
  "%share": ofEdge((edge) => edge.share), protocol: ofEdge((edge) => edge.protocols.join(",")),
  mtls: (element) => { const found = traffic(element).mutualTls; return found === null ? undefined : found === 1; },
  healthy: (element) => healthOf(traffic(element)) === "good",
  idle: (element) => healthOf(traffic(element)) === "idle",
};
const ALIASES: Record<string, string> = { "%err": "%error", error: "%error", rt: "p95", responsetime: "p95", http: "rps", ns: "namespace", secure: "mtls" };

const COMPARE: Record<string, (a: string | number, b: string | number) => boolean> = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b,
  ">": (a, b) => a > b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, "<=": (a, b) => a <= b,
  contains: (a, b) => String(a).includes(String(b)), startswith: (a, b) => String(a).startsWith(String(b)), endswith: (a, b) => String(a).endsWith(String(b)),
};
const SYNONYMS: Record<string, string> = { "==": "=", "*=": "contains", "^=": "startswith", "$=": "endswith" };

/** An empty text finds nothing. `problem` says what is wrong with a text; then nothing is found either. */
export function filterOf(text: string): Filter {
  const tokens = text.match(/"[^"]*"|[()]|&&|\|\||[*^$!<>=]?=|[<>!]|[^\s()<>=!*^$&|"]+/g) ?? [];
  if (!tokens.length) return { test: () => false, problem: "" };
  const reader = { tokens, at: 0 };
  try {
    const test = either(reader);
    if (reader.at < tokens.length) throw new Error(`"${tokens[reader.at]}" is not expected here`);
    return { test, problem: "" };
  } catch (error) {
    return { test: () => false, problem: (error as Error).message };
  }
}

interface Reader { tokens: readonly string[]; at: number }

function next(reader: Reader, ...wanted: string[]): boolean {
  const token = reader.tokens[reader.at]?.toLowerCase();
  if (token === undefined || !wanted.includes(token)) return false;
  reader.at++;
  return true;
}

function either(reader: Reader): Test {
  const tests = [both(reader)];
  while (next(reader, "or", "||")) tests.push(both(reader));
  return (element) => tests.some((test) => test(element));
}

function both(reader: Reader): Test {
  const tests = [term(reader)];
  while (next(reader, "and", "&&")) tests.push(term(reader));
  return (element) => tests.every((test) => test(element));
}

function term(reader: Reader): Test {
  if (next(reader, "not", "!")) {
    const test = term(reader);
    return (element) => !test(element);
  }
  if (next(reader, "(")) {
    const test = either(reader);
    if (!next(reader, ")")) throw new Error("a ) is missing");
    return test;
  }
  next(reader, "is", "has");
  const name = reader.tokens[reader.at++];
  if (name === undefined) throw new Error("something is missing at the end");
  const field = FIELDS[ALIASES[name.toLowerCase()] ?? name.toLowerCase()];
  if (!field) throw new Error(`there is no "${name}": ${Object.keys(FIELDS).join(", ")}`);
  return comparison(reader, name, field);
}

function comparison(reader: Reader, name: string, field: Field): Test {
  const negated = reader.tokens[reader.at]?.toLowerCase() === "not" && COMPARE[reader.tokens[reader.at + 1]?.toLowerCase() ?? ""] !== undefined;
  if (negated) reader.at++;
  const token = reader.tokens[reader.at]?.toLowerCase() ?? "", compare = COMPARE[SYNONYMS[token] ?? token];
  // A word alone: healthy, mtls, idle.
  if (!compare) return (element) => field(element) === true;
  reader.at++;
  const raw = reader.tokens[reader.at++];
  if (raw === undefined) throw new Error(`${name} ${token} what?`);
  const text = raw.replace(/^"|"$/g, "").toLowerCase(), number = Number(text.replace(/%$|ms$/, ""));
  return (element) => {
    const found = field(element);
    if (found === undefined) return false;
    const holds = typeof found === "number" ? compare(found, number) : compare(String(found).toLowerCase(), text);
    return holds !== negated;
  };
}

/** The graph without what is hidden: edges of hidden nodes go with them, and nodes that are left without any. */
export function without(graph: Graph, hidden: Filter): Graph {
  const gone = new Set(graph.nodes.filter((node) => hidden.test({ node })).map((node) => node.id));
  const edges = graph.edges.filter((edge) => !gone.has(edge.source) && !gone.has(edge.target) && !hidden.test({ edge }));
  if (edges.length === graph.edges.length) return graph;
  const left = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  return { ...graph, edges, nodes: graph.nodes.filter((node) => left.has(node.id)) };
}

export function foundIn(graph: Graph, wanted: Filter): Set<string> {
  return new Set([...graph.nodes.filter((node) => wanted.test({ node })), ...graph.edges.filter((edge) => wanted.test({ edge }))].map((each) => each.id));
}
