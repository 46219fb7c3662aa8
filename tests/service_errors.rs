//! Errors on the service's wire, as Microsoft's clients read them (service.md 11.1, 11.2).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{rest::Answer, world::World};

const TRACKING: &str = "-G:0-TimeStamp:";

/// `A1-G:0-TimeStamp:06/01/2025 00:00:00`, with this answer's request id before it.
fn is_tracking(text: &str, answer: &Answer) -> bool {
    let id = answer.header("x-ms-request-id").unwrap();
    let time = text.strip_prefix(id).and_then(|rest| rest.strip_prefix(TRACKING));
    time.is_some_and(|time| {
        let digits = "dd/dd/dddd dd:dd:dd";
        time.len() == digits.len()
            && time
                .chars()
                .zip(digits.chars())
                .all(|(c, d)| if d == 'd' { c.is_ascii_digit() } else { c == d })
    })
}

#[tokio::test]
async fn er_01_registry_twin_and_query_errors_have_their_name_before_the_first_semicolon() {
    let world = World::start().await;
    let text = String::new;
    let cases = [
        (Method::GET, "/devices/nobody", text(), 404, "DeviceNotFound"),
        (Method::GET, "/twins/nobody", text(), 404, "DeviceNotFound"),
        (Method::GET, "/jobs/none", text(), 404, "JobNotFound"),
        (
            Method::POST,
            "/devices/query",
            json!({ "query": "SELEC *" }).to_string(),
            400,
            "ArgumentInvalid",
        ),
        (
            Method::POST,
            "/devices/query",
            json!({}).to_string(),
            400,
            "ArgumentNull",
        ),
        (Method::PUT, "/devices/d", "no json".into(), 400, "IotHubFormatError"),
        (
            Method::PUT,
            "/devices/d",
            json!({ "deviceId": 7 }).to_string(),
            400,
            "ArgumentInvalid",
        ),
        (Method::PATCH, "/twins/nobody", "{".into(), 400, "IotHubFormatError"),
        (Method::GET, "/elsewhere", text(), 404, "GenericNotFound"),
    ];
    for (method, path, body, status, name) in cases {
        let answer = world.call(method, path, &[], body).await;
        assert_eq!(
            (answer.status, answer.header("iothub-errorcode")),
            (status, Some(name)),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let message = answer.body["Message"].as_str().unwrap();
        let (first, rest) = message.split_once(';').unwrap();
        assert_eq!(first, format!("ErrorCode:{name}"));
        assert!(!rest.is_empty());
        let exception = answer.body["ExceptionMessage"].as_str().unwrap();
        let tracking = exception.strip_prefix("Tracking ID:").unwrap();
        assert!(is_tracking(tracking, &answer), "{exception}");
    }
}

#[tokio::test]
async fn er_02_a_method_s_error_is_a_flat_map_in_text_with_the_number_of_its_header() {
    let world = World::start().await;
    world.device("d").await;
    let method = json!({ "methodName": "m", "connectTimeoutInSeconds": 0, "responseTimeoutInSeconds": 5 }).to_string();
    for (path, name, number) in [
        ("/twins/d/methods", "DeviceNotOnline", 404_103),
        ("/twins/nobody/methods", "DeviceNotFound", 404_001),
    ] {
        let answer = world.call(Method::POST, path, &[], method.clone()).await;
        assert_eq!(
            (answer.status, answer.header("iothub-errorcode")),
            (404, Some(name)),
            "{path}"
        );
        assert_eq!(answer.body["ExceptionMessage"], "");
        let inner: Value = serde_json::from_str(answer.body["Message"].as_str().unwrap()).unwrap();
        assert_eq!(inner["errorCode"], number);
        assert!(
            inner.as_object().unwrap().values().all(|value| !value.is_object()),
            "{inner}"
        );
        assert!(is_tracking(inner["trackingId"].as_str().unwrap(), &answer), "{inner}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let world = World::start().await;
    let (first, second) = (world.get("/devices").await, world.get("/devices").await);
    let id = |answer: &Answer| answer.header("x-ms-request-id").unwrap().to_owned();
    assert!(!id(&first).is_empty());
    assert_ne!(id(&first), id(&second));
}
