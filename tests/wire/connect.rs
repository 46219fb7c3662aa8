//! CONN-01 to CONN-19 and RECON-02; WebSockets are in `websocket.rs`, CONN-06 is a function of the
//! hub's own tests.

use std::time::{Duration, Instant};

use hub_client::IfMatch;
use hub_protocol::{
    identity::Status,
    method::MethodRequest,
    topic::{self, ToDevice},
    twin::TwinPatch,
};
use rumqttc::{
    QoS,
    mqttbytes::v4::{
        Connect, ConnectReturnCode, LastWill, Packet, Publish, Subscribe, SubscribeReasonCode, Unsubscribe,
    },
};
use serde_json::{Value, json};

use super::application;
use crate::support::{
    object,
    raw_device::{DESIRED, METHODS, RESPONSES, hello, login, telemetry_topic, token},
    unix_now,
    world::World,
};

const C2D: &str = "devices/d/messages/devicebound/#";
const EVENTS: &str = "devices/d/messages/events/";

#[tokio::test]
async fn conn_01_a_client_id_that_is_not_the_user_name_s_is_refused() {
    let world = World::start().await;
    let device = world.device("d").await;
    for other in ["D", "d/m", "e", "", "d "] {
        let mut connect = hello(&device, false);
        connect.client_id = other.into();
        assert_eq!(
            world.knock(connect).await,
            ConnectReturnCode::NotAuthorized,
            "{other:?}"
        );
    }
}

#[tokio::test]
async fn conn_02_other_levels_of_mqtt_are_told_so_and_closed() {
    let world = World::start().await;
    for (name, level, rest) in [
        (&b"MQTT"[..], 3, &b"\0\x01d"[..]),
        (b"MQIsdp", 3, b"\0\x01d"),
        // Level 5 has properties before the client id.
        (b"MQTT", 5, b"\x05\x11\0\0\0\x10\0\x01d"),
        (b"MQTT", 6, b"whatever comes"),
    ] {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend_from_slice(name);
        body.extend_from_slice(&[level, 2, 0, 60]);
        body.extend_from_slice(rest);
        let mut frame = vec![0x10, u8::try_from(body.len()).unwrap()];
        frame.extend_from_slice(&body);
        let mut raw = world.dial().await;
        raw.send_bytes(&frame).await;
        match raw.receive().await {
            Some(Packet::ConnAck(answer)) => {
                assert_eq!(
                    (answer.code, answer.session_present),
                    (ConnectReturnCode::RefusedProtocolVersion, false),
                    "level {level}"
                );
            }
            other => panic!("CONNACK was expected, not {other:?}"),
        }
        raw.is_closed().await;
    }
}

#[tokio::test]
async fn conn_03_the_first_packet_is_a_connect_and_only_the_first() {
    let world = World::start().await;
    let device = world.device("d").await;
    for first in [
        Packet::PingReq,
        Packet::Subscribe(Subscribe::new(METHODS, QoS::AtMostOnce)),
        Packet::Disconnect,
    ] {
        let mut raw = world.dial().await;
        raw.send(&first).await;
        raw.is_closed().await;
    }
    let mut raw = world.connect(&device).await;
    raw.send(&Packet::Connect(hello(&device, false))).await;
    raw.is_closed().await;
}

fn with_will(mut connect: Connect, topic: &str) -> Connect {
    connect.last_will = Some(LastWill::new(topic, "gone", QoS::AtLeastOnce, false));
    connect
}

