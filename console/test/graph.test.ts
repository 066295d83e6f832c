import assert from "node:assert/strict";
import { test } from "node:test";
import { curveOf, fitted, hit, moved, onPlane, pointOn, zoomed } from "../src/lib/graph/camera";
import { filterOf, foundIn, without } from "../src/lib/graph/filter";
import { HEIGHT, layoutOf, layers, WIDTH } from "../src/lib/graph/layout";
import { graphOf, healthOf, NOTHING, together } from "../src/lib/graph/model";
import { weightsIn } from "../src/lib/graph/weights";
import { flagWords } from "../src/lib/flags";
import type { Manifest, Traffic, TrafficEdge, TrafficGraph, TrafficNode } from "../src/lib/types";

const traffic = (requests: number, errors = 0, p50 = 10): Traffic => ({
  ...NOTHING, requests, requestsPerSecond: requests / 10, serverErrors: errors, errorShare: requests ? errors / requests : 0,
  latency: { p50, p90: p50, p95: p50, p99: p50 }, mutualTls: 1,
});
const workload = (name: string, version: string): TrafficNode => ({
  id: `workload/default/${name}`, kind: "workload", namespace: "default", name, version, service: name.replace(/-v\d$/, ""), inbound: traffic(1), outbound: NOTHING,
});
const REVIEWS = "service/default/reviews.default.svc.cluster.local";
const service: TrafficNode = { id: REVIEWS, kind: "service", namespace: "default", name: REVIEWS.slice(16), version: "", service: "", inbound: traffic(100, 2), outbound: NOTHING };
const edge = (source: string, to: string, of: Traffic): TrafficEdge => ({
  source, service: REVIEWS, destination: `workload/default/reviews-${to}`, version: to, protocol: "http", reporter: "destination", traffic: of,
});
const PAGE = "workload/default/page-v1";
const SEEN: TrafficGraph = {
  window: 10, until: "", total: traffic(100, 2), proxies: 3, mostEdges: 2000, crowds: [],
  nodes: [workload("page-v1", "v1"), workload("reviews-v1", "v1"), workload("reviews-v2", "v2"), service],
  edges: [edge(PAGE, "v1", traffic(75, 0, 10)), edge(PAGE, "v2", traffic(25, 2, 50)), edge("unknown", "v1", { ...traffic(20), mutualTls: 0 })],
};
SEEN.nodes.push({ ...service, id: "unknown", kind: "unknown", namespace: "", name: "" });
const HOST = "reviews.default.svc.cluster.local";
const WEIGHTS = new Map([[HOST, { shares: new Map([["v1", 70], ["v2", 30]]), others: 0 }]]);
const ends = (kind: Parameters<typeof graphOf>[1]) => graphOf(SEEN, kind, WEIGHTS).edges.map((each) => `${each.source.split("/").at(-1)} ${each.target.split("/").at(-1)!.split(".")[0]}`);

test("each kind of graph has its nodes", () => {
  assert.deepEqual(ends("versioned"), ["page-v1 reviews", "reviews.default.svc.cluster.local reviews-v1", "reviews.default.svc.cluster.local reviews-v2", "unknown reviews"]);
  assert.deepEqual(ends("workload"), ["page-v1 reviews-v1", "page-v1 reviews-v2", "unknown reviews-v1"]);
  assert.deepEqual(ends("app"), ["page reviews", "unknown reviews"]);
  assert.deepEqual(ends("service"), ["page-v1 reviews", "unknown reviews"]);
});

test("what reached no workload of a service is of the app behind it", () => {
  const lost = { ...SEEN, edges: [...SEEN.edges, { ...edge(PAGE, "v1", traffic(5, 5)), destination: "", version: "" }] };
  const [page] = graphOf(lost, "app", WEIGHTS).edges;
  assert.deepEqual([page!.target, page!.traffic.serverErrors], ["app/default/reviews", 7]);
  assert.equal(graphOf({ ...lost, edges: lost.edges.slice(-1) }, "app", WEIGHTS).edges[0]!.target, REVIEWS);
});

test("what is taken together is added up, and percentiles lie between those of the parts", () => {
  const [page] = graphOf(SEEN, "app", WEIGHTS).edges;
  assert.deepEqual([page!.traffic.requests, page!.traffic.errorShare, page!.traffic.latency!.p50], [100, 0.02, 20]);
  assert.equal(together([traffic(75), { ...traffic(25), mutualTls: 0 }]).mutualTls, 0.75);
  assert.equal(together([{ ...traffic(1), flags: { UH: 1 } }, { ...traffic(1), flags: { UH: 2, NR: 1 } }]).flags.UH, 3);
  assert.equal(together([]).latency, null);
});

test("edges have the weights of their routes, and versions stand below their service", () => {
  const versioned = graphOf(SEEN, "versioned", WEIGHTS);
  assert.deepEqual(versioned.edges.map((each) => each.weights), ["v1 70 | v2 30", "70", "30", "v1 70 | v2 30"]);
  assert.deepEqual(graphOf(SEEN, "workload", WEIGHTS).edges.map((each) => each.weights), ["70", "30", "70"]);
  assert.deepEqual(versioned.nodes.map((node) => node.card), ["", "", "", REVIEWS, REVIEWS]);
  assert.deepEqual(versioned.edges.map((each) => Math.round(each.share)), [100, 79, 21, 100]);
});

