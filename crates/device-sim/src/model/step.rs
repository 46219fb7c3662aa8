//! Routines: steps as they run, made from the file's, with what types cannot say checked.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use hub_protocol::merge::Object;
use serde_json::Value;
use toml::Spanned;

use super::{
    check::Check,
    file::{RoutineFile, StepFile},
    template::{NoTemplate, Path, Root, Segment, Template, names},
};
use crate::duration::Time;

pub(crate) const MAX_STEPS: usize = 256;
/// LwM2M's number for an update that failed for no other reason.
pub(crate) const UPDATE_FAILED: u8 = 8;

#[derive(Debug, Default)]
pub(crate) struct Routine {
    pub(crate) exclusive: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) failed: Vec<Step>,
    pub(crate) apply_failed: Vec<Step>,
    pub(crate) rolled_back: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Step {
    Wait(Pause),
    Report(Template),
    Remember(Template),
    Answer { status: i32, payload: Template },
    Send(Template),
    Download { uri: Template, at_least: Pause },
    Verify { sha256: Template },
    Apply(Pause),
    Restart(Pause),
    ForgetReported(Template),
    Require(Box<Requirement>),
    StopIf { path: Path, equals: Template },
}

#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) path: Path,
    pub(crate) equals: Option<Template>,
    pub(crate) check: Option<Check>,
    pub(crate) error: String,
    pub(crate) message: Option<String>,
    pub(crate) number: u8,
}

impl Step {
    pub(super) fn each_path(&self, visit: &mut impl FnMut(&Path)) {
        match self {
            Self::Wait(_) | Self::Apply(_) | Self::Restart(_) => {}
            Self::Report(template)
            | Self::Remember(template)
            | Self::Answer { payload: template, .. }
            | Self::Send(template)
            | Self::Download { uri: template, .. }
            | Self::Verify { sha256: template }
            | Self::ForgetReported(template) => template.each_path(visit),
            Self::Require(requirement) => {
                requirement.path.each(visit);
                requirement.equals.iter().for_each(|template| template.each_path(visit));
            }
            Self::StopIf { path, equals } => {
                path.each(visit);
                equals.each_path(visit);
            }
        }
    }
}

/// A time that differs from device to device by the share `vary`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pause {
    pub(crate) time: Time,
    pub(crate) vary: f64,
}

impl Pause {
    /// As long as it takes a device of this pace, in `0.0..1.0`, at this time scale.
    pub(crate) fn length(self, pace: f64, time_scale: f64) -> Duration {
        let varied = 1.0 + self.vary * (2.0 * pace - 1.0);
        self.time.scaled(time_scale * varied)
    }
}

/// What is wrong in a model, and where in its text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) place: Option<Range<usize>>,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn at<T>(spanned: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            place: Some(spanned.span()),
            message: message.into(),
        }
    }
}

/// What started a routine, and so what its steps may use.
#[derive(Clone, Copy)]
pub(super) enum Trigger<'a> {
    /// The names its payload may have.
    Method(&'a BTreeSet<String>),
    Desired,
    Boot,
}

/// What a template may speak of.
pub(super) struct Known<'a> {
    /// What may be remembered; `None` when names are only known at run time.
    pub(super) memory: Option<&'a BTreeSet<String>>,
}

