//! A hub that is killed in the middle of writing loses nothing it acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hub_client::{HubClient, IfMatch};
use hub_protocol::{DeviceConnectionString, twin::TwinPatch};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    object,
    process::ServedHub,
    raw_device::{RESPONSES, RawDevice},
    world::create_devices,
};

const ROUNDS: u64 = 20;
const SERVICE_WRITERS: usize = 4;

/// The highest number that a writer's hub said it has.
type Acknowledged = Arc<AtomicU64>;

async fn write_desired(client: HubClient, device: DeviceConnectionString, acknowledged: Acknowledged) {
    loop {
        let next = acknowledged.load(Ordering::Relaxed) + 1;
        let patch = TwinPatch::desired(object(json!({ "n": next })));
        if client
            .update_twin(&device.device_id, &patch, IfMatch::None)
            .await
            .is_err()
        {
            return;
        }
        acknowledged.store(next, Ordering::Relaxed);
    }
}

async fn write_reported(mut raw: RawDevice, acknowledged: Acknowledged) {
    loop {
        let next = acknowledged.load(Ordering::Relaxed) + 1;
        if !raw.try_report(&next.to_string(), &json!({ "n": next })).await {
            return;
        }
        acknowledged.store(next, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_no_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut hub = ServedHub::start(dir.path()).await;
    let devices = create_devices(&hub.client, "crash", SERVICE_WRITERS + 1).await;
    let acknowledged: Vec<Acknowledged> = devices.iter().map(|_| Acknowledged::default()).collect();

    for round in 0..ROUNDS {
        let before: u64 = acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let mut writers = JoinSet::new();
        for (device, acknowledged) in devices.iter().zip(&acknowledged).take(SERVICE_WRITERS) {
            writers.spawn(write_desired(hub.client.clone(), device.clone(), acknowledged.clone()));
        }
        let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
        raw.connect(&devices[SERVICE_WRITERS], false).await;
        raw.subscribe(&[RESPONSES]).await;
        writers.spawn(write_reported(raw, acknowledged[SERVICE_WRITERS].clone()));

        // The one wait for a time here: the moment of the kill is what varies.
        tokio::time::sleep(Duration::from_millis(random.u64(5..120))).await;
        hub.process.kill().await.unwrap();
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }

        hub = ServedHub::start(dir.path()).await;
        for (device, acknowledged) in devices.iter().zip(&acknowledged) {
            let twin = hub.client.twin(&device.device_id).await.unwrap();
            let kept = |values: &hub_protocol::merge::Object| values.get("n").and_then(serde_json::Value::as_u64);
            let is_device = device == &devices[SERVICE_WRITERS];
            let section = if is_device {
                &twin.properties.reported
            } else {
                &twin.properties.desired
            };
            let kept = kept(&section.values).unwrap_or(0);
            let promised = acknowledged.load(Ordering::Relaxed);
            assert!(
                kept == promised || kept == promised + 1,
                "round {round}: {} has {kept}, acknowledged was {promised}",
                device.device_id
            );
            assert_eq!(section.version, kept + 1, "one version a write");
            // A write under way when the hub died may have been kept; go on from there.
            acknowledged.store(kept, Ordering::Relaxed);
        }
        let after: u64 = acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        assert!(after >= before);
    }
    let written: u64 = acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert!(
        written > 20 * ROUNDS,
        "only {written} writes: the kills met an idle hub"
    );
}
