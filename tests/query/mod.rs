//! Queries over twins, as the hub answers them.

use hub_client::IfMatch;
use hub_protocol::{ErrorCode, twin::TwinPatch};
use reqwest::Method;
use serde_json::json;

use crate::support::{id, object, raw_device::RESPONSES, world::World};

/// Five devices that differ in what conditions look at.
async fn plant() -> World {
    let world = World::start().await;
    for (name, tags, desired, reported) in [
        (
            "a1",
            json!({ "hall": "A", "floor": 1 }),
            json!({ "rate": 1 }),
            json!({ "status": "ok" }),
        ),
        (
            "a2",
            json!({ "hall": "A", "floor": 2 }),
            json!({ "rate": 1.5 }),
            json!({ "status": "failed" }),
        ),
        (
            "b1",
            json!({ "hall": "B", "floor": 1 }),
            json!({ "rate": "1" }),
            json!({ "status": "ok", "on": true }),
        ),
        (
            "b2",
            json!({ "hall": "B", "near": { "door": "x'y" } }),
            json!({}),
            json!({ "on": false }),
        ),
        ("c", json!({}), json!({}), json!({})),
    ] {
        let connection = world.device(name).await;
        let patch: TwinPatch =
            serde_json::from_value(json!({ "tags": tags, "properties": { "desired": desired } })).unwrap();
        world
            .client
            .update_twin(&connection.device_id, &patch, IfMatch::None)
            .await
            .unwrap();
        let mut raw = world.connect(&connection).await;
        raw.subscribe(&[RESPONSES]).await;
        raw.report("1", &reported).await;
    }
    world
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
async fn conditions_find_what_they_say() {
    let world = plant().await;
    let cases: &[(&str, &[&str])] = &[
        ("deviceId = 'a1'", &["a1"]),
        ("deviceId IN ['a1', 'c', 'nobody']", &["a1", "c"]),
        ("deviceId != 'c'", &["a1", "a2", "b1", "b2"]),
        ("STARTSWITH(deviceId, 'b')", &["b1", "b2"]),
        ("tags.hall = 'A'", &["a1", "a2"]),
        ("tags.hall = 'a'", &[]),
        ("tags.hall = 'A' AND tags.floor = 2", &["a2"]),
        ("tags.hall = 'B' OR tags.floor = 1", &["a1", "b1", "b2"]),
        ("NOT tags.hall = 'A'", &["b1", "b2"]),
        ("tags.floor >= 1 AND tags.floor < 2", &["a1", "b1"]),
        ("tags.near.door = 'x\\'y'", &["b2"]),
        ("is_defined(tags.floor)", &["a1", "a2", "b1"]),
        ("NOT is_defined(tags.hall)", &["c"]),
        ("properties.desired.rate = 1", &["a1"]),
        ("properties.desired.rate = '1'", &["b1"]),
        ("properties.desired.rate > 1", &["a2"]),
        ("properties.reported.status = 'ok'", &["a1", "b1"]),
        ("properties.reported.status != 'ok'", &["a2"]),
        ("properties.reported.on = true", &["b1"]),
        ("properties.reported.on = false", &["b2"]),
        (
            "(tags.hall = 'A' OR tags.hall = 'B') AND properties.reported.status = 'ok'",
            &["a1", "b1"],
        ),
        ("tags.hall = 'A' -- '", &[]),
    ];
    for (condition, expected) in cases {
        let text = format!("SELECT * FROM devices WHERE {condition}");
        match found(&world, &text).await {
            Ok(ids) => assert_eq!(ids, *expected, "{condition}"),
            Err(error) => assert!(
                expected.is_empty() && error.status() == Some(400),
                "{condition}: {error}"
            ),
        }
    }
    assert_eq!(found(&world, "select * from devices").await.unwrap().len(), 5);
}

#[tokio::test]
async fn rows_are_counted_without_being_sent() {
    let world = plant().await;
    assert_eq!(world.client.count("").await.unwrap(), 5);
    assert_eq!(world.client.count("tags.hall = 'A'").await.unwrap(), 2);
    assert_eq!(world.client.count("tags.hall = 'Z'").await.unwrap(), 0);
}

#[tokio::test]
async fn pages_are_as_large_as_asked_and_the_last_has_no_continuation() {
    let world = plant().await;
    let mut continuation = String::new();
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let body = json!({ "query": "SELECT * FROM devices" }).to_string();
        let headers = [
            ("x-ms-max-item-count", "2"),
            ("x-ms-continuation", continuation.as_str()),
        ];
        let page = world.call(Method::POST, "/devices/query", &headers, body).await;
        assert_eq!((page.status, page.header("x-ms-item-type")), (200, Some("Twin")));
        let rows = page.body.as_array().unwrap();
        sizes.push(rows.len());
        ids.extend(rows.iter().map(|row| row["deviceId"].as_str().unwrap().to_owned()));
        match page.header("x-ms-continuation") {
            Some(token) => continuation = token.to_owned(),
            None => break,
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(ids, ["a1", "a2", "b1", "b2", "c"]);
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
