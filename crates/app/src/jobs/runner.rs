//! Drives a job that runs here: intents before calls, calls within bounds, what the twins tell.
//!
//! It decides nothing about a device; `child.rs` does.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use hub_client::{HubClient, IfMatch};
use hub_protocol::{
    DeviceId, Timestamp,
    identity::{ConnectionState, Status},
    twin::{Twin, TwinPatch},
};
use serde_json::json;
use tokio::{
    sync::broadcast::error::RecvError,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Board,
    child::{Child, Outcome, newest_stamp},
    storage::{self, Stored},
    work::{self, Act},
};
use crate::{
    error::Result,
    now,
    table::TableNews,
    view::{Job, JobState},
};

/// Calls under way at once.
const CALLS: usize = 64;
/// Devices that may be at a long job at once.
const UNDER_WAY: u32 = 1000;

/// How long after it came back a device may not listen to methods yet.
const SETTLING: Duration = Duration::from_secs(30);

pub(super) type Children = BTreeMap<DeviceId, Child>;

pub(super) struct Runner {
    board: Board,
    stored: Stored,
    act: Act,
    children: Children,
    /// Their turn may have come.
    ready: VecDeque<DeviceId>,
    /// Changed, and not stored yet.
    changed: Vec<DeviceId>,
    /// The job itself is to be stored and told, whatever its devices do.
    job_changed: bool,
    tally: Tally,
    calls: JoinSet<(DeviceId, Outcome)>,
    began: Timestamp,
    limit: Duration,
    /// No place in the hub's rate before.
    rate_opens: Option<Instant>,
}

fn is_connected(twin: &Twin) -> bool {
    twin.connection_state == ConnectionState::Connected
}

/// How many devices are in which state, kept as they change: counting ten thousand anew for each
/// answer would be most of the work.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<JobState, u32>);

impl Tally {
    pub(super) fn of(children: &Children) -> Self {
        let mut tally = Self::default();
        children.values().for_each(|child| tally.add(child.state));
        tally
    }

    fn add(&mut self, state: JobState) {
        *self.0.entry(state).or_default() += 1;
    }

    fn moved(&mut self, from: JobState, to: JobState) {
        if from != to {
            *self.0.entry(from).or_default() -= 1;
            self.add(to);
        }
    }

    fn get(&self, state: JobState) -> u32 {
        self.0.get(&state).copied().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        self.get(JobState::Enqueued) + self.get(JobState::Running) == 0
    }

    /// Sets the job's numbers.
    pub(super) fn tell(&self, job: &mut Job) {
        job.total = self.0.values().sum();
        job.enqueued = self.get(JobState::Enqueued);
        job.running = self.get(JobState::Running);
        job.succeeded = self.get(JobState::Completed);
        job.failed = self.get(JobState::Failed);
        job.cancelled = self.get(JobState::Cancelled);
        job.unknown = self.get(JobState::Unknown);
        job.status_message = status_message(job);
    }
}

/// As the 2016 preview put it.
pub(super) fn status_message(job: &Job) -> String {
    let mut text = format!(
        "Devices: {}; Succeeded: {}; Failed: {}",
        job.total, job.succeeded, job.failed
    );
    for (name, count) in [("Unknown", job.unknown), ("Cancelled", job.cancelled)] {
        if count > 0 {
            text.push_str(&format!("; {name}: {count}"));
        }
    }
    text
}

/// A parent with a failed child is no success, nor is one of whose children nobody knows.
fn final_state(job: &Job) -> JobState {
    if job.failed > 0 || job.unknown > 0 {
        JobState::Failed
    } else if job.cancelled > 0 {
        JobState::Cancelled
    } else {
        JobState::Completed
    }
}

impl Runner {
    pub(super) fn new(board: Board, stored: Stored, act: Act, children: Children) -> Self {
        let began = stored
            .job
            .started_at
            .as_deref()
            .and_then(Timestamp::parse)
            .unwrap_or_else(now);
        let limit = Duration::from_secs(u64::from(stored.job.max_minutes) * 60);
        let ready = children.iter().filter(|(_, child)| child.is_due(now()));
        Self {
            ready: ready.map(|(id, _)| id.clone()).collect(),
            tally: Tally::of(&children),
            board,
            stored,
            act,
            children,
            changed: Vec::new(),
            job_changed: false,
            calls: JoinSet::new(),
            began,
            limit,
            rate_opens: None,
        }
    }

