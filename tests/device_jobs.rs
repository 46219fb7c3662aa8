//! Jobs over many devices, run here or by the hub, seen from the hub's side.

use std::{num::NonZeroU32, time::Instant};

use device_sim::SimulatedDevice;
use hub_protocol::DeviceId;
use local_hub::Limits;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use twindeck_app::{
    db::Db,
    jobs::{Board, Ground, PackageOrder},
    view::{
        Job, JobDevice, JobDeviceFilter, JobFilter, JobKind, JobPhase, JobRunner, JobState, JobTarget, JobWork, NewJob,
        PackageSource,
    },
    watch::Source,
};

use crate::support::{
    soon,
    update::{Packages, Watched, watch},
    world::{World, simulated, start_all},
};

/// The jobs of a world's hub, and news of them.
struct Jobs {
    board: Board,
    news: mpsc::UnboundedReceiver<String>,
    _watched: Watched,
    _stop: DropGuard,
}

async fn jobs(world: &World) -> Jobs {
    jobs_with(world, false).await
}

async fn jobs_with(world: &World, is_limited: bool) -> Jobs {
    let watched = watch(&world.client, Source::Events(world.hub.subscribe())).await;
    let (told, news) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let ground = Ground {
        hub_id: "local".into(),
        client: world.client.clone(),
        table: watched.table.clone(),
        db: Db::open(&world.dir.path().join("app.db")).unwrap(),
        locks: world.dir.path().join("locks"),
        is_limited,
        is_remote: false,
        stop: stop.clone(),
    };
    let board = Board::new(ground, move |id| drop(told.send(id.to_owned())), |_, _| {});
    board.resume(async |_| None).await.unwrap();
    tokio::spawn({
        let board = board.clone();
        async move { board.follow_hub().await }
    });
    Jobs {
        board,
        news,
        _watched: watched,
        _stop: stop.drop_guard(),
    }
}

impl Jobs {
    async fn start(&self, new: NewJob) -> Job {
        self.board.create(new, None).await.unwrap()
    }

    async fn until(&mut self, id: &str, mut holds: impl FnMut(&Job) -> bool) -> Job {
        soon(&format!("job {id}"), async {
            loop {
                let job = self.board.get(id.to_owned()).await.unwrap();
                if holds(&job) {
                    return job;
                }
                self.news.recv().await.unwrap();
            }
        })
        .await
    }

    async fn ended(&mut self, id: &str) -> Job {
        self.until(id, |job| job.ended_at.is_some()).await
    }

    async fn devices(&self, id: &str) -> Vec<JobDevice> {
        let page = self
            .board
            .devices(id.to_owned(), JobDeviceFilter::default(), 0, 1000)
            .await;
        page.unwrap().devices
    }
}

fn here(work: JobWork, target: JobTarget) -> NewJob {
    NewJob {
        work,
        target,
        runner: JobRunner::Here,
        start_at: None,
        max_minutes: 5,
        expected: None,
    }
}

fn on_hub(work: JobWork, condition: &str) -> NewJob {
    NewJob {
        runner: JobRunner::Hub,
        ..here(work, query(condition))
    }
}

fn query(condition: &str) -> JobTarget {
    JobTarget::Query {
        condition: condition.into(),
    }
}

fn picked(ids: &[DeviceId]) -> JobTarget {
    JobTarget::Devices {
        ids: ids.iter().map(ToString::to_string).collect(),
    }
}

fn lock_door() -> JobWork {
    JobWork::InvokeMethod {
        method_name: "lockDoor".into(),
        payload: json!({ "lockTime": "10m" }),
        response_timeout_seconds: 30,
        connect_timeout_seconds: 0,
    }
}

fn building() -> JobWork {
    JobWork::UpdateTwin {
        tags: None,
        desired: Some(json!({ "building": 43, "floor": 3 })),
    }
}

