import type { AppError, AppEvent, AppState, LocalHubCounters } from "../ipc";
import { applyCall, type Calls } from "./calls";
import { applyDevices, type DeviceTable, emptyTable } from "./device-table";
import { applyConsole, applyFleets, applyStates, type Console, type Dots, type Fleets, noFleets } from "./fleets";
import { type LookedAt, noteHistory } from "./history";
import { applyJobs, type Jobs, noJobs } from "./jobs";
import { addReading, applyLines, type Protocol } from "./local-hub";
import { applyTwin, type Twins } from "./twins";
import { applyUpdate, noUpdates, type Updates } from "./updates";

/** What the backend has told. */
export type Model = {
  app: AppState | null;
  /** The backend could not be reached at all. */
  appError: AppError | null;
  devices: DeviceTable;
  twins: Twins;
  calls: Calls;
  updates: Updates;
  /** The device whose history is looked at. */
  history: LookedAt;
  jobs: Jobs;
  /** Of the local hub, while they are watched; the newest last. */
  counters: LocalHubCounters[];
  protocol: Protocol | null;
  fleets: Fleets;
  /** Of the fleet and of the simulated device that are looked at. */
  dots: Dots | null;
  console: Console | null;
  /** Counts up when the device pages have to be read again. */
  readings: number;
};

export const emptyModel = (): Model => ({
  app: null,
  appError: null,
  devices: emptyTable(),
  twins: {},
  calls: {},
  updates: noUpdates,
  history: null,
  jobs: noJobs,
  counters: [],
  protocol: null,
  fleets: noFleets,
  dots: null,
  console: null,
  readings: 0,
});

/** Another hub is another world: nothing of the old one may be seen under the new one's name. */
export function applyState(model: Model, app: AppState): Model {
  const before = model.app?.active?.hub.id ?? null;
  const after = app.active?.hub.id ?? null;
  if (before === after) return { ...model, app, appError: null };
  // What the local hub tells of itself is so whichever hub is open.
  const { counters, protocol } = model;
  return { ...emptyModel(), app, counters, protocol, readings: model.readings + 1 };
}

export function applyEvent(model: Model, event: AppEvent, now: number): Model {
  switch (event.type) {
    case "state":
      return applyState(model, event.state);
    case "devices":
      return { ...model, app: withCounts(model.app, event), devices: applyDevices(model.devices, event) };
    case "devicesReset":
      // What was told of jobs may be old by now, too.
      return { ...model, jobs: noJobs, readings: model.readings + 1 };
    case "twin":
      return { ...model, twins: applyTwin(model.twins, event.twin, event.changed, now) };
    case "method":
      return { ...model, calls: applyCall(model.calls, event.call), history: noteHistory(model.history, [event.call.deviceId]) };
    case "history":
      return { ...model, history: noteHistory(model.history, event.deviceIds) };
    case "update":
      return {
        ...model,
        updates: applyUpdate(model.updates, event.update, event.devices),
        history: noteHistory(
          model.history,
          event.devices.map(({ deviceId }) => deviceId),
        ),
      };
    case "jobs":
      // The event does not say which devices: the one that is looked at may be among them.
      return { ...model, jobs: applyJobs(model.jobs, event.jobs), history: noteHistory(model.history, model.history ? [model.history.deviceId] : []) };
    case "counters":
      return { ...model, counters: addReading(model.counters, event.counters) };
    case "protocol":
      return { ...model, protocol: applyLines(model.protocol, event.clientId, event.lines) };
    case "fleets":
      return { ...model, fleets: applyFleets(model.fleets, event.fleets) };
    case "fleetStates":
      return { ...model, dots: applyStates(model.dots, event) };
    case "console":
      return { ...model, console: applyConsole(model.console, event.deviceId, event.lines) };
  }
}

/** The status bar's numbers come with the rows they count. */
function withCounts(app: AppState | null, { total, connected }: { total: number; connected: number }): AppState | null {
  if (!app?.active || (app.active.devices === total && app.active.connected === connected)) return app;
  return { ...app, active: { ...app.active, devices: total, connected } };
}

export const applyEvents = (model: Model, events: AppEvent[], now: number): Model =>
  events.reduce((current, event) => applyEvent(current, event, now), model);
