//! Scheduled jobs (service.md 6).

use hub_protocol::{
    ErrorCode, HubError,
    job::{JobRequest, JobStatus, JobType},
};

use super::{Answer, Call};
use crate::{hub::Hub, store::JobFilter};

pub(super) async fn create(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let mut request: JobRequest = call.json()?;
    let id = call.segment(2);
    if request.job_id.is_empty() {
        id.clone_into(&mut request.job_id);
    }
    if request.job_id != id {
        let text = "The job id in the body is not the one in the path.";
        return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
    }
    Ok(Answer::json(&hub.create_job(request).await?))
}

pub(super) async fn get(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.job(call.segment(2)).await?))
}

pub(super) async fn cancel(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.cancel_job(call.segment(2)).await?))
}

/// A type or status this hub has none of finds no jobs: clients also ask for retired ones.
pub(super) async fn query(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let filter = |name: &str| call.query(name).filter(|text| !text.is_empty());
    let filter = JobFilter {
        kind: filter("jobType").map(JobType::from_name),
        status: filter("jobStatus").map(JobStatus::from_name),
    };
    let page = hub.jobs(filter, call.page_size(), call.continuation()).await?;
    let answer = Answer::json(&page.jobs).header("x-ms-item-type", "JobResponse".into());
    Ok(match page.continuation {
        Some(token) => answer.header("x-ms-continuation", token),
        None => answer,
    })
}
