//! `firmware update`: follows devices to the end of their update.

use std::{sync::Arc, time::Duration};

use hub_protocol::{DeviceId, Timestamp};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use twindeck_app::{
    AppError, Code,
    firmware::{self, Attempt, Attempts, Firmware},
    package_server::PackageServer,
    packages::{self, Imported},
    table::DeviceTable,
    view::{UpdateStage, UpdateState},
    watch::{self, Source},
};

use crate::{
    arguments::{self, Package, Targets},
    connection::{Connection, Target},
    failure::{Failure, Result},
    output::Output,
    progress::Progress,
    stop::Stop,
};

pub(crate) async fn run(command: arguments::Firmware, connection: &Connection, output: Output) -> Result<()> {
    let arguments::Firmware::Update(arguments) = command;
    let package = ServedPackage::open(arguments.package).await?;
    let target = connection.open()?;
    let mut stop = Stop::listen()?;
    let pause = if target.is_on_this_machine() {
        Duration::from_millis(500)
    } else {
        watch::REMOTE_PAUSE
    };
    let ids = tokio::select! {
        () = stop.requested() => return Ok(()),
        ids = resolve(&target, &arguments.targets) => ids?,
    };
    let update = Update {
        target: &target,
        source: Source::Query { pause },
        firmware: package.firmware.clone(),
        ids,
    };
    update.run(&mut stop, output).await
}

/// The package of an update; the server of ours lives as long as this.
pub(crate) struct ServedPackage {
    pub(crate) firmware: Firmware,
    _served: Option<(PackageServer, TempDir)>,
}

impl ServedPackage {
    pub(crate) async fn open(package: Package) -> Result<Self> {
        if let Some(uri) = package.uri {
            if !uri.starts_with("http://") && !uri.starts_with("https://") {
                let text = "The package's URI must begin with http:// or https://.";
                return Err(Failure::usage(text, "Devices download the package from there."));
            }
            return Ok(Self {
                firmware: Firmware { uri, sha256: None },
                _served: None,
            });
        }
        let file = package.package.unwrap_or_default();
        let dir = temporary_dir()?;
        let imported = packages::import(&file, dir.path())
            .await
            .map_err(|error| match error.code {
                Code::InvalidInput => Failure::Usage(error),
                _ => Failure::Failed(error),
            })?;
        let (server, firmware) = serve(&dir, &imported).await?;
        Ok(Self {
            firmware,
            _served: Some((server, dir)),
        })
    }
}

pub(crate) fn temporary_dir() -> Result<TempDir> {
    tempfile::tempdir().map_err(|error| {
        AppError::new(Code::Storage, format!("No temporary folder can be made: {error}."))
            .hint("Check that the disk has room, or set TMPDIR.")
            .into()
    })
}

pub(crate) async fn serve(dir: &TempDir, imported: &Imported) -> Result<(PackageServer, Firmware)> {
    let server = PackageServer::start(dir.path().to_owned()).await?;
    let firmware = Firmware {
        uri: server.uri(&imported.sha256, &imported.name),
        sha256: Some(imported.sha256.clone()),
    };
    Ok((server, firmware))
}

/// The devices meant. All named ones must exist: an update of some would be half done.
async fn resolve(target: &Target, targets: &Targets) -> Result<Vec<DeviceId>> {
    let mut ids = Vec::new();
    if let Some(query) = &targets.query {
        let mut pages = target.client.query(whole_query(query));
        while let Some(page) = pages.next_page().await? {
            ids.extend(page.into_iter().map(|twin| twin.device_id));
        }
        if ids.is_empty() {
            let error = AppError::new(Code::NotFound, "The query finds no device.");
            return Err(error
                .hint("Nothing was started. Try the query with twindeckctl device list.")
                .into());
        }
    } else {
        for id in &targets.devices {
            let twin = target.client.twin(id).await.map_err(|error| {
                let error = AppError::from(error);
                let message = format!("{id}: {} Nothing was started.", error.message);
                Failure::Failed(AppError { message, ..error })
            })?;
            ids.push(twin.device_id);
        }
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn whole_query(query: &str) -> String {
    let query = query.trim();
    if query.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select")) {
        query.to_owned()
    } else {
        format!("SELECT * FROM devices WHERE {query}")
    }
}

pub(crate) struct Update<'a> {
    pub(crate) target: &'a Target,
    /// How changes of the twins are learnt.
    pub(crate) source: Source,
    pub(crate) firmware: Firmware,
    pub(crate) ids: Vec<DeviceId>,
}

