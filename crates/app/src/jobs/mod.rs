//! Jobs: one thing done to many devices, now or later, by the hub or by this application, with a
//! history of all of them.

mod child;
mod commands;
mod on_hub;
mod rates;
mod runner;
mod storage;
mod target;
mod work;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_client::HubClient;
use hub_protocol::{DeviceId, Timestamp, job::MAX_AHEAD};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{
    child::Child,
    rates::Rates,
    runner::{Children, Runner, Tally},
    storage::Stored,
};
pub use self::{commands::ids_of, work::PackageOrder};
use crate::{
    db::Db,
    error::{AppError, Code, Result},
    now,
    open_hub::count,
    random_id,
    table::DeviceTable,
    updates::without_secrets,
    view::{
        Job, JobDeviceFilter, JobDevicePage, JobFilter, JobKind, JobPage, JobPreview, JobRunner, JobState, JobTarget,
        JobWork, NewJob, PackageSource,
    },
};

/// Devices of one job.
const MAX_DEVICES: usize = 1_000_000;
/// Minutes a job may be given.
const MAX_MINUTES: u32 = 7 * 24 * 60;
/// Between two looks at the clock while a job waits for its start.
const NAP: Duration = Duration::from_secs(1);
const FORGOTTEN: &str = "The package's address was kept in memory only, because it may hold a signature: devices that had not begun are cancelled.";
/// Sample of a preview.
const SAMPLE: usize = 5;

/// The jobs of one hub. A handle.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    hub_id: String,
    client: HubClient,
    table: Arc<DeviceTable>,
    db: Db,
    rates: Rates,
    /// Where each job that runs has a file locked, so that no other process runs it too.
    locks: PathBuf,
    /// Hears the id of a job that changed.
    tell: Box<dyn Fn(&str) + Send + Sync>,
    cancels: Mutex<BTreeMap<String, CancellationToken>>,
    /// There is something for the hub's own jobs to do.
    hub_jobs: Notify,
    /// The hub is not on this machine: asked less often.
    is_remote: bool,
    stop: CancellationToken,
}

/// What a board stands on.
pub struct Ground {
    pub hub_id: String,
    pub client: HubClient,
    pub table: Arc<DeviceTable>,
    pub db: Db,
    pub locks: PathBuf,
    /// Keeps to the rates of a hub of tier S1.
    pub is_limited: bool,
    pub is_remote: bool,
    pub stop: CancellationToken,
}

fn no_job() -> AppError {
    AppError::new(Code::NotFound, "There is no such job.")
}

