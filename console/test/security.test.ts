import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING } from "../src/lib/graph/model";
import { type Authority, coverageOf, modesOf, phaseWords, targetOf } from "../src/lib/security";
import type { Manifest, TrafficEdge, TrafficGraph, TrafficNode } from "../src/lib/types";

test("targets are read", () => {
  assert.deepEqual(targetOf("reviews.default.svc.cluster.local:9080"), { host: "reviews.default.svc.cluster.local", port: "9080", name: "reviews", namespace: "default" });
  assert.deepEqual(targetOf("api.example.com:443"), { host: "api.example.com", port: "443", name: "api.example.com", namespace: "" });
});

const peer = (name: string, namespace: string, spec: unknown): Manifest => ({ apiVersion: "security.istio.io/v1", kind: "PeerAuthentication", metadata: { name, namespace }, spec });

test("what is demanded of the mesh comes before namespaces and workloads", () => {
  const found = modesOf([
    peer("one", "shop", { selector: { matchLabels: { app: "a" } }, portLevelMtls: { "80": { mode: "DISABLE" } } }),
    peer("default", "shop", { mtls: { mode: "STRICT" } }), peer("default", "mesh-root", { mtls: { mode: "PERMISSIVE" } })], "mesh-root");
  assert.deepEqual(found.map(({ scope, mode, ports }) => [scope, mode, ports]), [
    ["the whole mesh", "PERMISSIVE", []], ["namespace shop", "STRICT", []], ["workloads app=a in shop", "UNSET", [["80", "DISABLE"]]]]);
});

test("services that are asked in plaintext come first, with who asks so", () => {
  const node = (id: string, kind: TrafficNode["kind"], mutualTls: number | null): TrafficNode =>
    ({ id, kind, namespace: "", name: id, version: "", service: "", inbound: { ...NOTHING, requests: 1, mutualTls }, outbound: NOTHING });
  const edge = (source: string, service: string, mutualTls: number): TrafficEdge =>
    ({ source, service, destination: "", version: "", protocol: "http", reporter: "", traffic: { ...NOTHING, mutualTls } });
  const graph: TrafficGraph = {
    window: 1, until: "", total: NOTHING, proxies: 1, mostEdges: 1, crowds: [],
    nodes: [node("a", "service", 1), node("b", "service", 0.5), node("c", "service", null), node("w", "workload", 1), node("unknown", "unknown", null)],
    edges: [edge("w", "a", 1), edge("w", "b", 1), edge("unknown", "b", 0)],
  };
  assert.deepEqual(coverageOf(graph).map(({ id, plain }) => [id, plain]), [["b", ["outside the mesh"]], ["a", []]]);
});

test("a change of roots says how far it is", () => {
  const certificate = { subject: "", fingerprint: "", key: "", expires: "", secondsLeft: 1 };
  const authority: Authority = { trustDomain: "", root: certificate, signing: certificate, trusted: [], trustDomainAliases: [], pluggedIn: false, phase: "", waiting: [], followed: 7, problem: "" };
  assert.match(phaseWords(authority), /No change/);
  assert.match(phaseWords({ ...authority, phase: "trust", waiting: ["a"] }), /trusted everywhere.*1 of 8 proxies/);
  assert.match(phaseWords({ ...authority, phase: "sign" }), /signed by the new root/);
});
