//! Jobs that run here: one process has a job, it begins in time, and goes on after a kill.

use std::time::Duration;

use hub_protocol::{DeviceId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    Board, PackageOrder, address_of,
    child::Child,
    runner::{self, Children, Runner, Tally},
    storage::{self, Stored},
    target, work,
};
use crate::{
    error::{AppError, Code, Result},
    now,
    open_hub::count,
    view::{JobRunner, JobState, NewJob},
};

/// Between two looks at the clock while a job waits for its start.
const NAP: Duration = Duration::from_secs(1);
const FORGOTTEN: &str = "The package's address was kept in memory only, because it may hold a signature: devices that had not begun are cancelled.";

impl Board {
    pub(super) fn spawn(&self, id: String, act: work::Act) {
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
    pub(super) async fn cancel_if_asked(&self, id: &str, cancel: &CancellationToken) -> Result<()> {
        let id = id.to_owned();
        if self
            .store(move |sql, hub_id| storage::cancel_asked(sql, hub_id, &id))
            .await?
        {
            cancel.cancel();
        }
        Ok(())
    }

    pub(super) async fn close(&self, stored: &mut Stored, state: JobState, reason: Option<String>) -> Result<()> {
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
}