impl Routine {
    pub(super) fn compile(file: &Spanned<RoutineFile>, trigger: Trigger<'_>, known: &Known<'_>) -> Result<Self, Wrong> {
        let RoutineFile {
            exclusive,
            steps,
            failed,
            apply_failed,
            rolled_back,
            payload: _,
        } = file.get_ref();
        if steps.is_empty() {
            return Err(Wrong::at(file, "there is nothing to do; write at least one step"));
        }
        let count = steps.len() + failed.len() + apply_failed.len() + rolled_back.len();
        if count > MAX_STEPS {
            let message = format!("{count} steps are too many; a routine has at most {MAX_STEPS}");
            return Err(Wrong::at(file, message));
        }
        let mut list = List::new(trigger, known);
        let steps = list.compile(steps)?;
        for (name, after, possible, needs) in [
            ("failed", failed, list.can_fail, "no step before can fail"),
            ("applyFailed", apply_failed, list.applies, "there is no step apply"),
            (
                "rolledBack",
                rolled_back,
                list.restarts_applied,
                "there is no restart after apply",
            ),
        ] {
            if let (false, Some(first)) = (possible, after.first()) {
                let message = format!("these steps can never be reached: {needs}; remove {name}");
                return Err(Wrong::at(first, message));
            }
        }
        let after = |steps: &[Spanned<StepFile>]| List::after_failure(trigger, known, list.downloads).compile(steps);
        Ok(Self {
            exclusive: *exclusive,
            failed: after(failed)?,
            apply_failed: after(apply_failed)?,
            rolled_back: after(rolled_back)?,
            steps,
        })
    }

    /// What runs at a boot: the report first, then the steps.
    pub(super) fn boot(
        reported: Option<&Spanned<Object>>,
        steps: &[Spanned<StepFile>],
        known: &Known<'_>,
    ) -> Result<Vec<Step>, Wrong> {
        if let Some(many) = steps.get(MAX_STEPS) {
            return Err(Wrong::at(many, format!("a routine has at most {MAX_STEPS} steps")));
        }
        let mut list = List::new(Trigger::Boot, known);
        let mut boot = Vec::new();
        if let Some(reported) = reported {
            let template = list
                .report(reported.get_ref())
                .map_err(|message| Wrong::at(reported, message))?;
            boot.push(Step::Report(template));
        }
        boot.extend(list.compile(steps)?);
        Ok(boot)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Step> {
        [&self.steps, &self.failed, &self.apply_failed, &self.rolled_back]
            .into_iter()
            .flatten()
    }
}

/// One list of steps while it is read: what came before decides what may come.
struct List<'a> {
    trigger: Trigger<'a>,
    known: &'a Known<'a>,
    /// Among the steps that run after a failure.
    after_failure: bool,
    answers: bool,
    downloads: bool,
    applies: bool,
    restarts_applied: bool,
    can_fail: bool,
}

impl<'a> List<'a> {
    fn new(trigger: Trigger<'a>, known: &'a Known<'a>) -> Self {
        Self {
            trigger,
            known,
            after_failure: false,
            answers: false,
            downloads: false,
            applies: false,
            restarts_applied: false,
            can_fail: false,
        }
    }

    fn after_failure(trigger: Trigger<'a>, known: &'a Known<'a>, downloads: bool) -> Self {
        Self {
            after_failure: true,
            downloads,
            ..Self::new(trigger, known)
        }
    }

    fn compile(&mut self, steps: &[Spanned<StepFile>]) -> Result<Vec<Step>, Wrong> {
        let step = |step: &Spanned<StepFile>| self.step(step.get_ref()).map_err(|message| Wrong::at(step, message));
        steps.iter().map(step).collect()
    }

