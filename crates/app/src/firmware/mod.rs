//! A firmware update of many devices: call `firmwareUpdate` on each, follow their twins, count.
//!
//! [`run`] is the thin driver; what an observation means is decided in [`attempt`]. Every stage
//! is journalled before it has effects: a device's row says "dispatching" before the call leaves.

pub mod attempt;

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

pub use attempt::{Attempt, CallOutcome};
use attempt::{is_terminal, status_stamp};
use hub_client::HubClient;
use hub_protocol::{DeviceId, method::MethodRequest, twin::Twin};
use serde_json::json;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Result,
    now,
    table::{DeviceTable, TableNews},
    view::{StageCount, UpdateStage, UpdateState},
};

/// Calls under way at once.
const CALLS: usize = 32;

/// Where an update's progress is kept and shown. `save` returns once it is stored.
pub trait Journal: Send + Sync {
    fn save(&self, changed: Vec<(DeviceId, Attempt)>) -> impl Future<Output = Result<()>> + Send;
}

/// What the devices are to install.
#[derive(Debug, Clone)]
pub struct Firmware {
    pub uri: String,
    /// Known for packages of ours; the device refuses other bytes.
    pub sha256: Option<String>,
}

pub type Attempts = BTreeMap<DeviceId, Attempt>;

/// Runs until every device has ended. `cancel` keeps devices that have not begun from beginning;
/// the others finish. Dropping the future leaves everything as journalled.
pub async fn run(
    client: HubClient,
    table: Arc<DeviceTable>,
    firmware: Firmware,
    attempts: Attempts,
    journal: &impl Journal,
    cancel: CancellationToken,
) -> Result<Attempts> {
    let news = table.subscribe();
    let queue = attempts
        .iter()
        .filter(|(_, a)| a.stage == UpdateStage::Queued)
        .map(|(id, _)| id.clone())
        .collect();
    let mut driver = Driver {
        client,
        table,
        firmware,
        attempts,
        queue,
        calls: JoinSet::new(),
        changed: Vec::new(),
    };
    driver.look_at_all();
    driver.follow(news, journal, &cancel).await?;
    Ok(driver.attempts)
}

struct Driver {
    client: HubClient,
    table: Arc<DeviceTable>,
    firmware: Firmware,
    attempts: Attempts,
    queue: VecDeque<DeviceId>,
    calls: JoinSet<(DeviceId, CallOutcome)>,
    changed: Vec<DeviceId>,
}

