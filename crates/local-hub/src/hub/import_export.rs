//! Import and export of the registry (service.md 2.6).
//!
//! Container URIs mean folders below `containers` of the data folder ([`crate::containers`]). A
//! job is a row and a task: the row says how far it is, and the task ends when the job is cancelled
//! or the hub closes. A job that a hub did not end has failed.

use std::{
    io,
    sync::{MutexGuard, PoisonError},
};

use hub_protocol::{
    ErrorCode, HubError,
    identity::{
        ExportImportDevice, ImportMode, RegistryJob, RegistryJobRequest, RegistryJobStatus, RegistryJobType,
        SymmetricKey,
    },
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::{Hub, now};
use crate::{
    containers::{Blob, BlobWriter},
    store,
};

const DEFAULT_BLOB: &str = "devices.txt";
const ERRORS_BLOB: &str = "importErrors.log";
/// The first line of an export without keys, as a warning to its reader.
const WITHOUT_KEYS: &str = "WARNING: This export holds no keys. Devices imported from it get new ones.";
/// Identities that are read or written at a time.
const PAGE: usize = 200;
const MAX_LINE: usize = 1024 * 1024;
/// Lines that may wait for their parent to be imported; more are refused.
const MAX_DEFERRED: usize = 10_000;

/// How a job ended early.
enum Stop {
    /// It was cancelled: what is to be said is said already.
    Quietly,
    Failed(String),
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Self {
        Self::Failed(error.message)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("The container cannot be used: {error}."))
    }
}

enum Plan {
    Export { to: Blob, exclude_keys: bool },
    Import { from: Blob, errors: Blob },
}

