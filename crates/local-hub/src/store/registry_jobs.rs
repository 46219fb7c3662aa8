//! Import and export jobs: one at a time, and what became of those before.

use hub_protocol::{
    ErrorCode, HubError, Timestamp,
    identity::{RegistryJob, RegistryJobStatus},
};
use rusqlite::{Connection, OptionalExtension};

use super::Transaction;
use crate::error::StoreError;

/// Jobs that are remembered; the oldest go first.
const KEPT: usize = 100;

pub(crate) fn get(connection: &Connection, job_id: &str) -> Result<RegistryJob, StoreError> {
    let mut statement = connection.prepare_cached("SELECT properties FROM registry_jobs WHERE job_id = ?1")?;
    let found = statement
        .query_row([job_id], |row| row.get::<_, String>(0))
        .optional()?;
    let text = found.ok_or_else(|| HubError::new(ErrorCode::JobNotFound, format!("There is no job {job_id}.")))?;
    Ok(serde_json::from_str(&text)?)
}

/// Oldest first.
pub(crate) fn list(connection: &Connection) -> Result<Vec<RegistryJob>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT properties FROM registry_jobs")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut jobs = Vec::new();
    for row in rows {
        jobs.push(serde_json::from_str::<RegistryJob>(&row?)?);
    }
    jobs.sort_by_key(|job| job.start_time_utc);
    Ok(jobs)
}

/// A job that a stopping hub left has failed: half an import cannot be repeated safely.
pub(super) fn fail_interrupted(connection: &Connection) -> Result<(), StoreError> {
    for mut job in list(connection)? {
        if !job.status.is_over() {
            job.status = RegistryJobStatus::Failed;
            job.failure_reason = Some("The hub stopped while the job ran.".into());
            put(connection, &job)?;
        }
    }
    Ok(())
}

fn put(connection: &Connection, job: &RegistryJob) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO registry_jobs (job_id, properties) VALUES (?1, ?2)")?
        .execute([&job.job_id, &serde_json::to_string(job)?])?;
    Ok(())
}

impl Transaction<'_> {
    /// Refused while another one is not over (service.md 2.6).
    pub(crate) fn create_registry_job(&mut self, job: &RegistryJob) -> Result<(), StoreError> {
        let jobs = list(self.sql)?;
        if let Some(other) = jobs.iter().find(|job| !job.status.is_over()) {
            let text = format!(
                "Job {} is still {}; one runs at a time.",
                other.job_id,
                other.status.as_str()
            );
            return Err(HubError::new(ErrorCode::JobQuotaExceeded, text).into());
        }
        let too_many = (jobs.len() + 1).saturating_sub(KEPT);
        for old in jobs.iter().take(too_many) {
            self.sql
                .prepare_cached("DELETE FROM registry_jobs WHERE job_id = ?1")?
                .execute([&old.job_id])?;
        }
        put(self.sql, job)
    }

    /// Says how far a job is, and whether it is to go on: a cancelled one is not.
    pub(crate) fn advance_registry_job(&mut self, job_id: &str, progress: u8) -> Result<bool, StoreError> {
        let mut job = get(self.sql, job_id)?;
        if job.status.is_over() {
            return Ok(false);
        }
        job.status = RegistryJobStatus::Running;
        job.progress = progress;
        put(self.sql, &job)?;
        Ok(true)
    }

    /// Ends a job that is not over; one that is stays as it is.
    pub(crate) fn end_registry_job(
        &mut self,
        job_id: &str,
        status: RegistryJobStatus,
        failure_reason: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut job = get(self.sql, job_id)?;
        if job.status.is_over() {
            return Ok(());
        }
        job.status = status;
        job.failure_reason = failure_reason;
        job.end_time_utc = Some(now);
        if status == RegistryJobStatus::Completed {
            job.progress = 100;
        }
        put(self.sql, &job)
    }
}
