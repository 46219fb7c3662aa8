//! What Twindeck can do, for the window and the command line alike.
//!
//! It knows no Tauri: a command of the window is one call into [`App`]. Secrets enter through
//! [`App::add_hub`] and live in [`credentials`]; nothing in [`view`] can carry one out again.

pub mod credentials;
pub mod db;
pub mod error;
pub mod firmware;
pub mod jobs;
pub mod open_files;
pub mod package_server;
pub mod packages;
pub mod table;
pub mod trust;
pub mod view;
pub mod watch;

mod devices;
mod events;
mod fleets;
mod history;
mod hubs;
mod local_watch;
mod methods;
mod models;
mod open_hub;
mod templates;
mod twins;
mod updates;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use error::{AppError, Code, Result};
use hub_protocol::Timestamp;
pub use hubs::check_connection_string;
use local_hub::{Limits, LocalHub, LocalHubConfig};
use rusqlite::OptionalExtension;
pub use templates::check_template;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use view::{AppEvent, AppState, LocalHubState, LocalHubStatus, SavedHub, Settings, Theme};

use crate::{credentials::Credentials, db::Db, events::Events, open_hub::OpenHub, package_server::PackageServer};

const THEME: &str = "theme";
const LOCAL_LIMITS: &str = "local_limits";

