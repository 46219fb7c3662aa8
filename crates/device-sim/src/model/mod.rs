//! Models: what a kind of simulated device remembers, reports, sends, answers and does, as data.
//! `docs/models.md` says how they are written.

#[cfg(test)]
mod built_in;
mod check;
mod file;
mod step;
mod telemetry;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Arc, LazyLock},
};

use hub_protocol::{
    DeviceId,
    merge::{self, Object},
};
use schemars::generate::SchemaSettings;
use serde_json::Value;
use toml::Spanned;

use self::{
    check::Check,
    file::{ModelFile, StepFile},
    step::{Known, Trigger, Wrong},
    template::names,
};

pub use self::file::FirmwareSchema;
pub(crate) use self::{
    check::{package_address, same},
    step::{Pause, Requirement, Routine, Step},
    telemetry::Telemetry,
    template::{Root, Scope, Template},
};

/// Bytes of a model file.
const MAX_FILE: usize = 64 * 1024;
const MAX_METHODS: usize = 64;
/// As many as there are bits to remember which of them run.
const MAX_DESIRED: usize = 64;
const MAX_TELEMETRY: usize = 16;
const MAX_VALUES: usize = 64;
const SHORTEST_TIMER_MS: u128 = 100;
const MAX_METHOD_NAME: usize = 100;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        [$(include_str!(concat!("../../models/", $name, ".toml"))),+]
    };
}

/// The models that come with the simulator.
const BUILT_IN: [&str; 9] = built_in![
    "reboot",
    "lock-door",
    "factory-reset",
    "firmware-a",
    "firmware-b",
    "firmware-c",
    "firmware-l",
    "device-jobs",
    "thermostat",
];

/// A model, parsed and checked. Shared by all devices that are of it.
pub struct Model {
    name: String,
    title: String,
    about: String,
    model_id: Option<String>,
    firmware: Option<FirmwareSchema>,
    memory: Object,
    telemetry: Vec<Telemetry>,
    methods: Vec<Method>,
    desired: Vec<Desired>,
    boot: Vec<Step>,
    keeps: Keeps,
    source: String,
}

pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) payload: BTreeMap<String, Check>,
    pub(crate) routine: Routine,
}

pub(crate) struct Desired {
    pub(crate) path: String,
    pub(crate) routine: Routine,
}

/// What a device must keep of its twin for the routines of its model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keeps {
    pub(crate) desired: bool,
    pub(crate) reported: bool,
    /// Only the names of reported properties, to forget them.
    pub(crate) names: bool,
}

/// What is wrong in a model file, and where; lines and columns are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*.line, *.column))]
pub struct ModelError {
    pub line: Option<usize>,
    /// In characters.
    pub column: Option<usize>,
    pub message: String,
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        _ => String::new(),
    }
}

impl ModelError {
    fn new(text: &str, place: Option<Range<usize>>, message: &str) -> Self {
        let before = place.and_then(|place| text.get(..place.start));
        Self {
            line: before.map(|before| before.matches('\n').count() + 1),
            column: before.map(|before| before.chars().rev().take_while(|c| *c != '\n').count() + 1),
            message: message.trim_end().to_owned(),
        }
    }
}

