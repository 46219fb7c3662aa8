//! Jobs: a twin change or a method for every match of a query, now or later (service.md 6).

use std::num::NonZeroU32;

use hub_client::{HubClient, IfMatch, JobFilter};
use hub_protocol::{
    ErrorCode, Timestamp,
    job::{DeviceJob, DeviceJobStatistics, DeviceJobStatus, JobRequest, JobResponse, JobStatus, JobType},
    method::MethodRequest,
    twin::TwinPatch,
};
use local_hub::{HubEvent, Limits, LocalHubConfig};
use reqwest::Method;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::broadcast::Receiver;

use crate::support::{
    id, object,
    process::ServedHub,
    raw_device::{METHODS, RESPONSES, RawDevice},
    soon,
    world::{World, create_devices, event},
};

fn patch(body: Value) -> TwinPatch {
    serde_json::from_value(body).unwrap()
}

fn ring(job_id: &str, condition: &str) -> JobRequest {
    JobRequest::update_twin(job_id, condition, patch(json!({ "tags": { "ring": 2 } })))
}

/// Each device is waited for that many seconds.
fn call(job_id: &str, condition: &str, connect: u32) -> JobRequest {
    let method = MethodRequest {
        connect_timeout_in_seconds: connect,
        ..MethodRequest::new("doIt", json!({ "of": job_id }))
    };
    JobRequest::device_method(job_id, condition, method)
}

fn in_seconds(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp(OffsetDateTime::now_utc() + Duration::seconds(seconds)))
}

/// The states a job goes through from now on, its last included.
async fn states(events: &mut Receiver<HubEvent>, job: &str) -> Vec<JobStatus> {
    let mut states = Vec::new();
    while !states.last().is_some_and(|status: &JobStatus| status.is_final()) {
        let status = event(events, "a job's next state", |event| match event {
            HubEvent::JobChanged { job_id, status } if job_id == job => Some(*status),
            _ => None,
        });
        states.push(status.await);
    }
    states
}

/// The first state of a job that is `fit`, asked for again and again: a hub in another process
/// tells no events.
async fn asked(client: &HubClient, job: &str, fit: impl Fn(&JobResponse) -> bool) -> JobResponse {
    soon("a state of a job", async {
        loop {
            let job = client.job(job).await.unwrap();
            if fit(&job) {
                return job;
            }
        }
    })
    .await
}

async fn rows(client: &HubClient, job: &str) -> Vec<DeviceJob> {
    let mut rows = Vec::new();
    let mut pages = client.devices_of_job(job).unwrap();
    while let Some(page) = pages.next_page().await.unwrap() {
        rows.extend(page);
    }
    rows
}

fn row<'a>(rows: &'a [DeviceJob], device: &str) -> &'a DeviceJob {
    rows.iter().find(|row| row.device_id.as_str() == device).unwrap()
}

fn error_code(row: &DeviceJob) -> &str {
    row.error.as_ref().map_or("none", |error| &error.code)
}

fn done(succeeded: u64, failed: u64) -> Option<DeviceJobStatistics> {
    Some(DeviceJobStatistics {
        device_count: succeeded + failed,
        succeeded_count: succeeded,
        failed_count: failed,
        ..DeviceJobStatistics::default()
    })
}

