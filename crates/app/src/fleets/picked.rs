//! Devices that were picked one by one, of whatever fleets.

use std::{collections::BTreeMap, sync::Arc};

use device_sim::Load;
use hub_protocol::DeviceId;

use super::{
    commands::{MAX_PER_SECOND, no_fleet},
    load_view, storage, total,
};
use crate::{
    App,
    devices::parse_ids,
    error::Result,
    open_hub::OpenHub,
    view::{BulkFailure, BulkResult, FleetLoad, FleetWork, HubKind, LoadConfirmation},
};

impl OpenHub {
    /// Ids of devices of ours, by fleet.
    fn by_fleet(&self, ids: &[DeviceId]) -> (BTreeMap<u32, Vec<DeviceId>>, Vec<BulkFailure>) {
        let (mut fleets, mut failures) = (BTreeMap::<u32, Vec<DeviceId>>::new(), Vec::new());
        let inner = self.simulator.lock();
        for id in ids {
            match inner.devices.get(id) {
                Some(device) => fleets.entry(device.fleet).or_default().push(id.clone()),
                None => failures.push(BulkFailure {
                    device_id: id.to_string(),
                    message: "This is not a simulated device of this application.".into(),
                }),
            }
        }
        (fleets, failures)
    }

    /// What some devices of several fleets ask of the hub.
    fn load_of(&self, fleets: &BTreeMap<u32, Vec<DeviceId>>) -> Result<FleetLoad> {
        let (mut devices, mut messages, mut connects) = (0, 0, 1);
        for (fleet, ids) in fleets {
            let (file, _) = self.file(*fleet)?;
            let load = {
                let inner = self.simulator.lock();
                let entry = inner.fleets.get(fleet).ok_or_else(no_fleet)?;
                file.load_of(ids.iter().filter_map(|id| entry.members.get(id)))
            };
            devices += load.devices;
            messages += load.messages_per_day;
            connects = connects.max(load.connects_per_second);
        }
        Ok(load_view(&Load::new(devices, messages, connects)))
    }
}

impl App {
    /// What running these devices asks of the hub.
    pub fn simulated_load(&self, ids: Vec<String>) -> Result<FleetLoad> {
        let hub = self.hub()?;
        let (fleets, _) = hub.by_fleet(&parse_ids(ids)?);
        hub.load_of(&fleets)
    }

    /// Returns once all have been handed over to be connected.
    pub async fn start_simulated(
        &self,
        ids: Vec<String>,
        confirmation: Option<LoadConfirmation>,
    ) -> Result<BulkResult> {
        let hub = self.hub()?;
        let (fleets, failures) = hub.by_fleet(&parse_ids(ids)?);
        if hub.saved.kind != HubKind::Local {
            hub.confirmed(&hub.load_of(&fleets)?, confirmation)?;
        }
        let mut result = BulkResult { done: 0, failures };
        for (fleet, ids) in fleets {
            let task = self.begin(&hub, fleet, FleetWork::Starting, total(&ids))?;
            let started = task.start(ids).await;
            task.end(started.clone());
            self.add_up(&hub, fleet, &mut result);
            started?;
        }
        Ok(result)
    }

    pub async fn stop_simulated(&self, ids: Vec<String>) -> Result<BulkResult> {
        let hub = self.hub()?;
        let (fleets, failures) = hub.by_fleet(&parse_ids(ids)?);
        let mut result = BulkResult { done: 0, failures };
        for (fleet, ids) in fleets {
            let task = self.begin(&hub, fleet, FleetWork::Stopping, total(&ids))?;
            let stopped = task.stop(ids, MAX_PER_SECOND).await;
            task.end(stopped.clone());
            self.add_up(&hub, fleet, &mut result);
            stopped?;
        }
        Ok(result)
    }

    fn add_up(&self, hub: &OpenHub, fleet: u32, result: &mut BulkResult) {
        let task = hub.entry(fleet, |entry| Ok(entry.task.clone()));
        if let Ok(Some(task)) = task {
            result.done += task.done;
            result.failures.extend(task.failures);
        }
    }

    /// Devices that are gone from the hub are gone here too.
    pub(crate) async fn forget_simulated(&self, hub: &Arc<OpenHub>, ids: Vec<DeviceId>) -> Result<()> {
        {
            let mut inner = hub.simulator.lock();
            for id in &ids {
                inner.remove(id);
            }
        }
        storage::delete_devices(&self.0.db, &hub.saved.id, ids).await?;
        self.tell_fleets();
        Ok(())
    }

    /// Stops those of these devices that are ours and run.
    pub(crate) async fn halt(&self, hub: &Arc<OpenHub>, ids: &[DeviceId]) {
        let (fleets, _) = hub.by_fleet(ids);
        for (fleet, ids) in fleets {
            let run = hub.entry(fleet, |entry| Ok(entry.run.clone()));
            if let Ok(Some(run)) = run {
                run.stop(&ids).await;
                hub.stopped(&ids, self);
            }
        }
    }
}
