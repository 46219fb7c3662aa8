//! Device twins as the service side sees them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::Value;

use crate::{
    ClientId, DeviceId, ModuleId, Timestamp,
    identity::{AuthenticationType, Capabilities, ConnectionState, Status, X509Thumbprint, null_as_default},
    merge::Object,
};

/// `GET /twins/{id}`. Unknown fields of newer api-versions are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    pub device_id: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<ModuleId>,
    /// Moves on writes of tags and desired properties.
    pub etag: String,
    /// The etag of the identity.
    #[serde(default, deserialize_with = "null_as_default")]
    pub device_etag: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    #[serde(default)]
    pub status_reason: Option<String>,
    #[serde(default = "never")]
    pub status_update_time: Timestamp,
    #[serde(default, deserialize_with = "null_as_default")]
    pub connection_state: ConnectionState,
    #[serde(default = "never")]
    pub last_activity_time: Timestamp,
    #[serde(default)]
    pub cloud_to_device_message_count: u32,
    #[serde(default, deserialize_with = "null_as_default")]
    pub authentication_type: AuthenticationType,
    #[serde(default, deserialize_with = "null_as_default")]
    pub x509_thumbprint: X509Thumbprint,
    #[serde(default, deserialize_with = "null_as_default")]
    pub model_id: String,
    /// Counts every change of the twin, reported ones included.
    #[serde(default)]
    pub version: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Object,
    #[serde(default)]
    pub properties: TwinProperties,
    #[serde(default, deserialize_with = "null_as_default")]
    pub capabilities: Capabilities,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub parent_scopes: Vec<String>,
    /// By configuration id: `{"status": "Targeted"}` or `"Applied"` (service.md 7.3).
    #[serde(
        default,
        skip_serializing_if = "Object::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub configurations: Object,
}

impl Twin {
    pub fn client_id(&self) -> ClientId {
        ClientId {
            device_id: self.device_id.clone(),
            module_id: self.module_id.clone(),
        }
    }
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinProperties {
    #[serde(default)]
    pub desired: PropertySet,
    #[serde(default)]
    pub reported: PropertySet,
}

/// Desired or reported properties. On the wire the values come first, then `$metadata`, then
/// `$version`: older tutorial scripts search the raw text in that order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PropertySet {
    pub values: Object,
    pub metadata: Object,
    pub version: u64,
}

impl Serialize for PropertySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len() + 2))?;
        for (key, value) in &self.values {
            map.serialize_entry(key, value)?;
        }
        if !self.metadata.is_empty() {
            map.serialize_entry("$metadata", &self.metadata)?;
        }
        map.serialize_entry("$version", &self.version)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for PropertySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Object::deserialize(deserializer)?;
        let metadata = match values.remove("$metadata") {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err(D::Error::custom("$metadata must be an object")),
        };
        let version = values
            .remove("$version")
            .and_then(|version| version.as_u64())
            .unwrap_or_default();
        Ok(Self {
            values,
            metadata,
            version,
        })
    }
}

impl PropertySet {
    /// `$lastUpdated` of the node at `path`, by the hub's clock. A value is news only if this
    /// is newer than what was seen before: a device may report the same value again.
    pub fn last_updated(&self, path: &[&str]) -> Option<Timestamp> {
        let mut node = &self.metadata;
        for segment in path {
            node = node.get(*segment)?.as_object()?;
        }
        node.get("$lastUpdated")?.as_str().and_then(Timestamp::parse)
    }
}

/// What a service sends to `PATCH` or `PUT /twins/{id}`; an absent part stays as it is in a
/// PATCH and becomes empty in a PUT. Anything else in the body is ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Object>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<TwinPatchProperties>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinPatchProperties {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Object>,
}

impl TwinPatch {
    pub fn tags(tags: Object) -> Self {
        Self {
            tags: Some(tags),
            properties: None,
        }
    }

    pub fn desired(desired: Object) -> Self {
        Self {
            tags: None,
            properties: Some(TwinPatchProperties { desired: Some(desired) }),
        }
    }
}

/// The twin's etag: an eight-byte big-endian counter in base64, `AAAAAAAAAAE=` at birth.
pub fn twin_etag(counter: u64) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(counter.to_be_bytes())
}

/// The counter of a twin's etag; `None` for a text that is none.
pub fn twin_etag_counter(etag: &str) -> Option<u64> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bytes = STANDARD.decode(etag).ok()?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_twin_of_the_documentation_is_read_and_written_alike() {
        let document = json!({
            "deviceId": "pump-07", "etag": "AAAAAAAAAAM=", "deviceEtag": "MTIz", "status": "enabled", "statusReason": null,
            "statusUpdateTime": "0001-01-01T00:00:00Z", "connectionState": "Connected",
            "lastActivityTime": "2025-03-01T10:00:00.1234567Z", "cloudToDeviceMessageCount": 0, "authenticationType": "sas",
            "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null}, "modelId": "", "version": 9,
            "tags": {"site": {"hall": "B"}},
            "properties": {
                "desired": {"interval": 30, "$metadata": {"$lastUpdated": "2025-03-01T09:00:00.1Z"}, "$version": 4},
                "reported": {"interval": 30, "$metadata": {"$lastUpdated": "2025-03-01T09:00:05.2Z", "interval": {"$lastUpdated": "2025-03-01T09:00:05.2Z"}}, "$version": 5}
            },
            "capabilities": {"iotEdge": false}
        });
        let twin: Twin = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(
            twin.properties.reported.last_updated(&["interval"]),
            Timestamp::parse("2025-03-01T09:00:05.2Z")
        );
        assert_eq!(serde_json::to_value(&twin).unwrap(), document);
    }

    #[test]
    fn values_are_written_before_metadata() {
        let set = PropertySet {
            values: json!({"firmwareStatus": "standBy"}).as_object().cloned().unwrap(),
            metadata: json!({"$lastUpdated": "t"}).as_object().cloned().unwrap(),
            version: 2,
        };
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            r#"{"firmwareStatus":"standBy","$metadata":{"$lastUpdated":"t"},"$version":2}"#
        );
    }

    #[test]
    fn a_number_does_not_move_when_a_twin_is_read_and_written_again() {
        let text = r#"{"g":1.2345674407370955e+20,"$version":1}"#;
        let set: PropertySet = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), text);
    }

    #[test]
    fn the_first_etag_is_the_documented_one() {
        assert_eq!(twin_etag(1), "AAAAAAAAAAE=");
        assert_eq!(twin_etag_counter("AAAAAAAAAAE="), Some(1));
        assert_eq!(twin_etag_counter("AAE="), None);
    }
}