impl Board {
    pub fn new(ground: Ground, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            hub_id: ground.hub_id,
            client: ground.client,
            table: ground.table,
            db: ground.db,
            rates: Rates::new(ground.is_limited),
            locks: ground.locks,
            tell: Box::new(tell),
            cancels: Mutex::default(),
            hub_jobs: Notify::new(),
            is_remote: ground.is_remote,
            stop: ground.stop,
        }))
    }

    fn tell(&self, id: &str) {
        (self.0.tell)(id);
    }

    fn cancels(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.0.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let hub_id = self.0.hub_id.clone();
        self.0.db.call(move |sql| work(sql, &hub_id)).await
    }

    // ---- before ----------------------------------------------------------------------------

    /// What a job would do now. A wrong query or wrong work is told in it, not as an error: the
    /// person is still typing.
    pub async fn preview(&self, work: JobWork, target: JobTarget, runner: JobRunner) -> JobPreview {
        let (board, kind) = (self.clone(), work.kind());
        let look = tokio::task::spawn_blocking(move || board.look_ahead(&work, &target, runner));
        let nothing = |problem: AppError| JobPreview {
            count: 0,
            connected: 0,
            sample: Vec::new(),
            estimated_seconds: None,
            notes: Vec::new(),
            differences: Vec::new(),
            unchanged: 0,
            problem: Some(problem),
        };
        match look.await {
            Ok(Ok(preview)) => match self.estimate(kind, runner, preview.count).await {
                Ok(estimated_seconds) => JobPreview {
                    estimated_seconds,
                    ..preview
                },
                Err(problem) => nothing(problem),
            },
            Ok(Err(problem)) => nothing(problem),
            Err(error) => nothing(AppError::new(Code::Internal, "The preview failed.").details(error)),
        }
    }

    /// Seconds by the hub's rates, where it has any, and by what devices took before.
    async fn estimate(&self, kind: JobKind, runner: JobRunner, devices: u32) -> Result<Option<u32>> {
        if !self.0.rates.is_limited() {
            return Ok(None);
        }
        let typical = match kind.followed() {
            Some(_) => {
                self.store(move |sql, hub_id| storage::typical_seconds(sql, hub_id, kind))
                    .await?
            }
            None => None,
        };
        let typical = Duration::try_from_secs_f64(typical.unwrap_or_default()).unwrap_or_default();
        let seconds = u32::try_from(typical.as_secs()).unwrap_or(u32::MAX);
        Ok(Some(rates::estimate(kind, runner, devices).saturating_add(seconds)))
    }

    fn look_ahead(&self, work: &JobWork, target: &JobTarget, runner: JobRunner) -> Result<JobPreview> {
        let entries = target::entries(&self.0.table, target)?;
        // A package is chosen later; anything will do to see whether the rest is right.
        let any = PackageOrder {
            uri: "https://example.com/package".into(),
            sha256: None,
        };
        let act = work.act(Some(&any));
        // Picked ids that are gone count too: they fail with their reason.
        let devices = match target {
            JobTarget::Devices { .. } => count(target::resolve(&self.0.table, target)?.len()),
            JobTarget::Query { .. } => count(entries.len()),
        };
        let gone = devices - count(entries.len());
        let (differences, unchanged) = match &act {
            Ok(work::Act::Twin(patch)) => target::differences(&entries, patch),
            _ => (Vec::new(), 0),
        };
        let connected = count(target::connected(&entries));
        let mut notes = Vec::new();
        let offline = devices - gone - connected;
        if offline > 0 && matches!(act, Ok(work::Act::Method(_))) {
            notes.push(match (runner, offline) {
                (JobRunner::Hub, 1) => "1 device is offline: the hub counts it as failed.".into(),
                (JobRunner::Hub, _) => format!("{offline} devices are offline: the hub counts them as failed."),
                (JobRunner::Here, 1) => "1 device is offline: it is asked when it comes back.".into(),
                (JobRunner::Here, _) => format!("{offline} devices are offline: they are asked when they come back."),
            });
        }
        match gone {
            0 => {}
            1 => notes.push("1 of the ids is not on this hub.".into()),
            _ => notes.push(format!("{gone} of the ids are not on this hub.")),
        }
        let problem = match (act, runner) {
            (Err(problem), _) => Some(problem),
            (Ok(_), JobRunner::Hub) => work
                .request("preview", "*")
                .err()
                .or_else(|| condition_of(target).err()),
            (Ok(_), JobRunner::Here) => None,
        };
        Ok(JobPreview {
            count: devices,
            connected,
            sample: entries
                .iter()
                .take(SAMPLE)
                .map(|entry| entry.twin.device_id.to_string())
                .collect(),
            estimated_seconds: None,
            notes,
            differences,
            unchanged: count(unchanged),
            problem,
        })
    }

    // ---- making ----------------------------------------------------------------------------

    /// Stores the job and sees to it; returns before it has begun. Of a package's address nothing
    /// is stored that may be a signature or a password.
    pub async fn create(&self, mut new: NewJob, order: Option<PackageOrder>) -> Result<Job> {
        let mut is_secret = false;
        if let JobWork::FirmwareUpdate {
            package: PackageSource::Uri { uri },
            ..
        } = &mut new.work
        {
            let shown = without_secrets(uri)
                .ok_or_else(|| AppError::invalid("The package's address must begin with https:// or http://."))?;
            is_secret = shown != uri.trim();
            *uri = shown;
        }
        let act = match new.runner {
            JobRunner::Here => Some(new.work.act(order.as_ref())?),
            JobRunner::Hub => {
                new.work.request("check", &condition_of(&new.target)?)?;
                None
            }
        };
        if !(1..=MAX_MINUTES).contains(&new.max_minutes) {
            return Err(AppError::invalid(format!(
                "A job may take from 1 to {MAX_MINUTES} minutes."
            )));
        }
        let start_at = start_of(new.start_at.as_deref())?;
        let devices = target::resolve(&self.0.table, &new.target)?;
        if devices.len() > MAX_DEVICES {
            return Err(AppError::invalid(format!("A job has at most {MAX_DEVICES} devices.")));
        }
        if start_at.is_none() {
            self.check_count(&new, devices.len())?;
        }
        let kind = new.work.kind();
        let job = Job {
            id: format!(
                "{}-{}",
                if new.runner == JobRunner::Hub { "job" } else { "here" },
                random_id()?
            ),
            runner: new.runner,
            kind,
            title: new.work.title(),
            condition: match &new.target {
                JobTarget::Query { condition } => Some(condition.trim().to_owned()),
                JobTarget::Devices { .. } => None,
            },
            state: if start_at.is_some() {
                JobState::Scheduled
            } else {
                JobState::Enqueued
            },
            status_message: String::new(),
            reason: None,
            ours: true,
            cancelling: false,
            created_at: now().to_string(),
            start_at: start_at.map(|time| time.to_string()),
            started_at: None,
            ended_at: None,
            max_minutes: new.max_minutes,
            total: count(devices.len()),
            enqueued: count(devices.len()),
            running: 0,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            unknown: 0,
            estimated_seconds: self.estimate(kind, new.runner, count(devices.len())).await?,
        };
        let stored = Stored {
            job,
            request: Some(new),
            has_secret_address: is_secret,
        };
        let job = stored.job.clone();
        let keep = stored.clone();
        self.store(move |sql, hub_id| {
            if kind.followed().is_some()
                && let Some((busy, other)) = storage::busy(sql, hub_id, kind, &devices)?
            {
                let text = format!(
                    "{busy} of the {} devices are at it already, in job {other}.",
                    devices.len()
                );
                return Err(AppError::new(Code::AlreadyExists, text)
                    .hint("Wait until that job has ended, or leave these devices out."));
            }
            storage::put(sql, hub_id, &keep)
        })
        .await?;
        self.tell(&job.id);
        match act {
            Some(act) => self.spawn(stored.job.id, act),
            None => self.0.hub_jobs.notify_one(),
        }
        Ok(job)
    }

    fn check_count(&self, new: &NewJob, found: usize) -> Result<()> {
        if found == 0 {
            return Err(AppError::invalid(
                "No device is meant: the query matches none, or none was picked.",
            ));
        }
        if new.work.kind().is_destructive() && new.expected != Some(count(found)) {
            let shown = new.expected.unwrap_or_default();
            let text = format!("This is about {found} devices by now, not {shown}; nothing was done.");
            return Err(AppError::new(Code::NeedsConfirmation, text).hint("Look at the devices again and confirm."));
        }
        Ok(())
    }

    // ---- running here ----------------------------------------------------------------------

    fn spawn(&self, id: String, act: work::Act) {
        let cancel = CancellationToken::new();
        self.cancels().insert(id.clone(), cancel.clone());
        let board = self.clone();
        tokio::spawn(async move {
            let stop = board.0.stop.clone();
            let ended = tokio::select! {
                () = stop.cancelled() => Ok(false),
                ended = board.run(id.clone(), act, cancel) => ended,
            };
            match ended {
                // Nobody will ask for the lock of a job that has ended.
                Ok(true) => drop(std::fs::remove_file(board.0.locks.join(format!("{id}.lock")))),
                Ok(false) => {}
                Err(error) => tracing::error!("job {id} could not go on: {error}"),
            }
            board.cancels().remove(&id);
            board.tell(&id);
        });
    }

    /// Says whether the job is over.
    async fn run(&self, id: String, act: work::Act, cancel: CancellationToken) -> Result<bool> {
        let Some(_lock) = self.lock(&id).await? else {
            // Another process is at it.
            return Ok(false);
        };
        // Read under the lock: another process may have had it meanwhile.
        let mut stored = self.stored(id).await?;
        if stored.job.ended_at.is_some() || !self.wait_for_start(&mut stored, &cancel).await? {
            return Ok(true);
        }
        let id = stored.job.id.clone();
        let found = self
            .store(move |sql, hub_id| storage::children(sql, hub_id, &id))
            .await?;
        let mut children: Children = found.into_iter().collect();
        if stored.job.started_at.is_none() {
            children = match self.begin(&mut stored).await? {
                Some(children) => children,
                None => return Ok(true),
            };
        } else {
            let resumed = runner::resume(self, &stored, &act, &mut children);
            let rows: Vec<(DeviceId, Child)> = resumed
                .into_iter()
                .filter_map(|id| children.get(&id).cloned().map(|child| (id, child)))
                .collect();
            let id = stored.job.id.clone();
            self.store(move |sql, hub_id| {
                storage::put_children(sql, hub_id, &id, rows.iter().map(|(id, child)| (id, child)))
            })
            .await?;
        }
        self.cancel_if_asked(&stored.job.id, &cancel).await?;
        Runner::new(self.clone(), stored, act, children)
            .run(cancel)
            .await
            .map(|_| true)
    }

    /// Fixes the devices; `None` when the job is over with that.
    async fn begin(&self, stored: &mut Stored) -> Result<Option<Children>> {
        let Some(request) = stored.request.clone() else {
            return Ok(None);
        };
        let devices = target::resolve(&self.0.table, &request.target)?;
        if let Err(error) = self.check_count(&request, devices.len()) {
            self.close(stored, JobState::Failed, Some(error.message)).await?;
            return Ok(None);
        }
        let began = now();
        let numbered = devices.into_iter().enumerate();
        let children: Children = numbered
            .map(|(place, id)| (id, Child::queued(count(place + 1), began)))
            .collect();
        stored.job.state = JobState::Running;
        stored.job.started_at = Some(began.to_string());
        Tally::of(&children).tell(&mut stored.job);
        let (keep, rows) = (stored.clone(), children.clone());
        self.store(move |sql, hub_id| {
            storage::put(sql, hub_id, &keep)?;
            storage::put_children(sql, hub_id, &keep.job.id, rows.iter())
        })
        .await?;
        self.tell(&stored.job.id);
        Ok(Some(children))
    }

    /// Says whether it is to begin.
    async fn wait_for_start(&self, stored: &mut Stored, cancel: &CancellationToken) -> Result<bool> {
        let start = stored.job.start_at.as_deref().and_then(Timestamp::parse);
        if let Some(start) = start.filter(|_| stored.job.started_at.is_none()) {
            let patience = Duration::from_secs(u64::from(stored.job.max_minutes) * 60);
            if now().0 - start.0 > patience {
                let reason = "Twindeck was closed at its start time.".to_owned();
                self.close(stored, JobState::Failed, Some(reason)).await?;
                return Ok(false);
            }
            loop {
                let left = start.0 - now().0;
                if !left.is_positive() {
                    break;
                }
                // The clock of a machine that slept goes on; a timer may not.
                let nap = Duration::try_from(left).unwrap_or_default().min(NAP);
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(nap) => self.cancel_if_asked(&stored.job.id, cancel).await?,
                }
            }
        }
        if cancel.is_cancelled() && stored.job.started_at.is_none() {
            stored.job.cancelled = stored.job.total;
            stored.job.enqueued = 0;
            self.close(stored, JobState::Cancelled, None).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Another process may have asked.
    async fn cancel_if_asked(&self, id: &str, cancel: &CancellationToken) -> Result<()> {
        let id = id.to_owned();
        if self
            .store(move |sql, hub_id| storage::cancel_asked(sql, hub_id, &id))
            .await?
        {
            cancel.cancel();
        }
        Ok(())
    }

    async fn close(&self, stored: &mut Stored, state: JobState, reason: Option<String>) -> Result<()> {
        stored.job.state = state;
        stored.job.reason = reason;
        stored.job.ended_at = Some(now().to_string());
        stored.job.status_message = runner::status_message(&stored.job);
        let keep = stored.clone();
        self.store(move |sql, hub_id| storage::put(sql, hub_id, &keep)).await?;
        self.tell(&stored.job.id);
        Ok(())
    }

    /// The operating system gives the lock back when the process ends, however it ends.
    async fn lock(&self, id: &str) -> Result<Option<std::fs::File>> {
        let path = self.0.locks.join(format!("{id}.lock"));
        let folder = self.0.locks.clone();
        let lock = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(folder)?;
            let file = std::fs::File::create(path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(std::fs::TryLockError::WouldBlock) => Ok(None),
                Err(std::fs::TryLockError::Error(error)) => Err(error),
            }
        });
        let failed = |error: std::io::Error| {
            AppError::new(Code::Storage, "The application's data folder cannot be written.").details(error)
        };
        match lock.await {
            Ok(lock) => lock.map_err(failed),
            Err(error) => Err(AppError::new(Code::Internal, "The job could not be locked.").details(error)),
        }
    }

    /// After the hub was opened and its table read: jobs that run here go on where their rows say
    /// they stand. `order_of` finds the package again.
    pub async fn resume<F>(&self, order_of: impl Fn(NewJob) -> F) -> Result<Vec<String>>
    where
        F: Future<Output = Option<PackageOrder>>,
    {
        let unfinished = self
            .store(|sql, hub_id| {
                storage::prune(sql, hub_id)?;
                storage::unfinished(sql, hub_id, JobRunner::Here)
            })
            .await?;
        let mut ids = Vec::new();
        for mut stored in unfinished {
            let Some(request) = stored
                .request
                .clone()
                .filter(|_| !self.cancels().contains_key(&stored.job.id))
            else {
                continue;
            };
            let order = order_of(request.clone()).await.or_else(|| address_of(&request.work));
            if stored.has_secret_address {
                stored.job.reason = Some(FORGOTTEN.into());
                let keep = stored.clone();
                self.store(move |sql, hub_id| {
                    storage::put(sql, hub_id, &keep)?;
                    storage::ask_to_cancel(sql, hub_id, &keep.job.id)
                })
                .await?;
            }
            ids.push(stored.job.id.clone());
            match request.work.act(order.as_ref()) {
                Ok(act) => self.spawn(stored.job.id, act),
                Err(error) => self.close(&mut stored, JobState::Failed, Some(error.message)).await?,
            }
        }
        Ok(ids)
    }

    // ---- looking ---------------------------------------------------------------------------

    pub async fn list(&self, filter: JobFilter, offset: u32, limit: u32) -> Result<JobPage> {
        let of_device = match &filter.device_id {
            Some(device) => self.hub_jobs_of(device).await,
            None => Vec::new(),
        };
        self.store(move |sql, hub_id| storage::page(sql, hub_id, &filter, &of_device, offset, limit))
            .await
    }

    pub async fn get(&self, id: String) -> Result<Job> {
        Ok(self.stored(id).await?.job)
    }

    /// What was asked for, to be asked again.
    pub async fn request(&self, id: String) -> Result<NewJob> {
        let stored = self.stored(id).await?;
        let request = stored.request.ok_or_else(|| {
            AppError::new(
                Code::NotFound,
                "The hub does not tell all that this job was asked to do.",
            )
        })?;
        Ok(NewJob {
            start_at: None,
            expected: None,
            ..request
        })
    }

    async fn stored(&self, id: String) -> Result<Stored> {
        self.store(move |sql, hub_id| storage::find(sql, hub_id, &id))
            .await?
            .ok_or_else(no_job)
    }

    pub async fn devices(&self, id: String, filter: JobDeviceFilter, offset: u32, limit: u32) -> Result<JobDevicePage> {
        let job = self.get(id.clone()).await?;
        if job.runner == JobRunner::Hub {
            self.keep_rows(&job).await?;
        }
        self.store(move |sql, hub_id| storage::device_page(sql, hub_id, &id, &filter, offset, limit))
            .await
    }

    /// Devices of a job that ended in one of the states.
    pub(crate) async fn devices_in(&self, id: &str, states: &'static [JobState]) -> Result<Vec<String>> {
        let id = id.to_owned();
        self.store(move |sql, hub_id| storage::devices_in(sql, hub_id, &id, states))
            .await
    }

    // ---- ending ----------------------------------------------------------------------------

    /// What has not begun does not begin; the rest ends by itself. A hub cancels only what has
    /// not started.
    pub async fn cancel(&self, id: String) -> Result<()> {
        let stored = self.stored(id.clone()).await?;
        if matches!(
            stored.job.state,
            JobState::Completed | JobState::Failed | JobState::Cancelled
        ) {
            return Err(AppError::new(Code::NotFound, "This job has ended already."));
        }
        if stored.job.runner == JobRunner::Hub {
            return self.cancel_on_hub(stored).await;
        }
        let asked = id.clone();
        self.store(move |sql, hub_id| storage::ask_to_cancel(sql, hub_id, &asked))
            .await?;
        if let Some(cancel) = self.cancels().get(&id) {
            cancel.cancel();
        }
        Ok(())
    }

    /// A new job for the devices of one that has ended without them.
    pub async fn request_of_failed(&self, id: String) -> Result<NewJob> {
        let request = self.request(id.clone()).await?;
        let job = self.get(id.clone()).await?;
        if job.runner == JobRunner::Hub {
            self.keep_rows(&job).await?;
        }
        let states = [JobState::Failed, JobState::Unknown, JobState::Cancelled];
        let ids = self
            .store(move |sql, hub_id| storage::devices_in(sql, hub_id, &id, &states))
            .await?;
        if ids.is_empty() {
            return Err(AppError::new(Code::NotFound, "No device of this job failed."));
        }
        Ok(NewJob {
            expected: Some(count(ids.len())),
            target: JobTarget::Devices { ids },
            ..request
        })
    }
}

