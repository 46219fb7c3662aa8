//! What can be done with fleets.

use std::{collections::BTreeMap, sync::Arc};

use device_sim::FleetFile;
use hub_protocol::DeviceId;

use super::{FleetEntry, draft, load_view, storage, storage::StoredFleet, total, unswitched, work::broken};
use crate::{
    App,
    error::{AppError, Code, Result},
    models, open_files,
    open_hub::OpenHub,
    view::{Fleet, FleetLoad, FleetWork, HubKind, LoadConfirmation, SimulatedState, SwitchedFault},
};

const MAX_FLEETS: usize = 200;
pub(super) const MAX_PER_SECOND: u32 = 10_000;

pub(super) fn no_fleet() -> AppError {
    AppError::new(Code::NotFound, "There is no such fleet.").hint("It may have been deleted, or belong to another hub.")
}

/// A hub that is not on this machine is burdened only with what the person has seen and confirmed.
fn confirmed(host: &str, load: &FleetLoad, confirmation: Option<LoadConfirmation>) -> Result<()> {
    let seen = LoadConfirmation {
        devices: load.devices,
        messages_per_day: load.messages_per_day,
    };
    if confirmation == Some(seen) {
        return Ok(());
    }
    let units = if load.units == 1 { "unit" } else { "units" };
    let text = format!(
        "{} simulated devices would send {host} up to {} messages a day, which takes tier {}, {} {units}.",
        load.devices, load.messages_per_day, load.tier, load.units
    );
    Err(AppError::new(Code::NeedsConfirmation, text).hint("Confirm these numbers to go on."))
}

impl OpenHub {
    pub(super) fn confirmed(&self, load: &FleetLoad, confirmation: Option<LoadConfirmation>) -> Result<()> {
        match self.saved.kind {
            HubKind::Local => Ok(()),
            HubKind::Remote => confirmed(&self.saved.host_name, load, confirmation),
        }
    }

    /// Every device that runs is a connection; refused before they fail one by one.
    pub(super) fn check_room(&self, more: u64) -> Result<()> {
        let Some(limit) = open_files::limit() else {
            return Ok(());
        };
        // On the local hub both ends of it are in this process.
        let each = if self.saved.kind == HubKind::Local { 2 } else { 1 };
        let room = open_files::room(limit, each);
        let running: u32 = self.simulator.lock().fleets.values().map(FleetEntry::running).sum();
        if u64::from(running) + more <= room {
            return Ok(());
        }
        let text = format!(
            "{} simulated devices would run here, and there is room for {room}: this program may open {limit} files, of which each device takes {each}.",
            u64::from(running) + more
        );
        Err(AppError::invalid(text).hint("Run fewer, or allow more open files (ulimit -n) before you start Twindeck."))
    }

    pub(super) fn entry<T>(&self, id: u32, look: impl FnOnce(&mut FleetEntry) -> Result<T>) -> Result<T> {
        look(self.simulator.lock().fleets.get_mut(&id).ok_or_else(no_fleet)?)
    }

    pub(super) fn file(&self, id: u32) -> Result<(Arc<FleetFile>, FleetLoad)> {
        self.entry(id, |entry| {
            let file = entry.file.as_ref().map_err(|problem| broken(problem))?.clone();
            let load = entry.load.clone().unwrap_or_else(|| load_view(&file.load()));
            Ok((file, load))
        })
    }
}

impl App {
    pub fn list_fleets(&self) -> Result<Vec<Fleet>> {
        Ok(self.hub()?.simulator.views())
    }

    /// Makes a fleet of its file: keeps it, then creates its devices on the hub, and starts them
    /// if that is wished. Returns once the work has begun.
    pub async fn create_fleet(
        &self,
        source: String,
        start: bool,
        confirmation: Option<LoadConfirmation>,
    ) -> Result<Fleet> {
        let hub = self.hub()?;
        let file = FleetFile::parse(&source, &models::reader(&self.model_files()))
            .map_err(|error| AppError::invalid(format!("The fleet file is wrong: {error}.")))?;
        let load = file.load();
        if load.devices > draft::MAX_DEVICES {
            return Err(AppError::invalid(format!("{}.", draft::too_many(load.devices).message)));
        }
        if let Some(taken) = file.members().find(|member| hub.is_taken(&member.id)) {
            return Err(
                AppError::new(Code::AlreadyExists, format!("A device {} exists already.", taken.id))
                    .hint("Change the id pattern, or the number of the first device."),
            );
        }
        if start {
            hub.check_room(load.devices)?;
            hub.confirmed(&load_view(&load), confirmation)?;
        }
        if hub.simulator.lock().fleets.len() >= MAX_FLEETS {
            return Err(
                AppError::invalid(format!("A hub has at most {MAX_FLEETS} fleets here."))
                    .hint("Delete one, or put several groups into one fleet file."),
            );
        }
        let mut stored = StoredFleet {
            id: 0,
            name: file.name.clone(),
            source,
            created_at: crate::now().to_string(),
            starts_with_hub: hub.saved.kind == HubKind::Local,
        };
        let copy = StoredFleet {
            name: stored.name.clone(),
            source: stored.source.clone(),
            created_at: stored.created_at.clone(),
            ..stored
        };
        let id = storage::insert_fleet(&self.0.db, &hub.saved.id, copy).await?;
        stored.id = id;
        hub.simulator
            .lock()
            .fleets
            .insert(id, FleetEntry::new(stored, &self.model_files()));
        let task = self.begin(
            &hub,
            id,
            FleetWork::Creating,
            u32::try_from(load.devices).unwrap_or(u32::MAX),
        )?;
        tokio::spawn(async move {
            let result = task.create(start).await;
            task.end(result);
        });
        hub.simulator.view(id).ok_or_else(no_fleet)
    }

