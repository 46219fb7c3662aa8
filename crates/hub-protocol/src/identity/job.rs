//! Jobs that read or write the whole registry as a file (service.md 2.6).

use serde::{Deserialize, Serialize};

use super::null_as_default;
use crate::{Timestamp, wire_enum::wire_enum};

wire_enum! {
    pub enum RegistryJobType {
        Export = "export",
        Import = "import",
    }
}

wire_enum! {
    pub enum RegistryJobStatus {
        Unknown = "unknown",
        Enqueued = "enqueued",
        Running = "running",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
        Scheduled = "scheduled",
        Queued = "queued",
    }
}

impl RegistryJobStatus {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Body of `POST /jobs/create`. The container URIs may hold a signature that is a secret, so this
/// does not print.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryJobRequest {
    #[serde(rename = "type")]
    pub kind: RegistryJobType,
    #[serde(default)]
    pub input_blob_container_uri: Option<String>,
    #[serde(default)]
    pub input_blob_name: Option<String>,
    #[serde(default)]
    pub output_blob_container_uri: Option<String>,
    #[serde(default)]
    pub output_blob_name: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub exclude_keys_in_export: bool,
    #[serde(default)]
    pub storage_authentication_type: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub include_configurations: bool,
}

/// A job as it is answered; container URIs are not echoed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryJob {
    pub job_id: String,
    #[serde(rename = "type")]
    pub kind: RegistryJobType,
    pub status: RegistryJobStatus,
    /// Percent.
    #[serde(default)]
    pub progress: u8,
    pub start_time_utc: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_utc: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_blob_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_blob_name: Option<String>,
    #[serde(default)]
    pub exclude_keys_in_export: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_authentication_type: Option<String>,
    #[serde(default)]
    pub failure_reason: Option<String>,
}
