import { create } from "zustand";
import { type ActiveHub, type AppEvent, ipc, type SavedHub, type Theme, toAppError, type TwinView } from "../ipc";
import { noteChanges } from "../lib/bustle";
import { makeQueue } from "../lib/in-order";
import { applyCallList } from "./calls";
import { applyPage, beginReading, endReading, failReading } from "./device-table";
import { applyFleets } from "./fleets";
import { applyJobList } from "./jobs";
import { addReading } from "./local-hub";
import { applyEvents, applyState, emptyModel, type Model } from "./model";
import { applyTwinRead, forgetTwin } from "./twins";
import { applyUpdateList, applyUpdatePage, beginUpdateReading, endUpdateReading, isOver } from "./updates";

const PAGE = 1000;

export const useStore = create<Model>(() => emptyModel());
const { getState: get, setState: set } = useStore;

const activeId = () => get().app?.active?.hub.id ?? null;

// ---- start -------------------------------------------------------------------------------------
// Events that arrive before the first state is known would be applied to nothing.
let queued: AppEvent[] | null = [];

function onBatch(events: AppEvent[]) {
  for (const event of events) {
    if (event.type === "devices") noteChanges(event.upserts.length, Date.now());
    if (event.type === "update") noteChanges(event.devices.length, Date.now());
  }
  if (queued) {
    queued.push(...events);
    return;
  }
  const before = get().readings;
  set((model) => applyEvents(model, events, Date.now()));
  if (get().readings !== before) reread();
}

export async function start(): Promise<void> {
  try {
    await ipc.subscribe(onBatch);
    const app = await ipc.appState();
    set((model) => applyState(model, app));
    const early = queued ?? [];
    queued = null;
    set((model) => applyEvents(model, early, Date.now()));
    reread();
  } catch (thrown) {
    set({ appError: toAppError(thrown) });
  }
}

function reread() {
  void readDevices();
  // The list of updates is also read, and its failure shown, by the screen that shows it.
  readUpdates().catch(() => undefined);
  readRunningJobs().catch(() => undefined);
  // So is the list of fleets.
  if (activeId() !== null) readFleets().catch(() => undefined);
}

// ---- devices -----------------------------------------------------------------------------------
let reading = 0;

/** Reads all pages; a newer reading, or another hub, ends an older one. */
export async function readDevices(): Promise<void> {
  reading += 1;
  const mine = reading;
  const hub = activeId();
  if (hub === null) return;
  const current = () => mine === reading && hub === activeId();
  set((model) => ({ devices: beginReading(model.devices) }));
  try {
    for (let offset = 0; ; ) {
      const page = await ipc.listDevices(offset, PAGE);
      if (!current()) return;
      set((model) => ({ devices: applyPage(model.devices, page) }));
      offset += page.rows.length;
      if (page.rows.length === 0 || offset >= page.total) break;
    }
    set((model) => ({ devices: endReading(model.devices) }));
  } catch (thrown) {
    if (current()) set((model) => ({ devices: failReading(model.devices, toAppError(thrown)) }));
  }
}

// ---- fleets ------------------------------------------------------------------------------------
export async function readFleets(): Promise<void> {
  const hub = activeId();
  const list = await ipc.listFleets();
  if (hub === activeId()) set(({ fleets }) => ({ fleets: applyFleets(fleets, list) }));
}

// ---- jobs --------------------------------------------------------------------------------------
const MOST_RUNNING = 500;

/** Those the frame counts; from then on events tell. */
async function readRunningJobs(): Promise<void> {
  const hub = activeId();
  if (hub === null) return;
  const filter = { deviceId: null, runner: null, kind: null, state: null, from: null, until: null, text: null };
  for (const state of ["running", "enqueued"] as const) {
    const page = await ipc.listJobs({ ...filter, state }, 0, MOST_RUNNING);
    if (hub !== activeId()) return;
    set(({ jobs }) => ({ jobs: applyJobList(jobs, page.jobs) }));
  }
}

// ---- hubs --------------------------------------------------------------------------------------
async function refreshState(): Promise<void> {
  const app = await ipc.appState();
  const before = get().readings;
  set((model) => applyState(model, app));
  if (get().readings !== before) reread();
}

export async function startLocalHub(): Promise<void> {
  await ipc.startLocalHub();
  await refreshState();
  const app = get().app;
  const local = app?.hubs.find((hub) => hub.kind === "local");
  if (app?.active === null && local) await openHub(local.id);
}

export async function stopLocalHub(): Promise<void> {
  await ipc.stopLocalHub();
  await refreshState();
}

