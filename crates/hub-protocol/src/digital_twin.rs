//! Digital twins: IoT Plug and Play's view of a device twin (service.md 8). The model itself is
//! not known here: what a twin holds says what is a component.

use serde_json::{Value, json};

use crate::{
    ErrorCode, HubError,
    merge::Object,
    twin::{PropertySet, Twin},
};

/// Marks an object as a component's, with the value `"c"`.
const COMPONENT: &str = "__t";
const MAX_NAME: usize = 64;
/// Levels of objects in a property's value.
const MAX_DEPTH: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPatch {
    #[error("The body must be a JSON Patch: an array of add, replace and remove operations; {0}.")]
    Operation(String),
    #[error(
        "{0:?} is no path of a digital twin: paths are /property and /component/property, names have 1 to 64 letters, digits and underscores."
    )]
    Path(String),
    #[error("{path}: {reason}.")]
    Value { path: String, reason: &'static str },
}

impl From<InvalidPatch> for HubError {
    fn from(error: InvalidPatch) -> Self {
        let code = match error {
            InvalidPatch::Operation(_) => ErrorCode::InvalidDigitalTwinJsonPatch,
            InvalidPatch::Path(_) => ErrorCode::InvalidDigitalTwinPatchPath,
            InvalidPatch::Value { .. } => ErrorCode::InvalidDigitalTwinPatch,
        };
        Self::new(code, error.to_string())
    }
}

/// A name of a property, a component or a command: 1 to 64 letters, digits and underscores.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The direct method that a command is (service.md 8).
pub fn command_method(component: Option<&str>, command: &str) -> String {
    match component {
        Some(component) => format!("{component}*{command}"),
        None => command.to_owned(),
    }
}

/// The document of `GET /digitaltwins/{id}`. A device that named no model has no properties.
pub fn document(twin: &Twin) -> Value {
    let mut metadata = Object::from_iter([("$model".to_owned(), json!(twin.model_id))]);
    let mut contents = Object::new();
    if !twin.model_id.is_empty() {
        let (desired, reported) = (&twin.properties.desired, &twin.properties.reported);
        let sides = Sides {
            desired: Some(Side::of(desired)),
            reported: Some(Side::of(reported)),
            version: desired.version,
        };
        for name in sides.names() {
            let below = sides.below(name);
            if below.is_component() {
                contents.insert(name.to_owned(), below.component());
            } else {
                below.describe(name, &mut contents, &mut metadata);
            }
        }
    }
    let mut document = Object::from_iter([
        ("$dtId".to_owned(), json!(twin.device_id)),
        ("$metadata".to_owned(), Value::Object(metadata)),
    ]);
    document.extend(contents);
    Value::Object(document)
}

/// A node of one section and its metadata.
#[derive(Clone, Copy)]
struct Side<'a> {
    values: &'a Object,
    metadata: Option<&'a Object>,
}

impl<'a> Side<'a> {
    fn of(set: &'a PropertySet) -> Self {
        Self {
            values: &set.values,
            metadata: Some(&set.metadata),
        }
    }

    fn value(self, name: &str) -> Option<&'a Value> {
        self.values.get(name)
    }

    fn metadata_of(self, name: &str) -> Option<&'a Object> {
        self.metadata?.get(name)?.as_object()
    }
}

/// The root, or a component, in both sections.
struct Sides<'a> {
    desired: Option<Side<'a>>,
    reported: Option<Side<'a>>,
    /// Of the desired properties.
    version: u64,
}

/// A property or component in both sections.
struct Node<'a> {
    desired: Option<&'a Value>,
    desired_metadata: Option<&'a Object>,
    reported: Option<&'a Value>,
    reported_metadata: Option<&'a Object>,
    version: u64,
}

