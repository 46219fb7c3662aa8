import { expect, test } from "vitest";
import { allState, extend, toggle, toggleAll } from "./selection";

const view = ["a", "b", "c", "d"];

test("a range runs from the anchor in either direction and keeps what was picked before", () => {
  expect([...extend(new Set(["x"]), view, "c", "a")].sort()).toEqual(["a", "b", "c", "x"]);
  expect([...extend(new Set(), view, "b", "d")]).toEqual(["b", "c", "d"]);
});
test("a range without an anchor, or with one that is filtered away, is the row alone", () => {
  expect([...extend(new Set(), view, null, "b")]).toEqual(["b"]);
  expect([...extend(new Set(), view, "gone", "b")]).toEqual(["b"]);
});
test("the header picks all that is shown and lets go of only that", () => {
  const all = toggleAll(new Set(["hidden", "a"]), view);
  expect(allState(all, view)).toBe("all");
  expect([...toggleAll(all, view)]).toEqual(["hidden"]);
});
test("a picked device that the filter hides does not make the header look half full", () => {
  expect(allState(new Set(["hidden"]), view)).toBe("none");
  expect(allState(toggle(new Set(), "a"), view)).toBe("some");
});
