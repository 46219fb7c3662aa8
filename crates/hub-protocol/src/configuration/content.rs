//! What a configuration puts into twins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EDGE_AGENT;
use crate::{
    ErrorCode, HubError, ModuleId,
    merge::{self, Object, TwinError},
};

/// The content of a configuration, and the body of `POST /devices/{id}/applyConfigurationContent`.
/// Exactly one of the three is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigurationContent {
    /// Keys `properties.desired` and below, e.g. `properties.desired.interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_content: Option<Object>,
    /// The same keys, for modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_content: Option<Object>,
    /// By module of an Edge device, the same keys; `$edgeAgent` is always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules_content: Option<Object>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContent {
    #[error("A configuration has exactly one of deviceContent, moduleContent and modulesContent.")]
    NotOne,
    #[error("{0:?} is no key of a configuration; keys are properties.desired and properties.desired.name")]
    Key(String),
    #[error("{0} must be a JSON object.")]
    NotAnObject(String),
    #[error("modulesContent must name $edgeAgent.")]
    NoEdgeAgent,
    #[error("{name:?} is no module id: {reason}.")]
    Module { name: String, reason: String },
    #[error("{0}.")]
    Twin(#[from] TwinError),
}

impl From<InvalidContent> for HubError {
    fn from(error: InvalidContent) -> Self {
        Self::new(ErrorCode::InvalidConfigurationContent, error.to_string())
    }
}

/// One value and where it goes below `properties.desired`; at an empty path an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    path: Vec<String>,
    value: Value,
}

/// Content that was checked and taken apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Device(Vec<Setting>),
    Module(Vec<Setting>),
    Edge(Deployment),
}

/// What an Edge deployment sets, by module.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    pub modules: BTreeMap<ModuleId, Vec<Setting>>,
    /// It adds to the deployment below it rather than replace it: `$edgeAgent` gets no whole
    /// `properties.desired`.
    pub layered: bool,
}

impl Setting {
    /// `value` inside objects named by the path.
    fn nested(&self) -> Object {
        let mut value = self.value.clone();
        for name in self.path.iter().rev() {
            value = Value::Object(Object::from_iter([(name.clone(), value)]));
        }
        match value {
            Value::Object(object) => object,
            _ => Object::new(),
        }
    }

    /// Merges into desired properties, as content for devices and modules does.
    pub fn merge_into(&self, desired: &mut Object) {
        merge::merge(desired, &self.nested());
    }

    /// Replaces what stands at the path, as content for Edge modules does.
    pub fn replace_in(&self, desired: &mut Object) {
        let value = match &self.value {
            // Merged into nothing, an object loses its nulls.
            Value::Object(object) => {
                let mut whole = Object::new();
                merge::merge(&mut whole, object);
                Value::Object(whole)
            }
            other => other.clone(),
        };
        let Some((last, parents)) = self.path.split_last() else {
            if let Value::Object(whole) = value {
                *desired = whole;
            }
            return;
        };
        let mut node = desired;
        for name in parents {
            let slot = node.entry(name).or_insert(Value::Null);
            if !slot.is_object() {
                *slot = Value::Object(Object::new());
            }
            let Value::Object(inner) = slot else { return };
            node = inner;
        }
        if value.is_null() {
            node.remove(last);
        } else {
            node.insert(last.clone(), value);
        }
    }
}

impl ConfigurationContent {
    pub fn read(&self) -> Result<Content, InvalidContent> {
        let given = |part: &Option<Object>| part.clone().filter(|part| !part.is_empty());
        let parts = (
            given(&self.device_content),
            given(&self.module_content),
            given(&self.modules_content),
        );
        match parts {
            (Some(content), None, None) => Ok(Content::Device(settings(&content)?)),
            (None, Some(content), None) => Ok(Content::Module(settings(&content)?)),
            (None, None, Some(content)) => Ok(Content::Edge(deployment(&content)?)),
            _ => Err(InvalidContent::NotOne),
        }
    }
}

fn settings(content: &Object) -> Result<Vec<Setting>, InvalidContent> {
    let mut settings = Vec::new();
    let mut whole = Object::new();
    for (key, value) in content {
        let below = key.strip_prefix("properties.desired");
        let path: Vec<String> = match below.map(|below| below.strip_prefix('.').ok_or(below)) {
            Some(Ok(path)) => path.split('.').map(str::to_owned).collect(),
            Some(Err("")) => Vec::new(),
            _ => return Err(InvalidContent::Key(key.clone())),
        };
        if path.is_empty() && !value.is_object() {
            return Err(InvalidContent::NotAnObject(key.clone()));
        }
        let setting = Setting {
            path,
            value: value.clone(),
        };
        merge::check(&setting.nested())?;
        setting.merge_into(&mut whole);
        settings.push(setting);
    }
    // What does not fit alone never fits.
    merge::check_size("desired properties", &whole)?;
    Ok(settings)
}

fn deployment(content: &Object) -> Result<Deployment, InvalidContent> {
    if !content.contains_key(EDGE_AGENT) {
        return Err(InvalidContent::NoEdgeAgent);
    }
    let mut modules = BTreeMap::new();
    for (name, keys) in content {
        let Value::Object(keys) = keys else {
            return Err(InvalidContent::NotAnObject(name.clone()));
        };
        modules.insert(module_id(name)?, settings(keys)?);
    }
    let agent = modules.get(&module_id(EDGE_AGENT)?);
    let layered = agent.is_some_and(|settings| settings.iter().all(|setting| !setting.path.is_empty()));
    let deployment = Deployment { modules, layered };
    deployment.module_ids()?;
    Ok(deployment)
}