#[tokio::test]
async fn conn_04_a_second_connection_takes_over_sends_the_first_one_s_will_and_leaves_modules_alone() {
    let world = World::start().await;
    let device = world.device("d").await;
    let module = world.module(&device.device_id, "m").await;
    let module_token = token("localhost/devices/d/modules/m", &module, unix_now() + 60);
    let mut module = world.enter(login("localhost", "d/m", module_token.expose())).await;
    let mut first = world.enter(with_will(hello(&device, true), EVENTS)).await;
    let wills = world
        .messages("d", 1, async {
            let mut second = world.connect(&device).await;
            first.is_closed().await;
            second.send(&Packet::PingReq).await;
            assert!(matches!(second.receive().await, Some(Packet::PingResp)));
        })
        .await;
    assert_eq!(application(&wills[0]), [("iothub-MessageType", Some("Will"))]);
    module.send(&Packet::PingReq).await;
    assert!(matches!(module.receive().await, Some(Packet::PingResp)));
}

#[tokio::test]
async fn conn_05_one_and_a_half_keep_alives_of_silence_close_and_any_packet_starts_anew() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut connect = with_will(hello(&device, false), EVENTS);
    connect.keep_alive = 1;
    let mut raw = world.enter(connect).await;
    let mut silent_since = Instant::now();
    for _ in 0..3 {
        // Not a wait for something to happen: the pause is what is tested.
        tokio::time::sleep(Duration::from_millis(800)).await;
        raw.send(&Packet::PingReq).await;
        assert!(matches!(raw.receive().await, Some(Packet::PingResp)));
        silent_since = Instant::now();
    }
    let wills = world.messages("d", 1, raw.is_closed()).await;
    let silence = silent_since.elapsed().as_secs_f64();
    assert!((1.4..5.0).contains(&silence), "closed after {silence} s");
    assert_eq!(&wills[0].body[..], b"gone");
}

#[tokio::test]
async fn conn_09_a_kept_session_keeps_its_subscriptions_and_their_quality() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.dial().await;
    assert!(!raw.connect(&device, true).await, "there was none before");
    raw.subscribe(&[METHODS]).await;
    let mut subscribe = Subscribe::new(C2D, QoS::AtLeastOnce);
    subscribe.pkid = 9;
    raw.send(&Packet::Subscribe(subscribe)).await;
    assert!(matches!(raw.receive().await, Some(Packet::SubAck(_))));
    drop(raw);

    let mut raw = world.dial().await;
    assert!(raw.connect(&device, true).await, "it is kept");
    answers_a_method(&world, &mut raw).await;
    let database = rusqlite::Connection::open(world.hub.data_dir().join("hub.db")).unwrap();
    let mut statement = database
        .prepare("SELECT filter, qos FROM subscriptions ORDER BY filter")
        .unwrap();
    let stored: Vec<(String, u8)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(stored, [("cloudToDevice".into(), 1), ("methods".into(), 0)]);
}

