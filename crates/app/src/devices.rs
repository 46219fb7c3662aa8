//! The open hub's devices: rows for the window, creating, deleting, enabling, simulating.

use std::collections::BTreeMap;

use device_sim::{DeviceState, Model, SimError, SimulatedDevice};
use futures_util::{StreamExt, stream};
use hub_client::IfMatch;
use hub_protocol::{
    DeviceConnectionString, DeviceId, Timestamp,
    identity::{Authentication, ConnectionState, ExportImportDevice, ImportMode, MAX_BULK, Status, SymmetricKey},
    merge::Object,
    sas::SasKey,
};
use rusqlite::params;

use crate::{
    App,
    db::to_text,
    error::{AppError, Code, Result},
    open_hub::{OpenHub, Simulated, count},
    table::Entry,
    view::{BulkFailure, BulkResult, DeviceModel, DevicePage, DeviceRow, NewDevices, SimulatedState, Speed},
};

/// Devices that may be created in one go.
const MAX_NEW: u32 = 10_000;
/// Calls to the hub at once.
const CALLS: usize = 16;

impl DeviceModel {
    /// The built-in model of the simulator that it stands for.
    fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Firmware => "firmware-a",
            Self::LockDoor => "lock-door",
            Self::FactoryReset => "factory-reset",
        }
    }
}

impl Speed {
    fn time_scale(self) -> f64 {
        match self {
            Self::Tutorial => 1.0,
            Self::Fast => 0.01,
        }
    }
}

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
    pub(crate) fn row(&self, entry: &Entry, simulated: &BTreeMap<DeviceId, Simulated>) -> DeviceRow {
        let twin = &entry.twin;
        let ours = simulated.get(&twin.device_id);
        let status = twin
            .properties
            .reported
            .values
            .get("firmwareStatus")
            .and_then(serde_json::Value::as_str);
        DeviceRow {
            device_id: twin.device_id.to_string(),
            enabled: twin.status == Status::Enabled,
            connected: twin.connection_state == ConnectionState::Connected,
            connection_changed_at: entry.connection_changed.and_then(time_text),
            last_activity_at: time_text(twin.last_activity_time),
            firmware_status: status.map(str::to_owned),
            simulated: ours.map(|_| match self.fleet.state(&twin.device_id) {
                None | Some(DeviceState::Stopped) => SimulatedState::Stopped,
                Some(DeviceState::Connecting) => SimulatedState::Connecting,
                Some(DeviceState::Connected) => SimulatedState::Connected,
                Some(DeviceState::Waiting { .. } | DeviceState::Refused { .. }) => SimulatedState::Waiting,
            }),
            model: ours.map(|ours| to_text(&ours.model)),
            version: u32::try_from(twin.version).unwrap_or(u32::MAX),
        }
    }
}

impl App {
    /// In order of id. `limit` is at most 10 000.
    pub fn list_devices(&self, offset: u32, limit: u32) -> Result<DevicePage> {
        let hub = self.hub()?;
        let entries = hub.table.page(offset as usize, limit.min(10_000) as usize);
        let simulated = hub.simulated();
        let rows = entries.iter().map(|entry| hub.row(entry, &simulated)).collect();
        Ok(DevicePage {
            rows,
            total: count(hub.table.counts().0),
        })
    }

    /// Creates identities through the bulk API; simulated ones are remembered and started.
    pub async fn create_devices(&self, request: NewDevices) -> Result<BulkResult> {
        let hub = self.hub()?;
        let ids = new_ids(&request, &hub.table.ids())?;
        let mut items = Vec::with_capacity(ids.len());
        let mut keys = BTreeMap::new();
        for id in ids {
            let (primary, secondary) = (random_key()?, random_key()?);
            let authentication = Authentication {
                symmetric_key: SymmetricKey::from_keys(&primary, &secondary),
                ..Authentication::default()
            };
            keys.insert(id.clone(), primary);
            items.push(ExportImportDevice {
                authentication: Some(authentication),
                ..bulk_item(id, ImportMode::Create)
            });
        }
        let (created, result) = bulk(&hub, items).await?;
        if let Some(model) = request.model {
            let simulated = Simulated {
                model,
                speed: request.speed,
            };
            self.remember_simulated(&hub, &created, simulated).await?;
            let devices = created
                .iter()
                .filter_map(|id| keys.remove(id).map(|key| hub.device(id.clone(), key, simulated)));
            hub.fleet.start(devices.collect::<Result<_>>()?);
        }
        Ok(result)
    }

