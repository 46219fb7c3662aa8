import type { ConsoleLine, Fleet, FleetDevices, FleetTotals, SimulatedState } from "../ipc";
import * as rates from "../lib/rates";
import { addLines } from "./lines";

/** The fleets of the open hub; null until they were read. */
export type Fleets = { list: Fleet[] | null; readings: Record<number, FleetTotals[]> };

export const noFleets: Fleets = { list: null, readings: {} };

const restarted = (before: FleetTotals, after: FleetTotals) => after.messages < before.messages || after.reports < before.reports;

export function applyFleets({ readings }: Fleets, list: Fleet[]): Fleets {
  const kept = list.map((fleet) => [fleet.id, rates.addReading(readings[fleet.id] ?? [], fleet.totals, restarted)] as const);
  return { list, readings: Object.fromEntries(kept) };
}

export const countOf = (fleet: Fleet, state: SimulatedState): number => fleet.counts.find((known) => known.state === state)?.count ?? 0;

/** Those that run or try to. */
export const runningOf = (fleet: Fleet): number => fleet.devices - countOf(fleet, "stopped");

/**
 * The devices of the fleet that is watched. The wrapper is a new object after every change, so
 * that React sees it; the arrays are changed in place, as in the device table.
 */
export type Dots = FleetDevices;

export function applyStates(dots: Dots | null, event: { fleet: number; members: number; changed: [number, SimulatedState][] }): Dots | null {
  // Places are of the list with that number; another one is on its way.
  if (dots?.fleet !== event.fleet || dots.members !== event.members) return dots;
  for (const [place, state] of event.changed) dots.states[place] = state;
  return { ...dots };
}

/** The console of the device that is watched, oldest first. */
export type Console = { deviceId: string; lines: ConsoleLine[] };

export function applyConsole(console: Console | null, deviceId: string, lines: ConsoleLine[]): Console | null {
  if (console?.deviceId !== deviceId) return console;
  const all = addLines(console.lines, lines);
  return all === console.lines ? console : { deviceId, lines: all };
}
