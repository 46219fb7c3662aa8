//! Models: what a kind of simulated device remembers, reports, sends, answers and does, as data.
//! `docs/models.md` says how they are written.

#[cfg(test)]
mod built_in;
mod check;
mod file;
mod read;
mod step;
mod telemetry;
mod template;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use hub_protocol::merge::Object;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use self::{check::Check, file::ModelFile, template::names};

pub use self::file::FirmwareSchema;
pub(crate) use self::{
    check::{package_address, same},
    step::{Pause, Requirement, Routine, Step},
    telemetry::Telemetry,
    template::{Root, Scope, Template},
};

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

impl Model {
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
