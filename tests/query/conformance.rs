//! Rows QU-1 to QU-9 and the device jobs of JB-1 of the conformance checklist (service.md 12).

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, plant, row_id};
use crate::support::{rest::Answer, world::World};

fn ids(answer: &Answer) -> Vec<String> {
    answer.body.as_array().unwrap().iter().map(row_id).collect()
}

fn kind(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-ms-item-type"))
}

/// Page sizes and all rows, two a page.
async fn pages(world: &World, text: &str) -> (Vec<usize>, Vec<Value>) {
    let (mut sizes, mut rows) = (Vec::new(), Vec::new());
    let mut continuation: Option<String> = None;
    loop {
        let mut headers = vec![("x-ms-max-item-count", "2")];
        headers.extend(continuation.as_deref().map(|token| ("x-ms-continuation", token)));
        let page = ask(world, text, &headers).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let found = page.body.as_array().unwrap();
        sizes.push(found.len());
        rows.extend(found.clone());
        match page.header("x-ms-continuation") {
            Some(token) => continuation = Some(token.to_owned()),
            None => return (sizes, rows),
        }
    }
}

#[tokio::test]
async fn qu_1_whole_twins_are_a_bare_array_of_the_type_twin() {
    let world = plant().await;
    let answer = ask(&world, "SELECT * FROM devices", &[]).await;
    assert_eq!(kind(&answer), (200, Some("Twin")));
    assert_eq!(answer.header("x-ms-continuation"), None);
    assert_eq!(ids(&answer), ["a1", "a2", "b1", "b2", "c"]);
    let twin = world.call(Method::GET, "/twins/a1", &[], String::new()).await;
    assert_eq!(answer.body[0], twin.body);
    let modules = ask(&world, "SELECT * FROM devices.modules", &[]).await;
    assert_eq!(kind(&modules), (200, Some("Twin")));
    assert_eq!(modules.body[2]["moduleId"], "m1");
}

#[tokio::test]
async fn qu_2_pages_are_as_large_as_asked_and_the_last_has_no_continuation() {
    let world = plant().await;
    let (sizes, rows) = pages(&world, "SELECT * FROM devices").await;
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(
        rows.iter().map(row_id).collect::<Vec<_>>(),
        ["a1", "a2", "b1", "b2", "c"]
    );
    for (text, expected) in [
        ("SELECT * FROM devices.modules", vec![2, 2]),
        ("SELECT * FROM devices.jobs", vec![2, 1]),
        ("SELECT tags.hall FROM devices WHERE is_defined(tags.hall)", vec![2, 2]),
        (
            "SELECT tags.hall, COUNT() AS n FROM devices GROUP BY tags.hall",
            vec![2, 1],
        ),
        ("SELECT TOP 3 * FROM devices", vec![2, 1]),
        ("SELECT TOP 2 * FROM devices", vec![2]),
    ] {
        assert_eq!(pages(&world, text).await.0, expected, "{text}");
    }
    let beyond = ask(&world, "SELECT * FROM devices", &[("x-ms-max-item-count", "5000")]).await;
    assert_eq!(ids(&beyond).len(), 5);
}

#[tokio::test]
async fn qu_3_projection_is_raw_and_leaves_undefined_out() {
    let world = plant().await;
    let answer = ask(&world, "SELECT deviceId, tags.order AS o FROM devices", &[]).await;
    assert_eq!(kind(&answer), (200, Some("Raw")));
    let expected = json!([{ "deviceId": "a1" }, { "deviceId": "a2", "o": "x" }, { "deviceId": "b1" }, { "deviceId": "b2" },
        { "deviceId": "c" }]);
    assert_eq!(answer.body, expected);
    // Without a name the whole of desired or reported properties keeps its place.
    let answer = ask(
        &world,
        "SELECT deviceId, properties.reported FROM devices WHERE deviceId = 'b2'",
        &[],
    )
    .await;
    let twin = world.call(Method::GET, "/twins/b2", &[], String::new()).await;
    let reported = twin.body["properties"]["reported"].clone();
    assert_eq!(
        answer.body,
        json!([{ "deviceId": "b2", "properties": { "reported": reported } }])
    );
}

#[tokio::test]
async fn qu_4_count_is_one_raw_row_and_zero_for_none() {
    let world = plant().await;
    let answer = ask(&world, "SELECT COUNT() AS n FROM devices", &[]).await;
    assert_eq!(
        (kind(&answer), &answer.body),
        ((200, Some("Raw")), &json!([{ "n": 5 }]))
    );
    let answer = ask(&world, "SELECT COUNT() AS n FROM devices WHERE tags.hall = 'Z'", &[]).await;
    assert_eq!(answer.body, json!([{ "n": 0 }]));
}

#[tokio::test]
async fn qu_5_group_by_has_a_row_for_each_value_and_one_without_the_key() {
    let world = plant().await;
    let text = "SELECT tags.hall AS hall, COUNT() AS n FROM devices GROUP BY tags.hall";
    let answer = ask(&world, text, &[]).await;
    let expected = json!([{ "hall": "A", "n": 2 }, { "hall": "B", "n": 2 }, { "n": 1 }]);
    assert_eq!((kind(&answer), &answer.body), ((200, Some("Raw")), &expected));
    assert_eq!(json!(pages(&world, text).await.1), expected);
}

