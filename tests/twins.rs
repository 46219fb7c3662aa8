//! Twins, from both sides.

use std::sync::Arc;

use hub_client::{ClientError, IfMatch};
use hub_protocol::{
    DeviceId, ErrorCode, Timestamp,
    topic::{self, ToDevice},
    twin::{Twin, TwinPatch, TwinPatchProperties},
};
use local_hub::{HubEvent, TwinSection};
use rumqttc::QoS;
use serde_json::{Value, json};

use crate::support::{
    id, object,
    raw_device::{DESIRED, RESPONSES},
    world::{World, event},
};

fn desired(value: Value) -> TwinPatch {
    TwinPatch::desired(object(value))
}

impl World {
    async fn patch(&self, device: &DeviceId, patch: TwinPatch) -> Result<Twin, ClientError> {
        self.client.update_twin(device, &patch, IfMatch::None).await
    }
}

#[tokio::test]
async fn a_patch_merges_and_null_removes() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let first = json!({ "a": { "x": 1, "y": 2 }, "b": [1, 2], "c": "text" });
    world.patch(&device, desired(first)).await.unwrap();
    let second = json!({ "a": { "x": null, "z": 3 }, "b": [3], "c": null, "d": { "e": null } });
    let twin = world.patch(&device, desired(second)).await.unwrap();
    let expected = json!({ "a": { "y": 2, "z": 3 }, "b": [3], "d": {} });
    assert_eq!(Value::Object(twin.properties.desired.values.clone()), expected);
    assert_eq!(twin, world.twin(&device).await);
}

#[tokio::test]
async fn only_what_was_written_gets_a_new_stamp_and_version() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let first = world
        .patch(&device, desired(json!({ "a": { "x": 1 }, "b": 1 })))
        .await
        .unwrap();
    let second = world.patch(&device, desired(json!({ "b": 1 }))).await.unwrap();
    let stamp = |twin: &Twin, path: &[&str]| twin.properties.desired.last_updated(path).unwrap();
    assert_eq!(stamp(&first, &["a", "x"]), stamp(&second, &["a", "x"]));
    assert!(
        stamp(&first, &["b"]) < stamp(&second, &["b"]),
        "the same value again is news"
    );
    assert!(stamp(&second, &["b"]) > Timestamp::NEVER);
    let metadata = &second.properties.desired.metadata;
    assert_eq!(metadata["b"]["$lastUpdatedVersion"], second.properties.desired.version);
    assert_eq!(second.properties.desired.version, first.properties.desired.version + 1);
    assert_ne!(first.etag, second.etag);
}

#[tokio::test]
async fn a_write_on_a_stale_etag_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let old = world.twin(&device).await.etag;
    let patch = TwinPatch::tags(object(json!({ "n": 1 })));
    let condition = || IfMatch::Etag(old.clone());
    let first = world.client.update_twin(&device, &patch, condition()).await.unwrap();
    let stale = world
        .client
        .update_twin(&device, &patch, condition())
        .await
        .unwrap_err();
    assert_eq!(
        (stale.status(), stale.code()),
        (Some(412), Some(ErrorCode::PreconditionFailed))
    );
    assert_eq!(world.twin(&device).await, first);
    world.client.update_twin(&device, &patch, IfMatch::Any).await.unwrap();
}

