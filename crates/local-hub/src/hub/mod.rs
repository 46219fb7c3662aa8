//! The hub itself: its operations, without their transports.
//!
//! One file for each noun; every transport calls these and nothing below them.

mod configurations;
mod connections;
mod digital_twins;
mod evaluation;
mod import_export;
mod jobs;
mod messages;
mod methods;
mod registry;
pub(crate) mod scheduler;
mod twins;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hub_protocol::{
    HubError, Timestamp,
    identity::{ExportImportDevice, MAX_BULK, Status},
    merge::Object,
    topic::{self, Filter},
};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::{Notify, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::evaluation::Changes;
use crate::{
    auth::Gate,
    config::LocalHubConfig,
    counters::{Counters, Tally},
    device_certificates::DeviceAuthorities,
    error::{StartError, StoreError},
    events::{EVENT_BUFFER, HubEvent, TwinSection},
    fixture::FixtureError,
    limits::{Limiter, Operation, meters},
    log::{EventLog, fact},
    protocol_log::ProtocolLog,
    sessions::{Outgoing, Sessions},
    store::{Policies, Store},
};

/// A handle; every transport holds one.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    store: Store,
    policies: Policies,
    authorities: DeviceAuthorities,
    names: Vec<String>,
    host_name: String,
    token_skew: Duration,
    sessions: Arc<Sessions>,
    message_lock: Duration,
    message_deadline: Arc<messages::Deadline>,
    events: broadcast::Sender<HubEvent>,
    log: EventLog,
    /// `None` for a hub without limits, the usual case.
    limiter: Option<Limiter>,
    /// Wakes the scheduler.
    jobs_changed: Notify,
    containers: PathBuf,
    /// The import or export under way, if it still is, and what stops it.
    registry_job: Mutex<Option<(String, CancellationToken)>>,
    /// What runs without a caller; ends with the hub.
    tasks: TaskTracker,
    stop: CancellationToken,
    changes: Arc<Changes>,
    tally: Arc<Tally>,
    protocol: Arc<ProtocolLog>,
}

/// To the hundred nanoseconds that go over the wire, so that what is told and what is read later
/// are equal.
pub(crate) fn now() -> Timestamp {
    let now = OffsetDateTime::now_utc();
    let nanos = now.unix_timestamp_nanos();
    Timestamp::from_unix_nanos(nanos - nanos.rem_euclid(100))
}

impl Hub {
    pub(crate) fn open(config: &LocalHubConfig) -> Result<Self, StartError> {
        let path = config.database_file();
        let failed = |error: StoreError| StartError::Database {
            path: path.clone(),
            reason: error.to_string(),
        };
        let sessions = Arc::new(Sessions::default());
        let events = broadcast::Sender::new(EVENT_BUFFER);
        let log = EventLog::open(&config.data_dir.join("events.db"), config.retention).map_err(failed)?;
        let message_deadline = Arc::new(messages::Deadline::default());
        let changes = Arc::new(Changes::default());
        let tell_changes = changes.clone();
        let tally = Arc::new(Tally::default());
        let tell_tally = tally.clone();
        let (tell_sessions, tell_events, tell_log) = (sessions.clone(), events.clone(), log.clone());
        let tell_deadline = message_deadline.clone();
        let hub_name = config.host_name.split('.').next().unwrap_or_default().to_owned();
        let told = AtomicU64::new(0);
        let store = Store::open(&path, move |event| {
            tell_device(&tell_sessions, &event);
            if let HubEvent::MessageQueued { expires, .. } = &event {
                tell_deadline.by(*expires);
            }
            tell_changes.note(&event);
            tell_tally.event(&event);
            let now = now();
            if let Some(fact) = fact(&event, &hub_name, told.fetch_add(1, Ordering::Relaxed), now) {
                tell_log.append(fact, now);
            }
            // Nobody watching is fine.
            let _ = tell_events.send(event);
        })
        .map_err(failed)?;
        let policies = match &config.fixture {
            Some(fixture) => {
                Policies::open_file(&path).map_err(failed)?;
                Policies::set_keys(&path, &fixture.policies)?;
                Policies::open_file(&path).map_err(failed)?
            }
            None => Policies::open_file(&path).map_err(failed)?,
        };
        let authorities = DeviceAuthorities::open(&config.data_dir.join("device-ca"), &config.device_authorities)?;
        Ok(Self(Arc::new(Inner {
            store,
            policies,
            authorities,
            names: config.names(),
            host_name: config.host_name.clone(),
            token_skew: config.token_skew,
            sessions,
            message_lock: config.message_lock,
            message_deadline,
            events,
            log,
            limiter: config.limits.map(Limiter::new),
            jobs_changed: Notify::new(),
            containers: config.containers_dir(),
            registry_job: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            changes,
            tally,
            protocol: Arc::default(),
        })))
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.0.policies
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0.names
    }

