import { describe, expect, test } from "vitest";
import type { HistoryEntry, HistoryPage } from "../ipc";
import { noteHistory, withNewest, withOlder } from "./history";

const entry = (id: number): HistoryEntry => ({ kind: "update", id, at: "2026-11-21T10:00:00Z", stage: "completed", packageName: "fw", reason: null });
const page = (ids: number[], more: boolean): HistoryPage => ({ entries: ids.map(entry), more });
const ids = ({ entries }: HistoryPage) => entries.map(({ id }) => id);

test("only news of the device that is looked at count", () => {
  expect(noteHistory({ deviceId: "a", news: 1 }, ["b", "a"])).toEqual({ deviceId: "a", news: 2 });
  const looked = { deviceId: "a", news: 1 };
  expect(noteHistory(looked, ["b"])).toBe(looked);
  expect(noteHistory(null, ["a"])).toBeNull();
});

describe("pages of a history", () => {
  test("new entries come on top of those that are known", () => {
    const known = page([5, 4, 3, 2], true);
    expect(withNewest(known, page([7, 6, 5], true))).toEqual(page([7, 6, 5, 4, 3, 2], true));
  });
  test("a gap is not hidden", () => {
    expect(withNewest(page([2, 1], false), page([9, 8, 7], true))).toEqual(page([9, 8, 7], true));
  });
  test("an older page adds only what is not known", () => {
    const next = withOlder(page([6, 5, 4], true), page([5, 4, 3], false));
    expect(ids(next)).toEqual([6, 5, 4, 3]);
    expect(next.more).toBe(false);
  });
});
