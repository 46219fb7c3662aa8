//! The device side on the wire, packet by packet.

use hub_protocol::{
    DeviceConnectionString, DeviceId,
    identity::ConnectionState,
    method::MethodRequest,
    topic::{self, ToDevice},
    twin::TwinPatch,
};
use local_hub::HubEvent;
use rumqttc::{
    QoS,
    mqttbytes::v4::{Packet, Subscribe},
};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::support::{
    object,
    raw_device::{DESIRED, METHODS, RESPONSES, hello, telemetry_topic},
    world::{World, event, telemetry},
};

async fn connection_changed(events: &mut Receiver<HubEvent>, device: &DeviceId) -> bool {
    event(events, "a connection change", |event| match event {
        HubEvent::ConnectionChanged { id, connected, .. } if id.device_id == *device => Some(*connected),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn coming_and_going_is_seen_in_the_twin_and_told() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut events = world.hub.subscribe();
    let mut raw = world.connect(&device).await;
    assert!(connection_changed(&mut events, &device.device_id).await);
    assert_eq!(
        world.twin(&device.device_id).await.connection_state,
        ConnectionState::Connected
    );
    assert_eq!(world.client.connected_count().await.unwrap(), 1);
    raw.send(&Packet::Disconnect).await;
    assert!(!connection_changed(&mut events, &device.device_id).await);
    assert_eq!(
        world.twin(&device.device_id).await.connection_state,
        ConnectionState::Disconnected
    );
}

#[tokio::test]
async fn a_socket_cut_without_a_word_is_noticed() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut events = world.hub.subscribe();
    drop(world.connect(&device).await);
    assert!(connection_changed(&mut events, &device.device_id).await);
    assert!(!connection_changed(&mut events, &device.device_id).await);
}

#[tokio::test]
async fn a_device_gone_before_its_welcome_is_not_shown_as_connected() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut events = world.hub.subscribe();
    for _ in 0..20 {
        let mut raw = world.dial().await;
        raw.send(&Packet::Connect(hello(&device, false))).await;
        drop(raw);
        assert!(connection_changed(&mut events, &device.device_id).await);
        assert!(!connection_changed(&mut events, &device.device_id).await);
    }
}

#[tokio::test]
async fn a_device_that_reconnects_quickly_ends_as_connected() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut last = world.connect(&device).await;
    for _ in 0..50 {
        drop(last);
        last = world.connect(&device).await;
    }
    last.subscribe(&[RESPONSES]).await;
    // A report is stored after every disconnect that came before it.
    assert_eq!(last.report("1", &json!({ "a": 1 })).await.0, 204);
    let twin = world.twin(&device.device_id).await;
    assert_eq!(twin.connection_state, ConnectionState::Connected);
}

#[tokio::test]
async fn a_second_connection_of_a_device_closes_the_first() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut first = world.connect(&device).await;
    let mut second = world.connect(&device).await;
    first.is_closed().await;
    second.subscribe(&[RESPONSES]).await;
    assert_eq!(second.report("1", &json!({ "a": 1 })).await.0, 204);
    assert_eq!(
        world.twin(&device.device_id).await.connection_state,
        ConnectionState::Connected
    );
}

#[tokio::test]
async fn another_device_s_topics_close_the_connection() {
    let world = World::start().await;
    let (device, other) = (world.device("d").await, world.device("other").await);
    for topic in [
        telemetry_topic(&other.device_id).as_str(),
        "$iothub/unknown",
        "anything",
    ] {
        let mut raw = world.connect(&device).await;
        raw.publish(topic, QoS::AtMostOnce, "{}").await;
        raw.is_closed().await;
    }
    for filter in [
        "devices/other/messages/devicebound/#",
        "#",
        "$iothub/#",
        "$iothub/twin/res/+",
    ] {
        let mut raw = world.connect(&device).await;
        let mut packet = Subscribe::new(filter, QoS::AtMostOnce);
        packet.pkid = 1;
        raw.send(&Packet::Subscribe(packet)).await;
        raw.is_closed().await;
    }
}

