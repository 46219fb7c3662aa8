//! Routines at work: steps one after the other, through the device's handle.

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use hub_protocol::merge::{self, Object};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    behaviour::{Answer, Behaviour},
    download::{DownloadError, Package},
    fault::{FaultKind, Point},
    handle::DeviceHandle,
    model::{Pause, Requirement, Root, Routine, Scope, Step, Template, package_address, same},
    session::MethodCall,
};

/// Restarts of a boot loop.
const MAX_BOOTS: u32 = 100;

/// One run of a routine.
pub(crate) struct Run<'a, H> {
    behaviour: &'a Behaviour,
    handle: &'a H,
    /// The call that still waits for its answer.
    call: Option<&'a MethodCall>,
    late: Option<oneshot::Sender<Answer>>,
    payload: Value,
    /// As they were when it began: what was ordered does not change midway.
    desired: Value,
    package: Option<Value>,
    /// What the device remembered before new firmware was applied.
    before_apply: Option<Object>,
    /// The last two reports, the earlier first.
    reports: VecDeque<Object>,
    error: Option<Failure>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq)]
struct Failure {
    code: String,
    message: String,
    /// The result in LwM2M's numbers.
    number: u8,
    rolled_back: bool,
}

enum Flow {
    Next,
    Stop,
}

impl Failure {
    fn new(code: &str, number: u8, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            number,
            rolled_back: false,
        }
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        let number = match error {
            DownloadError::Unreachable | DownloadError::TimedOut | DownloadError::CutShort { .. } => 4,
            DownloadError::Empty | DownloadError::TooLarge => 6,
            DownloadError::HttpStatus(_) => 7,
        };
        Self::new(error.code(), number, error.to_string())
    }
}

impl<H: DeviceHandle> Scope for Run<'_, H> {
    fn root(&self, root: Root) -> Option<Cow<'_, Value>> {
        match root {
            Root::Null => Some(Cow::Owned(Value::Null)),
            Root::Now => Some(Cow::Owned(json!(self.handle.now()))),
            Root::Payload => Some(Cow::Borrowed(&self.payload)),
            Root::Desired => Some(Cow::Borrowed(&self.desired)),
            Root::Reported => Some(Cow::Owned(Value::Object(self.behaviour.reported()))),
            Root::Memory => Some(Cow::Owned(Value::Object(self.behaviour.memory(self.handle)))),
            Root::Package => self.package.as_ref().map(Cow::Borrowed),
            Root::Error => self.error.as_ref().map(|error| {
                Cow::Owned(json!({ "code": error.code, "message": error.message, "number": error.number }))
            }),
            Root::Device => Some(Cow::Owned(json!({ "id": self.handle.device_id() }))),
        }
    }
}

impl<'a, H: DeviceHandle> Run<'a, H> {
    /// `desired` as the properties are now, if the model asks for them.
    pub(crate) fn new(behaviour: &'a Behaviour, handle: &'a H, desired: Object) -> Self {
        Self {
            behaviour,
            handle,
            call: None,
            late: None,
            payload: Value::Null,
            desired: Value::Object(desired),
            package: None,
            before_apply: None,
            reports: VecDeque::new(),
            error: None,
        }
    }

    /// `late` takes an answer that is to be given later than the routine wants.
    pub(crate) fn of_method(self, call: &'a MethodCall, payload: Value, late: oneshot::Sender<Answer>) -> Self {
        Self {
            call: Some(call),
            late: Some(late),
            payload,
            ..self
        }
    }

    /// Boot steps cannot fail: the model's checks see to it.
    pub(crate) async fn of_boot(mut self, steps: &[Step]) {
        let _ = self.steps(steps).await;
    }

    /// Runs the steps, then those for a failure if there was one, and answers if none did.
    pub(crate) async fn finish(mut self, routine: &Routine) {
        if let Err(failure) = self.steps(&routine.steps).await {
            self.handle
                .note(format!("failed with {}: {}", failure.code, failure.message));
            let lists = [
                (failure.rolled_back, &routine.rolled_back),
                (self.before_apply.is_some(), &routine.apply_failed),
                (true, &routine.failed),
            ];
            let after = lists.into_iter().find(|(fits, steps)| *fits && !steps.is_empty());
            self.error = Some(failure);
            if let Some((_, steps)) = after {
                // They cannot fail: the model's checks see to it.
                let _ = self.steps(steps).await;
            }
        }
        let (status, payload) = match &self.error {
            Some(error) => (500, json!({ "code": error.code, "message": error.message })),
            None => (200, Value::Null),
        };
        self.answer(status, payload).await;
    }