    fn step(&mut self, file: &StepFile) -> Result<Step, String> {
        let vary = file.vary.unwrap_or_default();
        if !(0.0..=1.0).contains(&vary) {
            return Err(format!(
                "vary = {vary} must lie between 0 and 1; 0.25 is a quarter more or less"
            ));
        }
        let pause = |time: Time| Pause { time, vary };
        let mut found = Vec::new();
        if let Some(time) = file.wait {
            found.push(("wait", Step::Wait(pause(time))));
        }
        if let Some(properties) = &file.report {
            found.push(("report", Step::Report(self.report(properties)?)));
        }
        if let Some(changes) = &file.remember {
            if let Some(name) = changes.keys().find(|name| name.starts_with('$')) {
                return Err(format!(
                    "{name:?} cannot be remembered: names that begin with $ are the simulator's"
                ));
            }
            found.push(("remember", Step::Remember(self.object(changes)?)));
        }
        if let Some(answer) = &file.answer {
            let status = answer.status.unwrap_or(200);
            let payload = answer.payload.as_ref().unwrap_or(&Value::Null);
            let payload = self.template(payload)?;
            found.push(("answer", Step::Answer { status, payload }));
        }
        if let Some(message) = &file.send {
            found.push(("send", Step::Send(self.template(message)?)));
        }
        if let Some(download) = &file.download {
            let uri = self.template(&Value::String(download.uri.clone()))?;
            let at_least = pause(download.at_least.unwrap_or_default());
            found.push(("download", Step::Download { uri, at_least }));
        }
        if let Some(verify) = &file.verify {
            let sha256 = self.template(&Value::String(verify.sha256.clone()))?;
            found.push(("verify", Step::Verify { sha256 }));
        }
        if let Some(time) = file.apply {
            found.push(("apply", Step::Apply(pause(time))));
        }
        if let Some(time) = file.restart {
            found.push(("restart", Step::Restart(pause(time))));
        }
        if let Some(properties) = &file.forget_reported {
            found.push(("forgetReported", Step::ForgetReported(self.report(properties)?)));
        }
        if let Some(require) = &file.require {
            let requirement = Requirement {
                path: self.path(&require.path)?,
                equals: require.equals.as_ref().map(|value| self.template(value)).transpose()?,
                check: require.check.clone(),
                error: require.error.clone(),
                message: require.message.clone(),
                number: require.number.unwrap_or(UPDATE_FAILED),
            };
            found.push(("require", Step::Require(Box::new(requirement))));
        }
        if let Some(stop) = &file.stop_if {
            let (path, equals) = (self.path(&stop.path)?, self.template(&stop.equals)?);
            found.push(("stopIf", Step::StopIf { path, equals }));
        }
        let step = match (found.pop(), found.is_empty()) {
            (None, _) => return Err(format!("this step does nothing; write one of {}", names(STEPS))),
            (Some((_, step)), true) => step,
            (Some((last, _)), false) => {
                let all = found.iter().map(|(name, _)| *name).chain([last]);
                let all = Vec::from_iter(all).join(" and ");
                return Err(format!(
                    "a step does one thing, and this one would {all}; write a step for each"
                ));
            }
        };
        self.order(&step, file.vary.is_some())?;
        Ok(step)
    }

    /// Whether the step makes sense here, and what it makes possible for those after it.
    fn order(&mut self, step: &Step, varies: bool) -> Result<(), String> {
        let takes_time = matches!(
            step,
            Step::Wait(_) | Step::Apply(_) | Step::Restart(_) | Step::Download { .. }
        );
        if varies && !takes_time {
            return Err("vary belongs to wait, apply, restart and download, which take time".into());
        }
        let fails = match step {
            Step::Download { .. } | Step::Verify { .. } | Step::Apply(_) | Step::Require(_) => true,
            Step::Restart(_) => self.applies,
            _ => false,
        };
        if fails && self.after_failure {
            return Err("a step that can fail has no place among those that run after a failure".into());
        }
        if fails && matches!(self.trigger, Trigger::Boot) {
            return Err("a step that can fail has no place in a boot, which nothing could be told of".into());
        }
        self.can_fail |= fails;
        match step {
            Step::Answer { .. } if !matches!(self.trigger, Trigger::Method(_)) => {
                return Err("nobody waits for an answer here; only methods are answered".into());
            }
            Step::Answer { .. } if self.answers => {
                return Err(
                    "this answer can never be given: a step before has answered; a method is answered once".into(),
                );
            }
            Step::Answer { status, .. } if !(0..=i32::MAX).contains(status) => {
                return Err(format!(
                    "the status {status} is below 0; 200 is fine, 400 and more are errors"
                ));
            }
            Step::Answer { .. } => self.answers = true,
            Step::Verify { .. } if !self.downloads => {
                return Err("there is nothing to verify: a download must come before".into());
            }
            Step::Download { .. } => self.downloads = true,
            Step::Apply(_) => self.applies = true,
            Step::Restart(_) if matches!(self.trigger, Trigger::Boot) => {
                return Err("a boot that restarts would never end".into());
            }
            Step::Restart(_) => self.restarts_applied |= self.applies,
            _ => {}
        }
        Ok(())
    }

