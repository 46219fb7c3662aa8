//! What the window shows: the types that cross to the UI. Numbers fit JavaScript's, times are
//! ISO 8601 texts, and no type here can hold a key.

mod history;
mod jobs;
mod simulator;
mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::Type;

pub use self::{history::*, jobs::*, simulator::*, template::*};
use crate::error::AppError;

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AppState {
    pub version: String,
    pub hubs: Vec<SavedHub>,
    pub active: Option<ActiveHub>,
    pub keychain: KeychainState,
    pub local_hub: LocalHubState,
    pub settings: Settings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum HubKind {
    Local,
    Remote,
}

/// Where the connection string of a saved hub is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum SecretPlace {
    Keychain,
    /// In memory, until the application ends.
    Session,
    /// The local hub's own keys, in its data folder.
    DataFolder,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SavedHub {
    pub id: String,
    pub alias: String,
    pub host_name: String,
    pub policy: String,
    pub kind: HubKind,
    pub colour: String,
    pub production: bool,
    pub secret_place: SecretPlace,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct KeychainState {
    pub available: bool,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum HubStatus {
    Connecting,
    Connected,
    Failed,
}

/// How changes on the hub are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum WatchKind {
    /// As they happen.
    Events,
    /// By asking every few seconds.
    Query,
}

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ActiveHub {
    pub hub: SavedHub,
    pub status: HubStatus,
    pub error: Option<AppError>,
    pub watch: WatchKind,
    /// Milliseconds since 1970 when the device table last agreed with the hub.
    #[specta(type = u32)]
    pub fresh_at_ms: u64,
    pub devices: u32,
    pub connected: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LocalHubStatus {
    Stopped,
    Starting,
    Running,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LocalHubState {
    pub status: LocalHubStatus,
    pub host_name: String,
    pub mqtt_port: u16,
    pub https_port: u16,
    pub ca_file: String,
    pub data_dir: String,
    pub note: Option<String>,
    pub error: Option<AppError>,
}

/// What the local hub has done since it started; `connections` is of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LocalHubCounters {
    /// Milliseconds since 1970 when they were read.
    #[specta(type = u32)]
    pub at_ms: u64,
    #[specta(type = u32)]
    pub connections: u64,
    #[specta(type = u32)]
    pub telemetry: u64,
    #[specta(type = u32)]
    pub cloud_to_device: u64,
    #[specta(type = u32)]
    pub methods: u64,
    #[specta(type = u32)]
    pub service_twin_writes: u64,
    #[specta(type = u32)]
    pub device_twin_writes: u64,
    #[specta(type = u32)]
    pub requests: u64,
    #[specta(type = u32)]
    pub refused: u64,
}

/// What a line of the protocol log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LineKind {
    /// A packet of the device.
    Received,
    /// A packet of the hub.
    Sent,
    Closed,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolLine {
    /// Counts from 0 without gaps; a gap is lines that were not sent.
    #[specta(type = u32)]
    pub sequence: u64,
    pub at: String,
    pub kind: LineKind,
    pub text: String,
}

/// A connection that the local hub turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    pub at: String,
    /// What the client called itself, where it came so far.
    pub client: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
    HighContrast,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub theme: Theme,
    /// The local hub keeps the rates and the daily quota of one S1 unit.
    pub local_limits: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStringCheck {
    pub problem: Option<ConnectionStringProblem>,
    pub host_name: Option<String>,
    pub policy: Option<String>,
    pub rights: Vec<String>,
    pub redacted: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct ConnectionStringProblem {
    pub part: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRow {
    pub device_id: String,
    pub enabled: bool,
    pub connected: bool,
    pub connection_changed_at: Option<String>,
    pub last_activity_at: Option<String>,
    pub firmware_status: Option<String>,
    pub simulated: Option<SimulatedState>,
    /// The fleet of a simulated device.
    pub fleet: Option<u32>,
    pub model: Option<String>,
    pub version: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct DevicePage {
    pub rows: Vec<DeviceRow>,
    pub total: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BulkFailure {
    pub device_id: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Type)]
pub struct BulkResult {
    pub done: u32,
    pub failures: Vec<BulkFailure>,
}

/// Any JSON, as TypeScript is told of it: its own numbers are all doubles.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(untagged)]
pub enum JsonValue {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<JsonValue>),
    Object(BTreeMap<String, JsonValue>),
}

/// JSON from the window.
#[derive(Debug, Clone, PartialEq, Deserialize, Type)]
#[serde(transparent)]
pub struct Json(#[specta(type = JsonValue)] pub Value);

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TwinView {
    pub device_id: String,
    pub etag: String,
    pub version: u32,
    pub enabled: bool,
    pub connected: bool,
    pub last_activity_at: Option<String>,
    pub authentication_type: String,
    #[specta(type = JsonValue)]
    pub tags: Value,
    #[specta(type = JsonValue)]
    pub desired: Value,
    #[specta(type = JsonValue)]
    pub reported: Value,
    pub desired_version: u32,
    pub reported_version: u32,
    #[specta(type = JsonValue)]
    pub desired_metadata: Value,
    #[specta(type = JsonValue)]
    pub reported_metadata: Value,
    pub tags_size: u32,
    pub desired_size: u32,
    pub reported_size: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum TwinSection {
    Tags,
    Desired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct MethodRequest {
    pub device_id: String,
    pub method_name: String,
    /// JSON as typed; empty means null.
    pub payload_text: String,
    pub response_timeout_seconds: u32,
    pub connect_timeout_seconds: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct MethodCall {
    pub id: u32,
    pub device_id: String,
    pub method_name: String,
    pub payload_text: String,
    pub response_timeout_seconds: u32,
    pub connect_timeout_seconds: u32,
    pub started_at: String,
    /// `None` while it is under way.
    pub duration_ms: Option<u32>,
    pub status: Option<i32>,
    pub response_text: Option<String>,
    pub response_bytes: Option<u32>,
    pub error: Option<AppError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    pub id: String,
    pub name: String,
    pub size: u32,
    pub sha256: String,
    pub added_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum PackageSource {
    Package { id: String },
    Uri { uri: String },
}

/// One device's way through an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum UpdateStage {
    Queued,
    Dispatching,
    Accepted,
    StandBy,
    Downloading,
    Applying,
    Completed,
    Failed,
    TimedOut,
    Cancelled,
    /// The call's fate is unknown: the device may be acting on it.
    Uncertain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum UpdateState {
    Running,
    Cancelling,
    Completed,
    CompletedWithFailures,
    Cancelled,
    /// The application was closed during it.
    Interrupted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
pub struct StageCount {
    pub stage: UpdateStage,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    pub id: u32,
    pub package_name: String,
    pub uri: String,
    pub sha256: Option<String>,
    pub size: Option<u32>,
    pub state: UpdateState,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub total: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub counts: Vec<StageCount>,
    pub summary: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct UpdateDevice {
    pub device_id: String,
    pub stage: UpdateStage,
    pub since: String,
    pub reason: Option<String>,
}

/// Facts for the window, in batches of at most 20 a second.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum AppEvent {
    State {
        state: Box<AppState>,
    },
    /// Rows that changed; `total` and `connected` are of the hub now.
    Devices {
        upserts: Vec<DeviceRow>,
        removed: Vec<String>,
        total: u32,
        connected: u32,
    },
    /// Another hub, or the window fell behind: the device pages are to be read again.
    DevicesReset,
    /// A twin that is being watched. `changed` are dotted paths.
    Twin {
        twin: Box<TwinView>,
        changed: Vec<String>,
    },
    Method {
        call: Box<MethodCall>,
    },
    Update {
        update: Box<Update>,
        devices: Vec<UpdateDevice>,
    },
    /// Jobs that changed.
    Jobs {
        jobs: Vec<Job>,
    },
    /// Something new in what is kept of these devices' twins.
    History {
        #[serde(rename = "deviceIds")]
        device_ids: Vec<String>,
    },
    /// Of the local hub, while they are watched.
    Counters {
        counters: LocalHubCounters,
    },
    /// What was said with the client that is watched.
    Protocol {
        #[serde(rename = "clientId")]
        client_id: String,
        lines: Vec<ProtocolLine>,
    },
    /// All fleets of the open hub.
    Fleets {
        fleets: Vec<Fleet>,
    },
    /// Devices of the fleet that is watched, by their place in `FleetDevices`.
    FleetStates {
        fleet: u32,
        members: u32,
        changed: Vec<(u32, SimulatedState)>,
    },
    /// Of the simulated device whose console is watched.
    Console {
        #[serde(rename = "deviceId")]
        device_id: String,
        lines: Vec<ConsoleLine>,
    },
}
