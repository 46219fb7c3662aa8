//! D2C-01 to D2C-05.

use hub_protocol::message::SystemProperty as P;
use local_hub::AuthMethod;
use rumqttc::{QoS, mqttbytes::v4::Packet};

use super::application;
use crate::support::{raw_device::RawDevice, world::World};

async fn connected() -> (World, RawDevice) {
    let world = World::start().await;
    let device = world.device("d").await;
    let raw = world.connect(&device).await;
    (world, raw)
}

#[tokio::test]
async fn d2c_01_the_barest_message_is_taken_and_acknowledged() {
    let (world, mut raw) = connected().await;
    for topic in ["devices/d/messages/events", "devices/d/messages/events/"] {
        let messages = world
            .messages("d", 1, async {
                raw.publish(topic, QoS::AtLeastOnce, "").await;
                assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
            })
            .await;
        assert!(messages[0].properties.application.is_empty() && messages[0].properties.system.is_empty());
        assert!(messages[0].body.is_empty());
    }
}

#[tokio::test]
async fn d2c_02_what_the_python_client_sends_is_understood() {
    let (world, mut raw) = connected().await;
    let topic = "devices/d/messages/events/%24.mid=id%2F1%20%C3%BC&%24.cid=c%261&%24.uid=u1&\
                 %24.ct=application%2Fjson%3Bcharset%3Dutf-8&%24.ce=utf-8&%24.exp=2030-01-01T00%3A00%3A00Z&\
                 %24.sub=thermostat1&a=x%2Fy%2Bz&b%20key=v%3D1%262";
    let messages = world.messages("d", 1, raw.publish(topic, QoS::AtMostOnce, "{}")).await;
    let properties = &messages[0].properties;
    for (name, value) in [
        (P::MessageId, "id/1 ü"),
        (P::CorrelationId, "c&1"),
        (P::UserId, "u1"),
        (P::ContentType, "application/json;charset=utf-8"),
        (P::ContentEncoding, "utf-8"),
        (P::AbsoluteExpiryTime, "2030-01-01T00:00:00Z"),
        (P::Subject, "thermostat1"),
    ] {
        assert_eq!(properties.get(name), Some(value), "{name:?}");
    }
    assert_eq!(
        application(&messages[0]),
        [("a", Some("x/y+z")), ("b key", Some("v=1&2"))]
    );
}

#[tokio::test]
async fn d2c_03_sloppy_forms_of_a_bag_mean_what_the_strict_one_means() {
    let (world, mut raw) = connected().await;
    for bag in [
        "/%24.ct=text%2Fplain&a=1+2&b&c=",
        "/%24.ct=text%2Fplain&a=1+2&b&c=/",
        "/?%24.ct=text%2Fplain&a=1+2&b&c=",
        "?%24.ct=text%2Fplain&a=1+2&b&c=",
        "/$.ct=text/plain&&a=1+2&b&c=",
        "/a=0&$.ct=text%2Fplain&a=1+2&b&c=",
    ] {
        let topic = format!("devices/d/messages/events{bag}");
        let messages = world.messages("d", 1, raw.publish(topic, QoS::AtMostOnce, "x")).await;
        assert_eq!(messages[0].properties.get(P::ContentType), Some("text/plain"), "{bag}");
        assert_eq!(
            application(&messages[0]),
            [("a", Some("1+2")), ("b", None), ("c", Some(""))],
            "{bag}"
        );
    }
}

#[tokio::test]
async fn d2c_04_every_message_is_stamped_with_who_sent_it_how_and_when() {
    let (world, mut raw) = connected().await;
    let identity = world.client.device(&crate::support::id("d")).await.unwrap();
    let before = time::OffsetDateTime::now_utc();
    let messages = world
        .messages("d", 1, raw.publish("devices/d/messages/events/", QoS::AtMostOnce, "x"))
        .await;
    let message = &messages[0];
    assert_eq!(message.sender.id.to_string(), "d");
    assert_eq!(message.sender.generation_id, identity.generation_id);
    assert_eq!(message.sender.auth, Some(AuthMethod::DeviceSas));
    assert_eq!(
        message.sender.auth.map(|auth| auth.to_string()).as_deref(),
        Some(r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#)
    );
    let late = message.enqueued_time.0 - before;
    assert!(late.whole_seconds().abs() < 30, "{late}");
}

#[tokio::test]
async fn d2c_05_no_property_of_a_device_passes_for_a_stamp_of_the_hub() {
    let (world, mut raw) = connected().await;
    let topic = "devices/d/messages/events/iothub-connection-device-id=other&%24.cdid=other&%24.cmid=m";
    let messages = world.messages("d", 1, raw.publish(topic, QoS::AtMostOnce, "x")).await;
    assert_eq!(messages[0].sender.id.to_string(), "d");
    assert!(messages[0].properties.system.is_empty());
    assert_eq!(
        application(&messages[0]),
        [("iothub-connection-device-id", Some("other"))]
    );
}