#[tokio::test]
async fn qu_6_the_conditions_of_real_tools_are_evaluated() {
    let world = plant().await;
    for (condition, expected) in [
        ("STARTSWITH(devices.deviceId,'a')", vec!["a1", "a2"]),
        ("not startswith(devices.deviceId,'a')", vec!["b1", "b2", "c"]),
        ("deviceId IN ['a1','b2']", vec!["a1", "b2"]),
        ("is_defined(tags.floor)", vec!["a1", "a2", "b1"]),
        ("array_contains(parentScopes,'ms-azure-iot-edge://gw-1')", vec!["b1"]),
        ("configurations.[[cfg-1]].status = 'Applied'", vec!["a1"]),
        ("capabilities.iotEdge = true", vec!["a1"]),
        ("devices.capabilities.iotEdge = true", vec!["a1"]),
    ] {
        let answer = ask(&world, &format!("SELECT * FROM devices WHERE {condition}"), &[]).await;
        assert_eq!(ids(&answer), expected, "{condition}");
    }
    let text =
        "select * from devices.modules where devices.modules.moduleId = '$edgeAgent'\n and devices.deviceId in ['a1']";
    assert_eq!(ids(&ask(&world, text, &[]).await), ["a1/$edgeAgent"]);
}

#[tokio::test]
async fn qu_7_unequal_drops_what_has_no_value_and_not_is_defined_keeps_it() {
    let world = plant().await;
    let answer = ask(&world, "SELECT * FROM devices WHERE tags.floor != 1", &[]).await;
    assert_eq!(ids(&answer), ["a2"]);
    let answer = ask(&world, "SELECT * FROM devices WHERE NOT is_defined(tags.floor)", &[]).await;
    assert_eq!(ids(&answer), ["b2", "c"]);
}

#[tokio::test]
async fn qu_8_a_wrong_query_and_a_missing_one_have_their_codes() {
    let world = World::start().await;
    let code = |answer: &Answer| answer.header("iothub-errorcode").map(str::to_owned);
    let wrong = ask(&world, "SELEC *", &[]).await;
    assert_eq!((wrong.status, code(&wrong).as_deref()), (400, Some("ArgumentInvalid")));
    let message = wrong.body["Message"].as_str().unwrap();
    assert!(message.starts_with("ErrorCode:ArgumentInvalid;BadRequest"), "{message}");
    for body in ["{}", r#"{"query":""}"#, r#"{"query":null}"#] {
        let missing = world.call(Method::POST, "/devices/query", &[], body.into()).await;
        assert_eq!(
            (missing.status, code(&missing).as_deref()),
            (400, Some("ArgumentNull")),
            "{body}"
        );
        assert!(
            missing.body["Message"]
                .as_str()
                .unwrap()
                .starts_with("ErrorCode:ArgumentNull;BadRequest")
        );
    }
    let long = ask(&world, &format!("SELECT * FROM devices{}", " ".repeat(8200)), &[]).await;
    assert_eq!((long.status, code(&long).as_deref()), (400, Some("ArgumentInvalid")));
    let deep = ask(
        &world,
        &format!("SELECT * FROM devices WHERE {}", "(".repeat(8000)),
        &[],
    )
    .await;
    assert_eq!((deep.status, code(&deep).as_deref()), (400, Some("ArgumentInvalid")));
}

#[tokio::test]
async fn qu_9_order_by_is_refused() {
    let world = World::start().await;
    let answer = ask(&world, "SELECT * FROM devices ORDER BY deviceId", &[]).await;
    assert_eq!(
        (answer.status, answer.header("iothub-errorcode")),
        (400, Some("ArgumentInvalid"))
    );
}

#[tokio::test]
async fn jb_1_device_jobs_are_rows_of_a_type_of_their_own() {
    let world = plant().await;
    let answer = ask(
        &world,
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j1'",
        &[],
    )
    .await;
    assert_eq!(kind(&answer), (200, Some("DeviceJob")));
    let expected = json!([
        { "deviceId": "a1", "jobId": "j1", "jobType": "scheduleDeviceMethod", "status": "completed",
          "startTimeUtc": "2025-06-01T00:00:01Z", "endTimeUtc": "2025-06-01T00:00:02Z",
          "createdDateTimeUtc": "2025-06-01T00:00:00Z", "lastUpdatedDateTimeUtc": "2025-06-01T00:00:02Z",
          "outcome": { "deviceMethodResponse": { "status": 200, "payload": { "ok": true } } } },
        { "deviceId": "a2", "jobId": "j1", "jobType": "scheduleDeviceMethod", "status": "failed",
          "startTimeUtc": "2025-06-01T00:00:01Z", "endTimeUtc": "2025-06-01T00:00:02Z",
          "createdDateTimeUtc": "2025-06-01T00:00:00Z", "lastUpdatedDateTimeUtc": "2025-06-01T00:00:02Z",
          "outcome": null, "error": { "code": "DeviceNotOnline", "description": "The device is not connected." } },
    ]);
    assert_eq!(answer.body, expected);
    // A time that is not known is left out: C# takes no null for it.
    let waiting = ask(&world, "SELECT * FROM devices.jobs WHERE deviceId = 'b1'", &[]).await;
    assert_eq!(
        (waiting.body[0].get("startTimeUtc"), waiting.body[0].get("endTimeUtc")),
        (None, None)
    );
}
