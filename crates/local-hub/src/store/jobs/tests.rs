use std::sync::{Arc, Mutex};

use hub_protocol::{
    ClientId, DeviceId, ErrorCode, Timestamp,
    identity::{DeviceIdentity, Status},
    job::{DeviceJobStatistics, JobRequest, JobStatus, JobWork},
    method::{MethodRequest, MethodResponse},
    twin::TwinPatch,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Calls, RunningJob, get};
use crate::{
    events::HubEvent,
    store::{IfMatch, Store},
};

/// A store with devices `d00`, `d01` and so on.
struct Place {
    store: Store,
    told: Arc<Mutex<Vec<JobStatus>>>,
    _dir: TempDir,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_nanos(i128::from(1_900_000_000 + seconds) * 1_000_000_000)
}

fn name(number: usize) -> DeviceId {
    DeviceId::new(format!("d{number:02}")).unwrap()
}

fn counts(succeeded: u64, failed: u64, running: u64, pending: u64) -> Option<DeviceJobStatistics> {
    Some(DeviceJobStatistics {
        device_count: succeeded + failed + running + pending,
        failed_count: failed,
        succeeded_count: succeeded,
        running_count: running,
        pending_count: pending,
    })
}

impl Place {
    async fn with_devices(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let told = Arc::<Mutex<Vec<JobStatus>>>::default();
        let heard = told.clone();
        let store = Store::open(&dir.path().join("hub.db"), move |event| {
            if let HubEvent::JobChanged { status, .. } = event {
                heard.lock().unwrap().push(status);
            }
        })
        .unwrap();
        let create = store.write(move |transaction| {
            for number in 0..count {
                transaction.put_device(&DeviceIdentity::new(name(number)), &IfMatch::None, at(-60))?;
            }
            Ok(())
        });
        create.await.unwrap();
        Self { store, told, _dir: dir }
    }

    /// Made and started at second 0, with ten seconds to run.
    async fn started(&self, request: JobRequest) -> RunningJob {
        let request = JobRequest {
            max_execution_time_in_seconds: Some(10),
            ..request
        };
        let id = request.job_id.clone();
        let work = request.work().unwrap();
        let start = self.store.write(move |transaction| {
            transaction.create_job(&request, &work, at(0), None, at(0))?;
            transaction.start_next_job(at(0))?;
            transaction.resume_job(&id, at(0))
        });
        start.await.unwrap().unwrap()
    }

    async fn twin_job(&self) -> (Arc<RunningJob>, TwinPatch) {
        let patch: TwinPatch = serde_json::from_value(json!({ "tags": { "ring": 2 } })).unwrap();
        let job = self.started(JobRequest::update_twin("j", "*", patch)).await;
        let JobWork::Twin(patch) = job.work.clone() else {
            panic!("a twin job")
        };
        (job.into(), patch)
    }

    async fn method_job(&self) -> Arc<RunningJob> {
        let request = MethodRequest::new("reboot", Value::Null);
        self.started(JobRequest::device_method("j", "*", request)).await.into()
    }

    async fn update_twins(&self, job: &Arc<RunningJob>, patch: &TwinPatch, now: Timestamp) -> bool {
        let (job, patch) = (job.clone(), patch.clone());
        let write = self.store.write(move |t| t.update_twins(&job, &patch, 100, now));
        write.await.unwrap()
    }

    /// Tells that `answered` were; the ids to call next, or `None` when the job is over.
    async fn next_calls(
        &self,
        job: &Arc<RunningJob>,
        answered: &[ClientId],
        places: usize,
        now: Timestamp,
    ) -> Option<Vec<ClientId>> {
        let answer = || MethodResponse {
            status: 200,
            payload: Value::Null,
        };
        let answered = answered.iter().map(|id| (id.clone(), Ok(answer()))).collect();
        let job = job.clone();
        let write = self.store.write(move |t| t.next_calls(&job, answered, places, now));
        match write.await.unwrap() {
            Calls::Make(ids) => Some(ids),
            Calls::Over => None,
        }
    }