    async fn remember_simulated(&self, hub: &OpenHub, ids: &[DeviceId], simulated: Simulated) -> Result<()> {
        let (hub_id, stored) = (hub.saved.id.clone(), ids.to_vec());
        let insert = "INSERT OR REPLACE INTO simulated (hub_id, device_id, model, speed) VALUES (?1, ?2, ?3, ?4)";
        let write = self.0.db.call(move |sql| {
            let mut statement = sql.prepare(insert)?;
            for id in stored {
                statement.execute(params![
                    hub_id,
                    id.as_str(),
                    to_text(&simulated.model),
                    to_text(&simulated.speed)
                ])?;
            }
            Ok(())
        });
        write.await?;
        hub.simulated().extend(ids.iter().map(|id| (id.clone(), simulated)));
        Ok(())
    }

    pub async fn delete_devices(&self, ids: Vec<String>) -> Result<BulkResult> {
        let hub = self.hub()?;
        let ids = parse_ids(ids)?;
        hub.fleet.stop(&ids).await;
        let (deleted, result) = bulk(
            &hub,
            ids.into_iter().map(|id| bulk_item(id, ImportMode::Delete)).collect(),
        )
        .await?;
        hub.simulated().retain(|id, _| !deleted.contains(id));
        let hub_id = hub.saved.id.clone();
        let forget = self.0.db.call(move |sql| {
            let mut statement = sql.prepare("DELETE FROM simulated WHERE hub_id = ?1 AND device_id = ?2")?;
            for id in deleted {
                statement.execute(params![hub_id, id.as_str()])?;
            }
            Ok(())
        });
        forget.await?;
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

    pub async fn start_simulated(&self, ids: Vec<String>) -> Result<BulkResult> {
        let hub = self.hub()?;
        let wanted: Vec<(DeviceId, Option<Simulated>)> = {
            let simulated = hub.simulated();
            parse_ids(ids)?
                .into_iter()
                .map(|id| (id.clone(), simulated.get(&id).copied()))
                .collect()
        };
        let mut result = BulkResult::default();
        let devices = stream::iter(wanted)
            .map(|(id, simulated)| {
                let hub = &hub;
                async move {
                    let device = match simulated {
                        Some(simulated) => hub.with_key(&id, simulated).await,
                        None => Err(AppError::invalid("This is not a simulated device of this application.")),
                    };
                    (id, device)
                }
            })
            .buffer_unordered(CALLS)
            .collect::<Vec<_>>()
            .await;
        let mut started = Vec::new();
        for (id, device) in devices {
            match device {
                Ok(device) => started.push(device),
                Err(error) => result.failures.push(BulkFailure {
                    device_id: id.to_string(),
                    message: error.to_string(),
                }),
            }
        }
        result.done = count(started.len());
        hub.fleet.start(started);
        Ok(result)
    }

    pub async fn stop_simulated(&self, ids: Vec<String>) -> Result<BulkResult> {
        let hub = self.hub()?;
        let ids = parse_ids(ids)?;
        hub.fleet.stop(&ids).await;
        Ok(BulkResult {
            done: count(ids.len()),
            failures: Vec::new(),
        })
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
        let simulated = Simulated {
            model: DeviceModel::Firmware,
            speed: Speed::Fast,
        };
        let device = hub.with_key(&DeviceId::new(id)?, simulated).await?;
        Ok(device.connection.to_secret())
    }
}

impl OpenHub {
    fn device(&self, device_id: DeviceId, key: SasKey, simulated: Simulated) -> Result<SimulatedDevice> {
        let host_name = self.device_host.clone();
        let name = simulated.model.name();
        let unknown = || AppError::invalid(SimError::UnknownModel { name: name.into() }.to_string());
        let model = Model::find(name).ok_or_else(unknown)?;
        Ok(SimulatedDevice {
            connection: DeviceConnectionString {
                host_name,
                device_id,
                key,
                gateway_host_name: None,
            },
            model,
            time_scale: simulated.speed.time_scale(),
            seed: 0,
            memory: Object::new(),
            faults: Vec::new(),
        })
    }

