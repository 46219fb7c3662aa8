import type { LocalHubCounters, ProtocolLine } from "../ipc";
import * as rates from "../lib/rates";
import { addLines } from "./lines";

export type Total = Exclude<keyof LocalHubCounters, "atMs" | "connections">;

/** Oldest first. A total that went back is another run of the hub. */
export const addReading = (readings: LocalHubCounters[], reading: LocalHubCounters): LocalHubCounters[] =>
  rates.addReading(readings, reading, (before, after) => after.requests < before.requests || after.telemetry < before.telemetry);

export const totalOf = (reading: LocalHubCounters, totals: Total[]) => totals.reduce((all, total) => all + reading[total], 0);

export const rateOf = (readings: LocalHubCounters[], totals: Total[]) => rates.rateOf(readings, (reading) => totalOf(reading, totals));

export const ratesOf = (readings: LocalHubCounters[], totals: Total[]) => rates.ratesOf(readings, (reading) => totalOf(reading, totals));

/** What is said with the client that is watched, oldest first. */
export type Protocol = { clientId: string; lines: ProtocolLine[] };

export function applyLines(protocol: Protocol | null, clientId: string, lines: ProtocolLine[]): Protocol | null {
  // A batch of the client that was watched before.
  if (protocol?.clientId !== clientId) return protocol;
  const all = addLines(protocol.lines, lines);
  return all === protocol.lines ? protocol : { clientId, lines: all };
}
