//! Direct methods as a service calls them over HTTPS: status lines, headers and bodies.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    raw_device::{METHODS, RawDevice},
    rest::Answer,
    world::World,
};

impl World {
    async fn post_method(&self, path: &str, body: Value) -> Answer {
        let path = format!("/twins/{path}/methods");
        self.call(Method::POST, &path, &[], body.to_string()).await
    }

    async fn taking_methods(&self, name: &str) -> RawDevice {
        let device = self.device(name).await;
        let mut raw = self.connect(&device).await;
        raw.subscribe(&[METHODS]).await;
        raw
    }
}

/// The code in the header and the number in the body, which C# wants to agree.
fn error(answer: &Answer) -> (u16, Option<&str>, u64) {
    // Shape C: the error as a JSON text in `Message` (service.md 11.1).
    let inner: Value = serde_json::from_str(answer.body["Message"].as_str().unwrap()).unwrap();
    assert_eq!(answer.body["ExceptionMessage"], "");
    assert!(
        inner.as_object().unwrap().values().all(|value| !value.is_object()),
        "a flat map"
    );
    let number = inner["errorCode"].as_u64().unwrap();
    (answer.status, answer.header("iothub-errorcode"), number)
}

#[tokio::test]
async fn dm_1_a_live_device_s_answer_has_its_status_and_always_a_payload() {
    let world = World::start().await;
    let mut raw = world.taking_methods("d").await;
    for (given, expected) in [
        (json!({ "ok": true }), json!({ "ok": true })),
        (Value::Null, Value::Null),
    ] {
        let device = async {
            let (_, request, _) = raw.call().await;
            raw.answer(&request, 207, &given).await;
        };
        let (answer, ()) = tokio::join!(world.post_method("d", json!({ "methodName": "reboot" })), device);
        assert_eq!(
            (answer.status, answer.body),
            (200, json!({ "status": 207, "payload": expected }))
        );
    }
}

#[tokio::test]
async fn dm_2_an_offline_device_is_told_at_once() {
    let world = World::start().await;
    world.device("d").await;
    let body = json!({ "methodName": "reboot", "connectTimeoutInSeconds": 0 });
    let answer = world.post_method("d", body).await;
    assert_eq!(error(&answer), (404, Some("DeviceNotOnline"), 404_103));
}

#[tokio::test]
async fn dm_3_unknown_devices_and_modules_are_told_apart_alike_in_header_and_body() {
    let world = World::start().await;
    world.device("d").await;
    let body = json!({ "methodName": "reboot" });
    let device = world.post_method("nobody", body.clone()).await;
    assert_eq!(error(&device), (404, Some("DeviceNotFound"), 404_001));
    let module = world.post_method("d/modules/nobody", body).await;
    assert_eq!(error(&module), (404, Some("ModuleNotFound"), 404_010));
}

#[tokio::test]
async fn dm_4_a_silent_device_is_a_gateway_timeout_after_the_response_timeout() {
    let world = World::start().await;
    let mut raw = world.taking_methods("d").await;
    let began = std::time::Instant::now();
    let body = json!({ "methodName": "reboot", "responseTimeoutInSeconds": 5 });
    let (answer, _) = tokio::join!(world.post_method("d", body), raw.call());
    assert_eq!(error(&answer), (504, Some("GatewayTimeout"), 504_101));
    assert!(began.elapsed().as_secs() >= 5);
}

#[tokio::test]
async fn dm_5_timeouts_out_of_bounds_are_refused() {
    let world = World::start().await;
    let _raw = world.taking_methods("d").await;
    for (response, connect) in [(4, 0), (301, 0), (30, 60)] {
        let body =
            json!({ "methodName": "m", "responseTimeoutInSeconds": response, "connectTimeoutInSeconds": connect });
        let answer = world.post_method("d", body).await;
        assert_eq!(
            error(&answer),
            (400, Some("ArgumentInvalid"), 400_004),
            "{response} {connect}"
        );
    }
}
