import assert from "node:assert/strict";
import { test } from "node:test";
import { areaPath, clustered, linePath, placeOf, roundTop } from "../src/lib/chart";
import { milliseconds, rate } from "../src/lib/words";

test("the top of an axis is round and not below the highest value", () => {
  assert.deepEqual([[0.3], [1], [1.2], [4.9], [5], [5.1], [73], [240], []].map(roundTop), [0.5, 1, 2, 5, 5, 10, 100, 500, 1]);
});

test("a line goes through its points, and stops where there is none", () => {
  assert.equal(linePath([0, 5, 10], 10), "M0 100L50 50L100 0");
  assert.equal(linePath([1, null, 1, 1], 1), "M0 0M66.67 0L100 0");
  assert.equal(linePath([], 1), "");
});

test("an area is closed at the axis", () => {
  assert.equal(areaPath([1, null], 1), "M0 0L100 100L100 100L0 100Z");
});

test("marks are where they happened, and only within the chart", () => {
  assert.deepEqual([placeOf(150, 100, 200), placeOf(99, 100, 200), placeOf(1, 1, 1)], [50, null, null]);
  const mark = (at: number) => ({ at, text: String(at), url: "/" });
  const found = clustered([mark(150), mark(20), mark(150.5), mark(190)], 100, 200);
  assert.deepEqual(found.map(({ place, marks }) => [place, marks.map((each) => each.at)]), [[50, [150, 150.5]], [90, [190]]]);
});

test("rates and times as people read them", () => {
  assert.deepEqual([0.123, 1.25, 42.04, 240.4, 1234].map(rate), ["0.12", "1.3", "42", "240", "1.2k"]);
  assert.deepEqual([0.84, 9.96, 84.2, 1234].map(milliseconds), ["0.8 ms", "10 ms", "84 ms", "1.23 s"]);
});