    /// Returns once every device has ended. Dropping it is safe: what was under way is found
    /// again in the database.
    pub(super) async fn run(mut self, cancel: CancellationToken) -> Result<Job> {
        let table = self.board.0.table.clone();
        let mut news = table.subscribe();
        self.look_at_all();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if cancel.is_cancelled() {
                self.cancel_queued();
            }
            let begun = self.begin();
            self.save().await?;
            self.send(begun);
            if self.calls.is_empty() && self.tally.is_over() {
                return self.end().await;
            }
            let rate_opens = self.rate_opens;
            tokio::select! {
                () = cancel.cancelled(), if !self.stored.job.cancelling => {
                    self.stored.job.cancelling = true;
                    self.job_changed = true;
                }
                Some(done) = self.calls.join_next() => {
                    self.called(done);
                    // What else has come is taken together, and stored together.
                    while let Some(done) = self.calls.try_join_next() {
                        self.called(done);
                    }
                }
                item = news.recv() => {
                    self.take(item);
                    while let Ok(item) = news.try_recv() {
                        self.take(Ok(item));
                    }
                }
                () = async { sleep_until(rate_opens.unwrap_or_else(Instant::now)).await }, if rate_opens.is_some() => {
                    self.rate_opens = None;
                }
                _ = tick.tick() => {
                    self.tick();
                    self.board.cancel_if_asked(&self.stored.job.id, &cancel).await?;
                }
            }
        }
    }

    fn note(&mut self, id: &DeviceId, change: impl FnOnce(&mut Child) -> bool) {
        if let Some(child) = self.children.get_mut(id) {
            let before = child.state;
            if change(child) {
                self.tally.moved(before, child.state);
                self.changed.push(id.clone());
            }
        }
    }

    fn called(&mut self, done: std::result::Result<(DeviceId, Outcome), tokio::task::JoinError>) {
        if let Ok((id, outcome)) = done {
            let kind = self.stored.job.kind;
            let entry = self.board.0.table.get(&id);
            let settles = entry.as_ref().is_some_and(|entry| {
                let since = entry.connection_changed.map(|since| now().0 - since.0);
                is_connected(&entry.twin) && since.is_some_and(|since| since < SETTLING)
            });
            let outcome = match outcome {
                Outcome::Offline { .. } => Outcome::Offline { settles },
                other => other,
            };
            self.note(&id, |child| child.called(kind, outcome, now()));
            // It may have told in its twin before its answer was heard.
            if let Some(entry) = entry {
                let connected = is_connected(&entry.twin);
                self.look_at(&entry.twin, connected);
            }
        }
    }

    fn take(&mut self, item: std::result::Result<TableNews, RecvError>) {
        match item {
            Ok(TableNews::Changed { before, twin, .. }) => {
                let was_connected = before
                    .as_ref()
                    .map_or(is_connected(&twin), |before| is_connected(before));
                self.look_at(&twin, was_connected);
            }
            Ok(TableNews::Removed { device_id }) => {
                let kind = self.stored.job.kind;
                self.note(&device_id, |child| child.gone(kind, now()));
            }
            Err(RecvError::Lagged(_)) => self.look_at_all(),
            Err(RecvError::Closed) => {}
        }
    }

    fn look_at(&mut self, twin: &Twin, was_connected: bool) {
        let kind = self.stored.job.kind;
        let mut is_ready = false;
        self.note(&twin.device_id, |child| {
            let changed = child.observed(kind, twin, is_connected(twin), was_connected, now());
            is_ready = changed && child.is_due(now());
            changed
        });
        if is_ready {
            self.ready.push_back(twin.device_id.clone());
        }
    }

    fn look_at_all(&mut self) {
        let open = self.children.iter().filter(|(_, child)| !child.is_over());
        let entries: Vec<_> = open.filter_map(|(id, _)| self.board.0.table.get(id)).collect();
        for entry in entries {
            let connected = is_connected(&entry.twin);
            self.look_at(&entry.twin, connected);
        }
    }

    fn tick(&mut self) {
        let (began, limit, moment) = (self.began, self.limit, now());
        for (id, child) in &mut self.children {
            if child.is_over() {
                continue;
            }
            let (before, waited) = (child.state, child.not_before.is_some());
            if child.timed(began, limit, moment) {
                self.tally.moved(before, child.state);
                self.changed.push(id.clone());
            } else if waited && child.is_due(moment) {
                child.not_before = None;
                self.ready.push_back(id.clone());
            }
        }
    }

    fn cancel_queued(&mut self) {
        self.ready.clear();
        let queued: Vec<DeviceId> = self
            .children
            .iter()
            .filter(|(_, child)| !child.is_over())
            .map(|(id, _)| id.clone())
            .collect();
        queued
            .iter()
            .for_each(|id| self.note(id, |child| child.cancelled(now())));
    }

    /// Moves devices whose turn it is to "dispatching", as far as there are free places.
    fn begin(&mut self) -> Vec<DeviceId> {
        let mut begun = Vec::new();
        while self.calls.len() + begun.len() < CALLS
            && self.tally.get(JobState::Running) < UNDER_WAY
            && self.rate_opens.is_none()
        {
            let Some(id) = self.ready.pop_front() else { break };
            if !self.children.get(&id).is_some_and(|child| child.is_due(now())) {
                continue;
            }
            if let Err(wait) = self.board.0.rates.take(self.stored.job.kind) {
                self.rate_opens = Some(Instant::now() + wait);
                self.ready.push_front(id);
                break;
            }
            let baseline = self.board.0.table.get(&id).and_then(|entry| newest_stamp(&entry.twin));
            self.note(&id, |child| {
                child.dispatching(baseline, now());
                true
            });
            begun.push(id);
        }
        begun
    }

    async fn save(&mut self) -> Result<()> {
        if self.changed.is_empty() && !std::mem::take(&mut self.job_changed) {
            return Ok(());
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort();
        changed.dedup();
        let rows: Vec<(DeviceId, Child)> = changed
            .into_iter()
            .filter_map(|id| self.children.get(&id).cloned().map(|child| (id, child)))
            .collect();
        self.tally.tell(&mut self.stored.job);
        let stored = self.stored.clone();
        self.board
            .store(move |sql, hub_id| {
                let rows = rows.iter().map(|(id, child)| (id, child));
                storage::put_children(sql, hub_id, &stored.job.id, rows)?;
                storage::put(sql, hub_id, &stored)
            })
            .await?;
        self.board.tell(&self.stored.job.id);
        Ok(())
    }

    fn send(&mut self, begun: Vec<DeviceId>) {
        for id in begun {
            let (board, act) = (self.board.clone(), self.act.clone());
            self.calls.spawn(async move {
                let outcome = perform(&board, &id, act).await;
                (id, outcome)
            });
        }
    }

    async fn end(mut self) -> Result<Job> {
        self.tally.tell(&mut self.stored.job);
        let job = &mut self.stored.job;
        job.state = final_state(job);
        job.ended_at = Some(now().to_string());
        let stored = self.stored.clone();
        self.board
            .store(move |sql, hub_id| storage::put(sql, hub_id, &stored))
            .await?;
        self.board.tell(&self.stored.job.id);
        Ok(self.stored.job)
    }
}