/// The application behind the window. A handle.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    db: Db,
    credentials: Credentials,
    keychain: view::KeychainState,
    events: Arc<Events>,
    packages: PackageServer,
    /// Hubs whose string could not go into a keychain.
    session_hubs: Mutex<Vec<SavedHub>>,
    open: Mutex<Option<Arc<OpenHub>>>,
    switching: tokio::sync::Mutex<()>,
    local: tokio::sync::Mutex<Option<Arc<LocalHub>>>,
    local_config: LocalHubConfig,
    local_state: Mutex<LocalHubState>,
    local_watch: Mutex<local_watch::LocalWatch>,
    /// Keeps the console that is watched being told of.
    console: Mutex<Option<DropGuard>>,
    model_files: Mutex<models::Files>,
    settings: Mutex<Settings>,
    running_calls: Mutex<BTreeSet<u32>>,
    cancels: Mutex<BTreeMap<u32, CancellationToken>>,
    _stop: DropGuard,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// Opens the application's data in `dir`, making what is missing. The local hub will listen
    /// where SDKs look for one.
    pub async fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, LocalHubConfig::new(dir.join("local-hub"))).await
    }

    /// As [`App::open`], with the local hub on free ports, so that it runs beside anything.
    pub async fn open_on_free_ports(dir: &Path) -> Result<Self> {
        Self::open_with(dir, LocalHubConfig::on_free_ports(dir.join("local-hub"))).await
    }

    async fn open_with(dir: &Path, local_config: LocalHubConfig) -> Result<Self> {
        let unusable = |error: std::io::Error| {
            AppError::new(
                Code::Storage,
                format!("The data folder {} cannot be used: {error}.", dir.display()),
            )
            .hint("Check that the disk has room and the folder can be written.")
        };
        tokio::fs::create_dir_all(dir).await.map_err(unusable)?;
        // What people send to devices is kept here; nobody else on the machine needs to read it.
        #[cfg(unix)]
        tokio::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .await
            .map_err(unusable)?;
        let db = Db::open(&dir.join("twindeck.db"))?;
        let loaded = db.call(|sql| {
            updates::mark_interrupted(sql)?;
            let setting = |key: &str| -> Result<Option<String>> {
                let select = "SELECT value FROM settings WHERE key = ?1";
                Ok(sql.query_row(select, [key], |row| row.get(0)).optional()?)
            };
            let settings = Settings {
                theme: setting(THEME)?.and_then(db::from_text).unwrap_or_default(),
                local_limits: setting(LOCAL_LIMITS)?.is_some_and(|value| value == "true"),
            };
            Ok((settings, models::load(sql)?))
        });
        let (settings, model_files) = loaded.await?;
        let credentials = Credentials::default();
        let keychain = credentials.probe().await;
        let local_state = LocalHubState {
            status: LocalHubStatus::Stopped,
            host_name: "localhost".into(),
            mqtt_port: 8883,
            https_port: 443,
            ca_file: String::new(),
            data_dir: local_config.data_dir.display().to_string(),
            note: None,
            error: None,
        };
        let stop = CancellationToken::new();
        let app = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            db,
            credentials,
            keychain,
            events: Arc::default(),
            packages: PackageServer::start(dir.join("packages")).await?,
            session_hubs: Mutex::default(),
            open: Mutex::default(),
            switching: tokio::sync::Mutex::default(),
            local: tokio::sync::Mutex::default(),
            local_config,
            local_state: Mutex::new(local_state),
            local_watch: Mutex::default(),
            console: Mutex::default(),
            model_files: Mutex::new(Arc::new(model_files)),
            settings: Mutex::new(settings),
            running_calls: Mutex::default(),
            cancels: Mutex::default(),
            _stop: stop.clone().drop_guard(),
        }));
        app.spawn_events(stop);
        Ok(app)
    }

    pub async fn state(&self) -> Result<AppState> {
        Ok(AppState {
            version: env!("CARGO_PKG_VERSION").into(),
            hubs: self.saved_hubs().await?,
            active: self.hub().ok().map(|hub| hub.view()),
            keychain: self.0.keychain.clone(),
            local_hub: self.local_hub_state(),
            settings: lock(&self.0.settings).clone(),
        })
    }

    /// Batches of facts, at most 20 a second.
    pub fn subscribe(&self) -> mpsc::Receiver<Vec<AppEvent>> {
        self.0.events.subscribe()
    }

    pub async fn set_theme(&self, theme: Theme) -> Result<()> {
        lock(&self.0.settings).theme = theme;
        self.keep_setting(THEME, db::to_text(&theme)).await
    }

    /// Starts the local hub anew where it runs: it reads its limits when it starts.
    pub async fn set_local_limits(&self, on: bool) -> Result<()> {
        lock(&self.0.settings).local_limits = on;
        self.keep_setting(LOCAL_LIMITS, on.to_string()).await?;
        if self.local_hub_state().status == LocalHubStatus::Running {
            self.stop_local_hub().await?;
            self.start_local_hub().await?;
        }
        Ok(())
    }

    async fn keep_setting(&self, key: &'static str, value: String) -> Result<()> {
        let store = move |sql: &rusqlite::Connection| {
            sql.execute(
                "INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)",
                [key, &value],
            )?;
            Ok(())
        };
        self.0.db.call(store).await?;
        self.0.events.state_changed();
        Ok(())
    }

    /// What the local hub starts with.
    fn local_config(&self) -> LocalHubConfig {
        let limits = lock(&self.0.settings).local_limits.then(|| Limits::s1(NonZeroU32::MIN));
        LocalHubConfig {
            limits: limits.or(self.0.local_config.limits),
            ..self.0.local_config.clone()
        }
    }

    /// Closes the open hub and stops the local one; what is under way is kept and resumed.
    pub async fn shutdown(&self) {
        self.close_hub().await;
        if let Err(error) = self.stop_local_hub().await {
            tracing::warn!("the local hub did not stop cleanly: {error}");
        }
    }

    fn spawn_events(&self, stop: CancellationToken) {
        // Weak, so that this task does not keep the application alive.
        let inner = Arc::downgrade(&self.0);
        let events = self.0.events.clone();
        tokio::spawn(async move {
            loop {
                let pending = tokio::select! {
                    () = stop.cancelled() => return,
                    pending = events.next() => pending,
                };
                let Some(inner) = inner.upgrade() else { return };
                let batch = Self(inner).batch(pending).await;
                events.send(&batch);
                tokio::time::sleep(events::INTERVAL).await;
            }
        });
    }

    async fn batch(&self, pending: events::Pending) -> Vec<AppEvent> {
        let mut batch = Vec::new();
        let rows_changed = !pending.rows.is_empty() || !pending.removed.is_empty();
        if pending.reset {
            batch.push(AppEvent::DevicesReset);
        }
        if let Ok(hub) = self.hub() {
            let jobs = self.changed_jobs(&hub, pending.jobs).await;
            if !jobs.is_empty() {
                batch.push(AppEvent::Jobs { jobs });
            }
            if rows_changed && !pending.reset {
                let entries: Vec<_> = pending.rows.iter().filter_map(|id| hub.table.get(id)).collect();
                let (total, connected) = hub.table.counts();
                batch.push(AppEvent::Devices {
                    upserts: entries.iter().map(|entry| hub.row(entry)).collect(),
                    removed: pending.removed.iter().map(ToString::to_string).collect(),
                    total: open_hub::count(total),
                    connected: open_hub::count(connected),
                });
            }
            if pending.fleets {
                batch.push(AppEvent::Fleets {
                    fleets: hub.simulator.views(),
                });
            }
            batch.extend(hub.states_of(pending.dots));
            for (id, changed) in pending.twins {
                if let Some(entry) = hub.table.get(&id) {
                    let twin = Box::new(twins::view(&entry.twin));
                    batch.push(AppEvent::Twin {
                        twin,
                        changed: changed.into_iter().collect(),
                    });
                }
            }
        }
        batch.extend(
            pending
                .calls
                .into_iter()
                .map(|call| AppEvent::Method { call: Box::new(call) }),
        );
        if !pending.history.is_empty() {
            let device_ids = pending.history.iter().map(ToString::to_string).collect();
            batch.push(AppEvent::History { device_ids });
        }
        if let Some(counters) = pending.counters {
            batch.push(AppEvent::Counters { counters });
        }
        if let Some((client_id, lines)) = pending.protocol {
            batch.push(AppEvent::Protocol {
                client_id,
                lines: lines.into(),
            });
        }
        if let Some((device_id, lines)) = pending.console {
            batch.push(AppEvent::Console {
                device_id,
                lines: lines.into(),
            });
        }
        for (id, devices) in pending.updates {
            match self.update_with(id, devices.into_iter().collect()).await {
                Ok((update, devices)) => batch.push(AppEvent::Update {
                    update: Box::new(update),
                    devices,
                }),
                Err(error) => tracing::warn!("update {id} could not be shown: {error}"),
            }
        }
        if pending.state {
            match self.state().await {
                Ok(state) => batch.push(AppEvent::State { state: Box::new(state) }),
                Err(error) => tracing::warn!("the state could not be shown: {error}"),
            }
        }
        batch
    }

    fn hub(&self) -> Result<Arc<OpenHub>> {
        lock(&self.0.open).clone().ok_or_else(AppError::no_hub)
    }

    fn set_open(&self, hub: Option<Arc<OpenHub>>) -> Option<Arc<OpenHub>> {
        std::mem::replace(&mut *lock(&self.0.open), hub)
    }

    fn session_hubs(&self) -> MutexGuard<'_, Vec<SavedHub>> {
        lock(&self.0.session_hubs)
    }

    fn running_calls(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        lock(&self.0.running_calls)
    }

    fn cancels(&self) -> MutexGuard<'_, BTreeMap<u32, CancellationToken>> {
        lock(&self.0.cancels)
    }

    fn local_hub_state(&self) -> LocalHubState {
        lock(&self.0.local_state).clone()
    }

    fn set_local_state(&self, change: impl FnOnce(&mut LocalHubState)) {
        change(&mut lock(&self.0.local_state));
        self.0.events.state_changed();
    }

    fn packages_dir(&self) -> PathBuf {
        self.0.dir.join("packages")
    }
}

/// The clock, read at the edge only.
pub(crate) fn now() -> Timestamp {
    Timestamp(time::OffsetDateTime::now_utc())
}

/// Sixteen random hex digits.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| AppError::new(Code::Internal, "The system gave no randomness.").details(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
