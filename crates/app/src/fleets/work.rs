//! What takes its time: creating, starting, stopping and deleting devices of a fleet. One at a
//! time for each fleet; it tells how far it is and can be cancelled.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering, time::Duration};

use device_sim::{Fleet, FleetOptions, SimulatedDevice};
use futures_util::{StreamExt, stream};
use hub_protocol::{
    DeviceConnectionString, DeviceId,
    identity::{Authentication, ExportImportDevice, ImportMode, MAX_BULK, SymmetricKey},
    sas::SasKey,
};
use tokio_util::sync::CancellationToken;

use super::{Simulated, storage, total};
use crate::{
    App,
    devices::{bulk_item, random_key},
    error::{AppError, Code, Result},
    open_hub::{OpenHub, count},
    view::{BulkFailure, FleetTask, FleetWork, SimulatedState},
};

/// Registry calls at once, for keys and for parts of a hundred devices.
const CALLS: usize = 16;
const PARTS: usize = 4;
/// Failures that are told one by one.
const TOLD: usize = 20;
/// Stopping at a pace is done in steps of this.
const STEP: Duration = Duration::from_millis(100);

/// Work under way on one fleet.
pub(super) struct Task {
    app: App,
    hub: Arc<OpenHub>,
    fleet: u32,
    pub(super) cancel: CancellationToken,
}

impl App {
    /// Claims the fleet for work; refused while other work is under way.
    pub(super) fn begin(&self, hub: &Arc<OpenHub>, fleet: u32, work: FleetWork, total: u32) -> Result<Task> {
        let cancel = hub.stop.child_token();
        {
            let mut inner = hub.simulator.lock();
            let entry = inner.fleets.get_mut(&fleet).ok_or_else(super::commands::no_fleet)?;
            if entry.is_busy() {
                return Err(
                    AppError::new(Code::AlreadyExists, "Other work on this fleet is under way.")
                        .hint("Wait until it has ended, or cancel it."),
                );
            }
            entry.task = Some(FleetTask {
                work,
                running: true,
                cancelled: false,
                done: 0,
                failed: 0,
                total,
                failures: Vec::new(),
                error: None,
            });
            entry.cancel = Some(cancel.clone());
        }
        self.tell_fleets();
        Ok(Task {
            app: self.clone(),
            hub: hub.clone(),
            fleet,
            cancel,
        })
    }

    pub(super) fn tell_fleets(&self) {
        self.0.events.note(|pending| pending.fleets = true);
    }
}

impl Task {
    fn note(&self, change: impl FnOnce(&mut FleetTask)) {
        let mut inner = self.hub.simulator.lock();
        if let Some(task) = inner.fleets.get_mut(&self.fleet).and_then(|fleet| fleet.task.as_mut()) {
            change(task);
        }
        self.hub.simulator.changed.store(true, Ordering::Relaxed);
    }

    fn advance(&self, done: u32, failures: Vec<BulkFailure>) {
        self.note(|task| {
            task.done += done;
            task.failed += count(failures.len());
            let room = TOLD.saturating_sub(task.failures.len());
            task.failures.extend(failures.into_iter().take(room));
        });
    }

    /// Says how it ended, and lets go of the fleet.
    pub(super) fn end(self, result: Result<()>) {
        let cancelled = self.cancel.is_cancelled();
        self.note(|task| {
            task.running = false;
            task.cancelled = cancelled;
            task.error = result.err();
        });
        if let Some(entry) = self.hub.simulator.lock().fleets.get_mut(&self.fleet) {
            entry.cancel = None;
        }
        self.app.tell_fleets();
    }