#[tokio::test]
async fn jb_1_a_twin_job_goes_from_queued_to_completed_and_its_rows_are_queried() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        let device = world.device(name).await.device_id;
        let hall = if name == "c" { "C" } else { "B" };
        let tags = TwinPatch::tags(object(json!({ "hall": hall, "old": true })));
        world.client.update_twin(&device, &tags, IfMatch::None).await.unwrap();
    }
    let mut events = world.hub.subscribe();
    let change = json!({ "tags": { "ring": 2, "old": null }, "properties": { "desired": { "interval": 60 } } });
    let request = JobRequest::update_twin("fw-42", "tags.hall = 'B'", patch(change));
    let created = world.client.create_job(&request).await.unwrap();
    assert_eq!(
        (created.status, created.kind),
        (JobStatus::Queued, JobType::ScheduleUpdateTwin)
    );
    assert_eq!(created.device_job_statistics, None, "nobody was chosen yet");
    assert_eq!(
        states(&mut events, "fw-42").await,
        [JobStatus::Queued, JobStatus::Running, JobStatus::Completed]
    );

    let job = world.client.job("fw-42").await.unwrap();
    assert_eq!(
        (job.status, job.device_job_statistics),
        (JobStatus::Completed, done(2, 0))
    );
    assert_eq!(job.query_condition.as_deref(), Some("tags.hall = 'B'"));
    assert_eq!(job.max_execution_time_in_seconds, Some(3600));
    assert_eq!(job.update_twin.unwrap()["etag"], "*");
    assert!(job.created_time <= job.start_time && job.start_time <= job.end_time);
    for name in ["a", "b"] {
        let twin = world.twin(&id(name)).await;
        assert_eq!(json!(twin.tags), json!({ "hall": "B", "ring": 2 }));
        assert_eq!(json!(twin.properties.desired.values), json!({ "interval": 60 }));
        assert_eq!(twin.properties.desired.version, 2, "written once");
    }
    assert!(!world.twin(&id("c")).await.tags.contains_key("ring"));

    let rows = rows(&world.client, "fw-42").await;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(
            (row.status, row.job_type),
            (DeviceJobStatus::Completed, JobType::ScheduleUpdateTwin)
        );
        assert!(row.created_date_time_utc.is_some() && row.start_time_utc <= row.end_time_utc);
        assert_eq!((row.outcome, row.error, row.module_id), (None, None, None));
    }
}

#[tokio::test]
async fn jb_2_an_unknown_job_is_told_as_unknown_a_used_id_is_refused_and_a_twin_needs_an_etag() {
    let world = World::start().await;
    let unknown = world.call(Method::GET, "/jobs/v2/nothing", &[], String::new()).await;
    assert_eq!(unknown.status, 200);
    assert_eq!(
        unknown.body,
        json!({ "jobId": "nothing", "type": "unknown", "status": "unknown" })
    );

    world.client.create_job(&ring("twice", "*")).await.unwrap();
    let again = world.client.create_job(&ring("twice", "*")).await.unwrap_err();
    assert_eq!(
        (again.status(), again.code()),
        (Some(409), Some(ErrorCode::JobAlreadyExists))
    );

    let good = json!({ "jobId": "j", "type": "ScheduleUpdateTwin", "queryCondition": "*",
        "updateTwin": { "etag": "*", "tags": { "a": 1 } } });
    for (path, change) in [
        ("j", json!({ "updateTwin": { "etag": null } })),
        ("j", json!({ "updateTwin": { "etag": "AAAAAAAAAAE=" } })),
        ("j", json!({ "updateTwin": null })),
        ("j", json!({ "updateTwin": { "tags": { "a.b": 1 } } })),
        ("j", json!({ "type": "export" })),
        (
            "j",
            json!({ "type": "scheduleDeviceMethod", "cloudToDeviceMethod": { "methodName": "a/b" } }),
        ),
        ("j", json!({ "queryCondition": null })),
        ("j", json!({ "jobId": "other" })),
        ("j", json!({ "startTime": in_seconds(168 * 3600 + 60) })),
        ("j", json!({ "startTime": "tomorrow" })),
        ("j", json!({ "maxExecutionTimeInSeconds": -1 })),
        ("Capital", json!({ "jobId": "Capital" })),
        ("under_score", json!({ "jobId": null })),
    ] {
        let mut body = object(good.clone());
        hub_protocol::merge::merge(&mut body, &object(change.clone()));
        let path = format!("/jobs/v2/{path}");
        let answer = world
            .call(Method::PUT, &path, &[], Value::Object(body).to_string())
            .await;
        let code = answer.header("iothub-errorcode");
        assert_eq!((answer.status, code), (400, Some("ArgumentInvalid")), "{change}");
    }
    let mut body = good;
    body["startTime"] = json!(in_seconds(168 * 3600 - 60));
    let answer = world.call(Method::PUT, "/jobs/v2/j", &[], body.to_string()).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("scheduled")));
}