    /// The key comes from the registry each time; it is kept nowhere else.
    async fn with_key(&self, id: &DeviceId, simulated: Simulated) -> Result<SimulatedDevice> {
        let device = self.client.device(id).await?;
        match device.primary_key() {
            Some(key) => self.device(id.clone(), key, simulated),
            None => Err(AppError::invalid("This device does not connect with a key.")),
        }
    }
}

fn bulk_item(id: DeviceId, mode: ImportMode) -> ExportImportDevice {
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

/// `prefix-01` and on, after the highest number that is taken.
fn new_ids(request: &NewDevices, taken: &[DeviceId]) -> Result<Vec<DeviceId>> {
    if !(1..=MAX_NEW).contains(&request.count) {
        return Err(AppError::invalid(format!(
            "1 to {MAX_NEW} devices can be created at once, not {}.",
            request.count
        )));
    }
    let name = request.name.trim();
    if request.count == 1 && request.model.is_none() {
        return Ok(vec![DeviceId::new(name)?]);
    }
    let prefix = format!("{name}-");
    let highest = taken
        .iter()
        .filter_map(|id| id.as_str().strip_prefix(&prefix)?.parse::<u32>().ok())
        .max();
    let first = highest.map_or(1, |number| number.saturating_add(1));
    let last = first
        .checked_add(request.count - 1)
        .ok_or_else(|| AppError::invalid("The numbers are used up; choose another prefix."))?;
    let width = last.to_string().len().max(2);
    (first..=last)
        .map(|number| DeviceId::new(format!("{prefix}{number:0width$}")).map_err(AppError::from))
        .collect()
}

fn random_key() -> Result<SasKey> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| AppError::new(Code::Internal, "The system gave no randomness.").details(error))?;
    SasKey::from_bytes(bytes).map_err(|error| AppError::new(Code::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str, count: u32, model: Option<DeviceModel>) -> NewDevices {
        NewDevices {
            name: name.into(),
            count,
            model,
            speed: Speed::Fast,
        }
    }

    #[test]
    fn numbers_go_on_after_the_highest_taken() {
        let taken = [
            DeviceId::new("sim-07").unwrap(),
            DeviceId::new("sim-x").unwrap(),
            DeviceId::new("other-99").unwrap(),
        ];
        let ids = new_ids(&request("sim", 2, Some(DeviceModel::Firmware)), &taken).unwrap();
        assert_eq!(
            ids,
            [DeviceId::new("sim-08").unwrap(), DeviceId::new("sim-09").unwrap()]
        );
    }

    #[test]
    fn one_plain_device_takes_its_name_as_given_and_bad_names_are_refused() {
        assert_eq!(
            new_ids(&request("pump 7", 1, None), &[]).unwrap_err().code,
            Code::InvalidInput
        );
        assert_eq!(
            new_ids(&request("pump-7", 1, None), &[]).unwrap(),
            [DeviceId::new("pump-7").unwrap()]
        );
        assert!(new_ids(&request("p", 0, None), &[]).is_err());
        assert!(new_ids(&request("p", MAX_NEW + 1, None), &[]).is_err());
    }
}
