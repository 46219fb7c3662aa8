//! Jobs: one thing done to many devices, now or later, by the hub or by this application, with a
//! history of all of them.

mod ahead;
mod child;
mod commands;
mod here;
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
};

use hub_client::HubClient;
use hub_protocol::{Timestamp, job::MAX_AHEAD, twin::Twin};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::{commands::ids_of, work::PackageOrder};
use self::{rates::Rates, storage::Stored};
use crate::{
    db::Db,
    error::{AppError, Code, Result},
    now,
    open_hub::count,
    random_id,
    table::DeviceTable,
    updates::without_secrets,
    view::{
        Job, JobDeviceFilter, JobDevicePage, JobFilter, JobPage, JobRunner, JobState, JobTarget, JobWork, NewJob,
        PackageSource,
    },
};

/// Devices of one job.
const MAX_DEVICES: usize = 1_000_000;
/// Minutes a job may be given.
const MAX_MINUTES: u32 = 7 * 24 * 60;

type Wrote = dyn Fn(&Twin, &Twin) + Send + Sync;

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
    /// Hears of a twin that a job wrote: before and after.
    wrote: Box<Wrote>,
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
    /// `tell` hears the id of a job that changed, `wrote` of a twin that one wrote.
    pub fn new(
        ground: Ground,
        tell: impl Fn(&str) + Send + Sync + 'static,
        wrote: impl Fn(&Twin, &Twin) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            hub_id: ground.hub_id,
            client: ground.client,
            table: ground.table,
            db: ground.db,
            rates: Rates::new(ground.is_limited),
            locks: ground.locks,
            tell: Box::new(tell),
            wrote: Box::new(wrote),
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