export async function addHub(text: string, alias: string, colour: string, production: boolean): Promise<SavedHub> {
  const hub = await ipc.addHub(text, alias, colour, production);
  await refreshState();
  return hub;
}

export async function openHub(id: string): Promise<void> {
  await ipc.openHub(id);
  await refreshState();
}

export async function closeHub(): Promise<void> {
  await ipc.closeHub();
  await refreshState();
}

export async function forgetHub(id: string): Promise<void> {
  await ipc.forgetHub(id);
  await refreshState();
}

export async function setTheme(theme: Theme): Promise<void> {
  set(({ app }) => ({ app: app && { ...app, settings: { ...app.settings, theme } } }));
  await ipc.setTheme(theme);
}

/** Starts the local hub anew where it runs. */
export async function setLocalLimits(on: boolean): Promise<void> {
  await ipc.setLocalLimits(on);
}

export const useActiveHub = (): ActiveHub | null => useStore((model) => model.app?.active ?? null);

// ---- the local hub, looked into ----------------------------------------------------------------
const inOrder = makeQueue();

export async function watchCounters(): Promise<void> {
  set({ counters: [] });
  const counters = await inOrder(ipc.watchCounters);
  set((model) => ({ counters: addReading(model.counters, counters) }));
}

export function unwatchCounters(): void {
  inOrder(ipc.unwatchCounters).catch(() => undefined);
}

export async function watchProtocol(clientId: string): Promise<void> {
  await inOrder(() => {
    set({ protocol: { clientId, lines: [] } });
    return ipc.watchProtocol(clientId);
  });
}

export function unwatchProtocol(): void {
  inOrder(() => {
    set({ protocol: null });
    return ipc.unwatchProtocol();
  }).catch(() => undefined);
}

export const clearProtocol = () => set(({ protocol }) => ({ protocol: protocol && { ...protocol, lines: [] } }));

// ---- twins and methods -------------------------------------------------------------------------
export async function watchTwin(deviceId: string): Promise<void> {
  const twin = await ipc.watchTwin(deviceId);
  set((model) => ({ twins: applyTwinRead(model.twins, twin, Date.now()) }));
}

export function unwatchTwin(deviceId: string): void {
  set((model) => ({ twins: forgetTwin(model.twins, deviceId) }));
  // The backend may already have dropped it together with its hub.
  ipc.unwatchTwin(deviceId).catch(() => undefined);
}

/** The newest that is known: an event may have overtaken the answer. */
export async function readTwin(deviceId: string): Promise<TwinView> {
  const twin = await ipc.getTwin(deviceId);
  set((model) => ({ twins: applyTwinRead(model.twins, twin, Date.now()) }));
  return get().twins[deviceId]?.twin ?? twin;
}

export async function updateTwin(...args: Parameters<typeof ipc.updateTwin>): Promise<void> {
  const twin = await ipc.updateTwin(...args);
  set((model) => ({ twins: applyTwinRead(model.twins, twin, Date.now()) }));
}

export async function readCalls(deviceId: string): Promise<void> {
  const list = await ipc.methodCalls(deviceId);
  set((model) => ({ calls: applyCallList(model.calls, list) }));
}

export async function invokeMethod(...args: Parameters<typeof ipc.invokeMethod>) {
  const call = await ipc.invokeMethod(...args);
  set((model) => ({ calls: applyCallList(model.calls, [call]) }));
  return call;
}

/** Which device's history is told of; null for none. */
export const lookAtHistory = (deviceId: string | null) => set({ history: deviceId === null ? null : { deviceId, news: 0 } });

// ---- updates -----------------------------------------------------------------------------------
export async function readUpdates(): Promise<void> {
  const list = await ipc.listUpdates();
  set((model) => ({ updates: applyUpdateList(model.updates, list) }));
}

export async function startUpdate(...args: Parameters<typeof ipc.startUpdate>) {
  const update = await ipc.startUpdate(...args);
  set(({ updates }) => (updates.byId[update.id] ? {} : { updates: applyUpdateList(updates, [update]) }));
  return update;
}

export async function readUpdateDevices(id: number): Promise<void> {
  const known = get().updates.devices[id];
  const update = get().updates.byId[id];
  if (known?.loading || (known?.loaded && update && isOver(update))) return;
  set((model) => ({ updates: beginUpdateReading(model.updates, id) }));
  let loaded = false;
  try {
    for (let offset = 0; ; ) {
      const page = await ipc.updateDevices(id, offset, PAGE);
      set((model) => ({ updates: applyUpdatePage(model.updates, id, page) }));
      offset += page.length;
      if (page.length < PAGE) break;
    }
    loaded = true;
  } finally {
    set((model) => ({ updates: endUpdateReading(model.updates, id, loaded) }));
  }
}
