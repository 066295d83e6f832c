import assert from "node:assert/strict";
import { test } from "node:test";
import { barOf, clusterOf, coloured, factsOf, searchPath, targetWords, type TraceSpan } from "../src/lib/traces";

const span = (more: Partial<TraceSpan>): TraceSpan => ({
  id: "1", parent: "", depth: 0, service: "reviews.default", operation: "ratings:9080/*", kind: "client", offset: 20, duration: 30,
  status: 503, error: true, message: "", attributes: {}, resource: {}, events: [], ...more,
});

test("a search asks for what is filled in, and for times before now", () => {
  assert.equal(searchPath({}, 0), "/v1/traces?limit=50");
  assert.equal(searchPath({ service: "a.b", status: "error", minDuration: "1ms", last: "60", limit: "100" }, 90_000),
    "/v1/traces?service=a.b&status=error&minDuration=1ms&since=1970-01-01T00%3A00%3A30.000Z&limit=100");
});

test("bars are where spans were, and can always be seen", () => {
  assert.deepEqual(barOf(span({}), 100), { left: 20, width: 30 });
  assert.deepEqual(barOf(span({ offset: -5, duration: 500 }), 100), { left: 0, width: 100 });
  assert.deepEqual(barOf(span({ offset: 100, duration: 0 }), 100), { left: 99.5, width: 0.5 });
  assert.deepEqual(barOf(span({ offset: 0, duration: 0 }), 0), { left: 0, width: 100 });
});

test("names of clusters are read", () => {
  assert.deepEqual(clusterOf("outbound|9080|v1|a.b.svc;"), { direction: "outbound", port: "9080", subset: "v1", host: "a.b.svc" });
  assert.deepEqual(["outbound|9080|v1|a.b.svc", "outbound|80||a.b;", "inbound|9080||", "PassthroughCluster"].map(targetWords),
    ["a.b.svc:9080, subset v1", "a.b:80", "the program, port 9080", "PassthroughCluster"]);
});

test("what Envoy says is in words, and what it does not say is left out", () => {
  const facts = factsOf(span({ attributes: {
    response_flags: "UF,URX", "http.method": "GET", "http.url": "http://ratings/0", upstream_cluster: "outbound|9080||ratings.default.svc.cluster.local",
    "peer.address": "10.0.0.1", node_id: "sidecar~10.0.0.1~reviews-v2-0.default~default.svc.cluster.local", user_agent: "-",
  } }));
  assert.deepEqual(facts, [
    ["Response", "503"], ["Why", "UF,URX: could not be sent: the connection to the endpoint failed; failed in every attempt"],
    ["Request", "GET http://ratings/0"], ["Sent to", "ratings.default.svc.cluster.local:9080"], ["Peer", "10.0.0.1"], ["Told by", "sidecar reviews-v2-0.default"]]);
  assert.deepEqual(factsOf(span({ status: 0, attributes: { response_flags: "-" } })), [["Response", "none"]]);
});

test("each service keeps its colour", () => {
  assert.deepEqual([...coloured([span({ service: "a" }), span({ service: "b" }), span({ service: "a" })])], [["a", 0], ["b", 1]]);
});