#[tokio::test]
async fn jb_3_a_job_of_the_next_hour_is_cancelled_and_a_completed_one_cannot_be() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let mut events = world.hub.subscribe();
    let later = JobRequest {
        start_time: in_seconds(3600),
        ..ring("later", "*")
    };
    assert_eq!(
        world.client.create_job(&later).await.unwrap().status,
        JobStatus::Scheduled
    );
    let cancelled = world.client.cancel_job("later").await.unwrap();
    assert_eq!(
        (cancelled.status, cancelled.device_job_statistics),
        (JobStatus::Cancelled, None)
    );
    assert_eq!(world.client.job("later").await.unwrap(), cancelled);

    world.client.create_job(&ring("now", "*")).await.unwrap();
    states(&mut events, "now").await;
    let code = async |job: &str| {
        let error = world.client.cancel_job(job).await.unwrap_err();
        (error.status(), error.code())
    };
    let refused = (Some(405), Some(ErrorCode::OperationNotAllowedInCurrentState));
    assert_eq!(code("now").await, refused);
    assert_eq!(code("later").await, refused, "cancelled is over, too");
    assert_eq!(code("nothing").await, (Some(404), Some(ErrorCode::JobNotFound)));
    assert_eq!(world.twin(&device).await.properties.desired.version, 1);
}

#[tokio::test]
async fn a_running_job_cannot_be_cancelled() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    let mut events = world.hub.subscribe();
    world.client.create_job(&call("rb-1", "*", 0)).await.unwrap();
    let (_, request, _) = raw.call().await;
    let statistics = world.client.job("rb-1").await.unwrap().device_job_statistics.unwrap();
    assert_eq!((statistics.device_count, statistics.running_count), (1, 1));
    let refused = world.client.cancel_job("rb-1").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::OperationNotAllowedInCurrentState));
    raw.answer(&request, 200, &Value::Null).await;
    assert_eq!(states(&mut events, "rb-1").await.last(), Some(&JobStatus::Completed));
}

