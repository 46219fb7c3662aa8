// Placeholder written by hand in the shape the generator will produce; the generator overwrites it.
import { Channel, invoke } from "@tauri-apps/api/core";

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Every command rejects with this. `code` is one of a closed set that the UI may act on. */
export type AppError = { code: string; message: string; hint: string | null; details: string | null };

// ---- application state -------------------------------------------------------------------------
export type AppState = {
  version: string;
  hubs: SavedHub[];
  active: ActiveHub | null;
  keychain: KeychainState;
  localHub: LocalHubState;
  settings: Settings;
};
export type HubKind = "local" | "remote";
/** Where the connection string of a saved hub is kept. */
export type SecretPlace = "keychain" | "session" | "dataFolder";
export type SavedHub = {
  id: string; alias: string; hostName: string; policy: string; kind: HubKind;
  colour: string; production: boolean; secretPlace: SecretPlace;
};
export type KeychainState = { available: boolean; message: string | null };
export type HubStatus = "connecting" | "connected" | "failed";
export type ActiveHub = {
  hub: SavedHub; status: HubStatus; error: AppError | null;
  /** "events": changes arrive as they happen; "query": the backend asks the hub every few seconds. */
  watch: "events" | "query";
  /** Milliseconds since 1970 of the last time the device table was known to agree with the hub. */
  freshAtMs: number; devices: number; connected: number;
};
export type LocalHubStatus = "stopped" | "starting" | "running" | "failed";
export type LocalHubState = {
  status: LocalHubStatus; hostName: string; mqttPort: number; httpsPort: number;
  caFile: string; dataDir: string;
  /** Said plainly to the person, e.g. that 443 could not be bound and 8443 is used. */
  note: string | null; error: AppError | null;
};
export type Theme = "system" | "light" | "dark" | "highContrast";
export type Settings = { theme: Theme };

// ---- connection strings ------------------------------------------------------------------------
export type ConnectionStringCheck = {
  /** Null when the string is well formed. `part` names the offending part, e.g. "SharedAccessKey". */
  problem: { part: string; message: string } | null;
  hostName: string | null; policy: string | null;
  /** What the policy will be able to do, known for built-in policy names; empty when unknown. */
  rights: string[];
  /** The string with its key replaced by dots; never the key. */
  redacted: string | null;
};

// ---- devices -----------------------------------------------------------------------------------
export type SimulatedState = "stopped" | "connecting" | "connected" | "waiting";
export type DeviceRow = {
  deviceId: string; enabled: boolean; connected: boolean;
  connectionChangedAt: string | null; lastActivityAt: string | null;
  /** Reported `firmwareStatus` of the flat schema, as the device wrote it. */
  firmwareStatus: string | null;
  /** Null: not one of ours. */
  simulated: SimulatedState | null;
  model: string | null; version: number;
};
/** `total` is the number on the hub; rows come ordered by device id. */
export type DevicePage = { rows: DeviceRow[]; total: number };
export type DeviceModel = "reboot" | "firmware" | "lockDoor" | "factoryReset";
export type Speed = "tutorial" | "fast";
export type NewDevices = {
  /** One device: its id. Several: the prefix, numbered with leading zeros. */
  name: string; count: number;
  /** Null: a plain identity for a real device. */
  model: DeviceModel | null; speed: Speed;
};
export type BulkFailure = { deviceId: string; message: string };
export type BulkResult = { done: number; failures: BulkFailure[] };

// ---- twins -------------------------------------------------------------------------------------
export type TwinView = {
  deviceId: string; etag: string; version: number;
  enabled: boolean; connected: boolean; lastActivityAt: string | null; authenticationType: string;
  tags: JsonValue; desired: JsonValue; reported: JsonValue; // without $metadata and $version
  desiredVersion: number; reportedVersion: number;
  desiredMetadata: JsonValue; reportedMetadata: JsonValue;  // mirrors of the tree with $lastUpdated
  /** Bytes counted the way the hub counts them, against 8 KiB, 32 KiB and 32 KiB. */
  tagsSize: number; desiredSize: number; reportedSize: number;
};
export type TwinSection = "tags" | "desired";

// ---- direct methods ----------------------------------------------------------------------------
export type MethodRequest = {
  deviceId: string; methodName: string; payloadText: string; // JSON text as typed; "" means null
  responseTimeoutSeconds: number; connectTimeoutSeconds: number;
};
export type MethodCall = {
  id: number; deviceId: string; methodName: string; payloadText: string;
  responseTimeoutSeconds: number; connectTimeoutSeconds: number;
  startedAt: string; durationMs: number | null; // null while running
  status: number | null; responseText: string | null; responseBytes: number | null;
  error: AppError | null;
};

// ---- packages and firmware updates -------------------------------------------------------------
export type Package = { id: string; name: string; size: number; sha256: string; addedAt: string };
export type PackageSource = { kind: "package"; id: string } | { kind: "uri"; uri: string };
/** One device's way through an update. */
export type UpdateStage =
  | "queued" | "dispatching" | "accepted" | "standBy" | "downloading" | "applying"
  | "completed" | "failed" | "timedOut" | "cancelled" | "uncertain";
