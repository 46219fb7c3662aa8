//! What the local hub tells of itself: its counters, its protocol log, and whom it turned away.

use hub_client::IfMatch;
use hub_protocol::{ClientId, method::MethodRequest, twin::TwinPatch};
use local_hub::{LineKind, ProtocolWatch};
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnectReturnCode, Packet},
};
use serde_json::json;

use crate::support::{
    object,
    raw_device::{METHODS, RESPONSES, hello, login, telemetry_topic},
    soon,
    world::World,
};

/// Waits for a line that begins so, and returns it whole.
async fn line(watch: &ProtocolWatch, kind: LineKind, beginning: &str) -> String {
    soon("a line of the protocol log", async {
        loop {
            let lines = watch.since(0);
            let found = lines
                .into_iter()
                .find(|line| line.kind == kind && line.text.starts_with(beginning));
            match found {
                Some(line) => return line.text,
                None => watch.changed().await,
            }
        }
    })
    .await
}

#[tokio::test]
async fn everything_that_is_said_with_a_watched_device_is_explained_and_no_token_is() {
    let world = World::start().await;
    let device = world.device("d").await;
    let watch = world.hub.watch_protocol(&device.device_id.clone().into()).unwrap();
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    raw.publish(telemetry_topic(&device.device_id), QoS::AtMostOnce, "{\"t\":20}")
        .await;
    let connect = line(&watch, LineKind::Received, "CONNECT as d").await;
    assert!(connect.contains("token valid until"), "{connect}");
    line(&watch, LineKind::Sent, "CONNACK accepted").await;
    line(&watch, LineKind::Received, "SUBSCRIBE direct methods").await;
    line(&watch, LineKind::Sent, "SUBACK").await;
    let telemetry = line(&watch, LineKind::Received, "PUBLISH QoS").await;
    assert!(telemetry.ends_with(": {\"t\":20}"), "{telemetry}");
    raw.send(&Packet::Disconnect).await;
    line(&watch, LineKind::Closed, "closed: the device said goodbye").await;
    let all: Vec<String> = watch.since(0).into_iter().map(|line| line.text).collect();
    assert!(!all.join("\n").contains("SharedAccessSignature"), "{all:?}");
}

#[tokio::test]
async fn a_watch_that_begins_late_hears_the_connection_that_is_there() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let watch = world.hub.watch_protocol(&device.device_id.clone().into()).unwrap();
    raw.send(&Packet::PingReq).await;
    line(&watch, LineKind::Received, "PINGREQ").await;
    line(&watch, LineKind::Sent, "PINGRESP").await;
}

#[tokio::test]
async fn who_is_turned_away_is_counted_and_the_reason_stands_with_its_name() {
    let world = World::start().await;
    let device = world.device("d").await;
    let watch = world.hub.watch_protocol(&device.device_id.clone().into()).unwrap();
    let mut raw = world.dial().await;
    let (code, _) = raw.knock(login("localhost", "d", "no token")).await;
    assert_eq!(code, ConnectReturnCode::NotAuthorized);
    let refused = line(&watch, LineKind::Refused, "refused: The token cannot be read").await;
    let refusals = world.hub.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].client.as_deref(), Some("d"));
    assert_eq!(format!("refused: {}", refusals[0].reason), refused);
    assert_eq!(world.hub.counters().refused, 1);
    let mut unknown = hello(&device, false);
    unknown.client_id = "nobody".into();
    let watch = world
        .hub
        .watch_protocol(&ClientId::new("nobody", None).unwrap())
        .unwrap();
    world.dial().await.knock(unknown).await;
    line(&watch, LineKind::Refused, "refused: The client id is not").await;
}

#[tokio::test]
async fn counters_tell_what_was_done() {
    let world = World::start().await;
    let device = world.device("d").await;
    let id = &device.device_id;
    let before = world.hub.counters();
    assert_eq!((before.connections, before.telemetry, before.methods), (0, 0, 0));
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS, RESPONSES]).await;
    // Answered, so counted.
    raw.publish(telemetry_topic(id), QoS::AtMostOnce, "1").await;
    raw.report("1", &json!({ "a": 1 })).await;
    let patch = TwinPatch::desired(object(json!({ "a": 1 })));
    world.client.update_twin(id, &patch, IfMatch::Any).await.unwrap();
    let request = MethodRequest::new("reboot", json!(null));
    let (called, ()) = tokio::join!(world.client.invoke_method(id, &request), async {
        let (_, request_id, _) = raw.call().await;
        raw.answer(&request_id, 200, &json!({})).await;
    });
    assert_eq!(called.unwrap().status, 200);
    let after = world.hub.counters();
    assert_eq!((after.connections, after.telemetry, after.methods), (1, 1, 1));
    assert_eq!((after.service_twin_writes, after.device_twin_writes), (1, 1));
    assert_eq!((after.requests - before.requests, after.refused), (2, 0));
}