const route = (subset: string, weight: number) => ({ destination: { host: "reviews", subset }, weight });
const rule = (http: unknown[], more: Record<string, unknown> = {}, kind = "VirtualService"): Manifest =>
  ({ apiVersion: "", kind, metadata: { name: "x", namespace: "default" }, spec: { http, ...more } });
const told = (weights: ReturnType<typeof weightsIn>, host = HOST) => { const found = weights.get(host); return found && [[...found.shares], found.others]; };

test("weights are those of the route for every other request, and name versions by the labels of subsets", () => {
  const jason = { match: [{ headers: {} }], route: [route("new", 0)] }, rest = { route: [route("old", 1), route("new", 3)] };
  const subsets = rule([], { host: HOST, subsets: [{ name: "old", labels: { version: "v1" } }, { name: "new", labels: {} }] }, "DestinationRule");
  assert.deepEqual(told(weightsIn([rule([rest]), subsets])), [[["v1", 25], ["new", 75]], 0]);
  assert.deepEqual(told(weightsIn([rule([jason, rest]), subsets])), [[["v1", 25], ["new", 75]], 1]);
  assert.deepEqual(told(weightsIn([rule([jason, { route: [route("old", 0)] }]), subsets])), [[["v1", 100]], 1]);
  assert.equal(weightsIn([rule([{ route: [route("old", 1)] }])]).size, 0);
  const graph = graphOf(SEEN, "app", weightsIn([rule([jason, rest]), subsets]));
  assert.equal(graph.edges[0]!.weights, "v1 25 | new 75 +1");
});

test("the mesh takes the oldest rule of a host, and those of gateways only where there is no other", () => {
  const half = [{ route: [route("v1", 1), route("v2", 1)] }], most = [{ route: [route("v1", 9), route("v2", 1)] }];
  const at = (of: Manifest, creationTimestamp: string): Manifest => ({ ...of, metadata: { ...of.metadata, creationTimestamp } });
  const young = at(rule(half), "2026-02-02"), old = at(rule(most), "2026-01-01"), edge = at(rule(half, { gateways: ["web"] }), "2025-01-01");
  assert.deepEqual(told(weightsIn([young, edge, old])), [[["v1", 90], ["v2", 10]], 0]);
  assert.deepEqual(told(weightsIn([edge])), [[["v1", 50], ["v2", 50]], 0]);
});

test("whole services that share requests have their weights, by routes of the Gateway API too", () => {
  const to = (host: string, weight: number) => ({ destination: { host }, weight });
  assert.deepEqual(told(weightsIn([rule([{ route: [to("reviews", 70), to("ratings", 30)] }])])), [[["", 70]], 0]);
  const split = rule([], { rules: [{ backendRefs: [{ name: "reviews", weight: 3 }, { name: "ratings", port: 80 }] }] }, "HTTPRoute");
  assert.deepEqual(told(weightsIn([split])), [[["", 75]], 0]);
  assert.deepEqual(graphOf(SEEN, "versioned", weightsIn([split])).edges.map((each) => each.weights), ["75", "", "", "75"]);
});

test("expressions find nodes and edges", () => {
  const graph = graphOf(SEEN, "versioned", WEIGHTS), found = (text: string) => [...foundIn(graph, filterOf(text))].map((id) => id.replaceAll(/[^→]*\/([^/.→]+)[^→]*/g, "$1"));
  assert.deepEqual(found("name contains rev"), ["reviews", "reviews-v1", "reviews-v2"]);
  assert.deepEqual(found("name *= REV and node != service"), ["reviews-v1", "reviews-v2"]);
  assert.deepEqual(found("rps > 7 && %error < 1"), ["reviews→reviews-v1"]);
  assert.deepEqual(found("%error > 5 or version = \"v2\""), ["reviews-v2", "reviews→reviews-v2"]);
  assert.deepEqual(found("name not contains rev and (workload startswith p)"), ["page-v1"]);
  assert.deepEqual(found("!(not mtls) and protocol = http"), ["page-v1→reviews", "reviews→reviews-v2"]);
  assert.deepEqual(found("p50 >= 50ms"), ["reviews→reviews-v2"]);
  assert.deepEqual(found(""), []);
});

test("what is wrong with an expression is said", () => {
  assert.match(filterOf("nane = x").problem, /no "nane"/);
  assert.match(filterOf("rps >").problem, /rps > what/);
  assert.match(filterOf("(rps > 1").problem, /\) is missing/);
  assert.match(filterOf("rps > 1 name").problem, /not expected/);
  assert.equal(filterOf("rps > 1 or mtls").problem, "");
});

