import { expect, test } from "vitest";
import { formatAgo, formatBytes, formatDuration, isNever } from "./format";

test("an event that seems to come from the future happened now", () => {
  expect(formatAgo(10_000, 3_000)).toBe("now");
  expect(formatAgo(0, 180_000)).toBe("3 min. ago");
});
test("durations are short enough for a cell", () => {
  expect([340, 4200, 65_000, 3_700_000].map(formatDuration)).toEqual(["340ms", "4.2s", "1m 5s", "1h 1m"]);
});
test("sizes are told in the unit that fits", () => {
  expect(formatBytes(64)).toBe("64 bytes");
  expect(formatBytes(7 * 1024 * 1024)).toBe("7 MB");
});
test("the year one is how a hub says never", () => {
  expect(isNever("0001-01-01T00:00:00Z")).toBe(true);
  expect(isNever("2026-11-21T00:00:00Z")).toBe(false);
});
