//! Starts jobs when they are due, and runs them to their end whatever happens in between.
//!
//! The database is the only list of what is to be done: after a restart, or after a failure of
//! the storage, a job goes on where its rows say it stands.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use hub_protocol::{ErrorCode, HubError, Timestamp, job::JobWork, method::MethodRequest, twin::TwinPatch};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Hub, now};
use crate::{
    limits::Operation,
    store::{self, Answered, Calls, RunningJob},
};

/// Jobs under way at once; others that are due wait as `queued`.
const JOBS_AT_ONCE: usize = 16;
/// Methods of one job under way at once.
const CALLS_AT_ONCE: usize = 64;
/// Twins written in one transaction: few enough that other writers hardly wait.
const TWINS_AT_ONCE: NonZeroU32 = NonZeroU32::new(250).unwrap();
/// The same where there are rates: what the least of them allows at once.
const PACED_TWINS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// No timer is longer: the wall clock may be set, or the machine sleep, while it runs.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
const PRUNING: Duration = Duration::from_secs(3600);

struct Scheduler {
    hub: Hub,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// The job of each task.
    active: HashMap<tokio::task::Id, String>,
    prune_at: Instant,
}

/// Runs until `stop`; returns once every job rests.
pub(crate) async fn run(hub: Hub, stop: CancellationToken) {
    let mut scheduler = Scheduler {
        hub,
        stop,
        tasks: JoinSet::new(),
        active: HashMap::new(),
        prune_at: Instant::now(),
    };
    while !scheduler.stop.is_cancelled() {
        let wait = match scheduler.work().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!("jobs have to wait: {error}");
                PAUSE_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = scheduler.stop.cancelled() => {}
            () = scheduler.hub.0.jobs_changed.notified() => {}
            () = sleep(wait) => {}
            Some(ended) = scheduler.tasks.join_next_with_id() => {
                let task = ended.map_or_else(|error| error.id(), |(task, ())| task);
                scheduler.active.remove(&task);
            }
        }
    }
    while scheduler.tasks.join_next().await.is_some() {}
}

impl Scheduler {
    /// Does what is due; returns how long there is nothing to do.
    async fn work(&mut self) -> Result<Duration, HubError> {
        let store = &self.hub.0.store;
        while self.prune_at <= Instant::now() {
            if !store.write(|transaction| transaction.prune_job(now())).await? {
                self.prune_at = Instant::now() + PRUNING;
            }
        }
        let limit = self.hub.active_jobs().unwrap_or(JOBS_AT_ONCE).min(JOBS_AT_ONCE);
        loop {
            let agenda = self.hub.0.store.read(store::agenda).await?;
            for id in agenda.running {
                if !self.active.values().any(|active| *active == id) {
                    self.spawn(id);
                }
            }
            let idle = self.prune_at.saturating_duration_since(Instant::now());
            let Some(next_start) = agenda.next_start.filter(|_| self.active.len() < limit) else {
                return Ok(idle);
            };
            let wait = until(next_start);
            if !wait.is_zero() {
                return Ok(wait.min(idle));
            }
            self.hub
                .0
                .store
                .write(|transaction| transaction.start_next_job(now()))
                .await?;
        }
    }

    fn spawn(&mut self, id: String) {
        let (hub, stop, job_id) = (self.hub.clone(), self.stop.clone(), id.clone());
        let task = self.tasks.spawn(async move {
            if let Err(error) = run_job(&hub, &job_id, &stop).await {
                tracing::warn!(job = %job_id, "a job has to be taken up again: {error}");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(PAUSE_AFTER_FAILURE) => {}
                }
            }
        });
        self.active.insert(task.id(), id);
    }
}

/// Zero when `time` has come; never longer than a timer may be.
fn until(time: Timestamp) -> Duration {
    let left = time.0 - now().0;
    Duration::try_from(left).unwrap_or_default().min(LONGEST_WAIT)
}

async fn run_job(hub: &Hub, id: &str, stop: &CancellationToken) -> Result<(), HubError> {
    let key = id.to_owned();
    let resume = hub
        .0
        .store
        .write(move |transaction| transaction.resume_job(&key, now()));
    let Some(job) = resume.await? else {
        return Ok(());
    };
    let job = Arc::new(job);
    match job.work.clone() {
        JobWork::Twin(patch) => update_twins(hub, &job, patch.into(), stop).await,
        JobWork::Method(request) => call_devices(hub, &job, &request, stop).await,
    }
}

/// Keeps the rate of operations on devices, where there are rates.
async fn pace(hub: &Hub, devices: NonZeroU32) {
    if let Some(limiter) = hub.limiter() {
        limiter.pace(Operation::JobDevice, devices).await;
    }
}

type Job = Arc<RunningJob>;

async fn update_twins(hub: &Hub, job: &Job, patch: Arc<TwinPatch>, stop: &CancellationToken) -> Result<(), HubError> {
    let count = hub.limiter().map_or(TWINS_AT_ONCE, |_| PACED_TWINS);
    let at_once = usize::try_from(count.get()).unwrap_or(1);
    let mut over = false;
    while !over && !stop.is_cancelled() {
        pace(hub, count).await;
        let (job, patch) = (job.clone(), patch.clone());
        over = hub
            .0
            .store
            .write(move |transaction| transaction.update_twins(&job, &patch, at_once, now()))
            .await?;
    }
    Ok(())
}

/// Calls under way when the hub stops are given up; their rows are settled when it is back.
async fn call_devices(hub: &Hub, job: &Job, request: &MethodRequest, stop: &CancellationToken) -> Result<(), HubError> {
    let mut calls: JoinSet<Answered> = JoinSet::new();
    let mut answered = Vec::new();
    loop {
        let stopping = stop.is_cancelled();
        let places = if stopping { 0 } else { CALLS_AT_ONCE - calls.len() };
        let (step, news) = (job.clone(), std::mem::take(&mut answered));
        let next = hub
            .0
            .store
            .write(move |transaction| transaction.next_calls(&step, news, places, now()));
        let Calls::Make(ids) = next.await? else {
            return Ok(());
        };
        if stopping {
            return Ok(());
        }
        for id in ids {
            let (hub, request) = (hub.clone(), request.clone());
            calls.spawn(async move {
                pace(&hub, NonZeroU32::MIN).await;
                let answer = hub.invoke_method(&id, request).await;
                (id, answer)
            });
        }
        let first = tokio::select! {
            () = stop.cancelled() => None,
            () = sleep(until(job.deadline)) => None,
            first = calls.join_next() => first,
        };
        let more = std::iter::from_fn(|| calls.try_join_next());
        for call in first.into_iter().chain(more) {
            answered.push(call.map_err(|error| HubError::new(ErrorCode::ServerError, error.to_string()))?);
        }
    }
}
