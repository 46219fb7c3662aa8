//! Simulated devices, seen from the hub's side.

use std::time::Duration;

use device_sim::{Fleet, FleetOptions};
use hub_protocol::{DeviceId, identity::ConnectionState, method::MethodRequest};
use local_hub::HubEvent;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    soon,
    update::Packages,
    world::{World, event, reported, reported_until, telemetry},
};

impl World {
    async fn packages(&self) -> Packages {
        Packages::serve(self.dir.path().join("packages")).await
    }
}

async fn one(world: &World, fleet: &Fleet, model: &str) -> DeviceId {
    world.running(fleet, "sim", 1, model).await.remove(0)
}

#[tokio::test]
async fn a_reboot_is_answered_after_its_time_is_reported() {
    let world = World::start().await;
    let fleet = world.fleet();
    let device = one(&world, &fleet, "reboot").await;
    assert_eq!(world.invoke(&device, "rebootDevice", Value::Null).await.0, 200);
    let twin = world.twin(&device).await;
    assert!(
        twin.properties.reported.values["rebootTime"].is_string(),
        "reported before the answer"
    );
}

#[tokio::test]
async fn a_method_that_a_model_does_not_have_is_answered_with_404() {
    let world = World::start().await;
    let fleet = world.fleet();
    let device = one(&world, &fleet, "lock-door").await;
    assert_eq!(world.invoke(&device, "rebootDevice", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_door_is_locked_with_its_time() {
    let world = World::start().await;
    let fleet = world.fleet();
    let device = one(&world, &fleet, "lock-door").await;
    assert_eq!(
        world.invoke(&device, "lockDoor", json!({ "lockTime": "10m" })).await.0,
        200
    );
    let lock = &world.twin(&device).await.properties.reported.values["lock"];
    assert_eq!((&lock["state"], &lock["lockTime"]), (&json!("locked"), &json!("10m")));
}

#[tokio::test]
async fn a_factory_reset_forgets_what_was_reported() {
    let world = World::start().await;
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let device = one(&world, &fleet, "firmware-a").await;
    world.invoke(&device, "rebootDevice", Value::Null).await;
    assert_eq!(world.invoke(&device, "factoryReset", Value::Null).await.0, 200);
    reported(&mut events, &device, "factoryResetTime").await;
    let reported = world.twin(&device).await.properties.reported.values;
    assert!(
        !reported.contains_key("rebootTime") && reported.contains_key("factoryResetTime"),
        "{reported:?}"
    );
}

#[tokio::test]
async fn firmware_is_downloaded_and_goes_through_its_stages() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = world.packages().await;
    let mut events = world.hub.subscribe();
    let ids = world.running(&fleet, "sim", 3, "firmware-a").await;
    let firmware = packages.firmware();
    for device in &ids {
        let order = json!({ "fwPackageUri": firmware.uri, "sha256": firmware.sha256 });
        assert_eq!(world.invoke(device, "firmwareUpdate", order).await.0, 200);
    }
    let stages = reported_until(&mut events, &ids, "firmwareStatus", "completed").await;
    let bytes = std::fs::read(packages.dir.join(&packages.imported.sha256)).unwrap();
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for device in &ids {
        assert_eq!(stages[device], ["standBy", "downloading", "applying", "completed"]);
        let package = &world.twin(device).await.properties.reported.values["firmwarePackage"];
        assert_eq!(
            (&package["sha256"], &package["size"]),
            (&json!(hash), &json!(bytes.len()))
        );
    }
    assert_eq!(fleet.counters().bytes_downloaded, 3 * bytes.len() as u64);
    assert_eq!(fleet.counters().connects, 6, "each device restarted once");
}

#[tokio::test]
async fn an_altered_missing_or_empty_package_ends_in_failed_with_its_reason() {
    let world = World::start().await;
    let fleet = world.fleet();
    let packages = world.packages().await;
    let mut events = world.hub.subscribe();
    let device = one(&world, &fleet, "firmware-a").await;
    let file = packages.dir.join(&packages.imported.sha256);
    let whole = packages.firmware();
    let missing = packages.server.uri(&"0".repeat(64), "fw.bin");
    let cases = [
        ("checksumMismatch", whole.uri.clone(), Some("altered")),
        ("empty", whole.uri.clone(), Some("")),
        ("notFound", missing, None),
        ("unreachable", "http://127.0.0.1:9/fw.bin".to_owned(), None),
    ];
    for (reason, uri, content) in cases {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let order = json!({ "fwPackageUri": uri, "sha256": whole.sha256 });
        assert_eq!(world.invoke(&device, "firmwareUpdate", order).await.0, 200);
        let ids = std::slice::from_ref(&device);
        let stages = reported_until(&mut events, ids, "firmwareStatus", "failed").await;
        assert!(!stages[&device].contains(&"applying".to_owned()), "{reason}");
        let error = &world.twin(&device).await.properties.reported.values["firmwareError"];
        assert_eq!(error["code"], reason);
        assert!(
            error["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{error}"
        );
    }
    assert_eq!(world.invoke(&device, "firmwareUpdate", json!({})).await.0, 400);
}

#[tokio::test]
async fn a_device_renews_its_token_and_stays_reachable() {
    let world = World::start().await;
    let fleet = world.fleet_with(|options| FleetOptions {
        token_lifetime: Duration::from_secs(1),
        ..options
    });
    let mut events = world.hub.subscribe();
    let device = one(&world, &fleet, "reboot").await;
    for _ in 0..2 {
        event(&mut events, "the renewal's connection", |event| match event {
            HubEvent::ConnectionChanged { connected: true, .. } => Some(()),
            _ => None,
        })
        .await;
    }
    assert!(fleet.counters().tokens_renewed >= 1);
    let mut request = MethodRequest::new("rebootDevice", Value::Null);
    request.connect_timeout_in_seconds = 10;
    assert_eq!(world.client.invoke_method(&device, &request).await.unwrap().status, 200);
}

#[tokio::test]
async fn devices_come_back_after_the_hub_restarted() {
    let world = World::start().await;
    let fleet = world.fleet();
    let ids = world.running(&fleet, "sim", 5, "reboot").await;
    let world = world.restart().await;
    for device in &ids {
        let mut request = MethodRequest::new("rebootDevice", Value::Null);
        request.connect_timeout_in_seconds = 25;
        assert_eq!(world.client.invoke_method(device, &request).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn telemetry_of_a_simulated_device_is_heard() {
    let world = World::start().await;
    let fleet = world.fleet();
    let device = one(&world, &fleet, "reboot").await;
    let sent = async {
        let body = json!({ "t": 21 });
        let acknowledged = fleet.send_telemetry(&device, &body);
        soon("the acknowledgement", acknowledged).await.unwrap();
    };
    let event = telemetry(world.hub.log(), &device, sent).await;
    assert_eq!(&event.body[..], b"{\"t\":21}");
}

#[tokio::test]
async fn stopped_devices_say_goodbye() {
    let world = World::start().await;
    let fleet = world.fleet();
    let ids = world.running(&fleet, "sim", 3, "reboot").await;
    let mut events = world.hub.subscribe();
    fleet.stop(&ids[..2]).await;
    for _ in 0..2 {
        event(&mut events, "a goodbye", |event| match event {
            HubEvent::ConnectionChanged { connected: false, .. } => Some(()),
            _ => None,
        })
        .await;
    }
    assert_eq!(world.twin(&ids[2]).await.connection_state, ConnectionState::Connected);
    assert_eq!(world.client.connected_count().await.unwrap(), 1);
}
