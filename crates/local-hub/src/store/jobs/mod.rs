//! Jobs and the devices of each (service.md 6).

mod run;
#[cfg(test)]
mod tests;

use hub_protocol::{
    ErrorCode, HubError, Timestamp,
    job::{
        DEFAULT_EXECUTION_TIME, DeviceJobStatistics, DeviceJobStatus, JobRequest, JobResponse, JobStatus, JobType,
        JobWork,
    },
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::Transaction;
use crate::{error::StoreError, events::HubEvent};

pub(crate) use run::{Answered, Calls, RunningJob};

const COLUMNS: &str = "job_id, type, query_condition, payload, created, start_time, started, end_time,
    max_execution_seconds, status, failure_reason, status_message";

/// Which jobs a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct JobFilter {
    pub kind: Option<JobType>,
    pub status: Option<JobStatus>,
}

/// What the scheduler has to do.
pub(crate) struct Agenda {
    pub running: Vec<String>,
    /// Of the earliest job that waits; past when it is due.
    pub next_start: Option<Timestamp>,
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| Timestamp::parse(&text)))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<JobResponse> {
    let kind = JobType::from_name(row.get_ref("type")?.as_str()?);
    let mut payload: serde_json::Value =
        serde_json::from_str(row.get_ref("payload")?.as_str()?).map_err(|_| rusqlite::Error::InvalidQuery)?;
    let of_twin = kind == JobType::ScheduleUpdateTwin;
    if of_twin && let Some(patch) = payload.as_object_mut() {
        patch.insert("etag".into(), "*".into());
    }
    let (update_twin, cloud_to_device_method) = if of_twin {
        (Some(payload), None)
    } else {
        (None, Some(payload))
    };
    Ok(JobResponse {
        job_id: row.get("job_id")?,
        kind,
        status: JobStatus::from_name(row.get_ref("status")?.as_str()?),
        query_condition: row.get("query_condition")?,
        created_time: time(row, "created")?,
        start_time: time(row, "start_time")?,
        end_time: time(row, "end_time")?,
        max_execution_time_in_seconds: row.get("max_execution_seconds")?,
        cloud_to_device_method,
        update_twin,
        failure_reason: row.get("failure_reason")?,
        status_message: row.get("status_message")?,
        // Whether it has started; counted by the caller.
        device_job_statistics: time(row, "started")?.map(|_| DeviceJobStatistics::default()),
    })
}

fn counted(sql: &Connection, mut job: JobResponse) -> Result<JobResponse, StoreError> {
    if let Some(statistics) = &mut job.device_job_statistics {
        let mut statement =
            sql.prepare_cached("SELECT status, count(*) FROM device_jobs WHERE job_id = ?1 GROUP BY status")?;
        let mut rows = statement.query([&job.job_id])?;
        while let Some(row) = rows.next()? {
            let (status, count): (String, u64) = (row.get(0)?, row.get(1)?);
            statistics.device_count += count;
            match DeviceJobStatus::from_name(&status) {
                DeviceJobStatus::Completed => statistics.succeeded_count += count,
                DeviceJobStatus::Running => statistics.running_count += count,
                DeviceJobStatus::Pending | DeviceJobStatus::Scheduled => statistics.pending_count += count,
                DeviceJobStatus::Failed | DeviceJobStatus::Canceled | DeviceJobStatus::Unknown => {
                    statistics.failed_count += count;
                }
            }
        }
    }
    Ok(job)
}

/// `None` when there is no such job.
pub(crate) fn get(sql: &Connection, id: &str) -> Result<Option<JobResponse>, StoreError> {
    let mut statement = sql.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE job_id = ?1"))?;
    let job = statement.query_row([id], from_row).optional()?;
    job.map(|job| counted(sql, job)).transpose()
}

/// In the order of ids, after `after`; says with it whether more follow.
pub(crate) fn list(
    sql: &Connection,
    filter: JobFilter,
    after: &str,
    size: usize,
) -> Result<(Vec<JobResponse>, bool), StoreError> {
    let mut statement = sql.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs WHERE job_id > :after
            AND (:type IS NULL OR type = :type) AND (:status IS NULL OR status = :status)
         ORDER BY job_id LIMIT :limit"
    ))?;
    let rows = statement.query_map(
        named_params! {
            ":after": after,
            ":type": filter.kind.map(JobType::name),
            ":status": filter.status.map(JobStatus::name),
            // One more than the page tells whether another page follows.
            ":limit": size + 1,
        },
        from_row,
    )?;
    let mut jobs = rows.collect::<Result<Vec<_>, _>>()?;
    let more = jobs.len() > size;
    jobs.truncate(size);
    let jobs = jobs
        .into_iter()
        .map(|job| counted(sql, job))
        .collect::<Result<_, _>>()?;
    Ok((jobs, more))
}

