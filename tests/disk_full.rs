//! A disk that fills up under a hub, or has no room or no leave for one.

#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hub_client::{ClientError, HubClient, IfMatch, RetryPolicy};
use hub_protocol::{
    ErrorCode,
    identity::{DeviceIdentity, ExportImportDevice, ImportMode},
    job::{JobRequest, JobStatus},
    twin::TwinPatch,
};
use local_hub::{EventLog, LocalHub, LocalHubConfig, MessageSource, Start};
use rumqttc::{QoS, mqttbytes::v4::Packet};
use serde_json::{Value, json};
use twindeck_app::{AppError, Code, trust};

use crate::support::{
    id,
    messages::{filter, message_id, named},
    object,
    raw_device::{RESPONSES, RawDevice, telemetry_topic},
    soon,
    world::create_devices,
};

async fn refusal(config: LocalHubConfig) -> AppError {
    match LocalHub::start(config).await {
        Ok(_) => panic!("the hub should not have started"),
        Err(error) => error.into(),
    }
}

/// A file system of its own, as small or as stubborn as a test needs; only root may make one.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let disk = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        if disk.command("mount", &["-t", "tmpfs", "-o", options, "tmpfs"]) {
            return Some(disk);
        }
        eprintln!("skipped: this user may not mount a file system");
        None
    }

    fn command(&self, program: &str, arguments: &[&str]) -> bool {
        let done = Command::new(program).args(arguments).arg(self.dir.path()).output();
        done.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.command("umount", &["-l"]);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_plainly_and_the_hub_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        return;
    };
    let hub = LocalHub::start(LocalHubConfig::on_free_ports(disk.path().join("hub")))
        .await
        .unwrap();
    let tls = trust::only(&hub.addresses().ca_file).unwrap();
    let client = HubClient::with_retries(hub.service_connection_string(), tls, RetryPolicy::NEVER).unwrap();
    let device = create_devices(&client, "d", 1).await.remove(0).device_id;
    let filler = disk.fill();

    let mut kept = 0;
    let patch = |n: u64| TwinPatch::desired(object(json!({ "n": n, "ballast": "x".repeat(4000) })));
    // What SQLite already has room for in its log may still go through.
    let error = loop {
        match client.update_twin(&device, &patch(kept + 1), IfMatch::None).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "the disk is not full");
    };
    assert_eq!(error.status(), Some(503));
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let twin = client.twin(&device).await.unwrap();
    assert_eq!(
        twin.properties
            .desired
            .values
            .get("n")
            .and_then(Value::as_u64)
            .unwrap_or(0),
        kept,
        "readable, and whole"
    );

    std::fs::remove_file(filler).unwrap();
    client
        .update_twin(&device, &patch(kept + 1), IfMatch::None)
        .await
        .unwrap();
    hub.shutdown().await;
}

#[tokio::test]
async fn a_disk_without_room_for_a_hub_is_refused_with_what_to_do() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        return;
    };
    disk.fill();
    let error = refusal(LocalHubConfig::on_free_ports(disk.path().join("hub"))).await;
    assert_eq!(error.code, Code::Storage, "{error:?}");
    assert!(error.hint.unwrap().contains("room"));
}

#[tokio::test]
async fn a_read_only_disk_is_refused_with_what_to_do() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        return;
    };
    let config = || LocalHubConfig::on_free_ports(disk.path().join("hub"));
    LocalHub::start(config()).await.unwrap().shutdown().await;
    assert!(disk.command("mount", &["-o", "remount,ro"]));
    let error = refusal(config()).await;
    assert_eq!(error.code, Code::Storage, "{error:?}");
    assert!(error.hint.unwrap().contains("written"));
}

