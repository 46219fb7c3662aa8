//! One device's update, decided: observations in, stage out. No clock, no network.
//!
//! The device speaks the flat schema of the tutorial: reported `firmwareStatus` goes `standBy` →
//! `downloading` → `applying` → `completed`. Reported properties merge, so last month's
//! `completed` is still there: a value counts only if the hub stamped it later than the baseline
//! taken before dispatch. Only the hub's clock is compared, never the device's.

use std::time::Duration;

use hub_protocol::{ErrorCode, Timestamp, method::MethodResponse, twin::Twin};
use serde_json::Value;

use crate::view::UpdateStage;

/// How long to wait for the first sign after the device took the call, or may have.
const FIRST_EVIDENCE: Duration = Duration::from_secs(300);
/// How long an unknown fate may stay unknown.
const GRACE: Duration = Duration::from_secs(120);
const DOWNLOAD: Duration = Duration::from_secs(30 * 60);
const APPLY: Duration = Duration::from_secs(30 * 60);

/// What the call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum CallOutcome {
    Answered(MethodResponse),
    /// Certainly not delivered; says why.
    NotDelivered(String),
    /// It may have been delivered.
    Unknown,
}

impl CallOutcome {
    /// A lost connection or a silent device leaves the outcome open: it may have acted.
    pub fn of(result: Result<MethodResponse, hub_client::ClientError>) -> Self {
        use hub_client::ClientError as E;
        match result {
            Ok(response) => Self::Answered(response),
            Err(
                E::Hub {
                    code: Some(ErrorCode::GatewayTimeout),
                    ..
                }
                | E::Hub { status: 500..=599, .. },
            ) => Self::Unknown,
            Err(E::TimedOut { .. } | E::BadAnswer { .. } | E::Unreachable { .. }) => Self::Unknown,
            Err(error) => {
                let error = crate::AppError::from(error);
                Self::NotDelivered(error.message)
            }
        }
    }
}

/// A device on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub stage: UpdateStage,
    /// When the stage began, by our clock.
    pub since: Timestamp,
    pub reason: Option<String>,
    /// The hub's stamp on `firmwareStatus` before dispatch; `None` when it was never reported.
    pub baseline: Option<Timestamp>,
}

/// The hub's stamp on the device's `firmwareStatus`.
pub fn status_stamp(twin: &Twin) -> Option<Timestamp> {
    twin.properties.reported.last_updated(&["firmwareStatus"])
}

pub fn is_terminal(stage: UpdateStage) -> bool {
    use UpdateStage::{Cancelled, Completed, Failed, TimedOut};
    matches!(stage, Completed | Failed | TimedOut | Cancelled)
}

impl Attempt {
    pub fn queued(now: Timestamp) -> Self {
        Self {
            stage: UpdateStage::Queued,
            since: now,
            reason: None,
            baseline: None,
        }
    }

    fn go(&mut self, stage: UpdateStage, now: Timestamp, reason: Option<String>) -> bool {
        if is_terminal(self.stage) || (self.stage == stage && self.reason == reason) {
            return false;
        }
        *self = Self {
            stage,
            since: now,
            reason,
            baseline: self.baseline,
        };
        true
    }

    /// To be stored before the call is sent: after a crash the fate of such a device is unknown,
    /// not "not started".
    pub fn dispatching(&mut self, baseline: Option<Timestamp>, now: Timestamp) {
        self.baseline = baseline;
        self.go(UpdateStage::Dispatching, now, None);
    }

    /// Says whether anything changed.
    pub fn called(&mut self, outcome: CallOutcome, now: Timestamp) -> bool {
        if self.stage != UpdateStage::Dispatching {
            // The device was quicker: its report came before its answer.
            return false;
        }
        match outcome {
            CallOutcome::Answered(response) if (200..300).contains(&response.status) => {
                self.go(UpdateStage::Accepted, now, None)
            }
            CallOutcome::Answered(MethodResponse { status, payload }) => {
                let said = match &payload {
                    Value::Null => String::new(),
                    Value::String(text) => format!(": {text}"),
                    other => format!(
                        ": {}",
                        other["message"]
                            .as_str()
                            .map_or_else(|| other.to_string(), str::to_owned)
                    ),
                };
                self.go(
                    UpdateStage::Failed,
                    now,
                    Some(format!("The device refused with status {status}{said}")),
                )
            }
            CallOutcome::NotDelivered(why) => self.go(UpdateStage::Failed, now, Some(why)),
            CallOutcome::Unknown => self.go(
                UpdateStage::Uncertain,
                now,
                Some("No answer came; watching its twin".into()),
            ),
        }
    }

