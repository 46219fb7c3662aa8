import type { SortKey } from "./view";

export type Column = { key: "select" | "id" | "connection" | "status" | "firmware" | "simulated" | "activity"; width: string; sort?: SortKey; from: number };

export const ROW_HEIGHT = 36;

/** `from` is the list width at which a column has room; what identifies and what moves stays longest. */
const columns: Column[] = [
  { key: "select", width: "36px", from: 0 },
  { key: "id", width: "minmax(130px, 2fr)", sort: "id", from: 0 },
  { key: "connection", width: "minmax(124px, 1fr)", sort: "connection", from: 0 },
  { key: "status", width: "minmax(84px, 0.7fr)", from: 640 },
  { key: "firmware", width: "minmax(124px, 1fr)", sort: "firmware", from: 400 },
  { key: "simulated", width: "minmax(150px, 1fr)", from: 560 },
  { key: "activity", width: "minmax(104px, 0.8fr)", from: 780 },
];

export const columnsFor = (width: number): Column[] => columns.filter((column) => column.from <= width);

export const templateOf = (shown: Column[]): string => shown.map((column) => column.width).join(" ");
