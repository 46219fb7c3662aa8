//! Jobs of the open hub, for the window.

use std::path::PathBuf;

use super::PackageOrder;
use crate::{
    App,
    error::{AppError, Code, Result},
    open_hub::OpenHub,
    view::{
        Job, JobDevice, JobDeviceFilter, JobDevicePage, JobFilter, JobKind, JobPage, JobPreview, JobRunner, JobState,
        JobTarget, JobWork, NewJob,
    },
};

/// Ids read from one file.
const MAX_IDS: usize = 1_000_000;

impl App {
    pub async fn preview_job(&self, work: JobWork, target: JobTarget, runner: JobRunner) -> Result<JobPreview> {
        Ok(self.hub()?.jobs.preview(work, target, runner).await)
    }

    pub async fn create_job(&self, new: NewJob) -> Result<Job> {
        let hub = self.hub()?;
        let order = self.order_of(&new).await?;
        hub.jobs.create(new, order).await
    }

    /// The package of a firmware job.
    async fn order_of(&self, new: &NewJob) -> Result<Option<PackageOrder>> {
        let JobWork::FirmwareUpdate { package, .. } = &new.work else {
            return Ok(None);
        };
        let target = self.resolve(package.clone()).await?;
        Ok(Some(PackageOrder {
            uri: target.uri,
            sha256: target.sha256,
        }))
    }

    pub async fn list_jobs(&self, filter: JobFilter, offset: u32, limit: u32) -> Result<JobPage> {
        self.hub()?.jobs.list(filter, offset, limit).await
    }

    pub async fn get_job(&self, id: String) -> Result<Job> {
        self.hub()?.jobs.get(id).await
    }

    pub async fn job_request(&self, id: String) -> Result<NewJob> {
        self.hub()?.jobs.request(id).await
    }

    pub async fn failed_job_request(&self, id: String) -> Result<NewJob> {
        self.hub()?.jobs.request_of_failed(id).await
    }

    pub async fn job_devices(
        &self,
        id: String,
        filter: JobDeviceFilter,
        offset: u32,
        limit: u32,
    ) -> Result<JobDevicePage> {
        self.hub()?.jobs.devices(id, filter, offset, limit).await
    }

    pub async fn cancel_job(&self, id: String) -> Result<()> {
        self.hub()?.jobs.cancel(id).await
    }

    /// Writes a line for each device of a job; says how many.
    pub async fn export_job(&self, id: String, file: PathBuf) -> Result<u32> {
        let board = self.hub()?.jobs.clone();
        let mut rows: Vec<JobDevice> = Vec::new();
        loop {
            let offset = crate::open_hub::count(rows.len());
            let page = board
                .devices(id.clone(), JobDeviceFilter::default(), offset, 1000)
                .await?;
            if page.devices.is_empty() {
                break;
            }
            rows.extend(page.devices);
        }
        let written = crate::open_hub::count(rows.len());
        let text = csv_of(&rows)?;
        tokio::fs::write(&file, text).await.map_err(|error| {
            AppError::new(
                Code::Storage,
                format!("{} could not be written: {error}.", file.display()),
            )
        })?;
        Ok(written)
    }

    /// Device ids from a file: the first column of a CSV, or one a line.
    pub async fn read_device_ids(&self, file: PathBuf) -> Result<Vec<String>> {
        let text = tokio::fs::read_to_string(&file)
            .await
            .map_err(|error| AppError::invalid(format!("{} could not be read: {error}.", file.display())))?;
        ids_of(&text)
    }

    /// After the hub was opened: jobs go on, and the hub's own are followed.
    pub(crate) fn resume_jobs(&self, hub: std::sync::Arc<OpenHub>) {
        let app = self.clone();
        tokio::spawn(async move {
            hub.until_read().await;
            let resumed = hub
                .jobs
                .resume(async |new| app.order_of(&new).await.ok().flatten())
                .await;
            if let Err(error) = resumed {
                tracing::error!("jobs could not be taken up again: {error}");
            }
            hub.jobs.follow_hub().await;
        });
    }

    /// Jobs that changed, as they are now.
    pub(crate) async fn changed_jobs(
        &self,
        hub: &std::sync::Arc<OpenHub>,
        ids: std::collections::BTreeSet<String>,
    ) -> Vec<Job> {
        let mut jobs = Vec::new();
        for id in ids {
            // A job of the hub that was open before is not found, and is no news here.
            let Ok(job) = hub.jobs.get(id).await else { continue };
            if let Err(error) = self.job_changed(hub, &job).await {
                tracing::warn!("devices that job {} deleted are still known here: {error}", job.id);
            }
            jobs.push(job);
        }
        jobs
    }

    /// Devices that a job deleted are forgotten here, too.
    pub(crate) async fn job_changed(&self, hub: &std::sync::Arc<OpenHub>, job: &Job) -> Result<()> {
        if job.kind != JobKind::Delete || job.ended_at.is_none() {
            return Ok(());
        }
        let ids = hub.jobs.devices_in(&job.id, &[JobState::Completed]).await?;
        let ids = crate::devices::parse_ids(ids)?;
        self.halt(hub, &ids).await;
        self.forget_simulated(hub, ids).await
    }
}

fn csv_of(rows: &[JobDevice]) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| AppError::new(Code::Internal, "The table could not be written.").details(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [
        "deviceId",
        "id",
        "state",
        "attempts",
        "startedAt",
        "endedAt",
        "status",
        "result",
        "cause",
        "reason",
    ];
    writer.write_record(head).map_err(failed)?;
    for row in rows {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let record = [
            row.device_id.clone(),
            row.id.clone(),
            crate::db::to_text(&row.state),
            row.attempts.to_string(),
            text(&row.started_at),
            text(&row.ended_at),
            row.status.map(|status| status.to_string()).unwrap_or_default(),
            text(&row.result_text),
            text(&row.cause),
            text(&row.reason),
        ];
        writer.write_record(record).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| AppError::new(Code::Internal, "The table could not be written.").details(error))
}

/// The first column of a CSV, or one a line; a head is passed over.
pub fn ids_of(text: &str) -> Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut ids = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let wrong = |error: csv::Error| AppError::invalid(format!("Line {} cannot be read: {error}.", line + 1));
        let record = record.map_err(wrong)?;
        let id = record.get(0).unwrap_or_default().trim();
        let is_head = line == 0 && matches!(id.to_ascii_lowercase().as_str(), "deviceid" | "device_id" | "id");
        if id.is_empty() || is_head {
            continue;
        }
        hub_protocol::DeviceId::new(id).map_err(|error| AppError::invalid(format!("Line {}: {error}.", line + 1)))?;
        ids.push(id.to_owned());
        if ids.len() > MAX_IDS {
            return Err(AppError::invalid(format!("The file has more than {MAX_IDS} ids.")));
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_first_column_without_its_head() {
        let read = |text: &str| ids_of(text).unwrap();
        assert_eq!(
            read("deviceId,state\npump-1,failed\n\"pump-2\",x\n\n"),
            ["pump-1", "pump-2"]
        );
        assert_eq!(read("pump-1\npump-2"), ["pump-1", "pump-2"]);
        assert!(ids_of("pump 1\n").unwrap_err().message.contains("Line 1"));
    }
}
