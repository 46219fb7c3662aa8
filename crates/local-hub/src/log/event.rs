//! What stands in the log: messages of devices, and what happened to them.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hub_protocol::{ClientId, Timestamp, message::Properties};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// One event of one partition. A reader who has seen `sequence_number` goes on behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 0 in each partition, without gaps.
    pub sequence_number: u64,
    pub enqueued_time: Timestamp,
    pub source: MessageSource,
    pub sender: Arc<Sender>,
    pub properties: Properties,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub body: Bytes,
}

/// `iothub-message-source` (service.md 10.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageSource {
    #[serde(rename = "Telemetry")]
    Telemetry,
    TwinChangeEvents,
    DeviceLifecycleEvents,
    DeviceConnectionStateEvents,
}

/// What the hub stamps on a message, and no device can set: one for a connection, shared by all
/// it sends (device.md 3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    #[serde(serialize_with = "id_text", deserialize_with = "id_of_text")]
    pub id: ClientId,
    pub generation_id: String,
    /// `None` for what the hub itself says about a device.
    pub auth: Option<AuthMethod>,
    /// `dt-dataschema`; empty without a model.
    pub model_id: String,
}

/// How the sender of a message proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    DeviceSas,
    ModuleSas,
    /// A policy's key stood in for the device's.
    HubSas,
    DeviceX509,
    ModuleX509,
}

impl fmt::Display for AuthMethod {
    /// `iothub-connection-auth-method`, as the cloud writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, kind) = match self {
            Self::DeviceSas => ("device", "sas"),
            Self::ModuleSas => ("module", "sas"),
            Self::HubSas => ("hub", "sas"),
            Self::DeviceX509 => ("device", "x509"),
            Self::ModuleX509 => ("module", "x509"),
        };
        write!(
            f,
            r#"{{"scope":"{scope}","type":"{kind}","issuer":"iothub","acceptingIpFilterRule":null}}"#
        )
    }
}

/// An event that has no place in the log yet.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub source: MessageSource,
    pub sender: Arc<Sender>,
    pub properties: Properties,
    pub body: Bytes,
}

impl Event {
    /// Bytes it counts for: its body and properties, and what the rest takes of the allocator.
    pub(super) fn weight(&self) -> usize {
        600 + self.body.len() + self.properties.size()
    }
}

fn to_base64<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&BASE64.encode(body))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    BASE64
        .decode(text.as_bytes())
        .map(Bytes::from)
        .map_err(D::Error::custom)
}

fn id_text<S: Serializer>(id: &ClientId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn id_of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (device, module) = text
        .split_once('/')
        .map_or((text.as_str(), None), |(d, m)| (d, Some(m)));
    ClientId::new(device, module).map_err(D::Error::custom)
}