async fn answers_a_method(world: &World, raw: &mut crate::support::raw_device::RawDevice) {
    let (client, id) = (world.client.clone(), crate::support::id("d"));
    let call = tokio::spawn(async move { client.invoke_method(&id, &MethodRequest::new("m", Value::Null)).await });
    let (_, request_id, _) = raw.call().await;
    raw.answer(&request_id, 200, &Value::Null).await;
    assert_eq!(call.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn conn_10_a_clean_session_forgets_what_was_kept() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    let mut clean = world.dial().await;
    assert_eq!(
        clean.knock(hello(&device, false)).await,
        (ConnectReturnCode::Success, false)
    );
    let method = MethodRequest::new("m", Value::Null);
    let error = world
        .client
        .invoke_method(&device.device_id, &method)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(404));
    // What a clean session subscribes to is not kept either.
    clean.subscribe(&[METHODS]).await;
    let mut kept = world.dial().await;
    assert!(!kept.connect(&device, true).await);
    let error = world
        .client
        .invoke_method(&device.device_id, &method)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn conn_11_a_will_is_sent_for_a_device_that_is_lost_and_not_for_one_that_leaves() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut leaving = world.enter(with_will(hello(&device, false), EVENTS)).await;
    let mut will = LastWill::new(
        format!("{EVENTS}%24.ct=text%2Fplain&a=1"),
        "gone",
        QoS::AtMostOnce,
        true,
    );
    let messages = world
        .messages("d", 1, async {
            leaving.send(&Packet::Disconnect).await;
            leaving.is_closed().await;
            will.message = "lost".into();
            let mut connect = hello(&device, false);
            connect.last_will = Some(will);
            drop(world.enter(connect).await);
        })
        .await;
    assert_eq!(&messages[0].body[..], b"lost");
    let expected = [
        ("a", Some("1")),
        ("mqtt-retain", Some("true")),
        ("iothub-MessageType", Some("Will")),
    ];
    assert_eq!(application(&messages[0]), expected);

    for foreign in ["devices/e/messages/events/", "$iothub/twin/GET/?$rid=1", "anything"] {
        let connect = with_will(hello(&device, false), foreign);
        assert_eq!(
            world.knock(connect).await,
            ConnectReturnCode::NotAuthorized,
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn conn_12_quality_two_closes_a_publisher_and_is_granted_as_one_to_a_subscriber() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let mut subscribe = Subscribe::new(C2D, QoS::ExactlyOnce);
    subscribe.pkid = 5;
    raw.send(&Packet::Subscribe(subscribe)).await;
    match raw.receive().await {
        Some(Packet::SubAck(answer)) => {
            assert_eq!(answer.return_codes, [SubscribeReasonCode::Success(QoS::AtLeastOnce)]);
        }
        other => panic!("SUBACK was expected, not {other:?}"),
    }
    raw.publish(EVENTS, QoS::ExactlyOnce, "{}").await;
    raw.is_closed().await;
}

#[tokio::test]
async fn conn_13_a_retained_message_says_so_and_is_not_retained() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let messages = world
        .messages("d", 1, async {
            let mut publish = Publish::new(EVENTS, QoS::AtMostOnce, "{}");
            publish.retain = true;
            raw.send(&Packet::Publish(publish)).await;
        })
        .await;
    assert_eq!(application(&messages[0]), [("mqtt-retain", Some("true"))]);
    raw.subscribe(&[C2D]).await;
    raw.send(&Packet::PingReq).await;
    assert!(
        matches!(raw.receive().await, Some(Packet::PingResp)),
        "nothing was delivered"
    );
}

#[tokio::test]
async fn conn_14_a_message_over_256_kib_closes_properties_included() {
    let world = World::start().await;
    let device = world.device("d").await;
    for (bag, size, taken) in [
        ("", 262_144, true),
        ("", 262_145, false),
        ("%24.mid=12&key=value", 262_134, true),
        ("%24.mid=12&key=value", 262_135, false),
    ] {
        let mut raw = world.connect(&device).await;
        raw.publish(format!("{EVENTS}{bag}"), QoS::AtLeastOnce, vec![b'x'; size])
            .await;
        if taken {
            assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))), "{bag} {size}");
        } else {
            raw.is_closed().await;
        }
    }
}

#[tokio::test]
async fn conn_15_topics_of_others_close_the_connection() {
    let world = World::start().await;
    let device = world.device("d").await;
    for filter in [
        "#",
        "devices/e/messages/devicebound/#",
        "devices/+/messages/devicebound/#",
        "devices/d/#",
        "devices/d/modules/m/#",
        "$iothub/#",
        "$SYS/#",
    ] {
        let mut raw = world.connect(&device).await;
        let mut subscribe = Subscribe::new_many(
            [METHODS, filter].map(|path| rumqttc::mqttbytes::v4::SubscribeFilter::new(path.into(), QoS::AtMostOnce)),
        );
        subscribe.pkid = 1;
        raw.send(&Packet::Subscribe(subscribe)).await;
        raw.is_closed().await;
    }
    for topic in [
        "devices/e/messages/events/",
        "devices/d/modules/m/messages/events/",
        "devices/d/messages/devicebound/",
        "$iothub/methods/POST/m/?$rid=1",
        "anything",
    ] {
        let mut raw = world.connect(&device).await;
        raw.publish(topic, QoS::AtLeastOnce, "{}").await;
        raw.is_closed().await;
    }
}