impl Model {
    /// Reads a model file. `files` gives the text of files beside it that it names.
    pub fn parse(text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, ModelError> {
        if text.len() > MAX_FILE {
            let message = format!("the model has {} bytes; at most {MAX_FILE} are read", text.len());
            return Err(ModelError::new(text, None, &message));
        }
        let file: ModelFile =
            toml::from_str(text).map_err(|error| ModelError::new(text, error.span(), error.message()))?;
        Self::checked(file, text, files).map_err(|wrong| ModelError::new(text, wrong.place, &wrong.message))
    }

    fn checked(file: ModelFile, text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
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
        let remembered = remembered(&file, &memory);
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
            telemetry: timers(&file, files)?,
            methods: methods(&file, &known)?,
            desired: desired(&file, &known)?,
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

    /// The models that come with the simulator.
    pub fn built_in() -> &'static [Arc<Self>] {
        static MODELS: LazyLock<Vec<Arc<Model>>> = LazyLock::new(|| {
            let model = |text: &&str| Model::parse(text, &|_| None).ok().map(Arc::new);
            BUILT_IN.iter().filter_map(model).collect()
        });
        &MODELS
    }

    /// A built-in model by its name.
    pub fn find(name: &str) -> Option<Arc<Self>> {
        Self::built_in().iter().find(|model| model.name == name).cloned()
    }

    /// The JSON schema of model files, draft 7, as editors of TOML want it.
    pub fn json_schema() -> Value {
        let schema = SchemaSettings::draft07()
            .into_generator()
            .into_root_schema_for::<ModelFile>();
        schema.to_value()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn about(&self) -> &str {
        &self.about
    }

    /// The IoT Plug and Play model a device announces when it connects.
    pub fn model_id(&self) -> Option<&str> {
        self.model_id.as_deref()
    }

    pub fn firmware(&self) -> Option<FirmwareSchema> {
        self.firmware
    }

    /// The direct methods its devices answer, sorted.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| method.name.as_str())
    }

    /// What a new device remembers.
    pub fn memory(&self) -> &Object {
        &self.memory
    }

    /// Messages a day that a device of this model sends by itself.
    pub fn messages_per_day(&self) -> f64 {
        let a_day = |telemetry: &Telemetry| 86_400.0 / telemetry.every().as_secs_f64();
        self.telemetry.iter().map(a_day).sum()
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn telemetry(&self) -> &[Telemetry] {
        &self.telemetry
    }

    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    pub(crate) fn desired(&self) -> &[Desired] {
        &self.desired
    }

    pub(crate) fn boot(&self) -> &[Step] {
        &self.boot
    }

    pub(crate) fn keeps(&self) -> Keeps {
        self.keeps
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Model").field(&self.name).finish()
    }
}

/// The built-in models' names, for people.
pub(crate) fn all_names() -> String {
    names(Model::built_in())
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
    let timer = |(name, timer): (&String, &Spanned<telemetry::TelemetryFile>)| {
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
        let value = |(value, generator): (&String, &telemetry::GeneratorFile)| {
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
    let method = |(name, routine): (&String, &Spanned<file::RoutineFile>)| {
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
    let desired = |(path, routine): (&String, &Spanned<file::RoutineFile>)| {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "name = \"m\"\ntitle = \"M\"\n";

    fn refused(text: &str) -> ModelError {
        Model::parse(&format!("{HEAD}{text}"), &|_| None)
            .map(|model| model.name)
            .unwrap_err()
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
        // The text after the head's two lines, the place, and a part of what is said.
        let cases = [
            ("[methods.m]\nstep = []", "4:1", "unknown field `step`, expected one of"),
            (
                "[methods.m]\nsteps = [\n  { wat = '5s' },\n]",
                "5:5",
                "unknown field `wat`, expected one of `wait`, `report`",
            ),
            (
                "[methods.m]\nsteps = [{ wait = '5 s' }]",
                "4:19",
                "250ms, 20s, 5m or 2h",
            ),
            ("[methods.m]\nsteps = [{ wait = 5 }]", "4:19", "expected a string"),
            ("[methods.m\n", "3:11", "`]`"),
            ("modelId = 'thermostat'", "3:11", "dtmi:com:example:Thermostat;1"),
            ("firmware = 'D'", "3:12", "expected one of `A`, `B`, `C`, `L`"),
            ("[methods.m]\nsteps = []", "3:1", "at least one step"),
            (
                "[methods.'m m']\nsteps = [{ wait = '1s' }]",
                "3:1",
                "no name for a method",
            ),
            ("[methods.m]\nsteps = [{}]", "4:10", "write one of wait, report"),
            (
                "[methods.m]\nsteps = [{ vary = 0.5 }]",
                "4:10",
                "this step does nothing",
            ),
            (
                "[methods.m]\nsteps = [{ wait = '1s', apply = '2s' }]",
                "4:10",
                "would wait and apply",
            ),
            (
                "[methods.m]\nsteps = [{ wait = '1s', vary = 2 }]",
                "4:10",
                "between 0 and 1",
            ),
            (
                "[methods.m]\nsteps = [{ answer = {}, vary = 0.1 }]",
                "4:10",
                "vary belongs to",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{playload.x}' } }]",
                "4:10",
                "a path begins with now, payload",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{payload.x}' } }]",
                "4:10",
                "add payload.x =",
            ),
            (
                "[methods.m]\nsteps = [{ report = { 'a.b' = 1 } }]",
                "4:10",
                "no name for a property",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = 2026-01-01 } }]",
                "4:10",
                "in quotes",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{memory.x}' } }]",
                "4:10",
                "add x to [memory]",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{package.uri}' } }]",
                "4:10",
                "a download must come before",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{error.code}' } }]",
                "4:10",
                "only failed, applyFailed and rolledBack",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{device.name}' } }]",
                "4:10",
                "there is {device.id}",
            ),
            (
                "[methods.m]\nsteps = [{ report = { a = '{now.x}' } }]",
                "4:10",
                "now has no members",
            ),
            (
                "[methods.m]\nsteps = [{ remember = { '$x' = 1 } }]",
                "4:10",
                "names that begin with $",
            ),
            (
                "[methods.m]\nsteps = [{ verify = { sha256 = 'x' } }]",
                "4:10",
                "nothing to verify",
            ),
            (
                "[methods.m]\nsteps = [{ answer = {} }, { answer = {} }]",
                "4:26",
                "can never be given",
            ),
            ("[methods.m]\nsteps = [{ answer = { status = -1 } }]", "4:10", "below 0"),
            (
                "[methods.m]\nsteps = [{ wait = '1s' }]\nfailed = [{ wait = '1s' }]",
                "5:11",
                "can never be reached: no step before can fail",
            ),
            (
                "[methods.m]\nsteps = [{ require = { path = 'now', error = 'x' } }]\napplyFailed = [{ wait = '1s' }]",
                "5:16",
                "can never be reached: there is no step apply",
            ),
            (
                "[methods.m]\nsteps = [{ apply = '1s' }]\nrolledBack = [{ wait = '1s' }]",
                "5:15",
                "no restart after apply",
            ),
            (
                "[methods.m]\nsteps = [{ apply = '1s' }]\nfailed = [{ apply = '1s' }]",
                "5:11",
                "run after a failure",
            ),
            (
                "[methods.m]\nsteps = [{ require = { path = '{now}', error = 'x' } }]",
                "4:10",
                "written without braces",
            ),
            (
                "[desired.a]\nsteps = [{ answer = {} }]",
                "4:10",
                "only methods are answered",
            ),
            (
                "[desired.a]\npayload.x = { type = 'any' }\nsteps = [{ wait = '1s' }]",
                "3:1",
                "step require",
            ),
            (
                "[desired.a]\nsteps = [{ report = { a = '{payload.x}' } }]",
                "4:10",
                "only methods have a payload",
            ),
            (
                "[desired.'a..b']\nsteps = [{ wait = '1s' }]",
                "3:1",
                "no path of a desired property",
            ),
            ("[boot]\nsteps = [{ restart = '1s' }]", "4:10", "would never end"),
            ("[boot]\nsteps = [{ apply = '1s' }]", "4:10", "no place in a boot"),
            ("[reported]\na = '{payload.x}'", "3:1", "only methods have a payload"),
            ("[memory]\n'$handled' = 1", "3:1", "names that begin with $"),
            (
                "[telemetry.t]\nevery = '10ms'\nvalues.a = { constant = 1 }",
                "3:1",
                "100ms or more",
            ),
            ("[telemetry.t]\nevery = '1s'\nvalues = {}", "3:1", "1 to 64 values"),
            (
                "[telemetry.t]\nevery = '1s'\nvalues.a = { walk = { start = 1, step = 1, min = 2, max = 3 } }",
                "3:1",
                "a: a walk needs",
            ),
            (
                "[telemetry.t]\nevery = '1s'\nvalues.a = { csv = { file = 'a.csv', column = 'x' } }",
                "3:1",
                "beside the model",
            ),
        ];
        for (text, place, part) in cases {
            let error = refused(text);
            let at = format!("{}:{}", error.line.unwrap_or(0), error.column.unwrap_or(0));
            assert!(error.message.contains(part), "{text}\n{error}");
            assert_eq!(at, place, "{text}\n{error}");
        }
        let name = Model::parse("name = 'a b'\ntitle = 'x'", &|_| None).unwrap_err();
        assert!(
            name.to_string().starts_with("line 1, column 8: \"a b\" is no name"),
            "{name}"
        );
    }

    #[test]
    fn models_are_bounded() {
        let methods = |count: usize| -> String {
            let method = |number| format!("[methods.m{number}]\nsteps = [{{ wait = '1s' }}]\n");
            (0..count).map(method).collect()
        };
        assert!(Model::parse(&format!("{HEAD}{}", methods(64)), &|_| None).is_ok());
        assert!(refused(&methods(65)).message.contains("at most 64 methods"));
        let steps = |count: usize| format!("[methods.m]\nsteps = [{}]", "{ wait = '1s' },".repeat(count));
        assert!(Model::parse(&format!("{HEAD}{}", steps(256)), &|_| None).is_ok());
        assert!(refused(&steps(257)).message.contains("at most 256"));
        assert!(
            refused(&steps(257).replace("[methods.m]", "[boot]"))
                .message
                .contains("at most 256")
        );
        assert!(refused(&"#".repeat(MAX_FILE)).message.contains("at most 65536"));
    }

    #[test]
    fn a_model_tells_what_its_devices_must_keep() {
        let keeps = |text: &str| Model::parse(&format!("{HEAD}{text}"), &|_| None).unwrap().keeps();
        let nothing = Keeps::default();
        assert_eq!(keeps("[methods.m]\nsteps = [{ report = { a = '{now}' } }]"), nothing);
        assert_eq!(
            keeps("[methods.m]\nsteps = [{ forgetReported = {} }]"),
            Keeps { names: true, ..nothing }
        );
        assert_eq!(
            keeps("[reported]\na = '{reported.b?}'"),
            Keeps {
                reported: true,
                ..nothing
            }
        );
        assert_eq!(
            keeps("[desired.a]\nsteps = [{ wait = '1s' }]"),
            Keeps {
                desired: true,
                ..nothing
            }
        );
    }

    #[test]
    fn the_committed_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model.schema.json");
        let current = format!("{:#}\n", Model::json_schema());
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        if committed != current {
            std::fs::write(path, &current).unwrap();
        }
        assert!(
            committed == current,
            "the schema was out of date and is written anew; commit model.schema.json"
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_read_or_refused(text in any::<String>()) {
            if let Err(error) = Model::parse(&text, &|_| None) {
                prop_assert!(!error.message.is_empty());
            }
        }

        /// A good model with a part of it put elsewhere is read, or refused with a place in it.
        #[test]
        fn a_garbled_model_is_read_or_refused(
            model in 0..BUILT_IN.len(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 0..40_usize,
        ) {
            let text: Vec<char> = BUILT_IN[model].chars().collect();
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            let part = &text[from..(from + length).min(text.len())];
            let garbled: String = text[..to].iter().chain(part).chain(&text[to..]).collect();
            if let Err(error) = Model::parse(&garbled, &|_| None) {
                prop_assert!(error.message.len() > 5, "{}", error);
                if let Some(line) = error.line {
                    prop_assert!(line <= garbled.lines().count() + 1);
                }
            }
        }
    }
}
