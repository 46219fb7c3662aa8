//! The hub that is open: its client, its device table, its simulated devices.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_client::HubClient;
use hub_protocol::{DeviceId, ServiceConnectionString, twin::Twin};
use rustls::ClientConfig;
use tokio::sync::{Notify, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    db::Db,
    error::{AppError, Result},
    events::Events,
    fleets::Simulator,
    history::Recorder,
    jobs::{self, Board},
    models::Files,
    table::{DeviceTable, TableNews},
    trust, twins,
    view::{ActiveHub, HubStatus, SavedHub, WatchKind},
    watch,
};

pub(crate) struct OpenHub {
    pub saved: SavedHub,
    /// What device connection strings say; may differ from the service's by its port.
    pub device_host: String,
    pub client: HubClient,
    pub table: Arc<DeviceTable>,
    pub simulator: Simulator,
    pub jobs: Board,
    /// Whom simulated devices trust: as devices, and when they download packages.
    pub tls: Arc<ClientConfig>,
    pub downloads: ClientConfig,
    pub mqtt_port: u16,
    /// Twins the window looks at, and how often.
    pub watched: Arc<Mutex<BTreeMap<DeviceId, usize>>>,
    pub history: Arc<Recorder>,
    pub stop: CancellationToken,
    pub watch: WatchKind,
    status: Mutex<(HubStatus, Option<AppError>)>,
    /// Told when the table was first read whole.
    read: Notify,
}