impl Driver {
    async fn follow(
        &mut self,
        mut news: Receiver<TableNews>,
        journal: &impl Journal,
        cancel: &CancellationToken,
    ) -> Result<()> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let begun = if cancel.is_cancelled() {
                self.cancel_queued()
            } else {
                self.begin()
            };
            self.save(journal).await?;
            self.send(begun);
            if self.attempts.values().all(|attempt| is_terminal(attempt.stage)) && self.calls.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = cancel.cancelled(), if !self.queue.is_empty() => {}
                Some(done) = self.calls.join_next() => {
                    if let Ok((id, outcome)) = done {
                        self.note(&id, |attempt| attempt.called(outcome, now()));
                    }
                }
                item = news.recv() => {
                    self.take(item);
                    // What else has come is taken together, and stored together.
                    while let Ok(item) = news.try_recv() {
                        self.take(Ok(item));
                    }
                }
                _ = tick.tick() => {
                    let ids: Vec<DeviceId> = self.attempts.keys().cloned().collect();
                    ids.iter().for_each(|id| self.note(id, |attempt| attempt.timed(now())));
                }
            }
        }
    }

    fn note(&mut self, id: &DeviceId, change: impl FnOnce(&mut Attempt) -> bool) {
        if let Some(attempt) = self.attempts.get_mut(id)
            && change(attempt)
        {
            self.changed.push(id.clone());
        }
    }

    fn take(&mut self, item: std::result::Result<TableNews, RecvError>) {
        match item {
            Ok(TableNews::Changed { twin, .. }) => self.look_at(&twin),
            Ok(TableNews::Removed { device_id }) => self.note(&device_id, |attempt| {
                !is_terminal(attempt.stage) && {
                    *attempt = Attempt {
                        stage: UpdateStage::Failed,
                        since: now(),
                        reason: Some("The device was deleted".into()),
                        baseline: attempt.baseline,
                    };
                    true
                }
            }),
            Err(RecvError::Lagged(_)) => self.look_at_all(),
            Err(RecvError::Closed) => {}
        }
    }

    fn look_at(&mut self, twin: &Twin) {
        let sha256 = self.firmware.sha256.clone();
        self.note(&twin.device_id, |attempt| {
            attempt.observed(twin, sha256.as_deref(), now())
        });
    }

    fn look_at_all(&mut self) {
        let entries: Vec<_> = self.attempts.keys().filter_map(|id| self.table.get(id)).collect();
        entries.iter().for_each(|entry| self.look_at(&entry.twin));
    }

    /// Moves queued devices to "dispatching", as far as there are free places.
    fn begin(&mut self) -> Vec<DeviceId> {
        let mut begun = Vec::new();
        while self.calls.len() + begun.len() < CALLS
            && let Some(id) = self.queue.pop_front()
        {
            match self.table.get(&id) {
                Some(entry) => {
                    self.note(&id, |attempt| {
                        attempt.dispatching(status_stamp(&entry.twin), now());
                        true
                    });
                    begun.push(id);
                }
                None => self.note(&id, |attempt| {
                    *attempt = Attempt {
                        stage: UpdateStage::Failed,
                        reason: Some("The hub has no such device".into()),
                        ..Attempt::queued(now())
                    };
                    true
                }),
            }
        }
        begun
    }

    fn cancel_queued(&mut self) -> Vec<DeviceId> {
        for id in std::mem::take(&mut self.queue) {
            self.note(&id, |attempt| {
                attempt.cancelled(now(), "Stopped before this device was told to update")
            });
        }
        Vec::new()
    }

    async fn save(&mut self, journal: &impl Journal) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort();
        changed.dedup();
        let rows = changed
            .into_iter()
            .filter_map(|id| self.attempts.get(&id).cloned().map(|attempt| (id, attempt)));
        journal.save(rows.collect()).await
    }

    fn send(&mut self, begun: Vec<DeviceId>) {
        for id in begun {
            let mut payload = json!({ "fwPackageUri": self.firmware.uri });
            if let Some(sha256) = &self.firmware.sha256 {
                payload["sha256"] = json!(sha256);
            }
            let request = MethodRequest {
                connect_timeout_in_seconds: 10,
                ..MethodRequest::new("firmwareUpdate", payload)
            };
            let client = self.client.clone();
            self.calls.spawn(async move {
                let outcome = CallOutcome::of(client.invoke_method(&id, &request).await);
                (id, outcome)
            });
        }
    }
}

/// How many devices are in each stage that has any.
pub fn counts(stages: impl IntoIterator<Item = UpdateStage>) -> Vec<StageCount> {
    let mut counts = BTreeMap::new();
    for stage in stages {
        *counts.entry(stage).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(|(stage, count)| StageCount { stage, count })
        .collect()
}

/// Devices that ended well, and that ended badly.
pub fn results(counts: &[StageCount]) -> (u32, u32) {
    let sum = |wanted: &[UpdateStage]| {
        counts
            .iter()
            .filter(|c| wanted.contains(&c.stage))
            .map(|c| c.count)
            .sum()
    };
    (
        sum(&[UpdateStage::Completed]),
        sum(&[UpdateStage::Failed, UpdateStage::TimedOut]),
    )
}

/// The state of an update all of whose devices have ended.
pub fn final_state(counts: &[StageCount]) -> UpdateState {
    let has = |stage| counts.iter().any(|count| count.stage == stage);
    if has(UpdateStage::Failed) || has(UpdateStage::TimedOut) {
        UpdateState::CompletedWithFailures
    } else if has(UpdateStage::Cancelled) {
        UpdateState::Cancelled
    } else {
        UpdateState::Completed
    }
}

/// One sentence for people.
pub fn summary(counts: &[StageCount]) -> String {
    let total: u32 = counts.iter().map(|count| count.count).sum();
    let (succeeded, failed) = results(counts);
    let cancelled: u32 = counts
        .iter()
        .filter(|c| c.stage == UpdateStage::Cancelled)
        .map(|c| c.count)
        .sum();
    let mut text = format!("{succeeded} of {total} devices updated");
    if failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    if cancelled > 0 {
        text.push_str(&format!(", {cancelled} not started"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_with_one_failure_is_not_a_success() {
        let counts = counts([UpdateStage::Completed, UpdateStage::Completed, UpdateStage::TimedOut]);
        assert_eq!(final_state(&counts), UpdateState::CompletedWithFailures);
        assert_eq!(summary(&counts), "2 of 3 devices updated, 1 failed");
        assert_eq!(results(&counts), (2, 1));
    }
}
