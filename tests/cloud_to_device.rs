//! Messages from services to devices: over MQTT and over HTTPS, with their feedback.

use std::time::Duration;

use hub_client::{ClientError, HubClient, IfMatch};
use hub_protocol::{
    DeviceConnectionString, DeviceId, ErrorCode, Secret, Timestamp,
    message::{Properties, SystemProperty},
    topic::ToDevice,
};
use reqwest::Method;
use rumqttc::{QoS, mqttbytes::v4::Publish};
use serde_json::json;
use time::OffsetDateTime;

use crate::support::{
    id,
    process::ServedHub,
    raw_device::{RawDevice, token},
    rest::Answer,
    soon, unix_now,
    world::{World, create_devices, telemetry},
};

const LOCK: Duration = Duration::from_millis(300);

async fn with_short_locks() -> World {
    World::start_with(|config| local_hub::LocalHubConfig {
        message_lock: LOCK,
        ..config
    })
    .await
}

fn filter(device: &DeviceConnectionString) -> String {
    format!("devices/{}/messages/devicebound/#", device.device_id)
}

/// Asks for all feedback.
fn named(message_id: &str) -> Properties {
    let mut properties = Properties::default();
    properties.system.insert(SystemProperty::MessageId, message_id.into());
    properties.system.insert(SystemProperty::Ack, "full".into());
    properties
}

fn expiring(message_id: &str, from_now: Duration) -> Properties {
    let mut properties = named(message_id);
    let expires = Timestamp(OffsetDateTime::now_utc() + from_now).to_string();
    properties.system.insert(SystemProperty::AbsoluteExpiryTime, expires);
    properties
}

fn properties(publish: &Publish) -> Properties {
    match ToDevice::parse(&publish.topic) {
        Some(ToDevice::CloudToDevice { bag }) => Properties::from_bag(bag),
        other => panic!("a message was expected, not {other:?}"),
    }
}

fn message_id(publish: &Publish) -> String {
    properties(publish).get(SystemProperty::MessageId).unwrap().to_owned()
}

async fn send(client: &HubClient, device: &DeviceConnectionString, message_id: &str) {
    let properties = named(message_id);
    let sent = client.send_message(&device.device_id, &properties, b"x".into());
    sent.await.unwrap();
}

impl World {
    async fn send(&self, device: &DeviceConnectionString, message_id: &str) {
        send(&self.client, device, message_id).await;
    }

    async fn listening(&self, device: &DeviceConnectionString) -> RawDevice {
        let mut raw = self.connect(device).await;
        raw.subscribe_at(QoS::AtLeastOnce, &[&filter(device)]).await;
        raw
    }

    async fn feedback(&self) -> Answer {
        self.call(Method::GET, "/messages/serviceBound/feedback", &[], String::new())
            .await
    }

