//! What a job does to each device: checked, named, and put into the words of the wire.

use hub_protocol::{
    job::JobRequest,
    merge::{self, Object},
    method::MethodRequest,
    twin::{Twin, TwinPatch, TwinPatchProperties},
};
use serde_json::{Map, Value, json};

use crate::{
    error::{AppError, Result},
    view::{JobKind, JobWork},
};

/// Seconds a device may take to say that it begins; the long jobs are followed in its twin.
const ORDER_TIMEOUT: u32 = 60;

/// Bytes of a package a device is told to install.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackageOrder {
    pub uri: String,
    pub sha256: Option<String>,
}

/// One device's part of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act {
    Method(MethodRequest),
    Twin(TwinPatch),
    Enable(bool),
    Delete,
}

impl JobWork {
    pub fn kind(&self) -> JobKind {
        match self {
            Self::InvokeMethod { .. } => JobKind::InvokeMethod,
            Self::UpdateTwin { .. } => JobKind::UpdateTwin,
            Self::FirmwareUpdate { .. } => JobKind::FirmwareUpdate,
            Self::Reboot => JobKind::Reboot,
            Self::FactoryReset => JobKind::FactoryReset,
            Self::ConfigurationUpdate { .. } => JobKind::ConfigurationUpdate,
            Self::ReadProperties { .. } => JobKind::ReadProperties,
            Self::WriteProperties { .. } => JobKind::WriteProperties,
            Self::Enable => JobKind::Enable,
            Self::Disable => JobKind::Disable,
            Self::Delete => JobKind::Delete,
        }
    }

    /// A few words for lists.
    pub(crate) fn title(&self) -> String {
        let names = |value: &Option<Value>, section: &str| {
            let names: Vec<&str> = value
                .iter()
                .filter_map(Value::as_object)
                .flat_map(|object| object.keys().map(String::as_str))
                .collect();
            (!names.is_empty()).then(|| format!("{section} {}", names.join(", ")))
        };
        match self {
            Self::InvokeMethod { method_name, .. } => format!("Invoke {method_name}"),
            Self::UpdateTwin { tags, desired } => {
                let parts: Vec<String> = [names(desired, "desired"), names(tags, "tags")]
                    .into_iter()
                    .flatten()
                    .collect();
                format!("Change {}", parts.join(" and "))
            }
            Self::FirmwareUpdate {
                version: Some(version), ..
            } => format!("Update firmware to {version}"),
            Self::FirmwareUpdate { .. } => "Update firmware".into(),
            Self::Reboot => "Reboot".into(),
            Self::FactoryReset => "Factory reset".into(),
            Self::ConfigurationUpdate { name, .. } => format!("Set {name}"),
            Self::ReadProperties { names } => format!("Read {}", names.join(", ")),
            Self::WriteProperties { properties } => {
                let names = names(&Some(properties.clone()), "").unwrap_or_default();
                format!("Write{names}")
            }
            Self::Enable => "Enable".into(),
            Self::Disable => "Disable".into(),
            Self::Delete => "Delete".into(),
        }
    }

    /// What is done to each device; refused where it could not be sent.
    pub(crate) fn act(&self, package: Option<&PackageOrder>) -> Result<Act> {
        let order = |name: &str, payload: Value| MethodRequest {
            response_timeout_in_seconds: ORDER_TIMEOUT,
            ..MethodRequest::new(name, payload)
        };
        let request = match self {
            Self::InvokeMethod {
                method_name,
                payload,
                response_timeout_seconds,
                connect_timeout_seconds,
            } => MethodRequest {
                response_timeout_in_seconds: *response_timeout_seconds,
                connect_timeout_in_seconds: *connect_timeout_seconds,
                ..MethodRequest::new(method_name.trim(), payload.clone())
            },
            Self::UpdateTwin { tags, desired } => return patch(tags.as_ref(), desired.as_ref()).map(Act::Twin),
            Self::FirmwareUpdate { version, .. } => {
                let package = package.ok_or_else(|| AppError::invalid("No package was chosen."))?;
                let mut payload = Map::from_iter([("packageUri".to_owned(), json!(package.uri))]);
                payload.extend(package.sha256.as_ref().map(|sum| ("sha256".to_owned(), json!(sum))));
                payload.extend(version.as_ref().map(|version| ("version".to_owned(), json!(version))));
                order("firmwareUpdate", payload.into())
            }
            Self::Reboot => order("reboot", Value::Null),
            Self::FactoryReset => order("factoryReset", Value::Null),
            Self::ConfigurationUpdate { name, value } => {
                if name.trim().is_empty() {
                    return Err(AppError::invalid("The setting has no name."));
                }
                order("configurationUpdate", json!({ "name": name.trim(), "value": value }))
            }
            Self::ReadProperties { names } => {
                if names.is_empty() {
                    return Err(AppError::invalid("No property was named."));
                }
                order("readProperties", json!({ "names": names }))
            }
            Self::WriteProperties { properties } => {
                if properties.as_object().is_none_or(Map::is_empty) {
                    return Err(AppError::invalid(
                        "The properties to write must be a JSON object with at least one.",
                    ));
                }
                order("writeProperties", json!({ "properties": properties }))
            }
            Self::Enable => return Ok(Act::Enable(true)),
            Self::Disable => return Ok(Act::Enable(false)),
            Self::Delete => return Ok(Act::Delete),
        };
        request
            .check()
            .map_err(|error| AppError::invalid(format!("This call cannot be sent: {error}.")))?;
        Ok(Act::Method(request))
    }

