//! Looking at one fleet, and at one device: free until somebody does.

use std::{sync::Arc, time::Duration};

use device_sim::{ConsoleKind as Kind, DeviceState};
use hub_protocol::DeviceId;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{Watched, storage, switched, unswitched};
use crate::{
    App,
    error::{AppError, Code, Result},
    events::Events,
    lock,
    open_hub::OpenHub,
    view::{ConsoleKind, ConsoleLine, FleetDevices, SimulatedDevice, SwitchedFault},
};

/// Between two looks at the console of a device that says much, and at one that does not run.
const PACE: Duration = Duration::from_millis(200);

fn not_ours() -> AppError {
    AppError::new(Code::NotFound, "This is not a simulated device of this application.")
        .hint("It may have been deleted, or belong to another hub.")
}

fn line(base: u64, line: device_sim::ConsoleLine) -> ConsoleLine {
    ConsoleLine {
        sequence: base + line.sequence,
        at: line.at.to_string(),
        kind: match line.kind {
            Kind::Received => ConsoleKind::Received,
            Kind::Sent => ConsoleKind::Sent,
            Kind::Did => ConsoleKind::Did,
        },
        text: line.text,
        detail: line.detail,
    }
}

impl App {
    /// The devices of a fleet, and from now on events of their states, until another fleet is
    /// watched or [`App::unwatch_fleet`].
    pub fn watch_fleet(&self, id: u32) -> Result<FleetDevices> {
        let hub = self.hub()?;
        let mut inner = hub.simulator.lock();
        let version = inner.fleets.get(&id).ok_or_else(super::commands::no_fleet)?.version;
        let devices = inner.devices.iter().filter(|(_, device)| device.fleet == id);
        let (device_ids, states): (Vec<DeviceId>, Vec<_>) =
            devices.map(|(id, device)| (id.clone(), device.state)).unzip();
        let view = FleetDevices {
            fleet: id,
            members: version,
            device_ids: device_ids.iter().map(ToString::to_string).collect(),
            states,
        };
        inner.watched = Some(Watched {
            fleet: id,
            version,
            places: device_ids.into_iter().zip(0..).collect(),
        });
        Ok(view)
    }

    pub fn unwatch_fleet(&self) {
        if let Ok(hub) = self.hub() {
            hub.simulator.lock().watched = None;
        }
    }

    pub fn simulated_device(&self, device_id: String) -> Result<SimulatedDevice> {
        let hub = self.hub()?;
        hub.look_at(&DeviceId::new(device_id)?)
    }

    /// Gives a device faults of its own, or with `None` those that its fleet gives it; effective
    /// at once where it runs.
    pub async fn set_device_faults(
        &self,
        device_id: String,
        faults: Option<Vec<SwitchedFault>>,
    ) -> Result<SimulatedDevice> {
        let hub = self.hub()?;
        let id = DeviceId::new(device_id)?;
        let own = faults.as_deref().map(unswitched).transpose()?;
        if hub.simulator.device(&id).is_none() {
            return Err(not_ours());
        }
        storage::set_faults(&self.0.db, &hub.saved.id, &id, own.as_deref()).await?;
        {
            let mut inner = hub.simulator.lock();
            let device = inner.devices.get_mut(&id).ok_or_else(not_ours)?;
            device.own_faults = own;
        }
        hub.apply_faults(&id)?;
        hub.look_at(&id)
    }

    /// The last lines of the device's console, and those to come as events until
    /// [`App::unwatch_console`]. One device at a time: another one takes its place.
    pub fn watch_console(&self, device_id: String) -> Result<Vec<ConsoleLine>> {
        let hub = self.hub()?;
        let id = DeviceId::new(device_id)?;
        if hub.simulator.device(&id).is_none() {
            return Err(not_ours());
        }
        let stop = hub.stop.child_token();
        *lock(&self.0.console) = Some(stop.clone().drop_guard());
        let watched = hub.console_of(&id);
        let (first, next) = match &watched {
            Some((lines, _)) => (
                lines.iter().map(|known| line(0, known.clone())).collect(),
                lines.last().map_or(0, |last| last.sequence + 1),
            ),
            None => (Vec::new(), 0),
        };
        let telling = tell_console(hub, id, watched.map(|(_, lines)| lines), next, self.0.events.clone());
        tokio::spawn(run(stop, telling));
        Ok(first)
    }