    pub(crate) fn token_skew(&self) -> Duration {
        self.0.token_skew
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.0.events.subscribe()
    }

    pub(crate) fn log(&self) -> &EventLog {
        &self.0.log
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    pub(crate) fn counters(&self) -> Counters {
        self.0.tally.read(self.0.sessions.count())
    }

    pub(crate) fn protocol(&self) -> &Arc<ProtocolLog> {
        &self.0.protocol
    }

    /// Counts and keeps a connection that is turned away; `client` is what it called itself.
    pub(crate) fn turned_away(&self, client: Option<&str>, reason: String) {
        self.0.tally.refused();
        self.0.protocol.refused(now(), client, reason);
    }

    /// Waits for a place in the rate of `operation`, where there are rates.
    pub(crate) async fn throttle(&self, operation: Operation, cost: u32) -> Result<(), HubError> {
        match &self.0.limiter {
            None => Ok(()),
            Some(limiter) => limiter.admit(operation, cost).await,
        }
    }

    /// A message of so many bytes from a device: waits for its place in the rate and counts it
    /// against the day's quota.
    pub(crate) async fn meter(&self, bytes: usize) -> Result<(), HubError> {
        let Some(limiter) = self.limiter() else { return Ok(()) };
        limiter.admit(Operation::Telemetry, meters(bytes)).await?;
        limiter.count_messages(meters(bytes), now())
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.0.limiter.as_ref()
    }

    /// The devices of a fixture, made or made anew.
    pub(crate) async fn provide(&self, devices: &[ExportImportDevice]) -> Result<(), FixtureError> {
        for chunk in devices.chunks(MAX_BULK) {
            let failed = |device: String, reason: String| FixtureError::Device { device, reason };
            let result = self.bulk(chunk.to_vec()).await;
            let result = result.map_err(|error| failed(chunk[0].id.to_string(), error.message))?;
            if let Some(error) = result.errors.into_iter().next() {
                return Err(failed(error.device_id, error.error_status));
            }
        }
        Ok(())
    }

    /// Whether the store answers.
    pub(crate) async fn is_well(&self) -> Result<(), HubError> {
        let look = |sql: &rusqlite::Connection| Ok(sql.query_row("SELECT 1", [], |_| Ok(()))?);
        self.0.store.read(look).await
    }

    pub(crate) fn gate(&self) -> Gate<'_> {
        let inner = &self.0;
        let now = u64::try_from(now().unix_seconds()).unwrap_or_default();
        Gate {
            policies: &inner.policies,
            authorities: &inner.authorities,
            names: &inner.names,
            now,
            skew: inner.token_skew.as_secs(),
        }
    }

    pub(crate) async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.store.flush().await;
        let log = self.0.log.clone();
        // A thread of its own may wait for the disk; this one may not.
        drop(tokio::task::spawn_blocking(move || log.close()).await);
    }
}

/// What a committed event means to the device it is about. Runs on the storing thread, in order.
fn tell_device(sessions: &Sessions, event: &HubEvent) {
    match event {
        HubEvent::TwinChanged {
            section: TwinSection::Desired,
            patch,
            twin,
            ..
        } => {
            let Some(session) = sessions.get(&twin.client_id()) else {
                return;
            };
            if !session.is_subscribed(Filter::DesiredPatches) {
                return;
            }
            let version = twin.properties.desired.version;
            let mut body = Object::clone(patch);
            body.insert("$version".into(), json!(version));
            let payload = serde_json::Value::Object(body).to_string().into();
            session.send(Outgoing {
                topic: topic::desired_patch(version),
                payload,
            });
        }
        HubEvent::MessageQueued { id, .. } => {
            if let Some(session) = sessions.get(id) {
                session.messages.notify_one();
            }
        }
        HubEvent::IdentityDeleted { id } => sessions.close(id),
        HubEvent::IdentityChanged { twin, .. } if twin.status == Status::Disabled => sessions.close(&twin.client_id()),
        _ => {}
    }
}