fn module_id(name: &str) -> Result<ModuleId, InvalidContent> {
    ModuleId::new(name).map_err(|error| InvalidContent::Module {
        name: name.chars().take(128).collect(),
        reason: error.to_string(),
    })
}

impl Deployment {
    /// Every module it needs: those it sets properties of, and those it tells `$edgeAgent` to run.
    pub fn module_ids(&self) -> Result<Vec<ModuleId>, InvalidContent> {
        let mut ids: Vec<ModuleId> = self.modules.keys().cloned().collect();
        let mut desired = Object::new();
        for setting in self.modules.get(&module_id(EDGE_AGENT)?).into_iter().flatten() {
            setting.replace_in(&mut desired);
        }
        let run = desired.get("modules").and_then(Value::as_object);
        for name in run.into_iter().flat_map(Object::keys) {
            let id = module_id(name)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Content, InvalidContent> {
        serde_json::from_value::<ConfigurationContent>(value).unwrap().read()
    }

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn exactly_one_kind_of_content_is_taken() {
        let keys = json!({ "properties.desired.a": 1 });
        assert!(read(json!({ "deviceContent": keys })).is_ok());
        assert!(read(json!({ "moduleContent": keys, "deviceContent": null, "modulesContent": {} })).is_ok());
        for content in [
            json!({}),
            json!({ "deviceContent": {} }),
            json!({ "deviceContent": keys, "moduleContent": keys }),
            json!({ "deviceContent": keys, "modulesContent": { "$edgeAgent": { "properties.desired": {} } } }),
        ] {
            assert_eq!(read(content.clone()), Err(InvalidContent::NotOne), "{content}");
        }
    }

    #[test]
    fn keys_lead_into_desired_properties_and_values_keep_the_limits_of_twins() {
        for key in [
            "properties.reported.a",
            "properties.desiredX",
            "tags.a",
            "a",
            "properties.desired.",
            "properties.desired.a..b",
        ] {
            assert!(read(json!({ "deviceContent": { key: 1 } })).is_err(), "{key}");
        }
        assert!(read(json!({ "deviceContent": { "properties.desired": 1 } })).is_err());
        let long = "x".repeat(4097);
        assert!(matches!(
            read(json!({ "deviceContent": { "properties.desired.a": long } })),
            Err(InvalidContent::Twin(TwinError::LongString(_)))
        ));
        let many: Object = (0..10)
            .map(|n| (format!("properties.desired.k{n}"), json!("x".repeat(4000))))
            .collect();
        assert!(matches!(
            read(json!({ "deviceContent": many })),
            Err(InvalidContent::Twin(TwinError::TooLarge { .. }))
        ));
    }

    #[test]
    fn content_of_devices_merges_and_content_of_edge_modules_replaces() {
        let Ok(Content::Device(settings)) = read(json!({ "deviceContent": {
            "properties.desired.a": { "x": 1, "gone": null }, "properties.desired.b.c": [2], "properties.desired": { "d": 3 }
        } })) else {
            panic!("device content")
        };
        let before = object(json!({ "a": { "gone": 1, "kept": 1 }, "other": 1 }));
        let mut merged = before.clone();
        settings.iter().for_each(|setting| setting.merge_into(&mut merged));
        let expected = json!({ "a": { "kept": 1, "x": 1 }, "other": 1, "b": { "c": [2] }, "d": 3 });
        assert_eq!(Value::Object(merged), expected);
        let mut replaced = before.clone();
        settings[..2]
            .iter()
            .for_each(|setting| setting.replace_in(&mut replaced));
        assert_eq!(
            Value::Object(replaced),
            json!({ "a": { "x": 1 }, "other": 1, "b": { "c": [2] } })
        );
        let mut whole = before;
        settings[2].replace_in(&mut whole);
        assert_eq!(Value::Object(whole), json!({ "d": 3 }));
    }

    #[test]
    fn an_edge_deployment_needs_its_agent_and_names_the_modules_to_run() {
        assert_eq!(
            read(json!({ "modulesContent": { "m": { "properties.desired": {} } } })),
            Err(InvalidContent::NoEdgeAgent)
        );
        let Ok(Content::Edge(base)) = read(json!({ "modulesContent": {
            "$edgeAgent": { "properties.desired": { "modules": { "camera": {} } } },
            "$edgeHub": { "properties.desired": { "routes": {} } },
            "filter": { "properties.desired": { "limit": 1 } }
        } })) else {
            panic!("a deployment")
        };
        assert!(!base.layered);
        let ids: Vec<String> = base.module_ids().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["$edgeAgent", "$edgeHub", "filter", "camera"]);

        let Ok(Content::Edge(layer)) = read(json!({ "modulesContent": {
            "$edgeAgent": { "properties.desired.modules.sensor": { "version": "1" } },
            "$edgeHub": { "properties.desired.routes.up": "FROM /* INTO $upstream" }
        } })) else {
            panic!("a layer")
        };
        assert!(layer.layered);
        assert_eq!(layer.module_ids().unwrap().last().unwrap().as_str(), "sensor");
        assert!(matches!(
            read(json!({ "modulesContent": { "$edgeAgent": { "properties.desired": { "modules": { "a/b": {} } } } } })),
            Err(InvalidContent::Module { .. })
        ));
    }
}