impl<'a> Sides<'a> {
    /// Reported ones first, each once.
    fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for side in [self.reported, self.desired].into_iter().flatten() {
            for name in side.values.keys().filter(|name| *name != COMPONENT) {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn below(&self, name: &str) -> Node<'a> {
        Node {
            desired: self.desired.and_then(|side| side.value(name)),
            desired_metadata: self.desired.and_then(|side| side.metadata_of(name)),
            reported: self.reported.and_then(|side| side.value(name)),
            reported_metadata: self.reported.and_then(|side| side.metadata_of(name)),
            version: self.version,
        }
    }
}

fn is_component(value: &Value) -> bool {
    value.get(COMPONENT).is_some_and(|kind| kind == "c")
}

impl Node<'_> {
    fn is_component(&self) -> bool {
        [self.desired, self.reported].into_iter().flatten().any(is_component)
    }

    fn component(&self) -> Value {
        let side = |values: Option<&'_ Value>| values.and_then(Value::as_object).cloned();
        let (desired, reported) = (side(self.desired), side(self.reported));
        let sides = Sides {
            desired: desired.as_ref().map(|values| Side {
                values,
                metadata: self.desired_metadata,
            }),
            reported: reported.as_ref().map(|values| Side {
                values,
                metadata: self.reported_metadata,
            }),
            version: self.version,
        };
        let (mut contents, mut metadata) = (Object::new(), Object::new());
        for name in sides.names() {
            sides.below(name).describe(name, &mut contents, &mut metadata);
        }
        let mut component = Object::from_iter([("$metadata".to_owned(), Value::Object(metadata))]);
        component.extend(contents);
        Value::Object(component)
    }

    /// The value is what the device reported; what it was asked for stands in the metadata.
    fn describe(&self, name: &str, contents: &mut Object, metadata: &mut Object) {
        let mut about = Object::new();
        if let Some(desired) = self.desired {
            about.insert("desiredValue".into(), desired.clone());
            let version = self.desired_metadata.and_then(|node| node.get("$lastUpdatedVersion"));
            about.insert(
                "desiredVersion".into(),
                version.cloned().unwrap_or_else(|| self.version.into()),
            );
        }
        if let Some(reported) = self.reported {
            match acknowledgement(reported) {
                Some((value, answer)) => {
                    for (key, field) in [("ackVersion", "av"), ("ackCode", "ac"), ("ackDescription", "ad")] {
                        if let Some(given) = answer.get(field) {
                            about.insert(key.into(), given.clone());
                        }
                    }
                    contents.insert(name.to_owned(), value.clone());
                }
                None => {
                    contents.insert(name.to_owned(), reported.clone());
                }
            }
        }
        let updated = [self.reported_metadata, self.desired_metadata].into_iter().flatten();
        if let Some(time) = updated.filter_map(|node| node.get("$lastUpdated")).next() {
            about.insert("lastUpdateTime".into(), time.clone());
        }
        metadata.insert(name.to_owned(), Value::Object(about));
    }
}

/// `{"value": …, "ac": 200, "av": 3, "ad": "ok"}`: how a device answers to a desired property.
fn acknowledgement(reported: &Value) -> Option<(&Value, &Object)> {
    let answer = reported.as_object()?;
    let is_answer = answer.contains_key("ac") && answer.contains_key("av");
    Some((answer.get("value").filter(|_| is_answer)?, answer))
}

/// A JSON Patch on the digital twin as a patch of desired properties.
///
/// In `/first/second` the first is a component unless the twin knows it as a property.
pub fn desired_patch(operations: &Value, twin: &Twin) -> Result<Object, InvalidPatch> {
    let operations = operations
        .as_array()
        .ok_or_else(|| InvalidPatch::Operation("this is none".into()))?;
    let mut patch = Object::new();
    for operation in operations {
        apply(operation, twin, &mut patch)?;
    }
    Ok(patch)
}