    /// Reads feedback until something is there: what became of which message.
    async fn outcomes(&self, count: usize) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        soon("feedback", async {
            while seen.len() < count {
                let answer = self.feedback().await;
                for record in answer.body.as_array().into_iter().flatten() {
                    let text = |name: &str| record[name].as_str().unwrap().to_owned();
                    seen.push((text("originalMessageId"), text("statusCode")));
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        seen
    }

    async fn waiting(&self, device: &DeviceConnectionString) -> u64 {
        let device = self.client.device(&device.device_id).await.unwrap();
        device.cloud_to_device_message_count.into()
    }

    async fn as_device(
        &self,
        device: &DeviceConnectionString,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let path = format!("/devices/{}/messages/{path}", device.device_id);
        self.call_as(&own_token(device), method, &path, headers, body.into())
            .await
    }
}

fn own_token(device: &DeviceConnectionString) -> Secret {
    let resource = format!("{}/devices/{}", device.host_name, device.device_id);
    token(&resource, device, unix_now() + 600)
}

fn outcome(message_id: &str, status: &str) -> (String, String) {
    (message_id.into(), status.into())
}

#[tokio::test]
async fn c2d_01_a_message_comes_with_its_properties_in_the_topic() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.listening(&device).await;
    let mut properties = named("m/1");
    properties.system.insert(SystemProperty::CorrelationId, "c9".into());
    properties.application.push(("key1".into(), Some("value 1".into())));
    let sent = world
        .client
        .send_message(&device.device_id, &properties, b"\x00\xff body".into());
    sent.await.unwrap();
    let publish = raw.publication().await;
    assert_eq!(
        publish.topic,
        "devices/d/messages/devicebound/%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&%24.mid=m%2F1&%24.cid=c9&iothub-ack=full&key1=value%201"
    );
    assert_eq!(&publish.payload[..], b"\x00\xff body");
    assert_eq!(
        (publish.qos, publish.dup, publish.retain),
        (QoS::AtLeastOnce, false, false)
    );
}

#[tokio::test]
async fn c2d_02_an_acknowledged_message_is_completed_and_its_sender_told() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.listening(&device).await;
    world.send(&device, "m").await;
    let publish = raw.publication().await;
    assert_eq!(world.waiting(&device).await, 1, "delivered is not completed");
    assert_eq!(world.feedback().await.status, 204);
    raw.acknowledge(&publish).await;
    raw.nothing_more().await;
    assert_eq!(world.waiting(&device).await, 0);
    let answer = world.feedback().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/vnd.microsoft.iothub.feedback.json")
    );
    let record = &answer.body[0];
    let generation = world.client.device(&device.device_id).await.unwrap().generation_id;
    assert_eq!(
        (
            &record["originalMessageId"],
            &record["statusCode"],
            &record["description"]
        ),
        (&json!("m"), &json!("Success"), &json!("Success"))
    );
    assert_eq!(
        (&record["deviceId"], &record["deviceGenerationId"]),
        (&json!("d"), &json!(generation))
    );
    assert!(Timestamp::parse(record["enqueuedTimeUtc"].as_str().unwrap()).is_some());
}

#[tokio::test]
async fn c2d_03_an_unacknowledged_message_comes_again_after_its_lock() {
    let world = with_short_locks().await;
    let device = world.device("d").await;
    let mut raw = world.listening(&device).await;
    world.send(&device, "m").await;
    let first = raw.publication().await;
    let again = raw.publication().await;
    assert_eq!((again.pkid, again.dup), (first.pkid, true));
    assert_eq!((&again.topic, &again.payload), (&first.topic, &first.payload));
    raw.acknowledge(&again).await;
    raw.nothing_more().await;
    assert_eq!(world.outcomes(1).await, [outcome("m", "Success")]);
}

#[tokio::test]
async fn c2d_04_a_reconnect_brings_what_was_not_acknowledged_without_a_new_subscription() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.listening(&device).await;
    for name in ["a", "b", "c"] {
        world.send(&device, name).await;
    }
    let [a, b, c] = [
        raw.publication().await,
        raw.publication().await,
        raw.publication().await,
    ];
    raw.acknowledge(&b).await;
    raw.nothing_more().await;
    drop(raw);
    world.send(&device, "d").await;

    let mut raw = world.dial().await;
    assert!(raw.connect(&device, true).await);
    for first in [a, c] {
        let again = raw.publication().await;
        assert_eq!((&again.topic, again.pkid, again.dup), (&first.topic, first.pkid, true));
        raw.acknowledge(&again).await;
    }
    let new = raw.publication().await;
    assert_eq!((message_id(&new).as_str(), new.dup), ("d", false));
}

