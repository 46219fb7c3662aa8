//! Keeps every twin what the configurations want it to be (service.md 7.3): at once, as twins
//! and configurations change.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_protocol::{DeviceId, HubError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Hub, now};
use crate::{events::HubEvent, store};

/// Changed devices remembered by name; beyond that every device is looked at.
const MAX_CHANGED: usize = 4096;
/// Devices looked at in one read.
const PAGE: usize = 256;
/// Devices written in one transaction, so that other writes get their turn.
const CHUNK: usize = 64;
/// Before another try when the storage refuses.
const PAUSE: Duration = Duration::from_secs(5);

/// What was committed and not yet looked at. Fed by the storing thread.
#[derive(Default)]
pub(super) struct Changes {
    pending: Mutex<Pending>,
    news: Notify,
}

#[derive(Default)]
struct Pending {
    /// Off while there is no configuration: nothing is remembered then.
    watching: bool,
    every_device: bool,
    devices: HashSet<DeviceId>,
}

enum Work {
    EveryDevice,
    Devices(Vec<DeviceId>),
}

impl Changes {
    pub(super) fn note(&self, event: &HubEvent) {
        let mut pending = self.pending();
        match event {
            HubEvent::ConfigurationChanged { .. } => pending.every_device = true,
            // What is looked at as a whole needs no names.
            _ if !pending.watching || pending.every_device => return,
            HubEvent::IdentityChanged { twin, .. } | HubEvent::TwinChanged { twin, .. } => {
                if pending.devices.len() == MAX_CHANGED && !pending.devices.contains(&twin.device_id) {
                    pending.every_device = true;
                } else {
                    pending.devices.insert(twin.device_id.clone());
                }
            }
            _ => return,
        }
        if pending.every_device {
            pending.devices.clear();
        }
        drop(pending);
        self.news.notify_one();
    }

    fn look_at_every_device(&self) {
        let mut pending = self.pending();
        pending.every_device = true;
        pending.devices.clear();
    }

    fn watch(&self, watching: bool) {
        self.pending().watching = watching;
    }

    /// To be awaited by one task alone.
    async fn next(&self) -> Work {
        loop {
            if let Some(work) = self.take() {
                return work;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<Work> {
        let mut pending = self.pending();
        if std::mem::take(&mut pending.every_device) {
            return Some(Work::EveryDevice);
        }
        let devices: Vec<DeviceId> = pending.devices.drain().collect();
        (!devices.is_empty()).then_some(Work::Devices(devices))
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    pub(crate) async fn keep_configurations_applied(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow_changes() => {}
        }
    }

    async fn follow_changes(&self) {
        let changes = &self.0.changes;
        // The hub may have stopped in the midst of it.
        changes.look_at_every_device();
        loop {
            let done = match changes.next().await {
                Work::EveryDevice => self.settle_every_device().await,
                Work::Devices(devices) => self.settle(devices).await,
            };
            if let Err(error) = done {
                tracing::warn!("configurations are not applied for now: {error}");
                changes.look_at_every_device();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn settle_every_device(&self) -> Result<(), HubError> {
        let any = self.0.store.read(store::any_configuration).await?;
        // From here on changes are remembered; those before are seen by the look.
        self.0.changes.watch(any);
        let mut after = String::new();
        loop {
            let page = self
                .0
                .store
                .read(move |sql| store::device_ids_after(sql, &after, PAGE))
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.to_string();
            self.settle(page).await?;
        }
    }

    async fn settle(&self, devices: Vec<DeviceId>) -> Result<(), HubError> {
        for page in devices.chunks(PAGE) {
            let page = page.to_vec();
            let unsettled = self.0.store.read(move |sql| store::unsettled(sql, &page)).await?;
            for chunk in unsettled.chunks(CHUNK) {
                let chunk = chunk.to_vec();
                self.0
                    .store
                    .write(move |transaction| transaction.apply_configurations(&chunk, now()))
                    .await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hub_protocol::{configuration::ConfigurationId, twin::Twin};
    use serde_json::json;

    use super::*;

    fn changed(device: &str) -> HubEvent {
        let twin: Twin = serde_json::from_value(json!({ "deviceId": device, "etag": "" })).unwrap();
        HubEvent::IdentityChanged {
            twin: Arc::new(twin),
            created: true,
        }
    }

    fn configured() -> HubEvent {
        HubEvent::ConfigurationChanged {
            id: ConfigurationId::new("c").unwrap(),
        }
    }

    #[test]
    fn nothing_is_remembered_without_configurations() {
        let changes = Changes::default();
        changes.note(&changed("d"));
        assert!(changes.take().is_none());
        changes.note(&configured());
        assert!(matches!(changes.take(), Some(Work::EveryDevice)));
    }

    #[test]
    fn a_device_that_changes_often_is_looked_at_once() {
        let changes = Changes::default();
        changes.watch(true);
        for device in ["a", "b", "a"] {
            changes.note(&changed(device));
        }
        let Some(Work::Devices(mut devices)) = changes.take() else {
            panic!("devices")
        };
        devices.sort();
        assert_eq!(devices, ["a", "b"].map(|id| DeviceId::new(id).unwrap()));
        assert!(changes.take().is_none());
    }

    #[test]
    fn more_changes_than_are_remembered_mean_every_device() {
        let changes = Changes::default();
        changes.watch(true);
        (0..=MAX_CHANGED).for_each(|n| changes.note(&changed(&format!("d{n}"))));
        assert!(matches!(changes.take(), Some(Work::EveryDevice)));
        assert!(changes.take().is_none());
    }
}
