//! The clock of a running hub is set, forwards and back.

#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use hub_client::{HubClient, IfMatch, RetryPolicy};
use hub_protocol::{
    DeviceConnectionString, ServiceConnectionString, Timestamp,
    connection_string::Credential,
    job::{JobRequest, JobStatus},
    method::MethodRequest,
    twin::{PropertySet, TwinPatch},
};
use local_hub::{EventLog, LocalHub, LocalHubConfig, MessageSource, Start};
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnectReturnCode, Packet},
};
use rustls::ClientConfig;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::{
    messages::{expiring, filter, message_id, named},
    object,
    process::ServedHub,
    raw_device::{METHODS, RESPONSES, RawDevice, hello, telemetry_topic, token},
    rest, soon, unix_now,
    world::create_devices,
};

const DAY: i64 = 86_400;
/// Tokens that are good at every time the clock is set to.
const LONG: u64 = 30 * 86_400;

fn library() -> Option<PathBuf> {
    let found = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "libfaketime is missing: run scripts/setup"
        );
        eprintln!("skipped: libfaketime is not installed (Debian package faketime)");
    }
    found
}

/// The clock of one process; elapsed time goes on as it is, as on a machine whose clock is set.
struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Seconds from the true time. The hub sees it at its next look at the clock.
    fn set(&self, offset: i64) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{offset:+}\n")).unwrap();
        std::fs::rename(next, &self.file).unwrap();
    }

    async fn hub(&self, library: &Path, data_dir: &Path) -> ServedHub {
        let environment: [(&str, &OsStr); 6] = [
            ("LD_PRELOAD", library.as_ref()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.as_ref()),
            ("FAKETIME_NO_CACHE", "1".as_ref()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
            ("DONT_FAKE_MONOTONIC", "1".as_ref()),
            ("NO_FAKE_STAT", "1".as_ref()),
        ];
        let mut hub = ServedHub::start_with(data_dir, &environment).await;
        let connection = ServiceConnectionString::parse(hub.connection_string()).unwrap();
        let token = rest::token(&connection, unix_now() + LONG);
        let connection = ServiceConnectionString {
            credential: Credential::Token(token),
            ..connection
        };
        let tls = ClientConfig::clone(&hub.tls);
        hub.client = HubClient::with_retries(connection, tls, RetryPolicy::NEVER).unwrap();
        hub
    }
}

fn long_hello(device: &DeviceConnectionString) -> rumqttc::mqttbytes::v4::Connect {
    let resource = format!("{}/devices/{}", device.host_name, device.device_id);
    let mut connect = hello(device, true);
    let password = token(&resource, device, unix_now() + LONG);
    connect.login.as_mut().unwrap().password = password.expose().to_owned();
    connect
}

fn stamp(set: &PropertySet) -> Timestamp {
    set.last_updated(&[]).unwrap()
}

/// One device and all it does, at whatever time it is.
struct Scene<'a> {
    hub: &'a ServedHub,
    device: &'a DeviceConnectionString,
    raw: RawDevice,
    last: [(u64, Timestamp); 2],
    sent: u64,
}

impl Scene<'_> {
    /// A report, a desired patch, a method, telemetry and a message, all over the connection
    /// that was open before.
    async fn everything_works(&mut self, when: &str) {
        let id = &self.device.device_id;
        let (status, ..) = self.raw.report(when, &json!({ "when": when })).await;
        assert_eq!(status, 204, "{when}");
        let patch = TwinPatch::desired(object(json!({ "when": when })));
        self.hub.client.update_twin(id, &patch, IfMatch::None).await.unwrap();
        let twin = self.hub.client.twin(id).await.unwrap();
        let sets = [&twin.properties.reported, &twin.properties.desired];
        for (set, last) in sets.into_iter().zip(&mut self.last) {
            assert_eq!(set.values["when"], when);
            assert_eq!(set.version, last.0 + 1, "{when}: one version a write");
            assert!(
                stamp(set) > last.1,
                "{when}: {:?} is not after {:?}",
                stamp(set),
                last.1
            );
            *last = (set.version, stamp(set));
        }

        let (client, device) = (self.hub.client.clone(), id.clone());
        let request = MethodRequest::new("doIt", json!(when));
        let call = tokio::spawn(async move { client.invoke_method(&device, &request).await });
        let (_, request, payload) = self.raw.call().await;
        assert_eq!(payload, when);
        self.raw.answer(&request, 200, &payload).await;
        assert_eq!(soon("an answer", call).await.unwrap().unwrap().payload, when);

        for _ in 0..10 {
            let body = json!({ "n": self.sent }).to_string();
            self.raw.publish(telemetry_topic(id), QoS::AtLeastOnce, body).await;
            let answer = self.raw.receive().await;
            assert!(matches!(answer, Some(Packet::PubAck(_))), "{when}: {answer:?}");
            self.sent += 1;
        }

        let properties = named(when);
        let sent = self.hub.client.send_message(id, &properties, b"x".into());
        sent.await.unwrap();
        let message = self.raw.publication().await;
        assert_eq!((message_id(&message).as_str(), message.dup), (when, false));
        self.raw.acknowledge(&message).await;
        self.raw.nothing_more().await;
    }
}

async fn waiting(hub: &ServedHub, device: &DeviceConnectionString) -> u32 {
    let found = hub.client.device(&device.device_id).await.unwrap();
    found.cloud_to_device_message_count
}

async fn wait_until_completed(hub: &ServedHub, job: &str) {
    soon("a job to complete", async {
        while hub.client.job(job).await.unwrap().status != JobStatus::Completed {}
    })
    .await;
}

