import assert from "node:assert/strict";
import { test } from "node:test";
import { optionsAt, type Schema, schemaAt, spotAt } from "../src/lib/complete";

const nullable = (name: string) => ({ anyOf: [{ $ref: `#/$defs/${name}` }, { type: "null" }] });
const SCHEMA: Schema = {
  $ref: "#/$defs/Rule",
  $defs: {
    Rule: { properties: { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: { $ref: "#/$defs/Meta" }, spec: { $ref: "#/$defs/Spec" }, status: {} } },
    Meta: { properties: { name: { type: "string" }, labels: { additionalProperties: { type: "string" } } } },
    Spec: { properties: { hosts: { type: "array", items: { type: "string" } }, http: { type: "array", items: { $ref: "#/$defs/Route" } } } },
    Route: { description: "One route.", properties: { match: { type: "array", items: { $ref: "#/$defs/Match" } }, timeout: { anyOf: [{ type: "string", format: "duration" }, { type: "null" }] }, retry: nullable("Retry"), route: { type: "array", items: { $ref: "#/$defs/Target" } } } },
    Match: { properties: { uri: { type: "string" }, ignoreUriCase: { anyOf: [{ type: "boolean" }, { type: "null" }] } } },
    Retry: { properties: { attempts: { type: "integer" } } },
    Target: { properties: { host: { type: "string" }, mode: { enum: ["A", "B"] } } },
  },
};
const labels = (text: string, known = {}) => {
  const offset = text.indexOf("|");
  const whole = text.replace("|", "");
  return optionsAt(SCHEMA, spotAt(whole, offset), known).map((each) => each.label);
};

test("the fields of the top, without those that are there and the status", () => {
  assert.deepEqual(labels("kind: X\n|"), ["apiVersion", "metadata", "spec"]);
});

test("the fields below a key", () => {
  assert.deepEqual(labels("spec:\n  |"), ["hosts", "http"]);
  assert.deepEqual(labels("metadata:\n  name: a\n  |"), ["labels"]);
});

test("the fields of a list's items, in either way of writing lists", () => {
  assert.deepEqual(labels("spec:\n  http:\n    - |"), ["match", "timeout", "retry", "route"]);
  assert.deepEqual(labels("spec:\n  http:\n  - timeout: 2s\n    ma|"), ["match", "retry", "route"]);
  assert.deepEqual(labels("spec:\n  http:\n  - match:\n    - uri: /\n      |"), ["ignoreUriCase"]);
});

test("another item begins anew", () => {
  assert.deepEqual(labels("spec:\n  http:\n  - timeout: 2s\n  - t|"), ["match", "timeout", "retry", "route"]);
});

test("through what may be null", () => {
  assert.deepEqual(labels("spec:\n  http:\n  - retry:\n      |"), ["attempts"]);
});

test("values: of enumerations, yes or no, and names of the mesh", () => {
  assert.deepEqual(labels("spec:\n  http:\n  - route:\n    - mode: |"), ["A", "B"]);
  assert.deepEqual(labels("spec:\n  http:\n  - match:\n    - ignoreUriCase: |"), ["true", "false"]);
  assert.deepEqual(labels("spec:\n  http:\n  - route:\n    - host: re|", { host: ["reviews"] }), ["reviews"]);
  assert.deepEqual(labels("spec:\n  hosts:\n  - |", { hosts: ["reviews"] }), ["reviews"]);
});

test("nothing is offered where nothing is known", () => {
  assert.deepEqual(labels("spec:\n  other:\n    |"), []);
  assert.equal(schemaAt(SCHEMA, ["spec", "other", "x"]), null);
});

test("what is nested is applied without a space, and says what it is", () => {
  const options = optionsAt(SCHEMA, spotAt("spec:\n  http:\n  - ", 18));
  assert.deepEqual(options.map((each) => [each.apply, each.detail]), [
    ["match:", "list of object"], ["timeout: ", "duration"], ["retry:", "object"], ["route:", "list of object"],
  ]);
});
