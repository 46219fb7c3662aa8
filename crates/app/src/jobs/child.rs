//! One device of a job that runs here, decided: observations in, state out. No clock, no network.
//!
//! A long job (firmware update, reboot, factory reset) is ordered by a method that answers 202,
//! and then told in the twin under `deviceJobs`. Reported properties merge, so an old `completed`
//! is still there: only what the hub stamped later than the baseline counts.

use std::time::Duration;

use hub_client::ClientError;
use hub_protocol::{ErrorCode, Timestamp, method::MethodResponse, twin::Twin};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::AppError,
    view::{JobKind, JobPhase, JobState, PhaseSeen},
};

/// Tries that the network or the hub spoilt. A device that is offline and a hub that is busy use
/// none up.
const ATTEMPTS: u32 = 3;
/// Before the second try; three times as long before the third.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Between tries at a device that is offline, unless it is seen to come back.
const OFFLINE_PAUSE: Duration = Duration::from_secs(30);
const SETTLING_PAUSE: Duration = Duration::from_secs(1);
/// What a busy hub asks for.
const THROTTLED_PAUSE: Duration = Duration::from_secs(10);
/// How long a device whose answer was lost may leave open whether it acts.
const GRACE: Duration = Duration::from_secs(120);
/// Characters kept of an answer.
const MAX_RESULT: usize = 4096;

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Answered(MethodResponse),
    /// Not a method: the hub did it; JSON.
    Done(String),
    /// `settles`: it has just come back, and listens to methods in a moment.
    Offline {
        settles: bool,
    },
    Throttled(AppError),
    /// Certainly not done, and may go well another time.
    Spoilt(AppError),
    /// It may have been done.
    Open(AppError),
    Refused {
        error: AppError,
        cause: String,
    },
}

impl Outcome {
    pub(crate) fn of<T>(result: Result<T, ClientError>, done: impl FnOnce(T) -> Self) -> Self {
        use ErrorCode as E;
        let error = match result {
            Ok(value) => return done(value),
            Err(error) => error,
        };
        let code = error.code();
        let told = AppError::from(error.clone());
        match &error {
            ClientError::Hub {
                code: Some(E::DeviceNotOnline),
                ..
            } => Self::Offline { settles: false },
            ClientError::Hub { status: 429, .. } => Self::Throttled(told),
            ClientError::Hub { status: 500..=599, .. }
            | ClientError::TimedOut { .. }
            | ClientError::BadAnswer { .. }
            | ClientError::Unreachable { .. } => Self::Open(told),
            ClientError::UnknownHost { .. } => Self::Spoilt(told),
            ClientError::Hub { status, .. } => Self::Refused {
                error: told,
                cause: code.map_or_else(|| format!("status {status}"), |code| code.name().to_owned()),
            },
            ClientError::UntrustedTls { .. } => Self::Refused {
                error: told,
                cause: "UntrustedTls".into(),
            },
            ClientError::InvalidRequest { .. } => Self::Refused {
                error: told,
                cause: "InvalidRequest".into(),
            },
        }
    }
}

