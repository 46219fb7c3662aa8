import { describe, expect, test } from "vitest";
import type { JsonValue } from "../ipc";
import { applyPatch, changedPaths, deepEqual, diffToPatch, firstNull, isObject, valueAt } from "./json-patch";
import { someSections } from "./some-json";

describe("diffToPatch", () => {
  test("gives nothing when both sides say the same in another order", () => {
    expect(diffToPatch({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2] }, a: 1 })).toBeNull();
  });
  test("turns a removed key into null", () => {
    expect(diffToPatch({ a: 1, b: 2 }, { a: 1 })).toEqual({ b: null });
  });
  test("holds only the nested keys that changed", () => {
    expect(diffToPatch({ o: { a: 1, b: 2, c: { d: 3 } } }, { o: { a: 1, b: 9, c: { d: 3 } } })).toEqual({ o: { b: 9 } });
  });
  test("replaces an array whole", () => {
    expect(diffToPatch({ list: [1, 2] }, { list: [1, 2, 3] })).toEqual({ list: [1, 2, 3] });
  });
  test("replaces a value by an object and an object by a value", () => {
    expect(diffToPatch({ a: 1 }, { a: { b: 2 } })).toEqual({ a: { b: 2 } });
    expect(diffToPatch({ a: { b: 2 } }, { a: 1 })).toEqual({ a: 1 });
  });
  test("is not fooled by keys that every object inherits", () => {
    expect(diffToPatch({}, { constructor: 1 })).toEqual({ constructor: 1 });
  });
  test("applied to the old value gives the new one", () => {
    const before = { a: 1, b: { c: 2, d: [1], e: { f: true } }, g: "x" };
    const after = { a: 2, b: { d: [], e: { f: true, h: "new" } }, i: { j: 0 } };
    expect(applyPatch(before, diffToPatch(before, after) ?? {})).toEqual(after);
  });
});

/** Each of the patch's leaves, as a patch of its own. */
const leaves = (patch: JsonValue): JsonValue[] =>
  isObject(patch) && Object.keys(patch).length > 0
    ? Object.entries(patch).flatMap(([key, value]) => leaves(value).map((leaf) => Object.fromEntries([[key, leaf]])))
    : [patch];

test("whatever the two values: the patch makes one of the other, and has no line too many", () => {
  for (const [before = {}, after = {}] of someSections(3000, 2)) {
    const patch = diffToPatch(before, after);
    expect(deepEqual(applyPatch(before, patch ?? {}), after)).toBe(true);
    expect(patch === null).toBe(deepEqual(before, after));
    for (const leaf of leaves(patch ?? {}).slice(patch === null ? 1 : 0)) {
      expect(deepEqual(applyPatch(before, leaf), before), `${JSON.stringify(leaf)} says what is so already`).toBe(false);
    }
  }
});
test("a property called __proto__ is one like any other", () => {
  const odd = JSON.parse('{"__proto__":{"a":1}}') as JsonValue;
  expect(JSON.stringify(diffToPatch({}, odd))).toBe('{"__proto__":{"a":1}}');
  expect(JSON.stringify(diffToPatch(odd, {}))).toBe('{"__proto__":null}');
});

describe("changedPaths", () => {
  test("names leaves that were added, removed and changed", () => {
    expect(changedPaths({ a: 1, b: { c: 1, d: 1 } }, { b: { c: 2, d: 1 }, e: 3 })).toEqual(["a", "b.c", "e"]);
  });
  test("is empty for equal values", () => {
    expect(changedPaths({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toEqual([]);
  });
  test("names the whole when an object became a value", () => {
    expect(changedPaths({ a: { b: 1 } }, { a: 5 })).toEqual(["a"]);
  });
});

test("equality sees a missing key even when the counts agree", () => {
  expect(deepEqual({ a: 1, b: 2 }, { a: 1, c: 2 })).toBe(false);
});
test("the first null is found by its path", () => {
  expect(firstNull({ a: 1, b: { c: null } })).toBe("b.c");
  expect(firstNull({ a: [null] })).toBeNull();
});
test("a value is found by its dotted path", () => {
  expect(valueAt({ a: { b: 3 } }, "a.b")).toBe(3);
  expect(valueAt({ a: 1 }, "a.b")).toBeUndefined();
});
