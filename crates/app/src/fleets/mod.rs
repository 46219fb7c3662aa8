//! Fleets of simulated devices of the open hub: what is known of them, and what the window sees.
//!
//! A fleet is a file (TOML) and the devices that were made of it. `storage` keeps both; `work` is
//! what takes its time (creating, starting, stopping, deleting); `looking` is for who looks at one
//! fleet or one device; `draft` makes and checks files; `picked` is for devices of any fleets.

mod commands;
mod draft;
mod entry;
mod looking;
mod picked;
mod storage;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use device_sim::{DeviceState, Fault, FleetEvent, News};
use hub_protocol::{DeviceId, merge::Object, sas::SasKey};
use tokio::sync::{Notify, broadcast::error::RecvError};

use self::{
    entry::{FleetEntry, load_view, switched, unswitched},
    storage::StoredDevice,
};
use crate::{
    db::Db,
    error::Result,
    events::Events,
    models::Files,
    now,
    open_hub::{OpenHub, count},
    view::{Fleet, SimulatedState},
};

/// Between two tellings of counts that change, and of the rates of a fleet that is looked at.
const TELL: Duration = Duration::from_millis(500);
/// What devices remember is on the disk after this.
const KEEP: Duration = Duration::from_secs(1);

/// A simulated device of ours.
pub(crate) struct Simulated {
    pub(crate) fleet: u32,
    pub(crate) model: String,
    pub(crate) state: SimulatedState,
    /// Whether it is meant to run.
    running: bool,
    own_faults: Option<Vec<Fault>>,
    memory: Object,
    /// As read from the registry, while this hub is open; kept nowhere else.
    key: Option<SasKey>,
}

/// Whose devices the window looks at one by one.
struct Watched {
    fleet: u32,
    version: u32,
    places: HashMap<DeviceId, u32>,
}

#[derive(Default)]
struct Inner {
    fleets: BTreeMap<u32, FleetEntry>,
    devices: BTreeMap<DeviceId, Simulated>,
    /// Devices whose memory is not on the disk yet.
    unkept: BTreeSet<DeviceId>,
    watched: Option<Watched>,
}

pub(crate) struct Simulator {
    inner: Mutex<Inner>,
    changed: AtomicBool,
    unkept: Notify,
}

fn place_of(state: SimulatedState) -> usize {
    SimulatedState::ALL
        .iter()
        .position(|known| *known == state)
        .unwrap_or(0)
}

fn state_of(state: &DeviceState) -> SimulatedState {
    match state {
        DeviceState::Stopped => SimulatedState::Stopped,
        DeviceState::Connecting => SimulatedState::Connecting,
        DeviceState::Connected => SimulatedState::Connected,
        DeviceState::Waiting { .. } => SimulatedState::Waiting,
        DeviceState::Refused { .. } => SimulatedState::Refused,
    }
}

impl Inner {
    fn add(&mut self, id: DeviceId, device: Simulated) {
        if let Some(fleet) = self.fleets.get_mut(&device.fleet) {
            fleet.counts[place_of(device.state)] += 1;
            fleet.version += 1;
        }
        self.devices.insert(id, device);
    }

    fn remove(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.remove(id) else { return };
        self.unkept.remove(id);
        if let Some(fleet) = self.fleets.get_mut(&device.fleet) {
            fleet.counts[place_of(device.state)] -= 1;
            fleet.version += 1;
        }
    }

    /// Whether that was news.
    fn set_state(&mut self, id: &DeviceId, state: SimulatedState) -> bool {
        let Some(device) = self.devices.get_mut(id) else {
            return false;
        };
        if device.state == state {
            return false;
        }
        if let Some(fleet) = self.fleets.get_mut(&device.fleet) {
            fleet.counts[place_of(device.state)] -= 1;
            fleet.counts[place_of(state)] += 1;
        }
        device.state = state;
        true
    }

    fn of_fleet(&self, fleet: u32) -> Vec<DeviceId> {
        let ours = self.devices.iter().filter(|(_, device)| device.fleet == fleet);
        ours.map(|(id, _)| id.clone()).collect()
    }
}