    /// Makes the devices of the fleet that are not there on the hub, a hundred a call, and starts each part as it is
    /// there. What was made before an error or a cancel stays.
    pub(super) async fn create(&self, start: bool) -> Result<()> {
        let mut items = Vec::new();
        {
            let inner = self.hub.simulator.lock();
            let Some(entry) = inner.fleets.get(&self.fleet) else {
                return Ok(());
            };
            for (id, member) in entry.members.iter().filter(|(id, _)| !inner.devices.contains_key(*id)) {
                let (primary, secondary) = (random_key()?, random_key()?);
                let authentication = Authentication {
                    symmetric_key: SymmetricKey::from_keys(&primary, &secondary),
                    ..Authentication::default()
                };
                let item = ExportImportDevice {
                    authentication: Some(authentication),
                    tags: (!member.tags.is_empty()).then(|| member.tags.clone()),
                    ..bulk_item(id.clone(), ImportMode::Create)
                };
                items.push((item, primary, member.model.name().to_owned()));
            }
        }
        let mut parts = Vec::new();
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(MAX_BULK));
            parts.push(std::mem::replace(&mut items, rest));
        }
        let enough = self.cancel.child_token();
        let mut parts = stream::iter(parts)
            .map(|part| self.create_part(part, start, &enough))
            .buffered(PARTS);
        let mut result = Ok(());
        // Those under way are awaited whatever happens: their devices exist, and have to be known.
        while let Some(part) = parts.next().await {
            if part.is_err() {
                enough.cancel();
                result = result.and(part);
            }
        }
        result
    }

    async fn create_part(
        &self,
        part: Vec<(ExportImportDevice, SasKey, String)>,
        start: bool,
        enough: &CancellationToken,
    ) -> Result<()> {
        if enough.is_cancelled() {
            return Ok(());
        }
        let references = self.references();
        let (mut items, mut keys) = (Vec::with_capacity(part.len()), BTreeMap::new());
        for (item, key, model) in part {
            keys.insert(item.id.clone(), (key, model));
            items.push(item);
        }
        let answer = self.hub.client.bulk(&items).await?;
        let mut failures = Vec::new();
        for error in answer.errors {
            if let Ok(id) = DeviceId::new(error.device_id.clone()) {
                keys.remove(&id);
            }
            failures.push(BulkFailure {
                device_id: error.device_id,
                message: error.error_status,
            });
        }
        let rows = keys
            .iter()
            .map(|(id, (_, model))| (id.clone(), references.get(id).unwrap_or(model).clone()))
            .collect();
        storage::insert_devices(&self.app.0.db, &self.hub.saved.id, self.fleet, rows, start).await?;
        let created: Vec<DeviceId> = keys.keys().cloned().collect();
        {
            let mut inner = self.hub.simulator.lock();
            for (id, (key, model)) in keys {
                let device = Simulated {
                    fleet: self.fleet,
                    model: references.get(&id).cloned().unwrap_or(model),
                    state: SimulatedState::Stopped,
                    running: start,
                    own_faults: None,
                    memory: Default::default(),
                    key: Some(key),
                };
                inner.add(id, device);
            }
        }
        self.advance(total(&created), failures);
        // The rows of the list may have been told before it was known that we simulate them.
        self.app.0.events.note(|pending| {
            pending
                .rows
                .extend(created.iter().filter(|id| self.hub.table.has(id)).cloned());
        });
        if start {
            self.hub.launch(&self.app, self.fleet, &created)?;
        }
        Ok(())
    }

    /// How the fleet's file calls the model of each of its devices.
    fn references(&self) -> BTreeMap<DeviceId, String> {
        let inner = self.hub.simulator.lock();
        let Some(entry) = inner.fleets.get(&self.fleet) else {
            return BTreeMap::new();
        };
        let Ok(file) = &entry.file else { return BTreeMap::new() };
        let reference = |(id, member): (&DeviceId, &device_sim::Member)| {
            Some((id.clone(), file.devices.get(member.group)?.model.clone()))
        };
        entry.members.iter().filter_map(reference).collect()
    }

    /// Starts devices; the fleet's own pace spreads their connects.
    pub(super) async fn start(&self, ids: Vec<DeviceId>) -> Result<()> {
        self.hub.check_room(total(&ids).into())?;
        for part in ids.chunks(MAX_BULK) {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            self.wish(part, true).await?;
            let failures = self.hub.find_keys(part).await;
            let failed: Vec<&str> = failures.iter().map(|failure| failure.device_id.as_str()).collect();
            let ready: Vec<DeviceId> = part
                .iter()
                .filter(|id| !failed.contains(&id.as_str()))
                .cloned()
                .collect();
            self.hub.launch(&self.app, self.fleet, &ready)?;
            self.advance(total(&ready), failures);
        }
        Ok(())
    }

    /// Stops devices, so many a second.
    pub(super) async fn stop(&self, ids: Vec<DeviceId>, per_second: u32) -> Result<()> {
        let Some(run) = self.runner() else { return Ok(()) };
        let step = usize::try_from(per_second.div_ceil(10)).unwrap_or(1).max(1);
        for part in ids.chunks(step) {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            let began = tokio::time::Instant::now();
            self.wish(part, false).await?;
            run.stop(part).await;
            self.hub.stopped(part, &self.app);
            self.advance(total(part), Vec::new());
            tokio::time::sleep_until(began + STEP).await;
        }
        Ok(())
    }

    /// Deletes the devices from the hub, and the fleet once none is left.
    pub(super) async fn delete(&self, ids: Vec<DeviceId>) -> Result<()> {
        let run = self.runner();
        for part in ids.chunks(MAX_BULK) {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            if let Some(run) = &run {
                run.stop(part).await;
                self.hub.stopped(part, &self.app);
            }
            let items: Vec<_> = part
                .iter()
                .map(|id| bulk_item(id.clone(), ImportMode::Delete))
                .collect();
            let answer = self.hub.client.bulk(&items).await?;
            let failures: Vec<BulkFailure> = answer
                .errors
                .into_iter()
                // What somebody else has deleted is gone all the same.
                .filter(|error| !is_gone(&error.error_code))
                .map(|error| BulkFailure {
                    device_id: error.device_id,
                    message: error.error_status,
                })
                .collect();
            let gone: Vec<DeviceId> = part
                .iter()
                .filter(|id| !failures.iter().any(|failure| failure.device_id == id.as_str()))
                .cloned()
                .collect();
            self.advance(total(&gone), failures);
            self.app.forget_simulated(&self.hub, gone).await?;
        }
        let empty = self
            .hub
            .simulator
            .lock()
            .fleets
            .get(&self.fleet)
            .is_some_and(|fleet| fleet.devices() == 0);
        if empty {
            storage::delete_fleet(&self.app.0.db, self.fleet).await?;
            self.hub.simulator.lock().fleets.remove(&self.fleet);
        }
        Ok(())
    }

    fn runner(&self) -> Option<Arc<Fleet>> {
        let inner = self.hub.simulator.lock();
        inner.fleets.get(&self.fleet)?.run.clone()
    }

    async fn wish(&self, ids: &[DeviceId], running: bool) -> Result<()> {
        storage::set_running(&self.app.0.db, &self.hub.saved.id, ids.to_vec(), running).await?;
        let mut inner = self.hub.simulator.lock();
        for id in ids {
            if let Some(device) = inner.devices.get_mut(id) {
                device.running = running;
            }
        }
        Ok(())
    }
}

