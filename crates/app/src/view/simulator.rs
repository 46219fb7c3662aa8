//! Models, fleets and simulated devices, as the window sees them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::Type;

use super::{BulkFailure, JsonValue};
use crate::error::AppError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum SimulatedState {
    Stopped,
    Connecting,
    Connected,
    /// Offline for now; it tries again by itself.
    Waiting,
    /// The hub does not take it; somebody has to look.
    Refused,
}

impl SimulatedState {
    pub const ALL: [Self; 5] = [
        Self::Stopped,
        Self::Connecting,
        Self::Connected,
        Self::Waiting,
        Self::Refused,
    ];
}

/// Where a model or fleet file is wrong. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct SourceProblem {
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub message: String,
}

/// A device model that fleets can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DeviceModel {
    /// How a fleet file names it: `thermostat`, or `pump.toml` for one of the person's own.
    pub reference: String,
    pub title: String,
    pub about: String,
    pub built_in: bool,
    pub methods: Vec<String>,
    /// Set when the text of the person's own model is wrong.
    pub problem: Option<SourceProblem>,
}

/// What the text of a model amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct ModelCheck {
    pub name: Option<String>,
    pub problem: Option<SourceProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum FaultName {
    Offline,
    Flapping,
    SlowDownload,
    CutDownload,
    WrongChecksum,
    NoSpace,
    ApplyFails,
    RollsBack,
    BootLoop,
    Silent,
    LateAnswer,
    WrongAnswer,
    NoAnswer,
    ClockSkew,
    TwinRegression,
}

/// A fault that is switched on, as in a fleet file. Each kind has the settings it needs and no
/// other; times are texts such as `30s`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SwitchedFault {
    pub kind: FaultName,
    /// The share of devices that have it, 0 to 1.
    #[specta(type = u32)]
    pub devices: f64,
    /// How often it strikes, 0 to 1.
    #[specta(type = u32)]
    pub chance: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub lasts: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub every: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub bytes_per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub after_bytes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub seconds: Option<i32>,
}

/// What a fleet asks of a hub in Azure while all of it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FleetLoad {
    pub devices: u32,
    #[specta(type = u32)]
    pub messages_per_day: u64,
    pub connects_per_second: u32,
    /// `F1`, `S1`, `S2` or `S3`.
    pub tier: String,
    pub units: u32,
    /// More than one hub takes, even so.
    pub too_much: bool,
}

/// What the person was told before a hub that is not local is burdened. It has to be what is
/// true when the work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LoadConfirmation {
    pub devices: u32,
    #[specta(type = u32)]
    pub messages_per_day: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct FleetGroup {
    pub model: String,
    pub title: String,
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
pub struct StateCount {
    pub state: SimulatedState,
    pub count: u32,
}

/// Since the fleet was first started in this run of the application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FleetTotals {
    /// Milliseconds since 1970 when they were read.
    #[specta(type = u32)]
    pub at_ms: u64,
    #[specta(type = u32)]
    pub connects: u64,
    #[specta(type = u32)]
    pub messages: u64,
    #[specta(type = u32)]
    pub reports: u64,
    #[specta(type = u32)]
    pub methods: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum FleetWork {
    Creating,
    Starting,
    Stopping,
    Deleting,
}

/// Work on a fleet that takes its time, under way or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct FleetTask {
    pub work: FleetWork,
    pub running: bool,
    pub cancelled: bool,
    pub done: u32,
    pub failed: u32,
    pub total: u32,
    /// The first of those that failed.
    pub failures: Vec<BulkFailure>,
    /// What ended it before its end.
    pub error: Option<AppError>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    pub id: u32,
    pub name: String,
    pub created_at: String,
    /// Those that were created on the hub and not deleted from here.
    pub devices: u32,
    /// Those of its file that are not among them.
    pub missing: u32,
    /// Rises when devices come or go: then `watchFleet` is to be asked again.
    pub members: u32,
    pub groups: Vec<FleetGroup>,
    pub per_second: u32,
    pub starts_with_hub: bool,
    pub faults: Vec<SwitchedFault>,
    pub counts: Vec<StateCount>,
    pub totals: FleetTotals,
    pub load: Option<FleetLoad>,
    pub task: Option<FleetTask>,
    /// Why its file cannot be understood; such a fleet can only be deleted.
    pub problem: Option<String>,
}

/// The devices of a fleet, in order of id, and the state of each. Events name them by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FleetDevices {
    pub fleet: u32,
    pub members: u32,
    pub device_ids: Vec<String>,
    pub states: Vec<SimulatedState>,
}

/// A tag that each device of a group gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct TagPattern {
    pub name: String,
    pub kind: TagKind,
    /// The value; or values separated by commas, with `=` and a weight for `weighted`.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum TagKind {
    /// The same for all.
    Same,
    /// One value after the other.
    Cycle,
    /// A text with the device's number in it: `s{number % 50}`.
    Numbered,
    /// Drawn, some oftener than others.
    Weighted,
}

/// A fleet of one group, as a form has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct NewFleet {
    pub name: String,
    /// Of each device id; a number follows.
    pub prefix: String,
    pub count: u32,
    pub model: String,
    /// 1 is tutorial speed; 0.01 a hundred times as fast.
    #[specta(type = u32)]
    pub time_scale: f64,
    pub per_second: u32,
    pub tags: Vec<TagPattern>,
}

/// A fleet file before it is a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FleetDraft {
    pub name: String,
    pub source: String,
    pub problem: Option<SourceProblem>,
    pub load: Option<FleetLoad>,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
    /// How many of its ids the hub has already.
    pub taken: u32,
}

/// One simulated device, looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedDevice {
    pub device_id: String,
    pub fleet: u32,
    pub model: String,
    pub state: SimulatedState,
    /// Why it waits or was refused.
    pub reason: Option<String>,
    pub faults: Vec<SwitchedFault>,
    /// Whether these are its own; otherwise they are the fleet's that strike it.
    pub own_faults: bool,
    /// What it remembers over restarts.
    #[specta(type = JsonValue)]
    pub memory: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ConsoleKind {
    Received,
    Sent,
    /// What it did or decided by itself.
    Did,
}

/// A line of a simulated device's own console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct ConsoleLine {
    /// Counts up without gaps; a gap is lines that were not sent.
    #[specta(type = u32)]
    pub sequence: u64,
    pub at: String,
    pub kind: ConsoleKind,
    pub text: String,
    /// JSON, cut off where it is long.
    pub detail: Option<String>,
}
