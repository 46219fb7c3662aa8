//! What a job would do, before it does anything.

use std::time::Duration;

use super::{Board, PackageOrder, condition_of, rates, storage, target, work};
use crate::{
    error::{AppError, Code, Result},
    open_hub::count,
    view::{JobKind, JobPreview, JobRunner, JobTarget, JobWork},
};

/// Sample of a preview.
const SAMPLE: usize = 5;

impl Board {
    /// What a job would do now. A wrong query or wrong work is told in it, not as an error: the
    /// person is still typing.
    pub async fn preview(&self, work: JobWork, target: JobTarget, runner: JobRunner) -> JobPreview {
        let (board, kind) = (self.clone(), work.kind());
        let look = tokio::task::spawn_blocking(move || board.look_ahead(&work, &target, runner));
        let nothing = |problem: AppError| JobPreview {
            count: 0,
            connected: 0,
            sample: Vec::new(),
            estimated_seconds: None,
            notes: Vec::new(),
            differences: Vec::new(),
            unchanged: 0,
            problem: Some(problem),
        };
        match look.await {
            Ok(Ok(preview)) => match self.estimate(kind, runner, preview.count).await {
                Ok(estimated_seconds) => JobPreview {
                    estimated_seconds,
                    ..preview
                },
                Err(problem) => nothing(problem),
            },
            Ok(Err(problem)) => nothing(problem),
            Err(error) => nothing(AppError::new(Code::Internal, "The preview failed.").details(error)),
        }
    }

    /// Seconds by the hub's rates, where it has any, and by what devices took before.
    pub(super) async fn estimate(&self, kind: JobKind, runner: JobRunner, devices: u32) -> Result<Option<u32>> {
        if !self.0.rates.is_limited() {
            return Ok(None);
        }
        let typical = match kind.followed() {
            Some(_) => {
                self.store(move |sql, hub_id| storage::typical_seconds(sql, hub_id, kind))
                    .await?
            }
            None => None,
        };
        let typical = Duration::try_from_secs_f64(typical.unwrap_or_default()).unwrap_or_default();
        let seconds = u32::try_from(typical.as_secs()).unwrap_or(u32::MAX);
        Ok(Some(rates::estimate(kind, runner, devices).saturating_add(seconds)))
    }

    fn look_ahead(&self, work: &JobWork, target: &JobTarget, runner: JobRunner) -> Result<JobPreview> {
        let entries = target::entries(&self.0.table, target)?;
        // A package is chosen later; anything will do to see whether the rest is right.
        let any = PackageOrder {
            uri: "https://example.com/package".into(),
            sha256: None,
        };
        let act = work.act(Some(&any));
        // Picked ids that are gone count too: they fail with their reason.
        let devices = match target {
            JobTarget::Devices { .. } => count(target::resolve(&self.0.table, target)?.len()),
            JobTarget::Query { .. } => count(entries.len()),
        };
        let gone = devices - count(entries.len());
        let (differences, unchanged) = match &act {
            Ok(work::Act::Twin(patch)) => target::differences(&entries, patch),
            _ => (Vec::new(), 0),
        };
        let connected = count(target::connected(&entries));
        let mut notes = Vec::new();
        let offline = devices - gone - connected;
        if offline > 0 && matches!(act, Ok(work::Act::Method(_))) {
            notes.push(match (runner, offline) {
                (JobRunner::Hub, 1) => "1 device is offline: the hub counts it as failed.".into(),
                (JobRunner::Hub, _) => format!("{offline} devices are offline: the hub counts them as failed."),
                (JobRunner::Here, 1) => "1 device is offline: it is asked when it comes back.".into(),
                (JobRunner::Here, _) => format!("{offline} devices are offline: they are asked when they come back."),
            });
        }
        match gone {
            0 => {}
            1 => notes.push("1 of the ids is not on this hub.".into()),
            _ => notes.push(format!("{gone} of the ids are not on this hub.")),
        }
        let problem = match (act, runner) {
            (Err(problem), _) => Some(problem),
            (Ok(_), JobRunner::Hub) => work
                .request("preview", "*")
                .err()
                .or_else(|| condition_of(target).err()),
            (Ok(_), JobRunner::Here) => None,
        };
        Ok(JobPreview {
            count: devices,
            connected,
            sample: entries
                .iter()
                .take(SAMPLE)
                .map(|entry| entry.twin.device_id.to_string())
                .collect(),
            estimated_seconds: None,
            notes,
            differences,
            unchanged: count(unchanged),
            problem,
        })
    }
}
