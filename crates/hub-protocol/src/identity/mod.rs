//! Identities: what the registry keeps of a device or module, and who it is.

mod authentication;
mod bulk;
mod id;
mod job;
mod keys;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Timestamp, sas::SasKey, wire_enum::wire_enum};

pub use authentication::{Authentication, AuthenticationType, SymmetricKey, X509Thumbprint};
pub use bulk::{BulkRegistryError, BulkRegistryResult, ExportImportDevice, ImportMode, ImportProperties, MAX_BULK};
pub use id::{ClientId, DeviceId, InvalidDeviceId, ModuleId};
pub use job::{RegistryJob, RegistryJobRequest, RegistryJobStatus, RegistryJobType};
pub use keys::{KeyOwner, KeyRegeneration, KeyRegenerationError, KeyRegenerationResult, PolicyKey, RotatedKeys};

/// Modules of one device, those of the hub itself included.
pub const MAX_MODULES: usize = 50;

wire_enum! {
    #[derive(Default)]
    pub enum Status {
        #[default]
        Enabled = "enabled",
        Disabled = "disabled",
    }
}

wire_enum! {
    #[derive(Default)]
    pub enum ConnectionState {
        Connected = "Connected",
        #[default]
        Disconnected = "Disconnected",
    }
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

/// Clients that mean "none" send an empty text too.
fn empty_as_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ModuleId>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(ModuleId::new).transpose().map_err(serde::de::Error::custom)
}

fn null_as_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(Timestamp::NEVER))
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
    #[serde(default = "never", deserialize_with = "null_as_never")]
    pub connection_state_updated_time: Timestamp,
    #[serde(default = "never", deserialize_with = "null_as_never")]
    pub status_updated_time: Timestamp,
    #[serde(default = "never", deserialize_with = "null_as_never")]
    pub last_activity_time: Timestamp,
    #[serde(default, deserialize_with = "null_as_default")]
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
    #[serde(default = "never", deserialize_with = "null_as_never")]
    pub connection_state_updated_time: Timestamp,
    #[serde(default = "never", deserialize_with = "null_as_never")]
    pub last_activity_time: Timestamp,
    #[serde(default, deserialize_with = "null_as_default")]
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

    pub fn client_id(&self) -> ClientId {
        ClientId {
            device_id: self.device_id.clone(),
            module_id: Some(self.module_id.clone()),
        }
    }
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
    fn a_minimal_put_body_is_a_device_whose_keys_are_minted() {
        let device: DeviceIdentity = serde_json::from_str(
            r#"{"deviceId":"d","authentication":{"symmetricKey":{"primaryKey":"","secondaryKey":null}}}"#,
        )
        .unwrap();
        assert_eq!(device.authentication.symmetric_key.keys(), Ok(None));
        assert_eq!(device.status, Status::Enabled);
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
