//! What the hub itself says of its devices, as events (service.md 10.6).

use std::sync::Arc;

use bytes::Bytes;
use hub_protocol::{
    ClientId, Timestamp,
    merge::Object,
    message::{Properties, SystemProperty},
    twin::Twin,
};
use serde_json::{Value, json};

use super::{MessageSource, NewEvent, Sender};
use crate::events::{HubEvent, TwinSection};

/// `None` for what the cloud has no event for. `sequence` orders connection events across the hub,
/// as the cloud's 64 hex digits do.
pub(crate) fn fact(event: &HubEvent, hub_name: &str, sequence: u64, now: Timestamp) -> Option<NewEvent> {
    let about = |id: ClientId, model_id: &str| {
        Arc::new(Sender {
            id,
            generation_id: String::new(),
            auth: None,
            model_id: model_id.to_owned(),
        })
    };
    let (source, schema, operation, sender, body) = match event {
        HubEvent::IdentityChanged { twin, created } => {
            let operation = match (created, twin.module_id.is_some()) {
                (true, false) => "createDeviceIdentity",
                (true, true) => "createModuleIdentity",
                (false, false) => "updateDeviceIdentity",
                (false, true) => "updateModuleIdentity",
            };
            (
                MessageSource::DeviceLifecycleEvents,
                "deviceLifecycleNotification",
                operation,
                about(twin.client_id(), &twin.model_id),
                lifecycle(twin),
            )
        }
        HubEvent::IdentityDeleted { id } => {
            let operation = if id.is_module() {
                "deleteModuleIdentity"
            } else {
                "deleteDeviceIdentity"
            };
            let mut body = json!({ "deviceId": id.device_str() });
            if let Some(module_id) = &id.module_id {
                body["moduleId"] = module_id.as_str().into();
            }
            (
                MessageSource::DeviceLifecycleEvents,
                "deviceLifecycleNotification",
                operation,
                about(id.clone(), ""),
                body,
            )
        }
        HubEvent::ConnectionChanged { id, connected, .. } => (
            MessageSource::DeviceConnectionStateEvents,
            "deviceConnectionStateNotification",
            if *connected {
                "deviceConnected"
            } else {
                "deviceDisconnected"
            },
            about(id.clone(), ""),
            json!({ "sequenceNumber": format!("{sequence:064X}") }),
        ),
        HubEvent::TwinChanged {
            section,
            patch,
            twin,
            replaced,
        } => {
            let (operation, body) = if *replaced {
                ("replaceTwin", serde_json::to_value(&**twin).unwrap_or_default())
            } else {
                ("updateTwin", change(*section, patch, twin))
            };
            (
                MessageSource::TwinChangeEvents,
                "twinChangeNotification",
                operation,
                about(twin.client_id(), &twin.model_id),
                body,
            )
        }
        HubEvent::MessageQueued { .. }
        | HubEvent::JobChanged { .. }
        | HubEvent::ConfigurationChanged { .. }
        | HubEvent::StandingsChanged { .. } => return None,
    };
    let mut properties = Properties::default();
    let system = [
        (SystemProperty::ContentType, "application/json"),
        (SystemProperty::ContentEncoding, "utf-8"),
        (SystemProperty::UserId, hub_name),
        (SystemProperty::MessageSchema, schema),
    ];
    for (name, value) in system {
        properties.system.insert(name, value.into());
    }
    let application = &mut properties.application;
    application.push(("hubName".into(), Some(hub_name.into())));
    application.push(("deviceId".into(), Some(sender.id.device_str().into())));
    if let Some(module_id) = &sender.id.module_id {
        application.push(("moduleId".into(), Some(module_id.as_str().into())));
    }
    application.push(("operationTimestamp".into(), Some(now.to_string())));
    application.push(("opType".into(), Some(operation.into())));
    Some(NewEvent {
        source,
        sender,
        properties,
        body: Bytes::from(body.to_string()),
    })
}

fn lifecycle(twin: &Twin) -> Value {
    let mut body = json!({
        "deviceId": twin.device_id,
        "etag": twin.etag,
        "version": twin.version,
        "properties": twin.properties,
    });
    if let Some(module_id) = &twin.module_id {
        body["moduleId"] = module_id.as_str().into();
    }
    body
}

/// Only what changed, with the stamps of just that.
fn change(section: TwinSection, patch: &Object, twin: &Twin) -> Value {
    let (name, set) = match section {
        TwinSection::Tags => return json!({ "version": twin.version, "tags": patch }),
        TwinSection::Desired => ("desired", &twin.properties.desired),
        TwinSection::Reported => ("reported", &twin.properties.reported),
    };
    let mut values = patch.clone();
    values.insert("$metadata".into(), Value::Object(stamps(&set.metadata, patch)));
    values.insert("$version".into(), set.version.into());
    json!({ "version": twin.version, "properties": { name: values } })
}

fn stamps(metadata: &Object, patch: &Object) -> Object {
    let own = metadata.iter().filter(|(key, _)| key.starts_with('$'));
    let mut kept: Object = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, changed) in patch {
        let Some(Value::Object(node)) = metadata.get(key) else {
            continue;
        };
        let below = match changed {
            Value::Object(changed) => stamps(node, changed),
            _ => node.clone(),
        };
        kept.insert(key.clone(), Value::Object(below));
    }
    kept
}