/// Where a device that has not ended stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Step {
    Queued,
    /// The intent is stored; the call may be under way.
    Dispatching,
    /// It may have been told; only its twin can say.
    Uncertain,
    /// It took the order, and tells in its twin how it goes.
    Following,
    Over,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Child {
    /// Counted from 1, in order of device id.
    pub number: u32,
    pub state: JobState,
    pub step: Step,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSeen>,
    pub attempts: u32,
    /// When the step began.
    pub since: Timestamp,
    /// Not to be tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The hub's newest stamp on what the device reported, before it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The hub's newest stamp on anything the device reported.
pub(crate) fn newest_stamp(twin: &Twin) -> Option<Timestamp> {
    twin.properties.reported.last_updated(&[])
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    Timestamp(now.0 + pause)
}

impl Child {
    pub(crate) fn queued(number: u32, now: Timestamp) -> Self {
        Self {
            number,
            state: JobState::Enqueued,
            step: Step::Queued,
            phases: Vec::new(),
            attempts: 0,
            since: now,
            not_before: None,
            baseline: None,
            started_at: None,
            ended_at: None,
            status: None,
            result: None,
            reason: None,
            cause: None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.step == Step::Queued && self.not_before.is_none_or(|time| time <= now)
    }

    fn step(&mut self, step: Step, now: Timestamp) -> bool {
        self.step = step;
        self.since = now;
        true
    }

    fn end(&mut self, state: JobState, now: Timestamp) -> bool {
        self.state = state;
        self.ended_at = Some(now);
        self.not_before = None;
        self.step(Step::Over, now)
    }

    fn fail(&mut self, cause: impl Into<String>, reason: impl Into<String>, now: Timestamp) -> bool {
        self.cause = Some(cause.into());
        self.reason = Some(reason.into());
        self.end(JobState::Failed, now)
    }

    /// Back to its turn, later.
    fn wait(&mut self, pause: Duration, cause: impl Into<String>, reason: String, now: Timestamp) -> bool {
        self.state = JobState::Enqueued;
        self.cause = Some(cause.into());
        self.reason = Some(reason);
        self.not_before = Some(after(now, pause));
        self.step(Step::Queued, now)
    }

    fn seen(&mut self, phase: JobPhase, now: Timestamp) -> bool {
        // A device may restart more than once; the rest it goes through once.
        let may_repeat = matches!(phase, JobPhase::Rebooting | JobPhase::Reconnected);
        let mut known = self.phases.iter().rev().take(if may_repeat { 1 } else { usize::MAX });
        if known.any(|known| known.phase == phase) {
            return false;
        }
        self.phases.push(PhaseSeen {
            phase,
            at: now.to_string(),
        });
        true
    }

    /// To be stored before the call is sent: after a crash the fate of such a device is open, not
    /// "not started".
    pub(crate) fn dispatching(&mut self, baseline: Option<Timestamp>, now: Timestamp) {
        self.baseline = baseline;
        self.state = JobState::Running;
        self.started_at.get_or_insert(now);
        self.not_before = None;
        (self.reason, self.cause) = (None, None);
        self.step(Step::Dispatching, now);
    }

    /// Says whether anything changed.
    pub(crate) fn called(&mut self, kind: JobKind, outcome: Outcome, now: Timestamp) -> bool {
        if self.step != Step::Dispatching {
            // The device was quicker: its report came before its answer.
            return match outcome {
                Outcome::Answered(answer) if self.status.is_none() && answer.status < 300 => {
                    self.answer(&answer);
                    true
                }
                _ => false,
            };
        }
        match outcome {
            Outcome::Answered(answer) => self.answered(kind, &answer, now),
            Outcome::Done(result) => {
                self.result = Some(result);
                self.end(JobState::Completed, now)
            }
            Outcome::Offline { settles } => {
                let pause = if settles { SETTLING_PAUSE } else { OFFLINE_PAUSE };
                let reason = "The device is offline; it is its turn once it is back.";
                self.wait(pause, "DeviceNotOnline", reason.into(), now)
            }
            Outcome::Throttled(error) => self.wait(THROTTLED_PAUSE, "Throttled", error.message, now),
            Outcome::Spoilt(error) => self.again(&error, now),
            Outcome::Open(error) if kind.is_repeatable() => self.again(&error, now),
            Outcome::Open(error) if kind.followed().is_some() => {
                self.reason = Some("No answer came; its twin is watched.".into());
                self.cause = Some(format!("{:?}", error.code));
                self.step(Step::Uncertain, now)
            }
            Outcome::Open(error) if error.code == crate::Code::DeviceTimeout => {
                self.fail("GatewayTimeout", error.message, now)
            }
            Outcome::Open(error) => {
                self.cause = Some(format!("{:?}", error.code));
                self.reason = Some(format!("{} The device may have acted or not.", error.message));
                self.end(JobState::Unknown, now)
            }
            Outcome::Refused { error, cause } => self.fail(cause, error.message, now),
        }
    }

    fn again(&mut self, error: &AppError, now: Timestamp) -> bool {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            return self.fail(format!("{:?}", error.code), error.message.clone(), now);
        }
        let pause = FIRST_PAUSE * 3_u32.pow(self.attempts - 1);
        self.wait(pause, format!("{:?}", error.code), error.message.clone(), now)
    }

    pub(crate) fn answer(&mut self, answer: &MethodResponse) {
        self.status = Some(answer.status);
        self.result = Some(shortened(answer.payload.to_string()));
    }

    fn answered(&mut self, kind: JobKind, answer: &MethodResponse, now: Timestamp) -> bool {
        self.answer(answer);
        match answer.status {
            202 if kind.followed().is_some() => {
                self.seen(JobPhase::Accepted, now);
                self.step(Step::Following, now)
            }
            200..300 => self.end(JobState::Completed, now),
            status => {
                let said = answer.payload["message"].as_str().or(answer.payload.as_str());
                let said = said.map(|said| format!(": {said}")).unwrap_or_default();
                self.fail(
                    format!("status {status}"),
                    format!("The device answered with status {status}{said}"),
                    now,
                )
            }
        }
    }

    /// A twin as the hub has it now; `was_connected` as it was before. Phases may be skipped: an
    /// observer may miss some.
    pub(crate) fn observed(
        &mut self,
        kind: JobKind,
        twin: &Twin,
        is_connected: bool,
        was_connected: bool,
        now: Timestamp,
    ) -> bool {
        if self.step == Step::Queued {
            // Whoever waited for it to come back waits no longer.
            let is_back = is_connected && !was_connected && self.not_before.is_some();
            if is_back {
                self.not_before = None;
            }
            return is_back;
        }
        let Some(name) = kind.followed().filter(|_| !self.is_over()) else {
            return false;
        };
        let mut changed = false;
        let reported = &twin.properties.reported;
        let fresh = |path: &[&str]| reported.last_updated(path) > self.baseline;
        let (job_is_fresh, state_is_fresh) = (fresh(&["deviceJobs", name, "status"]), fresh(&["firmware", "state"]));
        if job_is_fresh || (state_is_fresh && kind == JobKind::FirmwareUpdate) {
            // A device that is at it has taken the order, whether its answer was heard or not.
            if self.step != Step::Following {
                (self.reason, self.cause) = (None, None);
                changed = self.seen(JobPhase::Accepted, now) | self.step(Step::Following, now);
            }
        }
        if kind == JobKind::FirmwareUpdate && state_is_fresh {
            match reported
                .values
                .get("firmware")
                .and_then(|firmware| firmware["state"].as_u64())
            {
                Some(2) => changed |= self.seen(JobPhase::Downloading, now),
                Some(3) => changed |= self.seen(JobPhase::Applying, now),
                _ => {}
            }
        }
        if self.step == Step::Following && is_connected != was_connected {
            changed |= self.seen(
                if is_connected {
                    JobPhase::Reconnected
                } else {
                    JobPhase::Rebooting
                },
                now,
            );
        }
        if !job_is_fresh {
            return changed;
        }
        let job = reported
            .values
            .get("deviceJobs")
            .map_or(&Value::Null, |jobs| &jobs[name]);
        match job["status"].as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
            "completed" => {
                self.seen(JobPhase::Done, now);
                (self.reason, self.cause) = (None, None);
                self.end(JobState::Completed, now)
            }
            "failed" => {
                let text = |name: &str| job["error"][name].as_str().map(str::to_owned);
                let cause = text("code").unwrap_or_else(|| "failed".into());
                let reason = text("message").unwrap_or_else(|| "The device reported a failure.".into());
                self.fail(cause, reason, now)
            }
            _ => changed,
        }
    }

    /// Whether it has lasted too long. `limit` counts from when the job began.
    pub(crate) fn timed(&mut self, began: Timestamp, limit: Duration, now: Timestamp) -> bool {
        let is_late = now.0 - began.0 >= limit;
        let minutes = limit.as_secs() / 60;
        match self.step {
            Step::Queued if is_late => {
                let waited = self.reason.take().unwrap_or_else(|| "Its turn did not come.".into());
                let cause = self.cause.take().unwrap_or_else(|| "TimedOut".into());
                self.fail(cause, format!("Not done within {minutes} minutes. {waited}"), now)
            }
            Step::Uncertain if now.0 - self.since.0 >= GRACE => {
                self.reason = Some(
                    "No answer came, and its twin did not change within two minutes: it may have acted or not.".into(),
                );
                self.end(JobState::Unknown, now)
            }
            Step::Following if is_late => self.fail(
                "TimedOut",
                format!("The device began and did not end within {minutes} minutes."),
                now,
            ),
            _ => false,
        }
    }

    /// Only what has not begun.
    pub(crate) fn cancelled(&mut self, now: Timestamp) -> bool {
        self.step == Step::Queued && self.end(JobState::Cancelled, now)
    }

    pub(crate) fn gone(&mut self, kind: JobKind, now: Timestamp) -> bool {
        if self.is_over() || kind == JobKind::Delete {
            return false;
        }
        self.fail("DeviceNotFound", "The device was deleted.", now)
    }

    /// After a restart of the application. `holds`: the twin has what a twin change would write.
    pub(crate) fn resumed(&mut self, kind: JobKind, holds: bool, now: Timestamp) -> bool {
        if self.step != Step::Dispatching {
            return false;
        }
        if kind == JobKind::UpdateTwin && holds {
            self.result = Some("{}".into());
            return self.end(JobState::Completed, now);
        }
        if kind.is_repeatable() {
            self.state = JobState::Enqueued;
            return self.step(Step::Queued, now);
        }
        let what = "Twindeck was closed during the call";
        if kind.followed().is_some() {
            self.reason = Some(format!("{what}; its twin is watched."));
            // The grace runs from the call on: whoever comes back a day later knows at once.
            self.step = Step::Uncertain;
            return true;
        }
        self.cause = Some("Interrupted".into());
        self.reason = Some(format!("{what}; the device may have acted or not."));
        self.end(JobState::Unknown, now)
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_RESULT {
        let end = (0..=MAX_RESULT)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_nanos(i128::from(seconds) * 1_000_000_000)
    }

    fn told(status: &str, stamp: i64) -> Twin {
        serde_json::from_value(json!({
            "deviceId": "d", "etag": "e", "connectionState": "Connected",
            "properties": { "reported": {
                "deviceJobs": { "reboot": { "status": status, "error": { "code": "applyFailed", "message": "no" } } },
                "$metadata": {
                    "$lastUpdated": at(stamp),
                    "deviceJobs": { "reboot": { "status": { "$lastUpdated": at(stamp) } } },
                },
                "$version": 1
            }}
        }))
        .unwrap()
    }

    fn dispatched() -> Child {
        let mut child = Child::queued(1, at(0));
        child.dispatching(Some(at(100)), at(0));
        child
    }

    fn answer(status: i32) -> Outcome {
        Outcome::Answered(MethodResponse {
            status,
            payload: Value::Null,
        })
    }

    fn lost() -> Outcome {
        Outcome::Open(AppError::new(crate::Code::Unreachable, "The hub cannot be reached."))
    }

    fn look(child: &mut Child, status: &str, stamp: i64) -> bool {
        child.observed(JobKind::Reboot, &told(status, stamp), true, true, at(1))
    }

    #[test]
    fn what_was_reported_before_the_order_is_no_evidence() {
        let mut child = dispatched();
        child.called(JobKind::Reboot, answer(202), at(1));
        assert!(!look(&mut child, "completed", 100), "last month's");
        assert!(look(&mut child, "completed", 101));
        assert_eq!(child.state, JobState::Completed);
        assert!(!look(&mut child, "failed", 102), "what has ended has ended");
    }

    #[test]
    fn a_device_that_reports_before_its_answer_is_heard_is_followed_all_the_same() {
        let mut child = dispatched();
        assert!(look(&mut child, "running", 101));
        child.called(JobKind::Reboot, answer(202), at(1));
        assert_eq!((child.step, child.status), (Step::Following, Some(202)));
    }

    #[test]
    fn after_a_lost_answer_the_twin_decides_and_without_it_nobody_knows() {
        let mut child = dispatched();
        child.called(JobKind::Reboot, lost(), at(1));
        let mut silent = child.clone();
        assert!(look(&mut child, "completed", 101));
        assert_eq!(child.state, JobState::Completed);
        let limit = Duration::from_secs(3600);
        assert!(!silent.timed(at(0), limit, at(120)));
        assert!(silent.timed(at(0), limit, at(121)));
        assert_eq!(silent.state, JobState::Unknown);
    }

    #[test]
    fn only_what_harms_nobody_is_tried_again_after_a_lost_answer() {
        for (kind, expected) in [
            (JobKind::InvokeMethod, JobState::Unknown),
            (JobKind::WriteProperties, JobState::Unknown),
            (JobKind::ReadProperties, JobState::Enqueued),
            (JobKind::UpdateTwin, JobState::Enqueued),
            (JobKind::Delete, JobState::Enqueued),
        ] {
            let mut child = dispatched();
            child.called(kind, lost(), at(1));
            assert_eq!(child.state, expected, "{kind:?}");
            let mut killed = dispatched();
            killed.resumed(kind, false, at(1));
            assert_eq!(killed.state, expected, "{kind:?}");
        }
    }

    #[test]
    fn tries_are_bounded_and_neither_offline_nor_throttled_uses_one_up() {
        let mut child = dispatched();
        for round in 0..10 {
            let free = [
                Outcome::Offline { settles: false },
                Outcome::Throttled(AppError::new(crate::Code::Throttled, "slower")),
            ];
            child.called(JobKind::ReadProperties, free[round % 2].clone(), at(1));
            assert_eq!((child.state, child.attempts), (JobState::Enqueued, 0));
            child.dispatching(None, at(100));
        }
        for _ in 0..ATTEMPTS {
            assert_eq!(child.step, Step::Dispatching);
            child.called(JobKind::ReadProperties, lost(), at(1));
            if child.step == Step::Queued {
                child.dispatching(None, at(100));
            }
        }
        assert_eq!(child.state, JobState::Failed);
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            prop_oneof![Just(200), Just(202), Just(404), Just(500)].prop_map(answer),
            Just(Outcome::Offline { settles: false }),
            Just(Outcome::Throttled(AppError::new(crate::Code::Throttled, "slower"))),
            Just(lost()),
            Just(Outcome::Done("{}".into())),
        ]
    }

    proptest! {
        /// A method that is no order to be followed is called again only when it was certainly
        /// not delivered.
        #[test]
        fn a_method_is_never_sent_again_after_it_may_have_arrived(outcomes in proptest::collection::vec(outcome(), 1..12)) {
            let mut child = Child::queued(1, at(0));
            let mut may_have_arrived = false;
            for outcome in outcomes {
                if child.step != Step::Queued {
                    break;
                }
                prop_assert!(!may_have_arrived);
                child.dispatching(None, at(0));
                may_have_arrived = !matches!(outcome, Outcome::Offline { .. } | Outcome::Throttled(_));
                child.called(JobKind::InvokeMethod, outcome, at(1));
            }
        }

        /// Whatever happens in whatever order, an end is an end.
        #[test]
        fn what_has_ended_stays(steps in proptest::collection::vec((outcome(), 90_i64..120, any::<bool>()), 1..20)) {
            let mut child = dispatched();
            let mut ended = None;
            for (outcome, stamp, gone) in steps {
                child.called(JobKind::Reboot, outcome, at(2));
                look(&mut child, "completed", stamp);
                if gone {
                    child.gone(JobKind::Reboot, at(3));
                }
                if let Some(state) = ended {
                    prop_assert_eq!(child.state, state);
                }
                if child.is_over() {
                    ended = Some(child.state);
                }
            }
        }
    }
}
