import assert from "node:assert/strict";
import { test } from "node:test";
import { causeText, causeUrl } from "../src/lib/causes";
import { splitEvents } from "../src/lib/events";
import { ranked } from "../src/lib/ranked";
import { objectUrl, proxyUrl, serviceUrl, withQuery } from "../src/lib/router";
import { age, bytes, count, percent, shortHost, span } from "../src/lib/words";
import { fieldPath, lineOf, manifestText, parsed, toYaml } from "../src/lib/yaml";

const TEXT = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  labels:
    app.kubernetes.io/name: web
spec:
  http:
    - match:
        - uri:
            prefix: /beta
      route:
        - destination:
            host: reviews
          weight: 90
        - destination:
            host: other
`;

test("field paths are read as the mesh writes them", () => {
  assert.deepEqual(fieldPath("spec.http[0].route[1].weight"), ["spec", "http", 0, "route", 1, "weight"]);
  assert.deepEqual(fieldPath('metadata.labels["app.kubernetes.io/name"]'), ["metadata", "labels", "app.kubernetes.io/name"]);
  assert.deepEqual(fieldPath(""), []);
});

test("a field is found at its line, and one that is not there at its parent's", () => {
  for (const [field, line] of [
    ["spec", 7], ["spec.http[0]", 9], ["spec.http[0].match[0].uri", 10], ["spec.http[0].route[0].weight", 15],
    ["spec.http[0].route[1].destination.host", 17], ["spec.http[0].route[1].weight", 16], ["spec.http[7]", 8],
    ['metadata.labels["app.kubernetes.io/name"]', 6],
  ] as const) assert.equal(lineOf(TEXT, field), line, field);
});

test("a manifest is written without what the store adds, in the order of people", () => {
  const text = manifestText({
    kind: "VirtualService", status: { a: 1 }, spec: { hosts: ["a"] }, apiVersion: "v1",
    metadata: { name: "a", uid: "x", resourceVersion: "7", generation: 2, creationTimestamp: "t" },
  });
  assert.equal(text, "apiVersion: v1\nkind: VirtualService\nmetadata:\n  name: a\nspec:\n  hosts:\n    - a\n");
  assert.deepEqual(parsed(text)?.spec, { hosts: ["a"] });
});

test("long texts are not folded, and equal parts are written out", () => {
  const same = { host: "a".repeat(200) };
  const text = toYaml({ one: same, two: same });
  assert.ok(!text.includes("&") && text.split("\n").length === 5);
});

test("texts that Kubernetes would take for something else are quoted", () => {
  const values = { a: "yes", b: "on", c: "1:30", d: "012", e: "true", f: "null", g: "1e3", h: "plain" };
  const text = toYaml(values);
  assert.equal(text.split("\n").filter((line) => line.includes('"')).length, 7);
  assert.deepEqual(parsed(text), values);
});

test("what is no object is none", () => {
  for (const text of ["", "- a", "a: [", "just words"]) assert.ok(!parsed(text)?.metadata, text);
});

test("events are taken as they come, also in pieces", () => {
  const [events, rest] = splitEvents(': still here\n\nevent: objects\ndata: {"a":1}\n\nevent: proxies\nda');
  assert.deepEqual(events, [{ name: "objects", data: '{"a":1}' }]);
  const [more] = splitEvents(`${rest}ta: {}\r\n\r\n`);
  assert.deepEqual(more, [{ name: "proxies", data: "{}" }]);
});

test("the best place comes first", () => {
  const places = ["reviews-v1", "reviews", "my-reviews", "details"].map((name) => ({ name, kind: "service", url: `/${name}` }));
  assert.deepEqual(ranked(places, "reviews").map((each) => each.name), ["reviews", "reviews-v1", "my-reviews"]);
  assert.deepEqual(ranked(places, "det service").map((each) => each.name), ["details"]);
  assert.equal(ranked(places, "").length, 4);
  assert.equal(ranked(places, "nothing").length, 0);
});

test("every name can be in an address", () => {
  assert.equal(objectUrl({ group: "", kind: "Namespace", namespace: "", name: "a/b" }, { at: "spec.http[0]" }), "/configuration/core/Namespace/_/a%2Fb?at=spec.http%5B0%5D");
  assert.equal(serviceUrl("default", "*.example.com", "shift"), "/services/default/*.example.com/shift");
  assert.equal(proxyUrl("sidecar~10.0.0.1~a.b~c"), "/proxies/sidecar~10.0.0.1~a.b~c");
  assert.equal(withQuery("/a", "?x=1&y=2", { x: "", z: "3" }), "/a?y=2&z=3");
});

test("numbers as people read them", () => {
  assert.equal(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T03:00:00Z")), "3h");
  assert.equal(age(undefined), "–");
  assert.deepEqual([45, 119, 120, 7199, 7200, 172800].map(span), ["45s", "119s", "2m", "119m", "2h", "2d"]);
  assert.deepEqual([12, 2048, 3145728].map(bytes), ["12 B", "2.0 KB", "3.0 MB"]);
  assert.deepEqual([percent(33.333), percent(90)], ["33.3 %", "90 %"]);
  assert.deepEqual([count(1, "pod"), count(2, "pod")], ["1 pod", "2 pods"]);
  assert.equal(shortHost("reviews.default.svc.cluster.local"), "reviews");
  assert.equal(shortHost("api.example.com"), "api.example.com");
});

test("each thing that is wrong leads to its cause", () => {
  const nothing = { severity: "error", problem: "", hint: "", object: null, field: "", proxy: "", service: "", view: "" } as const;
  const policy = { group: "security.istio.io", kind: "AuthorizationPolicy", namespace: "default", name: "nobody" };
  for (const [of, url, text] of [
    [{ object: policy, field: "spec.rules[0]" }, "/configuration/security.istio.io/AuthorizationPolicy/default/nobody?at=spec.rules%5B0%5D", "AuthorizationPolicy default/nobody · spec.rules[0]"],
    [{ object: { group: "", kind: "Pod", namespace: "a", name: "b" } }, "/configuration/core/Pod/a/b?tab=status", "Pod a/b"],
    [{ service: "a/b.a.svc" }, "/services/a/b.a.svc", "service b.a.svc"],
    [{ proxy: "sidecar~1~b.a~x" }, "/proxies/sidecar~1~b.a~x", "proxy b.a"],
    [{ proxy: "*" }, "/proxies", "all proxies"],
    [{ view: "authority" }, "/security?tab=certificates", "certificate authority"],
    [{}, "/configuration", ""],
  ] as const) {
    assert.equal(causeUrl({ ...nothing, ...of }), url);
    assert.equal(causeText({ ...nothing, ...of }), text);
  }
});