    fn report(&self, properties: &Object) -> Result<Template, String> {
        let template = self.object(properties)?;
        check_names(properties)?;
        Ok(template)
    }

    fn object(&self, object: &Object) -> Result<Template, String> {
        self.template(&Value::Object(object.clone()))
    }

    fn template(&self, value: &Value) -> Result<Template, String> {
        let template = Template::parse(value).map_err(|error| error.to_string())?;
        let mut problem = None;
        template.each_path(&mut |path| {
            if problem.is_none() {
                problem = self.problem(path);
            }
        });
        problem.map_or(Ok(template), Err)
    }

    fn path(&self, text: &str) -> Result<Path, String> {
        let path = Path::parse(text).map_err(|error| match error {
            NoTemplate::Path(_) if text.contains('{') => format!("{text:?} is a path, which is written without braces"),
            other => other.to_string(),
        })?;
        self.problem(&path).map_or(Ok(path), Err)
    }

    /// Why a path can lead nowhere here.
    fn problem(&self, path: &Path) -> Option<String> {
        let first = match path.segments.first() {
            Some(Segment::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let known = |names: &[&'static str]| {
            let unknown = first.is_some_and(|first| !names.contains(&first));
            unknown.then(|| {
                format!(
                    "{{{path}}} is not known; there is {}",
                    self::names(names.iter().map(|name| format!("{{{}.{name}}}", path.root)))
                )
            })
        };
        match path.root {
            Root::Payload => match self.trigger {
                Trigger::Method(names) => first.filter(|first| !names.contains(*first)).map(|first| {
                    format!("{{{path}}} is not declared; add payload.{first} = {{ type = \"any\" }} or the like to the method")
                }),
                _ => Some(format!("{{{path}}} is not known here; only methods have a payload")),
            },
            Root::Package if !self.downloads => Some(format!("{{{path}}} is not known here; a download must come before")),
            Root::Package => known(&["uri", "size", "sha256"]),
            Root::Error if !self.after_failure => Some(format!(
                "{{{path}}} is not known here; only failed, applyFailed and rolledBack have an error"
            )),
            Root::Error => known(&["code", "message", "number"]),
            Root::Device => known(&["id"]),
            Root::Memory => {
                let (memory, first) = (self.known.memory?, first?);
                (!memory.contains(first)).then(|| {
                    format!("{{{path}}} is never remembered; add {first} to [memory], or a step remember that sets it")
                })
            }
            Root::Now | Root::Null if !path.segments.is_empty() => {
                Some(format!("{{{path}}} is not known; {} has no members", path.root))
            }
            Root::Now | Root::Null | Root::Desired | Root::Reported => None,
        }
    }
}

/// What a hub would refuse in the names of properties; those made at run time it refuses itself.
fn check_names(properties: &Object) -> Result<(), String> {
    for (name, value) in properties {
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '.' | '$' | '#');
        if name.is_empty() || (!name.contains('{') && name.contains(bad)) {
            return Err(format!(
                "{name:?} is no name for a property; it may not be empty nor hold blanks, . $ or #"
            ));
        }
        if let Value::Object(inner) = value {
            check_names(inner)?;
        }
    }
    Ok(())
}

const STEPS: [&str; 12] = [
    "wait",
    "report",
    "remember",
    "answer",
    "send",
    "download",
    "verify",
    "apply",
    "restart",
    "forgetReported",
    "require",
    "stopIf",
];
