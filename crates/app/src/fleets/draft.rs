//! Fleet files: made of a form, checked, brought in and sent out.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _, path::Path};

use device_sim::FleetFile;
use hub_protocol::DeviceId;
use serde_json::Value;

use super::load_view;
use crate::{
    App,
    error::{AppError, Code, Result},
    models::{self, Files, MAX_TEXT, is_file_name},
    open_hub::{OpenHub, count},
    view::{FleetDraft, NewFleet, SourceProblem, TagKind, TagPattern},
};

/// Each device that runs is a connection, which is an open file.
pub(super) const MAX_DEVICES: u64 = 20_000;

impl App {
    /// The file of a fleet as a form has it. Numbers go on after the highest that is taken.
    pub fn draft_fleet(&self, fleet: &NewFleet) -> Result<FleetDraft> {
        let hub = self.hub()?;
        let source = source_of(fleet, &hub.table.ids(), seed()?)?;
        self.check_fleet(source)
    }

    /// What is wrong with the text, and where; or what will come of it.
    pub fn check_fleet(&self, source: String) -> Result<FleetDraft> {
        let hub = self.hub()?;
        let mut draft = FleetDraft {
            name: String::new(),
            source,
            problem: None,
            load: None,
            first_id: None,
            last_id: None,
            taken: 0,
        };
        match FleetFile::parse(&draft.source, &models::reader(&self.model_files())) {
            Err(error) => draft.problem = Some((&error).into()),
            Ok(file) => {
                let load = file.load();
                if load.devices > MAX_DEVICES {
                    draft.problem = Some(too_many(load.devices));
                    return Ok(draft);
                }
                let ids: Vec<DeviceId> = file.members().map(|member| member.id).collect();
                draft.taken = count(ids.iter().filter(|id| hub.is_taken(id)).count());
                draft.first_id = ids.first().map(ToString::to_string);
                draft.last_id = ids.last().map(ToString::to_string);
                draft.load = Some(load_view(&load));
                draft.name = file.name;
            }
        }
        Ok(draft)
    }

    /// Reads a fleet file, and keeps the models and data beside it that it names. The fleet is not
    /// made yet.
    pub async fn import_fleet(&self, path: &Path) -> Result<FleetDraft> {
        let known = self.model_files();
        let (path, kept) = (path.to_owned(), known.clone());
        let read = tokio::task::spawn_blocking(move || BroughtIn::read(&path, &kept)).await;
        let BroughtIn { source, problem, files } =
            read.map_err(|error| AppError::new(Code::Internal, "The file could not be read.").details(error))??;
        if problem.is_none() {
            let differs = |(name, text): &(&String, &String)| known.get(*name).is_some_and(|kept| kept != *text);
            if let Some((name, _)) = files.iter().find(differs) {
                return Err(AppError::new(
                    Code::AlreadyExists,
                    format!("You have a file {name} already, and the one beside the fleet file says something else."),
                )
                .hint("Rename one of the two."));
            }
            self.keep_model_files(files).await?;
        }
        let draft = self.check_fleet(source)?;
        // As read with the files beside it, of which none was kept.
        Ok(FleetDraft {
            problem: problem.or(draft.problem),
            ..draft
        })
    }

    /// What the fleet's file is called when it is sent out.
    pub fn fleet_file_name(&self, id: u32) -> Result<String> {
        let hub = self.hub()?;
        let inner = hub.simulator.lock();
        let fleet = inner.fleets.get(&id).ok_or_else(super::commands::no_fleet)?;
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        Ok(format!("{}.toml", fleet.name.chars().map(plain).collect::<String>()))
    }

    /// Writes the fleet's file, and beside it the models and data that it names, so that
    /// `twindeckctl simulate --fleet` runs it too.
    pub async fn export_fleet(&self, id: u32, file: &Path) -> Result<()> {
        let hub = self.hub()?;
        let source = {
            let inner = hub.simulator.lock();
            inner
                .fleets
                .get(&id)
                .ok_or_else(super::commands::no_fleet)?
                .source
                .clone()
        };
        let needed = self.needed_by(|files| {
            // Only to hear which files it asks for.
            let _ = FleetFile::parse(&source, files);
        });
        models::export(file, &source, &needed).await
    }
}

