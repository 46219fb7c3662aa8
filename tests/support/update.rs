//! A firmware update driven as the application drives it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use hub_client::HubClient;
use hub_protocol::{DeviceId, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use twindeck_app::{
    firmware::{self, Attempt, Attempts, Firmware, Journal},
    package_server::PackageServer,
    packages::{self, Imported},
    table::DeviceTable,
    view::UpdateStage,
    watch::{self, Source},
};

use super::{soon, world::World};

pub(crate) struct Packages {
    pub(crate) dir: PathBuf,
    pub(crate) imported: Imported,
    pub(crate) server: PackageServer,
}

impl Packages {
    pub(crate) async fn serve(dir: PathBuf) -> Self {
        let imported = packages::import_sample(&dir).await.unwrap();
        let server = PackageServer::start(dir.clone()).await.unwrap();
        Self { dir, imported, server }
    }

    pub(crate) fn firmware(&self) -> Firmware {
        Firmware {
            uri: self.server.uri(&self.imported.sha256, &self.imported.name),
            sha256: Some(self.imported.sha256.clone()),
        }
    }
}

/// Everything that was journalled, in order.
#[derive(Default)]
pub(crate) struct Record {
    rows: Mutex<Vec<(DeviceId, UpdateStage)>>,
    heard: Option<mpsc::UnboundedSender<(DeviceId, UpdateStage)>>,
}

impl Record {
    pub(crate) fn telling() -> (Self, mpsc::UnboundedReceiver<(DeviceId, UpdateStage)>) {
        let (heard, hears) = mpsc::unbounded_channel();
        let record = Self {
            heard: Some(heard),
            ..Self::default()
        };
        (record, hears)
    }

    pub(crate) fn stages_of(&self, device: &DeviceId) -> Vec<UpdateStage> {
        let rows = self.rows.lock().unwrap();
        rows.iter()
            .filter(|(id, _)| id == device)
            .map(|(_, stage)| *stage)
            .collect()
    }
}

impl Journal for Record {
    async fn save(&self, changed: Vec<(DeviceId, Attempt)>) -> twindeck_app::Result<()> {
        let mut rows = self.rows.lock().unwrap();
        for (id, attempt) in changed {
            if let Some(heard) = &self.heard {
                let _ = heard.send((id.clone(), attempt.stage));
            }
            rows.push((id, attempt.stage));
        }
        Ok(())
    }
}

/// A table that follows a hub until dropped.
pub(crate) struct Watched {
    pub(crate) table: Arc<DeviceTable>,
    _stop: DropGuard,
}

pub(crate) async fn watch(client: &HubClient, source: Source) -> Watched {
    let table = Arc::new(DeviceTable::default());
    let stop = CancellationToken::new();
    let (told, mut heard) = mpsc::unbounded_channel();
    let tell = move |reading| drop(told.send(reading));
    tokio::spawn(watch::run(client.clone(), table.clone(), source, stop.clone(), tell));
    soon("the first reading", heard.recv()).await.unwrap().unwrap();
    Watched {
        table,
        _stop: stop.drop_guard(),
    }
}

pub(crate) fn queued(ids: &[DeviceId]) -> Attempts {
    let now = Timestamp(time::OffsetDateTime::now_utc());
    ids.iter().map(|id| (id.clone(), Attempt::queued(now))).collect()
}

/// Runs an update of `ids` to its end.
pub(crate) async fn update(
    world: &World,
    ids: &[DeviceId],
    firmware: Firmware,
    record: &Record,
    cancel: CancellationToken,
) -> Attempts {
    let watched = watch(&world.client, Source::Events(world.hub.subscribe())).await;
    let running = firmware::run(
        world.client.clone(),
        watched.table.clone(),
        firmware,
        queued(ids),
        record,
        cancel,
    );
    soon("the end of the update", Box::pin(running)).await.unwrap()
}

pub(crate) fn count(attempts: &Attempts, stage: UpdateStage) -> usize {
    attempts.values().filter(|attempt| attempt.stage == stage).count()
}