async fn job_writes(hub: &ServedHub, device: &DeviceConnectionString) -> u64 {
    let twin = hub.client.twin(&device.device_id).await.unwrap();
    twin.properties.desired.version - 1
}

async fn schedule(hub: &ServedHub, job: &str, start: Duration) {
    let patch = TwinPatch::desired(object(json!({ "job": job })));
    let request = JobRequest {
        start_time: Some(Timestamp(OffsetDateTime::now_utc() + start)),
        ..JobRequest::update_twin(job, "deviceId = 'clock-0003'", patch)
    };
    hub.client.create_job(&request).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_closes_nothing_doubles_nothing_and_turns_no_order_around() {
    let Some(library) = library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("hub");
    let clock = Clock {
        file: dir.path().join("clock"),
    };
    clock.set(0);
    let mut hub = clock.hub(&library, &data_dir).await;
    let devices = create_devices(&hub.client, "clock", 3).await;
    let [device, away, of_jobs] = [&devices[0], &devices[1], &devices[2]];
    let dial = async || RawDevice::dial(hub.mqtt_port(), &hub.tls).await;

    // A token of an hour, as devices have it.
    let mut raw = dial().await;
    raw.connect(device, true).await;
    raw.subscribe(&[METHODS, RESPONSES]).await;
    raw.subscribe_at(QoS::AtLeastOnce, &[&filter(device)]).await;
    let mut sleeper = dial().await;
    sleeper.connect(away, true).await;
    sleeper.subscribe_at(QoS::AtLeastOnce, &[&filter(away)]).await;
    drop(sleeper);
    let mut scene = Scene {
        hub: &hub,
        device,
        raw,
        last: [(1, Timestamp::NEVER); 2],
        sent: 0,
    };
    scene.everything_works("at first").await;
    for (name, hours) in [("short", 12), ("long", 47)] {
        let properties = expiring(name, std::time::Duration::from_secs(hours * 3600));
        let sent = hub.client.send_message(&away.device_id, &properties, b"x".into());
        sent.await.unwrap();
    }
    schedule(&hub, "in-six-hours", Duration::hours(6)).await;
    schedule(&hub, "in-two-days", Duration::hours(48)).await;
    assert_eq!((waiting(&hub, away).await, job_writes(&hub, of_jobs).await), (2, 0));

    clock.set(DAY);
    // Nobody asks for these two: the hub itself has to notice.
    wait_until_completed(&hub, "in-six-hours").await;
    soon("a message to expire", async { while waiting(&hub, away).await == 2 {} }).await;
    assert_eq!(waiting(&hub, away).await, 1);
    scene.everything_works("a day later").await;
    let mut late = dial().await;
    let (code, _) = late.knock(hello(away, true)).await;
    assert_eq!(code, ConnectReturnCode::NotAuthorized, "its token ended a day ago");
    let mut late = dial().await;
    let (code, present) = late.knock(long_hello(away)).await;
    assert_eq!((code, present), (ConnectReturnCode::Success, true));
    let message = late.publication().await;
    assert_eq!(message_id(&message), "long");
    late.acknowledge(&message).await;
    late.nothing_more().await;
    assert_eq!(waiting(&hub, away).await, 0);

    // A message that is locked when the clock goes back two days is not locked for two days.
    let properties = expiring("locked", std::time::Duration::from_secs(47 * 3600));
    let sent = hub.client.send_message(&away.device_id, &properties, b"x".into());
    sent.await.unwrap();
    assert_eq!(message_id(&late.publication().await), "locked");

    clock.set(-DAY);
    scene.everything_works("a day before").await;
    late.nothing_more().await;
    let mut again = dial().await;
    again.knock(long_hello(away)).await;
    let message = again.publication().await;
    assert_eq!((message_id(&message).as_str(), message.dup), ("locked", true));
    again.acknowledge(&message).await;
    again.nothing_more().await;

    clock.set(-DAY + 600);
    scene.everything_works("ten minutes later").await;
    again.nothing_more().await;
    assert_eq!(job_writes(&hub, of_jobs).await, 1, "a job starts once");
    let job = hub.client.job("in-two-days").await.unwrap();
    assert_eq!(job.status, JobStatus::Scheduled);
    let sent = scene.sent;
    drop(scene);
    assert_eq!(hub.terminate().await, Some(0));

    let hub = LocalHub::start(LocalHubConfig::on_free_ports(&data_dir)).await.unwrap();
    telemetry_is_in_order(hub.log(), device, sent).await;
    hub.shutdown().await;
}

async fn telemetry_is_in_order(log: &EventLog, device: &DeviceConnectionString, sent: u64) {
    let mut reader = log.reader(EventLog::partition_of(device.device_id.as_str()), Start::Oldest);
    let mut last: Option<(u64, Timestamp)> = None;
    let mut next = 0;
    soon("all telemetry", async {
        while next < sent {
            for event in reader.next(100).await {
                if let Some((number, time)) = last {
                    assert_eq!(event.sequence_number, number + 1);
                    assert!(event.enqueued_time >= time, "{next}: the log's time went back");
                }
                last = Some((event.sequence_number, event.enqueued_time));
                if event.source == MessageSource::Telemetry && event.sender.id.device_id == device.device_id {
                    let body: Value = serde_json::from_slice(&event.body).unwrap();
                    assert_eq!(body["n"], next);
                    next += 1;
                }
            }
        }
    })
    .await;
}
