import { expect, test } from "vitest";
import { isBustling, noteChanges } from "./bustle";

test("a few changes a second are marked, a flood is not, and calm returns", () => {
  noteChanges(30, 10_000);
  expect(isBustling(10_000)).toBe(false);
  noteChanges(30, 10_100);
  expect(isBustling(10_150)).toBe(true);
  expect(isBustling(11_200)).toBe(false);
  noteChanges(30, 11_300);
  expect(isBustling(11_300)).toBe(false);
});