#[tokio::test]
async fn jb_4_jobs_are_listed_by_type_and_status_in_any_case_and_page_by_page() {
    let world = World::start().await;
    let mut events = world.hub.subscribe();
    for number in 0..5 {
        world
            .client
            .create_job(&ring(&format!("twin-{number}"), "*"))
            .await
            .unwrap();
        states(&mut events, &format!("twin-{number}")).await;
    }
    world.client.create_job(&call("method", "*", 0)).await.unwrap();
    let later = JobRequest {
        start_time: in_seconds(3600),
        ..ring("later", "*")
    };
    world.client.create_job(&later).await.unwrap();

    let list = async |query: &str, headers: &[(&str, &str)]| {
        let path = format!("/jobs/v2/query{query}");
        let answer = world.call(Method::GET, &path, headers, String::new()).await;
        assert_eq!(
            (answer.status, answer.header("x-ms-item-type")),
            (200, Some("JobResponse"))
        );
        let token = answer.header("x-ms-continuation").map(str::to_owned);
        let jobs: Vec<JobResponse> = serde_json::from_value(answer.body).unwrap();
        (jobs.into_iter().map(|job| job.job_id).collect::<Vec<_>>(), token)
    };
    let twins = ["later", "twin-0", "twin-1", "twin-2", "twin-3", "twin-4"];
    assert_eq!(list("?jobType=ScheduleUpdateTwin", &[]).await.0, twins);
    assert_eq!(
        list("?jobtype=scheduleupdatetwin&JOBSTATUS=Scheduled", &[]).await.0,
        ["later"]
    );
    assert_eq!(list("?jobType=scheduleDeviceMethod", &[]).await.0, ["method"]);
    assert_eq!(list("?jobType=export", &[]).await.0, [""; 0]);
    assert_eq!(list("", &[]).await.0.len(), 7);

    let (mut pages, mut token) = (Vec::new(), None);
    loop {
        let mut headers = vec![("x-ms-max-item-count", "4")];
        headers.extend(token.iter().map(|token: &String| ("x-ms-continuation", token.as_str())));
        let (page, next) = list("?jobType=scheduleUpdateTwin", &headers).await;
        pages.push(page);
        token = next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(pages.concat(), twins);

    let filter = JobFilter {
        kind: Some(JobType::ScheduleUpdateTwin),
        status: Some(JobStatus::Completed),
    };
    let mut read = world.client.jobs(filter);
    assert_eq!(read.next_page().await.unwrap().unwrap().len(), 5);
    assert_eq!(read.next_page().await.unwrap(), None);
}

#[tokio::test]
async fn a_method_job_completes_with_answers_kept_and_offline_devices_failed() {
    let world = World::start().await;
    let (first, second) = (world.device("first").await, world.device("second").await);
    world.device("offline").await;
    let mut events = world.hub.subscribe();
    let (mut first, mut second) = (world.connect(&first).await, world.connect(&second).await);
    first.subscribe(&[METHODS]).await;
    second.subscribe(&[METHODS]).await;
    let condition = "deviceId IN ['first', 'second', 'offline']";
    world.client.create_job(&call("rb-1", condition, 0)).await.unwrap();
    for (raw, status) in [(&mut first, 200), (&mut second, 503)] {
        let (name, request, payload) = raw.call().await;
        assert_eq!((name.as_str(), payload), ("doIt", json!({ "of": "rb-1" })));
        raw.answer(&request, status, &json!({ "ok": status })).await;
    }
    assert_eq!(states(&mut events, "rb-1").await.last(), Some(&JobStatus::Completed));
    let job = world.client.job("rb-1").await.unwrap();
    assert_eq!(job.device_job_statistics, done(2, 1));
    assert_eq!(job.cloud_to_device_method.unwrap()["methodName"], "doIt");

    let rows = rows(&world.client, "rb-1").await;
    for (device, status) in [("first", 200), ("second", 503)] {
        let row = row(&rows, device);
        let answer = row.outcome.as_ref().unwrap().device_method_response.as_ref().unwrap();
        assert_eq!((answer.status, &answer.payload), (status, &json!({ "ok": status })));
        assert_eq!(row.status, DeviceJobStatus::Completed, "it had its answer");
    }
    let offline = row(&rows, "offline");
    assert_eq!(
        (offline.status, error_code(offline)),
        (DeviceJobStatus::Failed, "DeviceNotOnline")
    );
    assert!(offline.outcome.is_none());
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_taken_and_the_job_fails_with_its_reason() {
    let world = World::start().await;
    let mut events = world.hub.subscribe();
    let created = world
        .client
        .create_job(&ring("bad", "tags.hall ==== 'B'"))
        .await
        .unwrap();
    assert_eq!(created.status, JobStatus::Queued);
    assert_eq!(states(&mut events, "bad").await, [JobStatus::Queued, JobStatus::Failed]);
    let job = world.client.job("bad").await.unwrap();
    assert!(job.failure_reason.unwrap().contains("query condition"));
    assert!(job.end_time.is_some());
}

#[tokio::test]
async fn a_job_without_a_match_completes_at_once_and_one_for_all_finds_all() {
    let world = World::start().await;
    world.device("d").await;
    let mut events = world.hub.subscribe();
    for (job, condition, count) in [("none", "tags.hall = 'Z'", 0), ("star", "*", 1), ("empty", "", 1)] {
        world.client.create_job(&ring(job, condition)).await.unwrap();
        assert_eq!(states(&mut events, job).await.last(), Some(&JobStatus::Completed));
        assert_eq!(
            world.client.job(job).await.unwrap().device_job_statistics,
            done(count, 0)
        );
    }
}

#[tokio::test]
async fn when_the_execution_time_is_over_a_silent_device_has_failed_and_so_has_the_job() {
    let world = World::start().await;
    let device = world.device("silent").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    let mut events = world.hub.subscribe();
    let request = JobRequest {
        max_execution_time_in_seconds: Some(1),
        ..call("short", "*", 0)
    };
    world.client.create_job(&request).await.unwrap();
    raw.call().await;
    assert_eq!(states(&mut events, "short").await.last(), Some(&JobStatus::Failed));
    let job = world.client.job("short").await.unwrap();
    assert_eq!(job.device_job_statistics, done(0, 1));
    assert!(job.failure_reason.unwrap().contains("execution time"));
    assert_eq!(error_code(&rows(&world.client, "short").await[0]), "GatewayTimeout");
}

#[tokio::test]
async fn a_hub_with_an_s1_unit_s_limits_runs_one_job_at_a_time_and_ten_devices_a_second() {
    let world = World::start_with(|config| LocalHubConfig {
        limits: Some(Limits::s1(NonZeroU32::MIN)),
        ..config
    })
    .await;
    let device = world.device("called").await;
    world.devices("other", 14).await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    let mut events = world.hub.subscribe();
    world
        .client
        .create_job(&call("first", "deviceId = 'called'", 0))
        .await
        .unwrap();
    let (_, request, _) = raw.call().await;
    let refused = world.client.create_job(&ring("second", "*")).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (Some(429), Some(ErrorCode::ThrottlingMaxActiveJobCountExceeded))
    );
    raw.answer(&request, 200, &Value::Null).await;
    states(&mut events, "first").await;
    world.client.create_job(&ring("second", "*")).await.unwrap();
    assert_eq!(states(&mut events, "second").await.last(), Some(&JobStatus::Completed));
    let job = world.client.job("second").await.unwrap();
    let took = job.end_time.unwrap().0 - job.created_time.unwrap().0;
    assert!(took > Duration::milliseconds(400), "fifteen devices took {took}");
}

#[tokio::test]
async fn a_scheduled_job_outlives_a_restart_and_starts_when_it_is_due() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let request = JobRequest {
        start_time: in_seconds(3),
        ..ring("later", "*")
    };
    world.client.create_job(&request).await.unwrap();
    let world = world.restart().await;
    let mut events = world.hub.subscribe();
    let kept = world.client.job("later").await.unwrap();
    assert_eq!((kept.status, kept.device_job_statistics), (JobStatus::Scheduled, None));
    assert_eq!(
        states(&mut events, "later").await,
        [JobStatus::Running, JobStatus::Completed]
    );
    let row = &rows(&world.client, "later").await[0];
    assert!(row.created_date_time_utc >= kept.start_time, "not a moment early");
    assert_eq!(world.twin(&device).await.tags["ring"], 2);
}

