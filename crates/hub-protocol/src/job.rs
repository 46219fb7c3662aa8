//! Jobs: a twin change or a direct method for every device that meets a condition, now or later
//! (service.md 6).

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{
    DeviceId, ModuleId, Timestamp,
    merge::{self, TwinError},
    method::{self, InvalidMethod, MethodRequest, MethodResponse},
    query,
    twin::{TwinPatch, TwinPatchProperties},
};

/// Characters a job's id may have.
pub const MAX_JOB_ID: usize = 64;
/// How far ahead a job may be scheduled.
pub const MAX_AHEAD: Duration = Duration::from_secs(168 * 3600);
/// How long finished jobs are kept.
pub const HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// In seconds, for a request that names none.
pub const DEFAULT_EXECUTION_TIME: u32 = 3600;

macro_rules! names {
    ($(#[$text:meta])* $enum:ident: $($(#[$about:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$text])*
        ///
        /// Read in any letter case, written as the hub does (service.md 0.1).
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[$about])* $variant,)*
            /// The hub's own word for what it does not know; here also for a word not known here.
            #[default]
            Unknown,
        }

        impl $enum {
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "unknown",
                }
            }

            pub fn from_name(name: &str) -> Self {
                $(if name.eq_ignore_ascii_case($name) {
                    return Self::$variant;
                })*
                Self::Unknown
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $enum {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $enum {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from_name(&String::deserialize(deserializer)?))
            }
        }
    };
}

names! {
    /// What a job does.
    JobType:
    ScheduleUpdateTwin = "scheduleUpdateTwin",
    ScheduleDeviceMethod = "scheduleDeviceMethod",
}

names! {
    /// Where a job stands.
    JobStatus:
    Enqueued = "enqueued",
    /// Due, and about to be started.
    Queued = "queued",
    /// Waits for its start time.
    Scheduled = "scheduled",
    Running = "running",
    /// Every device had its turn; some may have failed.
    Completed = "completed",
    /// Could not be started, or its time ran out.
    Failed = "failed",
    Cancelled = "cancelled",
}

names! {
    /// Where one device of a job stands; spelled with one *l* (service.md 6.4).
    DeviceJobStatus:
    Pending = "pending",
    Scheduled = "scheduled",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Canceled = "canceled",
}

impl JobStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Body of `PUT /jobs/v2/{jobId}`. Unknown fields are ignored: clients send whole twins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRequest {
    /// Also in the path; may be left out of the body.
    #[serde(default)]
    pub job_id: String,
    #[serde(rename = "type", default)]
    pub kind: JobType,
    /// The text after WHERE; `*` or empty means every device. A text that is no condition is
    /// taken, and the job fails when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_twin: Option<JobTwin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_to_device_method: Option<MethodRequest>,
    /// Now, when absent, null or past; at most [`MAX_AHEAD`] from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// Counted from when the job starts to run.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_seconds"
    )]
    pub max_execution_time_in_seconds: Option<u32>,
}

/// The merge patch of a twin job. Its etag has to be `*`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobTwin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(flatten)]
    pub patch: TwinPatch,
}