    async fn steps(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            if let Flow::Stop = self.step(step).await? {
                break;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<Flow, Failure> {
        match step {
            Step::Wait(pause) => self.handle.sleep(self.length(*pause)).await,
            Step::Report(template) => {
                let properties = self.object(template);
                self.report(properties).await;
            }
            Step::Remember(template) => {
                let changes = self.object(template);
                self.behaviour.remember(self.handle, &changes);
            }
            Step::Answer { status, payload } => {
                let payload = self.render(payload).unwrap_or_default();
                self.answer(*status, payload).await;
            }
            Step::Send(template) => {
                if let Some(message) = self.render(template) {
                    self.handle.send(message).await;
                }
            }
            Step::Download { uri, at_least } => self.download(uri, *at_least).await?,
            Step::Verify { sha256 } => self.verify(sha256)?,
            Step::Apply(pause) => self.apply(*pause).await?,
            Step::Restart(pause) => self.restart(*pause).await?,
            Step::ForgetReported(template) => {
                let known = self.behaviour.reported().into_iter();
                let mut properties: Object = known.map(|(name, _)| (name, Value::Null)).collect();
                properties.extend(self.object(template));
                self.report(properties).await;
            }
            Step::Require(requirement) => self.require(requirement)?,
            Step::StopIf { path, equals } => {
                let (value, equals) = (path.find(self), self.render(equals));
                if let (Some(value), Some(equals)) = (value, equals)
                    && same(&value, &equals)
                {
                    self.handle.note(format!("nothing to do: {path} is {value}"));
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(Flow::Next)
    }

    fn render(&self, template: &Template) -> Option<Value> {
        let mut missing = Vec::new();
        let value = template.render(self, &mut missing);
        for path in missing {
            self.handle.note(format!("there is no {path}, and it is left out"));
        }
        value
    }

    fn object(&self, template: &Template) -> Object {
        match self.render(template) {
            Some(Value::Object(object)) => object,
            _ => Object::new(),
        }
    }

    fn length(&self, pause: Pause) -> Duration {
        // One draw a device: a slow one is slow throughout.
        pause.length(self.handle.draw("pace", 0), self.handle.time_scale())
    }

    async fn report(&mut self, properties: Object) {
        if properties.is_empty() {
            return;
        }
        if self.reports.len() == 2 {
            let earlier = self.reports.pop_front();
            if let (Some(earlier), Some(FaultKind::TwinRegression)) = (earlier, self.handle.strike(Point::Report)) {
                self.handle.note("a fault: an earlier report is made again".into());
                self.behaviour.report(self.handle, earlier).await;
            }
        }
        self.reports.push_back(properties.clone());
        self.behaviour.report(self.handle, properties).await;
    }

    /// Answers the call unless it was answered before.
    async fn answer(&mut self, status: i32, payload: Value) {
        let Some(call) = self.call.take() else { return };
        let Some(answer) = Answer::of(self.handle, status, payload) else {
            return;
        };
        match self.late.take() {
            Some(late) if !answer.after.is_zero() => {
                // Nobody takes it when the device is being stopped.
                let _ = late.send(answer);
            }
            _ => self.handle.respond(call, answer.status, answer.payload).await,
        }
    }

    async fn download(&mut self, uri: &Template, at_least: Pause) -> Result<(), Failure> {
        let uri = self.render(uri);
        let url = uri.as_ref().and_then(Value::as_str).and_then(package_address);
        let url = url.ok_or_else(|| {
            Failure::new(
                "invalidUri",
                7,
                "the package's address must begin with http:// or https://",
            )
        })?;
        let shown = shown(url.clone());
        self.handle.note(format!("downloads {shown}"));
        if self.handle.strike(Point::Download) == Some(FaultKind::NoSpace) {
            return Err(Failure::new("noSpace", 2, "there is no space for the package"));
        }
        let began = Instant::now();
        let Package { size, mut sha256 } = self.handle.download(url).await?;
        if self.handle.strike(Point::Verify) == Some(FaultKind::WrongChecksum) {
            let digit = if sha256.starts_with('0') { "1" } else { "0" };
            sha256.replace_range(..1.min(sha256.len()), digit);
        }
        self.handle
            .note(format!("downloaded {size} bytes with SHA-256 {sha256}"));
        self.package = Some(json!({ "uri": shown, "size": size, "sha256": sha256 }));
        let rest = self.length(at_least).saturating_sub(began.elapsed());
        self.handle.sleep(rest).await;
        Ok(())
    }

    fn verify(&self, ordered: &Template) -> Result<(), Failure> {
        let actual = self.package.as_ref().and_then(|package| package["sha256"].as_str());
        let ordered = self.render(ordered);
        match (ordered.as_ref().and_then(Value::as_str), actual) {
            (Some(ordered), Some(actual)) if !ordered.trim().eq_ignore_ascii_case(actual) => {
                let message = format!(
                    "the package's SHA-256 is {actual}, expected was {}",
                    ordered.trim().to_ascii_lowercase()
                );
                Err(Failure::new("checksumMismatch", 5, message))
            }
            _ => Ok(()),
        }
    }

    async fn apply(&mut self, pause: Pause) -> Result<(), Failure> {
        self.before_apply = Some(self.handle.memory());
        self.handle.note("applies the package".into());
        self.handle.sleep(self.length(pause)).await;
        match self.handle.strike(Point::Apply) {
            Some(FaultKind::ApplyFails) => Err(Failure::new("applyFailed", 8, "the package could not be applied")),
            _ => Ok(()),
        }
    }

    async fn restart(&mut self, pause: Pause) -> Result<(), Failure> {
        let off = self.length(pause);
        let fault = self
            .before_apply
            .as_ref()
            .and_then(|_| self.handle.strike(Point::Restart));
        let (boots, failure) = match fault {
            Some(FaultKind::RollsBack) => {
                let message = "the new firmware found itself unwell, and the one before is back";
                (1, Some(Failure::new("rolledBack", 8, message)))
            }
            Some(FaultKind::BootLoop { times }) => {
                let message =
                    format!("the new firmware did not come up after {times} restarts, and the one before is back");
                (times.clamp(1, MAX_BOOTS), Some(Failure::new("bootLoop", 8, message)))
            }
            _ => (1, None),
        };
        for _ in 0..boots {
            self.handle.note("restarts".into());
            self.handle.restart(off).await;
        }
        if failure.is_some() {
            self.roll_back();
            self.handle.note("restarts with the firmware before".into());
            self.handle.restart(off).await;
        }
        self.behaviour.boot(self.handle).await;
        match failure {
            Some(failure) => Err(Failure {
                rolled_back: true,
                ..failure
            }),
            None => Ok(()),
        }
    }

    /// The firmware before remembers what it did.
    fn roll_back(&self) {
        if let Some(before) = &self.before_apply {
            let changes = merge::difference(&self.handle.memory(), before);
            self.behaviour.remember(self.handle, &changes);
        }
    }

    fn require(&self, requirement: &Requirement) -> Result<(), Failure> {
        let Requirement {
            path, equals, check, ..
        } = requirement;
        let value = path.find(self);
        let problem = match (check, &value) {
            (Some(check), value) => check.problem(&path.to_string(), value.as_ref()),
            (None, None) => Some(format!("{path} is missing")),
            (None, Some(_)) => None,
        };
        let problem = problem.or_else(|| {
            let equals = self.render(equals.as_ref()?)?;
            let right = value.as_ref().is_some_and(|value| same(value, &equals));
            (!right).then(|| format!("{path} must be {equals}"))
        });
        match problem {
            Some(problem) => {
                let message = requirement.message.clone().unwrap_or(problem);
                Err(Failure::new(&requirement.error, requirement.number, message))
            }
            None => Ok(()),
        }
    }
}

/// The address as the twin may show it: its query often is a signature that opens a storage.
fn shown(mut url: reqwest::Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for addresses that cannot have a user, which `package_address` refuses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;

    const HEAD: &str = "name = 'm'\ntitle = 'M'\n";

    async fn after(text: &str, method: &str, payload: Value) -> (Vec<String>, Vec<String>) {
        let device = Recording::parsed(&format!("{HEAD}{text}"));
        device.call(method, payload).await;
        let notes = device.notes.lock().unwrap().clone();
        (device.lines(), notes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_method_that_gives_no_answer_is_answered_for_when_it_ends() {
        let (lines, _) = after("[methods.m]\nsteps = [{ wait = '3s' }]", "m", Value::Null).await;
        assert_eq!(lines, ["3 respond 200 null"]);
        let failing = "[methods.m]\npayload.x = { type = 'number', required = false }\nsteps = [{ require = { path = 'payload.x', error = 'noX', number = 6 } }]";
        let (lines, notes) = after(failing, "m", Value::Null).await;
        assert_eq!(
            lines,
            [r#"0 respond 500 {"code":"noX","message":"payload.x is missing"}"#]
        );
        assert_eq!(notes, ["failed with noX: payload.x is missing"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_steps_may_answer_and_know_the_error() {
        let text = "[methods.m]\nsteps = [{ require = { path = 'memory.locked', equals = true, error = 'open', message = 'the door is open' } }]\n\
                    failed = [{ answer = { status = 423, payload = '{error.number} {error.code}: {error.message}' } }]\n\
                    [memory]\nlocked = false";
        let (lines, _) = after(text, "m", Value::Null).await;
        assert_eq!(lines, [r#"0 respond 423 "8 open: the door is open""#]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_there_for_the_next_routine_and_null_goes_back() {
        let text = "[memory]\ncount = { total = 0, last = 'none' }\n\
                    [methods.set]\npayload.to = { type = 'any', required = false }\nsteps = [{ remember = { count = '{payload.to | null}' } }]\n\
                    [methods.get]\nsteps = [{ answer = { payload = '{memory.count}' } }]";
        let device = Recording::parsed(&format!("{HEAD}{text}"));
        for (to, expected) in [
            (json!({ "total": 2 }), r#"{"total":2,"last":"none"}"#),
            (Value::Null, r#"{"total":0,"last":"none"}"#),
        ] {
            device.call("set", json!({ "to": to })).await;
            device.call("get", Value::Null).await;
            assert_eq!(device.lines()[1], format!("0 respond 200 {expected}"));
        }
        device.call("set", json!({ "to": "x".repeat(40_000) })).await;
        device.call("get", Value::Null).await;
        assert!(device.lines()[1].contains("none"), "too much is not remembered");
        assert!(device.notes.lock().unwrap()[0].contains("more than 32768 bytes"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_sent_and_what_is_missing_is_left_out_and_noted() {
        let text = "[methods.m]\npayload.a = { type = 'number', required = false }\nsteps = [{ send = { a = '{payload.a}', id = '{device.id}' } }]";
        let (lines, notes) = after(text, "m", Value::Null).await;
        assert_eq!(lines[0], r#"0 send {"id":"pump-1"}"#);
        assert_eq!(notes, ["there is no payload.a, and it is left out"]);
    }

    #[test]
    fn times_are_scaled_and_vary_by_the_device_s_pace() {
        let pause = Pause {
            time: "20s".parse().unwrap(),
            vary: 0.25,
        };
        let length = |pace: f64, scale: f64| pause.length(pace, scale).as_millis();
        assert_eq!((length(0.0, 1.0), length(0.5, 1.0)), (15_000, 20_000));
        assert_eq!(length(0.5, 0.01), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_desired_property_runs_when_it_is_set_again_and_not_when_it_was_handled_or_removed() {
        let text = "[desired.'a.b']\nsteps = [{ report = { is = '{desired.a.b}' } }]";
        let device = Recording::parsed(&format!("{HEAD}{text}"));
        let steps: [(Value, &[&str]); 5] = [
            (json!({ "a": { "b": 1 } }), &[r#"0 report {"is":1}"#]),
            (json!({ "a": { "b": 1 } }), &[r#"0 report {"is":1}"#]),
            (json!({ "a": { "c": 1 } }), &[]),
            (json!({ "a": null }), &[]),
            (json!({ "a": { "b": 2 } }), &[r#"0 report {"is":2}"#]),
        ];
        for (patch, expected) in steps {
            device.desire(patch).await;
            assert_eq!(device.lines(), expected);
        }
        // Handled before the restart, and not handled.
        device.boot(json!({ "a": { "b": 2 } }), json!({})).await;
        assert_eq!(device.lines(), [""; 0]);
        device.boot(json!({ "a": { "b": 3 } }), json!({})).await;
        assert_eq!(device.lines(), [r#"0 report {"is":3}"#]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_exclusive_desired_property_waits_for_its_turn_and_takes_the_newest_value() {
        let text = "[desired.a]\nexclusive = true\nsteps = [{ wait = '10s' }, { report = { is = '{desired.a}' } }]\n\
                    [methods.m]\nexclusive = true\nsteps = [{ answer = {} }, { wait = '5s' }]";
        let device = Recording::parsed(&format!("{HEAD}{text}"));
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            device.desire(json!({ "a": 1 })).await;
            device.desire(json!({ "a": 2 })).await;
        };
        tokio::join!(device.call("m", Value::Null), later);
        assert_eq!(device.lines(), ["0 respond 200 null", r#"15 report {"is":2}"#]);
        tokio::join!(device.desire(json!({ "a": 3 })), device.call("m", Value::Null));
        let lines = device.lines();
        assert!(
            lines[0].contains("409") && lines[0].contains("a is running already"),
            "{lines:?}"
        );
    }

    #[test]
    fn the_address_that_is_shown_holds_no_secret() {
        let url = "https://user:word@packages.example/fw.bin?sig=secret#part"
            .parse()
            .unwrap();
        assert_eq!(shown(url), "https://packages.example/fw.bin");
    }
}