impl OpenHub {
    /// Reads from the registry the keys that are not known yet; tells where that failed.
    pub(super) async fn find_keys(&self, ids: &[DeviceId]) -> Vec<BulkFailure> {
        let unknown: Vec<DeviceId> = {
            let inner = self.simulator.lock();
            let without_key = |id: &&DeviceId| inner.devices.get(*id).is_none_or(|device| device.key.is_none());
            ids.iter().filter(without_key).cloned().collect()
        };
        let read = stream::iter(unknown)
            .map(|id| async move {
                let key = self.key(&id).await;
                (id, key)
            })
            .buffer_unordered(CALLS)
            .collect::<Vec<_>>()
            .await;
        let mut failures = Vec::new();
        let mut inner = self.simulator.lock();
        for (id, key) in read {
            match key {
                Ok(key) => {
                    if let Some(device) = inner.devices.get_mut(&id) {
                        device.key = Some(key);
                    }
                }
                Err(error) => failures.push(BulkFailure {
                    device_id: id.to_string(),
                    message: error.to_string(),
                }),
            }
        }
        failures
    }

    pub(crate) async fn key(&self, id: &DeviceId) -> Result<SasKey> {
        let device = self.client.device(id).await?;
        device
            .primary_key()
            .ok_or_else(|| AppError::invalid("This device does not connect with a key."))
    }