/// How to reach a hub.
pub(crate) struct Reach {
    pub connection: ServiceConnectionString,
    pub tls: ClientConfig,
    pub mqtt_port: u16,
    pub source: watch::Source,
    /// Keeps to the rates of a hub of tier S1.
    pub is_limited: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenHub {
    pub(crate) async fn open(
        saved: SavedHub,
        reach: Reach,
        db: &Db,
        files: &Files,
        events: Arc<Events>,
        dir: &Path,
    ) -> Result<Arc<Self>> {
        let device_host = reach.connection.host().to_owned();
        let client = HubClient::new(reach.connection, reach.tls.clone())?;
        // Packages may come from anywhere; without system authorities only plain HTTP will do.
        let downloads = trust::system().unwrap_or_else(|_| reach.tls.clone());
        let simulator = Simulator::load(db, &saved.id, files).await?;
        let watch = match reach.source {
            watch::Source::Events(_) => WatchKind::Events,
            watch::Source::Query { .. } => WatchKind::Query,
        };
        let (table, stop) = (Arc::new(DeviceTable::default()), CancellationToken::new());
        let ground = jobs::Ground {
            hub_id: saved.id.clone(),
            client: client.clone(),
            table: table.clone(),
            db: db.clone(),
            locks: dir.join("job-locks"),
            is_limited: reach.is_limited,
            is_remote: watch == WatchKind::Query,
            stop: stop.clone(),
        };
        let heard = events.clone();
        let tell = move |id: &str| {
            heard.note(|pending| {
                pending.jobs.insert(id.to_owned());
            });
        };
        let watched: Arc<Mutex<BTreeMap<DeviceId, usize>>> = Arc::default();
        let history: Arc<Recorder> = Arc::default();
        let (looked_at, recorder) = (watched.clone(), history.clone());
        // A device that nobody looks at has the job itself in its history.
        let wrote = move |before: &Twin, after: &Twin| {
            if lock(&looked_at).contains_key(&after.device_id) {
                recorder.writing(&after.device_id).done(before, after, crate::now());
            }
        };
        let jobs = Board::new(ground, tell, wrote);
        let hub = Arc::new(Self {
            saved,
            device_host,
            client,
            table,
            simulator,
            jobs,
            tls: Arc::new(reach.tls),
            downloads,
            mqtt_port: reach.mqtt_port,
            watched,
            history,
            stop,
            watch,
            status: Mutex::new((HubStatus::Connecting, None)),
            read: Notify::new(),
        });
        hub.clone().spawn_watch(reach.source, events.clone());
        hub.clone().spawn_news(events.clone());
        hub.clone().spawn_history(db.clone(), events.clone());
        hub.clone().spawn_simulator(db.clone(), events);
        Ok(hub)
    }

    fn spawn_watch(self: Arc<Self>, source: watch::Source, events: Arc<Events>) {
        let (client, table, stop) = (self.client.clone(), self.table.clone(), self.stop.clone());
        tokio::spawn(watch::run(client, table, source, stop, move |read| {
            let first = {
                let mut status = lock(&self.status);
                let before = status.0;
                *status = match read {
                    Ok(()) => (HubStatus::Connected, None),
                    Err(error) => (HubStatus::Failed, Some(error.into())),
                };
                before != HubStatus::Connected && status.0 == HubStatus::Connected
            };
            if first {
                self.read.notify_waiters();
                events.note(|pending| pending.reset = true);
            }
            events.state_changed();
        }));
    }

    fn spawn_news(self: Arc<Self>, events: Arc<Events>) {
        let mut news = self.table.subscribe();
        tokio::spawn(async move {
            loop {
                let item = tokio::select! {
                    () = self.stop.cancelled() => return,
                    item = news.recv() => item,
                };
                match item {
                    Ok(TableNews::Changed { before, twin, written }) => {
                        let watched = lock(&self.watched).contains_key(&twin.device_id);
                        let changed = watched.then(|| twins::changed_paths(before.as_deref(), &twin, written.as_ref()));
                        if let (true, Some(before)) = (watched, &before) {
                            self.history.saw(before, &twin, crate::now());
                        }
                        events.note(|pending| {
                            pending.removed.remove(&twin.device_id);
                            pending.rows.insert(twin.device_id.clone());
                            if let Some(changed) = changed {
                                pending.twins.entry(twin.device_id.clone()).or_default().extend(changed);
                            }
                        });
                    }
                    Ok(TableNews::Removed { device_id }) => {
                        self.history.forget(&device_id);
                        events.note(|pending| {
                            pending.rows.remove(&device_id);
                            pending.removed.insert(device_id);
                        });
                    }
                    Err(RecvError::Lagged(_)) => events.note(|pending| pending.reset = true),
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    /// Returns once the table has been read whole, or the hub was closed.
    pub(crate) async fn until_read(&self) {
        loop {
            let read = self.read.notified();
            tokio::pin!(read);
            read.as_mut().enable();
            if lock(&self.status).0 == HubStatus::Connected || self.stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = read => {}
            }
        }
    }

    pub(crate) fn view(&self) -> ActiveHub {
        let (status, error) = lock(&self.status).clone();
        let (devices, connected) = self.table.counts();
        let live = self.watch == WatchKind::Events && status == HubStatus::Connected;
        let fresh = if live {
            Some(crate::now())
        } else {
            self.table.fresh_at()
        };
        let millis = fresh.map_or(0, |time| time.0.unix_timestamp_nanos() / 1_000_000);
        ActiveHub {
            hub: self.saved.clone(),
            status,
            error,
            watch: self.watch,
            fresh_at_ms: u64::try_from(millis).unwrap_or_default(),
            devices: count(devices),
            connected: count(connected),
        }
    }

    pub(crate) fn watched(&self) -> MutexGuard<'_, BTreeMap<DeviceId, usize>> {
        lock(&self.watched)
    }

    /// Stops watching and the simulated devices; what is stored stays.
    pub(crate) async fn close(&self, db: &Db) {
        self.stop.cancel();
        if tokio::time::timeout(Duration::from_secs(10), self.simulator.stop_all())
            .await
            .is_err()
        {
            tracing::warn!("some simulated devices did not stop in time");
        }
        self.simulator.keep_memories(db, &self.saved.id).await;
        if let Err(error) = self.keep_history(db).await {
            tracing::warn!("the last changes of twins were not stored: {error}");
        }
    }
}

pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