impl Simulator {
    pub(crate) async fn load(db: &Db, hub_id: &str, files: &Files) -> Result<Self> {
        let (fleets, devices) = storage::load(db, hub_id).await?;
        let mut inner = Inner {
            fleets: fleets
                .into_iter()
                .map(|stored| (stored.id, FleetEntry::new(stored, files)))
                .collect(),
            ..Inner::default()
        };
        for stored in devices {
            let StoredDevice {
                id,
                fleet,
                model,
                faults,
                memory,
                running,
            } = stored;
            let device = Simulated {
                fleet,
                model,
                state: SimulatedState::Stopped,
                running,
                own_faults: faults,
                memory,
                key: None,
            };
            inner.add(id, device);
        }
        Ok(Self {
            inner: Mutex::new(inner),
            changed: AtomicBool::new(false),
            unkept: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        crate::lock(&self.inner)
    }

    /// What the list of devices shows of one: its fleet, its model and its state.
    pub(crate) fn device(&self, id: &DeviceId) -> Option<(u32, String, SimulatedState)> {
        let inner = self.lock();
        let device = inner.devices.get(id)?;
        Some((device.fleet, device.model.clone(), device.state))
    }

    pub(crate) fn views(&self) -> Vec<Fleet> {
        let at_ms = u64::try_from(now().0.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        self.lock().fleets.values().map(|fleet| fleet.view(at_ms)).collect()
    }

    fn view(&self, id: u32) -> Option<Fleet> {
        let at_ms = u64::try_from(now().0.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        self.lock().fleets.get(&id).map(|fleet| fleet.view(at_ms))
    }

    /// Fleets whose models may have changed are read anew; what runs stays as it was started.
    pub(crate) fn models_changed(&self, files: &Files) {
        self.lock().fleets.values_mut().for_each(|fleet| fleet.read(files));
    }

    fn runs(&self) -> Vec<Arc<device_sim::Fleet>> {
        self.lock()
            .fleets
            .values()
            .filter_map(|fleet| fleet.run.clone())
            .collect()
    }

    /// Stops what runs; what is meant to run stays meant so.
    pub(crate) async fn stop_all(&self) {
        for run in self.runs() {
            // Nobody listens any more, and news may have been on their way.
            for (id, _) in run.states() {
                if let Some(memory) = run.memory(&id) {
                    self.remember(&id, memory);
                }
            }
            run.stop_all().await;
        }
    }

    fn remember(&self, id: &DeviceId, memory: Object) {
        let mut inner = self.lock();
        let Some(device) = inner.devices.get_mut(id) else {
            return;
        };
        if device.memory == memory {
            return;
        }
        device.memory = memory;
        inner.unkept.insert(id.clone());
        drop(inner);
        self.unkept.notify_one();
    }

    /// The memories that are not on the disk yet.
    fn take_unkept(&self) -> Vec<(DeviceId, String)> {
        let mut inner = self.lock();
        let unkept = std::mem::take(&mut inner.unkept);
        let memory = |id: DeviceId| {
            let memory = serde_json::to_string(&inner.devices.get(&id)?.memory).ok()?;
            Some((id, memory))
        };
        unkept.into_iter().filter_map(memory).collect()
    }

    pub(crate) async fn keep_memories(&self, db: &Db, hub_id: &str) {
        let memories = self.take_unkept();
        if memories.is_empty() {
            return;
        }
        let ids: Vec<DeviceId> = memories.iter().map(|(id, _)| id.clone()).collect();
        if let Err(error) = storage::write_memories(db, hub_id, memories).await {
            tracing::warn!("what simulated devices remember could not be stored, and is tried again: {error}");
            self.lock().unkept.extend(ids);
        }
    }
}

impl OpenHub {
    /// Tells of counts twice a second at most, and keeps what devices remember.
    pub(crate) fn spawn_simulator(self: Arc<Self>, db: Db, events: Arc<Events>) {
        let hub = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TELL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = hub.stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let watched = hub.simulator.lock().watched.is_some();
                if hub.simulator.changed.swap(false, Ordering::Relaxed) || watched {
                    events.note(|pending| pending.fleets = true);
                }
            }
        });
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = self.simulator.unkept.notified() => {}
                }
                tokio::time::sleep(KEEP).await;
                self.simulator.keep_memories(&db, &self.saved.id).await;
            }
        });
    }

    /// Hears what devices of a running fleet become, until the hub is closed or the fleet is gone.
    fn spawn_listener(self: Arc<Self>, run: &Arc<device_sim::Fleet>, fleet: u32, events: Arc<Events>) {
        let mut news = run.subscribe();
        let run = Arc::downgrade(run);
        tokio::spawn(async move {
            loop {
                let item = tokio::select! {
                    () = self.stop.cancelled() => return,
                    item = news.recv() => item,
                };
                match item {
                    Ok(event) => self.heard(event, &events),
                    Err(RecvError::Lagged(_)) => {
                        let Some(run) = run.upgrade() else { return };
                        self.look_again(&run, fleet, &events);
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    fn heard(&self, FleetEvent { device_id, news }: FleetEvent, events: &Events) {
        match news {
            News::State(state) => self.became(&device_id, state_of(&state), events),
            News::Memory(memory) => self.simulator.remember(&device_id, memory),
        }
    }

    fn became(&self, id: &DeviceId, state: SimulatedState, events: &Events) {
        let watched = {
            let mut inner = self.simulator.lock();
            if !inner.set_state(id, state) {
                return;
            }
            inner
                .watched
                .as_ref()
                .is_some_and(|watched| watched.places.contains_key(id))
        };
        self.simulator.changed.store(true, Ordering::Relaxed);
        events.note(|pending| {
            if self.table.has(id) {
                pending.rows.insert(id.clone());
            }
            if watched {
                pending.dots.insert(id.clone());
            }
        });
    }

    /// After news were missed.
    fn look_again(&self, run: &device_sim::Fleet, fleet: u32, events: &Events) {
        let states: HashMap<DeviceId, DeviceState> = run.states().into_iter().collect();
        let ids = self.simulator.lock().of_fleet(fleet);
        for id in ids {
            self.became(&id, states.get(&id).map_or(SimulatedState::Stopped, state_of), events);
            if let Some(memory) = run.memory(&id) {
                self.simulator.remember(&id, memory);
            }
        }
    }

    /// The states of these devices as the window names them: by their place in the fleet that is
    /// looked at.
    pub(crate) fn states_of(&self, ids: BTreeSet<DeviceId>) -> Option<crate::view::AppEvent> {
        let inner = self.simulator.lock();
        let watched = inner.watched.as_ref()?;
        let state = |id: DeviceId| Some((*watched.places.get(&id)?, inner.devices.get(&id)?.state));
        let changed: Vec<(u32, SimulatedState)> = ids.into_iter().filter_map(state).collect();
        (!changed.is_empty()).then_some(crate::view::AppEvent::FleetStates {
            fleet: watched.fleet,
            members: watched.version,
            changed,
        })
    }
}

/// So many of a list, as the window counts.
fn total(ids: &[DeviceId]) -> u32 {
    count(ids.len())
}
