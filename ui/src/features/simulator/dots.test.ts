import { expect, test } from "vitest";
import { dotAt, layoutDots, moveDot, placesOf } from "./dots";

test("ten thousand devices find room, and every dot is found where it stands", () => {
  const layout = layoutDots(10_000, 840);
  expect(layout.columns).toBe(60);
  for (const place of [0, 59, 60, 9_999]) {
    const x = (place % layout.columns) * layout.cell + 1;
    const y = Math.floor(place / layout.columns) * layout.cell + 1;
    expect(dotAt(layout, x, y)).toBe(place);
  }
});

test("beside the dots there is nothing", () => {
  const layout = layoutDots(5, 150);
  expect(layout.columns).toBe(4);
  expect(dotAt(layout, 149, 1)).toBeNull();
  expect(dotAt(layout, 40, 40)).toBeNull();
});

test("the arrows stay in the grid", () => {
  const layout = layoutDots(10, 150);
  const go = (place: number, key: string, mod = false) => moveDot(layout, place, key, mod, 1);
  expect(go(0, "ArrowLeft")).toBe(0);
  expect(go(0, "ArrowUp")).toBe(0);
  expect(go(1, "ArrowDown")).toBe(5);
  expect(go(7, "ArrowDown")).toBe(7);
  expect(go(5, "Home")).toBe(4);
  expect(go(5, "End")).toBe(7);
  expect(go(5, "End", true)).toBe(9);
  expect(go(9, "PageDown")).toBe(9);
  expect(go(5, "x")).toBeNull();
});

test("only devices in a state are placed when asked for it", () => {
  expect(placesOf(["connected", "waiting", "connected"], "connected")).toEqual([0, 2]);
  expect(placesOf(["connected"], null)).toBeNull();
});
