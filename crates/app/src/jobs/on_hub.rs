//! The hub's own jobs (service.md 6): handed over one after the other, followed by one question a
//! look however many devices they have, and known from the hub's list when they were made
//! elsewhere.

use std::{collections::BTreeMap, time::Duration};

use hub_client::{ClientError, JobFilter as HubFilter};
use hub_protocol::{
    DeviceId, ErrorCode, Timestamp,
    job::{DeviceJob, DeviceJobStatus, JobResponse, JobStatus, JobType},
};
use serde_json::Value;

use super::{
    Board,
    child::{Child, Step},
    condition_of,
    runner::status_message,
    storage::{self, Stored},
};
use crate::{
    error::{AppError, Code, Result},
    now,
    open_hub::count,
    view::{Job, JobKind, JobRunner, JobState, JobWork},
};

/// Between two looks at jobs that are under way, and when none is.
const BUSY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
/// The same for a hub on this machine that keeps the limits of S1: a hundred jobs calls a minute, and
/// a job that waits takes two more a look.
const LIMITED_BUSY: Duration = Duration::from_secs(3);
const LIMITED_IDLE: Duration = Duration::from_secs(15);
/// The same for a hub in Azure, whose calls others make, too.
const REMOTE_BUSY: Duration = Duration::from_secs(10);
const REMOTE_IDLE: Duration = Duration::from_secs(60);
/// Rows kept of one job.
const MAX_ROWS: usize = 1_000_000;

fn state_of(status: JobStatus) -> JobState {
    match status {
        JobStatus::Enqueued | JobStatus::Queued => JobState::Enqueued,
        JobStatus::Scheduled => JobState::Scheduled,
        JobStatus::Running => JobState::Running,
        JobStatus::Completed => JobState::Completed,
        JobStatus::Failed => JobState::Failed,
        JobStatus::Cancelled => JobState::Cancelled,
        JobStatus::Unknown => JobState::Unknown,
    }
}

fn is_over(state: JobState) -> bool {
    matches!(state, JobState::Completed | JobState::Failed | JobState::Cancelled)
}

/// Takes what the hub says of a job.
fn learn(job: &mut Job, told: &JobResponse) {
    job.state = state_of(told.status);
    job.created_at = told
        .created_time
        .map_or_else(|| job.created_at.clone(), |time| time.to_string());
    job.ended_at = told
        .end_time
        .filter(|time| *time > Timestamp::NEVER)
        .map(|time| time.to_string());
    job.reason = told.failure_reason.clone().filter(|reason| !reason.is_empty());
    if job.state == JobState::Running && job.started_at.is_none() {
        job.started_at = Some(now().to_string());
    }
    if let Some(statistics) = told.device_job_statistics {
        let of = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        job.total = of(statistics.device_count);
        job.enqueued = of(statistics.pending_count);
        job.running = of(statistics.running_count);
        job.succeeded = of(statistics.succeeded_count);
        job.failed = of(statistics.failed_count);
    }
    if is_over(job.state) {
        job.started_at = job
            .started_at
            .take()
            .or_else(|| told.start_time.map(|time| time.to_string()));
        job.status_message = status_message(job);
    }
}

/// A job that was made elsewhere.
fn foreign(told: &JobResponse) -> Option<Job> {
    let (kind, title) = match told.kind {
        JobType::ScheduleDeviceMethod => {
            let name = told
                .cloud_to_device_method
                .as_ref()
                .and_then(|call| call["methodName"].as_str());
            (JobKind::InvokeMethod, format!("Invoke {}", name.unwrap_or("a method")))
        }
        JobType::ScheduleUpdateTwin => {
            let part = |part: &Value| {
                part.as_object()
                    .filter(|part| !part.is_empty())
                    .is_some()
                    .then(|| part.clone())
            };
            let twin = told.update_twin.as_ref();
            let work = JobWork::UpdateTwin {
                tags: twin.and_then(|twin| part(&twin["tags"])),
                desired: twin.and_then(|twin| part(&twin["properties"]["desired"])),
            };
            (JobKind::UpdateTwin, work.title())
        }
        // Import and export are the registry's.
        JobType::Unknown => return None,
    };
    let minutes = told.max_execution_time_in_seconds.unwrap_or(3600).max(0) / 60;
    let mut job = Job {
        id: told.job_id.clone(),
        runner: JobRunner::Hub,
        kind,
        title,
        condition: Some(told.query_condition.clone().unwrap_or_default()),
        state: JobState::Unknown,
        status_message: String::new(),
        reason: None,
        ours: false,
        cancelling: false,
        created_at: now().to_string(),
        start_at: told.start_time.map(|time| time.to_string()),
        started_at: None,
        ended_at: None,
        max_minutes: u32::try_from(minutes).unwrap_or(u32::MAX),
        total: 0,
        enqueued: 0,
        running: 0,
        succeeded: 0,
        failed: 0,
        cancelled: 0,
        unknown: 0,
        estimated_seconds: None,
    };
    learn(&mut job, told);
    Some(job)
}