#[tokio::test]
async fn c2d_05_the_fifty_first_message_is_refused_until_another_is_completed() {
    let world = World::start().await;
    let device = world.device("d").await;
    for number in 0..50 {
        world.send(&device, &number.to_string()).await;
    }
    let refused = world
        .client
        .send_message(&device.device_id, &named("50"), b"x".into())
        .await;
    assert_eq!(
        refused.unwrap_err().code(),
        Some(ErrorCode::DeviceMaximumQueueDepthExceeded)
    );
    assert_eq!(world.waiting(&device).await, 50);

    let mut raw = world.listening(&device).await;
    for number in 0..50 {
        let publish = raw.publication().await;
        assert_eq!(message_id(&publish), number.to_string(), "first in, first out");
        raw.acknowledge(&publish).await;
    }
    raw.nothing_more().await;
    world.send(&device, "50").await;
    assert_eq!(message_id(&raw.publication().await), "50");
}

#[tokio::test]
async fn c2d_06_a_message_that_expires_while_its_device_is_away_is_not_delivered() {
    let world = World::start().await;
    let device = world.device("d").await;
    drop(world.listening(&device).await);
    let brief = expiring("m", Duration::from_millis(200));
    world
        .client
        .send_message(&device.device_id, &brief, b"x".into())
        .await
        .unwrap();
    assert_eq!(world.outcomes(1).await, [outcome("m", "Expired")]);
    let mut raw = world.connect(&device).await;
    raw.nothing_more().await;
    assert_eq!(world.waiting(&device).await, 0);
}

#[tokio::test]
async fn rg_15_a_purge_empties_the_queue_counts_and_tells_the_senders() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.listening(&device).await;
    world.send(&device, "delivered").await;
    let publish = raw.publication().await;
    drop(raw);
    for name in ["b", "c", "d"] {
        world.send(&device, name).await;
    }
    let answer = world
        .call(Method::DELETE, "/devices/d/commands", &[], String::new())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({ "deviceId": "d", "moduleId": null, "totalMessagesPurged": 4 })
    );
    let expected = ["delivered", "b", "c", "d"].map(|name| outcome(name, "Purged"));
    assert_eq!(world.outcomes(4).await, expected);
    let mut raw = world.connect(&device).await;
    raw.acknowledge(&publish).await;
    raw.nothing_more().await;
    assert_eq!(world.client.purge_messages(&device.device_id).await.unwrap(), 0);
    let unknown = world.client.purge_messages(&id("unknown")).await.unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::DeviceNotFound));
}

#[tokio::test]
async fn ht_1_feedback_is_found_in_any_letter_case() {
    let world = World::start().await;
    let answer = world
        .call(Method::GET, "/messages/servicebound/FEEDBACK", &[], String::new())
        .await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_subscription_at_qos_0_completes_messages_as_they_are_written() {
    let world = World::start().await;
    let device = world.device("d").await;
    for number in 0..40 {
        world.send(&device, &number.to_string()).await;
    }
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[&filter(&device)]).await;
    for number in 0..40 {
        let publish = raw.publication().await;
        assert_eq!(
            (message_id(&publish), publish.qos),
            (number.to_string(), QoS::AtMostOnce)
        );
    }
    raw.nothing_more().await;
    assert_eq!(world.waiting(&device).await, 0);
}

#[tokio::test]
async fn a_device_has_at_most_sixteen_messages_unacknowledged() {
    let world = World::start().await;
    let device = world.device("d").await;
    for number in 0..20 {
        world.send(&device, &number.to_string()).await;
    }
    let mut raw = world.listening(&device).await;
    let mut first = raw.publication().await;
    for _ in 1..16 {
        raw.publication().await;
    }
    raw.nothing_more().await;
    for number in 16..20 {
        raw.acknowledge(&first).await;
        first = raw.publication().await;
        assert_eq!(message_id(&first), number.to_string());
    }
}

#[tokio::test]
async fn a_message_delivered_ten_times_in_vain_is_given_up() {
    let world = World::start().await;
    let device = world.device("d").await;
    drop(world.listening(&device).await);
    world.send(&device, "m").await;
    for delivery in 0..10 {
        let mut raw = world.connect(&device).await;
        assert_eq!(raw.publication().await.dup, delivery > 0);
    }
    world.connect(&device).await.nothing_more().await;
    assert_eq!(world.outcomes(1).await, [outcome("m", "DeliveryCountExceeded")]);
}

