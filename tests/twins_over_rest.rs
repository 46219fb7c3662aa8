//! Twins as services read and write them, on the wire (service.md 3).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    raw_device::RESPONSES,
    rest::{Answer, code},
    world::World,
};

impl World {
    async fn twin_call(&self, method: Method, condition: Option<&str>, body: &Value) -> Answer {
        let headers: Vec<_> = condition.map(|condition| ("If-Match", condition)).into_iter().collect();
        self.call(method, "/twins/d", &headers, body.to_string()).await
    }

    async fn patched(&self, body: &Value) -> Answer {
        self.twin_call(Method::PATCH, None, body).await
    }
}

async fn with_device() -> World {
    let world = World::start().await;
    world.device("d").await;
    world
}

#[tokio::test]
async fn tw_01_a_new_device_has_a_twin_at_its_first_etag_and_versions() {
    let world = with_device().await;
    let answer = world.get("/twins/d").await;
    let device = world.get("/devices/d").await.body;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"AAAAAAAAAAE=\"")));
    let mut twin = answer.body;
    let born = twin["properties"]["desired"]["$metadata"]["$lastUpdated"].clone();
    assert!(born.is_string());
    let expected = json!({
        "deviceId": "d", "etag": "AAAAAAAAAAE=", "deviceEtag": device["etag"], "status": "enabled", "statusReason": null,
        "statusUpdateTime": "0001-01-01T00:00:00Z", "connectionState": "Disconnected",
        "lastActivityTime": "0001-01-01T00:00:00Z", "cloudToDeviceMessageCount": 0, "authenticationType": "sas",
        "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null }, "modelId": "",
        "tags": {}, "capabilities": { "iotEdge": false },
        "properties": {
            "desired": { "$metadata": { "$lastUpdated": born, "$lastUpdatedVersion": 1 }, "$version": 1 },
            "reported": { "$metadata": { "$lastUpdated": born }, "$version": 1 }
        }
    });
    assert!(twin.as_object_mut().unwrap().remove("version").unwrap().is_u64());
    assert_eq!(twin, expected);
}

#[tokio::test]
async fn tw_02_a_patch_merges_objects_replaces_arrays_and_null_removes() {
    let world = with_device().await;
    world
        .patched(&json!({ "tags": { "a": { "b": 1, "c": 2 }, "list": [1, { "x": 1 }] } }))
        .await;
    let twin = world
        .patched(&json!({ "tags": { "a": { "b": null }, "list": [2] } }))
        .await;
    assert_eq!(twin.body["tags"], json!({ "a": { "c": 2 }, "list": [2] }));
    let twin = world.patched(&json!({ "tags": { "a": { "c": null } } })).await;
    assert_eq!(twin.body["tags"]["a"], json!({}), "the last leaf leaves its object");
    let twin = world.patched(&json!({ "tags": { "a": 7, "none": null } })).await;
    assert_eq!(twin.body["tags"], json!({ "a": 7, "list": [2] }));
    assert_eq!(twin.body["etag"], "AAAAAAAAAAU=");
    assert_eq!(
        twin.body["properties"]["desired"]["$version"], 1,
        "tags have no version"
    );
}

#[tokio::test]
async fn tw_03_a_whole_twin_sent_back_changes_tags_and_desired_alone() {
    let world = with_device().await;
    world
        .patched(&json!({ "properties": { "desired": { "n": 1, "deep": { "m": 1 } } } }))
        .await;
    let mut document = world.get("/twins/d").await.body;
    document["tags"]["hall"] = "B".into();
    document["properties"]["desired"]["n"] = 2.into();
    document["properties"]["desired"]["$version"] = 99.into();
    document["properties"]["reported"]["made-up"] = true.into();
    for (field, value) in [
        ("version", json!(99)),
        ("status", json!("disabled")),
        ("modelId", json!("m")),
        ("etag", json!("x")),
    ] {
        document[field] = value;
    }
    for method in [Method::PATCH, Method::PUT] {
        let before = world.get("/twins/d").await.body;
        let twin = world.twin_call(method, Some("\"*\""), &document).await;
        assert_eq!(twin.status, 200, "{}", twin.body);
        assert_eq!(twin.body["tags"], json!({ "hall": "B" }));
        let desired = &twin.body["properties"]["desired"];
        assert_eq!((&desired["n"], &desired["deep"]), (&json!(2), &json!({ "m": 1 })));
        let version = before["properties"]["desired"]["$version"].as_u64().unwrap();
        assert_eq!(desired["$version"], version + 1);
        for field in ["status", "modelId", "deviceEtag"] {
            assert_eq!(twin.body[field], before[field], "{field}");
        }
        assert_eq!(twin.body["properties"]["reported"], before["properties"]["reported"]);
    }
}

#[tokio::test]
async fn tw_04_if_match_is_optional_and_a_stale_one_names_both_versions() {
    let world = with_device().await;
    let patch = json!({ "tags": { "n": 1 } });
    assert_eq!(world.patched(&patch).await.status, 200);
    for method in [Method::PATCH, Method::PUT] {
        let stale = world.twin_call(method, Some("\"AAAAAAAAAAE=\""), &patch).await;
        assert_eq!(code(&stale), (412, "PreconditionFailed"));
        let text = "ErrorCode:PreconditionFailed;Precondition failed: Device version did not match, existingVersion:2 newVersion:1";
        assert_eq!(stale.body["Message"], text);
    }
    for condition in ["\"*\"", "*", "\"AAAAAAAAAAQ=\"", "AAAAAAAAAAU="] {
        assert_eq!(
            world.twin_call(Method::PATCH, Some(condition), &patch).await.status,
            200,
            "{condition}"
        );
    }
}

