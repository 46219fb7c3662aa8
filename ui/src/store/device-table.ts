import type { AppError, DevicePage, DeviceRow } from "../ipc";

/**
 * The devices of the open hub. The wrapper is a new object after every change, so that React sees
 * it; the map inside is one and the same and changed in place, because copying 100 000 entries
 * twenty times a second is what makes a list stutter. Rows themselves never change.
 */
export type DeviceTable = {
  rows: Map<string, DeviceRow>;
  /** Sorted; a new array only when devices come or go. */
  ids: string[];
  connected: number;
  /** The number on the hub, which may be more than what is loaded. */
  total: number;
  loading: boolean;
  error: AppError | null;
  /** Ids that events told about while pages are read: those rows are newer than any page. */
  touched: Set<string> | null;
  /** Ids seen in pages, to find out at the end what is gone. */
  seen: Set<string> | null;
};

export const emptyTable = (): DeviceTable => ({
  rows: new Map(),
  ids: [],
  connected: 0,
  total: 0,
  loading: false,
  error: null,
  touched: null,
  seen: null,
});

const byId = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function mergeIds(ids: string[], added: string[]): string[] {
  if (added.length === 0) return ids;
  added.sort(byId);
  const first = added[0] ?? "";
  const last = ids.at(-1);
  if (last === undefined || last < first) return ids.concat(added);
  const merged: string[] = [];
  let next = 0;
  for (const id of ids) {
    for (let candidate = added[next]; candidate !== undefined && candidate < id; candidate = added[next]) {
      merged.push(candidate);
      next += 1;
    }
    merged.push(id);
  }
  for (; next < added.length; next += 1) merged.push(added[next] as string);
  return merged;
}

function put(table: DeviceTable, rows: DeviceRow[], skip: Set<string> | null): DeviceTable {
  const added: string[] = [];
  let connected = table.connected;
  for (const row of rows) {
    if (skip?.has(row.deviceId)) continue;
    const old = table.rows.get(row.deviceId);
    if (!old) added.push(row.deviceId);
    if (old?.connected) connected -= 1;
    if (row.connected) connected += 1;
    table.rows.set(row.deviceId, row);
  }
  return { ...table, ids: mergeIds(table.ids, added), connected };
}

function drop(table: DeviceTable, gone: Set<string>): DeviceTable {
  let connected = table.connected;
  let any = false;
  for (const id of gone) {
    const old = table.rows.get(id);
    if (!old) continue;
    any = true;
    if (old.connected) connected -= 1;
    table.rows.delete(id);
  }
  return any ? { ...table, ids: table.ids.filter((id) => !gone.has(id)), connected } : table;
}

export function applyDevices(
  table: DeviceTable,
  event: { upserts: DeviceRow[]; removed: string[]; total: number },
): DeviceTable {
  if (table.touched) {
    for (const row of event.upserts) table.touched.add(row.deviceId);
    for (const id of event.removed) table.touched.add(id);
  }
  let next = put(table, event.upserts, null);
  if (event.removed.length > 0) next = drop(next, new Set(event.removed));
  return { ...next, total: event.total };
}

/** Start of a reading. What is there stays on the screen until the reading says it is gone. */
export const beginReading = (table: DeviceTable): DeviceTable => ({
  ...table,
  loading: true,
  error: null,
  touched: new Set(),
  seen: new Set(),
});

export function applyPage(table: DeviceTable, page: DevicePage): DeviceTable {
  for (const row of page.rows) table.seen?.add(row.deviceId);
  return { ...put(table, page.rows, table.touched), total: page.total };
}

export function endReading(table: DeviceTable): DeviceTable {
  const { seen, touched } = table;
  const gone = seen ? table.ids.filter((id) => !seen.has(id) && !touched?.has(id)) : [];
  return { ...drop(table, new Set(gone)), loading: false, touched: null, seen: null };
}

export const failReading = (table: DeviceTable, error: AppError): DeviceTable => ({
  ...table,
  loading: false,
  error,
  touched: null,
  seen: null,
});
