//! Running jobs: what makes one survive a crash.
//!
//! A device's twin and its row of `device_jobs` change in one transaction, and a row is `running`
//! before its method leaves the hub.

use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    identity::Status,
    job::{DeviceJobError, DeviceJobOutcome, DeviceJobStatus, HISTORY, JobStatus, JobWork},
    method::MethodResponse,
    query::{self, Query, Selection, Source, Target},
    twin::TwinPatch,
};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::time;
use crate::{
    error::StoreError,
    store::{IfMatch, Rows, Transaction, TwinWrite, query::run},
};

/// A job under way.
pub(crate) struct RunningJob {
    pub id: String,
    pub work: JobWork,
    started: Timestamp,
    /// When its execution time is over.
    pub deadline: Timestamp,
}

/// What became of a method call.
pub(crate) type Answered = (ClientId, Result<MethodResponse, HubError>);

/// What a method job does next.
pub(crate) enum Calls {
    /// These rows are `running` now; nobody else will call them.
    Make(Vec<ClientId>),
    Over,
}

/// Whom a condition means at this moment.
fn matching(sql: &Connection, condition: &str) -> Result<Vec<ClientId>, StoreError> {
    let condition = query::parse_condition(condition)
        .map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, format!("BadRequest: {error}")))?;
    let target = Target {
        source: Source::Devices,
        condition,
    };
    let query = Query {
        selection: Selection::All,
        ..target.into_query()
    };
    let mut ids = Vec::new();
    let mut continuation = None;
    loop {
        let page = run(sql, &query, None, continuation.as_deref())?;
        if let Rows::Twins(twins) = page.rows {
            ids.extend(twins.iter().map(hub_protocol::twin::Twin::client_id));
        }
        continuation = page.continuation;
        if continuation.is_none() {
            return Ok(ids);
        }
    }
}