#[tokio::test]
async fn six_devices_update_their_firmware_as_seven_jobs() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    world.running(&fleet, "pump", 6, "device-jobs").await;
    let mut jobs = jobs(&world).await;
    let uri = packages.firmware().uri;
    let order = PackageOrder {
        uri: uri.clone(),
        sha256: packages.firmware().sha256,
    };
    let work = JobWork::FirmwareUpdate {
        package: PackageSource::Uri { uri },
        version: Some("2.0.0".into()),
    };
    let parent = jobs.board.create(here(work, query("")), Some(order)).await.unwrap();
    let ended = jobs.ended(&parent.id).await;
    assert_eq!(ended.state, JobState::Completed);
    assert_eq!(ended.status_message, "Devices: 6; Succeeded: 6; Failed: 0");
    let children = jobs.devices(&parent.id).await;
    assert_eq!(children.len(), 6);
    for child in &children {
        use JobPhase::{Accepted, Applying, Done, Downloading, Rebooting, Reconnected};
        let phases: Vec<JobPhase> = child.phases.iter().map(|seen| seen.phase).collect();
        assert_eq!(
            phases,
            [Accepted, Downloading, Applying, Rebooting, Reconnected, Done],
            "{}",
            child.id
        );
        let twin = world.twin(&crate::support::id(&child.device_id)).await;
        assert_eq!(twin.properties.reported.values["firmware"]["version"], "2.0.0");
    }
}

#[tokio::test]
async fn the_other_five_device_jobs_end_well_and_tell_what_came_of_them() {
    let world = World::start().await;
    let fleet = world.fleet();
    let ids = world.running(&fleet, "pump", 6, "device-jobs").await;
    let mut jobs = jobs(&world).await;
    for (work, expected) in [
        (JobWork::Reboot, None),
        (
            JobWork::ConfigurationUpdate {
                name: "reportingInterval".into(),
                value: json!(5),
            },
            Some(("value", json!(5))),
        ),
        (
            JobWork::WriteProperties {
                properties: json!({ "Timezone": "Europe/Rome" }),
            },
            Some(("status", json!("completed"))),
        ),
        (
            JobWork::ReadProperties {
                names: vec!["Timezone".into()],
            },
            Some(("properties", json!({ "Timezone": "Europe/Rome" }))),
        ),
        (JobWork::FactoryReset, None),
    ] {
        let kind = work.kind();
        let new = NewJob {
            expected: Some(6),
            ..here(work, picked(&ids))
        };
        let job = jobs.start(new).await;
        let ended = jobs.ended(&job.id).await;
        assert_eq!(
            (ended.state, ended.succeeded),
            (JobState::Completed, 6),
            "{kind:?}: {ended:?}"
        );
        for child in jobs.devices(&job.id).await {
            let told: Value = serde_json::from_str(child.result_text.as_deref().unwrap()).unwrap();
            if let Some((name, value)) = &expected {
                assert_eq!(told[name], *value, "{kind:?} {}", child.id);
            } else {
                assert_eq!(child.phases.last().unwrap().phase, JobPhase::Done, "{kind:?}");
            }
        }
    }
    let page = jobs
        .board
        .list(
            JobFilter {
                device_id: Some(ids[3].to_string()),
                state: Some(JobState::Completed),
                ..JobFilter::default()
            },
            0,
            100,
        )
        .await
        .unwrap();
    assert_eq!(page.total, 5, "its history");
    let reads = JobFilter {
        kind: Some(JobKind::ReadProperties),
        text: Some("timezone".into()),
        ..JobFilter::default()
    };
    assert_eq!(jobs.board.list(reads, 0, 100).await.unwrap().total, 1);
    let newest = page.jobs[0].created_at.clone();
    let since = JobFilter {
        from: Some(newest.clone()),
        ..JobFilter::default()
    };
    let until = JobFilter {
        until: Some(newest),
        ..JobFilter::default()
    };
    assert_eq!(
        jobs.board.list(since, 0, 100).await.unwrap().total,
        1,
        "the newest first"
    );
    assert_eq!(jobs.board.list(until, 0, 100).await.unwrap().total, 5);
}

#[tokio::test]
async fn a_parent_with_failed_children_is_no_success_and_its_failed_devices_can_be_tried_again() {
    let world = World::start().await;
    let fleet = world.fleet();
    let doors = world.running(&fleet, "door", 3, "lock-door").await;
    let pumps = world.running(&fleet, "pump", 2, "device-jobs").await;
    let mut jobs = jobs(&world).await;
    let ids = [doors, pumps.clone()].concat();
    let job = jobs.start(here(lock_door(), picked(&ids))).await;
    let ended = jobs.ended(&job.id).await;
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(ended.status_message, "Devices: 5; Succeeded: 3; Failed: 2");
    let page = jobs
        .board
        .devices(job.id.clone(), JobDeviceFilter::default(), 0, 10)
        .await
        .unwrap();
    assert_eq!(page.causes.len(), 1);
    assert_eq!((page.causes[0].cause.as_str(), page.causes[0].count), ("status 404", 2));
    let again = jobs.board.request_of_failed(job.id).await.unwrap();
    assert_eq!(again.target, picked(&pumps));
}

