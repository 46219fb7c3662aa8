//! Devices that are there from the start, with keys known beforehand: for tests and
//! demonstrations that write their connection strings down.

use std::path::{Path, PathBuf};

use hub_protocol::identity::{ExportImportDevice, ImportMode, SymmetricKey};
use serde::Deserialize;

/// A JSON file. Devices have the shape of IoT Hub's export and of `POST /devices`:
///
/// ```json
/// {
///   "policies": { "iothubowner": { "primaryKey": "…", "secondaryKey": "…" } },
///   "devices": [{ "id": "pump-07", "authentication": { "symmetricKey": { "primaryKey": "…", "secondaryKey": "…" } },
///                 "tags": { "site": "b1" } }]
/// }
/// ```
///
/// Each start makes them so again: an identity of the file is replaced, tags and desired
/// properties are merged, devices not named stay as they are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    #[serde(default)]
    pub policies: std::collections::BTreeMap<String, SymmetricKey>,
    #[serde(default)]
    pub devices: Vec<ExportImportDevice>,
}

#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    #[error("The fixture {} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// Names the place and not what stands there: that may be a key.
    #[error("The fixture {} cannot be understood at line {line}, column {column}", path.display())]
    Json { path: PathBuf, line: usize, column: usize },
    #[error(
        "The fixture names the policy {0}, which no IoT Hub has; they are iothubowner, service, device, registryRead and registryReadWrite"
    )]
    Policy(String),
    #[error("The fixture's keys of policy {0} are not two base64 texts of 16 to 64 bytes")]
    PolicyKeys(String),
    #[error("The fixture's device {device}: {reason}")]
    Device { device: String, reason: String },
}

impl Fixture {
    pub fn read(path: &Path) -> Result<Self, FixtureError> {
        let text = std::fs::read_to_string(path).map_err(|source| FixtureError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut fixture: Self =
            serde_json::from_str(&text).map_err(|source: serde_json::Error| FixtureError::Json {
                path: path.to_owned(),
                line: source.line(),
                column: source.column(),
            })?;
        for device in &mut fixture.devices {
            device.import_mode.get_or_insert(ImportMode::CreateOrUpdate);
        }
        Ok(fixture)
    }
}
