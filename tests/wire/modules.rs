//! MOD-01 and MOD-02: modules are clients of their own.

use hub_protocol::{DeviceConnectionString, message::SystemProperty, topic};
use local_hub::AuthMethod;
use reqwest::Method;
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnectReturnCode, Packet, Subscribe, SubscribeReasonCode},
};
use serde_json::json;

use crate::support::{
    raw_device::{METHODS, RESPONSES, RawDevice, login, token},
    unix_now,
    world::World,
};

async fn connected() -> (World, DeviceConnectionString, RawDevice) {
    let world = World::start().await;
    let device = world.device("d").await;
    let module = world.module(&device.device_id, "m").await;
    let password = token("localhost/devices/d/modules/m", &module, unix_now() + 60);
    let raw = world.enter(login("localhost", "d/m", password.expose())).await;
    (world, device, raw)
}

#[tokio::test]
async fn mod_01_a_module_s_telemetry_is_stamped_with_the_module() {
    let (world, _, mut raw) = connected().await;
    let messages = world
        .messages("d", 1, async {
            let topic = "devices/d/modules/m/messages/events/%24.on=o1/";
            raw.publish(topic, QoS::AtLeastOnce, "{}").await;
            assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
        })
        .await;
    assert_eq!(messages[0].sender.id.to_string(), "d/m");
    assert_eq!(messages[0].sender.auth, Some(AuthMethod::ModuleSas));
    assert_eq!(messages[0].properties.get(SystemProperty::OutputName), Some("o1"));
    assert!(messages[0].properties.application.is_empty());

    for foreign in ["devices/d/messages/events/", "devices/d/modules/m2/messages/events/"] {
        let (_world, _, mut raw) = connected().await;
        raw.publish(foreign, QoS::AtMostOnce, "{}").await;
        raw.is_closed().await;
    }
}

#[tokio::test]
async fn mod_02_a_module_subscribes_to_everything_of_its_own() {
    let (_world, _, mut raw) = connected().await;
    for (filter, asked, granted) in [
        ("devices/d/modules/m/#", QoS::AtLeastOnce, QoS::AtLeastOnce),
        ("devices/d/modules/m/inputs/#", QoS::ExactlyOnce, QoS::AtLeastOnce),
        (
            "devices/d/modules/m/messages/devicebound/#",
            QoS::AtMostOnce,
            QoS::AtMostOnce,
        ),
    ] {
        let mut subscribe = Subscribe::new(filter, asked);
        subscribe.pkid = 4;
        raw.send(&Packet::Subscribe(subscribe)).await;
        match raw.receive().await {
            Some(Packet::SubAck(answer)) => {
                assert_eq!(answer.return_codes, [SubscribeReasonCode::Success(granted)], "{filter}");
            }
            other => panic!("SUBACK was expected, not {other:?}"),
        }
    }
    for foreign in [
        "devices/d/modules/m2/#",
        "devices/d/messages/devicebound/#",
        "devices/d/#",
    ] {
        let (_world, _, mut raw) = connected().await;
        let mut subscribe = Subscribe::new(foreign, QoS::AtMostOnce);
        subscribe.pkid = 4;
        raw.send(&Packet::Subscribe(subscribe)).await;
        raw.is_closed().await;
    }
}

#[tokio::test]
async fn a_module_has_a_twin_and_methods_of_its_own() {
    let (world, _, mut raw) = connected().await;
    raw.subscribe(&[METHODS, RESPONSES]).await;
    assert_eq!(raw.report("1", &json!({ "a": 1 })).await.0, 204);
    raw.publish(topic::twin_get("2"), QoS::AtMostOnce, " ").await;
    let (_, _, twin) = raw.twin_answer("2").await;
    assert_eq!(twin["reported"], json!({ "a": 1, "$version": 2 }));
    assert!(
        world
            .twin(&crate::support::id("d"))
            .await
            .properties
            .reported
            .values
            .is_empty()
    );

    let body = json!({ "methodName": "doIt", "payload": 1 }).to_string();
    let calling = world.call(Method::POST, "/twins/d/modules/m/methods", &[], body);
    let answering = async {
        let (_, request_id, payload) = raw.call().await;
        raw.answer(&request_id, 201, &payload).await;
    };
    let (answer, ()) = tokio::join!(calling, answering);
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "status": 201, "payload": 1 }))
    );
}

#[tokio::test]
async fn a_device_s_key_opens_its_modules_and_an_unknown_module_is_refused() {
    let (world, device, _) = connected().await;
    let own = token("localhost/devices/d/modules/m", &device, unix_now() + 60);
    let wide = token("localhost/devices/d", &device, unix_now() + 60);
    for password in [&own, &wide] {
        let connect = login("localhost", "d/m", password.expose());
        assert_eq!(world.knock(connect).await, ConnectReturnCode::Success);
    }
    let unknown = login("localhost", "d/nobody", wide.expose());
    assert_eq!(world.knock(unknown).await, ConnectReturnCode::NotAuthorized);
    let other = world.device("e").await;
    let foreign = token("localhost/devices/d/modules/m", &other, unix_now() + 60);
    let connect = login("localhost", "d/m", foreign.expose());
    assert_eq!(world.knock(connect).await, ConnectReturnCode::NotAuthorized);
}
