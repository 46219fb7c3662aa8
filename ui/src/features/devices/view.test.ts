import { describe, expect, test } from "vitest";
import type { DeviceRow } from "../../ipc";
import { buildView, countMoved, sortValue } from "./view";

const row = (deviceId: string, connected: boolean, firmwareStatus: string | null): [string, DeviceRow] => [
  deviceId,
  { deviceId, enabled: true, connected, connectionChangedAt: null, lastActivityAt: null, firmwareStatus, simulated: null, fleet: null, model: null, version: 1 },
];
const rows = new Map([row("a1", false, "completed"), row("b1", true, null), row("b2", true, "applying")]);
const ids = [...rows.keys()];

describe("the view of the device list", () => {
  test("finds ids that hold the text, in any case", () => {
    expect(buildView(ids, rows, "B", { key: "id", descending: false })).toEqual(["b1", "b2"]);
  });
  test("is the very same list when nothing is filtered or sorted", () => {
    expect(buildView(ids, rows, " ", { key: "id", descending: false })).toBe(ids);
  });
  test("puts connected devices first, by id among themselves", () => {
    expect(buildView(ids, rows, "", { key: "connection", descending: false })).toEqual(["b1", "b2", "a1"]);
  });
  test("puts devices without a firmware status last", () => {
    expect(buildView(ids, rows, "", { key: "firmware", descending: false })).toEqual(["b2", "a1", "b1"]);
  });
  test("counts the rows that would stand elsewhere if sorted again", () => {
    const values = new Map(ids.map((id) => [id, sortValue(rows.get(id), "connection")]));
    const later = new Map([...rows, row("a1", true, "completed")]);
    expect(countMoved(ids, values, later, "connection")).toBe(1);
  });
});
