//! Queries over twins, modules and device jobs, as the hub answers them (service.md 5).

mod conformance;

use hub_client::IfMatch;
use hub_protocol::{
    ErrorCode,
    identity::{Capabilities, DeviceIdentity, Status},
    twin::TwinPatch,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{id, object, raw_device::RESPONSES, rest::Answer, world::World};

/// What cases.txt speaks of. Devices, modules and twins come by the ways of a service and of
/// devices. What configurations, gateways and jobs leave behind is put where they leave it.
async fn plant() -> World {
    let world = World::start().await;
    let nothing = json!({});
    for (name, tags, desired, reported) in [
        (
            "a1",
            json!({ "hall": "A", "floor": 1, "my-key": "h", "owner": { "name": "Ann", "Name": "Bob" },
                "list": [1, "x", true, { "k": 1 }] }),
            json!({ "rate": 1 }),
            json!({ "status": "ok", "temp": 41.5, "on": true, "fw": { "version": "1.0" } }),
        ),
        (
            "a2",
            json!({ "hall": "A", "floor": 2, "order": "x" }),
            json!({ "rate": 1.5 }),
            json!({ "status": "failed", "temp": 20 }),
        ),
        (
            "b1",
            json!({ "hall": "B", "floor": 1, "note": "it's \"q\" \\ ä" }),
            json!({ "rate": "1" }),
            json!({ "status": "ok", "temp": "41.5", "on": true }),
        ),
        (
            "b2",
            json!({ "hall": "B", "near": { "door": "x'y" } }),
            nothing.clone(),
            json!({ "temp": -5, "zero": 0, "on": false }),
        ),
        ("c", nothing.clone(), nothing.clone(), nothing.clone()),
    ] {
        let connection = world.device(name).await;
        let sections = json!({ "tags": tags, "properties": { "desired": desired } });
        let patch: TwinPatch = serde_json::from_value(sections).unwrap();
        if patch != serde_json::from_value(json!({ "tags": {}, "properties": { "desired": {} } })).unwrap() {
            let written = world.client.update_twin(&connection.device_id, &patch, IfMatch::None);
            written.await.unwrap();
        }
        if reported != nothing {
            let mut raw = world.connect(&connection).await;
            raw.subscribe(&[RESPONSES]).await;
            raw.report("1", &reported).await;
        }
    }
    for (name, status, edge) in [("a1", Status::Enabled, true), ("b2", Status::Disabled, false)] {
        let mut device: DeviceIdentity = world.client.device(&id(name)).await.unwrap();
        device.status = status;
        device.status_reason = (status == Status::Disabled).then(|| "broken".to_owned());
        device.capabilities = Capabilities { iot_edge: edge };
        world.client.update_device(&device, IfMatch::Any).await.unwrap();
    }
    for (device, tags) in [("a1", json!({ "role": "x" })), ("b1", nothing)] {
        for (method, path, body) in [
            (Method::PUT, "devices", json!({ "deviceId": device, "moduleId": "m1" })),
            (Method::PATCH, "twins", json!({ "tags": tags })),
        ] {
            let path = format!("/{path}/{device}/modules/m1");
            let answer = world.call(method, &path, &[], body.to_string()).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
    let database = rusqlite::Connection::open(world.hub.data_dir().join("hub.db")).unwrap();
    database.execute_batch(include_str!("planted.sql")).unwrap();
    world
}

async fn ask(world: &World, text: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "query": text }).to_string();
    world.call(Method::POST, "/devices/query", headers, body).await
}

/// How cases.txt writes one.
fn row_id(row: &Value) -> String {
    let part = |name: &str| row[name].as_str();
    let device = part("deviceId").unwrap_or("?");
    match (part("jobId"), part("moduleId")) {
        (Some(job), _) => format!("{job}:{device}"),
        (None, Some(module)) => format!("{device}/{module}"),
        (None, None) => device.to_owned(),
    }
}

/// What a case's answer should be, and what it was, in the same words.
async fn case(world: &World, query: &str, expected: &str) -> (String, String) {
    let is_query = query.to_ascii_uppercase().starts_with("SELE") || expected.starts_with('!');
    let text = if is_query {
        query.to_owned()
    } else {
        format!("SELECT * FROM devices WHERE {query}")
    };
    let answer = ask(world, &text, &[]).await;
    let found = if answer.status != 200 {
        let message = answer.body["Message"].as_str().unwrap_or_default();
        let named = message
            .strip_prefix("ErrorCode:")
            .and_then(|rest| rest.split(';').next());
        format!("! {}", named.unwrap_or(message))
    } else if expected.starts_with('[') {
        return (
            serde_json::from_str::<Value>(expected).unwrap().to_string(),
            answer.body.to_string(),
        );
    } else {
        let ids: Vec<String> = answer.body.as_array().unwrap().iter().map(row_id).collect();
        if ids.is_empty() { "-".to_owned() } else { ids.join(" ") }
    };
    (expected.to_owned(), found)
}

#[tokio::test]
async fn every_case_of_the_table_is_answered_as_it_says() {
    let world = plant().await;
    let mut lines = include_str!("cases.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    while let Some(query) = lines.next() {
        let expected = lines.next().unwrap_or_default();
        assert!(!query.starts_with(' ') && expected.starts_with("    "), "{query}");
        let (expected, found) = case(&world, query, expected.trim()).await;
        count += 1;
        if expected != found {
            wrong.push(format!("{query}\n    {expected}\n    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150);
}

async fn found(world: &World, text: &str) -> Result<Vec<String>, hub_client::ClientError> {
    let mut query = world.client.query(text);
    let mut ids = Vec::new();
    while let Some(page) = query.next_page().await? {
        ids.extend(page.into_iter().map(|twin| twin.device_id.to_string()));
    }
    ids.sort();
    Ok(ids)
}

#[tokio::test]
async fn rows_are_counted_without_being_sent() {
    let world = plant().await;
    assert_eq!(world.client.count("").await.unwrap(), 5);
    assert_eq!(world.client.count("tags.hall = 'A'").await.unwrap(), 2);
    assert_eq!(world.client.count("tags.hall = 'Z'").await.unwrap(), 0);
}

#[tokio::test]
async fn paging_over_more_than_a_page_misses_and_repeats_nobody() {
    let world = World::start().await;
    world.devices("pump", 250).await;
    let mut query = world.client.query("SELECT * FROM devices");
    let mut sizes = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    while let Some(page) = query.next_page().await.unwrap() {
        sizes.push(page.len());
        ids.extend(page.into_iter().map(|twin| twin.device_id));
    }
    assert_eq!((sizes.as_slice(), ids.len()), ([100, 100, 50].as_slice(), 250));
    assert!(ids.contains(&id("pump-0250")));
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_its_place() {
    let world = World::start().await;
    for text in [
        "SELECT",
        "SELECT * FROM twins",
        "SELECT * FROM devices WHERE",
        "SELECT * FROM devices WHERE tags.a = ",
        "SELECT * FROM devices WHERE colour = 1",
        "SELECT * FROM devices; DROP TABLE devices",
        "DELETE FROM devices",
    ] {
        let error = found(&world, text).await.expect_err(text);
        assert_eq!(
            (error.status(), error.code()),
            (Some(400), Some(ErrorCode::ArgumentInvalid)),
            "{text}"
        );
        assert!(error.to_string().contains("at character"), "{error}");
    }
}

#[tokio::test]
async fn a_foreign_continuation_is_refused() {
    let world = World::start().await;
    let body = json!({ "query": "SELECT * FROM devices" }).to_string();
    let answer = world
        .call(Method::POST, "/devices/query", &[("x-ms-continuation", "***")], body)
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_literal_never_becomes_part_of_the_database_s_language() {
    let world = plant().await;
    let tags = TwinPatch::tags(object(json!({ "odd": "'); DELETE FROM devices; --" })));
    world.client.update_twin(&id("c"), &tags, IfMatch::None).await.unwrap();
    let text = "SELECT * FROM devices WHERE tags.odd = '\\'); DELETE FROM devices; --'";
    assert_eq!(found(&world, text).await.unwrap(), ["c"]);
    assert_eq!(world.client.count("").await.unwrap(), 5);
}