/// A package that stands somewhere, where nobody knows its hash.
fn address_of(work: &JobWork) -> Option<PackageOrder> {
    match work {
        JobWork::FirmwareUpdate {
            package: PackageSource::Uri { uri },
            ..
        } => Some(PackageOrder {
            uri: uri.clone(),
            sha256: None,
        }),
        _ => None,
    }
}

/// What the window calls the hub, so that both show the same jobs; its host where it is not saved.
pub fn hub_id(db: &Db, host: &str, is_on_this_machine: bool) -> Result<String> {
    if is_on_this_machine {
        return Ok(crate::hubs::LOCAL.into());
    }
    let saved = db.now(|sql| {
        let select = "SELECT id FROM hubs WHERE host_name = ?1 ORDER BY id LIMIT 1";
        Ok(sql.query_row(select, [host], |row| row.get(0)).optional()?)
    })?;
    Ok(saved.unwrap_or_else(|| host.to_owned()))
}

/// When a job is to start; `None` for now.
fn start_of(text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let time = Timestamp::parse(text)
        .ok_or_else(|| AppError::invalid("The start time is no time.").hint("Write it as 2026-01-31T14:30:00Z."))?;
    let ahead = time.0 - now().0;
    if ahead > MAX_AHEAD {
        return Err(AppError::invalid("A job starts at most 168 hours from now."));
    }
    Ok(ahead.is_positive().then_some(time))
}

/// The hub is told a condition, never a list; a short list can be said as one.
fn condition_of(target: &JobTarget) -> Result<String> {
    match target {
        JobTarget::Query { condition } => match condition.trim() {
            "" => Ok("*".into()),
            condition => Ok(condition.to_owned()),
        },
        JobTarget::Devices { ids } => {
            let quoted: Vec<String> = ids.iter().map(|id| format!("'{}'", id.replace('\'', "\\'"))).collect();
            let condition = format!("deviceId IN [{}]", quoted.join(","));
            if condition.len() > hub_protocol::query::MAX_LENGTH {
                let text = format!("The hub takes a condition, and {} ids are too long for one.", ids.len());
                return Err(AppError::invalid(text).hint("Use a query, or let this application run the job."));
            }
            Ok(condition)
        }
    }
}
