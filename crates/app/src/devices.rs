//! The open hub's devices: rows for the window, creating, deleting, enabling.

use hub_client::IfMatch;
use hub_protocol::{
    DeviceId, Timestamp,
    identity::{ConnectionState, DeviceIdentity, ExportImportDevice, ImportMode, MAX_BULK, Status},
    sas::SasKey,
};

use crate::{
    App,
    error::{AppError, Code, Result},
    open_hub::{OpenHub, count},
    table::Entry,
    view::{BulkFailure, BulkResult, DevicePage, DeviceRow},
};

pub(crate) fn parse_ids(ids: Vec<String>) -> Result<Vec<DeviceId>> {
    ids.into_iter()
        .map(|id| DeviceId::new(id).map_err(AppError::from))
        .collect()
}

/// A time for the window; "never" is no time.
pub(crate) fn time_text(time: Timestamp) -> Option<String> {
    (time > Timestamp::NEVER).then(|| time.to_string())
}

impl OpenHub {
    pub(crate) fn row(&self, entry: &Entry) -> DeviceRow {
        let twin = &entry.twin;
        let status = twin
            .properties
            .reported
            .values
            .get("firmwareStatus")
            .and_then(serde_json::Value::as_str);
        let (fleet, model, simulated) = self
            .simulator
            .device(&twin.device_id)
            .map_or((None, None, None), |device| {
                (Some(device.0), Some(device.1), Some(device.2))
            });
        DeviceRow {
            device_id: twin.device_id.to_string(),
            enabled: twin.status == Status::Enabled,
            connected: twin.connection_state == ConnectionState::Connected,
            connection_changed_at: entry.connection_changed.and_then(time_text),
            last_activity_at: time_text(twin.last_activity_time),
            firmware_status: status.map(str::to_owned),
            simulated,
            fleet,
            model,
            version: u32::try_from(twin.version).unwrap_or(u32::MAX),
        }
    }
}

impl App {
    /// In order of id. `limit` is at most 10 000.
    pub fn list_devices(&self, offset: u32, limit: u32) -> Result<DevicePage> {
        let hub = self.hub()?;
        let entries = hub.table.page(offset as usize, limit.min(10_000) as usize);
        let rows = entries.iter().map(|entry| hub.row(entry)).collect();
        Ok(DevicePage {
            rows,
            total: count(hub.table.counts().0),
        })
    }

    /// An identity whose keys the hub makes, for a device that exists or is about to.
    pub async fn create_device(&self, id: String) -> Result<()> {
        let hub = self.hub()?;
        let id = DeviceId::new(id.trim())?;
        hub.client.create_device(&DeviceIdentity::new(id)).await?;
        Ok(())
    }

    pub async fn delete_devices(&self, ids: Vec<String>) -> Result<BulkResult> {
        let hub = self.hub()?;
        let ids = parse_ids(ids)?;
        self.halt(&hub, &ids).await;
        let (deleted, result) = bulk(
            &hub,
            ids.into_iter().map(|id| bulk_item(id, ImportMode::Delete)).collect(),
        )
        .await?;
        self.forget_simulated(&hub, deleted).await?;
        Ok(result)
    }

    pub async fn set_device_enabled(&self, id: String, enabled: bool) -> Result<()> {
        let hub = self.hub()?;
        let mut device = hub.client.device(&DeviceId::new(id)?).await?;
        device.status = if enabled { Status::Enabled } else { Status::Disabled };
        let condition = IfMatch::Etag(device.etag.clone());
        hub.client.update_device(&device, condition).await?;
        Ok(())
    }

    /// For the clipboard: the open hub's own string, or a device's.
    pub async fn connection_string(&self, device_id: Option<String>) -> Result<hub_protocol::Secret> {
        let hub = self.hub()?;
        let Some(id) = device_id else {
            if hub.saved.id == crate::hubs::LOCAL {
                let local = self.0.local.lock().await;
                let local = local.as_ref().ok_or_else(AppError::no_hub)?;
                return Ok(local.service_connection_string().to_secret());
            }
            return self.0.credentials.find(&hub.saved.id).await;
        };
        let id = DeviceId::new(id)?;
        let key = hub.key(&id).await?;
        Ok(hub.device_connection(id, key).to_secret())
    }
}

pub(crate) fn bulk_item(id: DeviceId, mode: ImportMode) -> ExportImportDevice {
    ExportImportDevice {
        import_mode: Some(mode),
        ..ExportImportDevice::new(id)
    }
}

/// Sends items in calls of 100; returns the ids that went well.
async fn bulk(hub: &OpenHub, items: Vec<ExportImportDevice>) -> Result<(Vec<DeviceId>, BulkResult)> {
    let (mut done, mut result) = (Vec::new(), BulkResult::default());
    for part in items.chunks(MAX_BULK) {
        match hub.client.bulk(part).await {
            Ok(answer) => {
                for item in part {
                    match answer.errors.iter().find(|error| error.device_id == item.id.as_str()) {
                        Some(error) => result.failures.push(BulkFailure {
                            device_id: error.device_id.clone(),
                            message: error.error_status.clone(),
                        }),
                        None => done.push(item.id.clone()),
                    }
                }
            }
            // What went before stands; the rest is reported with the reason.
            Err(error) if !done.is_empty() => {
                let message = AppError::from(error).to_string();
                let failed = part.iter().map(|item| BulkFailure {
                    device_id: item.id.to_string(),
                    message: message.clone(),
                });
                result.failures.extend(failed);
            }
            Err(error) => return Err(error.into()),
        }
    }
    result.done = count(done.len());
    Ok((done, result))
}

pub(crate) fn random_key() -> Result<SasKey> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| AppError::new(Code::Internal, "The system gave no randomness.").details(error))?;
    SasKey::from_bytes(bytes).map_err(|error| AppError::new(Code::Internal, error.to_string()))
}
