//! The hub that is open: its client, its device table, its simulated devices.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use device_sim::{Fleet, FleetOptions};
use hub_client::HubClient;
use hub_protocol::{DeviceId, ServiceConnectionString};
use rustls::ClientConfig;
use tokio::sync::{Notify, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    db::{Db, from_text},
    error::{AppError, Code, Result},
    events::Events,
    table::{DeviceTable, TableNews},
    trust, twins,
    view::{ActiveHub, DeviceModel, HubStatus, SavedHub, Speed, WatchKind},
    watch,
};

/// What a simulated device of ours is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simulated {
    pub model: DeviceModel,
    pub speed: Speed,
}

pub(crate) struct OpenHub {
    pub saved: SavedHub,
    /// What device connection strings say; may differ from the service's by its port.
    pub device_host: String,
    pub client: HubClient,
    pub table: Arc<DeviceTable>,
    pub fleet: Fleet,
    pub simulated: Mutex<BTreeMap<DeviceId, Simulated>>,
    /// Twins the window looks at, and how often.
    pub watched: Mutex<BTreeMap<DeviceId, usize>>,
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenHub {
    pub(crate) async fn open(saved: SavedHub, reach: Reach, db: &Db, events: Arc<Events>) -> Result<Arc<Self>> {
        let device_host = reach.connection.host().to_owned();
        let client = HubClient::new(reach.connection, reach.tls.clone())?;
        // Packages may come from anywhere; without system authorities only plain HTTP will do.
        let downloads = trust::system().unwrap_or_else(|_| reach.tls.clone());
        let options = FleetOptions {
            mqtt_port: reach.mqtt_port,
            connects_per_second: 200,
            ..FleetOptions::new(Arc::new(reach.tls), downloads)
        };
        let fleet = Fleet::new(options).map_err(|error| AppError::new(Code::Internal, error.to_string()))?;
        let simulated = load_simulated(db, &saved.id).await?;
        let watch = match reach.source {
            watch::Source::Events(_) => WatchKind::Events,
            watch::Source::Query { .. } => WatchKind::Query,
        };
        let hub = Arc::new(Self {
            saved,
            device_host,
            client,
            table: Arc::new(DeviceTable::default()),
            fleet,
            simulated: Mutex::new(simulated),
            watched: Mutex::default(),
            stop: CancellationToken::new(),
            watch,
            status: Mutex::new((HubStatus::Connecting, None)),
            read: Notify::new(),
        });
        hub.clone().spawn_watch(reach.source, events.clone());
        hub.clone().spawn_news(events.clone());
        hub.clone().spawn_fleet_news(events);
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
                        events.note(|pending| {
                            pending.removed.remove(&twin.device_id);
                            pending.rows.insert(twin.device_id.clone());
                            if let Some(changed) = changed {
                                pending.twins.entry(twin.device_id.clone()).or_default().extend(changed);
                            }
                        });
                    }
                    Ok(TableNews::Removed { device_id }) => events.note(|pending| {
                        pending.rows.remove(&device_id);
                        pending.removed.insert(device_id);
                    }),
                    Err(RecvError::Lagged(_)) => events.note(|pending| pending.reset = true),
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    fn spawn_fleet_news(self: Arc<Self>, events: Arc<Events>) {
        let mut news = self.fleet.subscribe();
        tokio::spawn(async move {
            loop {
                let item = tokio::select! {
                    () = self.stop.cancelled() => return,
                    item = news.recv() => item,
                };
                match item {
                    Ok(event) => events.note(|pending| {
                        pending.rows.insert(event.device_id);
                    }),
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

    pub(crate) fn simulated(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Simulated>> {
        lock(&self.simulated)
    }

    pub(crate) fn watched(&self) -> MutexGuard<'_, BTreeMap<DeviceId, usize>> {
        lock(&self.watched)
    }

    /// Stops watching and the simulated devices; what is stored stays.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        if tokio::time::timeout(Duration::from_secs(10), self.fleet.stop_all())
            .await
            .is_err()
        {
            tracing::warn!("some simulated devices did not stop in time");
        }
    }
}

pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

async fn load_simulated(db: &Db, hub_id: &str) -> Result<BTreeMap<DeviceId, Simulated>> {
    let hub_id = hub_id.to_owned();
    db.call(move |sql| {
        let mut statement = sql.prepare("SELECT device_id, model, speed FROM simulated WHERE hub_id = ?1")?;
        let rows = statement.query_map([hub_id], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
            ))
        })?;
        let mut simulated = BTreeMap::new();
        for row in rows {
            let (id, model, speed) = row?;
            if let (Ok(id), Some(model), Some(speed)) = (DeviceId::new(id), from_text(model), from_text(speed)) {
                simulated.insert(id, Simulated { model, speed });
            }
        }
        Ok(simulated)
    })
    .await
}
