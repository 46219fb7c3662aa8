//! MQTT topics of the device side, both directions, and the CONNECT user name.
//!
//! IoT Hub is not a broker: every device uses the same `$iothub/…` topics on its own connection,
//! so topics are parsed into what they mean, never matched against each other.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::ClientId;

/// What a device's PUBLISH means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromDevice<'a> {
    /// `module_id` is empty for a device's own.
    Telemetry {
        device_id: &'a str,
        module_id: &'a str,
        bag: &'a str,
    },
    MethodResponse {
        status: i32,
        request_id: &'a str,
    },
    TwinGet {
        request_id: &'a str,
    },
    /// Without a request id the patch is applied and not answered.
    ReportedPatch {
        request_id: Option<&'a str>,
    },
}

/// What the hub's PUBLISH means to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToDevice<'a> {
    MethodRequest {
        name: String,
        request_id: &'a str,
    },
    TwinResponse {
        status: u16,
        request_id: &'a str,
        version: Option<u64>,
    },
    DesiredPatch {
        version: u64,
    },
    CloudToDevice {
        bag: &'a str,
    },
}

/// A filter a device or module may subscribe to (device.md 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    Methods,
    TwinResponses,
    DesiredPatches,
    /// `…/messages/devicebound/#`, of a device or, as the Java client asks, of a module.
    CloudToDevice,
    /// A module's `…/inputs/#`. Only an edge hub has something to send there.
    Inputs,
    /// A module's own `…/modules/{m}/#`, which the C and C# clients ask for.
    Module,
}

/// Filters that are every client's; on its own connection they mean its own.
pub const METHODS: &str = "$iothub/methods/POST/#";
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
pub const DESIRED_PATCHES: &str = "$iothub/twin/PATCH/properties/desired/#";

/// The item `name` of `?$rid=…&$version=…`; SDKs write `$` raw in both directions.
fn query_item<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let query = query.strip_prefix('?').unwrap_or(query);
    query
        .split('&')
        .filter_map(|item| item.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

impl<'a> FromDevice<'a> {
    pub fn parse(topic: &'a str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix("$iothub/") {
            if let Some(rest) = rest.strip_prefix("methods/res/") {
                let (status, query) = rest.split_once('/')?;
                return Some(Self::MethodResponse {
                    status: status.parse().ok()?,
                    request_id: query_item(query, "$rid")?,
                });
            }
            if let Some(query) = rest.strip_prefix("twin/GET/") {
                return Some(Self::TwinGet {
                    request_id: query_item(query, "$rid")?,
                });
            }
            let query = rest.strip_prefix("twin/PATCH/properties/reported/")?;
            return Some(Self::ReportedPatch {
                request_id: query_item(query, "$rid"),
            });
        }
        let (device_id, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
        let (module_id, rest) = match rest.strip_prefix("modules/") {
            Some(rest) => rest.split_once('/').filter(|(module_id, _)| !module_id.is_empty())?,
            None => ("", rest),
        };
        let rest = rest.strip_prefix("messages/events")?;
        // Both the slash and the question mark before the bag may be missing.
        let bag = rest
            .strip_prefix('/')
            .or_else(|| rest.is_empty().then_some(rest))
            .or_else(|| rest.starts_with('?').then_some(rest))?;
        Some(Self::Telemetry {
            device_id,
            module_id,
            bag,
        })
    }
}

impl<'a> ToDevice<'a> {
    pub fn parse(topic: &'a str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix("$iothub/methods/POST/") {
            let (name, query) = rest.split_once('/')?;
            let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
            return Some(Self::MethodRequest {
                name,
                request_id: query_item(query, "$rid")?,
            });
        }
        if let Some(rest) = topic.strip_prefix("$iothub/twin/res/") {
            let (status, query) = rest.split_once('/')?;
            let version = query_item(query, "$version").and_then(|text| text.parse().ok());
            return Some(Self::TwinResponse {
                status: status.parse().ok()?,
                request_id: query_item(query, "$rid")?,
                version,
            });
        }
        if let Some(query) = topic.strip_prefix("$iothub/twin/PATCH/properties/desired/") {
            return Some(Self::DesiredPatch {
                version: query_item(query, "$version")?.parse().ok()?,
            });
        }
        let (_, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
        Some(Self::CloudToDevice {
            bag: rest.strip_prefix("messages/devicebound/")?,
        })
    }
}

impl Filter {
    /// `None` for anything this device or module may not subscribe to; the hub then closes the
    /// connection.
    pub fn parse(filter: &str, id: &ClientId) -> Option<Self> {
        match filter {
            METHODS => return Some(Self::Methods),
            TWIN_RESPONSES => return Some(Self::TwinResponses),
            DESIRED_PATCHES => return Some(Self::DesiredPatches),
            _ => {}
        }
        let mut own = filter
            .strip_prefix("devices/")?
            .strip_prefix(id.device_str())?
            .strip_prefix('/')?;
        if id.is_module() {
            own = own
                .strip_prefix("modules/")?
                .strip_prefix(id.module_str())?
                .strip_prefix('/')?;
        }
        match own {
            "messages/devicebound/#" => Some(Self::CloudToDevice),
            "inputs/#" if id.is_module() => Some(Self::Inputs),
            "#" if id.is_module() => Some(Self::Module),
            _ => None,
        }
    }

    /// The filter's text for `id`.
    pub fn text(self, id: &ClientId) -> String {
        match self {
            Self::Methods => METHODS.into(),
            Self::TwinResponses => TWIN_RESPONSES.into(),
            Self::DesiredPatches => DESIRED_PATCHES.into(),
            Self::CloudToDevice => format!("{}/messages/devicebound/#", root(id)),
            Self::Inputs => format!("{}/inputs/#", root(id)),
            Self::Module => format!("{}/#", root(id)),
        }
    }
}

/// Where an identity's own topics begin; its id stands raw in them.
fn root(id: &ClientId) -> String {
    match &id.module_id {
        Some(module_id) => format!("devices/{}/modules/{module_id}", id.device_id),
        None => format!("devices/{}", id.device_id),
    }
}

/// A filter as it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub filter: Filter,
    /// QoS 1 rather than 0; never more, whatever was asked.
    pub at_least_once: bool,
}

