//! `twin show|update|watch`.

use std::time::Duration;

use hub_client::IfMatch;
use hub_protocol::{
    DeviceId,
    identity::ConnectionState,
    merge::Object,
    twin::{Twin as Document, TwinPatch},
};
use serde_json::{Value, json};

use crate::{
    arguments::Twin,
    connection::{Connection, Target},
    failure::{Failure, Result},
    input,
    output::Output,
    stop::Stop,
};

pub(crate) async fn run(command: Twin, connection: &Connection, output: Output) -> Result<()> {
    match command {
        Twin::Show { device } => show(&connection.open()?.client.twin(&device).await?, output),
        Twin::Update { device, patch } => {
            let patch = parse(&input::read(&patch)?)?;
            let target = connection.open()?;
            show(
                &target.client.update_twin(&device, &patch, IfMatch::None).await?,
                output,
            )
        }
        Twin::Watch { device } => watch(&device, &connection.open()?, output).await,
    }
}

fn show(twin: &Document, output: Output) -> Result<()> {
    let value = json!(twin);
    output.result(|| format!("{value:#}"), &value)
}

const SHAPE: &str = "It looks like {\"tags\": {…}, \"properties\": {\"desired\": {…}}}; either may be left out.";

/// Refuses what the hub would ignore: a mistyped name would otherwise look like a success.
pub(crate) fn parse(text: &str) -> Result<TwinPatch> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("The patch is not JSON: {error}."), SHAPE))?;
    let known = |object: &Object, names: &[&str]| object.keys().find(|key| !names.contains(&key.as_str())).cloned();
    let root = value
        .as_object()
        .ok_or_else(|| Failure::usage("The patch is not an object.", SHAPE))?;
    let unknown = known(root, &["tags", "properties"]).or_else(|| {
        let properties = root.get("properties")?.as_object()?;
        known(properties, &["desired"]).map(|key| format!("properties.{key}"))
    });
    if let Some(name) = unknown {
        return Err(Failure::usage(format!("The patch may not have {name}."), SHAPE));
    }
    let patch: TwinPatch = serde_json::from_value(value)
        .map_err(|error| Failure::usage(format!("The patch cannot be used: {error}."), SHAPE))?;
    let desired = patch
        .properties
        .as_ref()
        .and_then(|properties| properties.desired.as_ref());
    if patch.tags.is_none() && desired.is_none() {
        return Err(Failure::usage("The patch changes nothing.", SHAPE));
    }
    for part in [patch.tags.as_ref(), desired].into_iter().flatten() {
        let checked = hub_protocol::merge::check(part);
        checked.map_err(|error| Failure::usage(format!("The hub would refuse the patch: {error}."), SHAPE))?;
    }
    Ok(patch)
}

async fn watch(device: &DeviceId, target: &Target, output: Output) -> Result<()> {
    let pause = Duration::from_millis(if target.is_on_this_machine() { 250 } else { 2000 });
    let mut stop = Stop::listen()?;
    let mut before = target.client.twin(device).await?;
    output.progress(&format!("Watching {device}. Stop with Ctrl+C."));
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let after = tokio::select! {
            () = stop.requested() => return Ok(()),
            twin = target.client.twin(device) => twin?,
        };
        for (path, value) in changes(&before, &after) {
            let line = json!({ "deviceId": device, "version": after.version, "path": path, "value": value });
            let text = || match &value {
                Some(value) => format!("{path} = {value}"),
                None => format!("{path} removed"),
            };
            output.result(text, &line)?;
        }
        before = after;
    }
}

type Change = (String, Option<Value>);

fn changes(before: &Document, after: &Document) -> Vec<Change> {
    let mut changes = Vec::new();
    let state = |twin: &Document| twin.connection_state == ConnectionState::Connected;
    if state(before) != state(after) {
        changes.push(("connectionState".into(), Some(json!(after.connection_state))));
    }
    if before.status != after.status {
        changes.push(("status".into(), Some(json!(after.status))));
    }
    let (old, new) = (&before.properties, &after.properties);
    compare("tags", &before.tags, &after.tags, &mut changes);
    compare("desired", &old.desired.values, &new.desired.values, &mut changes);
    compare("reported", &old.reported.values, &new.reported.values, &mut changes);
    changes
}

fn compare(path: &str, before: &Object, after: &Object, changes: &mut Vec<Change>) {
    for (key, value) in after {
        let path = format!("{path}.{key}");
        match (before.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => compare(&path, old, new, changes),
            (_, new) => changes.push((path, Some(new.clone()))),
        }
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    changes.extend(gone.map(|key| (format!("{path}.{key}"), None)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twin(reported: &Value) -> Document {
        let document = json!({ "deviceId": "d", "etag": "e", "properties": { "reported": reported } });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_change_is_told_at_its_own_path() {
        let before = twin(&json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": 1 }));
        let after = twin(&json!({ "a": 1, "b": { "c": 3, "d": 2 }, "f": [1] }));
        assert_eq!(
            changes(&before, &after),
            [
                ("reported.b.c".to_owned(), Some(json!(3))),
                ("reported.f".to_owned(), Some(json!([1]))),
                ("reported.e".to_owned(), None),
            ]
        );
    }

    #[test]
    fn a_patch_that_would_do_nothing_or_be_refused_is_a_usage_error() {
        for text in [
            "",
            "[]",
            "{}",
            "{\"tag\": {\"a\": 1}}",
            "{\"properties\": {\"reported\": {\"a\": 1}}}",
            "{\"tags\": 1}",
            "{\"tags\": {\"a.b\": 1}}",
        ] {
            assert!(matches!(parse(text), Err(Failure::Usage(_))), "{text}");
        }
        assert!(parse("{\"tags\": {\"hall\": null}}").is_ok());
    }
}