impl Hub {
    /// Checks the containers, and starts the job.
    pub(crate) async fn create_registry_job(&self, request: RegistryJobRequest) -> Result<RegistryJob, HubError> {
        if request.include_configurations {
            let text = "This hub does not import or export configurations; leave includeConfigurations out.";
            return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
        }
        let blob = |uri: &Option<String>, field: &str, name: Option<&str>| {
            let missing = || HubError::new(ErrorCode::ArgumentNull, format!("{field} is missing."));
            let uri = uri.as_deref().filter(|uri| !uri.is_empty()).ok_or_else(missing)?;
            let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_BLOB);
            Blob::new(&self.0.containers, uri, name)
        };
        let output = |name| blob(&request.output_blob_container_uri, "outputBlobContainerUri", name);
        let plan = match request.kind {
            RegistryJobType::Export => Plan::Export {
                to: output(request.output_blob_name.as_deref())?,
                exclude_keys: request.exclude_keys_in_export,
            },
            RegistryJobType::Import => Plan::Import {
                from: blob(
                    &request.input_blob_container_uri,
                    "inputBlobContainerUri",
                    request.input_blob_name.as_deref(),
                )?,
                errors: output(Some(ERRORS_BLOB))?,
            },
        };
        let job = RegistryJob {
            job_id: job_id()?,
            kind: request.kind,
            status: RegistryJobStatus::Enqueued,
            progress: 0,
            start_time_utc: now(),
            end_time_utc: None,
            input_blob_name: request.input_blob_name,
            output_blob_name: request.output_blob_name,
            exclude_keys_in_export: request.exclude_keys_in_export,
            storage_authentication_type: request.storage_authentication_type,
            failure_reason: None,
        };
        let stored = job.clone();
        self.0
            .store
            .write(move |transaction| transaction.create_registry_job(&stored))
            .await?;
        // Only now: the files of a job that still runs are its own.
        if let Err(error) = plan.prepare().await {
            self.end(&job.job_id, RegistryJobStatus::Failed, Some(error.message.clone()))
                .await?;
            return Err(error);
        }
        let stop = self.0.stop.child_token();
        *self.running() = Some((job.job_id.clone(), stop.clone()));
        let (hub, job_id) = (self.clone(), job.job_id.clone());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = hub.run(job_id, plan) => {}
            }
        });
        Ok(job)
    }

    pub(crate) async fn registry_job(&self, job_id: &str) -> Result<RegistryJob, HubError> {
        let id = job_id.to_owned();
        self.0.store.read(move |sql| store::get_registry_job(sql, &id)).await
    }

    pub(crate) async fn registry_jobs(&self) -> Result<Vec<RegistryJob>, HubError> {
        self.0.store.read(store::list_registry_jobs).await
    }

    /// Stops a job where it is; what it has done stays. One that is over stays as it is.
    pub(crate) async fn cancel_registry_job(&self, job_id: &str) -> Result<(), HubError> {
        self.end(job_id, RegistryJobStatus::Cancelled, None).await?;
        if let Some((running, stop)) = &*self.running()
            && running == job_id
        {
            stop.cancel();
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<(String, CancellationToken)>> {
        self.0.registry_job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn end(&self, job_id: &str, status: RegistryJobStatus, reason: Option<String>) -> Result<(), HubError> {
        let id = job_id.to_owned();
        self.0
            .store
            .write(move |transaction| transaction.end_registry_job(&id, status, reason, now()))
            .await
    }

    async fn run(&self, job_id: String, plan: Plan) {
        let done = match plan {
            Plan::Export { to, exclude_keys } => self.export(&job_id, &to, exclude_keys).await,
            Plan::Import { from, errors } => self.import(&job_id, &from, &errors).await,
        };
        let (status, reason) = match done {
            Ok(()) => (RegistryJobStatus::Completed, None),
            Err(Stop::Failed(reason)) => (RegistryJobStatus::Failed, Some(reason)),
            Err(Stop::Quietly) => return,
        };
        if let Err(error) = self.end(&job_id, status, reason).await {
            tracing::warn!("the end of job {job_id} could not be stored: {error}");
        }
    }

    async fn export(&self, job_id: &str, to: &Blob, exclude_keys: bool) -> Result<(), Stop> {
        let mut file = to.write().await?;
        if exclude_keys {
            file.line(WITHOUT_KEYS.as_bytes()).await?;
        }
        let total = self.0.store.read(store::count_identities).await?;
        let (mut after, mut written) = (None, 0);
        loop {
            self.advance(job_id, percent(written, total)).await?;
            let page = self
                .0
                .store
                .read(move |sql| store::export_page(sql, after.as_ref(), PAGE))
                .await?;
            for item in &page {
                let line = if exclude_keys {
                    to_line(&without_keys(item))
                } else {
                    to_line(item)
                };
                file.line(&line?).await?;
            }
            written += page.len();
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.client_id()),
                _ => break,
            }
        }
        Ok(file.finish().await?)
    }

    async fn advance(&self, job_id: &str, progress: u8) -> Result<(), Stop> {
        let id = job_id.to_owned();
        let goes_on = self
            .0
            .store
            .write(move |transaction| transaction.advance_registry_job(&id, progress))
            .await?;
        if goes_on { Ok(()) } else { Err(Stop::Quietly) }
    }

    async fn import(&self, job_id: &str, from: &Blob, errors: &Blob) -> Result<(), Stop> {
        let file = from.open().await?;
        let size = file.metadata().await?.len();
        let mut file = BufReader::new(file);
        let mut import = Import {
            hub: self,
            job_id,
            progress: 0,
            deferred: Vec::new(),
            errors,
            log: None,
        };
        let (mut items, mut line, mut read) = (Vec::with_capacity(PAGE), Vec::new(), 0);
        loop {
            line.clear();
            let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            let bytes = (&mut file).take(limit).read_until(b'\n', &mut line).await?;
            if bytes == MAX_LINE {
                return Err(Stop::Failed("A line is longer than 1 MiB.".into()));
            }
            // An export without keys begins with its warning.
            let warning = read == 0 && !line.starts_with(b"{");
            read += bytes;
            if !line.trim_ascii().is_empty() && !warning {
                match from_line(&line) {
                    Ok(item) => items.push(item),
                    Err((id, error)) => import.complain(&id, &error).await?,
                }
            }
            if bytes == 0 || items.len() == PAGE {
                import.progress = percent(read, usize::try_from(size).unwrap_or(usize::MAX));
                import.write(std::mem::take(&mut items)).await?;
            }
            if bytes == 0 {
                break;
            }
        }
        import.finish().await
    }
}

impl Plan {
    async fn prepare(&self) -> Result<(), HubError> {
        match self {
            Self::Export { to, .. } => to.prepare().await,
            Self::Import { from, errors } => {
                from.open().await?;
                errors.prepare().await
            }
        }
    }
}

/// An import under way.
struct Import<'a> {
    hub: &'a Hub,
    job_id: &'a str,
    progress: u8,
    /// Lines that may go well once lines behind them have: a child before its parent.
    deferred: Vec<(ExportImportDevice, HubError)>,
    errors: &'a Blob,
    log: Option<BlobWriter>,
}

