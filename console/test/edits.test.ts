import assert from "node:assert/strict";
import { test } from "node:test";
import { newVirtualService, rebalanced, resilienceOf, seconds, withFault, withFirstRoute, withResilience, withShares, withSubsets, faultOf } from "../src/lib/edits";
import { choices, sharesOf } from "../src/lib/targets";
import type { Manifest, ServiceView } from "../src/lib/types";

const rule = (): Manifest => ({
  apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: { name: "reviews", namespace: "default" },
  spec: { hosts: ["reviews"], http: [
    { match: [{ uri: { prefix: "/beta" } }], route: [{ destination: { host: "reviews", subset: "v2" } }] },
    { timeout: "2s", route: [
      { destination: { host: "reviews", subset: "v1", port: { number: 9080 } }, weight: 90, headers: { request: { set: { a: "b" } } } },
      { destination: { host: "reviews", subset: "v2" }, weight: 10 },
    ] },
  ] },
});

test("moving one weight leaves the sum at 100, the others in proportion", () => {
  assert.deepEqual(rebalanced([100, 0], 1, 30), [70, 30]);
  assert.deepEqual(rebalanced([60, 30, 10], 2, 40), [40, 20, 40]);
  assert.deepEqual(rebalanced([0, 0, 100], 2, 50), [25, 25, 50]);
  assert.deepEqual(rebalanced([50, 50], 0, 250), [100, 0]);
  assert.deepEqual(rebalanced([100], 0, 10), [100]);
});

test("whatever is moved, weights are whole, not negative, and 100 together", () => {
  let seed = 3;
  const next = (below: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 2000; round++) {
    let weights = Array.from({ length: 2 + next(4) }, () => next(101));
    const moved = next(weights.length), to = next(101);
    weights = rebalanced(weights, moved, to);
    assert.equal(weights[moved], to);
    assert.equal(weights.reduce((sum, each) => sum + each), 100);
    assert.ok(weights.every((each) => each >= 0 && Number.isInteger(each)), String(weights));
  }
});

test("new shares keep what else a destination says, and the other routes", () => {
  const changed = withShares(rule(), 1, [{ host: "reviews", subset: "v1", weight: 20 }, { host: "reviews", subset: "v2", weight: 70 }, { host: "reviews", subset: "v3", weight: 10 }]);
  const [first, second] = changed.spec.http;
  assert.deepEqual(first, rule().spec.http[0]);
  assert.equal(second.timeout, "2s");
  assert.deepEqual(second.route[0], { destination: { host: "reviews", subset: "v1", port: { number: 9080 } }, weight: 20, headers: { request: { set: { a: "b" } } } });
  assert.deepEqual(second.route.map((each: any) => each.weight), [20, 70, 10]);
});

test("a share of nothing does not bring a destination in, and one that was there stays", () => {
  const changed = withShares(rule(), 1, [{ host: "reviews", subset: "v1", weight: 100 }, { host: "reviews", subset: "v2", weight: 0 }, { host: "reviews", subset: "v3", weight: 0 }]);
  assert.deepEqual(changed.spec.http[1].route.map((each: any) => [each.destination.subset, each.weight]), [["v1", 100], ["v2", 0]]);
});

test("the wizards change no manifest that they are given", () => {
  const given = rule(), copy = JSON.stringify(given);
  withShares(given, 1, [{ host: "reviews", subset: "v1", weight: 1 }, { host: "reviews", subset: "v2", weight: 99 }]);
  withFault(given, 1, { delay: 1, delayShare: 1, abort: 503, abortShare: 1 });
  withResilience(given, 1, { timeout: "", attempts: "1", perTry: "", on: "" });
  withFirstRoute(given, [{ on: "path", how: "exact", name: "", value: "/" }], { host: "x", subset: "" });
  assert.equal(JSON.stringify(given), copy);
});