#[tokio::test]
async fn a_job_that_came_due_while_the_hub_was_down_starts_once_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut hub = ServedHub::start(dir.path()).await;
    let devices = create_devices(&hub.client, "d", 1).await;
    let request = JobRequest {
        start_time: in_seconds(2),
        ..JobRequest::update_twin("due", "*", patch(json!({ "properties": { "desired": { "n": 1 } } })))
    };
    hub.client.create_job(&request).await.unwrap();
    hub.process.kill().await.unwrap();
    // Nothing to wait for but the clock: the hub is down.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let hub = ServedHub::start(dir.path()).await;
    let job = asked(&hub.client, "due", |job| job.status.is_final()).await;
    assert_eq!(
        (job.status, job.device_job_statistics),
        (JobStatus::Completed, done(1, 0))
    );
    let twin = hub.client.twin(&devices[0].device_id).await.unwrap();
    assert_eq!(twin.properties.desired.version, 2, "written once");
}

#[tokio::test]
async fn after_a_kill_a_device_that_was_called_is_not_called_again_and_the_others_have_their_turn() {
    // As many as are called at once, and one whose turn has not come.
    const CALLED: usize = 64;
    let dir = tempfile::tempdir().unwrap();
    let mut hub = ServedHub::start(dir.path()).await;
    let devices = create_devices(&hub.client, "d", CALLED + 1).await;
    let mut silent = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    silent.connect(&devices[0], false).await;
    silent.subscribe(&[METHODS]).await;
    hub.client.create_job(&call("rb-1", "*", 30)).await.unwrap();
    silent.call().await;
    hub.process.kill().await.unwrap();

    let hub = ServedHub::start(dir.path()).await;
    let mut silent = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    silent.connect(&devices[0], true).await;
    silent.subscribe(&[METHODS, RESPONSES]).await;
    let mut last = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    last.connect(&devices[CALLED], true).await;
    last.subscribe(&[METHODS]).await;
    let (_, request, _) = last.call().await;
    last.answer(&request, 200, &Value::Null).await;

    let job = asked(&hub.client, "rb-1", |job| job.status.is_final()).await;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.device_job_statistics, done(1, CALLED as u64));
    let rows = rows(&hub.client, "rb-1").await;
    let called = row(&rows, devices[0].device_id.as_str());
    assert!(called.error.as_ref().unwrap().description.contains("not known"));
    // Were there a second call, it would come before this answer.
    silent.report("1", &json!({ "alive": true })).await;
}