    pub(crate) fn device_connection(&self, device_id: DeviceId, key: SasKey) -> DeviceConnectionString {
        DeviceConnectionString {
            host_name: self.device_host.clone(),
            device_id,
            key,
            gateway_host_name: None,
        }
    }

    /// Hands devices whose keys are known to the fleet's runner.
    pub(super) fn launch(self: &Arc<Self>, app: &App, fleet: u32, ids: &[DeviceId]) -> Result<()> {
        let run = self.run(app, fleet)?;
        let devices = {
            let inner = self.simulator.lock();
            let Some(entry) = inner.fleets.get(&fleet) else {
                return Ok(());
            };
            let device = |id: &DeviceId| {
                let (device, member) = (inner.devices.get(id)?, entry.members.get(id)?);
                Some(SimulatedDevice {
                    connection: self.device_connection(id.clone(), device.key.clone()?),
                    model: member.model.clone(),
                    time_scale: member.time_scale,
                    seed: member.seed,
                    memory: device.memory.clone(),
                    faults: device.own_faults.clone().unwrap_or_else(|| member.faults.clone()),
                })
            };
            ids.iter().filter_map(device).collect()
        };
        run.start(devices);
        for id in ids {
            if let Some(state) = run.state(id) {
                self.became(id, super::state_of(&state), &app.0.events);
            }
        }
        Ok(())
    }

    /// The fleet's runner; a new one where none of its devices runs and the pace is another.
    fn run(self: &Arc<Self>, app: &App, fleet: u32) -> Result<Arc<Fleet>> {
        let connect = {
            let inner = self.simulator.lock();
            let entry = inner.fleets.get(&fleet).ok_or_else(super::commands::no_fleet)?;
            if let Some(run) = &entry.run {
                return Ok(run.clone());
            }
            entry.file.as_ref().map_err(|problem| broken(problem))?.connect.clone()
        };
        let options = FleetOptions {
            mqtt_port: self.mqtt_port,
            connects_per_second: connect.per_second,
            token_lifetime: connect.token_lifetime.get(),
            ..FleetOptions::new(self.tls.clone(), self.downloads.clone())
        };
        let run = Fleet::new(options).map_err(|error| AppError::new(Code::Internal, error.to_string()))?;
        let run = Arc::new(run);
        let mut inner = self.simulator.lock();
        let entry = inner.fleets.get_mut(&fleet).ok_or_else(super::commands::no_fleet)?;
        // Another part of the same work may have been faster.
        let kept = entry.run.get_or_insert_with(|| run.clone()).clone();
        drop(inner);
        if Arc::ptr_eq(&kept, &run) {
            self.clone().spawn_listener(&run, fleet, app.0.events.clone());
        }
        Ok(kept)
    }

    /// A stopped device tells no news of it once its runner has forgotten it.
    pub(super) fn stopped(&self, ids: &[DeviceId], app: &App) {
        for id in ids {
            self.became(id, SimulatedState::Stopped, &app.0.events);
        }
    }
}

/// The hub names the code, or gives its number.
fn is_gone(code: &serde_json::Value) -> bool {
    *code == "DeviceNotFound" || *code == 404_001
}

pub(super) fn broken(problem: &str) -> AppError {
    AppError::invalid(format!("The file of this fleet cannot be understood: {problem}"))
        .hint("Mend the model it uses, or delete the fleet.")
}
