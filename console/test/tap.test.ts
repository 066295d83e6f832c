import assert from "node:assert/strict";
import { test } from "node:test";
import { blamedKey, isFor, newest, splitLines, tapPath, type TapEvent } from "../src/lib/tap";

const HOST = "reviews.default.svc.cluster.local";
const event = (more: Partial<TapEvent>): TapEvent => ({
  at: "2026-03-01T12:00:00.123Z", source: "", destination: "", method: "GET", authority: "reviews", path: "/", status: 200, duration: 1,
  flags: [], cluster: "", upstream: "", trace: "", explanations: [], missed: 0, ...more,
});

test("a service is asked for as in a terminal", () => {
  assert.equal(tapPath(HOST), "/v1/tap?to=reviews&seconds=300");
  assert.equal(tapPath("api.example.com"), "/v1/tap?to=api.example.com&seconds=300");
});

test("lines are read when they are complete, and empty ones are nothing", () => {
  const [events, rest] = splitLines('\n{"path":"/a"}\n\n{"path":"/b"}\n{"pa');
  assert.deepEqual([events.map((each) => each.path), rest], [["/a", "/b"], '{"pa']);
});

test("requests for another service of the same name are not this one's", () => {
  const cluster = (host: string) => `outbound|9080|v1|${host};`;
  assert.ok(isFor(event({ cluster: cluster(HOST), destination: "default/reviews-v1" }), "default", HOST));
  assert.ok(!isFor(event({ cluster: cluster("reviews.other.svc.cluster.local") }), "default", HOST));
  // A route of its own sends it elsewhere.
  assert.ok(isFor(event({ cluster: cluster("canary.other.svc.cluster.local") }), "default", HOST));
  assert.ok(isFor(event({ cluster: "inbound|9080||", destination: "default/reviews-v1" }), "default", HOST));
  assert.ok(!isFor(event({ cluster: "inbound|9080||", destination: "other/reviews-v1" }), "default", HOST));
  assert.ok(isFor(event({ status: 404, flags: ["NR"] }), "default", HOST));
});

test("the newest are first, and old ones are forgotten", () => {
  const many = Array.from({ length: 60 }, (_, index) => event({ path: `/${index}` }));
  const shown = newest(many, [event({ path: "/old" })]);
  assert.deepEqual([shown.length, shown[0]!.path], [50, "/59"]);
  assert.deepEqual(newest([many[1]!], [many[0]!]).map((each) => each.path), ["/1", "/0"]);
});

test("objects to blame are links where it is known where they are", () => {
  assert.deepEqual(blamedKey("VirtualService default/reviews"), { group: "networking.istio.io", kind: "VirtualService", namespace: "default", name: "reviews" });
  assert.equal(blamedKey("AuthorizationPolicy other/x")?.group, "security.istio.io");
  assert.equal(blamedKey("Mystery default/x"), undefined);
});