#[tokio::test]
async fn a_device_that_is_offline_gets_its_turn_when_it_comes_back() {
    let world = World::start().await;
    let fleet = world.fleet();
    let door = world.device("door-0001").await;
    let mut jobs = jobs(&world).await;
    let job = jobs.start(here(lock_door(), query(""))).await;
    let waiting = jobs
        .until(&job.id, |job| job.enqueued == 1 && job.started_at.is_some())
        .await;
    assert_eq!(waiting.failed, 0);
    crate::support::world::start(&fleet, vec![door], "lock-door").await;
    let ended = jobs.ended(&job.id).await;
    assert_eq!(ended.state, JobState::Completed);
    assert_eq!(
        jobs.devices(&job.id).await[0].attempts,
        0,
        "being offline uses up no attempt"
    );
}

#[tokio::test]
async fn a_deletion_of_another_number_of_devices_than_was_shown_is_refused() {
    let world = World::start().await;
    world.devices("old", 3).await;
    let mut jobs = jobs(&world).await;
    let delete = |expected| NewJob {
        expected,
        ..here(JobWork::Delete, query(""))
    };
    for wrong in [None, Some(2)] {
        let error = jobs.board.create(delete(wrong), None).await.unwrap_err();
        assert_eq!(error.code, twindeck_app::Code::NeedsConfirmation);
    }
    let job = jobs.start(delete(Some(3))).await;
    assert_eq!(jobs.ended(&job.id).await.state, JobState::Completed);
    assert_eq!(world.client.count("").await.unwrap(), 0);
}

#[tokio::test]
async fn devices_are_disabled_and_enabled_and_their_twins_changed_in_bulk() {
    let world = World::start().await;
    let devices = world.devices("pump", 4).await;
    let mut jobs = jobs(&world).await;
    for (work, enabled) in [(JobWork::Disable, false), (JobWork::Enable, true)] {
        let new = NewJob {
            expected: Some(4),
            ..here(work, query(""))
        };
        let job = jobs.start(new).await;
        assert_eq!(jobs.ended(&job.id).await.succeeded, 4);
        let status = world.client.device(&devices[2].device_id).await.unwrap().status;
        assert_eq!(status == hub_protocol::identity::Status::Enabled, enabled);
    }
    let job = jobs.start(here(building(), query(""))).await;
    assert_eq!(jobs.ended(&job.id).await.succeeded, 4);
    for device in &devices {
        let desired = world.twin(&device.device_id).await.properties.desired;
        assert_eq!(
            (&desired.values["building"], &desired.values["floor"]),
            (&json!(43), &json!(3))
        );
        assert_eq!(desired.version, 2, "written once");
    }
}

#[tokio::test]
async fn a_cancelled_job_leaves_alone_what_has_not_begun_and_a_scheduled_one_never_begins() {
    let world = World::start().await;
    world.device("nobody-home").await;
    let mut jobs = jobs(&world).await;
    let waiting = jobs.start(here(lock_door(), query(""))).await;
    jobs.until(&waiting.id, |job| job.started_at.is_some() && job.enqueued == 1)
        .await;
    jobs.board.cancel(waiting.id.clone()).await.unwrap();
    jobs.until(&waiting.id, |job| job.cancelling).await;
    let ended = jobs.ended(&waiting.id).await;
    assert_eq!((ended.state, ended.cancelled), (JobState::Cancelled, 1));

    let later = NewJob {
        start_at: Some(
            (time::OffsetDateTime::now_utc() + time::Duration::hours(2))
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap(),
        ),
        ..here(lock_door(), query(""))
    };
    let later = jobs.start(later).await;
    assert_eq!(later.state, JobState::Scheduled);
    jobs.board.cancel(later.id.clone()).await.unwrap();
    let ended = jobs.ended(&later.id).await;
    assert_eq!((ended.state, ended.started_at), (JobState::Cancelled, None));
}