pub fn telemetry(device_id: &str, bag: &str) -> String {
    format!("devices/{device_id}/messages/events/{bag}")
}

pub fn method_request(name: &str, request_id: &str) -> String {
    format!("$iothub/methods/POST/{name}/?$rid={request_id}")
}

pub fn method_response(status: i32, request_id: &str) -> String {
    format!("$iothub/methods/res/{status}/?$rid={request_id}")
}

pub fn twin_get(request_id: &str) -> String {
    format!("$iothub/twin/GET/?$rid={request_id}")
}

pub fn reported_patch(request_id: &str) -> String {
    format!("$iothub/twin/PATCH/properties/reported/?$rid={request_id}")
}

pub fn cloud_to_device(device_id: &str, bag: &str) -> String {
    format!("devices/{device_id}/messages/devicebound/{bag}")
}

/// `$rid` comes first: the C client looks for it right behind the question mark.
pub fn twin_response(status: u16, request_id: &str, version: Option<u64>) -> String {
    let mut topic = format!("$iothub/twin/res/{status}/?$rid={request_id}");
    if let Some(version) = version {
        let _ = write!(topic, "&$version={version}");
    }
    topic
}

pub fn desired_patch(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

/// The CONNECT user name: `{host}/{device}[/{module}]/?api-version=…&…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    pub host: String,
    pub device_id: String,
    pub module_id: Option<String>,
    /// IoT Plug and Play model, raw or percent-encoded by the client.
    pub model_id: Option<String>,
}