fn apply(operation: &Value, twin: &Twin, patch: &mut Object) -> Result<(), InvalidPatch> {
    let text = |key: &str| {
        let found = operation.get(key).and_then(Value::as_str);
        found.ok_or_else(|| InvalidPatch::Operation(format!("an operation has no {key}")))
    };
    let (op, path) = (text("op")?, text("path")?);
    let value = match op {
        "remove" => None,
        "add" | "replace" => Some(
            operation
                .get("value")
                .ok_or_else(|| InvalidPatch::Operation(format!("{op} {path} has no value")))?,
        ),
        other => return Err(InvalidPatch::Operation(format!("{other} is not supported"))),
    };
    let names = names(path)?;
    let [first, below @ ..] = names.as_slice() else {
        return Err(InvalidPatch::Path(path.to_owned()));
    };
    let current = twin.properties.desired.values.get(*first);
    let known = current.or_else(|| twin.properties.reported.values.get(*first));
    if below.is_empty() {
        // Only a whole component says `$metadata`; without it a known one would become a property.
        let written = match value {
            Some(Value::Object(whole)) if whole.contains_key("$metadata") => component(path, whole, current)?,
            Some(_) if known.is_some_and(is_component) => {
                let reason = "a whole component must be an object with \"$metadata\": {}";
                return Err(invalid(path, reason));
            }
            Some(value) => {
                check(path, value, 1)?;
                replacing(current, value)
            }
            None => Value::Null,
        };
        patch.insert((*first).to_owned(), written);
        return Ok(());
    }
    let in_component = known.is_none_or(|known| is_component(known) || !known.is_object());
    if let Some(value) = value {
        check(path, value, if in_component { below.len() } else { names.len() })?;
    }
    let current = below
        .iter()
        .try_fold(current.unwrap_or(&Value::Null), |node, name| node.get(*name));
    let written = value.map_or(Value::Null, |value| replacing(current, value));
    let mut node = slot(patch, first);
    if in_component {
        node.insert(COMPONENT.into(), "c".into());
    }
    if let Some((last, parents)) = below.split_last() {
        for name in parents {
            node = slot(node, name);
        }
        node.insert((*last).to_owned(), written);
    }
    Ok(())
}

/// Segments of a JSON Pointer. Names hold nothing that is escaped in one.
fn names(path: &str) -> Result<Vec<&str>, InvalidPatch> {
    let invalid = || InvalidPatch::Path(path.chars().take(256).collect());
    let names: Vec<&str> = path.strip_prefix('/').ok_or_else(invalid)?.split('/').collect();
    // A component, and a property's depth.
    if names.len() <= MAX_DEPTH + 1 && names.iter().all(|name| is_name(name) && *name != COMPONENT) {
        Ok(names)
    } else {
        Err(invalid())
    }
}

fn invalid(path: &str, reason: &'static str) -> InvalidPatch {
    InvalidPatch::Value {
        path: path.to_owned(),
        reason,
    }
}