    /// As the hub runs it; only methods and twins.
    pub(crate) fn request(&self, id: &str, condition: &str) -> Result<JobRequest> {
        match self.act(None)? {
            Act::Method(call) if matches!(self, Self::InvokeMethod { .. }) => {
                Ok(JobRequest::device_method(id, condition, call))
            }
            Act::Twin(patch) => Ok(JobRequest::update_twin(id, condition, patch)),
            _ => Err(
                AppError::invalid("A hub's own jobs invoke a method or change twins; nothing else.")
                    .hint("Let this application run the job."),
            ),
        }
    }
}

impl JobKind {
    /// The reported property under `deviceJobs` that tells how a long job goes.
    pub(crate) fn followed(self) -> Option<&'static str> {
        match self {
            Self::FirmwareUpdate => Some("firmwareUpdate"),
            Self::Reboot => Some("reboot"),
            Self::FactoryReset => Some("factoryReset"),
            _ => None,
        }
    }

    /// Whether doing it twice is the same as doing it once.
    pub(crate) fn is_repeatable(self) -> bool {
        matches!(
            self,
            Self::ReadProperties | Self::UpdateTwin | Self::Enable | Self::Disable | Self::Delete
        )
    }

    /// Whether the person must have been shown how many devices it is about.
    pub(crate) fn is_destructive(self) -> bool {
        matches!(self, Self::FactoryReset | Self::Disable | Self::Delete)
    }
}

fn patch(tags: Option<&Value>, desired: Option<&Value>) -> Result<TwinPatch> {
    let section = |value: Option<&Value>, name: &str| -> Result<Option<Object>> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) if object.is_empty() => Ok(None),
            Some(Value::Object(object)) => {
                merge::check(object).map_err(hub_protocol::HubError::from)?;
                Ok(Some(object.clone()))
            }
            Some(_) => Err(AppError::invalid(format!("The {name} must be a JSON object."))),
        }
    };
    let tags = section(tags, "tags")?;
    let desired = section(desired, "desired properties")?;
    if tags.is_none() && desired.is_none() {
        return Err(AppError::invalid("Nothing is changed: both patches are empty."));
    }
    Ok(TwinPatch {
        tags,
        properties: desired.map(|desired| TwinPatchProperties { desired: Some(desired) }),
    })
}

/// What `patch` changes in `twin`, section by section; empty where it holds already.
pub(crate) fn changes(twin: &Twin, patch: &TwinPatch) -> Vec<(&'static str, Object, Object)> {
    let desired = patch
        .properties
        .as_ref()
        .and_then(|properties| properties.desired.as_ref());
    let sections = [
        ("tags", &twin.tags, patch.tags.as_ref()),
        ("desired", &twin.properties.desired.values, desired),
    ];
    let changed = |(name, before, patch): (&'static str, &Object, Option<&Object>)| {
        let mut after = before.clone();
        merge::merge(&mut after, patch?);
        (after != *before).then(|| (name, before.clone(), after))
    };
    sections.into_iter().filter_map(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twin(tags: &Value, desired: &Value) -> Twin {
        let document = json!({"deviceId": "d", "etag": "e", "tags": tags, "properties": {"desired": desired}});
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_twin_that_holds_the_patch_already_is_not_changed() {
        let work = JobWork::UpdateTwin {
            tags: None,
            desired: Some(json!({"building": 43, "floor": null})),
        };
        let Act::Twin(patch) = work.act(None).unwrap() else {
            panic!("no patch")
        };
        assert!(changes(&twin(&json!({}), &json!({"building": 43})), &patch).is_empty());
        let changed = changes(&twin(&json!({}), &json!({"floor": 3})), &patch);
        assert_eq!(changed.len(), 1);
        assert_eq!(Value::from(changed[0].2.clone()), json!({"building": 43}));
    }

    #[test]
    fn what_could_not_be_sent_is_refused_with_its_reason() {
        for work in [
            JobWork::UpdateTwin {
                tags: None,
                desired: Some(json!({})),
            },
            JobWork::UpdateTwin {
                tags: Some(json!(7)),
                desired: None,
            },
            JobWork::ReadProperties { names: Vec::new() },
            JobWork::WriteProperties { properties: json!([]) },
            JobWork::InvokeMethod {
                method_name: " ".into(),
                payload: Value::Null,
                response_timeout_seconds: 30,
                connect_timeout_seconds: 0,
            },
        ] {
            assert!(work.act(None).is_err(), "{work:?}");
        }
    }

    #[test]
    fn the_hub_runs_methods_and_twin_changes_and_nothing_else() {
        assert!(JobWork::Reboot.request("j", "*").is_err());
        let lock = JobWork::InvokeMethod {
            method_name: "lockDoor".into(),
            payload: json!({"lockTime": "10m"}),
            response_timeout_seconds: 30,
            connect_timeout_seconds: 0,
        };
        assert_eq!(lock.request("j", "*").unwrap().job_id, "j");
        assert_eq!(lock.title(), "Invoke lockDoor");
    }
}
