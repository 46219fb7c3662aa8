//! TWIN-01 to TWIN-09.

use hub_client::IfMatch;
use hub_protocol::{topic, twin::TwinPatch};
use rumqttc::{QoS, mqttbytes::v4::Packet};
use serde_json::{Value, json};

use crate::support::{
    id, object,
    raw_device::{DESIRED, RESPONSES, RawDevice},
    world::World,
};

async fn subscribed() -> (World, RawDevice) {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[RESPONSES, DESIRED]).await;
    (world, raw)
}

impl World {
    async fn desire(&self, patch: Value) {
        let patch = TwinPatch::desired(object(patch));
        self.client.update_twin(&id("d"), &patch, IfMatch::None).await.unwrap();
    }
}

async fn get(raw: &mut RawDevice, body: &str) -> (String, String) {
    raw.publish(topic::twin_get("r-1"), QoS::AtMostOnce, body).await;
    match raw.receive().await {
        Some(Packet::Publish(publish)) => (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap()),
        other => panic!("a twin was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn twin_01_a_device_reads_both_sections_with_versions_and_nothing_else() {
    let (world, mut raw) = subscribed().await;
    let tags = TwinPatch::tags(object(json!({ "site": "b1" })));
    world.client.update_twin(&id("d"), &tags, IfMatch::None).await.unwrap();
    world.desire(json!({ "interval": 30, "net": { "mode": "lte" } })).await;
    raw.message().await;
    raw.report("1", &json!({ "fw": "1.2.0" })).await;
    for body in [" ", ""] {
        let (topic, twin) = get(&mut raw, body).await;
        assert_eq!(topic, "$iothub/twin/res/200/?$rid=r-1");
        assert_eq!(
            twin,
            r#"{"desired":{"interval":30,"net":{"mode":"lte"},"$version":2},"reported":{"fw":"1.2.0","$version":2}}"#
        );
    }
}

#[tokio::test]
async fn twin_02_a_report_is_answered_with_its_version_and_no_body() {
    let (_world, mut raw) = subscribed().await;
    for (n, version) in [(1, 2), (1, 3), (2, 4)] {
        raw.publish(
            topic::reported_patch("7f"),
            QoS::AtLeastOnce,
            json!({ "a": n }).to_string(),
        )
        .await;
        assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
        let Some(Packet::Publish(answer)) = raw.receive().await else {
            panic!("an answer was expected")
        };
        assert_eq!(
            answer.topic,
            format!("$iothub/twin/res/204/?$rid=7f&$version={version}")
        );
        assert!(answer.payload.is_empty());
    }
}

/// Reports that must be refused, with an error that names a number, and nothing applied.
async fn are_refused(reports: Vec<String>) {
    let (world, mut raw) = subscribed().await;
    for report in reports {
        raw.publish(topic::reported_patch("1"), QoS::AtMostOnce, report.clone())
            .await;
        let (status, version, body) = raw.twin_answer("1").await;
        let shown: String = report.chars().take(60).collect();
        assert_eq!((status, version), (400, None), "{shown}");
        assert!(
            body["errorCode"].as_u64().is_some_and(|code| code / 1000 == 400),
            "{shown}: {body}"
        );
        assert!(body["message"].is_string() && body["trackingId"].is_string() && body["timestampUtc"].is_string());
    }
    let twin = world.twin(&id("d")).await;
    assert!(twin.properties.reported.values.is_empty());
    assert_eq!(twin.properties.reported.version, 1);
}

#[tokio::test]
async fn twin_03_a_report_that_is_not_an_object_or_has_a_bad_key_is_refused_as_a_whole() {
    let reports = [
        "{",
        "",
        "[]",
        "1",
        r#"{"ok":1,"$version":2}"#,
        r#"{"ok":1,"a.b":2}"#,
        r#"{"ok":1,"a b":2}"#,
    ];
    are_refused(reports.map(String::from).to_vec()).await;
}

#[tokio::test]
async fn twin_04_null_removes_a_key_and_does_nothing_to_a_missing_one() {
    let (world, mut raw) = subscribed().await;
    assert_eq!(raw.report("1", &json!({ "x": 1, "y": 2 })).await.0, 204);
    assert_eq!(raw.report("2", &json!({ "x": null })).await.0, 204);
    assert_eq!(raw.report("3", &json!({ "x": null, "never": null })).await.0, 204);
    assert_eq!(
        world.twin(&id("d")).await.properties.reported.values,
        object(json!({ "y": 2 }))
    );
}

#[tokio::test]
async fn twin_05_null_below_a_missing_key_leaves_an_empty_object() {
    let (world, mut raw) = subscribed().await;
    assert_eq!(raw.report("1", &json!({ "a": { "b": null } })).await.0, 204);
    assert_eq!(
        world.twin(&id("d")).await.properties.reported.values,
        object(json!({ "a": {} }))
    );
}

#[tokio::test]
async fn twin_06_a_report_over_a_limit_is_refused() {
    // Eleven objects below the root of the section.
    let deep = format!("{}1{}", r#"{"a":"#.repeat(12), "}".repeat(12));
    let reports = vec![
        json!({ "a": [1, null] }).to_string(),
        json!({ "a": [{ "b": null }] }).to_string(),
        deep,
        json!({ "a": 1_i64 << 52 }).to_string(),
        json!({ "a": "x".repeat(4097) }).to_string(),
    ];
    are_refused(reports).await;
}

#[tokio::test]
async fn twin_07_a_desired_change_is_told_with_its_version_in_topic_and_body() {
    let (world, mut raw) = subscribed().await;
    world.desire(json!({ "interval": 30, "net": 1 })).await;
    raw.message().await;
    world.desire(json!({ "interval": 60, "net": null })).await;
    let Some(Packet::Publish(told)) = raw.receive().await else {
        panic!("a change was expected")
    };
    assert_eq!(told.topic, "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_eq!(&told.payload[..], br#"{"interval":60,"net":null,"$version":3}"#);
}

#[tokio::test]
async fn twin_08_what_changes_while_a_device_is_away_is_not_told_and_is_in_its_twin() {
    let (world, raw) = subscribed().await;
    drop(raw);
    world.desire(json!({ "n": 1 })).await;
    let mut raw = world.dial().await;
    let device = hub_protocol::DeviceConnectionString {
        key: world.client.device(&id("d")).await.unwrap().primary_key().unwrap(),
        host_name: "localhost".into(),
        device_id: id("d"),
        gateway_host_name: None,
    };
    assert!(raw.connect(&device, true).await);
    let (topic, twin) = get(&mut raw, " ").await;
    assert!(
        topic.starts_with("$iothub/twin/res/200/"),
        "the first word is the answer: {topic}"
    );
    assert!(twin.contains(r#""desired":{"n":1,"$version":2}"#), "{twin}");
}

#[tokio::test]
async fn twin_09_after_a_reconnect_a_device_asks_without_subscribing_again() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[RESPONSES, DESIRED]).await;
    raw.send(&Packet::Disconnect).await;
    raw.is_closed().await;
    let mut raw = world.connect(&device).await;
    assert!(get(&mut raw, " ").await.0.starts_with("$iothub/twin/res/200/"));
    world.desire(json!({ "n": 1 })).await;
    assert_eq!(raw.message().await.body, json!({ "n": 1, "$version": 2 }));
    // Who does not listen for answers gets none.
    let mut deaf = world.dial().await;
    deaf.knock(crate::support::raw_device::hello(&device, false)).await;
    deaf.publish(topic::twin_get("r"), QoS::AtMostOnce, " ").await;
    deaf.send(&Packet::PingReq).await;
    assert!(matches!(deaf.receive().await, Some(Packet::PingResp)));
}
