import { expect, test } from "vitest";
import type { ActiveHub, AppState } from "../ipc";
import { applyEvents, emptyModel } from "./model";

const active = (id: string): ActiveHub => ({
  hub: { id, alias: id, hostName: `${id}.example`, policy: "service", kind: "remote", colour: "#0f6cbd", production: false, secretPlace: "keychain" },
  status: "connected",
  error: null,
  watch: "events",
  freshAtMs: 0,
  devices: 1,
  connected: 0,
});
const state = (hub: ActiveHub | null): AppState => ({
  version: "0.1.0",
  hubs: [],
  active: hub,
  keychain: { available: true, message: null },
  localHub: { status: "stopped", hostName: "", mqttPort: 0, httpsPort: 0, caFile: "", dataDir: "", note: null, error: null },
  settings: { theme: "system", localLimits: false },
});
const device = { deviceId: "a", enabled: true, connected: true, connectionChangedAt: null, lastActivityAt: null, firmwareStatus: null, simulated: null, fleet: null, model: null, version: 1 };

test("opening another hub leaves nothing of the old one, and asks for its devices", () => {
  const model = applyEvents(
    emptyModel(),
    [
      { type: "state", state: state(active("one")) },
      { type: "devices", upserts: [device], removed: [], total: 1, connected: 1 },
      { type: "state", state: state(active("two")) },
    ],
    0,
  );
  expect(model.devices.ids).toEqual([]);
  expect(model.readings).toBe(2);
});
test("news about the same hub keeps its devices", () => {
  const model = applyEvents(
    emptyModel(),
    [
      { type: "state", state: state(active("one")) },
      { type: "devices", upserts: [device], removed: [], total: 1, connected: 1 },
      { type: "state", state: state({ ...active("one"), connected: 1 }) },
    ],
    0,
  );
  expect(model.devices.ids).toEqual(["a"]);
  expect(model.readings).toBe(1);
});
test("a reset asks for the pages again and keeps what is shown until then", () => {
  const model = applyEvents(
    emptyModel(),
    [{ type: "devices", upserts: [device], removed: [], total: 1, connected: 1 }, { type: "devicesReset" }],
    0,
  );
  expect(model.devices.ids).toEqual(["a"]);
  expect(model.readings).toBe(1);
});