#[tokio::test]
async fn conn_16_five_filters_in_one_packet_have_five_answers_and_all_are_active() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let asked = [
        (METHODS, QoS::AtMostOnce),
        (RESPONSES, QoS::AtLeastOnce),
        (DESIRED, QoS::AtMostOnce),
        (C2D, QoS::AtLeastOnce),
        (METHODS, QoS::AtLeastOnce),
    ];
    let mut subscribe =
        Subscribe::new_many(asked.map(|(path, qos)| rumqttc::mqttbytes::v4::SubscribeFilter::new(path.into(), qos)));
    subscribe.pkid = 77;
    raw.send(&Packet::Subscribe(subscribe)).await;
    match raw.receive().await {
        Some(Packet::SubAck(answer)) => {
            assert_eq!(answer.pkid, 77);
            assert_eq!(
                answer.return_codes,
                asked.map(|(_, qos)| SubscribeReasonCode::Success(qos))
            );
        }
        other => panic!("SUBACK was expected, not {other:?}"),
    }
    assert_eq!(raw.report("1", &json!({ "a": 1 })).await.0, 204);
    let desired = TwinPatch::desired(object(json!({ "n": 1 })));
    world
        .client
        .update_twin(&device.device_id, &desired, IfMatch::None)
        .await
        .unwrap();
    assert!(matches!(
        ToDevice::parse(&raw.message().await.topic),
        Some(ToDevice::DesiredPatch { .. })
    ));
    answers_a_method(&world, &mut raw).await;

    // One removed, one never there: both are answered, the rest stays.
    let mut unsubscribe = Unsubscribe::new(METHODS);
    unsubscribe.topics.push("unknown/#".into());
    unsubscribe.pkid = 78;
    raw.send(&Packet::Unsubscribe(unsubscribe)).await;
    assert!(matches!(raw.receive().await, Some(Packet::UnsubAck(answer)) if answer.pkid == 78));
    let method = MethodRequest::new("m", Value::Null);
    let error = world
        .client
        .invoke_method(&device.device_id, &method)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert_eq!(raw.report("2", &json!({ "a": 2 })).await.0, 204);
}

#[tokio::test]
async fn conn_17_a_connection_lasts_as_long_as_its_token_and_not_past_the_skew() {
    let skew = 3;
    let world = World::start_with(|config| local_hub::LocalHubConfig {
        token_skew: Duration::from_secs(skew),
        ..config
    })
    .await;
    let device = world.device("d").await;
    let ends = unix_now() + 2;
    let password = token("localhost/devices/d", &device, ends);
    let connect = with_will(login("localhost", "d", password.expose()), EVENTS);
    let mut raw = world.enter(connect).await;
    let wills = world.messages("d", 1, raw.is_closed()).await;
    let now = unix_now();
    assert!(
        (ends..=ends + skew).contains(&now),
        "closed {} s late",
        now.cast_signed() - ends.cast_signed()
    );
    assert_eq!(&wills[0].body[..], b"gone");
}

#[tokio::test]
async fn conn_18_a_device_that_is_disabled_or_deleted_is_closed_with_its_modules() {
    let world = World::start().await;
    let device = world.device("d").await;
    let module = world.module(&device.device_id, "m").await;
    let neighbour = world.device("d-2").await;
    let mut other = world.connect(&neighbour).await;
    for delete in [false, true] {
        let module_token = token("localhost/devices/d/modules/m", &module, unix_now() + 60);
        let mut of_module = world.enter(login("localhost", "d/m", module_token.expose())).await;
        let mut raw = world.connect(&device).await;
        if delete {
            world
                .client
                .delete_device(&device.device_id, IfMatch::Any)
                .await
                .unwrap();
        } else {
            world.set_status(&device.device_id, Status::Disabled).await;
        }
        raw.is_closed().await;
        of_module.is_closed().await;
        assert_eq!(
            world.knock(hello(&device, false)).await,
            ConnectReturnCode::NotAuthorized
        );
        if !delete {
            world.set_status(&device.device_id, Status::Enabled).await;
        }
    }
    other.send(&Packet::PingReq).await;
    assert!(matches!(other.receive().await, Some(Packet::PingResp)));
}

