import { expect, test } from "vitest";
import { dayStart, filterOf, isFiltered, readFilters, writeFilters } from "./filters";

const none = readFilters(new URLSearchParams());
const now = Date.parse("2026-11-21T10:00:00Z");

test("filters come back from the address they were written to", () => {
  const filters = { ...none, text: "lock door", kind: "invokeMethod" as const, state: "failed" as const, runner: "hub" as const, device: "a+b", range: "week" as const };
  expect(readFilters(new URLSearchParams(writeFilters(filters).toString()))).toEqual(filters);
  expect(isFiltered(filters)).toBe(true);
  expect(isFiltered(none)).toBe(false);
});
test("an address somebody wrote by hand cannot ask for what there is not", () => {
  expect(readFilters(new URLSearchParams("state=gone&kind=dance&runner=me&range=ever"))).toEqual(none);
});
test("an empty filter lets everything through", () => {
  expect(Object.values(filterOf({ ...none, text: "  ", device: " " }, now)).every((value) => value === null)).toBe(true);
});
test("a last week is counted from now", () => {
  expect(filterOf({ ...none, range: "week" }, now).from).toBe("2026-11-14T10:00:00.000Z");
});
test("between two days includes the whole of the last", () => {
  const filter = filterOf({ ...none, range: "between", from: "2026-11-20", until: "2026-11-20" }, now);
  expect(Date.parse(filter.until ?? "") - Date.parse(filter.from ?? "")).toBe(24 * 3_600_000);
});
test("what is no day yet filters nothing", () => {
  for (const text of ["", "2026-11", "2026-02-30", "soon"]) expect(dayStart(text)).toBeNull();
});