pub(crate) fn agenda(sql: &Connection) -> Result<Agenda, StoreError> {
    let mut running = sql.prepare_cached("SELECT job_id FROM jobs WHERE status = 'running'")?;
    let running = running.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut next =
        sql.prepare_cached("SELECT min(start_time) AS next FROM jobs WHERE status IN ('queued', 'scheduled')")?;
    let next_start = next.query_row([], |row| time(row, "next"))?;
    Ok(Agenda { running, next_start })
}

fn job_not_found(id: &str) -> HubError {
    HubError::new(ErrorCode::JobNotFound, format!("Job {id} is not known."))
}

impl Transaction<'_> {
    /// `start` is not before `now`. With `max_active` the hub takes no more jobs to be started
    /// at once than that, those under way included.
    pub(crate) fn create_job(
        &mut self,
        request: &JobRequest,
        work: &JobWork,
        start: Timestamp,
        max_active: Option<usize>,
        now: Timestamp,
    ) -> Result<JobResponse, StoreError> {
        let id = &request.job_id;
        if get(self.sql, id)?.is_some() {
            return Err(HubError::new(
                ErrorCode::JobAlreadyExists,
                format!("A job with ID '{id}' already exists."),
            )
            .into());
        }
        let status = if start > now {
            JobStatus::Scheduled
        } else {
            JobStatus::Queued
        };
        if let Some(limit) = max_active.filter(|_| status == JobStatus::Queued) {
            let active: usize = self
                .sql
                .prepare_cached("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')")?
                .query_row([], |row| row.get(0))?;
            if active >= limit {
                let text = format!("{active} jobs are active; this hub allows {limit} at once.");
                return Err(HubError::new(ErrorCode::ThrottlingMaxActiveJobCountExceeded, text).into());
            }
        }
        self.sql
            .prepare_cached(
                "INSERT INTO jobs (job_id, type, query_condition, payload, created, start_time, max_execution_seconds, status)
                 VALUES (:id, :type, :condition, :payload, :created, :start, :seconds, :status)",
            )?
            .execute(named_params! {
                ":id": id,
                ":type": request.kind.name(),
                ":condition": request.query_condition.as_deref().unwrap_or_default(),
                ":payload": serde_json::to_string(work)?,
                ":created": now.to_string(),
                ":start": start.to_string(),
                ":seconds": request.max_execution_time_in_seconds.unwrap_or(DEFAULT_EXECUTION_TIME),
                ":status": status.name(),
            })?;
        self.tell_job(id, status);
        get(self.sql, id)?.ok_or_else(|| job_not_found(id).into())
    }

    /// A job that has started cannot be cancelled (service.md 6.3, as seen on a live hub).
    pub(crate) fn cancel_job(&mut self, id: &str, now: Timestamp) -> Result<JobResponse, StoreError> {
        let job = get(self.sql, id)?.ok_or_else(|| job_not_found(id))?;
        if !matches!(job.status, JobStatus::Queued | JobStatus::Scheduled) {
            let text = format!("Job {id} is {} and cannot be cancelled any more.", job.status);
            return Err(HubError::new(ErrorCode::OperationNotAllowedInCurrentState, text).into());
        }
        self.end_job(id, JobStatus::Cancelled, None, now)?;
        get(self.sql, id)?.ok_or_else(|| job_not_found(id).into())
    }

    fn end_job(
        &mut self,
        id: &str,
        status: JobStatus,
        failure_reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.sql
            .prepare_cached("UPDATE jobs SET status = ?2, failure_reason = ?3, end_time = ?4 WHERE job_id = ?1")?
            .execute(params![id, status.name(), failure_reason, now.to_string()])?;
        self.tell_job(id, status);
        Ok(())
    }

    fn tell_job(&mut self, id: &str, status: JobStatus) {
        self.tell(HubEvent::JobChanged {
            job_id: id.into(),
            status,
        });
    }
}