/// Kills the hub while it writes the twins of a job, again and again.
#[tokio::test]
async fn a_twin_job_that_is_killed_on_its_way_writes_every_twin_exactly_once() {
    const DEVICES: usize = 3000;
    let dir = tempfile::tempdir().unwrap();
    let mut hub = ServedHub::start(dir.path()).await;
    let devices = create_devices(&hub.client, "d", DEVICES).await;
    let change = patch(json!({ "tags": { "ring": 2 }, "properties": { "desired": { "interval": 60 } } }));
    hub.client
        .create_job(&JobRequest::update_twin("all", "*", change))
        .await
        .unwrap();
    let mut kills = 0;
    let mut seen = 0;
    let job = loop {
        // A little further each time.
        let progress = |job: &JobResponse| job.device_job_statistics.map_or(0, |counts| counts.succeeded_count);
        let job = asked(&hub.client, "all", |job| job.status.is_final() || progress(job) > seen).await;
        assert!(progress(&job) >= seen, "what was done stays done");
        seen = progress(&job);
        if job.status.is_final() {
            break job;
        }
        hub.process.kill().await.unwrap();
        kills += 1;
        hub = ServedHub::start(dir.path()).await;
    };
    assert!(kills > 0, "the job was over before the first kill");
    assert_eq!(
        (job.status, job.device_job_statistics),
        (JobStatus::Completed, done(DEVICES as u64, 0))
    );
    let mut twins = hub.client.query("SELECT * FROM devices");
    let mut count = 0;
    while let Some(page) = twins.next_page().await.unwrap() {
        for twin in page {
            assert_eq!(
                (twin.properties.desired.version, twin.version),
                (2, 3),
                "{} was written once",
                twin.device_id
            );
            count += 1;
        }
    }
    assert_eq!(count, devices.len());
}

#[tokio::test]
async fn a_twin_job_of_a_thousand_devices_counts_every_one() {
    let world = World::start().await;
    world.devices("d", 1000).await;
    world.client.create_job(&ring("all", "*")).await.unwrap();
    let job = asked(&world.client, "all", |job| {
        let Some(counts) = job.device_job_statistics else {
            return false;
        };
        let parts = counts.succeeded_count + counts.failed_count + counts.running_count + counts.pending_count;
        assert_eq!((counts.device_count, parts), (1000, 1000), "at any moment");
        job.status.is_final()
    })
    .await;
    assert_eq!(
        (job.status, job.device_job_statistics),
        (JobStatus::Completed, done(1000, 0))
    );
    assert_eq!(world.client.count("tags.ring = 2").await.unwrap(), 1000);
    assert_eq!(rows(&world.client, "all").await.len(), 1000);
}

/// The tutorial: lock the doors of a building, then note it in their twins.
#[tokio::test]
async fn the_doors_of_a_building_are_locked_and_their_twins_changed_by_two_jobs() {
    let world = World::start().await;
    let fleet = world.fleet();
    let doors = world.running(&fleet, "door", 3, "lock-door").await;
    let other = world.running(&fleet, "other", 1, "lock-door").await.remove(0);
    for door in &doors {
        let tags = TwinPatch::tags(object(json!({ "building": 43 })));
        world.client.update_twin(door, &tags, IfMatch::None).await.unwrap();
    }
    let mut events = world.hub.subscribe();
    let lock = MethodRequest::new("lockDoor", json!({ "lockTime": "10m" }));
    let lock = JobRequest::device_method("lock-doors", "tags.building = 43", lock);
    let note = patch(json!({ "properties": { "desired": { "building": 43, "floor": 3 } } }));
    let note = JobRequest {
        start_time: in_seconds(1),
        ..JobRequest::update_twin("note-floor", "tags.building = 43", note)
    };
    world.client.create_job(&lock).await.unwrap();
    world.client.create_job(&note).await.unwrap();
    for _ in 0..2 {
        event(&mut events, "a job to complete", |event| match event {
            HubEvent::JobChanged {
                status: JobStatus::Completed,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    }
    for job in ["lock-doors", "note-floor"] {
        assert_eq!(world.client.job(job).await.unwrap().device_job_statistics, done(3, 0));
    }
    for door in &doors {
        let twin = world.twin(door).await;
        assert_eq!(twin.properties.reported.values["lock"]["lockTime"], "10m");
        assert_eq!(
            json!(twin.properties.desired.values),
            json!({ "building": 43, "floor": 3 })
        );
    }
    for row in rows(&world.client, "lock-doors").await {
        let answer = row.outcome.unwrap().device_method_response.unwrap();
        assert_eq!(
            (answer.status, answer.payload),
            (200, json!({ "Response": "Door locked" }))
        );
    }
    assert_eq!(world.twin(&other).await.properties.desired.version, 1);
    fleet.stop_all().await;
}
