//! What was done to a device and what its twin did, as the window sees it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::Type;

use super::{JobState, JsonValue, MethodCall, UpdateStage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ChangedSection {
    Tags,
    Desired,
    Reported,
}

/// Who changed a twin, as far as can be known from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Author {
    Here,
    /// Another program, or another person.
    Elsewhere,
    Device,
}

/// A leaf that changed; `null` where it was not, or is no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
pub struct PathChange {
    /// Dotted, below its section.
    pub path: String,
    #[specta(type = Option<JsonValue>)]
    pub before: Option<Value>,
    #[specta(type = Option<JsonValue>)]
    pub after: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type)]
pub struct TwinChange {
    pub section: ChangedSection,
    pub author: Author,
    /// The section's after the change; tags have none of their own, and show the twin's.
    pub version: u32,
    pub paths: Vec<PathChange>,
    /// Paths that were too many to keep.
    pub more: u32,
}

/// Something in the life of a device; `at` is when it was seen here, or begun.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum HistoryEntry {
    Twin {
        id: u32,
        at: String,
        change: TwinChange,
    },
    Call {
        id: u32,
        at: String,
        call: Box<MethodCall>,
    },
    Update {
        id: u32,
        at: String,
        stage: UpdateStage,
        #[serde(rename = "packageName")]
        package_name: String,
        reason: Option<String>,
    },
    /// Its part in a job.
    Job {
        id: u32,
        at: String,
        #[serde(rename = "jobId")]
        job_id: String,
        title: String,
        state: JobState,
        reason: Option<String>,
    },
}

/// The newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Type)]
pub struct HistoryPage {
    pub entries: Vec<HistoryEntry>,
    pub more: bool,
}