#[tokio::test]
async fn without_a_subscription_messages_wait_and_a_clean_session_keeps_them() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    world.send(&device, "m").await;
    raw.nothing_more().await;
    let mut clean = world.dial().await;
    assert!(!clean.connect(&device, false).await);
    clean.nothing_more().await;
    clean.subscribe_at(QoS::AtLeastOnce, &[&filter(&device)]).await;
    assert_eq!(message_id(&clean.publication().await), "m");
}

#[tokio::test]
async fn a_takeover_brings_the_messages_to_the_new_connection_once() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut old = world.listening(&device).await;
    for number in 0..30 {
        world.send(&device, &number.to_string()).await;
    }
    old.publication().await;
    let mut new = world.connect(&device).await;
    for number in 0..30 {
        let publish = new.publication().await;
        assert_eq!(message_id(&publish), number.to_string());
        new.acknowledge(&publish).await;
    }
    new.nothing_more().await;
    assert_eq!(world.waiting(&device).await, 0);
}

#[tokio::test]
async fn what_cannot_be_queued_is_refused_with_the_reason() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let code = |result: Result<(), ClientError>| result.unwrap_err().code();
    let send = |device: DeviceId, properties: Properties, size: usize| {
        let client = world.client.clone();
        async move { client.send_message(&device, &properties, vec![b'x'; size]).await }
    };
    let fits = 64 * 1024 - named("m").size();
    send(device.clone(), named("m"), fits).await.unwrap();
    let too_large = send(device.clone(), named("m"), fits + 1).await;
    assert_eq!(code(too_large), Some(ErrorCode::MessageTooLarge));
    let unknown = send(id("unknown"), named("m"), 1).await;
    assert_eq!(code(unknown), Some(ErrorCode::DeviceNotFound));
    let mut past = named("m");
    past.system
        .insert(SystemProperty::AbsoluteExpiryTime, "2001-01-01T00:00:00Z".into());
    assert_eq!(
        code(send(device.clone(), past, 1).await),
        Some(ErrorCode::InvalidMessageExpiryTime)
    );
    let far = expiring("m", Duration::from_secs(3 * 86_400));
    assert_eq!(
        code(send(device.clone(), far, 1).await),
        Some(ErrorCode::InvalidMessageExpiryTime)
    );
    let mut loud = named("m");
    loud.system.insert(SystemProperty::Ack, "loud".into());
    assert_eq!(code(send(device, loud, 1).await), Some(ErrorCode::ArgumentInvalid));
}

