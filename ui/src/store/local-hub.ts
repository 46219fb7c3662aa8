import type { LocalHubCounters, ProtocolLine } from "../ipc";

/** Seconds of counters that are kept, one reading a second. */
const KEPT_READINGS = 60;
/** A rate is over the last few seconds: calm, and still of now. */
const RATE_OVER_MS = 5000;
const KEPT_LINES = 1000;

export type Total = Exclude<keyof LocalHubCounters, "atMs" | "connections">;

/** Oldest first. A total that went back is another run of the hub. */
export function addReading(readings: LocalHubCounters[], reading: LocalHubCounters): LocalHubCounters[] {
  const last = readings.at(-1);
  if (last && reading.atMs <= last.atMs) return readings;
  if (last && (reading.requests < last.requests || reading.telemetry < last.telemetry)) return [reading];
  return [...readings, reading].slice(-KEPT_READINGS);
}

const sum = (reading: LocalHubCounters, totals: Total[]) => totals.reduce((all, total) => all + reading[total], 0);

/** A second's worth; null until there are two readings. */
export function rateOf(readings: LocalHubCounters[], totals: Total[]): number | null {
  const last = readings.at(-1);
  if (!last) return null;
  const first = readings.find((reading) => last.atMs - reading.atMs <= RATE_OVER_MS);
  if (!first || first === last) return null;
  return ((sum(last, totals) - sum(first, totals)) * 1000) / (last.atMs - first.atMs);
}

/** What came in each interval, a second's worth. */
export const ratesOf = (readings: LocalHubCounters[], totals: Total[]): number[] =>
  readings.slice(1).map((reading, index) => {
    const before = readings[index] ?? reading;
    return ((sum(reading, totals) - sum(before, totals)) * 1000) / Math.max(1, reading.atMs - before.atMs);
  });

export const totalOf = sum;

/** What is said with the client that is watched, oldest first. */
export type Protocol = { clientId: string; lines: ProtocolLine[] };

export function applyLines(protocol: Protocol | null, clientId: string, lines: ProtocolLine[]): Protocol | null {
  // A batch of the client that was watched before.
  if (protocol?.clientId !== clientId) return protocol;
  const last = protocol.lines.at(-1)?.sequence ?? -1;
  const fresh = lines.filter((line) => line.sequence > last);
  return fresh.length === 0 ? protocol : { clientId, lines: [...protocol.lines, ...fresh].slice(-KEPT_LINES) };
}

export type Row = { key: number; line: ProtocolLine; skipped: number };

/** `skipped` counts the packets before a line that came too fast to be shown. */
export const rowsOf = (lines: ProtocolLine[]): Row[] =>
  lines.map((line, index) => {
    const before = lines[index - 1];
    return { key: line.sequence, line, skipped: before ? line.sequence - before.sequence - 1 : 0 };
  });