impl Update<'_> {
    /// A first request to stop keeps devices that have not begun from beginning; a second ends
    /// this program, and devices under way finish unwatched.
    pub(crate) async fn run(self, stop: &mut Stop, output: Output) -> Result<()> {
        let table = Arc::new(DeviceTable::default());
        let ended = CancellationToken::new();
        let _ends_watch = ended.clone().drop_guard();
        watch_table(self.target, &table, self.source, &ended).await?;

        let cancel = CancellationToken::new();
        let progress = Progress::new(&self.ids, output);
        let begun = Timestamp(time::OffsetDateTime::now_utc());
        let attempts: Attempts = self.ids.into_iter().map(|id| (id, Attempt::queued(begun))).collect();
        let client = self.target.client.clone();
        let running = firmware::run(client, table, self.firmware, attempts, &progress, cancel.clone());
        let mut running = std::pin::pin!(running);
        let attempts = loop {
            tokio::select! {
                attempts = &mut running => break attempts?,
                () = stop.requested() => {
                    if cancel.is_cancelled() {
                        return Err(AppError::new(Code::Internal, "Stopped before all devices had ended.").into());
                    }
                    cancel.cancel();
                    output.progress("Devices that have begun finish; the others are not started. Again to leave at once.");
                }
            }
        };
        progress.finish();
        summarise(&attempts, output)
    }
}

/// Returns once the table agrees with the hub.
async fn watch_table(
    target: &Target,
    table: &Arc<DeviceTable>,
    source: Source,
    ended: &CancellationToken,
) -> Result<()> {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let watching = watch::run(
        target.client.clone(),
        table.clone(),
        source,
        ended.clone(),
        move |reading| {
            // Only the first reading is waited for; later troubles pass or show as timeouts.
            let _ = told.send(reading);
        },
    );
    tokio::spawn(watching);
    match heard.recv().await {
        Some(reading) => Ok(reading?),
        None => Err(Failure::internal("The devices could not be read.")),
    }
}

fn summarise(attempts: &Attempts, output: Output) -> Result<()> {
    let counts = firmware::counts(attempts.values().map(|attempt| attempt.stage));
    let (succeeded, failed) = firmware::results(&counts);
    let summary = firmware::summary(&counts);
    let devices: Vec<_> = attempts
        .iter()
        .map(|(id, attempt)| json!({ "deviceId": id, "stage": attempt.stage, "reason": attempt.reason }))
        .collect();
    let value = json!({
        "summary": summary, "total": attempts.len(), "succeeded": succeeded, "failed": failed, "devices": devices,
    });
    output.result(|| text(attempts, &summary), &value)?;
    match firmware::final_state(&counts) {
        UpdateState::Completed => Ok(()),
        UpdateState::Cancelled => {
            Err(AppError::new(Code::Internal, "The update was stopped before all devices had begun.").into())
        }
        _ => Err(
            AppError::new(Code::Internal, format!("{failed} devices were not updated."))
                .hint("Their reasons stand above; mend them and update those devices again.")
                .into(),
        ),
    }
}

fn text(attempts: &Attempts, summary: &str) -> String {
    let mut lines = Vec::new();
    for (id, attempt) in attempts {
        if attempt.stage != UpdateStage::Completed {
            let stage = stage_name(attempt.stage);
            let reason = attempt.reason.as_deref().unwrap_or("no reason given");
            lines.push(format!("{id}: {stage}: {reason}"));
        }
    }
    lines.push(format!("{summary}."));
    lines.join("\n")
}

pub(crate) fn stage_name(stage: UpdateStage) -> &'static str {
    use UpdateStage as S;
    match stage {
        S::Queued => "queued",
        S::Dispatching => "calling",
        S::Accepted => "accepted",
        S::StandBy => "standing by",
        S::Downloading => "downloading",
        S::Applying => "applying",
        S::Completed => "completed",
        S::Failed => "failed",
        S::TimedOut => "timed out",
        S::Cancelled => "not started",
        S::Uncertain => "uncertain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_becomes_a_whole_query() {
        assert_eq!(
            whole_query(" tags.hall = 'B'"),
            "SELECT * FROM devices WHERE tags.hall = 'B'"
        );
        assert_eq!(whole_query("select * FROM devices"), "select * FROM devices");
    }

    #[test]
    fn the_result_names_those_that_failed_and_why() {
        let begun = Timestamp::NEVER;
        let mut failed = Attempt::queued(begun);
        failed.stage = UpdateStage::Failed;
        failed.reason = Some("The device is not connected".into());
        let mut completed = Attempt::queued(begun);
        completed.stage = UpdateStage::Completed;
        let id = |text: &str| DeviceId::new(text).unwrap();
        let attempts = Attempts::from([(id("a"), completed), (id("b"), failed)]);
        assert_eq!(
            text(&attempts, "1 of 2 devices updated, 1 failed"),
            "b: failed: The device is not connected\n1 of 2 devices updated, 1 failed."
        );
    }
}
