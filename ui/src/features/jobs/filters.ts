import type { JobFilter, JobKind, JobRunner, JobState } from "../../ipc";
import { kinds } from "./draft";

export const states: JobState[] = ["running", "enqueued", "scheduled", "completed", "failed", "cancelled", "unknown"];
export const ranges = ["hour", "day", "week", "month", "between"] as const;
export type Range = (typeof ranges)[number];
const runners: JobRunner[] = ["hub", "here"];

/** As it stands in the address, so that back, forward and a link find it again. */
export type Filters = {
  text: string;
  kind: JobKind | null;
  state: JobState | null;
  runner: JobRunner | null;
  device: string;
  range: Range | null;
  /** Days of a range between two, the last one included; "2026-11-21". */
  from: string;
  until: string;
};

const HOUR = 3_600_000;
const lengths = { hour: HOUR, day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR };

const oneOf = <T extends string>(list: readonly T[], text: string | null): T | null => list.find((known) => known === text) ?? null;

export const readFilters = (params: URLSearchParams): Filters => ({
  text: params.get("text") ?? "",
  kind: oneOf(kinds, params.get("kind")),
  state: oneOf(states, params.get("state")),
  runner: oneOf(runners, params.get("runner")),
  device: params.get("device") ?? "",
  range: oneOf(ranges, params.get("range")),
  from: params.get("from") ?? "",
  until: params.get("until") ?? "",
});

export const noFilters: Filters = { text: "", kind: null, state: null, runner: null, device: "", range: null, from: "", until: "" };

export const writeFilters = (filters: Filters): URLSearchParams =>
  new URLSearchParams(Object.entries(filters).filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== ""));

export const isFiltered = (filters: Filters): boolean => [...writeFilters(filters)].length > 0;

/** The first moment of a day here, `ahead` days on; null while it is no day. */
export function dayStart(text: string, ahead = 0): string | null {
  const [, year, month, day] = (/^\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*$/.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return null;
  const start = new Date(year, month - 1, day + ahead);
  const isDay = new Date(year, month - 1, day).getMonth() === month - 1;
  return isDay ? start.toISOString() : null;
}

/** For the backend. A last hour is counted from `now`. */
export function filterOf({ text, kind, state, runner, device, range, from, until }: Filters, now: number): JobFilter {
  const between = range === "between";
  return {
    text: text.trim() === "" ? null : text.trim(),
    kind,
    state,
    runner,
    deviceId: device.trim() === "" ? null : device.trim(),
    from: between ? dayStart(from) : range === null ? null : new Date(now - lengths[range]).toISOString(),
    until: between ? dayStart(until, 1) : null,
  };
}
