/** A rate is over the last few seconds: calm, and still of now. */
const OVER_MS = 5000;
/** Readings that are kept, one a second. */
const KEPT = 60;

type Reading = { atMs: number };

/** Oldest first. `restarted` tells from two readings that their totals began anew in between. */
export function addReading<R extends Reading>(readings: R[], reading: R, restarted: (before: R, after: R) => boolean): R[] {
  const last = readings.at(-1);
  if (last && reading.atMs <= last.atMs) return readings;
  if (last && restarted(last, reading)) return [reading];
  return [...readings, reading].slice(-KEPT);
}

/** A second's worth; null until there are two readings. */
export function rateOf<R extends Reading>(readings: R[], total: (reading: R) => number): number | null {
  const last = readings.at(-1);
  if (!last) return null;
  const first = readings.find((reading) => last.atMs - reading.atMs <= OVER_MS);
  if (!first || first === last) return null;
  return ((total(last) - total(first)) * 1000) / (last.atMs - first.atMs);
}

/** What came in each interval, a second's worth. */
export const ratesOf = <R extends Reading>(readings: R[], total: (reading: R) => number): number[] =>
  readings.slice(1).map((reading, index) => {
    const before = readings[index] ?? reading;
    return ((total(reading) - total(before)) * 1000) / Math.max(1, reading.atMs - before.atMs);
  });
