//! Messages from services to devices over MQTT, and their feedback.

use std::time::Duration;

use hub_client::{ClientError, IfMatch};
use hub_protocol::{
    DeviceId, ErrorCode, Timestamp,
    message::{Properties, SystemProperty},
};
use reqwest::Method;
use rumqttc::QoS;
use serde_json::json;

use crate::support::{
    id,
    messages::{expiring, filter, message_id, named, outcome, send},
    process::ServedHub,
    raw_device::RawDevice,
    rest::Answer,
    soon,
    world::{World, create_devices},
};

const LOCK: Duration = Duration::from_millis(300);

async fn with_short_locks() -> World {
    World::start_with(|config| local_hub::LocalHubConfig {
        message_lock: LOCK,
        ..config
    })
    .await
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
    world.lose(raw, &device.device_id).await;
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
    world.lose(world.listening(&device).await, &device.device_id).await;
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
    world.lose(world.listening(&device).await, &device.device_id).await;
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