impl UserName {
    /// The last segment holds the query, its leading `?` optional; the first of a repeated
    /// property wins, unknown ones are ignored. A missing `api-version` is accepted, as old
    /// clients leave it out.
    pub fn parse(text: &str) -> Option<Self> {
        // A model id may stand raw in the query; it has semicolons and colons but no slash.
        let mut parts = text.split('/');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let (host, device_id, module_id, query) = match parts {
            [Some(host), Some(device), None, ..] => (host, device, None, ""),
            [Some(host), Some(device), Some(query), None, _] => (host, device, None, query),
            [Some(host), Some(device), Some(module), Some(query), None] => (host, device, Some(module), query),
            _ => return None,
        };
        if host.is_empty() || device_id.is_empty() || module_id == Some("") {
            return None;
        }
        let model_id = query_item(query, "model-id").map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned());
        Some(Self {
            host: host.into(),
            device_id: device_id.into(),
            module_id: module_id.map(Into::into),
            model_id,
        })
    }

    /// What our own devices send.
    pub fn format(host: &str, device_id: &str, client_type: &str) -> String {
        format!(
            "{host}/{device_id}/?api-version={}&DeviceClientType={client_type}",
            crate::API_VERSION
        )
    }

    /// Adds the IoT Plug and Play model that a device says it is.
    pub fn with_model(user_name: &str, model_id: &str) -> String {
        format!(
            "{user_name}&model-id={}",
            utf8_percent_encode(model_id, NON_ALPHANUMERIC)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_topic_a_device_publishes_is_understood() {
        use FromDevice::{MethodResponse, ReportedPatch, Telemetry, TwinGet};
        assert_eq!(
            FromDevice::parse("devices/d/messages/events/a=1"),
            Some(Telemetry {
                device_id: "d",
                module_id: "",
                bag: "a=1"
            })
        );
        assert_eq!(
            FromDevice::parse("devices/d/modules/m/messages/events/%24.on=o1/"),
            Some(Telemetry {
                device_id: "d",
                module_id: "m",
                bag: "%24.on=o1/"
            })
        );
        assert_eq!(
            FromDevice::parse("devices/d/messages/events?a=1"),
            Some(Telemetry {
                device_id: "d",
                module_id: "",
                bag: "?a=1"
            })
        );
        assert_eq!(
            FromDevice::parse("devices/d/messages/events"),
            Some(Telemetry {
                device_id: "d",
                module_id: "",
                bag: ""
            })
        );
        assert_eq!(
            FromDevice::parse("$iothub/methods/res/200/?$rid=1f"),
            Some(MethodResponse {
                status: 200,
                request_id: "1f"
            })
        );
        assert_eq!(
            FromDevice::parse("$iothub/twin/GET/?$rid=a-b"),
            Some(TwinGet { request_id: "a-b" })
        );
        assert_eq!(
            FromDevice::parse("$iothub/twin/PATCH/properties/reported/?$rid=7"),
            Some(ReportedPatch { request_id: Some("7") })
        );
        for unknown in [
            "",
            "$iothub/",
            "$iothub/twin/GET/",
            "devices/d",
            "devices/d/messages/eventsx",
            "devices/d/modules//messages/events/",
            "devices/d/modules/m/messages/devicebound/",
            "other",
            "$iothub/methods/res/x/?$rid=1",
        ] {
            assert_eq!(FromDevice::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_the_hub_sends_is_what_a_device_reads() {
        assert_eq!(
            ToDevice::parse(&method_request("rebootDevice", "5")),
            Some(ToDevice::MethodRequest {
                name: "rebootDevice".into(),
                request_id: "5"
            })
        );
        assert_eq!(
            ToDevice::parse(&twin_response(204, "r", Some(9))),
            Some(ToDevice::TwinResponse {
                status: 204,
                request_id: "r",
                version: Some(9)
            })
        );
        assert_eq!(
            ToDevice::parse(&desired_patch(4)),
            Some(ToDevice::DesiredPatch { version: 4 })
        );
        assert_eq!(
            ToDevice::parse("devices/d/messages/devicebound/x=1"),
            Some(ToDevice::CloudToDevice { bag: "x=1" })
        );
    }

    #[test]
    fn filters_of_others_are_refused() {
        let device = ClientId::new("dev-1", None).unwrap();
        let module = ClientId::new("dev-1", Some("m")).unwrap();
        for filter in [
            Filter::Methods,
            Filter::TwinResponses,
            Filter::DesiredPatches,
            Filter::CloudToDevice,
        ] {
            assert_eq!(Filter::parse(&filter.text(&device), &device), Some(filter));
            assert_eq!(Filter::parse(&filter.text(&module), &module), Some(filter));
        }
        for filter in [Filter::Inputs, Filter::Module] {
            assert_eq!(Filter::parse(&filter.text(&module), &module), Some(filter));
            assert_eq!(Filter::parse(&filter.text(&module), &device), None);
        }
        for foreign in [
            "#",
            "devices/dev-10/messages/devicebound/#",
            "devices/+/messages/devicebound/#",
            "$iothub/#",
            "devices/dev-1/#",
            "devices/dev-1/inputs/#",
            "devices/dev-1/modules/m2/#",
            "devices/dev-1/modules/+/#",
        ] {
            assert_eq!(Filter::parse(foreign, &device), None, "{foreign}");
            assert_eq!(Filter::parse(foreign, &module), None, "{foreign}");
        }
        assert_eq!(Filter::parse(&Filter::CloudToDevice.text(&device), &module), None);
    }

    #[test]
    fn user_names_of_the_published_clients_are_read() {
        let python =
            UserName::parse("h/d/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0")
                .unwrap();
        assert_eq!(
            (python.host.as_str(), python.device_id.as_str(), python.module_id),
            ("h", "d", None)
        );
        let node =
            UserName::parse("h/d/m/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1&DeviceClientType=x")
                .unwrap();
        assert_eq!(node.module_id.as_deref(), Some("m"));
        assert_eq!(node.model_id.as_deref(), Some("dtmi:com:example:Thermostat;1"));
        assert!(UserName::parse("h/d/api-version=2016-11-14").is_some());
        let ours = UserName::with_model(&UserName::format("h", "d", "t"), "dtmi:com:example:Thermostat;1");
        let ours = UserName::parse(&ours).unwrap();
        assert_eq!(ours.model_id.as_deref(), Some("dtmi:com:example:Thermostat;1"));
        assert_eq!(UserName::parse("h"), None);
        assert_eq!(UserName::parse("h/d/m/x/?api-version=1"), None);
    }

    proptest! {
        #[test]
        fn no_topic_makes_a_parser_panic(topic in "[$a-z/?&=%#+é0-9]{0,60}") {
            let _ = (FromDevice::parse(&topic), ToDevice::parse(&topic), Filter::parse(&topic, &ClientId::new("d", None).unwrap()), UserName::parse(&topic));
            let prefixed = format!("$iothub/{topic}");
            let _ = (FromDevice::parse(&prefixed), ToDevice::parse(&prefixed));
        }
    }
}
