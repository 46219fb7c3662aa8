//! Jobs: a twin change or a method for every device that meets a condition, and what became of
//! each (service.md 6).

use http::{HeaderName, HeaderValue, Method};
use hub_protocol::job::{self, DeviceJob, JobRequest, JobResponse, JobStatus, JobType};
use percent_encoding::utf8_percent_encode;
use serde::de::DeserializeOwned;

use crate::{
    ClientError, HubClient,
    client::{Answer, Call},
    query::{self, CONTINUATION, ITEM_TYPE, MAX_ITEM_COUNT, PAGE, Position},
    retry::Repeatable,
};

/// Which jobs to list; `None` means every one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub kind: Option<JobType>,
    pub status: Option<JobStatus>,
}

/// A list of jobs, page by page.
pub struct JobPages {
    client: HubClient,
    filter: JobFilter,
    position: Position,
}

/// The devices of jobs, page by page.
pub struct DeviceJobPages {
    client: HubClient,
    text: String,
    position: Position,
}

impl JobPages {
    /// The next page, which may be empty, or `None` after the last. After an error the same page
    /// may be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<JobResponse>>, ClientError> {
        let Some(continuation) = self.position.next() else {
            return Ok(None);
        };
        let mut call = Call::new(Method::GET, "/jobs/v2/query").header(MAX_ITEM_COUNT, HeaderValue::from(PAGE));
        if let Some(kind) = self.filter.kind {
            call = call.query("jobType", kind);
        }
        if let Some(status) = self.filter.status {
            call = call.query("jobStatus", status);
        }
        if let Some(token) = continuation {
            call = call.header(HeaderName::from_static(CONTINUATION), token);
        }
        let answer = self.client.succeed(&call).await?;
        page(&self.client, &answer, &mut self.position).map(Some)
    }
}

impl DeviceJobPages {
    /// As [`JobPages::next_page`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<DeviceJob>>, ClientError> {
        let Some(continuation) = self.position.next() else {
            return Ok(None);
        };
        let answer = self.client.succeed(&query::call(&self.text, continuation)?).await?;
        if answer.header(ITEM_TYPE).is_some_and(|kind| kind != "DeviceJob") {
            return Err(ClientError::invalid("the hub did not answer with the devices of jobs"));
        }
        page(&self.client, &answer, &mut self.position).map(Some)
    }
}

fn page<T: DeserializeOwned>(
    client: &HubClient,
    answer: &Answer,
    position: &mut Position,
) -> Result<Vec<T>, ClientError> {
    let rows = client.parse(answer)?;
    *position = query::after(answer);
    Ok(rows)
}

fn path(id: &str) -> Result<String, ClientError> {
    job::check_id(id).map_err(|error| ClientError::invalid(error.to_string()))?;
    Ok(format!(
        "/jobs/v2/{}",
        utf8_percent_encode(id, hub_protocol::sas::UNRESERVED)
    ))
}

impl HubClient {
    /// Refused when the id was used before. A condition that cannot be used is not refused here:
    /// that job fails when it starts.
    pub async fn create_job(&self, request: &JobRequest) -> Result<JobResponse, ClientError> {
        request
            .work()
            .map_err(|problem| ClientError::invalid(problem.to_string()))?;
        // Repeated after a lost answer it would be refused by its own success.
        let call = Call::new(Method::PUT, path(&request.job_id)?)
            .json(request)?
            .repeatable(Repeatable::UnlessDone);
        self.read(&call).await
    }

    /// A job nobody made has the status [`JobStatus::Unknown`].
    pub async fn job(&self, id: &str) -> Result<JobResponse, ClientError> {
        self.read(&Call::new(Method::GET, path(id)?)).await
    }

    /// Only before it starts: a hub refuses it afterwards with
    /// `OperationNotAllowedInCurrentState`.
    pub async fn cancel_job(&self, id: &str) -> Result<JobResponse, ClientError> {
        let call = Call::new(Method::POST, format!("{}/cancel", path(id)?)).repeatable(Repeatable::UnlessDone);
        self.read(&call).await
    }

    pub fn jobs(&self, filter: JobFilter) -> JobPages {
        JobPages {
            client: self.clone(),
            filter,
            position: Position::Start,
        }
    }

    /// `condition` is the part after `WHERE`, e.g. `devices.jobs.jobId = 'j1'`; all rows of all
    /// jobs when it is empty.
    pub fn device_jobs(&self, condition: &str) -> DeviceJobPages {
        let text = match condition.trim() {
            "" => "SELECT * FROM devices.jobs".to_owned(),
            condition => format!("SELECT * FROM devices.jobs WHERE {condition}"),
        };
        DeviceJobPages {
            client: self.clone(),
            text,
            position: Position::Start,
        }
    }

    /// What became of each device of one job.
    pub fn devices_of_job(&self, id: &str) -> Result<DeviceJobPages, ClientError> {
        job::check_id(id).map_err(|error| ClientError::invalid(error.to_string()))?;
        let id = id.replace('\'', "\\'");
        Ok(self.device_jobs(&format!("devices.jobs.jobId = '{id}'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_no_hub_takes_is_refused_before_it_is_sent() {
        assert_eq!(path("a-'1").unwrap(), "/jobs/v2/a-%271");
        assert!(path("query/../x").is_err());
        assert!(path("").is_err());
    }
}
