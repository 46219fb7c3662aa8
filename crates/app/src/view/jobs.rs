//! Jobs: one thing done to many devices, by the hub or by this application.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::Type;

use super::{JsonValue, PackageSource};
use crate::error::AppError;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum JobRunner {
    /// The hub's own jobs (`/jobs/v2`): they go on while this application is closed.
    Hub,
    /// This application, a device at a time within bounds.
    Here,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum JobKind {
    InvokeMethod,
    UpdateTwin,
    /// The six device jobs of the 2016 preview, spoken as direct methods (docs/jobs.md).
    FirmwareUpdate,
    Reboot,
    FactoryReset,
    ConfigurationUpdate,
    ReadProperties,
    WriteProperties,
    /// Of the registry.
    Enable,
    Disable,
    Delete,
}

/// What is done to each device. The hub itself can only invoke methods and update twins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum JobWork {
    InvokeMethod {
        method_name: String,
        #[specta(type = JsonValue)]
        payload: Value,
        response_timeout_seconds: u32,
        connect_timeout_seconds: u32,
    },
    /// Merge patches: null removes.
    UpdateTwin {
        #[specta(type = Option<JsonValue>)]
        tags: Option<Value>,
        #[specta(type = Option<JsonValue>)]
        desired: Option<Value>,
    },
    FirmwareUpdate {
        package: PackageSource,
        /// What it is called once installed.
        version: Option<String>,
    },
    Reboot,
    FactoryReset,
    ConfigurationUpdate {
        name: String,
        #[specta(type = JsonValue)]
        value: Value,
    },
    ReadProperties {
        names: Vec<String>,
    },
    WriteProperties {
        #[specta(type = JsonValue)]
        properties: Value,
    },
    Enable,
    Disable,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum JobTarget {
    Devices {
        ids: Vec<String>,
    },
    /// The text after WHERE; empty means every device. Fixed when the job starts.
    Query {
        condition: String,
    },
}

/// Of a job and of each of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// Nobody can say: a device may have acted or not. Also a word of the hub not known here.
    Unknown,
    /// Waits for its start time.
    Scheduled,
    /// Waits for its turn; the reason says for what.
    Enqueued,
    Running,
    /// A job only when every device did it.
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    pub work: JobWork,
    pub target: JobTarget,
    pub runner: JobRunner,
    /// ISO 8601; now when absent or past; at most 168 hours ahead.
    pub start_at: Option<String>,
    /// From its start on; devices that are not done by then count as failed.
    pub max_minutes: u32,
    /// How many devices the person was shown. A job that deletes or disables is refused when it
    /// is another number by now.
    pub expected: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// As the hub or we call it: lower-case letters, digits and hyphens.
    pub id: String,
    pub runner: JobRunner,
    pub kind: JobKind,
    /// What it does, in a few words: "Invoke lockDoor".
    pub title: String,
    /// The query's text after WHERE; absent when the devices were picked.
    pub condition: Option<String>,
    pub state: JobState,
    /// "Devices: 6; Succeeded: 6; Failed: 0".
    pub status_message: String,
    /// Why it waits, or why it failed.
    pub reason: Option<String>,
    /// It was made here.
    pub ours: bool,
    /// What has begun ends; nothing else begins.
    pub cancelling: bool,
    pub created_at: String,
    pub start_at: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub max_minutes: u32,
    /// Zero until the devices are fixed.
    pub total: u32,
    pub enqueued: u32,
    pub running: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
    pub unknown: u32,
    /// How long it takes by the hub's limits, from its start to its end.
    pub estimated_seconds: Option<u32>,
}

/// Steps of a device through a long job, as they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum JobPhase {
    /// The device took the order.
    Accepted,
    Downloading,
    Applying,
    Rebooting,
    Reconnected,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PhaseSeen {
    pub phase: JobPhase,
    pub at: String,
}

/// A child: one device of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobDevice {
    pub device_id: String,
    /// The child's own id: the job's with the number of the device.
    pub id: String,
    pub state: JobState,
    pub phases: Vec<PhaseSeen>,
    pub attempts: u32,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// The device's answer.
    pub status: Option<i32>,
    /// JSON: what it answered, or the twin's new version.
    pub result_text: Option<String>,
    /// What went wrong, or what it waits for.
    pub reason: Option<String>,
    /// Failures of one kind have one cause: "DeviceNotOnline", "status 500".
    pub cause: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobFilter {
    pub device_id: Option<String>,
    pub runner: Option<JobRunner>,
    pub kind: Option<JobKind>,
    pub state: Option<JobState>,
    /// ISO 8601, of the job's creation.
    pub from: Option<String>,
    pub until: Option<String>,
    /// In the id, the title, the target or the reason.
    pub text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Type)]
pub struct JobStateCount {
    pub state: JobState,
    pub count: u32,
}

/// The newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    pub jobs: Vec<Job>,
    /// All that the filter lets through.
    pub total: u32,
    /// Of all that the filter lets through but for its state.
    pub by_state: Vec<JobStateCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CauseCount {
    pub cause: String,
    pub count: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobDeviceFilter {
    pub state: Option<JobState>,
    pub cause: Option<String>,
    /// In the device's id.
    pub text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobDevicePage {
    pub devices: Vec<JobDevice>,
    pub total: u32,
    /// Of all failed devices of the job, the most frequent first.
    pub causes: Vec<CauseCount>,
}

/// What a job would do, before it does anything.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JobPreview {
    pub count: u32,
    /// Of them, now.
    pub connected: u32,
    /// Five of them.
    pub sample: Vec<String>,
    pub estimated_seconds: Option<u32>,
    /// "Invoke lockDoor on 240 devices now, finish by 15:30" is the window's; this is what the
    /// person should know besides: one running job on this tier, devices that are offline.
    pub notes: Vec<String>,
    /// Of a twin change: what it changes in the first devices it changes anything in.
    pub differences: Vec<TwinDifference>,
    /// Of a twin change: devices that have these values already.
    pub unchanged: u32,
    pub problem: Option<AppError>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TwinDifference {
    pub device_id: String,
    pub lines: Vec<DifferenceLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceLine {
    /// Dotted, from `tags` or `desired` on.
    pub path: String,
    /// Absent where there is nothing.
    #[specta(type = Option<JsonValue>)]
    pub before: Option<Value>,
    #[specta(type = Option<JsonValue>)]
    pub after: Option<Value>,
}
