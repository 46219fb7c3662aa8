//! Many identities in one call, or one file.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Authentication, Capabilities, ClientId, DeviceId, ModuleId, Status, empty_as_none, null_as_default};
use crate::wire_enum::wire_enum;

wire_enum! {
    /// How one item of the bulk call `POST /devices` is meant (service.md 2.5).
    pub enum ImportMode {
        Create = "create",
        CreateOrUpdate = "createOrUpdate",
        CreateOrUpdateIfMatchETag = "createOrUpdateIfMatchETag",
        Update = "update",
        UpdateIfMatchETag = "updateIfMatchETag",
        Delete = "delete",
        DeleteIfMatchETag = "deleteIfMatchETag",
        UpdateTwin = "updateTwin",
        UpdateTwinIfMatchETag = "updateTwinIfMatchETag",
    }
}

/// One item of the bulk call `POST /devices`, at most [`MAX_BULK`] a call; one line of an import
/// or export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportImportDevice {
    pub id: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "empty_as_none")]
    pub module_id: Option<ModuleId>,
    #[serde(rename = "eTag", alias = "etag", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_mode: Option<ImportMode>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub parent_scopes: Vec<String>,
}

impl ExportImportDevice {
    /// A device with nothing said of it but its id.
    pub fn new(id: DeviceId) -> Self {
        Self {
            id,
            module_id: None,
            etag: None,
            import_mode: None,
            status: Status::default(),
            status_reason: None,
            managed_by: None,
            authentication: None,
            twin_etag: None,
            tags: None,
            properties: None,
            capabilities: Capabilities::default(),
            device_scope: None,
            parent_scopes: Vec::new(),
        }
    }

    pub fn client_id(&self) -> ClientId {
        ClientId {
            device_id: self.id.clone(),
            module_id: self.module_id.clone(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportProperties {
    #[serde(default, deserialize_with = "null_as_default")]
    pub desired: Map<String, Value>,
    /// Written by exports; a hub takes reported properties from devices alone.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "null_as_default")]
    pub reported: Map<String, Value>,
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