    /// A twin as the hub has it now. Stages may be skipped: an observer may miss some.
    pub fn observed(&mut self, twin: &Twin, expected_sha256: Option<&str>, now: Timestamp) -> bool {
        if self.stage == UpdateStage::Queued || is_terminal(self.stage) || status_stamp(twin) <= self.baseline {
            return false;
        }
        let reported = &twin.properties.reported.values;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        match text(reported.get("firmwareStatus"))
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            "standby" => self.go(UpdateStage::StandBy, now, None),
            "downloading" => self.go(UpdateStage::Downloading, now, None),
            "applying" => self.go(UpdateStage::Applying, now, None),
            "completed" => {
                // A device that reports what it installed must have installed what we sent.
                let installed = text(
                    reported
                        .get("firmwarePackage")
                        .and_then(|package| package.get("sha256")),
                );
                match (installed, expected_sha256) {
                    (Some(found), Some(expected)) if !found.eq_ignore_ascii_case(expected) => {
                        let reason = "The device installed other bytes than the package's".to_owned();
                        self.go(UpdateStage::Failed, now, Some(reason))
                    }
                    _ => self.go(UpdateStage::Completed, now, None),
                }
            }
            "failed" => {
                let error = reported.get("firmwareError");
                let message = text(error.and_then(|error| error.get("message")));
                self.go(
                    UpdateStage::Failed,
                    now,
                    Some(message.unwrap_or_else(|| "The device reported a failure".into())),
                )
            }
            _ => false,
        }
    }

    /// Whether the stage has lasted too long.
    pub fn timed(&mut self, now: Timestamp) -> bool {
        use UpdateStage::{Accepted, Applying, Downloading, StandBy, Uncertain};
        let (limit, reason) = match self.stage {
            Accepted => (
                FIRST_EVIDENCE,
                "The device took the call and then reported nothing for 5 minutes",
            ),
            StandBy => (FIRST_EVIDENCE, "The device did not begin to download within 5 minutes"),
            Downloading => (DOWNLOAD, "The download took over 30 minutes"),
            Applying => (APPLY, "Applying took over 30 minutes"),
            Uncertain => (
                GRACE,
                "The call's fate stayed unknown: no answer, and no report within 2 minutes",
            ),
            _ => return false,
        };
        if now.0 - self.since.0 < limit {
            return false;
        }
        self.go(UpdateStage::TimedOut, now, Some(reason.into()))
    }

    pub fn cancelled(&mut self, now: Timestamp, reason: &str) -> bool {
        self.stage == UpdateStage::Queued && self.go(UpdateStage::Cancelled, now, Some(reason.into()))
    }

    /// After a restart of the application: what was being sent may have arrived.
    pub fn resumed(&mut self, now: Timestamp) -> bool {
        self.stage == UpdateStage::Dispatching
            && self.go(
                UpdateStage::Uncertain,
                now,
                Some("The application was closed during the call; watching its twin".into()),
            )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_nanos(i128::from(seconds) * 1_000_000_000)
    }

    fn twin(status: &str, stamp: i64) -> Twin {
        serde_json::from_value(json!({
            "deviceId": "d", "etag": "e",
            "properties": { "reported": {
                "firmwareStatus": status,
                "firmwarePackage": {"sha256": "aa"},
                "firmwareError": {"message": "the bytes differ"},
                "$metadata": {"$lastUpdated": at(stamp), "firmwareStatus": {"$lastUpdated": at(stamp)}},
                "$version": 1
            }}
        }))
        .unwrap()
    }

    fn dispatched() -> Attempt {
        let mut attempt = Attempt::queued(at(0));
        attempt.dispatching(Some(at(100)), at(0));
        attempt
    }

    fn accepted() -> Attempt {
        let mut attempt = dispatched();
        assert!(attempt.called(
            CallOutcome::Answered(MethodResponse {
                status: 200,
                payload: Value::Null
            }),
            at(1)
        ));
        attempt
    }

    #[test]
    fn a_stale_completed_is_not_believed_and_the_same_word_stamped_later_is() {
        let mut attempt = accepted();
        assert!(!attempt.observed(&twin("completed", 100), None, at(2)));
        assert!(attempt.observed(&twin("completed", 101), None, at(3)));
        assert_eq!(attempt.stage, UpdateStage::Completed);
    }

    #[test]
    fn stages_follow_the_twin_and_may_be_skipped() {
        let mut attempt = accepted();
        assert!(attempt.observed(&twin("standBy", 101), None, at(2)));
        assert!(attempt.observed(&twin("applying", 102), None, at(3)));
        assert_eq!((attempt.stage, attempt.since), (UpdateStage::Applying, at(3)));
    }

    #[test]
    fn terminal_stages_stick() {
        let mut attempt = accepted();
        attempt.observed(&twin("completed", 101), None, at(2));
        assert!(!attempt.observed(&twin("failed", 102), None, at(3)));
        assert!(!attempt.timed(at(1_000_000)));
        assert_eq!(attempt.stage, UpdateStage::Completed);
    }

    #[test]
    fn other_bytes_than_the_packages_are_a_failure() {
        let mut attempt = accepted();
        attempt.observed(&twin("completed", 101), Some("bb"), at(2));
        assert_eq!(attempt.stage, UpdateStage::Failed);
        let mut attempt = accepted();
        attempt.observed(&twin("completed", 101), Some("AA"), at(2));
        assert_eq!(attempt.stage, UpdateStage::Completed);
    }

    #[test]
    fn a_lost_answer_is_uncertain_until_the_twin_tells_or_the_grace_ends() {
        let mut told = dispatched();
        told.called(CallOutcome::Unknown, at(1));
        assert_eq!(told.stage, UpdateStage::Uncertain);
        let mut silent = told.clone();
        assert!(told.observed(&twin("downloading", 101), None, at(2)));
        assert_eq!(told.stage, UpdateStage::Downloading);
        assert!(!silent.timed(at(120)));
        assert!(silent.timed(at(121)));
        assert_eq!(silent.stage, UpdateStage::TimedOut);
    }

    #[test]
    fn a_report_that_overtakes_the_answer_counts() {
        let mut attempt = dispatched();
        assert!(attempt.observed(&twin("downloading", 101), None, at(1)));
        assert!(!attempt.called(CallOutcome::Unknown, at(2)));
        assert_eq!(attempt.stage, UpdateStage::Downloading);
    }

    #[test]
    fn a_refusal_says_what_the_device_said() {
        let mut attempt = dispatched();
        let payload = json!({"message": "an update is running"});
        attempt.called(CallOutcome::Answered(MethodResponse { status: 409, payload }), at(1));
        assert_eq!(
            attempt.reason.as_deref(),
            Some("The device refused with status 409: an update is running")
        );
    }

    #[test]
    fn only_what_has_not_begun_can_be_cancelled() {
        let mut queued = Attempt::queued(at(0));
        assert!(queued.cancelled(at(1), "stopped"));
        let mut begun = accepted();
        assert!(!begun.cancelled(at(1), "stopped"));
    }

    proptest! {
        #[test]
        fn no_order_of_observations_leaves_a_terminal_stage_or_succeeds_on_stale_evidence(
            events in prop::collection::vec((0..5_usize, 90..110_i64), 0..12)
        ) {
            let mut attempt = accepted();
            let mut fresh_completed = false;
            let mut ended: Option<UpdateStage> = None;
            for (word, stamp) in events {
                let word = ["standBy", "downloading", "applying", "completed", "failed"][word];
                attempt.observed(&twin(word, stamp), None, at(2));
                fresh_completed |= word == "completed" && stamp > 100;
                if let Some(ended) = ended {
                    prop_assert_eq!(attempt.stage, ended);
                } else if is_terminal(attempt.stage) {
                    ended = Some(attempt.stage);
                }
            }
            prop_assert!(attempt.stage != UpdateStage::Completed || fresh_completed);
        }
    }
}