#[tokio::test]
async fn tutorial_three_both_hub_jobs_complete_and_every_device_holds_the_values() {
    let world = World::start().await;
    let fleet = world.fleet();
    let ids = world.running(&fleet, "door", 5, "lock-door").await;
    let mut jobs = jobs(&world).await;
    let method = jobs.start(on_hub(lock_door(), "deviceId != 'x'")).await;
    let twin = jobs.start(on_hub(building(), "*")).await;
    for job in [method, twin] {
        let ended = jobs.ended(&job.id).await;
        assert_eq!(
            (ended.state, ended.succeeded, ended.total),
            (JobState::Completed, 5, 5),
            "{ended:?}"
        );
        let children = jobs.devices(&job.id).await;
        assert_eq!(children.len(), 5);
        assert!(children.iter().all(|child| child.state == JobState::Completed));
    }
    for id in &ids {
        let twin = world.twin(id).await;
        assert_eq!(twin.properties.desired.values["building"], 43);
        assert_eq!(twin.properties.reported.values["lock"]["state"], "locked");
    }
}

#[tokio::test]
async fn a_job_made_elsewhere_is_known_here_with_its_devices() {
    let world = World::start().await;
    world.devices("pump", 3).await;
    let mut jobs = jobs(&world).await;
    let patch = hub_protocol::twin::TwinPatch::tags(crate::support::object(json!({ "ring": 2 })));
    let request = hub_protocol::job::JobRequest::update_twin("made-elsewhere", "*", patch);
    world.client.create_job(&request).await.unwrap();
    let known = soon("the job to be known", async {
        loop {
            if let Ok(job) = jobs.board.get("made-elsewhere".into()).await
                && job.ended_at.is_some()
            {
                return job;
            }
            jobs.news.recv().await.unwrap();
        }
    })
    .await;
    assert_eq!(
        (known.ours, known.succeeded, known.title.as_str()),
        (false, 3, "Change tags ring")
    );
    assert_eq!(jobs.devices("made-elsewhere").await.len(), 3);
    let of_device = JobFilter {
        device_id: Some("pump-0002".into()),
        ..JobFilter::default()
    };
    assert_eq!(jobs.board.list(of_device, 0, 10).await.unwrap().total, 1);
}

#[tokio::test]
async fn under_the_limits_of_s1_nothing_fails_and_no_attempt_is_burned() {
    let limits = Limits::s1(NonZeroU32::MIN);
    let world = World::start_with(|config| local_hub::LocalHubConfig {
        limits: Some(limits),
        ..config
    })
    .await;
    let fleet = world.fleet();
    // A hundred registry operations a minute are all there is.
    world.running(&fleet, "door", 90, "lock-door").await;
    let mut jobs = jobs_with(&world, true).await;
    // Twice 90 devices: 40 at once, then 40 a second.
    let began = Instant::now();
    let first = jobs.start(here(lock_door(), query(""))).await;
    let second = jobs.start(here(lock_door(), query(""))).await;
    for job in [first, second] {
        let ended = jobs.ended(&job.id).await;
        assert_eq!(ended.status_message, "Devices: 90; Succeeded: 90; Failed: 0");
        assert!(jobs.devices(&job.id).await.iter().all(|child| child.attempts == 0));
    }
    assert!(began.elapsed().as_secs_f64() >= 3.0, "they kept to the rate together");

    // The hub runs one job at a time on this tier: the second waits here, not there.
    let first = jobs.start(on_hub(lock_door(), "*")).await;
    let second = jobs.start(on_hub(building(), "*")).await;
    let waits = jobs
        .until(&second.id, |job| job.reason.is_some() || job.ended_at.is_some())
        .await;
    assert!(waits.reason.unwrap().contains("waits here"));
    for job in [first, second] {
        let ended = jobs.ended(&job.id).await;
        assert_eq!((ended.state, ended.succeeded), (JobState::Completed, 90), "{ended:?}");
    }
}

#[tokio::test]
async fn the_next_estimate_of_a_long_job_counts_what_devices_took_in_the_last() {
    let world = World::start().await;
    let fleet = world.fleet();
    // Five seconds of a restart become two.
    let slow = |connection| SimulatedDevice {
        time_scale: 0.4,
        ..simulated(connection, "device-jobs")
    };
    start_all(&fleet, world.devices("pump", 2).await.into_iter().map(slow).collect()).await;
    let mut jobs = jobs_with(&world, true).await;
    let first = jobs.start(here(JobWork::Reboot, query(""))).await;
    assert_eq!(first.estimated_seconds, Some(0), "by the rates alone");
    assert_eq!(jobs.ended(&first.id).await.succeeded, 2);
    let next = jobs.board.preview(JobWork::Reboot, query(""), JobRunner::Here).await;
    let seconds = next.estimated_seconds.unwrap();
    assert!((2..=10).contains(&seconds), "{seconds}");
}