/// A property's value, `depth` levels down.
fn check(path: &str, value: &Value, depth: usize) -> Result<(), InvalidPatch> {
    match value {
        Value::Null => Err(invalid(path, "null is no value; remove takes a property away")),
        Value::Array(_) => Err(invalid(path, "a writable property may not hold an array")),
        Value::Object(_) if depth > MAX_DEPTH => Err(invalid(path, "properties nest at most 5 levels deep")),
        Value::Object(inner) => inner.iter().try_for_each(|(name, value)| {
            if is_name(name) && name != COMPONENT {
                check(path, value, depth + 1)
            } else {
                Err(invalid(path, "names have 1 to 64 letters, digits and underscores"))
            }
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn component(path: &str, whole: &Object, current: Option<&Value>) -> Result<Value, InvalidPatch> {
    if whole.get("$metadata") != Some(&json!({})) {
        return Err(invalid(path, "$metadata of a component must be {}"));
    }
    let mut properties = whole.clone();
    properties.remove("$metadata");
    let properties = Value::Object(properties);
    check(path, &properties, 0)?;
    let mut written = replacing(current, &properties);
    if let Value::Object(written) = &mut written {
        written.insert(COMPONENT.into(), "c".into());
    }
    Ok(written)
}

/// What merged over `current` leaves `value` alone there.
fn replacing(current: Option<&Value>, value: &Value) -> Value {
    let (Some(Value::Object(current)), Value::Object(value)) = (current, value) else {
        return value.clone();
    };
    let gone = current.keys().filter(|name| !value.contains_key(*name));
    let mut patch: Object = gone.map(|name| (name.clone(), Value::Null)).collect();
    patch.extend(
        value
            .iter()
            .map(|(name, value)| (name.clone(), replacing(current.get(name), value))),
    );
    Value::Object(patch)
}

/// The object at `name`, made when there is none.
fn slot<'a>(object: &'a mut Object, name: &str) -> &'a mut Object {
    let slot = object.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Object::new());
    }
    match slot {
        Value::Object(inner) => inner,
        _ => unreachable!("made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merge;

    fn twin(model: &str, desired: &Value, reported: &Value) -> Twin {
        let section = |values: &Value, version: u64, is_desired: bool| {
            let values = values.as_object().cloned().unwrap();
            let mut metadata = Object::new();
            let stamp = is_desired.then_some(version);
            merge::merge_metadata(&mut metadata, &values, &values, "2025-01-01T00:00:00Z", stamp);
            PropertySet {
                values,
                metadata,
                version,
            }
        };
        let mut twin: Twin =
            serde_json::from_value(json!({ "deviceId": "th-1", "etag": "", "modelId": model })).unwrap();
        twin.properties.desired = section(desired, 3, true);
        twin.properties.reported = section(reported, 7, false);
        twin
    }

    fn bare() -> Twin {
        twin("dtmi:demo:Thermo;1", &json!({}), &json!({}))
    }

    #[test]
    fn the_document_of_the_specification_comes_of_its_twin() {
        let twin = twin(
            "dtmi:demo:Thermo;1",
            &json!({ "target": 21 }),
            &json!({
                "serial": "X1", "target": { "value": 21, "ac": 200, "av": 3, "ad": "ok" },
                "probe": { "__t": "c", "max": 40 }
            }),
        );
        let time = "2025-01-01T00:00:00Z";
        let expected = json!({
            "$dtId": "th-1",
            "$metadata": {
                "$model": "dtmi:demo:Thermo;1",
                "serial": { "lastUpdateTime": time },
                "target": { "desiredValue": 21, "desiredVersion": 3, "ackVersion": 3, "ackCode": 200, "ackDescription": "ok", "lastUpdateTime": time }
            },
            "serial": "X1", "target": 21,
            "probe": { "$metadata": { "max": { "lastUpdateTime": time } }, "max": 40 }
        });
        assert_eq!(document(&twin), expected);
    }

    #[test]
    fn without_a_model_there_is_nothing_to_see() {
        let twin = twin("", &json!({ "a": 1 }), &json!({ "b": 2 }));
        assert_eq!(
            document(&twin),
            json!({ "$dtId": "th-1", "$metadata": { "$model": "" } })
        );
    }

    #[test]
    fn what_was_asked_for_and_not_answered_yet_has_no_value() {
        let desired = json!({ "target": 5, "probe": { "__t": "c", "limit": { "low": 1 } } });
        let document = document(&twin("m", &desired, &json!({ "open": { "value": 1 } })));
        assert_eq!(document["target"], Value::Null);
        assert_eq!(document["$metadata"]["target"]["desiredValue"], 5);
        assert_eq!(document["open"], json!({ "value": 1 }), "a value alone is no answer");
        let probe = &document["probe"];
        assert_eq!(probe["$metadata"]["limit"]["desiredValue"], json!({ "low": 1 }));
        assert!(probe.get("limit").is_none() && probe.get("__t").is_none());
    }

    #[test]
    fn paths_lead_to_properties_and_into_components() {
        let twin = twin(
            "m",
            &json!({ "range": { "low": 1, "high": 2 }, "old": { "__t": "c", "a": 1 } }),
            &json!({}),
        );
        let patch = |operations: Value| Value::Object(desired_patch(&operations, &twin).unwrap());
        assert_eq!(
            patch(json!([{ "op": "add", "path": "/target", "value": 21 }])),
            json!({ "target": 21 })
        );
        assert_eq!(
            patch(
                json!([{ "op": "replace", "path": "/probe/max", "value": 4 }, { "op": "remove", "path": "/probe/min" }])
            ),
            json!({ "probe": { "__t": "c", "max": 4, "min": null } })
        );
        assert_eq!(
            patch(json!([{ "op": "remove", "path": "/old" }])),
            json!({ "old": null })
        );
        assert_eq!(
            patch(json!([{ "op": "add", "path": "/old", "value": { "$metadata": {}, "b": 2 } }])),
            json!({ "old": { "__t": "c", "a": null, "b": 2 } })
        );
        assert_eq!(
            patch(json!([{ "op": "replace", "path": "/range", "value": { "low": 0 } }])),
            json!({ "range": { "low": 0, "high": null } })
        );
        assert_eq!(
            patch(json!([{ "op": "replace", "path": "/range/low", "value": 0 }])),
            json!({ "range": { "low": 0 } }),
            "a known property is no component"
        );
        assert_eq!(
            patch(json!([{ "op": "remove", "path": "/probe" }, { "op": "add", "path": "/probe/max", "value": 1 }])),
            json!({ "probe": { "__t": "c", "max": 1 } })
        );
    }

    #[test]
    fn each_fault_of_a_patch_has_its_code() {
        let code = |operations: Value| HubError::from(desired_patch(&operations, &bare()).unwrap_err()).code;
        for operations in [
            json!({}),
            json!([1]),
            json!([{ "op": "add", "value": 1 }]),
            json!([{ "op": "add", "path": "/a" }]),
            json!([{ "op": "move", "path": "/a", "from": "/b" }]),
        ] {
            assert_eq!(
                code(operations.clone()),
                ErrorCode::InvalidDigitalTwinJsonPatch,
                "{operations}"
            );
        }
        for path in [
            "",
            "/",
            "a",
            "/a//b",
            "/a-b",
            "/$metadata/a",
            "/a/__t",
            "/a/b/c/d/e/f/g",
            &format!("/{}", "x".repeat(65)),
        ] {
            let operations = json!([{ "op": "remove", "path": path }]);
            assert_eq!(code(operations), ErrorCode::InvalidDigitalTwinPatchPath, "{path}");
        }
        let mut deep = json!(1);
        for _ in 0..6 {
            deep = json!({ "n": deep });
        }
        for value in [
            json!([1]),
            json!({ "a": [1] }),
            json!(null),
            json!({ "a b": 1 }),
            json!({ "$metadata": 1 }),
            deep,
        ] {
            let operations = json!([{ "op": "add", "path": "/a", "value": value }]);
            assert_eq!(code(operations), ErrorCode::InvalidDigitalTwinPatch, "{value}");
        }
    }

    #[test]
    fn five_levels_are_allowed_in_a_property_of_the_root_and_of_a_component() {
        let mut deep = json!(1);
        for _ in 0..5 {
            deep = json!({ "n": deep });
        }
        let component = json!({ "$metadata": {}, "p": deep });
        for (path, value) in [("/a", deep.clone()), ("/c/p", deep), ("/c", component)] {
            let operations = json!([{ "op": "add", "path": path, "value": value }]);
            assert!(desired_patch(&operations, &bare()).is_ok(), "{path}");
        }
    }

    #[test]
    fn commands_are_methods_with_the_component_before_a_star() {
        assert_eq!(command_method(None, "reboot"), "reboot");
        assert_eq!(command_method(Some("probe"), "reset"), "probe*reset");
    }

    fn arbitrary_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!(true))];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::hash_map("[a-c]", inner, 0..3).prop_map(|map| map.into_iter().collect())
        })
    }

    proptest! {
        #[test]
        fn after_a_replacement_the_value_is_what_was_given(before in arbitrary_value(), after in arbitrary_value()) {
            let mut twin = twin("m", &json!({ "p": before }), &json!({}));
            let operations = json!([{ "op": "replace", "path": "/p", "value": after }]);
            let patch = desired_patch(&operations, &twin).unwrap();
            merge::merge(&mut twin.properties.desired.values, &patch);
            prop_assert_eq!(&twin.properties.desired.values["p"], &operations[0]["value"]);
        }
    }
}
