//! A fleet as a file: which devices there are, of which model, with which tags and faults.
//! `docs/simulate.md` says how it is written.

mod load;
mod pattern;
mod shard;
mod tags;

use std::{collections::HashSet, sync::Arc};

use hub_protocol::{DeviceId, merge::Object};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;

pub use self::{
    load::{Load, Tier},
    pattern::{InvalidPattern, Pattern},
    shard::{NoShard, Shard},
};
use crate::{Fault, FileError, Model, duration::Time, fault, random::Random};

/// Bytes of a fleet file.
const MAX_FILE: usize = 256 * 1024;
const MAX_GROUPS: usize = 1_000;
/// What one hub takes.
const MAX_DEVICES: u64 = 1_000_000;
const MAX_CONNECTS: u32 = 10_000;
const MAX_TIME_SCALE: f64 = 1_000.0;

/// A fleet, read and checked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FleetFile {
    pub name: String,
    /// The same seed gives the same devices, tags and faults.
    #[serde(default)]
    pub seed: u32,
    #[serde(default)]
    pub connect: Connect,
    /// Groups of devices that are alike.
    pub devices: Vec<Group>,
    /// Faults that may strike devices of every group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Of each group.
    #[serde(skip)]
    models: Vec<Arc<Model>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Connect {
    /// Connects a second, reconnects included: 1 to 10 000. A small hub in Azure allows 100.
    pub per_second: u32,
    /// How long a device's token is good; it is renewed before it ends.
    pub token_lifetime: Time,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            per_second: 50,
            token_lifetime: Time::from(std::time::Duration::from_secs(3600)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Group {
    pub count: u32,
    /// The number of the first device.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub first: u32,
    /// What its devices are called, as in `pump-{number:4}`.
    #[schemars(with = "String")]
    pub id: Pattern,
    /// A built-in model's name, or a file beside this one.
    pub model: String,
    /// What waits of the model's steps are multiplied with; 0.01 makes it a hundred times as fast.
    #[serde(default = "normal", skip_serializing_if = "is_normal")]
    pub time_scale: f64,
    /// Each a plain value, or `{ cycle = […] }`, `{ numbered = "s{number % 50}" }` or
    /// `{ weighted = { canary = 1, broad = 9 } }`.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub tags: Object,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

fn normal() -> f64 {
    1.0
}

fn is_normal(scale: &f64) -> bool {
    (*scale - 1.0).abs() < f64::EPSILON
}

/// One device of a fleet.
#[derive(Debug, Clone)]
pub struct Member {
    pub id: DeviceId,
    /// The place of its group, from 0.
    pub group: usize,
    pub model: Arc<Model>,
    pub tags: Object,
    /// Those that strike this device.
    pub faults: Vec<Fault>,
    pub seed: u64,
    pub time_scale: f64,
}

/// A mistake, and in which group.
struct Wrong {
    group: Option<usize>,
    message: String,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { group: None, message }
    }
}

/// Where the groups stand in a file.
#[derive(Deserialize)]
struct Places {
    devices: Vec<Spanned<Value>>,
}

impl FleetFile {
    /// Reads a fleet file. `files` gives the text of files beside it that it names.
    pub fn parse(text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, FileError> {
        if text.len() > MAX_FILE {
            let message = format!("the fleet has {} bytes; at most {MAX_FILE} are read", text.len());
            return Err(FileError::new(text, None, &message));
        }
        let read: Self = toml::from_str(text)
            .map_err(|error| FileError::new(text, error.span().map(|span| span.start), error.message()))?;
        read.resolved(files).map_err(|wrong| {
            let places = toml::from_str::<Places>(text).map(|places| places.devices);
            let group = wrong
                .group
                .and_then(|group| Some(places.ok()?.get(group)?.span().start));
            FileError::new(text, group, &wrong.message)
        })
    }

    /// A fleet that was put together and not read; checked just the same.
    pub fn new(
        name: String,
        seed: u32,
        connect: Connect,
        devices: Vec<Group>,
        faults: Vec<Fault>,
        files: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, FileError> {
        let fleet = Self {
            name,
            seed,
            connect,
            devices,
            faults,
            models: Vec::new(),
        };
        fleet
            .resolved(files)
            .map_err(|wrong| FileError::new("", None, &wrong.message))
    }

    /// Checks it and finds its models.
    fn resolved(mut self, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        if self.name.is_empty() || self.name.len() > 128 {
            return Err("a fleet's name has 1 to 128 characters".to_owned().into());
        }
        if !(1..=MAX_CONNECTS).contains(&self.connect.per_second) {
            return Err(format!(
                "connect.perSecond is 1 to {MAX_CONNECTS}, not {}",
                self.connect.per_second
            )
            .into());
        }
        if self.connect.token_lifetime == Time::ZERO {
            return Err("connect.tokenLifetime is longer than nothing".to_owned().into());
        }
        if !(1..=MAX_GROUPS).contains(&self.devices.len()) {
            return Err(format!("a fleet has 1 to {MAX_GROUPS} groups of devices").into());
        }
        let total: u64 = self.devices.iter().map(|group| u64::from(group.count)).sum();
        if total > MAX_DEVICES {
            return Err(format!("a fleet has at most {MAX_DEVICES} devices, this one {total}").into());
        }
        let mut models: Vec<Arc<Model>> = Vec::new();
        let mut ids = HashSet::new();
        for (place, group) in self.devices.iter().enumerate() {
            let wrong = |message: String| Wrong {
                group: Some(place),
                message,
            };
            // Groups of one model share it.
            let same = self.devices[..place]
                .iter()
                .position(|other| other.model == group.model);
            models.push(match same {
                Some(same) => Arc::clone(&models[same]),
                None => model(&group.model, files).map_err(wrong)?,
            });
            group.check(&self.faults).map_err(wrong)?;
            for id in group.ids() {
                let id = id.map_err(wrong)?;
                if let Some(twice) = ids.replace(id) {
                    return Err(wrong(format!(
                        "{twice} is the id of two devices; a pattern needs its {{number}}"
                    )));
                }
            }
        }
        self.models = models;
        Ok(self)
    }

    /// Every device, always in the same order.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let groups = self.devices.iter().zip(&self.models).enumerate();
        groups.flat_map(move |(place, (group, model))| {
            group.numbers().zip(group.ids()).filter_map(move |(number, id)| {
                let id = id.ok()?;
                let seed = u64::from(self.seed);
                let random = Random::new(seed, id.as_str());
                let of_all = struck(&self.faults, "all", random);
                let of_group = struck(&group.faults, "group", random);
                Some(Member {
                    group: place,
                    model: Arc::clone(model),
                    tags: tags::tags(&group.tags, number, random),
                    faults: of_group.chain(of_all).collect(),
                    seed,
                    time_scale: group.time_scale,
                    id,
                })
            })
        })
    }

    /// The devices of one part of the fleet.
    pub fn shard(&self, shard: Shard) -> impl Iterator<Item = Member> {
        self.members().filter(move |member| shard.holds(&member.id))
    }

    /// What it costs a hub in Azure.
    pub fn load(&self) -> Load {
        Load::of(self, self.devices.iter().map(|group| group.count))
    }

    /// What some of its members cost.
    pub fn load_of<'a>(&self, members: impl Iterator<Item = &'a Member>) -> Load {
        let mut counts = vec![0; self.devices.len()];
        for member in members {
            if let Some(count) = counts.get_mut(member.group) {
                *count += 1;
            }
        }
        Load::of(self, counts.into_iter())
    }

    /// The file that would be read as this fleet.
    pub fn to_toml(&self) -> String {
        // Everything in it was read from TOML or checked to be as plain.
        toml::to_string(self).unwrap_or_default()
    }

    /// The JSON schema of fleet files, draft 7, as editors of TOML want it.
    pub fn json_schema() -> Value {
        let schema = SchemaSettings::draft07()
            .into_generator()
            .into_root_schema_for::<Self>();
        schema.to_value()
    }
}

impl Group {
    fn check(&self, of_all: &[Fault]) -> Result<(), String> {
        if self.count == 0 || self.first == 0 || self.first.checked_add(self.count).is_none() {
            return Err("count and first are whole numbers from 1".into());
        }
        if !(0.0..=MAX_TIME_SCALE).contains(&self.time_scale) {
            return Err(format!("timeScale is 0 to {MAX_TIME_SCALE}, not {}", self.time_scale));
        }
        if self.count > 1 && !self.id.tells_apart() {
            return Err(format!(
                "{} gives several devices the same id; a pattern needs its {{number}}",
                self.id
            ));
        }
        let faults: Vec<Fault> = self.faults.iter().chain(of_all).cloned().collect();
        fault::check_all(&faults).map_err(|error| error.to_string())?;
        if let Some(name) = null(&self.tags) {
            return Err(format!("tags, {name}: a tag has a value"));
        }
        tags::check(&self.tags)
    }

    fn numbers(&self) -> std::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }

    fn ids(&self) -> impl Iterator<Item = Result<DeviceId, String>> {
        let id = |number| DeviceId::new(self.id.fill(number)).map_err(|error| error.to_string());
        self.numbers().map(id)
    }
}

/// A null, which no TOML can hold.
fn null(tags: &Object) -> Option<&str> {
    fn holds_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(holds_null),
            Value::Object(values) => values.values().any(holds_null),
            _ => false,
        }
    }
    let found = tags.iter().find(|(_, value)| holds_null(value));
    found.map(|(name, _)| name.as_str())
}

fn model(name: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Arc<Model>, String> {
    if let Some(model) = Model::find(name) {
        return Ok(model);
    }
    let Some(text) = files(name) else {
        let names = Model::built_in()
            .iter()
            .map(|model| model.name())
            .collect::<Vec<_>>()
            .join(", ");
        return Err(format!(
            "there is no model {name:?}: no file beside this one is called so, and the built-in ones are {names}"
        ));
    };
    let model = Model::parse(&text, files).map_err(|error| format!("the model {name}: {error}"))?;
    Ok(Arc::new(model))
}

/// The faults that a device has: each is drawn once, for good.
fn struck(faults: &[Fault], of: &'static str, random: Random) -> impl Iterator<Item = Fault> {
    let has = move |(place, fault): (usize, &Fault)| {
        let draw = random.draw(&format!("devices/{of}/{place}"), 0);
        (draw < fault.devices).then(|| Fault {
            devices: 1.0,
            ..fault.clone()
        })
    };
    faults.iter().enumerate().filter_map(has)
}

#[cfg(test)]
mod tests;