test("subsets are added for versions that have none", () => {
  const made = withSubsets(null, "reviews", "default", "reviews", ["v1", "v2"]);
  assert.equal(made.kind, "DestinationRule");
  assert.deepEqual(made.spec.subsets, [{ name: "v1", labels: { version: "v1" } }, { name: "v2", labels: { version: "v2" } }]);
  const more = withSubsets({ ...made, spec: { host: "reviews", subsets: [{ name: "one", labels: { version: "v1" } }] } }, "", "", "", ["v1", "v3"]);
  assert.deepEqual(more.spec.subsets.map((each: any) => each.name), ["one", "v3"]);
});

test("requests that fit go first, and conditions without a value are left out", () => {
  const changed = withFirstRoute(rule(), [
    { on: "header", how: "exact", name: "end-user", value: "jason" },
    { on: "path", how: "prefix", name: "", value: "/api" },
    { on: "query", how: "exact", name: "", value: "x" },
  ], { host: "reviews", subset: "v3" });
  assert.equal(changed.spec.http.length, 3);
  assert.deepEqual(changed.spec.http[0], {
    match: [{ headers: { "end-user": { exact: "jason" } }, uri: { prefix: "/api" } }],
    route: [{ destination: { host: "reviews", subset: "v3" } }],
  });
});

test("faults are written and read back, and nothing is left of none", () => {
  const fault = { delay: 2.5, delayShare: 50, abort: 503, abortShare: 10 };
  const changed = withFault(rule(), 0, fault);
  assert.deepEqual(faultOf(changed.spec.http[0]), fault);
  assert.ok(!("fault" in withFault(changed, 0, { ...fault, delay: 0, abort: 0 }).spec.http[0]));
});

test("timeouts and retries are written and read back, and empty ones go", () => {
  const values = { timeout: "3s", attempts: "0", perTry: "500ms", on: "5xx" };
  const changed = withResilience(rule(), 1, values);
  assert.deepEqual(resilienceOf(changed.spec.http[1]), values);
  const none = withResilience(changed, 1, { timeout: "", attempts: "", perTry: "", on: "" }).spec.http[1];
  assert.ok(!("timeout" in none) && !("retries" in none));
});

test("durations in seconds", () => {
  assert.deepEqual(["1.5s", "200ms", "1m30s", "", undefined].map(seconds), [1.5, 0.2, 90, 0, 0]);
});

const service = (subsets: string[], versions: string[]): ServiceView => ({
  summary: { host: "reviews.default.svc.cluster.local", namespace: "default", name: "reviews", source: { group: "", kind: "Service", namespace: "default", name: "reviews" }, ports: [], healthy: 3, endpoints: 3, rules: [], versions },
  seenFrom: "default", tables: [], endpoints: [], policies: [], findings: [], mutualTls: {},
  subsets: subsets.map((name) => ({ name, labels: { version: name }, healthy: 1, endpoints: 1, rule: null, field: "" })),
});

test("what a rule uses comes first with its shares, then the subsets that it does not use", () => {
  assert.deepEqual(sharesOf(service(["v1", "v2", "v3"], ["v1", "v2", "v3"]), rule(), 1).map((each) => [each.subset, each.weight]),
    [["v1", 90], ["v2", 10], ["v3", 0]]);
});

test("a route to the whole service becomes one to its versions, by their endpoints", () => {
  const whole = newVirtualService("reviews", "default", "reviews");
  assert.deepEqual(sharesOf(service([], ["v1", "v2", "v3"]), whole, 0).map((each) => [each.subset, each.weight]),
    [["v1", 34], ["v2", 33], ["v3", 33]]);
  const uneven = service(["v1", "v2"], ["v1", "v2"]);
  uneven.subsets[0]!.endpoints = 3;
  assert.deepEqual(sharesOf(uneven, whole, 0).map((each) => each.weight), [75, 25]);
  assert.equal(sharesOf(service([], ["v1"]), whole, 0).length, 1);
});

test("versions with a subset of another name are offered by that name only", () => {
  const named = service([], ["v1", "v2"]);
  named.subsets.push({ name: "stable", labels: { version: "v1" }, healthy: 1, endpoints: 1, rule: null, field: "" });
  assert.deepEqual(choices(named), ["stable", "v2"]);
});
