//! Device identities: what the registry keeps of a device, and who it is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use crate::{Timestamp, sas::SasKey};

/// 1 to 128 ASCII letters, digits and `- . % _ * ? ! ( ) , : = @ $ '`; case matters.
///
/// Some older texts also allow `+ # ;`. Those cannot stand in an MQTT filter or a connection
/// string, so they are refused here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    #[error("a device id may not be empty")]
    Empty,
    #[error("a device id has at most 128 characters, this one {0}")]
    TooLong(usize),
    #[error("a device id may not contain {0:?}; letters, digits and - . % _ * ? ! ( ) , : = @ $ ' are allowed")]
    Character(char),
}

impl DeviceId {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidDeviceId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidDeviceId::Empty);
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !"-.%_*?!(),:=@$'".contains(*c))
        {
            return Err(InvalidDeviceId::Character(bad));
        }
        if text.len() > 128 {
            return Err(InvalidDeviceId::TooLong(text.len()));
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A module's id keeps the rules of a device's.
pub type ModuleId = DeviceId;

/// Who connects, has a twin and answers methods: a device, or a module of one. Its text is
/// MQTT's client id, `device` or `device/module`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    pub device_id: DeviceId,
    pub module_id: Option<ModuleId>,
}

impl ClientId {
    pub fn device(device_id: DeviceId) -> Self {
        Self {
            device_id,
            module_id: None,
        }
    }

    pub fn new(device_id: &str, module_id: Option<&str>) -> Result<Self, InvalidDeviceId> {
        Ok(Self {
            device_id: DeviceId::new(device_id)?,
            module_id: module_id.map(ModuleId::new).transpose()?,
        })
    }

    pub fn device_str(&self) -> &str {
        self.device_id.as_str()
    }

    /// Empty for a device.
    pub fn module_str(&self) -> &str {
        self.module_id.as_ref().map_or("", DeviceId::as_str)
    }

    pub fn is_module(&self) -> bool {
        self.module_id.is_some()
    }
}

