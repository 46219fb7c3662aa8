//! Identities for devices that are about to be simulated.

use std::collections::{BTreeSet, HashMap};

use hub_client::HubClient;
use hub_protocol::{
    DeviceConnectionString, DeviceId, ErrorCode,
    identity::{Authentication, ExportImportDevice, ImportMode, MAX_BULK, SymmetricKey},
    merge::Object,
    sas::SasKey,
};
use serde_json::json;
use tokio::task::JoinSet;
use twindeck_app::{AppError, Code};

use crate::{
    connection::Target,
    device::device_connection,
    failure::{Failure, Result},
};

/// Reads under way at once.
const READS: usize = 16;

/// Creates missing devices with their tags and with keys made here; those that exist keep their
/// tags and keys. `done` is told how many there are so far.
pub(crate) async fn register(
    target: &Target,
    devices: &[(DeviceId, Object)],
    mut done: impl FnMut(usize),
) -> Result<HashMap<DeviceId, DeviceConnectionString>> {
    let host = target.connection.host();
    let mut connections = HashMap::new();
    for chunk in devices.chunks(MAX_BULK) {
        let mut items = Vec::new();
        for (id, tags) in chunk {
            let key = new_key()?;
            items.push(new_device(id, tags, &key)?);
            let connection = DeviceConnectionString {
                host_name: host.to_owned(),
                device_id: id.clone(),
                key,
                gateway_host_name: None,
            };
            connections.insert(id.clone(), connection);
        }
        let result = target.client.bulk(&items).await?;
        let mut existing = BTreeSet::new();
        for error in result.errors {
            let exists = ErrorCode::DeviceAlreadyExists;
            let is_about_existence =
                error.error_code == json!(exists.name()) || error.error_code == json!(exists.number());
            match DeviceId::new(&error.device_id) {
                Ok(id) if is_about_existence => existing.insert(id),
                _ => return Err(not_created(&error.device_id, &error.error_code, &error.error_status)),
            };
        }
        connections.extend(read(&target.client, host, existing).await?);
        done(connections.len());
    }
    Ok(connections)
}

fn not_created(id: &str, code: &serde_json::Value, status: &str) -> Failure {
    AppError::new(Code::Internal, format!("{id} could not be created: {status} ({code})."))
        .hint("Devices created before it stay.")
        .into()
}

async fn read(
    client: &HubClient,
    host: &str,
    ids: BTreeSet<DeviceId>,
) -> Result<Vec<(DeviceId, DeviceConnectionString)>> {
    let mut ids = ids.into_iter();
    let mut reads = JoinSet::new();
    let mut connections = Vec::new();
    loop {
        while reads.len() < READS
            && let Some(id) = ids.next()
        {
            let client = client.clone();
            reads.spawn(async move { client.device(&id).await });
        }
        let Some(read) = reads.join_next().await else {
            return Ok(connections);
        };
        let device = read.map_err(|error| Failure::internal(error.to_string()))??;
        connections.push((device.device_id.clone(), device_connection(&device, host)?));
    }
}

fn new_key() -> Result<SasKey> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(format!("No key can be made: {error}.")))?;
    SasKey::from_bytes(bytes).map_err(|error| Failure::internal(error.to_string()))
}

fn new_device(id: &DeviceId, tags: &Object, primary: &SasKey) -> Result<ExportImportDevice> {
    let secondary = new_key()?;
    Ok(ExportImportDevice {
        import_mode: Some(ImportMode::Create),
        authentication: Some(Authentication {
            symmetric_key: SymmetricKey::from_keys(primary, &secondary),
            ..Authentication::default()
        }),
        tags: (!tags.is_empty()).then(|| tags.clone()),
        ..ExportImportDevice::new(id.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_device_brings_two_keys_that_differ() {
        let id = DeviceId::new("d").unwrap();
        let device = new_device(&id, &Object::new(), &new_key().unwrap()).unwrap();
        let (primary, secondary) = device.authentication.unwrap().symmetric_key.keys().unwrap().unwrap();
        assert_ne!(primary, secondary);
    }
}