    pub fn unwatch_console(&self) {
        *lock(&self.0.console) = None;
    }
}

async fn run(stop: CancellationToken, telling: impl Future<Output = ()>) {
    stop.run_until_cancelled(telling).await;
}

type Lines = tokio::sync::broadcast::Receiver<device_sim::ConsoleLine>;

/// A device that is started anew begins to count anew: `base` goes on where the last run ended.
async fn tell_console(hub: Arc<OpenHub>, id: DeviceId, mut watched: Option<Lines>, mut next: u64, events: Arc<Events>) {
    let (name, mut base) = (id.to_string(), 0);
    loop {
        let Some(lines) = &mut watched else {
            // Stopped: its console begins when it is started.
            tokio::time::sleep(PACE).await;
            base = next;
            if let Some((first, lines)) = hub.console_of(&id) {
                next = first.last().map_or(base, |last| base + last.sequence + 1);
                let first: Vec<ConsoleLine> = first.into_iter().map(|known| line(base, known)).collect();
                events.note(|pending| pending.console(&name, first.into_iter()));
                watched = Some(lines);
            }
            continue;
        };
        match lines.recv().await {
            Ok(first) => {
                let mut fresh = vec![line(base, first)];
                while let Ok(more) = lines.try_recv() {
                    fresh.push(line(base, more));
                }
                next = fresh.last().map_or(next, |last| last.sequence + 1);
                events.note(|pending| pending.console(&name, fresh.into_iter()));
                tokio::time::sleep(PACE).await;
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => watched = None,
        }
    }
}

impl OpenHub {
    fn run_of(&self, id: &DeviceId) -> Option<Arc<device_sim::Fleet>> {
        let inner = self.simulator.lock();
        let fleet = inner.devices.get(id)?.fleet;
        inner.fleets.get(&fleet)?.run.clone()
    }

    fn console_of(&self, id: &DeviceId) -> Option<(Vec<device_sim::ConsoleLine>, Lines)> {
        self.run_of(id)?.console(id).ok()
    }

    /// The faults it should have, to the device that runs.
    pub(super) fn apply_faults(&self, id: &DeviceId) -> Result<()> {
        let faults = {
            let inner = self.simulator.lock();
            let device = inner.devices.get(id).ok_or_else(not_ours)?;
            let given = inner.fleets.get(&device.fleet).and_then(|fleet| fleet.members.get(id));
            let given = || given.map(|member| member.faults.clone()).unwrap_or_default();
            device.own_faults.clone().unwrap_or_else(given)
        };
        if let Some(run) = self.run_of(id)
            && run.state(id).is_some()
        {
            run.set_faults(id, faults)
                .map_err(|error| AppError::invalid(format!("{error}.")))?;
        }
        Ok(())
    }

    fn look_at(&self, id: &DeviceId) -> Result<SimulatedDevice> {
        let run = self.run_of(id);
        let reason = match run.as_ref().and_then(|run| run.state(id)) {
            Some(DeviceState::Waiting { reason, .. } | DeviceState::Refused { reason, .. }) => Some(reason),
            _ => None,
        };
        let inner = self.simulator.lock();
        let device = inner.devices.get(id).ok_or_else(not_ours)?;
        let member = inner.fleets.get(&device.fleet).and_then(|fleet| fleet.members.get(id));
        let given = member.map_or(&[][..], |member| &member.faults);
        Ok(SimulatedDevice {
            device_id: id.to_string(),
            fleet: device.fleet,
            model: member.map_or_else(|| device.model.clone(), |member| member.model.title().to_owned()),
            state: device.state,
            reason,
            faults: switched(device.own_faults.as_deref().unwrap_or(given)),
            own_faults: device.own_faults.is_some(),
            memory: Value::Object(device.memory.clone()),
        })
    }
}