impl Import<'_> {
    async fn write(&mut self, items: Vec<ExportImportDevice>) -> Result<(), Stop> {
        let (id, progress) = (self.job_id.to_owned(), self.progress);
        let written = self.hub.0.store.write(move |transaction| {
            let done = transaction.import_lines(&id, progress, &items, now())?;
            Ok(done.map(|done| items.into_iter().zip(done).collect::<Vec<_>>()))
        });
        for (item, done) in written.await?.ok_or(Stop::Quietly)? {
            match done {
                Ok(()) => {}
                Err(error) if may_go_well_later(&item, &error) && self.deferred.len() < MAX_DEFERRED => {
                    self.deferred.push((item, error));
                }
                Err(error) => self.complain(item.id.as_str(), &error).await?,
            }
        }
        Ok(())
    }

    /// Tries deferred lines again as long as that helps.
    async fn finish(mut self) -> Result<(), Stop> {
        loop {
            let before = self.deferred.len();
            for part in std::mem::take(&mut self.deferred).chunks(PAGE) {
                self.write(part.iter().map(|(item, _)| item.clone()).collect()).await?;
            }
            if self.deferred.is_empty() || self.deferred.len() == before {
                break;
            }
        }
        for (item, error) in std::mem::take(&mut self.deferred) {
            self.complain(item.id.as_str(), &error).await?;
        }
        match self.log {
            Some(log) => Ok(log.finish().await?),
            None => Ok(()),
        }
    }

    async fn complain(&mut self, id: &str, error: &HubError) -> Result<(), Stop> {
        let log = match &mut self.log {
            Some(log) => log,
            slot => slot.insert(self.errors.write().await?),
        };
        let line = json!({ "deviceId": id, "errorCode": error.code.name(), "errorStatus": error.message });
        Ok(log.line(line.to_string().as_bytes()).await?)
    }
}

fn may_go_well_later(item: &ExportImportDevice, error: &HubError) -> bool {
    match error.code {
        ErrorCode::InvalidDeviceScope => true,
        ErrorCode::DeviceNotFound => item.module_id.is_some(),
        _ => false,
    }
}

/// A line's item, or the id it names and what is wrong with it.
fn from_line(line: &[u8]) -> Result<ExportImportDevice, (String, HubError)> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        let error = HubError::new(ErrorCode::IotHubFormatError, format!("The line is not JSON: {error}"));
        (String::new(), error)
    })?;
    let id = value["id"].as_str().unwrap_or_default().to_owned();
    let invalid = |text: String| (id.clone(), HubError::new(ErrorCode::ArgumentInvalid, text));
    let without_status = value["status"].is_null();
    let item: ExportImportDevice =
        serde_json::from_value(value).map_err(|error| invalid(format!("The line cannot be read: {error}")))?;
    use ImportMode::{Delete, DeleteIfMatchETag, UpdateTwin, UpdateTwinIfMatchETag};
    let writes_device = item.module_id.is_none()
        && !matches!(
            item.import_mode,
            Some(Delete | DeleteIfMatchETag | UpdateTwin | UpdateTwinIfMatchETag)
        );
    if without_status && writes_device {
        return Err(invalid("The status is missing.".into()));
    }
    Ok(item)
}

fn to_line(item: &ExportImportDevice) -> Result<Vec<u8>, Stop> {
    serde_json::to_vec(item).map_err(|error| Stop::Failed(error.to_string()))
}

fn without_keys(item: &ExportImportDevice) -> ExportImportDevice {
    let mut item = item.clone();
    if let Some(authentication) = &mut item.authentication {
        authentication.symmetric_key = SymmetricKey::default();
    }
    item
}

/// Below 100: a job is done when it says so.
fn percent(part: usize, whole: usize) -> u8 {
    u8::try_from(part.saturating_mul(100) / whole.max(1)).map_or(99, |percent| percent.min(99))
}

/// A random UUID, as the service's job ids are.
fn job_id() -> Result<String, HubError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| HubError::new(ErrorCode::ServerError, "No job id can be made."))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_status_names_its_device() {
        let (id, error) = from_line(br#"{"id":"d"}"#).unwrap_err();
        assert_eq!((id.as_str(), error.code), ("d", ErrorCode::ArgumentInvalid));
        assert!(from_line(br#"{"id":"d","importMode":"delete"}"#).is_ok());
        assert!(from_line(br#"{"id":"d","moduleId":"m"}"#).is_ok());
        assert_eq!(from_line(b"{").unwrap_err().1.code, ErrorCode::IotHubFormatError);
    }

    #[test]
    fn progress_stays_below_a_hundred_until_the_end() {
        assert_eq!(
            (percent(0, 0), percent(1, 3), percent(3, 3), percent(9, 3)),
            (0, 33, 99, 99)
        );
    }
}
