//! Reading model files: what types cannot say is checked here.

use std::collections::BTreeSet;

use hub_protocol::{
    DeviceId,
    merge::{self, Object},
};
use toml::Spanned;

use super::{
    Desired, Keeps, Method, Model,
    file::{ModelFile, RoutineFile, StepFile},
    step::{Known, Routine, Step, Trigger, Wrong},
    telemetry::{GeneratorFile, Telemetry, TelemetryFile},
    template::Root,
};
use crate::FileError;

/// Bytes of a model file.
pub(super) const MAX_FILE: usize = 64 * 1024;
const MAX_METHODS: usize = 64;
/// As many as there are bits to remember which of them run.
const MAX_DESIRED: usize = 64;
const MAX_TELEMETRY: usize = 16;
const MAX_VALUES: usize = 64;
const SHORTEST_TIMER_MS: u128 = 100;
const MAX_METHOD_NAME: usize = 100;

impl Model {
    /// Reads a model file. `files` gives the text of files beside it that it names.
    pub fn parse(text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, FileError> {
        if text.len() > MAX_FILE {
            let message = format!("the model has {} bytes; at most {MAX_FILE} are read", text.len());
            return Err(FileError::new(text, None, &message));
        }
        let file: ModelFile = toml::from_str(text)
            .map_err(|error| FileError::new(text, error.span().map(|span| span.start), error.message()))?;
        Self::checked(&file, text, files)
            .map_err(|wrong| FileError::new(text, wrong.place.map(|place| place.start), &wrong.message))
    }

    fn checked(file: &ModelFile, text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let name = file.name.get_ref();
        if DeviceId::new(name.clone()).is_err() {
            let message = format!("{name:?} is no name for a model; use letters, digits and - . _ as in firmware-a");
            return Err(Wrong::at(&file.name, message));
        }
        if let Some(id) = &file.model_id
            && !is_model_id(id.get_ref())
        {
            let message = format!(
                "{:?} is no model id; one looks like dtmi:com:example:Thermostat;1",
                id.get_ref()
            );
            return Err(Wrong::at(id, message));
        }
        let memory = memory(file.memory.as_ref())?;
        let remembered = remembered(file, &memory);
        let known = Known {
            memory: remembered.as_ref(),
        };
        let reported = file.reported.as_ref();
        let boot_steps = file
            .boot
            .as_ref()
            .map_or(&[] as &[Spanned<StepFile>], |boot| &boot.steps);
        let mut model = Self {
            name: name.clone(),
            title: file.title.clone(),
            about: file.about.clone(),
            model_id: file.model_id.as_ref().map(|id| id.get_ref().clone()),
            firmware: file.firmware,
            telemetry: timers(file, files)?,
            methods: methods(file, &known)?,
            desired: desired(file, &known)?,
            boot: Routine::boot(reported, boot_steps, &known)?,
            memory,
            keeps: Keeps::default(),
            source: text.to_owned(),
        };
        model.keeps = model.what_it_keeps();
        Ok(model)
    }

    fn what_it_keeps(&self) -> Keeps {
        let mut keeps = Keeps {
            desired: !self.desired.is_empty(),
            ..Keeps::default()
        };
        let routines = self.methods.iter().map(|method| &method.routine);
        let routines = routines.chain(self.desired.iter().map(|desired| &desired.routine));
        for step in routines.flat_map(Routine::each).chain(&self.boot) {
            keeps.names |= matches!(step, Step::ForgetReported(_));
            step.each_path(&mut |path| {
                keeps.desired |= path.root == Root::Desired;
                keeps.reported |= path.root == Root::Reported;
            });
        }
        keeps
    }
}

fn is_model_id(text: &str) -> bool {
    let segment = |segment: &str| {
        segment.starts_with(|c: char| c.is_ascii_alphabetic())
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !segment.ends_with('_')
    };
    let version = |text: &str| !text.starts_with('0') && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix("dtmi:").and_then(|rest| rest.split_once(';'));
    text.len() <= 128
        && parts.is_some_and(|(path, number)| path.split(':').all(segment) && !number.is_empty() && version(number))
}

fn memory(file: Option<&Spanned<Object>>) -> Result<Object, Wrong> {
    let Some(file) = file else { return Ok(Object::new()) };
    let memory = file.get_ref();
    if let Some(name) = memory.keys().find(|name| name.starts_with('$')) {
        let message = format!("{name:?} cannot be remembered: names that begin with $ are the simulator's");
        return Err(Wrong::at(file, message));
    }
    merge::check_size("memory", memory).map_err(|error| Wrong::at(file, error.to_string()))?;
    Ok(memory.clone())
}

/// Every name that a device may come to remember; `None` when that shows only at run time.
fn remembered(file: &ModelFile, memory: &Object) -> Option<BTreeSet<String>> {
    let routines = file.methods.values().chain(file.desired.values()).map(Spanned::get_ref);
    let in_routines = routines.flat_map(|routine| {
        [
            &routine.steps,
            &routine.failed,
            &routine.apply_failed,
            &routine.rolled_back,
        ]
        .into_iter()
        .flatten()
    });
    let in_boot = file.boot.iter().flat_map(|boot| &boot.steps);
    let changes = in_routines
        .chain(in_boot)
        .filter_map(|step| step.get_ref().remember.as_ref());
    let names = memory.keys().chain(changes.flat_map(Object::keys));
    names.map(|name| (!name.contains('{')).then(|| name.clone())).collect()
}

fn timers(file: &ModelFile, files: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Telemetry>, Wrong> {
    if let Some(many) = file.telemetry.values().nth(MAX_TELEMETRY) {
        return Err(Wrong::at(many, format!("a model has at most {MAX_TELEMETRY} timers")));
    }
    let timer = |(name, timer): (&String, &Spanned<TelemetryFile>)| {
        let inner = timer.get_ref();
        if inner.every.get().as_millis() < SHORTEST_TIMER_MS {
            let message = format!(
                "every = {:?} is too often; write 100ms or more",
                inner.every.to_string()
            );
            return Err(Wrong::at(timer, message));
        }
        if inner.values.is_empty() || inner.values.len() > MAX_VALUES {
            return Err(Wrong::at(timer, format!("a message holds 1 to {MAX_VALUES} values")));
        }
        let value = |(value, generator): (&String, &GeneratorFile)| {
            let generator = generator.generator(files);
            let generator = generator.map_err(|message| Wrong::at(timer, format!("{value}: {message}")))?;
            Ok((value.clone(), generator))
        };
        Ok(Telemetry {
            name: name.clone(),
            every: inner.every.get(),
            values: inner.values.iter().map(value).collect::<Result<_, _>>()?,
        })
    };
    file.telemetry.iter().map(timer).collect()
}

fn methods(file: &ModelFile, known: &Known<'_>) -> Result<Vec<Method>, Wrong> {
    if let Some(many) = file.methods.values().nth(MAX_METHODS) {
        return Err(Wrong::at(many, format!("a model has at most {MAX_METHODS} methods")));
    }
    let method = |(name, routine): (&String, &Spanned<RoutineFile>)| {
        let right = |c: char| c.is_ascii_alphanumeric() || "_.~*-".contains(c);
        if name.is_empty() || name.len() > MAX_METHOD_NAME || !name.chars().all(right) {
            let message =
                format!("{name:?} is no name for a method; use up to {MAX_METHOD_NAME} letters, digits and _ . ~ * -");
            return Err(Wrong::at(routine, message));
        }
        let payload = &routine.get_ref().payload;
        let declared = payload.keys().cloned().collect();
        Ok(Method {
            name: name.clone(),
            payload: payload.clone(),
            routine: Routine::compile(routine, Trigger::Method(&declared), known)?,
        })
    };
    file.methods.iter().map(method).collect()
}

fn desired(file: &ModelFile, known: &Known<'_>) -> Result<Vec<Desired>, Wrong> {
    if let Some(many) = file.desired.values().nth(MAX_DESIRED) {
        return Err(Wrong::at(
            many,
            format!("a model handles at most {MAX_DESIRED} desired properties"),
        ));
    }
    let desired = |(path, routine): (&String, &Spanned<RoutineFile>)| {
        let bad = |name: &str| name.is_empty() || name.contains(|c: char| c.is_whitespace() || "$#{}".contains(c));
        if path.split('.').any(bad) {
            let message = format!("{path:?} is no path of a desired property; write names with dots between");
            return Err(Wrong::at(routine, message));
        }
        if !routine.get_ref().payload.is_empty() {
            let message = "a desired property has no payload; check its value with a step require";
            return Err(Wrong::at(routine, message));
        }
        Ok(Desired {
            path: path.clone(),
            routine: Routine::compile(routine, Trigger::Desired, known)?,
        })
    };
    file.desired.iter().map(desired).collect()
}