/// One device of a hub's job, as its row says.
fn child(number: u32, row: &DeviceJob) -> Child {
    let mut child = Child::queued(number, now());
    child.step = Step::Over;
    child.state = match row.status {
        DeviceJobStatus::Pending | DeviceJobStatus::Scheduled => JobState::Enqueued,
        DeviceJobStatus::Running => JobState::Running,
        DeviceJobStatus::Completed => JobState::Completed,
        DeviceJobStatus::Failed => JobState::Failed,
        DeviceJobStatus::Canceled => JobState::Cancelled,
        DeviceJobStatus::Unknown => JobState::Unknown,
    };
    let known = |time: Option<Timestamp>| time.filter(|time| *time > Timestamp::NEVER);
    (child.started_at, child.ended_at) = (known(row.start_time_utc), known(row.end_time_utc));
    if let Some(answer) = row
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.device_method_response.as_ref())
    {
        child.answer(answer);
    }
    if let Some(error) = &row.error {
        child.cause = Some(error.code.clone());
        child.reason = Some(error.description.clone());
    }
    child
}

impl Board {
    /// Sees to the hub's jobs until the board stops.
    pub async fn follow_hub(&self) {
        let stop = self.0.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look_again_and_again() => {}
        }
    }

    async fn look_again_and_again(&self) {
        let (busy, idle) = match (self.0.is_remote, self.0.rates.is_limited()) {
            (true, _) => (REMOTE_BUSY, REMOTE_IDLE),
            (false, true) => (LIMITED_BUSY, LIMITED_IDLE),
            (false, false) => (BUSY, IDLE),
        };
        let mut failures = 0_u32;
        loop {
            let wait = match self.look().await {
                Ok(under_way) => {
                    failures = 0;
                    if under_way { busy } else { idle }
                }
                Err(error) => {
                    tracing::debug!("the hub's jobs could not be read: {error}");
                    failures = failures.saturating_add(1).min(4);
                    idle * 2_u32.pow(failures)
                }
            };
            tokio::select! {
                () = self.0.hub_jobs.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads the hub's list once.
    pub async fn refresh(&self) -> Result<()> {
        self.look().await.map(drop)
    }

    /// Waits until the hub has the job, or has refused it, or it waits for its turn.
    pub async fn handed_over(&self, id: String) -> Result<Job> {
        self.hand_over().await?;
        self.get(id).await
    }

    /// Hands over what waits and reads the list; says whether anything is under way.
    async fn look(&self) -> Result<bool> {
        self.hand_over().await?;
        let mut told = BTreeMap::new();
        let mut pages = self.0.client.jobs(HubFilter::default());
        while let Some(page) = pages.next_page().await? {
            told.extend(page.into_iter().map(|job| (job.job_id.clone(), job)));
        }
        let changed = self
            .store(move |sql, hub_id| {
                let mut changed = Vec::new();
                for told in told.values() {
                    let known = storage::find(sql, hub_id, &told.job_id)?;
                    let before = known.as_ref().map(|stored| stored.job.clone());
                    let stored = match known {
                        Some(mut stored) if !is_over(stored.job.state) => {
                            learn(&mut stored.job, told);
                            Some(stored)
                        }
                        Some(_) => None,
                        None => foreign(told).map(|job| Stored {
                            job,
                            request: None,
                            has_secret_address: false,
                        }),
                    };
                    if let Some(stored) = stored.filter(|stored| before.as_ref() != Some(&stored.job)) {
                        storage::put(sql, hub_id, &stored)?;
                        changed.push(stored.job.id);
                    }
                }
                let under_way = storage::unfinished(sql, hub_id, JobRunner::Hub)?;
                Ok((changed, !under_way.is_empty()))
            })
            .await?;
        changed.0.iter().for_each(|id| self.tell(id));
        Ok(changed.1)
    }

    /// Gives the hub those of our jobs that it does not have yet, the oldest first. A tier that
    /// runs one job at a time refuses the next: it waits here.
    async fn hand_over(&self) -> Result<()> {
        let client = self.0.client.without_retries();
        let waiting = self
            .store(|sql, hub_id| storage::unfinished(sql, hub_id, JobRunner::Hub))
            .await?;
        for mut stored in waiting {
            let Some(request) = stored
                .request
                .clone()
                .filter(|_| stored.job.ours && stored.job.started_at.is_none())
            else {
                continue;
            };
            if client.job(&stored.job.id).await?.status != JobStatus::Unknown {
                continue;
            }
            let mut wire = request.work.request(&stored.job.id, &condition_of(&request.target)?)?;
            wire.start_time = stored.job.start_at.as_deref().and_then(Timestamp::parse);
            wire.max_execution_time_in_seconds = Some(stored.job.max_minutes.saturating_mul(60));
            let before = stored.job.clone();
            match client.create_job(&wire).await {
                Ok(told) => learn(&mut stored.job, &told),
                Err(ClientError::Hub {
                    code: Some(ErrorCode::JobAlreadyExists),
                    ..
                }) => {}
                Err(ClientError::Hub { status: 429, code, .. }) => {
                    stored.job.reason = Some(match code {
                        Some(ErrorCode::ThrottlingMaxActiveJobCountExceeded) => {
                            "The hub runs no more jobs at a time on its tier; this one waits here for its turn.".into()
                        }
                        _ => "The hub asks to slow down; this job waits here.".into(),
                    });
                    self.keep(&before, stored).await?;
                    return Ok(());
                }
                Err(error @ ClientError::Hub { status: 400..=499, .. }) => {
                    let error = AppError::from(error);
                    stored.job.state = JobState::Failed;
                    stored.job.reason = Some(error.message);
                    stored.job.ended_at = Some(now().to_string());
                }
                Err(error) => return Err(error.into()),
            }
            self.keep(&before, stored).await?;
        }
        Ok(())
    }

    async fn keep(&self, before: &Job, stored: Stored) -> Result<()> {
        if *before == stored.job {
            return Ok(());
        }
        let id = stored.job.id.clone();
        self.store(move |sql, hub_id| storage::put(sql, hub_id, &stored))
            .await?;
        self.tell(&id);
        Ok(())
    }

    pub(super) async fn cancel_on_hub(&self, mut stored: Stored) -> Result<()> {
        let before = stored.job.clone();
        match self.0.client.cancel_job(&stored.job.id).await {
            Ok(told) => learn(&mut stored.job, &told),
            // It never got there.
            Err(ClientError::Hub {
                code: Some(ErrorCode::JobNotFound),
                ..
            }) if stored.job.ours => {
                stored.job.state = JobState::Cancelled;
                stored.job.ended_at = Some(now().to_string());
            }
            Err(ClientError::Hub { status: 405, .. }) => {
                return Err(AppError::new(
                    Code::InvalidInput,
                    "The hub has begun this job, and then cancels it no more.",
                )
                .hint("It ends by itself when its time is over."));
            }
            Err(error) => return Err(error.into()),
        }
        self.keep(&before, stored).await
    }

    /// Reads what became of each device of a hub's job, and keeps it once the job is over.
    pub(super) async fn keep_rows(&self, job: &Job) -> Result<()> {
        let id = job.id.clone();
        let kept = self
            .store(move |sql, hub_id| storage::rows_kept(sql, hub_id, &id))
            .await?;
        if kept && is_over(job.state) {
            return Ok(());
        }
        let mut pages = self.0.client.devices_of_job(&job.id)?;
        let mut rows: Vec<DeviceJob> = Vec::new();
        while let Some(page) = pages.next_page().await? {
            rows.extend(page);
            // While it runs the first will do: the next look has others.
            if rows.len() >= MAX_ROWS || !is_over(job.state) {
                break;
            }
        }
        rows.sort_by(|a, b| a.device_id.cmp(&b.device_id));
        let (id, over) = (job.id.clone(), is_over(job.state));
        self.store(move |sql, hub_id| {
            let children: Vec<(DeviceId, Child)> = rows
                .iter()
                .enumerate()
                .map(|(place, row)| (row.device_id.clone(), child(count(place + 1), row)))
                .collect();
            storage::put_children(sql, hub_id, &id, children.iter().map(|(id, child)| (id, child)))?;
            if over {
                storage::keep_rows(sql, hub_id, &id)?;
            }
            Ok(())
        })
        .await
    }

    /// Ids of the hub's jobs that had this device, as far as the hub can be asked.
    pub(super) async fn hub_jobs_of(&self, device: &str) -> Vec<String> {
        let condition = format!("devices.jobs.deviceId = '{}'", device.replace('\'', "\\'"));
        let mut pages = self.0.client.device_jobs(&condition);
        let mut ids = Vec::new();
        while let Ok(Some(page)) = pages.next_page().await {
            ids.extend(page.into_iter().map(|row| row.job_id));
            if ids.len() >= 1000 {
                break;
            }
        }
        ids
    }
}
