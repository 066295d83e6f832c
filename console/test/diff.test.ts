import assert from "node:assert/strict";
import { test } from "node:test";
import { diffLines, hunks } from "../src/lib/diff";

const marks = (before: string, after: string) => diffLines(before, after).map((line) => line.mark + line.text);

test("equal texts differ in nothing", () => {
  assert.deepEqual(marks("a\nb\n", "a\nb\n"), [" a", " b"]);
});

test("a changed line goes and comes at its place", () => {
  assert.deepEqual(marks("a\nb\nc\n", "a\nB\nc\n"), [" a", "-b", "+B", " c"]);
});

test("everything is new against nothing", () => {
  assert.deepEqual(marks("", "a\nb\n"), ["+a", "+b"]);
  assert.deepEqual(marks("a\nb\n", ""), ["-a", "-b"]);
});

test("lines have the numbers of their texts", () => {
  const [, removed, added, last] = diffLines("a\nb\nc\n", "a\nB\nc\n");
  assert.deepEqual([removed!.old, removed!.new, added!.old, added!.new], [2, 0, 0, 2]);
  assert.deepEqual([last!.old, last!.new], [3, 3]);
});

test("any two texts: both can be read from their difference", () => {
  let seed = 7;
  const next = (below: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 300; round++) {
    const text = () => Array.from({ length: next(12) }, () => "abcd"[next(4)] + "\n").join("");
    const before = text(), after = text();
    const diff = diffLines(before, after);
    const side = (mark: string) => diff.filter((line) => line.mark !== mark).map((line) => line.text + "\n").join("");
    assert.equal(side("+"), before);
    assert.equal(side("-"), after);
  }
});

test("only what is near a change is shown", () => {
  const before = Array.from({ length: 20 }, (_, place) => `line ${place}\n`).join("");
  const shown = hunks(diffLines(before, before.replace("line 10", "other")), 1);
  assert.deepEqual(shown.map((line) => line?.text ?? null), [null, "line 9", "line 10", "other", "line 11", null]);
});