/// A fleet file, and the files beside it that it names.
struct BroughtIn {
    source: String,
    problem: Option<SourceProblem>,
    files: BTreeMap<String, String>,
}

impl BroughtIn {
    fn read(path: &Path, known: &Files) -> Result<Self> {
        let source = read_text(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let files = RefCell::new(BTreeMap::new());
        let parsed = FleetFile::parse(&source, &|name| {
            if !is_file_name(name) {
                return None;
            }
            let beside = read_text(&folder.join(name)).ok();
            let text = beside.or_else(|| known.get(name).cloned())?;
            files.borrow_mut().insert(name.to_owned(), text.clone());
            Some(text)
        });
        Ok(Self {
            problem: parsed.err().as_ref().map(SourceProblem::from),
            source,
            files: files.into_inner(),
        })
    }
}

impl OpenHub {
    pub(super) fn is_taken(&self, id: &DeviceId) -> bool {
        self.table.has(id) || self.simulator.device(id).is_some()
    }
}

pub(super) fn too_many(devices: u64) -> SourceProblem {
    SourceProblem {
        line: None,
        column: None,
        message: format!(
            "{devices} devices are more than the {MAX_DEVICES} that one application runs; use shards with twindeckctl simulate"
        ),
    }
}

fn read_text(path: &Path) -> Result<String> {
    let unread = |why: String| {
        AppError::new(Code::InvalidInput, format!("{} cannot be read: {why}.", path.display()))
            .hint("Choose a fleet file: a text in TOML.")
    };
    let size = std::fs::metadata(path)
        .map_err(|error| unread(error.to_string()))?
        .len();
    if size > MAX_TEXT as u64 {
        return Err(unread(format!("it has {size} bytes, more than {MAX_TEXT}")));
    }
    std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))
}

fn seed() -> Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes)
        .map_err(|error| AppError::new(Code::Internal, "The system gave no randomness.").details(error))?;
    Ok(u16::from_le_bytes(bytes))
}

/// A text in quotes, as JSON and TOML have it alike.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn source_of(fleet: &NewFleet, taken: &[DeviceId], seed: u16) -> Result<String> {
    let prefix = format!("{}-", fleet.prefix.trim());
    DeviceId::new(format!("{prefix}1"))?;
    let highest = taken
        .iter()
        .filter_map(|id| id.as_str().strip_prefix(&prefix)?.parse::<u32>().ok())
        .max();
    let first = highest.map_or(1, |number| number.saturating_add(1));
    let last = first
        .checked_add(fleet.count.saturating_sub(1))
        .ok_or_else(|| AppError::invalid("The numbers are used up; choose another prefix."))?;
    let width = last.to_string().len().clamp(2, 9);
    let mut text = format!(
        "name = {}\nseed = {seed}\n\n[connect]\nperSecond = {}\n\n[[devices]]\ncount = {}\n",
        quoted(&fleet.name),
        fleet.per_second,
        fleet.count
    );
    if first > 1 {
        let _ = writeln!(text, "first = {first}");
    }
    let _ = writeln!(text, "id = {}", quoted(&format!("{prefix}{{number:{width}}}")));
    let _ = writeln!(text, "model = {}", quoted(&fleet.model));
    if (fleet.time_scale - 1.0).abs() > f64::EPSILON {
        let _ = writeln!(text, "timeScale = {:?}", fleet.time_scale);
    }
    if !fleet.tags.is_empty() {
        text.push_str("\n[devices.tags]\n");
        for tag in &fleet.tags {
            let _ = writeln!(text, "{} = {}", quoted(tag.name.trim()), value_of(tag)?);
        }
    }
    Ok(text)
}