    /// Creates, and starts, the devices of the fleet's file that are missing: the hub may have
    /// asked to slow down, or somebody has deleted some. Returns once the work has begun.
    pub async fn create_missing(&self, id: u32, confirmation: Option<LoadConfirmation>) -> Result<()> {
        let hub = self.hub()?;
        let (_, load) = hub.file(id)?;
        hub.confirmed(&load, confirmation)?;
        let missing = hub.entry(id, |entry| Ok(entry.missing()))?;
        hub.check_room(missing.into())?;
        let task = self.begin(&hub, id, FleetWork::Creating, missing)?;
        tokio::spawn(async move {
            let result = task.create(true).await;
            task.end(result);
        });
        Ok(())
    }

    /// Starts the devices that do not run, `per_second` of them a second. Returns once the work
    /// has begun.
    pub async fn start_fleet(&self, id: u32, per_second: u32, confirmation: Option<LoadConfirmation>) -> Result<()> {
        let hub = self.hub()?;
        let (_, load) = hub.file(id)?;
        hub.confirmed(&load, confirmation)?;
        self.set_pace(&hub, id, per_second).await?;
        let ids = hub.in_state(id, |state| state == SimulatedState::Stopped);
        self.spawn_start(&hub, id, ids)
    }

    fn spawn_start(&self, hub: &Arc<OpenHub>, fleet: u32, ids: Vec<DeviceId>) -> Result<()> {
        let task = self.begin(hub, fleet, FleetWork::Starting, total(&ids))?;
        tokio::spawn(async move {
            let result = task.start(ids).await;
            task.end(result);
        });
        Ok(())
    }

    /// Stops the devices that run, `per_second` of them a second. Returns once the work has begun.
    pub async fn stop_fleet(&self, id: u32, per_second: u32) -> Result<()> {
        let hub = self.hub()?;
        if !(1..=MAX_PER_SECOND).contains(&per_second) {
            return Err(wrong_pace(per_second));
        }
        let ids = hub.in_state(id, |state| state != SimulatedState::Stopped);
        let task = self.begin(&hub, id, FleetWork::Stopping, total(&ids))?;
        tokio::spawn(async move {
            let result = task.stop(ids, per_second).await;
            task.end(result);
        });
        Ok(())
    }

    /// What has been done stays done.
    pub fn cancel_fleet_task(&self, id: u32) -> Result<()> {
        let hub = self.hub()?;
        hub.entry(id, |entry| {
            if let Some(cancel) = &entry.cancel {
                cancel.cancel();
            }
            if let Some(task) = entry.task.as_mut().filter(|task| task.running) {
                task.cancelled = true;
            }
            Ok(())
        })?;
        self.tell_fleets();
        Ok(())
    }

    /// Deletes the fleet's devices from the hub, then the fleet. Returns once the work has begun.
    pub async fn delete_fleet(&self, id: u32) -> Result<()> {
        let hub = self.hub()?;
        let ids = hub.simulator.lock().of_fleet(id);
        let task = self.begin(&hub, id, FleetWork::Deleting, total(&ids))?;
        tokio::spawn(async move {
            let result = task.delete(ids).await;
            task.end(result);
        });
        Ok(())
    }

    /// Whether its devices that ran are started again when the hub is opened.
    pub async fn set_fleet_start(&self, id: u32, with_hub: bool, confirmation: Option<LoadConfirmation>) -> Result<()> {
        let hub = self.hub()?;
        let (_, load) = hub.file(id)?;
        if with_hub {
            hub.confirmed(&load, confirmation)?;
        }
        let source = hub.entry(id, |entry| {
            entry.starts_with_hub = with_hub;
            Ok(entry.source.clone())
        })?;
        storage::update_fleet(&self.0.db, id, source, with_hub).await?;
        self.tell_fleets();
        Ok(())
    }

