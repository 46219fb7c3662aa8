//! Which devices are meant: a fleet file, or so many of one model.

use std::path::{Component, Path, PathBuf};

use device_sim::{Connect, FleetFile, Group, Model};
use hub_protocol::DeviceId;
use serde_json::{Value, json};

use crate::{
    arguments::Simulate,
    failure::{Failure, Result},
    output::Output,
};

/// Reads and checks; nothing is sent.
pub(crate) fn fleet(arguments: &Simulate) -> Result<FleetFile> {
    let (None, Some(model)) = (&arguments.fleet, &arguments.model) else {
        let path = arguments.fleet.as_deref().unwrap_or(Path::new(""));
        return FleetFile::parse(&read(path)?, &|name| beside(path, name)).map_err(|error| mistake(path, &error));
    };
    let prefix = match &arguments.prefix {
        Some(prefix) => prefix.clone(),
        None => DeviceId::new(self::model(model)?.0.name()).map_err(|error| Failure::Usage(error.into()))?,
    };
    let path = Path::new(model);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(model);
    uniform(
        &prefix,
        arguments.count.unwrap_or(1),
        name,
        arguments.speed.time_scale(),
        path,
    )
}

/// `pump-0001`, `pump-0002`, … of one model.
pub(crate) fn uniform(prefix: &DeviceId, count: u32, model: &str, time_scale: f64, path: &Path) -> Result<FleetFile> {
    let pattern = format!("{prefix}-{{number:4}}");
    let group = Group {
        count,
        first: 1,
        id: pattern.parse().map_err(|error| invalid(&format!("{error}")))?,
        model: model.to_owned(),
        time_scale,
        tags: serde_json::Map::new(),
        faults: Vec::new(),
    };
    let fleet = FleetFile::new(
        prefix.to_string(),
        0,
        Connect::default(),
        vec![group],
        Vec::new(),
        &|name| beside(path, name),
    );
    fleet.map_err(|error| invalid(&error.message))
}

fn invalid(text: &str) -> Failure {
    Failure::usage(
        format!("These devices cannot be simulated: {text}."),
        "Run twindeckctl simulate --help.",
    )
}

/// A built-in model, or one in a file.
fn model(name: &str) -> Result<(std::sync::Arc<Model>, Option<PathBuf>)> {
    if let Some(model) = Model::find(name) {
        return Ok((model, None));
    }
    let path = PathBuf::from(name);
    let text = std::fs::read_to_string(&path).map_err(|_| {
        let names = Model::built_in()
            .iter()
            .map(|model| model.name())
            .collect::<Vec<_>>()
            .join(", ");
        Failure::usage(
            format!("There is no model {name:?}, and no such file that can be read."),
            format!("The built-in models are {names}."),
        )
    })?;
    let model = Model::parse(&text, &|file| beside(&path, file)).map_err(|error| mistake(&path, &error))?;
    Ok((std::sync::Arc::new(model), Some(path)))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let text = format!("The file {} cannot be read: {error}.", path.display());
        Failure::usage(text, "docs/simulate.md says how fleets are written.")
    })
}

/// A file that another names must lie beside or below it.
fn beside(path: &Path, name: &str) -> Option<String> {
    let name = Path::new(name);
    let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below {
        return None;
    }
    std::fs::read_to_string(path.parent()?.join(name)).ok()
}

fn mistake(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::usage(
        format!("{}: {error}.", path.display()),
        "docs/simulate.md says how fleets and models are written; --check reads a file without running it.",
    )
}

/// `--check`: says what a file holds, if it can be used.
pub(crate) fn check(arguments: &Simulate, output: Output) -> Result<()> {
    if let (None, None, Some(name)) = (&arguments.fleet, arguments.count, &arguments.model) {
        let (model, _) = model(name)?;
        let methods: Vec<&str> = model.methods().collect();
        let value = json!({ "valid": true, "model": model.name(), "methods": methods });
        return output.result(
            || format!("{model} is a model; its methods: {}", methods.join(", ")),
            &value,
        );
    }
    let fleet = fleet(arguments)?;
    let load = fleet.load();
    let text = || {
        let groups = fleet
            .devices
            .iter()
            .map(|group| format!("\n  {} × {}: {}", group.count, group.model, group.id));
        format!("{} can be run: {load}{}", fleet.name, groups.collect::<String>())
    };
    let mut value = load_json(&fleet, arguments);
    value["valid"] = true.into();
    output.result(text, &value)
}

/// What a fleet means for a hub in Azure.
pub(crate) fn load_json(fleet: &FleetFile, arguments: &Simulate) -> Value {
    let load = fleet.load();
    json!({
        "fleet": fleet.name,
        "devices": load.devices,
        "messagesPerDay": load.messages_per_day,
        "connectsPerSecond": arguments.connects_per_second.unwrap_or(load.connects_per_second),
        "tier": load.tier.to_string(),
        "units": load.units,
        "isTooMuch": load.is_too_much,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_numbered_after_their_prefix() {
        let prefix = DeviceId::new("pump").unwrap();
        let fleet = uniform(&prefix, 2, "reboot", 0.01, Path::new("reboot")).unwrap();
        let ids: Vec<String> = fleet.members().map(|member| member.id.to_string()).collect();
        assert_eq!(ids, ["pump-0001", "pump-0002"]);
        let long = DeviceId::new("x".repeat(127)).unwrap();
        assert!(matches!(
            uniform(&long, 1, "reboot", 1.0, Path::new("")),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn only_files_beside_or_below_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("models")).unwrap();
        for name in ["outside.toml", "models/beside.toml"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let fleet = dir.path().join("models/fleet.toml");
        assert!(beside(&fleet, "beside.toml").is_some());
        assert!(beside(&dir.path().join("fleet.toml"), "models/beside.toml").is_some());
        for name in ["../outside.toml", "/etc/hostname", "./beside.toml", ""] {
            assert!(beside(&fleet, name).is_none(), "{name}");
        }
    }
}