/// What a job does to each device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JobWork {
    Method(MethodRequest),
    Twin(TwinPatch),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJob {
    #[error("a job id has 1 to 64 lower-case letters, digits, hyphens and apostrophes")]
    Id,
    #[error("the type must be scheduleUpdateTwin or scheduleDeviceMethod")]
    Type,
    #[error("the query condition is missing; * means every device")]
    NoCondition,
    #[error("a query condition has at most {} characters", query::MAX_LENGTH)]
    LongCondition,
    #[error("updateTwin is missing")]
    NoTwin,
    #[error("missing or invalid etag: updateTwin must hold the etag \"*\"")]
    Etag,
    #[error("updateTwin cannot be written: {0}")]
    Twin(#[from] TwinError),
    #[error("cloudToDeviceMethod is missing")]
    NoMethod,
    #[error("cloudToDeviceMethod cannot be called: {0}")]
    Method(#[from] InvalidMethod),
    #[error("maxExecutionTimeInSeconds must be at least 1")]
    ExecutionTime,
}

/// Refuses ids no hub takes.
pub fn check_id(id: &str) -> Result<(), InvalidJob> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '\'';
    if (1..=MAX_JOB_ID).contains(&id.len()) && id.chars().all(fits) {
        Ok(())
    } else {
        Err(InvalidJob::Id)
    }
}

impl JobRequest {
    fn new(job_id: impl Into<String>, kind: JobType, query_condition: impl Into<String>) -> Self {
        Self {
            job_id: job_id.into(),
            kind,
            query_condition: Some(query_condition.into()),
            update_twin: None,
            cloud_to_device_method: None,
            start_time: None,
            max_execution_time_in_seconds: None,
        }
    }

    /// A twin change for every match, to be started at once.
    pub fn update_twin(job_id: impl Into<String>, query_condition: impl Into<String>, patch: TwinPatch) -> Self {
        let etag = Some("*".to_owned());
        Self {
            update_twin: Some(JobTwin { etag, patch }),
            ..Self::new(job_id, JobType::ScheduleUpdateTwin, query_condition)
        }
    }

    /// A method call for every match, to be started at once.
    pub fn device_method(job_id: impl Into<String>, query_condition: impl Into<String>, call: MethodRequest) -> Self {
        Self {
            cloud_to_device_method: Some(call),
            ..Self::new(job_id, JobType::ScheduleDeviceMethod, query_condition)
        }
    }

    /// What is to be done, if the request keeps every rule that needs no clock. System keys of
    /// the twin (`$version` and alike) are left out.
    pub fn work(&self) -> Result<JobWork, InvalidJob> {
        check_id(&self.job_id)?;
        let condition = self.query_condition.as_ref().ok_or(InvalidJob::NoCondition)?;
        if condition.len() > query::MAX_LENGTH {
            return Err(InvalidJob::LongCondition);
        }
        if self.max_execution_time_in_seconds == Some(0) {
            return Err(InvalidJob::ExecutionTime);
        }
        match self.kind {
            JobType::ScheduleUpdateTwin => {
                let twin = self.update_twin.as_ref().ok_or(InvalidJob::NoTwin)?;
                if twin.etag.as_deref().map(|etag| etag.trim_matches('"')) != Some("*") {
                    return Err(InvalidJob::Etag);
                }
                let desired = twin.patch.properties.as_ref().and_then(|p| p.desired.as_ref());
                let patch = TwinPatch {
                    tags: twin.patch.tags.as_ref().map(merge::without_system_keys),
                    properties: desired.map(|desired| TwinPatchProperties {
                        desired: Some(merge::without_system_keys(desired)),
                    }),
                };
                patch.tags.as_ref().map_or(Ok(()), merge::check)?;
                let desired = patch.properties.as_ref().and_then(|p| p.desired.as_ref());
                desired.map_or(Ok(()), merge::check)?;
                Ok(JobWork::Twin(patch))
            }
            JobType::ScheduleDeviceMethod => {
                let call = self.cloud_to_device_method.as_ref().ok_or(InvalidJob::NoMethod)?;
                call.check()?;
                Ok(JobWork::Method(call.clone()))
            }
            JobType::Unknown => Err(InvalidJob::Type),
        }
    }
}

/// A job as the hub tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResponse {
    pub job_id: String,
    #[serde(rename = "type", default)]
    pub kind: JobType,
    pub status: JobStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<Timestamp>,
    /// When it is due; it may run a little later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_execution_time_in_seconds: Option<i64>,
    /// An echo of the request; Azure garbles the payload in it (service.md 6.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_to_device_method: Option<Value>,
    /// An echo of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_twin: Option<Value>,
    /// Why a failed job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Absent until the job has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_job_statistics: Option<DeviceJobStatistics>,
}

impl JobResponse {
    /// What a hub says of a job it never heard of, with status 200.
    pub fn unknown(job_id: impl Into<String>) -> Self {
        Self {
            job_id: job_id.into(),
            ..Self::default()
        }
    }
}

/// Devices of a job, by where they stand; the four others add up to `device_count`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceJobStatistics {
    pub device_count: u64,
    /// Also those whose turn never came.
    pub failed_count: u64,
    pub succeeded_count: u64,
    pub running_count: u64,
    pub pending_count: u64,
}

/// A row of `SELECT * FROM devices.jobs`. A time that has not come is absent: clients refuse
/// null there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceJob {
    pub device_id: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<ModuleId>,
    pub job_id: String,
    #[serde(default)]
    pub job_type: JobType,
    pub status: DeviceJobStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time_utc: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_utc: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Timestamp>,
    /// Of a method that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<DeviceJobOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeviceJobError>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceJobOutcome {
    #[serde(default)]
    pub device_method_response: Option<MethodResponse>,
}

/// `code` is the name of an [`crate::ErrorCode`], as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceJobError {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub description: String,
}