    /// Replaces the faults of the whole fleet, in its file and on its devices at once.
    pub async fn set_fleet_faults(&self, id: u32, faults: Vec<SwitchedFault>) -> Result<Fleet> {
        let hub = self.hub()?;
        let faults = unswitched(&faults)?;
        self.change_file(&hub, id, |file| file.faults = faults).await?;
        let ids = hub.simulator.lock().of_fleet(id);
        for device in ids {
            hub.apply_faults(&device)?;
        }
        hub.simulator.view(id).ok_or_else(no_fleet)
    }

    async fn set_pace(&self, hub: &Arc<OpenHub>, id: u32, per_second: u32) -> Result<()> {
        if !(1..=MAX_PER_SECOND).contains(&per_second) {
            return Err(wrong_pace(per_second));
        }
        let (file, _) = hub.file(id)?;
        if file.connect.per_second == per_second {
            return Ok(());
        }
        self.change_file(hub, id, |file| file.connect.per_second = per_second)
            .await?;
        // The next one to start begins at the new pace; what runs keeps its own.
        hub.entry(id, |entry| {
            if entry.running() == 0 {
                entry.run = None;
            }
            Ok(())
        })
    }

    async fn change_file(&self, hub: &Arc<OpenHub>, id: u32, change: impl FnOnce(&mut FleetFile)) -> Result<()> {
        let (file, _) = hub.file(id)?;
        let mut file = FleetFile::clone(&file);
        change(&mut file);
        let source = file.to_toml();
        // Read again, so that what is kept is known to be readable.
        let file = FleetFile::parse(&source, &models::reader(&self.model_files()))
            .map_err(|error| AppError::invalid(format!("{}.", error.message)))?;
        let starts_with_hub = hub.entry(id, |entry| Ok(entry.starts_with_hub))?;
        storage::update_fleet(&self.0.db, id, source.clone(), starts_with_hub).await?;
        hub.entry(id, |entry| {
            entry.source = source;
            entry.take(file);
            Ok(())
        })?;
        self.tell_fleets();
        Ok(())
    }

    /// Starts what ran when the hub was last closed, in fleets that are to start with it.
    pub(crate) fn resume_fleets(&self, hub: &Arc<OpenHub>) {
        let wanted: BTreeMap<u32, Vec<DeviceId>> = {
            let inner = hub.simulator.lock();
            let mut wanted = BTreeMap::<u32, Vec<DeviceId>>::new();
            for (id, device) in inner.devices.iter().filter(|(_, device)| device.running) {
                if inner
                    .fleets
                    .get(&device.fleet)
                    .is_some_and(|fleet| fleet.starts_with_hub && fleet.file.is_ok())
                {
                    wanted.entry(device.fleet).or_default().push(id.clone());
                }
            }
            wanted
        };
        for (fleet, ids) in wanted {
            if let Err(error) = self.spawn_start(hub, fleet, ids) {
                tracing::warn!("fleet {fleet} was not started with its hub: {error}");
            }
        }
    }

    pub(crate) fn models_changed(&self) {
        if let Ok(hub) = self.hub() {
            hub.simulator.models_changed(&self.model_files());
            self.tell_fleets();
        }
    }
}

fn wrong_pace(per_second: u32) -> AppError {
    AppError::invalid(format!(
        "1 to {MAX_PER_SECOND} devices start or stop in a second, not {per_second}."
    ))
}

impl OpenHub {
    fn in_state(&self, fleet: u32, wanted: impl Fn(SimulatedState) -> bool) -> Vec<DeviceId> {
        let inner = self.simulator.lock();
        let ours = inner
            .devices
            .iter()
            .filter(|(_, device)| device.fleet == fleet && wanted(device.state));
        ours.map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use device_sim::Load;

    use super::*;

    #[test]
    fn a_hub_in_use_takes_only_the_very_load_that_was_confirmed() {
        let load = load_view(&Load::new(600, 500_000, 50));
        let confirmation = LoadConfirmation {
            devices: 600,
            messages_per_day: 500_000,
        };
        assert!(confirmed("h.azure-devices.net", &load, Some(confirmation)).is_ok());
        let fewer = LoadConfirmation {
            devices: 5,
            ..confirmation
        };
        for said in [None, Some(fewer)] {
            let error = confirmed("h.azure-devices.net", &load, said).unwrap_err();
            assert_eq!(error.code, Code::NeedsConfirmation);
            for fact in ["600", "500000", "S1, 2 units", "h.azure-devices.net"] {
                assert!(error.message.contains(fact), "{}", error.message);
            }
        }
    }
}
