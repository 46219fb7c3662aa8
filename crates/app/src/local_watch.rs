//! Looking into the local hub while it works: its counters, and what one device says to it.
//!
//! Only while somebody looks: each is recorded and sent from its `watch` to its `unwatch`, or
//! until the hub stops.

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use hub_protocol::{ClientId, DeviceId, HubError, Secret};
use local_hub::{LocalHub, ProtocolWatch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    App,
    error::{AppError, Code, Result},
    events::Events,
    lock, now,
    view::{LineKind, LocalHubCounters, ProtocolLine, Refusal},
};

/// Between two readings of the counters.
const COUNTED: Duration = Duration::from_secs(1);
/// Between two looks at the protocol log, so that a loud device does not make the window busy.
const PACE: Duration = Duration::from_millis(200);

/// What is being looked at; dropping a guard ends it.
#[derive(Default)]
pub(crate) struct LocalWatch {
    counters: Option<DropGuard>,
    protocol: Option<DropGuard>,
}

impl App {
    async fn running_local_hub(&self) -> Result<Arc<LocalHub>> {
        let local = self.0.local.lock().await;
        local.clone().ok_or_else(|| {
            AppError::new(Code::NoHub, "The local hub is not running.").hint("Start it, then try again.")
        })
    }

    /// Reads the counters now, and tells them once a second until [`App::unwatch_counters`].
    pub async fn watch_counters(&self) -> Result<LocalHubCounters> {
        let hub = self.running_local_hub().await?;
        let stop = CancellationToken::new();
        lock(&self.0.local_watch).counters = Some(stop.clone().drop_guard());
        let first = counters(&hub);
        let (hub, events) = (Arc::downgrade(&hub), self.0.events.clone());
        tokio::spawn(stop.run_until_cancelled_owned(tell_counters(hub, events)));
        Ok(first)
    }

    pub fn unwatch_counters(&self) {
        lock(&self.0.local_watch).counters = None;
    }

    /// Records what `client` (`device` or `device/module`, known to the hub or not) and the hub
    /// say, and tells it until [`App::unwatch_protocol`]. One client at a time: another one takes
    /// its place.
    pub async fn watch_protocol(&self, client: String) -> Result<()> {
        let id = match client.split_once('/') {
            Some((device, module)) => ClientId::new(device, Some(module)),
            None => ClientId::new(&client, None),
        };
        let id = id.map_err(|error| AppError::invalid(format!("{client:?} is no id of a device: {error}.")))?;
        let hub = self.running_local_hub().await?;
        let too_many = |error: local_hub::TooManyWatched| AppError::new(Code::Throttled, format!("{error}."));
        let watch = hub.watch_protocol(&id).map_err(too_many)?;
        let stop = CancellationToken::new();
        lock(&self.0.local_watch).protocol = Some(stop.clone().drop_guard());
        let events = self.0.events.clone();
        tokio::spawn(stop.run_until_cancelled_owned(tell_protocol(watch, client, events)));
        Ok(())
    }

    pub fn unwatch_protocol(&self) {
        lock(&self.0.local_watch).protocol = None;
    }

    pub(crate) fn unwatch_local_hub(&self) {
        *lock(&self.0.local_watch) = LocalWatch::default();
    }

    /// The last connections the local hub turned away, newest first.
    pub async fn local_refusals(&self) -> Result<Vec<Refusal>> {
        let hub = self.running_local_hub().await?;
        let view = |refusal: local_hub::Refusal| Refusal {
            at: refusal.at.to_string(),
            client: refusal.client,
            reason: refusal.reason,
        };
        Ok(hub.refusals().into_iter().rev().map(view).collect())
    }

    /// For the clipboard: the local hub's own string (policy `iothubowner`), or a device's.
    /// Whichever hub is open.
    pub async fn local_connection_string(&self, device_id: Option<String>) -> Result<Secret> {
        let hub = self.running_local_hub().await?;
        let Some(id) = device_id else {
            return Ok(hub.service_connection_string().to_secret());
        };
        let id = DeviceId::new(id)?;
        let missing = |error: HubError| {
            AppError::new(Code::NotFound, error.message)
                .hint("Only devices that authenticate with keys have a connection string.")
        };
        hub.device_connection_string(&id).await.map_err(missing)
    }

    /// Writes a copy of the certificate that clients of the local hub must trust.
    pub async fn export_ca(&self, file: &Path) -> Result<()> {
        let hub = self.running_local_hub().await?;
        let copied = tokio::fs::copy(&hub.addresses().ca_file, file).await;
        copied.map(drop).map_err(|error| {
            AppError::new(
                Code::Storage,
                format!("The certificate could not be written to {}.", file.display()),
            )
            .hint("Check that the folder can be written and the disk has room.")
            .details(error)
        })
    }
}

fn counters(hub: &LocalHub) -> LocalHubCounters {
    let counters = hub.counters();
    let at = now().0.unix_timestamp_nanos() / 1_000_000;
    LocalHubCounters {
        at_ms: u64::try_from(at).unwrap_or_default(),
        connections: counters.connections,
        telemetry: counters.telemetry,
        cloud_to_device: counters.cloud_to_device,
        methods: counters.methods,
        service_twin_writes: counters.service_twin_writes,
        device_twin_writes: counters.device_twin_writes,
        requests: counters.requests,
        refused: counters.refused,
    }
}

/// Weak: a look at the hub does not keep it running.
async fn tell_counters(hub: Weak<LocalHub>, events: Arc<Events>) {
    let mut ticks = tokio::time::interval(COUNTED);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(read) = hub.upgrade().map(|hub| counters(&hub)) else {
            return;
        };
        events.note(|pending| pending.counters = Some(read));
    }
}

async fn tell_protocol(watch: ProtocolWatch, client: String, events: Arc<Events>) {
    let mut next = 0;
    loop {
        watch.changed().await;
        let lines = watch.since(next);
        let Some(last) = lines.last() else { continue };
        next = last.sequence + 1;
        let lines = lines.into_iter().map(|line| ProtocolLine {
            sequence: line.sequence,
            at: line.at.to_string(),
            kind: match line.kind {
                local_hub::LineKind::Received => LineKind::Received,
                local_hub::LineKind::Sent => LineKind::Sent,
                local_hub::LineKind::Closed => LineKind::Closed,
                local_hub::LineKind::Refused => LineKind::Refused,
            },
            text: line.text,
        });
        events.note(|pending| pending.protocol(&client, lines));
        tokio::time::sleep(PACE).await;
    }
}