impl From<crate::HubError> for DeviceJobError {
    fn from(error: crate::HubError) -> Self {
        Self {
            code: error.code.name().to_owned(),
            description: error.message,
        }
    }
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => method::seconds(&value).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(body: Value) -> JobRequest {
        serde_json::from_value(body).unwrap()
    }

    fn twin_job(change: &Value) -> Result<JobWork, InvalidJob> {
        let mut body = json!({
            "jobId": "fw-42", "type": "scheduleUpdateTwin", "queryCondition": "tags.hall = 'B'",
            "updateTwin": {"etag": "*", "tags": {"ring": 2}, "properties": {"desired": {"interval": 60}}},
            "startTime": null, "maxExecutionTimeInSeconds": 3600
        });
        merge::merge(body.as_object_mut().unwrap(), change.as_object().unwrap());
        parsed(body).work()
    }

    #[test]
    fn a_request_of_the_documentation_is_read() {
        let Ok(JobWork::Twin(patch)) = twin_job(&json!({})) else {
            panic!("twin")
        };
        assert_eq!(
            serde_json::to_value(patch).unwrap(),
            json!({"tags": {"ring": 2}, "properties": {"desired": {"interval": 60}}})
        );
        let method = parsed(json!({
            "jobId": "rb-1", "type": "ScheduleDeviceMethod", "queryCondition": "*",
            "cloudToDeviceMethod": {"methodName": "reboot", "responseTimeoutInSeconds": "60"},
            "maxExecutionTimeInSeconds": "300"
        }));
        assert_eq!(method.max_execution_time_in_seconds, Some(300));
        assert!(matches!(method.work(), Ok(JobWork::Method(call)) if call.response_timeout_in_seconds == 60));
    }

    #[test]
    fn each_rule_of_a_request_is_kept() {
        for (change, error) in [
            (json!({"jobId": "Upper"}), InvalidJob::Id),
            (json!({"jobId": ""}), InvalidJob::Id),
            (json!({"jobId": "a_b"}), InvalidJob::Id),
            (json!({"jobId": "x".repeat(65)}), InvalidJob::Id),
            (json!({"type": "export"}), InvalidJob::Type),
            (json!({"type": null}), InvalidJob::Type),
            (json!({"queryCondition": null}), InvalidJob::NoCondition),
            (json!({"queryCondition": " ".repeat(8193)}), InvalidJob::LongCondition),
            (json!({"updateTwin": null}), InvalidJob::NoTwin),
            (json!({"updateTwin": {"etag": null}}), InvalidJob::Etag),
            (json!({"updateTwin": {"etag": "AAAAAAAAAAE="}}), InvalidJob::Etag),
            (json!({"maxExecutionTimeInSeconds": 0}), InvalidJob::ExecutionTime),
            (json!({"type": "scheduleDeviceMethod"}), InvalidJob::NoMethod),
        ] {
            assert_eq!(twin_job(&change), Err(error), "{change}");
        }
        assert!(matches!(
            twin_job(&json!({"updateTwin": {"tags": {"a.b": 1}}})),
            Err(InvalidJob::Twin(TwinError::Key(_)))
        ));
        assert!(twin_job(&json!({"jobId": format!("'{}", "z9-".repeat(21))})).is_ok());
    }

    #[test]
    fn enumerations_are_read_in_any_case_and_written_in_one() {
        let read: Vec<JobStatus> = serde_json::from_value(json!(["Completed", "CANCELLED", "frozen"])).unwrap();
        assert_eq!(read, [JobStatus::Completed, JobStatus::Cancelled, JobStatus::Unknown]);
        assert_eq!(json!(DeviceJobStatus::Canceled), "canceled");
        assert_eq!(JobType::from_name("SCHEDULEUPDATETWIN").name(), "scheduleUpdateTwin");
    }

    #[test]
    fn an_unknown_job_is_told_as_azure_does() {
        let told = serde_json::to_string(&JobResponse::unknown("x")).unwrap();
        assert_eq!(told, r#"{"jobId":"x","type":"unknown","status":"unknown"}"#);
    }

    #[test]
    fn a_row_leaves_out_what_has_not_come() {
        let row = json!({"deviceId": "a", "jobId": "rb-1", "jobType": "scheduleDeviceMethod", "status": "completed",
            "startTimeUtc": "2025-06-01T00:00:01.0000000Z",
            "outcome": {"deviceMethodResponse": {"status": 200, "payload": {"ok": true}}}});
        let read: DeviceJob = serde_json::from_value(row.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), row);
    }
}
