import { describe, expect, test } from "vitest";
import type { DeviceRow } from "../ipc";
import { applyDevices, applyPage, beginReading, emptyTable, endReading } from "./device-table";

const row = (deviceId: string, more: Partial<DeviceRow> = {}): DeviceRow => ({
  deviceId,
  enabled: true,
  connected: false,
  connectionChangedAt: null,
  lastActivityAt: null,
  firmwareStatus: null,
  simulated: null,
  fleet: null,
  model: null,
  version: 1,
  ...more,
});
const upsert = (...rows: DeviceRow[]) => ({ upserts: rows, removed: [], total: rows.length });

describe("the device table", () => {
  test("keeps its ids sorted however devices arrive", () => {
    let table = applyDevices(emptyTable(), upsert(row("m"), row("c")));
    table = applyDevices(table, upsert(row("a"), row("z"), row("d")));
    expect(table.ids).toEqual(["a", "c", "d", "m", "z"]);
  });
  test("keeps the same id array when only values changed", () => {
    const before = applyDevices(emptyTable(), upsert(row("a"), row("b")));
    const after = applyDevices(before, upsert(row("a", { connected: true })));
    expect(after.ids).toBe(before.ids);
    expect(after).not.toBe(before);
  });
  test("counts connected devices as they come, change and go", () => {
    let table = applyDevices(emptyTable(), upsert(row("a", { connected: true }), row("b")));
    expect(table.connected).toBe(1);
    table = applyDevices(table, upsert(row("b", { connected: true }), row("a", { connected: true })));
    expect(table.connected).toBe(2);
    table = applyDevices(table, { upserts: [], removed: ["a"], total: 1 });
    expect(table.connected).toBe(1);
    expect(table.ids).toEqual(["b"]);
  });
  test("lets an event win over a page that was read before it", () => {
    let table = beginReading(emptyTable());
    table = applyDevices(table, { ...upsert(row("a", { firmwareStatus: "completed" })), total: 2 });
    table = applyPage(table, { rows: [row("a", { firmwareStatus: "applying" }), row("b")], total: 2 });
    table = endReading(table);
    expect(table.rows.get("a")?.firmwareStatus).toBe("completed");
    expect(table.ids).toEqual(["a", "b"]);
  });
  test("does not bring back a device that was removed while the pages were read", () => {
    let table = beginReading(applyDevices(emptyTable(), upsert(row("a"), row("b"))));
    table = applyDevices(table, { upserts: [], removed: ["a"], total: 1 });
    table = applyPage(table, { rows: [row("a"), row("b")], total: 2 });
    expect(endReading(table).ids).toEqual(["b"]);
  });
  test("drops what a complete reading no longer shows, and keeps what was just created", () => {
    let table = beginReading(applyDevices(emptyTable(), upsert(row("gone"), row("stays"))));
    table = applyPage(table, { rows: [row("stays")], total: 1 });
    table = applyDevices(table, { ...upsert(row("new")), total: 2 });
    expect(endReading(table).ids).toEqual(["new", "stays"]);
  });
  test("takes 100 000 devices in pages and updates one of them at once", () => {
    let table = beginReading(emptyTable());
    for (let start = 0; start < 100_000; start += 5000) {
      const rows = Array.from({ length: 5000 }, (_, i) => row(`d${String(start + i).padStart(6, "0")}`));
      table = applyPage(table, { rows, total: 100_000 });
    }
    table = endReading(table);
    const started = performance.now();
    for (let i = 0; i < 1000; i += 1) table = applyDevices(table, { ...upsert(row("d050000", { version: i })), total: 100_000 });
    expect(performance.now() - started).toBeLessThan(500);
    expect(table.ids).toHaveLength(100_000);
  });
});