fn value_of(tag: &TagPattern) -> Result<String> {
    let text = tag.text.trim();
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let wrong = |how: &str| AppError::invalid(format!("The tag {} has no values.", tag.name)).hint(how.to_owned());
    match tag.kind {
        TagKind::Same if text.is_empty() => Err(wrong("Write a value.")),
        TagKind::Same => Ok(scalar(text)),
        TagKind::Cycle => {
            let values: Vec<String> = parts().map(scalar).collect();
            if values.is_empty() {
                return Err(wrong("Write values with commas between, as in north, south."));
            }
            Ok(format!("{{ cycle = [{}] }}", values.join(", ")))
        }
        TagKind::Numbered => Ok(format!("{{ numbered = {} }}", quoted(text))),
        TagKind::Weighted => {
            let weight = |part: &str| {
                let (name, weight) = part.rsplit_once('=')?;
                let weight: f64 = weight
                    .trim()
                    .parse()
                    .ok()
                    .filter(|weight: &f64| weight.is_finite() && *weight > 0.0)?;
                Some(format!("{} = {weight:?}", quoted(name.trim())))
            };
            let weights: Option<Vec<String>> = parts().map(weight).collect();
            match weights {
                Some(weights) if !weights.is_empty() => Ok(format!("{{ weighted = {{ {} }} }}", weights.join(", "))),
                _ => Err(wrong("Write values with their weights, as in canary=1, broad=9.")),
            }
        }
    }
}

/// A number or true or false where it reads like one; else a text.
fn scalar(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(prefix: &str, count: u32) -> NewFleet {
        NewFleet {
            name: "My \"fleet\"".into(),
            prefix: prefix.into(),
            count,
            model: "firmware-a".into(),
            time_scale: 0.01,
            per_second: 200,
            tags: vec![
                TagPattern {
                    name: "site".into(),
                    kind: TagKind::Cycle,
                    text: "north, 7".into(),
                },
                TagPattern {
                    name: "rack".into(),
                    kind: TagKind::Numbered,
                    text: "r{number % 4}".into(),
                },
                TagPattern {
                    name: "ring".into(),
                    kind: TagKind::Weighted,
                    text: "canary=1, broad=9.5".into(),
                },
            ],
        }
    }

    fn ids(source: &str) -> Vec<String> {
        let file = FleetFile::parse(source, &|_| None).unwrap();
        file.members().map(|member| member.id.to_string()).collect()
    }

    #[test]
    fn a_form_becomes_a_file_that_says_the_same() {
        let source = source_of(&form("sim", 3), &[], 7).unwrap();
        let file = FleetFile::parse(&source, &|_| None).unwrap();
        assert_eq!(
            (file.name.as_str(), file.seed, file.connect.per_second),
            ("My \"fleet\"", 7, 200)
        );
        let members: Vec<_> = file.members().collect();
        assert_eq!(members[0].id.as_str(), "sim-01");
        assert_eq!(members[0].tags["site"], "north");
        assert_eq!(members[1].tags["site"], 7);
        assert_eq!(members[2].tags["rack"], "r3");
        assert!(["canary", "broad"].iter().any(|ring| members[0].tags["ring"] == *ring));
        assert!((members[0].time_scale - 0.01).abs() < f64::EPSILON);
    }

    #[test]
    fn numbers_go_on_after_the_highest_taken() {
        let taken = ["sim-07", "sim-x", "other-99"].map(|id| DeviceId::new(id).unwrap());
        assert_eq!(
            ids(&source_of(&form("sim", 2), &taken, 7).unwrap()),
            ["sim-08", "sim-09"]
        );
    }

    #[test]
    fn a_prefix_that_is_no_device_id_and_tags_without_values_are_refused() {
        assert_eq!(
            source_of(&form("my sim", 2), &[], 7).unwrap_err().code,
            Code::InvalidInput
        );
        for kind in [TagKind::Same, TagKind::Cycle, TagKind::Weighted] {
            let tag = TagPattern {
                name: "t".into(),
                kind,
                text: " ".into(),
            };
            assert!(value_of(&tag).unwrap_err().hint.is_some());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_as_a_tag_stays_a_tag(name in "[^\\PC.$#{}]{1,20}", text in "\\PC{0,40}") {
            let mut form = form("sim", 1);
            form.tags = vec![TagPattern { name, kind: TagKind::Same, text }];
            // Either it is refused with a reason, or the file has that one tag.
            if let Ok(source) = source_of(&form, &[], 1)
                && let Ok(file) = FleetFile::parse(&source, &|_| None)
            {
                prop_assert_eq!(file.members().next().unwrap().tags.len(), 1);
            }
        }
    }
}