impl Transaction<'_> {
    /// Starts the earliest job that is due: whom it means is fixed now. A job whose condition
    /// cannot be used fails here.
    pub(crate) fn start_next_job(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let due = self
            .sql
            .prepare_cached(
                "SELECT job_id, type, query_condition FROM jobs
                 WHERE status IN ('queued', 'scheduled') AND start_time <= ?1 ORDER BY start_time, created LIMIT 1",
            )?
            .query_row([now.to_string()], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })
            .optional()?;
        let Some((id, kind, condition)) = due else {
            return Ok(());
        };
        let ids = match matching(self.sql, &condition) {
            Ok(ids) => ids,
            Err(StoreError::Hub(error)) => {
                let reason = format!("The query condition cannot be used. {}", error.message);
                return self.end_job(&id, JobStatus::Failed, Some(&reason), now);
            }
            Err(other) => return Err(other),
        };
        let now = now.to_string();
        let mut insert = self.sql.prepare_cached(
            "INSERT INTO device_jobs (job_id, device_id, module_id, job_type, status, created, updated)
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5)",
        )?;
        for client in &ids {
            insert.execute(params![id, client.device_str(), client.module_str(), kind, now])?;
        }
        drop(insert);
        self.sql
            .prepare_cached("UPDATE jobs SET status = 'running', started = ?2 WHERE job_id = ?1")?
            .execute(params![id, now])?;
        self.tell_job(&id, JobStatus::Running);
        Ok(())
    }

    /// A job to go on with, begun just now or by a hub that stopped; `None` when it is not
    /// running. Rows that were `running` had their call, and nobody heard what came of it.
    pub(crate) fn resume_job(&mut self, id: &str, now: Timestamp) -> Result<Option<RunningJob>, StoreError> {
        let job = self
            .sql
            .prepare_cached(
                "SELECT payload, started, max_execution_seconds AS seconds FROM jobs
                 WHERE job_id = ?1 AND status = 'running'",
            )?
            .query_row([id], |row| {
                let started = time(row, "started")?.unwrap_or(Timestamp::NEVER);
                Ok((row.get::<_, String>("payload")?, started, row.get::<_, i64>("seconds")?))
            })
            .optional()?;
        let Some((payload, started, seconds)) = job else {
            return Ok(None);
        };
        let text = "The hub stopped while the device was being called; whether the method ran is not known.";
        let error = HubError::new(ErrorCode::ServiceUnavailable, text);
        self.settle_all(id, DeviceJobStatus::Running, DeviceJobStatus::Failed, error, now)?;
        Ok(Some(RunningJob {
            id: id.to_owned(),
            work: serde_json::from_str(&payload)?,
            started,
            deadline: Timestamp(started.0.saturating_add(time::Duration::seconds(seconds))),
        }))
    }

    /// Writes up to `count` twins of a job; says whether it is over.
    pub(crate) fn update_twins(
        &mut self,
        job: &RunningJob,
        patch: &TwinPatch,
        count: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if now >= job.deadline {
            return self.expire_job(job, now).map(|()| true);
        }
        let ids = self.pending(&job.id, count)?;
        for id in &ids {
            self.sql.execute_batch("SAVEPOINT device")?;
            let events = self.events.len();
            let error = match self.update_twin(job, id, patch, now) {
                Ok(()) => None,
                Err(StoreError::Hub(error)) => {
                    self.sql.execute_batch("ROLLBACK TO device")?;
                    self.events.truncate(events);
                    Some(error)
                }
                Err(other) => return Err(other),
            };
            self.sql.execute_batch("RELEASE device")?;
            self.settle_device(job, id, error.map_or(Ok(None), Err), now)?;
        }
        let over = ids.len() < count;
        if over {
            self.end_job(&job.id, JobStatus::Completed, None, now)?;
        }
        Ok(over)
    }

    /// A device disabled while the job runs is left alone.
    fn update_twin(
        &mut self,
        job: &RunningJob,
        id: &ClientId,
        patch: &TwinPatch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let twin = self.write_twin(id, patch, TwinWrite::Merge, &IfMatch::Any, now)?;
        if twin.status == Status::Disabled && twin.status_update_time > job.started {
            let text = "The device was disabled after the job had started.";
            return Err(HubError::new(ErrorCode::DeviceDisabled, text).into());
        }
        Ok(())
    }

    /// Keeps what devices answered and takes up to `places` more to be called.
    pub(crate) fn next_calls(
        &mut self,
        job: &RunningJob,
        answered: Vec<Answered>,
        places: usize,
        now: Timestamp,
    ) -> Result<Calls, StoreError> {
        for (id, answer) in answered {
            self.settle_device(job, &id, answer.map(Some), now)?;
        }
        if now >= job.deadline {
            self.expire_job(job, now)?;
            return Ok(Calls::Over);
        }
        let ids = self.pending(&job.id, places)?;
        let mut claim = self.sql.prepare_cached(
            "UPDATE device_jobs SET status = 'running', started = ?4, updated = ?4
             WHERE job_id = ?1 AND device_id = ?2 AND module_id = ?3",
        )?;
        for id in &ids {
            claim.execute(params![job.id, id.device_str(), id.module_str(), now.to_string()])?;
        }
        drop(claim);
        let open: bool = self
            .sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM device_jobs WHERE job_id = ?1 AND status IN ('pending', 'running'))",
            )?
            .query_row([&job.id], |row| row.get(0))?;
        if open {
            return Ok(Calls::Make(ids));
        }
        self.end_job(&job.id, JobStatus::Completed, None, now)?;
        Ok(Calls::Over)
    }

    /// Forgets one job whose history has been kept long enough; says whether there was one.
    pub(crate) fn prune_job(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let before = Timestamp(now.0 - HISTORY).to_string();
        let pruned = self
            .sql
            .prepare_cached(
                "DELETE FROM jobs WHERE job_id = (SELECT job_id FROM jobs WHERE end_time < ?1 ORDER BY end_time LIMIT 1)",
            )?
            .execute([before])?;
        Ok(pruned > 0)
    }

    fn pending(&self, job_id: &str, limit: usize) -> Result<Vec<ClientId>, StoreError> {
        let mut statement = self.sql.prepare_cached(
            "SELECT device_id, module_id FROM device_jobs WHERE job_id = ?1 AND status = 'pending'
             ORDER BY device_id, module_id LIMIT ?2",
        )?;
        let rows = statement.query_map(params![job_id, limit], |row| {
            let module = Some(row.get_ref(1)?.as_str()?).filter(|id| !id.is_empty());
            ClientId::new(row.get_ref(0)?.as_str()?, module).map_err(|_| rusqlite::Error::InvalidQuery)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A device had its turn; a twin's outcome is `None`. One whose call left at an earlier time
    /// keeps that as its start.
    fn settle_device(
        &self,
        job: &RunningJob,
        id: &ClientId,
        outcome: Result<Option<MethodResponse>, HubError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let status = if outcome.is_ok() {
            DeviceJobStatus::Completed
        } else {
            DeviceJobStatus::Failed
        };
        let (outcome, error) = match outcome {
            Ok(answer) => (answer, None),
            Err(error) => (None, Some(DeviceJobError::from(error))),
        };
        let outcome = outcome.map(|answer| {
            serde_json::to_string(&DeviceJobOutcome {
                device_method_response: Some(answer),
            })
        });
        self.sql
            .prepare_cached(
                "UPDATE device_jobs SET status = :status, started = coalesce(started, :now), ended = :now, updated = :now,
                    outcome = :outcome, error = :error
                 WHERE job_id = :job AND device_id = :device AND module_id = :module",
            )?
            .execute(named_params! {
                ":job": job.id,
                ":device": id.device_str(),
                ":module": id.module_str(),
                ":status": status.name(),
                ":now": now.to_string(),
                ":outcome": outcome.transpose()?,
                ":error": error.map(|error| serde_json::to_string(&error)).transpose()?,
            })?;
        Ok(())
    }

    fn settle_all(
        &self,
        job_id: &str,
        from: DeviceJobStatus,
        to: DeviceJobStatus,
        error: HubError,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.sql
            .prepare_cached(
                "UPDATE device_jobs SET status = ?3, ended = ?4, updated = ?4, error = ?5 WHERE job_id = ?1 AND status = ?2",
            )?
            .execute(params![
                job_id,
                from.name(),
                to.name(),
                now.to_string(),
                serde_json::to_string(&DeviceJobError::from(error))?
            ])?;
        Ok(())
    }

    /// The execution time is over: calls under way have failed, devices without a turn get none.
    fn expire_job(&mut self, job: &RunningJob, now: Timestamp) -> Result<(), StoreError> {
        let late = "The job's execution time was over before the device answered.";
        let late = HubError::new(ErrorCode::GatewayTimeout, late);
        self.settle_all(&job.id, DeviceJobStatus::Running, DeviceJobStatus::Failed, late, now)?;
        let left = "The job's execution time was over before this device's turn.";
        let left = HubError::new(ErrorCode::JobCancelled, left);
        self.settle_all(&job.id, DeviceJobStatus::Pending, DeviceJobStatus::Canceled, left, now)?;
        let reason = "The execution time was over before every device had its turn.";
        self.end_job(&job.id, JobStatus::Failed, Some(reason), now)
    }
}