impl From<DeviceId> for ClientId {
    fn from(device_id: DeviceId) -> Self {
        Self::device(device_id)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.device_str())?;
        match &self.module_id {
            Some(module_id) => write!(f, "/{module_id}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    #[serde(alias = "Enabled")]
    Enabled,
    #[serde(alias = "Disabled")]
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ConnectionState {
    Connected,
    #[default]
    Disconnected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationType {
    #[default]
    Sas,
    SelfSigned,
    CertificateAuthority,
    None,
}

/// Both keys of an identity, base64 on the wire. The registry's answers carry them, so unlike
/// [`crate::Secret`] this serialises; it prints redacted.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKey {
    pub primary_key: Option<String>,
    pub secondary_key: Option<String>,
}

impl SymmetricKey {
    pub fn from_keys(primary: &SasKey, secondary: &SasKey) -> Self {
        let text = |key: &SasKey| Some(key.to_base64().expose().to_owned());
        Self {
            primary_key: text(primary),
            secondary_key: text(secondary),
        }
    }

    /// Both decoded keys, or `None` where the hub is to mint them: an absent, null or empty key
    /// means "make one" (service clients send all three).
    pub fn keys(&self) -> Result<Option<(SasKey, SasKey)>, crate::sas::SasError> {
        let given = |key: &Option<String>| {
            key.as_deref()
                .filter(|text| !text.is_empty())
                .map(SasKey::parse)
                .transpose()
        };
        match (given(&self.primary_key)?, given(&self.secondary_key)?) {
            (None, None) => Ok(None),
            (Some(primary), Some(secondary)) => Ok(Some((primary, secondary))),
            _ => Err(crate::sas::SasError::Missing("one of the two keys")),
        }
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Thumbprint {
    #[serde(alias = "PrimaryThumbprint")]
    pub primary_thumbprint: Option<String>,
    #[serde(alias = "SecondaryThumbprint")]
    pub secondary_thumbprint: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    #[serde(deserialize_with = "null_as_default")]
    pub symmetric_key: SymmetricKey,
    #[serde(deserialize_with = "null_as_default")]
    pub x509_thumbprint: X509Thumbprint,
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: AuthenticationType,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    pub iot_edge: bool,
}

pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A device of the registry, as `GET /devices/{id}` answers it. Every field is always emitted:
/// clients fail on absent ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceIdentity {
    pub device_id: DeviceId,
    #[serde(default, deserialize_with = "null_as_default")]
    pub generation_id: String,
    /// Opaque, unquoted here and quoted in the `ETag` header.
    #[serde(default, deserialize_with = "null_as_default")]
    pub etag: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub connection_state: ConnectionState,
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    #[serde(default)]
    pub status_reason: Option<String>,
    #[serde(default = "never")]
    pub connection_state_updated_time: Timestamp,
    #[serde(default = "never")]
    pub status_updated_time: Timestamp,
    #[serde(default = "never")]
    pub last_activity_time: Timestamp,
    #[serde(default)]
    pub cloud_to_device_message_count: u32,
    #[serde(default, deserialize_with = "null_as_default")]
    pub authentication: Authentication,
    #[serde(default, deserialize_with = "null_as_default")]
    pub capabilities: Capabilities,
    #[serde(default)]
    pub device_scope: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub parent_scopes: Vec<String>,
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

impl DeviceIdentity {
    /// A new identity whose keys the hub is to mint.
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            generation_id: String::new(),
            etag: String::new(),
            connection_state: ConnectionState::default(),
            status: Status::default(),
            status_reason: None,
            connection_state_updated_time: Timestamp::NEVER,
            status_updated_time: Timestamp::NEVER,
            last_activity_time: Timestamp::NEVER,
            cloud_to_device_message_count: 0,
            authentication: Authentication::default(),
            capabilities: Capabilities::default(),
            device_scope: None,
            parent_scopes: Vec::new(),
        }
    }

    /// The key a device connects with; `None` when it has none, or not one that can be read.
    pub fn primary_key(&self) -> Option<SasKey> {
        let text = self.authentication.symmetric_key.primary_key.as_deref()?;
        SasKey::parse(text).ok()
    }
}

/// A module of the registry, as `GET /devices/{id}/modules/{mid}` answers it (service.md 2.2).
/// It has no status of its own: a module of a disabled device is as disabled as that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleIdentity {
    pub module_id: ModuleId,
    pub device_id: DeviceId,
    #[serde(default)]
    pub managed_by: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub generation_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub etag: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub connection_state: ConnectionState,
    #[serde(default = "never")]
    pub connection_state_updated_time: Timestamp,
    #[serde(default = "never")]
    pub last_activity_time: Timestamp,
    #[serde(default)]
    pub cloud_to_device_message_count: u32,
    #[serde(default, deserialize_with = "null_as_default")]
    pub authentication: Authentication,
}

impl ModuleIdentity {
    /// A new identity whose keys the hub is to mint.
    pub fn new(device_id: DeviceId, module_id: ModuleId) -> Self {
        Self {
            module_id,
            device_id,
            managed_by: None,
            generation_id: String::new(),
            etag: String::new(),
            connection_state: ConnectionState::default(),
            connection_state_updated_time: Timestamp::NEVER,
            last_activity_time: Timestamp::NEVER,
            cloud_to_device_message_count: 0,
            authentication: Authentication::default(),
        }
    }
}

/// How one item of the bulk call `POST /devices` is meant. Microsoft's Node client capitalises
/// some of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportMode {
    #[serde(alias = "Create")]
    Create,
    #[serde(alias = "CreateOrUpdate")]
    CreateOrUpdate,
    #[serde(alias = "CreateOrUpdateIfMatchETag")]
    CreateOrUpdateIfMatchETag,
    #[serde(alias = "Update")]
    Update,
    #[serde(alias = "UpdateIfMatchETag")]
    UpdateIfMatchETag,
    #[serde(alias = "Delete")]
    Delete,
    #[serde(alias = "DeleteIfMatchETag")]
    DeleteIfMatchETag,
    #[serde(alias = "UpdateTwin")]
    UpdateTwin,
    #[serde(alias = "UpdateTwinIfMatchETag")]
    UpdateTwinIfMatchETag,
}

/// One item of the bulk call `POST /devices`, at most [`MAX_BULK`] a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportImportDevice {
    pub id: DeviceId,
    #[serde(rename = "eTag", alias = "etag", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_mode: Option<ImportMode>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    #[serde(rename = "twinETag", default, skip_serializing_if = "Option::is_none")]
    pub twin_etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<ImportProperties>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub capabilities: Capabilities,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportProperties {
    #[serde(default, deserialize_with = "null_as_default")]
    pub desired: Map<String, Value>,
}

pub const MAX_BULK: usize = 100;

/// Answer of `POST /devices`, with HTTP 200 when all went well and 400 when any item failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkRegistryResult {
    pub is_successful: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub errors: Vec<BulkRegistryError>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub warnings: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkRegistryError {
    pub device_id: String,
    #[serde(default)]
    pub module_id: Option<String>,
    /// A name or, from some backends, a number.
    pub error_code: Value,
    #[serde(default, deserialize_with = "null_as_default")]
    pub error_status: String,
    #[serde(default)]
    pub operation: Option<String>,
}

/// `GET /statistics/devices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryStatistics {
    pub total_device_count: u64,
    pub enabled_device_count: u64,
    pub disabled_device_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_and_the_character_is_named() {
        assert!(DeviceId::new("dev-1.%_*?!(),:=@$'").is_ok());
        assert_eq!(DeviceId::new(""), Err(InvalidDeviceId::Empty));
        assert_eq!(DeviceId::new("a b"), Err(InvalidDeviceId::Character(' ')));
        assert_eq!(DeviceId::new("é"), Err(InvalidDeviceId::Character('é')));
        assert_eq!(DeviceId::new("a/b"), Err(InvalidDeviceId::Character('/')));
        assert_eq!(DeviceId::new("x".repeat(129)), Err(InvalidDeviceId::TooLong(129)));
    }

    #[test]
    fn a_minimal_put_body_is_a_device_whose_keys_are_minted() {
        let device: DeviceIdentity = serde_json::from_str(
            r#"{"deviceId":"d","authentication":{"symmetricKey":{"primaryKey":"","secondaryKey":null}}}"#,
        )
        .unwrap();
        assert_eq!(device.authentication.symmetric_key.keys(), Ok(None));
        assert_eq!(device.status, Status::Enabled);
    }

    #[test]
    fn one_key_without_the_other_is_refused() {
        let key = SymmetricKey {
            primary_key: Some("MDEyMzQ1Njc4OWFiY2RlZg==".into()),
            secondary_key: None,
        };
        assert!(key.keys().is_err());
    }

    #[test]
    fn every_field_clients_rely_on_is_emitted() {
        let json = serde_json::to_value(DeviceIdentity::new(DeviceId::new("d").unwrap())).unwrap();
        for field in ["etag", "generationId", "capabilities", "parentScopes", "statusReason"] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert!(json["authentication"].get("x509Thumbprint").is_some());
    }
}
