//! Topics of both directions, filters, user names and property bags.
//!
//! An input is a topic; if it has a line break, the device's id stands before it.
#![no_main]

use hub_protocol::{
    ClientId, DeviceId,
    message::{Properties, format_bag, parse_bag},
    method::MethodRequest,
    topic::{self, Filter, FromDevice, ToDevice, UserName},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let (device_id, text) = text.split_once('\n').unwrap_or(("dev-1", text));
    from_device_holds(text);
    to_device_holds(text);
    user_name_holds(text);
    bag_holds(text);
    method_holds(text);
    if let Ok(device_id) = DeviceId::new(device_id) {
        device_holds(&device_id, text);
    }
});

/// What was understood, written our way, is understood alike.
fn from_device_holds(text: &str) {
    let Some(meaning) = FromDevice::parse(text) else { return };
    let written = match meaning {
        FromDevice::Telemetry {
            device_id,
            module_id,
            bag,
        } => {
            let root = match module_id {
                "" => format!("devices/{device_id}"),
                _ => format!("devices/{device_id}/modules/{module_id}"),
            };
            assert!(text.starts_with(&format!("{root}/messages/events")) && text.ends_with(bag));
            bag_holds(bag);
            format!("{root}/messages/events/{bag}")
        }
        FromDevice::MethodResponse { status, request_id } => {
            is_request_id(request_id);
            topic::method_response(status, request_id)
        }
        FromDevice::TwinGet { request_id } => {
            is_request_id(request_id);
            topic::twin_get(request_id)
        }
        FromDevice::ReportedPatch {
            request_id: Some(request_id),
        } => {
            is_request_id(request_id);
            topic::reported_patch(request_id)
        }
        FromDevice::ReportedPatch { request_id: None } => "$iothub/twin/PATCH/properties/reported/".into(),
    };
    assert_eq!(FromDevice::parse(&written), Some(meaning), "{written}");
}

/// The hub hands a request id back verbatim, so the device must find the same one in the answer.
fn is_request_id(request_id: &str) {
    for version in [None, Some(0), Some(u64::MAX)] {
        assert_eq!(
            ToDevice::parse(&topic::twin_response(204, request_id, version)),
            Some(ToDevice::TwinResponse {
                status: 204,
                request_id,
                version
            })
        );
    }
}

fn to_device_holds(text: &str) {
    let Some(meaning) = ToDevice::parse(text) else { return };
    let written = match &meaning {
        // A name arrives percent-encoded from some hubs; ours sends only what needs no encoding.
        ToDevice::MethodRequest { name, request_id } => {
            if MethodRequest::new(name, Value::Null).check().is_err() {
                return;
            }
            topic::method_request(name, request_id)
        }
        ToDevice::TwinResponse {
            status,
            request_id,
            version,
        } => topic::twin_response(*status, request_id, *version),
        ToDevice::DesiredPatch { version } => topic::desired_patch(*version),
        ToDevice::CloudToDevice { bag } => {
            bag_holds(bag);
            topic::cloud_to_device("d", bag)
        }
    };
    assert_eq!(ToDevice::parse(&written), Some(meaning), "{written}");
}

/// A method that may be called reaches the device under its own name.
fn method_holds(name: &str) {
    if MethodRequest::new(name, Value::Null).check().is_ok() {
        assert_eq!(
            ToDevice::parse(&topic::method_request(name, "1f")),
            Some(ToDevice::MethodRequest {
                name: name.to_owned(),
                request_id: "1f"
            })
        );
    }
}

fn user_name_holds(text: &str) {
    let Some(user) = UserName::parse(text) else { return };
    assert!(!user.host.is_empty() && !user.device_id.is_empty());
    let names = [Some(&user.host), Some(&user.device_id), user.module_id.as_ref()];
    assert!(names.into_iter().flatten().all(|name| !name.contains('/')));
    assert!(text.starts_with(&format!("{}/{}", user.host, user.device_id)));
    let ours = UserName::format(&user.host, &user.device_id, "twindeck");
    assert_eq!(
        UserName::parse(&ours),
        Some(UserName {
            module_id: None,
            model_id: None,
            ..user
        })
    );
}

/// Each name once; written and read again, what has a value is unchanged.
fn bag_holds(bag: &str) {
    let pairs = parse_bag(bag);
    for (at, (name, _)) in pairs.iter().enumerate() {
        assert!(pairs[..at].iter().all(|(seen, _)| seen != name), "{name:?} comes twice");
    }
    let valued = pairs
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
    let again = parse_bag(&format_bag(valued.clone()));
    let again = again.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    assert!(again.eq(valued.map(|(name, value)| (name, Some(value)))), "{bag:?}");

    // Sorted into the hub's and the application's nothing is lost, and nothing grows.
    let properties = Properties::from_bag(bag);
    assert!(properties.size() <= bag.len());
    assert!(properties.system.len() + properties.application.len() <= pairs.len());
    assert_eq!(Properties::from_bag(&properties.to_bag()), properties, "{bag:?}");
    // Headers know no bare names.
    let headers = properties.to_headers();
    let carried = Properties::from_headers(headers.iter().map(|(name, value)| (name.as_str(), *value)));
    let mut valued = properties.clone();
    for (_, value) in &mut valued.application {
        value.get_or_insert_default();
    }
    assert_eq!(carried, valued, "{bag:?}");
}

/// A device's topics are its own: its filter and its telemetry name it and nobody else.
fn device_holds(device_id: &DeviceId, text: &str) {
    let id = device_id.as_str();
    let device = ClientId::device(device_id.clone());
    let module = ClientId {
        module_id: Some(device_id.clone()),
        ..device.clone()
    };
    for client in [&device, &module] {
        if let Some(filter) = Filter::parse(text, client) {
            assert_eq!(filter.text(client), text, "a filter means one text");
        }
    }
    let own = Filter::CloudToDevice.text(&device);
    assert_eq!(Filter::parse(&own, &device), Some(Filter::CloudToDevice));
    assert_eq!(Filter::parse(&own, &module), None);
    if let Ok(longer) = ClientId::new(&format!("{id}x"), None) {
        assert_eq!(Filter::parse(&own, &longer), None);
    }

    let telemetry = topic::telemetry(id, text);
    assert_eq!(
        FromDevice::parse(&telemetry),
        Some(FromDevice::Telemetry {
            device_id: id,
            module_id: "",
            bag: text
        })
    );
    let user = UserName::format("h.local", id, "twindeck");
    assert!(matches!(UserName::parse(&user), Some(user) if user.device_id == id && user.model_id.is_none()));
}
