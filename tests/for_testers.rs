//! What the hub does for people who test: fixtures, limits, a place to ask whether it is well.

use std::{num::NonZeroU32, time::Duration};

use hub_protocol::sas::SasKey;
use local_hub::{Fixture, Limits};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    id,
    process::{command, error, finish, run, text},
    raw_device::RESPONSES,
    soon,
    world::{World, connection},
};

// base64 of the 32 ASCII bytes 0123456789abcdef0123456789abcdef, and of the same reversed
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

fn keys() -> serde_json::Value {
    json!({ "primaryKey": KEY, "secondaryKey": OTHER })
}

fn fixture() -> serde_json::Value {
    json!({
        "policies": { "iothubowner": keys() },
        "devices": [
            { "id": "pump-07", "authentication": { "symmetricKey": keys() }, "tags": { "site": "b1" },
              "properties": { "desired": { "interval": 30 } } },
            { "id": "pump-08", "status": "disabled" }
        ]
    })
}

#[tokio::test]
async fn a_fixture_s_devices_and_keys_are_there_from_the_start_and_again_after_a_restart() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), fixture().to_string()).unwrap();
    let fixture = Fixture::read(file.path()).unwrap();
    let world = World::start_with(|config| local_hub::LocalHubConfig {
        fixture: Some(fixture),
        ..config
    })
    .await;
    let text = world.hub.service_connection_string().to_secret();
    assert!(text.expose().ends_with(&format!("SharedAccessKey={KEY}")));
    let device = world.client.device(&id("pump-07")).await.unwrap();
    let device = connection(&device);
    assert_eq!(device.key, SasKey::parse(KEY).unwrap());
    let twin = world.twin(&device.device_id).await;
    assert_eq!(
        (&twin.tags["site"], &twin.properties.desired.values["interval"]),
        (&json!("b1"), &json!(30))
    );
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[RESPONSES]).await;
    assert_eq!(raw.report("1", &json!({ "a": 1 })).await.0, 204);
    let world = world.restart().await;
    assert_eq!(world.twin(&device.device_id).await.properties.reported.values["a"], 1);
}

#[tokio::test]
async fn a_fixture_that_is_not_one_is_refused_with_its_place_and_without_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fixture.json");
    let path = file.to_str().unwrap();
    let serve = [
        "hub",
        "serve",
        "--ephemeral",
        "--mqtt-port",
        "0",
        "--https-port",
        "0",
        "--json",
        "--fixture",
        path,
    ];
    for (content, told) in [
        ("{\"devices\": [".to_owned(), "line 1"),
        (
            json!({ "policies": { "owner": keys() } }).to_string(),
            "the policy owner",
        ),
        (
            json!({ "policies": { "service": { "primaryKey": KEY } } }).to_string(),
            "keys of policy service",
        ),
        (
            json!({ "devices": [{ "id": "d", "authentication": KEY }] }).to_string(),
            "line 1",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = run(&serve).await;
        let message = error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(told), "{message}");
        assert!(!message.contains(KEY), "{message}");
    }
}

#[tokio::test]
async fn an_ephemeral_hub_leaves_nothing_behind() {
    let mut hub = command(&["hub", "serve", "--ephemeral", "--mqtt-port", "0", "--https-port", "0"])
        .spawn()
        .unwrap();
    let mut stdout = tokio::io::BufReader::new(hub.stdout.take().unwrap());
    let mut line = String::new();
    soon(
        "the ready line",
        tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line),
    )
    .await
    .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let ca = std::path::PathBuf::from(ready["caFile"].as_str().unwrap());
    assert!(ca.exists());
    crate::support::process::terminate(hub.id().unwrap());
    assert!(soon("the end", hub.wait()).await.unwrap().success());
    assert!(!ca.parent().unwrap().exists());
}

#[tokio::test]
async fn a_folder_and_ephemeral_together_are_a_usage_error() {
    let output = finish(&mut command(&["hub", "serve", "--ephemeral", "--data-dir", "x"])).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[tokio::test]
async fn anybody_may_ask_whether_the_hub_is_well() {
    let world = World::start().await;
    let answer = world.call_plainly(Method::GET, "/healthz").await;
    assert_eq!((answer.status, answer.body), (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn th_1_over_the_rate_of_an_s1_unit_a_call_is_refused_without_saying_when_to_retry() {
    let world = World::start_with(|config| local_hub::LocalHubConfig {
        limits: Some(Limits {
            backlog: Duration::ZERO,
            ..Limits::s1(NonZeroU32::MIN)
        }),
        ..config
    })
    .await;
    let query = || {
        world.call(
            Method::POST,
            "/devices/query",
            &[],
            json!({ "query": "SELECT * FROM devices" }).to_string(),
        )
    };
    for _ in 0..20 {
        assert_eq!(query().await.status, 200);
    }
    let refused = query().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("iothub-errorcode"), Some("ThrottlingBacklogTimeout"));
    assert_eq!(refused.header("retry-after"), None);
    assert!(
        refused.body["Message"]
            .as_str()
            .unwrap()
            .starts_with("ErrorCode:ThrottlingBacklogTimeout;")
    );
    // Other operations have rates of their own.
    let statistics = world.call(Method::GET, "/statistics/devices", &[], String::new()).await;
    assert_eq!(statistics.status, 200);
}

#[tokio::test]
async fn every_item_of_a_bulk_call_counts() {
    let world = World::start_with(|config| local_hub::LocalHubConfig {
        limits: Some(Limits {
            backlog: Duration::ZERO,
            ..Limits::s1(NonZeroU32::MIN)
        }),
        ..config
    })
    .await;
    let items = |from: usize| {
        let items: Vec<_> = (from..from + 60)
            .map(|n| json!({ "id": format!("d{n}"), "importMode": "create" }))
            .collect();
        serde_json::to_string(&items).unwrap()
    };
    assert_eq!(world.call(Method::POST, "/devices", &[], items(0)).await.status, 200);
    assert_eq!(world.call(Method::POST, "/devices", &[], items(60)).await.status, 429);
}