#[tokio::test]
async fn of_many_writers_with_one_etag_one_wins() {
    let world = Arc::new(World::start().await);
    let device = world.device("d").await.device_id;
    let etag = world.twin(&device).await.etag;
    let writers = (0..8).map(|writer| {
        let (world, device, etag) = (world.clone(), device.clone(), etag.clone());
        tokio::spawn(async move {
            let patch = TwinPatch::tags(object(json!({ "writer": writer })));
            world.client.update_twin(&device, &patch, IfMatch::Etag(etag)).await
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.status(), Some(412)),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_replacement_leaves_nothing_of_before_but_what_is_reported() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let device = &connection.device_id;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    raw.report("1", &json!({ "kept": true })).await;
    let whole = TwinPatch {
        tags: Some(object(json!({ "hall": "A", "floor": 1 }))),
        properties: Some(TwinPatchProperties {
            desired: Some(object(json!({ "old": 1 }))),
        }),
    };
    world.patch(device, whole).await.unwrap();
    let replaced = world
        .client
        .replace_twin(device, &desired(json!({ "new": 2 })), IfMatch::None)
        .await
        .unwrap();
    assert!(replaced.tags.is_empty());
    assert_eq!(Value::Object(replaced.properties.desired.values), json!({ "new": 2 }));
    assert_eq!(replaced.properties.reported.values["kept"], true);
}

#[tokio::test]
async fn a_patch_over_a_limit_is_refused_as_a_whole() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let mut deep = json!(1);
    for _ in 0..12 {
        deep = json!({ "n": deep });
    }
    let many = |bytes: usize| {
        let texts = (0..bytes.div_ceil(4000)).map(|n| (format!("k{n}"), json!("x".repeat(4000))));
        Value::Object(texts.collect())
    };
    let cases = [
        ("an eleventh level", desired(deep)),
        ("a name with a dot", desired(json!({ "a.b": 1 }))),
        ("a text over 4 KiB", desired(json!({ "a": "x".repeat(4097) }))),
        (
            "an integer out of range",
            desired(json!({ "a": 4_503_599_627_370_496_i64 })),
        ),
        ("null in an array", desired(json!({ "a": [null] }))),
        ("desired over 32 KiB", desired(many(36_000))),
        ("tags over 8 KiB", TwinPatch::tags(object(many(12_000)))),
    ];
    let before = world.twin(&device).await;
    for (what, patch) in cases {
        let error = world.patch(&device, patch).await.expect_err(what);
        assert!(matches!(error.status(), Some(400 | 413)), "{what}: {error}");
    }
    assert_eq!(world.twin(&device).await, before);
}

#[tokio::test]
async fn a_connected_device_is_told_of_a_desired_change_at_once() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[DESIRED]).await;
    let twin = world
        .patch(&connection.device_id, desired(json!({ "speed": 3, "gone": null })))
        .await
        .unwrap();
    let message = raw.message().await;
    let version = twin.properties.desired.version;
    assert_eq!(
        ToDevice::parse(&message.topic),
        Some(ToDevice::DesiredPatch { version })
    );
    assert_eq!(message.body, json!({ "speed": 3, "gone": null, "$version": version }));
}

#[tokio::test]
async fn tags_are_not_told_to_devices() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[DESIRED]).await;
    world
        .patch(&connection.device_id, TwinPatch::tags(object(json!({ "hall": "B" }))))
        .await
        .unwrap();
    world
        .patch(&connection.device_id, desired(json!({ "n": 1 })))
        .await
        .unwrap();
    assert_eq!(
        raw.message().await.body["n"],
        1,
        "the first message is the desired change"
    );
}

#[tokio::test]
async fn what_a_device_reports_is_seen_by_the_service_and_told_as_an_event() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut events = world.hub.subscribe();
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    let (status, version, _) = raw.report("r1", &json!({ "temperature": 21.5 })).await;
    let twin = world.twin(&connection.device_id).await;
    assert_eq!((status, version), (204, Some(twin.properties.reported.version)));
    assert_eq!(twin.properties.reported.values["temperature"], 21.5);
    let told = event(&mut events, "the report", |event| match event {
        HubEvent::TwinChanged {
            section: TwinSection::Reported,
            twin,
            ..
        } => Some(twin.clone()),
        _ => None,
    })
    .await;
    assert_eq!(*told, twin);
}

#[tokio::test]
async fn a_refused_report_is_answered_with_its_reason_and_leaves_the_device_connected() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    let (status, _, body) = raw.report("r1", &json!({ "a.b": 1 })).await;
    assert_eq!(status, 400);
    assert_eq!(body["errorCode"], ErrorCode::ArgumentInvalid.number());
    assert!(body["message"].as_str().unwrap().contains("a.b"), "{body}");
    raw.publish(topic::reported_patch("r2"), QoS::AtMostOnce, "no json")
        .await;
    assert_eq!(raw.twin_answer("r2").await.0, 400);
    assert_eq!(raw.report("r3", &json!({ "a": 1 })).await.0, 204);
}

#[tokio::test]
async fn a_device_reads_its_own_twin_without_its_tags() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    world
        .patch(&connection.device_id, TwinPatch::tags(object(json!({ "secret": "x" }))))
        .await
        .unwrap();
    world
        .patch(&connection.device_id, desired(json!({ "n": 1 })))
        .await
        .unwrap();
    raw.publish(topic::twin_get("g"), QoS::AtMostOnce, "").await;
    let (status, _, body) = raw.twin_answer("g").await;
    assert_eq!((status, &body["desired"]["n"]), (200, &json!(1)));
    assert!(body["desired"]["$version"].is_u64() && body["reported"]["$version"].is_u64());
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_twin_of_nobody_is_not_found() {
    let world = World::start().await;
    let error = world.client.twin(&id("nobody")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DeviceNotFound));
    let error = world
        .patch(&id("nobody"), desired(json!({ "a": 1 })))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DeviceNotFound));
}
