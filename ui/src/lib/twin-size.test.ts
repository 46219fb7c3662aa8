import { expect, test } from "vitest";
import { twinSize } from "./twin-size";

test("sizes count names and values as the hub does", () => {
  expect(twinSize({ ab: "cd", n: 1, t: true, o: { x: [1, "é"] } })).toBe(2 + 2 + 1 + 8 + 1 + 4 + 1 + 1 + 8 + 2);
  expect(twinSize({ a: "line\nbreak" })).toBe(1 + 9);
});