/// What every kind of write says when there is no room.
fn is_full(error: &ClientError) {
    assert_eq!(error.status(), Some(503), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
}

fn is_full_answer(status: u16, body: &Value) {
    assert_eq!(status, 503, "{body}");
    assert!(body.to_string().contains("nothing was changed"), "{body}");
}

#[tokio::test]
async fn on_a_full_disk_every_kind_of_write_is_whole_or_refused_and_telemetry_waits_in_memory() {
    let Some(disk) = SmallDisk::mount("size=8m") else {
        return;
    };
    let config = || LocalHubConfig::on_free_ports(disk.path().join("hub"));
    let hub = LocalHub::start(config()).await.unwrap();
    let tls = trust::only(&hub.addresses().ca_file).unwrap();
    let client = HubClient::with_retries(hub.service_connection_string(), tls.clone(), RetryPolicy::NEVER).unwrap();
    let tls = Arc::new(tls);
    let devices = create_devices(&client, "d", 3).await;
    let (device, queue, other) = (&devices[0], &devices[1].device_id, &devices[2].device_id);
    let mut raw = RawDevice::dial(hub.addresses().mqtt_port, &tls).await;
    raw.connect(device, true).await;
    raw.subscribe(&[RESPONSES]).await;
    raw.subscribe_at(QoS::AtLeastOnce, &[&filter(device)]).await;
    client
        .send_message(&device.device_id, &named("waits"), b"x".into())
        .await
        .unwrap();
    let waits = raw.publication().await;
    let filler = disk.fill();

    // What SQLite has room for in its log may still go through, so each kind is tried until not.
    let patch = |n: u64| TwinPatch::desired(object(json!({ "n": n, "ballast": "x".repeat(4000) })));
    let mut kept = 0;
    let error = loop {
        match client.update_twin(other, &patch(kept + 1), IfMatch::None).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    is_full(&error);

    let mut queued = 0;
    let error = loop {
        let properties = named(&queued.to_string());
        match client.send_message(queue, &properties, vec![b'x'; 60_000]).await {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert_ne!(error.code(), Some(ErrorCode::DeviceMaximumQueueDepthExceeded));
    is_full(&error);
    let waiting = async || client.device(queue).await.unwrap().cloud_to_device_message_count;
    assert_eq!(waiting().await, queued);

    let before = client.count("").await.unwrap();
    let mut created = 0;
    let error = loop {
        match client
            .create_device(&DeviceIdentity::new(id(format!("new-{created}"))))
            .await
        {
            Ok(_) => created += 1,
            Err(error) => break error,
        }
    };
    is_full(&error);
    let items: Vec<ExportImportDevice> = (0..100)
        .map(|number| ExportImportDevice {
            import_mode: Some(ImportMode::Create),
            ..ExportImportDevice::new(id(format!("bulk-{number}")))
        })
        .collect();
    is_full(&client.bulk(&items).await.unwrap_err());
    is_full(&client.delete_device(other, IfMatch::Any).await.unwrap_err());
    assert_eq!(client.count("").await.unwrap(), before + created, "none half made");

    let job = JobRequest::update_twin("full", "*", TwinPatch::desired(object(json!({ "job": 1 }))));
    is_full(&client.create_job(&job).await.unwrap_err());
    assert_eq!(client.job("full").await.unwrap().status, JobStatus::Unknown);

    let (status, _, body) = raw.report("r", &json!({ "n": 1 })).await;
    is_full_answer(status, &body);
    const TELEMETRY: u64 = 200;
    for number in 0..TELEMETRY {
        raw.publish(
            telemetry_topic(&device.device_id),
            QoS::AtLeastOnce,
            json!({ "n": number }).to_string(),
        )
        .await;
        assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
    }
    // A PUBACK that cannot be kept closes the connection: the device learns that it was not.
    raw.acknowledge(&waits).await;
    raw.is_closed().await;

    std::fs::remove_file(filler).unwrap();
    client
        .update_twin(other, &patch(kept + 1), IfMatch::None)
        .await
        .unwrap();
    let found = client.twin(other).await.unwrap();
    assert_eq!(
        found.properties.desired.version,
        kept + 2,
        "what was refused was not kept"
    );
    client
        .send_message(queue, &named("after"), vec![b'x'; 60_000])
        .await
        .unwrap();
    assert_eq!(waiting().await, queued + 1);
    assert!(client.bulk(&items).await.unwrap().is_successful);
    assert_eq!(client.count("").await.unwrap(), before + created + 100);
    client.create_job(&job).await.unwrap();
    soon("the job", async {
        while client.job("full").await.unwrap().status != JobStatus::Completed {}
    })
    .await;
    let mut raw = RawDevice::dial(hub.addresses().mqtt_port, &tls).await;
    assert!(raw.connect(device, true).await);
    let again = raw.publication().await;
    assert_eq!((message_id(&again).as_str(), again.dup), ("waits", true));
    raw.acknowledge(&again).await;
    raw.nothing_more().await;
    hub.shutdown().await;

    let hub = LocalHub::start(config()).await.unwrap();
    let mut reader = hub
        .log()
        .reader(EventLog::partition_of(device.device_id.as_str()), Start::Oldest);
    let mut next = 0;
    soon("the telemetry of the full disk", async {
        while next < TELEMETRY {
            for event in reader.next(100).await {
                if event.source == MessageSource::Telemetry {
                    let body: Value = serde_json::from_slice(&event.body).unwrap();
                    assert_eq!(body["n"], next);
                    next += 1;
                }
            }
        }
    })
    .await;
    hub.shutdown().await;
}
