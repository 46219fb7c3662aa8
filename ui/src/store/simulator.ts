// What the simulator's screens ask of the backend.
import { ipc, type SwitchedFault } from "../ipc";
import { makeQueue } from "../lib/in-order";
import { applyConsole, applyFleets } from "./fleets";
import { useStore } from "./store";

const { setState: set } = useStore;
const fleetsInOrder = makeQueue();
const consolesInOrder = makeQueue();

export async function watchFleet(id: number): Promise<void> {
  const dots = await fleetsInOrder(() => ipc.watchFleet(id));
  set({ dots });
}

export function unwatchFleet(): void {
  fleetsInOrder(() => {
    set({ dots: null });
    return ipc.unwatchFleet();
  }).catch(() => undefined);
}

export async function watchConsole(deviceId: string): Promise<void> {
  await consolesInOrder(async () => {
    set({ console: { deviceId, lines: [] } });
    const lines = await ipc.watchConsole(deviceId);
    set(({ console }) => ({ console: applyConsole(console, deviceId, lines) }));
  });
}

export function unwatchConsole(): void {
  consolesInOrder(() => {
    set({ console: null });
    return ipc.unwatchConsole();
  }).catch(() => undefined);
}

export const clearConsole = () => set(({ console }) => ({ console: console && { ...console, lines: [] } }));

export async function setFleetFaults(id: number, faults: SwitchedFault[]): Promise<void> {
  const changed = await ipc.setFleetFaults(id, faults);
  set(({ fleets }) => ({ fleets: applyFleets(fleets, (fleets.list ?? []).map((fleet) => (fleet.id === id ? changed : fleet))) }));
}

/** The fleet, once it is there; commands that make one answer before the next event tells of it. */
export async function createFleet(...args: Parameters<typeof ipc.createFleet>) {
  const fleet = await ipc.createFleet(...args);
  set(({ fleets }) => {
    const list = fleets.list ?? [];
    return list.some(({ id }) => id === fleet.id) ? {} : { fleets: applyFleets(fleets, [...list, fleet]) };
  });
  return fleet;
}