#[tokio::test]
async fn conn_19_user_names_of_all_clients_are_read_and_the_model_is_kept() {
    let world = World::start().await;
    let device = world.device("d").await;
    let model = "dtmi:com:example:Thermostat;1";
    for (query, kept) in [
        ("api-version=2016-11-14", ""),
        (
            "?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.7%3BLinux%29",
            "",
        ),
        ("?api-version=2050-01-01&what=ever&auth-chain=x%3By", ""),
        (
            "?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20)",
            model,
        ),
        (
            "?api-version=2020-09-30&DeviceClientType=c%2f1.4&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B2&model-id=dtmi%3Aother%3B1",
            "dtmi:com:example:Thermostat;2",
        ),
    ] {
        let mut connect = hello(&device, false);
        connect.login.as_mut().unwrap().username = format!("localhost/d/{query}");
        let mut raw = world.enter(connect).await;
        let messages = world
            .messages(
                "d",
                1,
                raw.publish(telemetry_topic(&device.device_id), QoS::AtMostOnce, "{}"),
            )
            .await;
        assert_eq!(messages[0].sender.model_id, kept, "{query}");
        assert_eq!(world.twin(&device.device_id).await.model_id, kept, "{query}");
    }
    for malformed in [
        "localhost",
        "localhost//?api-version=1",
        "localhost/d/m/x/?api-version=1",
        "",
    ] {
        let mut connect = hello(&device, false);
        connect.login.as_mut().unwrap().username = malformed.into();
        assert_eq!(
            world.knock(connect).await,
            ConnectReturnCode::NotAuthorized,
            "{malformed}"
        );
    }
}

#[tokio::test]
async fn recon_02_a_whole_conversation_in_one_segment_is_answered_in_order() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.dial().await;
    let mut subscribe = Subscribe::new(RESPONSES, QoS::AtLeastOnce);
    subscribe.pkid = 1;
    let mut packets = vec![
        Packet::Connect(hello(&device, true)),
        Packet::Subscribe(subscribe),
        Packet::Publish(Publish::new(topic::twin_get("r"), QoS::AtMostOnce, " ")),
    ];
    // No order of their own: the ids are the client's business.
    let ids = [40, 3, 17, 5, 39, 60_000, 2, 1, 8, 12];
    for id in ids {
        let mut publish = Publish::new(EVENTS, QoS::AtLeastOnce, "{}");
        publish.pkid = id;
        packets.push(Packet::Publish(publish));
    }
    raw.send_all(&packets).await;
    assert!(matches!(raw.receive().await, Some(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success));
    assert!(matches!(raw.receive().await, Some(Packet::SubAck(answer)) if answer.pkid == 1));
    assert_eq!(raw.twin_answer("r").await.0, 200);
    for id in ids {
        assert!(
            matches!(raw.receive().await, Some(Packet::PubAck(answer)) if answer.pkid == id),
            "{id}"
        );
    }
}

#[tokio::test]
async fn answers_that_fill_the_buffer_do_not_hold_up_what_came_with_their_requests() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[RESPONSES]).await;
    let large: Vec<String> = (0..7).map(|_| "x".repeat(4000)).collect();
    assert_eq!(raw.report("0", &json!({ "large": large })).await.0, 204);
    let requests: Vec<Packet> = (0..10)
        .map(|n| Packet::Publish(Publish::new(topic::twin_get(&n.to_string()), QoS::AtMostOnce, " ")))
        .collect();
    raw.send_all(&requests).await;
    for n in 0..10 {
        assert_eq!(raw.twin_answer(&n.to_string()).await.0, 200);
    }
}