#[tokio::test]
async fn quality_two_closes_and_quality_one_is_acknowledged() {
    let world = World::start().await;
    let device = world.device("d").await;
    let topic = telemetry_topic(&device.device_id);
    let mut raw = world.connect(&device).await;
    let event = telemetry(world.hub.log(), &device.device_id, async {
        raw.publish(&topic, QoS::AtLeastOnce, "{\"t\":1}").await;
        assert!(matches!(raw.receive().await, Some(Packet::PubAck(acknowledged)) if acknowledged.pkid == 1));
    })
    .await;
    assert_eq!(&event.body[..], b"{\"t\":1}");
    raw.publish(&topic, QoS::ExactlyOnce, "{}").await;
    raw.is_closed().await;
}

#[tokio::test]
async fn the_first_packet_must_be_a_connect_and_only_the_first() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.dial().await;
    raw.send(&Packet::PingReq).await;
    raw.is_closed().await;
    let mut raw = world.connect(&device).await;
    raw.send(&Packet::Connect(hello(&device, false))).await;
    raw.is_closed().await;
}

#[tokio::test]
async fn several_filters_in_one_packet_are_all_active() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS, RESPONSES, DESIRED]).await;
    assert_eq!(raw.report("1", &json!({ "a": 1 })).await.0, 204);
    let desired = TwinPatch::desired(object(json!({ "n": 1 })));
    world
        .client
        .update_twin(&device.device_id, &desired, hub_client::IfMatch::None)
        .await
        .unwrap();
    assert!(matches!(
        ToDevice::parse(&raw.message().await.topic),
        Some(ToDevice::DesiredPatch { .. })
    ));
    answers_a_method(&world, &device, &mut raw).await;
}

async fn answers_a_method(
    world: &World,
    device: &DeviceConnectionString,
    raw: &mut crate::support::raw_device::RawDevice,
) {
    let (client, id) = (world.client.clone(), device.device_id.clone());
    let call = tokio::spawn(async move { client.invoke_method(&id, &MethodRequest::new("m", Value::Null)).await });
    let (_, request_id, _) = raw.call().await;
    raw.answer(&request_id, 200, &Value::Null).await;
    assert_eq!(call.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_kept_session_keeps_its_subscriptions_over_a_reconnect_and_a_restart_of_the_hub() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.dial().await;
    assert!(!raw.connect(&device, true).await, "a new session");
    raw.subscribe(&[METHODS]).await;
    drop(raw);

    let mut raw = world.dial().await;
    assert!(raw.connect(&device, true).await, "the session is kept");
    answers_a_method(&world, &device, &mut raw).await;

    let world = world.restart().await;
    let mut raw = world.dial().await;
    assert!(raw.connect(&device, true).await, "the session outlives the hub");
    answers_a_method(&world, &device, &mut raw).await;

    let mut raw = world.dial().await;
    let (_, present) = raw.knock(hello(&device, false)).await;
    assert!(!present, "a clean session forgets");
    let offline = world
        .client
        .invoke_method(&device.device_id, &MethodRequest::new("m", Value::Null))
        .await;
    assert_eq!(offline.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_ping_is_answered_and_keeps_alive_what_silence_would_end() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.dial().await;
    let mut connect = hello(&device, false);
    connect.keep_alive = 1;
    raw.knock(connect).await;
    raw.send(&Packet::PingReq).await;
    assert!(matches!(raw.receive().await, Some(Packet::PingResp)));
    let silent_since = std::time::Instant::now();
    raw.is_closed().await;
    let silence = silent_since.elapsed().as_secs_f64();
    assert!(
        (1.4..4.0).contains(&silence),
        "closed after {silence} s; one and a half keep-alives are right"
    );
}

#[tokio::test]
async fn a_message_over_256_kib_closes_the_connection() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let topic = telemetry_topic(&device.device_id);
    raw.publish(&topic, QoS::AtLeastOnce, vec![b'x'; 256 * 1024]).await;
    assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
    raw.publish(&topic, QoS::AtLeastOnce, vec![b'x'; 256 * 1024 + 1]).await;
    raw.is_closed().await;
}

#[tokio::test]
async fn twin_answers_come_in_the_order_of_their_requests() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[RESPONSES]).await;
    for n in 0..20 {
        raw.publish(
            topic::reported_patch(&format!("r{n}")),
            QoS::AtMostOnce,
            json!({ "n": n }).to_string(),
        )
        .await;
    }
    for n in 0..20 {
        assert_eq!(raw.twin_answer(&format!("r{n}")).await.0, 204);
    }
    assert_eq!(world.twin(&device.device_id).await.properties.reported.values["n"], 19);
}