#[tokio::test]
async fn feedback_is_given_once_it_is_completed_and_again_when_abandoned_or_its_lock_lapses() {
    let world = with_short_locks().await;
    let device = world.device("d").await;
    for number in 0..3 {
        world.send(&device, &number.to_string()).await;
    }
    let mut quiet = named("quiet");
    quiet.system.insert(SystemProperty::Ack, "positive".into());
    world
        .client
        .send_message(&device.device_id, &quiet, b"x".into())
        .await
        .unwrap();
    assert_eq!(world.client.purge_messages(&device.device_id).await.unwrap(), 4);

    let settle = async |method: Method, lock: &str, how: &str| {
        let path = format!("/messages/serviceBound/feedback/{lock}{how}");
        world.call(method, &path, &[], String::new()).await
    };
    let lock = |answer: &Answer| answer.header("ETag").unwrap().trim_matches('"').to_owned();
    let first = world.feedback().await;
    assert_eq!(
        first.body.as_array().unwrap().len(),
        3,
        "none for who asked for good news only"
    );
    assert_eq!(world.feedback().await.status, 204, "locked");
    assert_eq!(settle(Method::POST, &lock(&first), "/abandon").await.status, 204);
    let again = world.feedback().await;
    assert_eq!(again.body, first.body);
    let lapsed = lock(&again);
    assert_eq!(world.outcomes(3).await.len(), 3, "once the lock lapsed");
    let lost = settle(Method::DELETE, &lapsed, "").await;
    assert_eq!(
        (lost.status, lost.header("iothub-errorcode")),
        (412, Some("DeviceMessageLockLost"))
    );
    let last = soon("feedback", async {
        loop {
            let answer = world.feedback().await;
            if answer.status == 200 {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(settle(Method::DELETE, &lock(&last), "").await.status, 204);
    assert_eq!(settle(Method::DELETE, &lock(&last), "").await.status, 412);
}

#[tokio::test]
async fn a_device_receives_and_settles_over_https() {
    let world = World::start().await;
    let device = world.device("d").await;
    let empty = world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    assert_eq!(empty.status, 204);
    let mut properties = named("a");
    properties.application.push(("colour".into(), Some("grün".into())));
    world
        .client
        .send_message(&device.device_id, &properties, b"{\"n\":1}".into())
        .await
        .unwrap();
    world.send(&device, "b").await;

    let receive = async || world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    let settle = async |method: Method, answer: &Answer, how: &str| {
        let lock = answer.header("ETag").unwrap().trim_matches('"').to_owned();
        let path = format!("devicebound/{lock}{how}");
        world.as_device(&device, method, &path, &[], "").await.status
    };
    let a = receive().await;
    assert_eq!((a.status, &a.body), (200, &json!({ "n": 1 })));
    assert_eq!(a.header("iothub-messageid"), Some("a"));
    assert_eq!(a.header("iothub-to"), Some("/devices/d/messages/devicebound"));
    assert_eq!(a.header("iothub-ack"), Some("full"));
    assert_eq!(
        a.headers.get("iothub-app-colour").unwrap().as_bytes(),
        "grün".as_bytes()
    );
    assert_eq!(a.header("iothub-deliverycount"), Some("0"));
    assert!(a.header("iothub-sequencenumber").unwrap().parse::<u64>().is_ok());
    assert!(Timestamp::parse(a.header("iothub-enqueuedtime").unwrap()).is_some());
    let b = receive().await;
    assert_eq!(b.header("iothub-messageid"), Some("b"));
    assert_eq!(receive().await.status, 204, "both are locked");

    assert_eq!(settle(Method::POST, &a, "/abandon").await, 204);
    assert_eq!(
        settle(Method::DELETE, &a, "").await,
        412,
        "the lock went with the abandon"
    );
    let a = receive().await;
    assert_eq!(
        (a.header("iothub-messageid"), a.header("iothub-deliverycount")),
        (Some("a"), Some("1"))
    );
    assert_eq!(settle(Method::DELETE, &b, "?reject").await, 204);
    assert_eq!(settle(Method::DELETE, &a, "").await, 204);
    assert_eq!(settle(Method::DELETE, &a, "").await, 412);
    assert_eq!(
        world.outcomes(2).await,
        [outcome("b", "Rejected"), outcome("a", "Success")]
    );
}

#[tokio::test]
async fn a_message_locked_over_https_is_not_delivered_over_mqtt_until_it_is_abandoned() {
    let world = World::start().await;
    let device = world.device("d").await;
    world.send(&device, "m").await;
    let locked = world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    let mut raw = world.listening(&device).await;
    raw.nothing_more().await;
    let lock = locked.header("ETag").unwrap().trim_matches('"').to_owned();
    let path = format!("devicebound/{lock}/abandon");
    assert_eq!(world.as_device(&device, Method::POST, &path, &[], "").await.status, 204);
    let publish = raw.publication().await;
    assert_eq!((message_id(&publish).as_str(), publish.dup), ("m", true));
}

#[tokio::test]
async fn https_lets_in_the_device_itself_and_policies_that_connect_devices_and_nobody_else() {
    let world = World::start().await;
    let (device, other) = (world.device("d").await, world.device("d2").await);
    let status = async |token: &Secret| {
        let path = "/devices/d/messages/devicebound";
        world.call_as(token, Method::GET, path, &[], String::new()).await.status
    };
    assert_eq!(status(&own_token(&device)).await, 204);
    assert_eq!(
        status(&crate::support::rest::token(&world.policy("device"), unix_now() + 600)).await,
        204
    );
    for refused in [
        own_token(&other),
        crate::support::rest::token(&world.policy("service"), unix_now() + 600),
        token("localhost/devices/d", &device, unix_now() - 3600),
        Secret::new(""),
    ] {
        assert_eq!(status(&refused).await, 401);
    }
    let unknown = DeviceConnectionString {
        device_id: id("unknown"),
        ..device
    };
    assert_eq!(
        world
            .as_device(&unknown, Method::GET, "devicebound", &[], "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_device_sends_telemetry_over_https_alone_and_in_batches() {
    let world = World::start().await;
    let device = world.device("d").await;
    let send = async |headers: &[(&str, &str)], body: &str| {
        world
            .as_device(&device, Method::POST, "events", headers, body)
            .await
            .status
    };
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        let headers = [
            ("IoTHub-MessageId", "m"),
            ("iothub-app-a", "1"),
            ("iothub-contenttype", "text/plain"),
        ];
        assert_eq!(send(&headers, "hello").await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"hello");
    assert_eq!(sent.properties.get(SystemProperty::MessageId), Some("m"));
    assert_eq!(sent.properties.get(SystemProperty::ContentType), Some("text/plain"));
    assert_eq!(sent.properties.application, [("a".into(), Some("1".into()))]);

    let batch = [("Content-Type", "application/vnd.microsoft.iothub.json")];
    let body = json!([{ "body": "AP8=", "properties": { "iothub-app-n": "1" } }]).to_string();
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        assert_eq!(send(&batch, &body).await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"\x00\xff");
    assert_eq!(sent.properties.application, [("n".into(), Some("1".into()))]);

    let plain = json!([{ "body": "text", "base64Encoded": false }]).to_string();
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        assert_eq!(send(&batch, &plain).await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"text");

    assert_eq!(send(&batch, "[{\"body\":\"not base64\"}]").await, 400);
    assert_eq!(send(&batch, "{").await, 400);
    assert_eq!(send(&[], &"x".repeat(256 * 1024)).await, 204);
    assert_eq!(send(&[], &"x".repeat(256 * 1024 + 1)).await, 413);
}

#[tokio::test]
async fn a_deleted_device_s_queue_goes_with_it() {
    let world = World::start().await;
    let device = world.device("d").await;
    world.send(&device, "m").await;
    world
        .client
        .delete_device(&device.device_id, IfMatch::Any)
        .await
        .unwrap();
    let device = world.device("d").await;
    assert_eq!(world.waiting(&device).await, 0);
    world.listening(&device).await.nothing_more().await;
}

#[tokio::test]
async fn a_kill_loses_no_accepted_message_and_revives_no_completed_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut hub = ServedHub::start(dir.path()).await;
    let device = create_devices(&hub.client, "d", 1).await.remove(0);
    let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    raw.connect(&device, true).await;
    raw.subscribe_at(QoS::AtLeastOnce, &[&filter(&device)]).await;
    for number in 0..6 {
        send(&hub.client, &device, &number.to_string()).await;
    }
    let mut delivered = Vec::new();
    for _ in 0..6 {
        delivered.push(raw.publication().await);
    }
    for publish in delivered.iter().step_by(2) {
        raw.acknowledge(publish).await;
    }
    // Answered behind the acknowledgements, so these are committed.
    raw.nothing_more().await;
    hub.process.kill().await.unwrap();

    let hub = ServedHub::start(dir.path()).await;
    let mut raw = RawDevice::dial(hub.mqtt_port(), &hub.tls).await;
    assert!(raw.connect(&device, true).await);
    for number in [1, 3, 5] {
        let publish = raw.publication().await;
        assert_eq!((message_id(&publish), publish.dup), (number.to_string(), true));
        raw.acknowledge(&publish).await;
    }
    raw.nothing_more().await;
}