test("what is hidden goes with its edges, and leaves no node alone", () => {
  const graph = graphOf(SEEN, "workload", WEIGHTS), left = without(graph, filterOf("version = v1 and name contains reviews"));
  assert.deepEqual(left.nodes.map((node) => node.name), ["page-v1", "reviews-v2"]);
  assert.equal(without(graph, filterOf("")), graph);
  assert.equal(without(graph, filterOf("rps >= 0")).edges.length, 0);
});

test("callers are left of those they call, circles or not", () => {
  const arrow = (text: string) => ({ source: text[0]!, target: text[1]! });
  assert.deepEqual(layers(["a", "b", "c"], ["ab", "bc", "ca"].map(arrow), () => undefined), [["a"], ["b"], ["c"]]);
  assert.deepEqual(layers(["a", "b", "c", "d"], ["ab", "bc", "dc"].map(arrow), () => undefined), [["a"], ["b", "d"], ["c"]]);
  // Crossings go away.
  assert.deepEqual(layers(["a", "b", "x", "y"], ["ay", "bx"].map(arrow), () => undefined)[1]!.length, 2);
});

const standing = (id: string, box = "", card = "") => ({ id, box, card });

test("nodes and boxes cover nothing of each other", () => {
  const nodes = Array.from({ length: 60 }, (_, index) => standing(`n${index}`, `ns${index % 4}`));
  const arrows = nodes.flatMap((node, index) => [{ source: node.id, target: `n${(index * 7 + 3) % 60}` }, { source: node.id, target: `n${(index * 3 + 1) % 60}` }]);
  const { places, boxes } = layoutOf(nodes, arrows);
  const all = [...places.values()];
  assert.equal(all.length, 60);
  for (const one of all) for (const other of all) if (one !== other) assert.ok(Math.abs(one.x - other.x) >= WIDTH || Math.abs(one.y - other.y) >= HEIGHT);
  for (const one of boxes) for (const other of boxes) if (one !== other) assert.ok(one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y);
  for (const { id, box } of nodes) {
    const frame = boxes.find((each) => each.name === box)!, { x, y } = places.get(id)!;
    assert.ok(x - WIDTH / 2 > frame.x && x + WIDTH / 2 < frame.x + frame.width && y - HEIGHT / 2 > frame.y && y + HEIGHT / 2 < frame.y + frame.height);
  }
});

test("versions are below their service, and who stays keeps the order when somebody comes", () => {
  const before = layoutOf([standing("p", "d"), standing("s", "d"), standing("s1", "d", "s"), standing("t", "d")], [{ source: "p", target: "s" }, { source: "s", target: "s1" }, { source: "p", target: "t" }]);
  const [head, row] = [before.places.get("s")!, before.places.get("s1")!];
  assert.ok(row.y > head.y && row.x === head.x);
  assert.equal(before.cards.length, 1);
  const order = (layout: typeof before) => [...layout.places].sort(([, a], [, b]) => a.y - b.y).map(([id]) => id).filter((id) => "st".includes(id));
  const after = layoutOf([standing("p", "d"), standing("a", "d"), standing("s", "d"), standing("s1", "d", "s"), standing("t", "d")], [{ source: "p", target: "s" }, { source: "s", target: "s1" }, { source: "p", target: "t" }, { source: "p", target: "a" }], before);
  assert.deepEqual(order(after), order(before));
});

test("a camera shows all, and keeps what is under the pointer", () => {
  const camera = fitted({ width: 2000, height: 500 }, { width: 1000, height: 600 });
  assert.ok(camera.scale < 0.5 && onPlane(camera, { x: 500, y: 300 }).x === 1000);
  const at = { x: 120, y: 80 }, before = onPlane(camera, at), after = onPlane(zoomed(camera, 1.7, at), at);
  assert.ok(Math.abs(before.x - after.x) < 1e-9 && Math.abs(before.y - after.y) < 1e-9);
  assert.ok(onPlane(moved(camera, 10, 0), { x: 10, y: 0 }).x - onPlane(camera, { x: 0, y: 0 }).x < 1e-9);
});

test("a click finds a node before an edge, and an edge only near to it", () => {
  const layout = layoutOf([standing("a"), standing("b")], [{ source: "a", target: "b" }]);
  const curve = curveOf(layout.places.get("a")!, layout.places.get("b")!), curves = new Map([["a→b", curve]]);
  assert.equal(hit(layout.places.get("b")!, layout, curves, 8), "b");
  const middle = pointOn(curve, 0.5);
  assert.equal(hit({ x: middle.x, y: middle.y + 3 }, layout, curves, 8), "a→b");
  assert.equal(hit({ x: middle.x, y: middle.y + 30 }, layout, curves, 8), undefined);
});

test("colours and flags say what they should", () => {
  assert.deepEqual([traffic(1000), traffic(1000, 2), traffic(100, 5), traffic(0)].map(healthOf), ["good", "warn", "bad", "idle"]);
  assert.deepEqual(["UF,URX", "-", "XYZ"].map(flagWords), ["could not be sent: the connection to the endpoint failed; failed in every attempt", "", "XYZ"]);
});
