import { describe, expect, test } from "vitest";
import { applyPatch, deepEqual, diffToPatch } from "./json-patch";
import { choiceKey, type Choices, collisions, compare, type Difference, merge, type Side } from "./three-way";
import { someSections } from "./some-json";

const all = (differences: Difference[], side: Side): Choices => Object.fromEntries(collisions(differences).map((one) => [choiceKey(one), side]));
const lines = (differences: Difference[]) => differences.map(({ path, by }) => `${path.join(".")} ${by}`);

describe("comparing three values", () => {
  test("tells whose each change is, leaf by leaf", () => {
    const base = { interval: 5, mode: "a", led: { on: true, colour: "red" }, old: 1 };
    const theirs = { interval: 5, mode: "b", led: { on: true, colour: "blue" }, extra: 1 };
    const mine = { interval: 10, mode: "c", led: { on: false, colour: "blue" }, old: 1 };
    expect(lines(compare(base, theirs, mine))).toEqual(["interval mine", "mode collision", "led.on mine", "led.colour both", "old theirs", "extra theirs"]);
  });
  test("a removed object collides with a change inside it, as a whole", () => {
    expect(lines(compare({ led: { on: true } }, { led: { on: false } }, {}))).toEqual(["led collision"]);
    expect(lines(compare({ led: { on: true } }, {}, { led: { on: false } }))).toEqual(["led collision"]);
  });
  test("a removed object that nobody else touched is just removed", () => {
    expect(lines(compare({ led: { on: true } }, { led: { on: true }, a: 1 }, {}))).toEqual(["led mine", "a theirs"]);
  });
  test("arrays are values", () => {
    expect(lines(compare({ list: [1] }, { list: [1, 2] }, { list: [0, 1] }))).toEqual(["list collision"]);
  });
  test("two objects where neither was are put together", () => {
    expect(lines(compare({}, { a: { b: 1, c: 1 } }, { a: { b: 1, d: 2 } }))).toEqual(["a.b both", "a.c theirs", "a.d mine"]);
  });
});

describe("merging", () => {
  const base = { interval: 5, mode: "a" };
  const theirs = { interval: 7, mode: "b" };
  const mine = { interval: 10, mode: "a", floor: 3 };
  const differences = compare(base, theirs, mine);
  const [collision] = collisions(differences);
  test("waits until every collision is chosen", () => {
    expect(merge(theirs, differences, {})).toBeNull();
    expect(collision?.path).toEqual(["interval"]);
  });
  test("takes what was chosen, and what does not collide by itself", () => {
    expect(merge(theirs, differences, all(differences, "mine"))).toEqual({ interval: 10, mode: "b", floor: 3 });
    expect(merge(theirs, differences, all(differences, "theirs"))).toEqual({ interval: 7, mode: "b", floor: 3 });
  });
  test("asks again when theirs has changed once more", () => {
    const later = compare(base, { interval: 8, mode: "b" }, mine);
    expect(merge({ interval: 8, mode: "b" }, later, all(differences, "mine"))).toBeNull();
  });
  test("a property that I removed and they left alone is removed", () => {
    expect(merge({ a: { b: 1, c: 2 } }, compare({ a: { b: 1 } }, { a: { b: 1, c: 2 } }, { a: {} }), {})).toEqual({ a: { c: 2 } });
  });
});

test("whatever three people may have: nothing of mine is lost, nothing of theirs is undone, and both sides mirror each other", () => {
  for (const [base = {}, theirs = {}, mine = {}] of someSections(3000, 3)) {
    const differences = compare(base, theirs, mine);
    const taken = merge(theirs, differences, all(differences, "mine")) ?? expect.fail("all collisions are chosen");
    const left = merge(theirs, differences, all(differences, "theirs")) ?? expect.fail("all collisions are chosen");
    // Seen from the other side it is the same.
    const mirrored = compare(base, mine, theirs);
    expect(deepEqual(merge(mine, mirrored, all(mirrored, "theirs")), taken)).toBe(true);
    // Only what I changed, or chose, differs from theirs; with theirs chosen only what nobody else touched.
    const patch = diffToPatch(theirs, taken);
    expect(deepEqual(applyPatch(theirs, patch ?? {}), taken)).toBe(true);
    if (collisions(differences).length === 0) expect(deepEqual(taken, left)).toBe(true);
    if (deepEqual(base, theirs)) expect(deepEqual(taken, mine)).toBe(true);
    if (deepEqual(base, mine)) expect(deepEqual(taken, theirs)).toBe(true);
    // Merged with mine, nothing of mine is left to merge.
    expect(compare(base, taken, mine).filter(({ by }) => by === "mine" || by === "collision")).toEqual([]);
  }
});