export type UpdateState = "running" | "cancelling" | "completed" | "completedWithFailures" | "cancelled" | "interrupted";
export type StageCount = { stage: UpdateStage; count: number };
export type Update = {
  id: number; packageName: string; uri: string; sha256: string | null; size: number | null;
  state: UpdateState; startedAt: string; endedAt: string | null;
  total: number; succeeded: number; failed: number; counts: StageCount[];
  /** One sentence, e.g. "20 of 20 devices updated". */
  summary: string;
};
export type UpdateDevice = { deviceId: string; stage: UpdateStage; since: string; reason: string | null };

// ---- events ------------------------------------------------------------------------------------
/** Batches, at most 20 a second. Facts only. */
export type AppEvent =
  | { type: "state"; state: AppState }
  /** Rows changed. `total` is the number on the hub now. */
  | { type: "devices"; upserts: DeviceRow[]; removed: string[]; total: number }
  /** Another hub, or the window fell behind: read the device pages again. */
  | { type: "devicesReset" }
  /** Only for twins that are being watched. `changed` are dotted paths, e.g. "reported.firmwareStatus". */
  | { type: "twin"; twin: TwinView; changed: string[] }
  | { type: "method"; call: MethodCall }
  | { type: "update"; update: Update; devices: UpdateDevice[] };

// ---- commands ----------------------------------------------------------------------------------
export const commands = {
  appState: () => invoke<AppState>("app_state"),
  subscribe: (channel: Channel<AppEvent[]>) => invoke<null>("subscribe", { channel }),
  setTheme: (theme: Theme) => invoke<null>("set_theme", { theme }),

  startLocalHub: () => invoke<null>("start_local_hub"),
  stopLocalHub: () => invoke<null>("stop_local_hub"),
  checkConnectionString: (text: string) => invoke<ConnectionStringCheck>("check_connection_string", { text }),
  /** Checks against the hub, saves, opens. The text is never sent back. */
  addHub: (text: string, alias: string, colour: string, production: boolean) =>
    invoke<SavedHub>("add_hub", { text, alias, colour, production }),
  openHub: (id: string) => invoke<null>("open_hub", { id }),
  closeHub: () => invoke<null>("close_hub"),
  forgetHub: (id: string) => invoke<null>("forget_hub", { id }),
  /** From the backend straight to the clipboard. deviceId null: the active hub's service string. */
  copyConnectionString: (deviceId: string | null) => invoke<null>("copy_connection_string", { deviceId }),

  listDevices: (offset: number, limit: number) => invoke<DevicePage>("list_devices", { offset, limit }),
  createDevices: (request: NewDevices) => invoke<BulkResult>("create_devices", { request }),
  deleteDevices: (deviceIds: string[]) => invoke<BulkResult>("delete_devices", { deviceIds }),
  setDeviceEnabled: (deviceId: string, enabled: boolean) => invoke<null>("set_device_enabled", { deviceId, enabled }),
  startSimulated: (deviceIds: string[]) => invoke<BulkResult>("start_simulated", { deviceIds }),
  stopSimulated: (deviceIds: string[]) => invoke<BulkResult>("stop_simulated", { deviceIds }),

  getTwin: (deviceId: string) => invoke<TwinView>("get_twin", { deviceId }),
  watchTwin: (deviceId: string) => invoke<TwinView>("watch_twin", { deviceId }),
  unwatchTwin: (deviceId: string) => invoke<null>("unwatch_twin", { deviceId }),
  /** `patch` holds only what changes; null deletes. `etag` is the twin's the person edited from. */
  updateTwin: (deviceId: string, section: TwinSection, patch: JsonValue, etag: string) =>
    invoke<TwinView>("update_twin", { deviceId, section, patch, etag }),

  /** Resolves when the device answered or the call failed; the outcome is in the call either way. */
  invokeMethod: (request: MethodRequest) => invoke<MethodCall>("invoke_method", { request }),
  methodCalls: (deviceId: string) => invoke<MethodCall[]>("method_calls", { deviceId }),

  listPackages: () => invoke<Package[]>("list_packages"),
  /** Opens the file dialog; null when the person closed it. */
  pickPackage: () => invoke<Package | null>("pick_package"),
  /** A small package made on this machine, to try an update without having firmware. */
  samplePackage: () => invoke<Package>("sample_package"),
  startUpdate: (deviceIds: string[], source: PackageSource) => invoke<Update>("start_update", { deviceIds, source }),
  listUpdates: () => invoke<Update[]>("list_updates"),
  updateDevices: (id: number, offset: number, limit: number) => invoke<UpdateDevice[]>("update_devices", { id, offset, limit }),
  cancelUpdate: (id: number) => invoke<null>("cancel_update", { id }),
};
