//! New keys for many identities at once (service.md 2.7).

use serde::{Deserialize, Serialize};

use super::{ClientId, DeviceId, ModuleId, empty_as_none};
use crate::wire_enum::wire_enum;

wire_enum! {
    /// Which of an identity's two keys.
    pub enum PolicyKey {
        Primary = "primaryKey",
        Secondary = "secondaryKey",
        Both = "both",
    }
}

/// Body of `POST /devices/keys/regenerate`; at most [`super::MAX_BULK`] identities. The key is a
/// text because an unknown one has an error code of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRegeneration {
    pub policy_key: String,
    pub devices: Vec<KeyOwner>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyOwner {
    pub id: DeviceId,
    #[serde(default, deserialize_with = "empty_as_none")]
    pub module_id: Option<ModuleId>,
}

impl KeyOwner {
    pub fn client_id(&self) -> ClientId {
        ClientId {
            device_id: self.id.clone(),
            module_id: self.module_id.clone(),
        }
    }
}

/// Answered with 200 when all went well, 207 when some did and 400 when none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRegenerationResult {
    pub policy_key: PolicyKey,
    pub rotated_keys: Vec<RotatedKeys>,
    pub errors: Vec<KeyRegenerationError>,
}

/// Both keys as they are now. They go to the caller, so unlike [`crate::Secret`] they
/// serialise; they print redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotatedKeys {
    #[serde(flatten)]
    pub owner: KeyOwner,
    #[serde(flatten)]
    pub keys: super::SymmetricKey,
}

impl std::fmt::Debug for RotatedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotatedKeys")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRegenerationError {
    #[serde(flatten)]
    pub owner: KeyOwner,
    pub error_code: String,
    pub error_status: String,
}
