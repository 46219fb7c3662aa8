import type { DeviceRow } from "../../ipc";

export type SortKey = "id" | "connection" | "firmware";
export type Sort = { key: SortKey; descending: boolean };

/** What a row is sorted by; null for the id, in whose order rows already are. */
export function sortValue(row: DeviceRow | undefined, key: SortKey): string | null {
  if (key === "connection") return row?.connected ? "0" : "1";
  if (key === "firmware") return row?.firmwareStatus ?? "\uffff";
  return null;
}

export function buildView(ids: string[], rows: Map<string, DeviceRow>, filter: string, sort: Sort): string[] {
  const wanted = filter.trim().toLowerCase();
  const found = wanted === "" ? ids : ids.filter((id) => id.toLowerCase().includes(wanted));
  if (sort.key === "id") return sort.descending ? found.toReversed() : found;
  const sign = sort.descending ? -1 : 1;
  return found
    .map((id) => ({ id, value: sortValue(rows.get(id), sort.key) ?? "" }))
    .sort((a, b) => (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
    .map(({ id }) => id);
}

/** How many rows of a view no longer have the value they were sorted by. */
export function countMoved(view: string[], values: Map<string, string | null>, rows: Map<string, DeviceRow>, key: SortKey): number {
  if (key === "id") return 0;
  let moved = 0;
  for (const id of view) if (values.get(id) !== sortValue(rows.get(id), key)) moved += 1;
  return moved;
}
