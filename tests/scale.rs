//! Five hundred devices at once. Run by name; the quick loop leaves it out.

#![allow(clippy::print_stdout, reason = "the figures are the point")]

use std::time::Instant;

use hub_protocol::{DeviceId, job::JobRequest, method::MethodRequest, twin::TwinPatch};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use twindeck_app::{firmware, view::UpdateStage, watch::Source};

use crate::support::{
    object,
    process::ServedHub,
    soon,
    update::{Packages, Record, count, queued, watch},
    world::{create_devices, fleet, start},
};

const DEVICES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while and wants the machine for itself; scripts/test runs it by name"]
async fn five_hundred_devices_connect_answer_and_update() {
    let dir = tempfile::tempdir().unwrap();
    let hub = ServedHub::start(&dir.path().join("hub")).await;
    let packages = Packages::serve(dir.path().join("packages")).await;

    let began = Instant::now();
    let devices = create_devices(&hub.client, "scale", DEVICES).await;
    let ids: Vec<DeviceId> = devices.iter().map(|device| device.device_id.clone()).collect();
    tell("create", began, &hub);

    let began = Instant::now();
    let fleet = fleet(hub.mqtt_port(), &hub.tls, |options| options);
    start(&fleet, devices, "firmware-a").await;
    tell("connect over TLS", began, &hub);

    let began = Instant::now();
    let mut calls = JoinSet::new();
    for device in ids.clone() {
        let client = hub.client.clone();
        calls.spawn(async move {
            client
                .invoke_method(&device, &MethodRequest::new("rebootDevice", Value::Null))
                .await
        });
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap().status, 200);
    }
    tell("answer a method", began, &hub);

    let began = Instant::now();
    let pause = std::time::Duration::from_millis(500);
    let watched = watch(&hub.client, Source::Query { pause }).await;
    let attempts = Box::pin(firmware::run(
        hub.client.clone(),
        watched.table.clone(),
        packages.firmware(),
        queued(&ids),
        &Record::default(),
        CancellationToken::new(),
    ))
    .await
    .unwrap();
    tell("update firmware", began, &hub);

    assert_eq!(count(&attempts, UpdateStage::Completed), DEVICES, "none is lost");
    assert_eq!(
        fleet.counters().bytes_downloaded,
        DEVICES as u64 * packages.imported.size
    );
    fleet.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn one_job_changes_the_twins_of_ten_thousand_devices() {
    const DEVICES: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let hub = ServedHub::start(&dir.path().join("hub")).await;
    create_devices(&hub.client, "scale", DEVICES).await;
    let patch = TwinPatch::desired(object(json!({ "building": 43, "floor": 3 })));
    let offline = MethodRequest::new("lockDoor", json!({ "lockTime": "10m" }));
    for (what, request, failed) in [
        (
            "get a twin change by a job",
            JobRequest::update_twin("twins", "*", patch),
            0,
        ),
        (
            "offline are found so by a method job",
            JobRequest::device_method("methods", "*", offline),
            DEVICES,
        ),
    ] {
        let began = Instant::now();
        hub.client.create_job(&request).await.unwrap();
        let job = soon("the job to end", async {
            loop {
                let job = hub.client.job(&request.job_id).await.unwrap();
                if job.status.is_final() {
                    return job;
                }
            }
        })
        .await;
        let counts = job.device_job_statistics.unwrap();
        assert_eq!(
            (counts.device_count, counts.failed_count),
            (DEVICES as u64, failed as u64)
        );
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{DEVICES} devices {what}: {seconds:.2} s; hub {} MiB",
            resident(hub.pid())
        );
    }
}

fn tell(what: &str, began: Instant, hub: &ServedHub) {
    let seconds = began.elapsed().as_secs_f64();
    let (devices, hub) = (resident(std::process::id()), resident(hub.pid()));
    println!("{DEVICES} devices {what}: {seconds:.2} s; devices and driver {devices} MiB, hub {hub} MiB");
}

/// Memory a process holds now, in MiB; 0 where the system does not say.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}