async fn perform(board: &Board, id: &DeviceId, act: Act) -> Outcome {
    let client = &board.0.client;
    match act {
        Act::Method(request) => Outcome::of(client.invoke_method(id, &request).await, Outcome::Answered),
        Act::Twin(patch) => {
            let before = board.0.table.get(id);
            let written = client.update_twin(id, &patch, IfMatch::Any).await;
            Outcome::of(written, |twin| {
                if let Some(before) = &before {
                    (board.0.wrote)(&before.twin, &twin);
                }
                let result = json!({ "version": twin.version, "desiredVersion": twin.properties.desired.version });
                // On a hub that is watched by query it shows at once, too.
                board.0.table.put(twin.into(), None, now());
                Outcome::Done(result.to_string())
            })
        }
        Act::Enable(enabled) => enable(client, id, enabled).await,
        Act::Delete => {
            let deleted = client.delete_device(id, IfMatch::Any).await;
            Outcome::of(deleted, |()| {
                board.0.table.remove(id);
                Outcome::Done("{}".into())
            })
        }
    }
}

async fn enable(client: &HubClient, id: &DeviceId, enabled: bool) -> Outcome {
    let read = client.device(id).await;
    let mut device = match read {
        Ok(device) => device,
        Err(error) => return Outcome::of::<()>(Err(error), |()| Outcome::Offline { settles: false }),
    };
    let wanted = if enabled { Status::Enabled } else { Status::Disabled };
    if device.status == wanted {
        return Outcome::Done(r#"{"unchanged":true}"#.into());
    }
    device.status = wanted;
    let condition = IfMatch::Etag(device.etag.clone());
    Outcome::of(client.update_device(&device, condition).await, |_| {
        Outcome::Done("{}".into())
    })
}

/// After a restart: what was being sent may have arrived.
pub(super) fn resume(board: &Board, stored: &Stored, act: &Act, children: &mut Children) -> Vec<DeviceId> {
    let holds = |id: &DeviceId| match act {
        Act::Twin(patch) => holds(board, id, patch),
        _ => false,
    };
    let resumed =
        |(id, child): (&DeviceId, &mut Child)| child.resumed(stored.job.kind, holds(id), now()).then(|| id.clone());
    children.iter_mut().filter_map(resumed).collect()
}

fn holds(board: &Board, id: &DeviceId, patch: &TwinPatch) -> bool {
    let entry = board.0.table.get(id);
    entry.is_some_and(|entry| work::changes(&entry.twin, patch).is_empty())
}