#[tokio::test]
async fn tw_05_a_put_empties_what_it_does_not_name() {
    let world = with_device().await;
    world
        .patched(&json!({ "tags": { "hall": "B" }, "properties": { "desired": { "old": 1 } } }))
        .await;
    let twin = world
        .twin_call(Method::PUT, None, &json!({ "properties": { "desired": { "x": 1 } } }))
        .await;
    assert_eq!((twin.status, &twin.body["tags"]), (200, &json!({})));
    let mut desired = twin.body["properties"]["desired"].clone();
    assert_eq!(
        desired["$metadata"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["$lastUpdated", "$lastUpdatedVersion", "x"]
    );
    for system in ["$metadata", "$version"] {
        desired.as_object_mut().unwrap().remove(system);
    }
    assert_eq!(desired, json!({ "x": 1 }));
    for null in [
        json!({ "tags": { "a": null } }),
        json!({ "properties": { "desired": { "a": { "b": null } } } }),
    ] {
        assert_eq!(
            code(&world.twin_call(Method::PUT, None, &null).await),
            (400, "ArgumentInvalid")
        );
    }
    assert_eq!(world.get("/twins/d").await.body, twin.body);
}

#[tokio::test]
async fn tw_06_whatever_breaks_a_limit_is_refused_and_what_just_keeps_it_is_taken() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "n": inner }));
    let texts = |count: usize| {
        Value::Object(
            (0..count)
                .map(|n| (format!("k{n:03}"), "x".repeat(1020).into()))
                .collect(),
        )
    };
    let desired = |value: Value| json!({ "properties": { "desired": value } });
    let world = with_device().await;
    for (what, patch) in [
        ("an eleventh level", desired(nested(12))),
        ("a text of 4097 bytes", desired(json!({ "a": "é".repeat(2048) + "x" }))),
        ("2^53", desired(json!({ "a": 1_u64 << 53 }))),
        ("one above the greatest", desired(json!({ "a": (1_i64 << 52) }))),
        ("one below the least", desired(json!({ "a": -(1_i64 << 52) - 1 }))),
        ("a dot in a name", desired(json!({ "a.b": 1 }))),
        ("a dollar in a name", desired(json!({ "$a": 1 }))),
        ("a dollar below", json!({ "tags": { "a": { "$version": 1 } } })),
        ("a blank in a name", desired(json!({ "a b": 1 }))),
        ("a name of 1025 bytes", desired(json!({ "n".repeat(1025): 1 }))),
        ("null in an array", desired(json!({ "a": [1, null] }))),
        ("desired over 32 KiB", desired(texts(33))),
        ("tags over 8 KiB", json!({ "tags": texts(9) })),
    ] {
        let answer = world.patched(&patch).await;
        assert_eq!(code(&answer), (400, "ArgumentInvalid"), "{what}: {}", answer.body);
    }
    for (what, patch) in [
        ("a scalar within the tenth level", desired(nested(11))),
        ("a text of 4096 bytes", desired(json!({ "a": "é".repeat(2048) }))),
        (
            "the greatest and the least",
            desired(json!({ "a": (1_i64 << 52) - 1, "b": -(1_i64 << 52) })),
        ),
        ("tags of 8 KiB", json!({ "tags": texts(8) })),
    ] {
        let answer = world.patched(&patch).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    }
    let not_json = world.call(Method::PATCH, "/twins/d", &[], "{ no json".into()).await;
    assert_eq!(code(&not_json), (400, "IotHubFormatError"));
    let whole = desired(texts(32));
    assert_eq!(
        world.twin_call(Method::PUT, None, &whole).await.status,
        200,
        "desired of 32 KiB"
    );
}

#[tokio::test]
async fn tw_07_reports_and_identity_writes_each_move_only_their_own_counters() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    let before = world.get("/twins/d").await.body;
    assert_eq!(raw.report("1", &json!({ "n": 1 })).await.0, 204);
    let reported = world.get("/twins/d").await.body;
    let counters = |twin: &Value| {
        let version = |section: &str| twin["properties"][section]["$version"].as_u64().unwrap();
        (
            twin["version"].as_u64().unwrap(),
            version("desired"),
            version("reported"),
        )
    };
    let (version, desired, report) = counters(&before);
    assert_eq!(counters(&reported), (version + 1, desired, report + 1));
    assert_eq!(
        (&reported["etag"], &reported["deviceEtag"]),
        (&before["etag"], &before["deviceEtag"])
    );
    let body = json!({ "deviceId": "d", "statusReason": "moved" }).to_string();
    let device = world
        .call(Method::PUT, "/devices/d", &[("If-Match", "*")], body)
        .await
        .body;
    let moved = world.get("/twins/d").await.body;
    assert_eq!(
        (counters(&moved), &moved["etag"]),
        (counters(&reported), &reported["etag"])
    );
    assert_eq!(moved["deviceEtag"], device["etag"]);
    assert_ne!(moved["deviceEtag"], reported["deviceEtag"]);
}
