//! Jobs: a method or a twin change on every match of a query, now or later (service.md 6).
//! `scheduler.rs` starts and runs them.

use hub_protocol::{
    ErrorCode, HubError,
    job::{JobRequest, JobResponse, MAX_AHEAD},
    query::MAX_PAGE,
};

use super::{Hub, now};
use crate::{
    limits::ACTIVE_JOBS,
    store::{self, JobFilter},
};

pub(crate) struct JobPage {
    pub jobs: Vec<JobResponse>,
    /// The last id of this page; stays true while jobs come and go.
    pub continuation: Option<String>,
}

impl Hub {
    /// Jobs that may be queued or running at once; a further one is refused.
    pub(super) fn active_jobs(&self) -> Option<usize> {
        self.limiter().map(|_| ACTIVE_JOBS)
    }

    pub(crate) async fn create_job(&self, request: JobRequest) -> Result<JobResponse, HubError> {
        let invalid = |text: String| HubError::new(ErrorCode::ArgumentInvalid, text);
        let work = request
            .work()
            .map_err(|error| invalid(format!("BadRequest: {error}.")))?;
        let now = now();
        let start = request.start_time.map_or(now, |start| start.max(now));
        if start.0 - now.0 > MAX_AHEAD {
            return Err(invalid("BadRequest: startTime is more than 168 hours ahead.".into()));
        }
        let limit = self.active_jobs();
        let create = self
            .0
            .store
            .write(move |transaction| transaction.create_job(&request, &work, start, limit, now));
        let job = create.await?;
        self.0.jobs_changed.notify_one();
        Ok(job)
    }

    /// A job nobody made is told as `unknown`, not refused.
    pub(crate) async fn job(&self, id: &str) -> Result<JobResponse, HubError> {
        let key = id.to_owned();
        let found = self.0.store.read(move |sql| store::get_job(sql, &key)).await?;
        Ok(found.unwrap_or_else(|| JobResponse::unknown(id)))
    }

    pub(crate) async fn cancel_job(&self, id: &str) -> Result<JobResponse, HubError> {
        let id = id.to_owned();
        self.0
            .store
            .write(move |transaction| transaction.cancel_job(&id, now()))
            .await
    }

    pub(crate) async fn jobs(
        &self,
        filter: JobFilter,
        page_size: Option<usize>,
        continuation: Option<String>,
    ) -> Result<JobPage, HubError> {
        let size = page_size.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let after = continuation.unwrap_or_default();
        let read = self
            .0
            .store
            .read(move |sql| store::list_jobs(sql, filter, &after, size));
        let (jobs, more) = read.await?;
        let continuation = jobs.last().filter(|_| more).map(|job| job.job_id.clone());
        Ok(JobPage { jobs, continuation })
    }
}