    async fn job(&self) -> (JobStatus, Option<DeviceJobStatistics>) {
        let job = self.store.read(|sql| get(sql, "j")).await.unwrap().unwrap();
        (job.status, job.device_job_statistics)
    }

    /// The error code of each row, `-` where there is none, in the order of devices.
    async fn errors(&self) -> Vec<String> {
        let read = self.store.read(|sql| {
            let text = "SELECT coalesce(json_extract(error, '$.code'), '-') FROM device_jobs ORDER BY device_id";
            let mut statement = sql.prepare(text)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        read.await.unwrap()
    }
}

#[tokio::test]
async fn a_device_deleted_or_disabled_while_the_job_runs_fails_alone() {
    let place = Place::with_devices(3).await;
    let (job, patch) = place.twin_job().await;
    let change = place.store.write(|transaction| {
        transaction.delete_device("d00", &IfMatch::Any)?;
        let disabled = DeviceIdentity {
            status: Status::Disabled,
            ..DeviceIdentity::new(name(1))
        };
        transaction.put_device(&disabled, &IfMatch::Any, at(1))
    });
    change.await.unwrap();
    assert!(place.update_twins(&job, &patch, at(2)).await);
    assert_eq!(place.errors().await, ["DeviceNotFound", "DeviceDisabled", "-"]);
    assert_eq!(place.job().await, (JobStatus::Completed, counts(1, 2, 0, 0)));
    let tags = async |number| {
        let id = ClientId::device(name(number));
        place
            .store
            .read(move |sql| crate::store::get_twin(sql, &id))
            .await
            .unwrap()
            .tags
    };
    assert!(tags(1).await.is_empty(), "what failed left nothing");
    assert_eq!(tags(2).await["ring"], 2);
}

#[tokio::test]
async fn a_device_made_after_the_start_has_no_part_in_the_job() {
    let place = Place::with_devices(1).await;
    let (job, patch) = place.twin_job().await;
    let create = place
        .store
        .write(|t| t.put_device(&DeviceIdentity::new(name(7)), &IfMatch::None, at(1)));
    create.await.unwrap();
    assert!(place.update_twins(&job, &patch, at(2)).await);
    assert_eq!(place.job().await, (JobStatus::Completed, counts(1, 0, 0, 0)));
}

#[tokio::test]
async fn calls_are_claimed_once_and_the_job_is_over_with_the_last_answer() {
    let place = Place::with_devices(3).await;
    let job = place.method_job().await;
    let first = place.next_calls(&job, &[], 2, at(1)).await.unwrap();
    assert_eq!(first, [name(0).into(), name(1).into()]);
    assert_eq!(place.job().await, (JobStatus::Running, counts(0, 0, 2, 1)));
    let last = place.next_calls(&job, &first[..1], 2, at(2)).await.unwrap();
    assert_eq!(last, [name(2).into()]);
    assert_eq!(
        place.next_calls(&job, &[], 1, at(3)).await,
        Some(Vec::new()),
        "two are under way"
    );
    assert_eq!(
        place
            .next_calls(&job, &[name(1).into(), name(2).into()], 64, at(4))
            .await,
        None
    );
    assert_eq!(place.job().await, (JobStatus::Completed, counts(3, 0, 0, 0)));
    use JobStatus::{Completed, Queued, Running};
    assert_eq!(*place.told.lock().unwrap(), [Queued, Running, Completed]);
}

#[tokio::test]
async fn a_job_that_is_resumed_gives_up_calls_under_way_and_keeps_the_rest() {
    let place = Place::with_devices(3).await;
    let job = place.method_job().await;
    place.next_calls(&job, &[], 2, at(1)).await;
    let resume = place.store.write(|t| t.resume_job("j", at(5)));
    let again = Arc::new(resume.await.unwrap().unwrap());
    assert_eq!(again.deadline, job.deadline, "a restart gives no more time");
    assert_eq!(place.errors().await, ["ServiceUnavailable", "ServiceUnavailable", "-"]);
    assert_eq!(
        place.next_calls(&again, &[], 64, at(6)).await,
        Some(vec![name(2).into()])
    );
}

#[tokio::test]
async fn when_the_time_is_over_answers_count_calls_fail_and_the_rest_is_canceled() {
    let place = Place::with_devices(3).await;
    let job = place.method_job().await;
    let calls = place.next_calls(&job, &[], 2, at(1)).await.unwrap();
    assert_eq!(place.next_calls(&job, &calls[..1], 64, at(10)).await, None);
    assert_eq!(place.errors().await, ["-", "GatewayTimeout", "JobCancelled"]);
    assert_eq!(place.job().await, (JobStatus::Failed, counts(1, 2, 0, 0)));
    let resume = place.store.write(|t| t.resume_job("j", at(11)));
    assert!(resume.await.unwrap().is_none(), "it is over");
}

#[tokio::test]
async fn a_twin_job_taken_up_after_its_time_writes_nothing_more() {
    let place = Place::with_devices(2).await;
    let (job, patch) = place.twin_job().await;
    assert!(place.update_twins(&job, &patch, at(10)).await);
    assert_eq!(place.errors().await, ["JobCancelled", "JobCancelled"]);
    assert_eq!(place.job().await, (JobStatus::Failed, counts(0, 2, 0, 0)));
}

#[tokio::test]
async fn a_job_waits_for_its_time_and_is_started_once() {
    let place = Place::with_devices(1).await;
    let request = JobRequest::device_method("j", "*", MethodRequest::new("m", Value::Null));
    let work = request.work().unwrap();
    let create = place
        .store
        .write(move |t| t.create_job(&request, &work, at(60), None, at(0)));
    assert_eq!(create.await.unwrap().status, JobStatus::Scheduled);
    for (now, expected) in [
        (59, JobStatus::Scheduled),
        (60, JobStatus::Running),
        // The clock was set back, and comes by again.
        (30, JobStatus::Running),
        (61, JobStatus::Running),
    ] {
        place.store.write(move |t| t.start_next_job(at(now))).await.unwrap();
        assert_eq!(place.job().await.0, expected, "second {now}");
    }
    assert_eq!(place.job().await.1, counts(0, 0, 0, 1));
}

#[tokio::test]
async fn a_job_is_forgotten_thirty_days_after_its_end_with_its_rows() {
    const DAY: i64 = 24 * 3600;
    let place = Place::with_devices(1).await;
    let (job, patch) = place.twin_job().await;
    place.update_twins(&job, &patch, at(0)).await;
    assert!(!place.store.write(|t| t.prune_job(at(30 * DAY))).await.unwrap());
    assert!(place.store.write(|t| t.prune_job(at(30 * DAY + 1))).await.unwrap());
    assert!(place.store.read(|sql| get(sql, "j")).await.unwrap().is_none());
    assert!(place.errors().await.is_empty());
    assert!(!place.store.write(|t| t.prune_job(at(90 * DAY))).await.unwrap());
}

#[tokio::test]
async fn a_limit_counts_jobs_to_be_started_at_once_and_not_those_for_later() {
    let place = Place::with_devices(0).await;
    let create = async |id: &str, start: i64| {
        let request = JobRequest::device_method(id, "*", MethodRequest::new("m", Value::Null));
        let work = request.work().unwrap();
        let create = place
            .store
            .write(move |t| t.create_job(&request, &work, at(start), Some(1), at(0)));
        create.await.map(|job| job.status).map_err(|error| error.code)
    };
    assert_eq!(create("later", 60).await, Ok(JobStatus::Scheduled));
    assert_eq!(create("first", 0).await, Ok(JobStatus::Queued));
    assert_eq!(
        create("more", 0).await,
        Err(ErrorCode::ThrottlingMaxActiveJobCountExceeded)
    );
    assert_eq!(create("later-too", 60).await, Ok(JobStatus::Scheduled));
}
