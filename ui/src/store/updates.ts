import type { Update, UpdateDevice } from "../ipc";

/** The devices of one update; in place for the same reason as the device table. */
export type UpdateDevices = {
  rows: Map<string, UpdateDevice>;
  ids: string[];
  loading: boolean;
  loaded: boolean;
  touched: Set<string> | null;
};
export type Updates = { byId: Record<number, Update>; devices: Record<number, UpdateDevices> };

export const noUpdates: Updates = { byId: {}, devices: {} };

const noDevices = (): UpdateDevices => ({ rows: new Map(), ids: [], loading: false, loaded: false, touched: null });

export const isOver = (update: Update): boolean =>
  update.state !== "running" && update.state !== "cancelling" && update.state !== "interrupted";

function put(devices: UpdateDevices, list: UpdateDevice[], skip: Set<string> | null): UpdateDevices {
  let added = false;
  for (const device of list) {
    if (skip?.has(device.deviceId)) continue;
    if (!devices.rows.has(device.deviceId)) added = true;
    devices.rows.set(device.deviceId, device);
  }
  return { ...devices, ids: added ? [...devices.rows.keys()].sort() : devices.ids };
}

const withDevices = (updates: Updates, id: number, devices: UpdateDevices): Updates => ({
  ...updates,
  devices: { ...updates.devices, [id]: devices },
});

export function applyUpdate(updates: Updates, update: Update, devices: UpdateDevice[]): Updates {
  const next = { ...updates, byId: { ...updates.byId, [update.id]: update } };
  const known = updates.devices[update.id];
  // Nobody has opened it: its devices are read when somebody does.
  if (!known) return next;
  if (known.touched) for (const device of devices) known.touched.add(device.deviceId);
  return withDevices(next, update.id, put(known, devices, null));
}

export const applyUpdateList = (updates: Updates, list: Update[]): Updates => ({
  ...updates,
  byId: { ...updates.byId, ...Object.fromEntries(list.map((update) => [update.id, update])) },
});

export const beginUpdateReading = (updates: Updates, id: number): Updates =>
  withDevices(updates, id, { ...(updates.devices[id] ?? noDevices()), loading: true, touched: new Set() });

export function applyUpdatePage(updates: Updates, id: number, page: UpdateDevice[]): Updates {
  const known = updates.devices[id] ?? noDevices();
  return withDevices(updates, id, put(known, page, known.touched));
}

export function endUpdateReading(updates: Updates, id: number, loaded: boolean): Updates {
  const known = updates.devices[id] ?? noDevices();
  return withDevices(updates, id, { ...known, loading: false, loaded, touched: null });
}
