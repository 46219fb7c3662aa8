//! Direct methods, called by the service and answered by a device.

use hub_client::{ClientError, IfMatch};
use hub_protocol::{
    DeviceId, ErrorCode,
    identity::Status,
    method::{MAX_PAYLOAD, MethodRequest, MethodResponse},
};
use local_hub::HubEvent;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    id,
    raw_device::METHODS,
    world::{World, event},
};

fn request(payload: Value, response: u32, connect: u32) -> MethodRequest {
    MethodRequest {
        response_timeout_in_seconds: response,
        connect_timeout_in_seconds: connect,
        ..MethodRequest::new("doIt", payload)
    }
}

impl World {
    fn begin_call(&self, device: &DeviceId, request: MethodRequest) -> JoinHandle<Result<MethodResponse, ClientError>> {
        let (client, device) = (self.client.clone(), device.clone());
        tokio::spawn(async move { client.invoke_method(&device, &request).await })
    }
}

#[tokio::test]
async fn a_method_reaches_the_device_and_its_answer_comes_back() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    let call = world.begin_call(&connection.device_id, request(json!({ "n": [1, null, "ä"] }), 30, 0));
    let (name, request_id, payload) = raw.call().await;
    assert_eq!((name.as_str(), payload), ("doIt", json!({ "n": [1, null, "ä"] })));
    raw.answer(&request_id, -7, &json!({ "said": "no" })).await;
    let answer = call.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.payload), (-7, json!({ "said": "no" })));
}

#[tokio::test]
async fn answers_find_their_callers_in_any_order() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    let calls: Vec<_> = (0..5)
        .map(|n| world.begin_call(&connection.device_id, request(json!(n), 30, 0)))
        .collect();
    let mut received = Vec::new();
    for _ in 0..5 {
        received.push(raw.call().await);
    }
    for (_, request_id, payload) in received.iter().rev() {
        raw.answer(request_id, 200, payload).await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap().payload, json!(n));
    }
}

#[tokio::test]
async fn offline_unknown_disabled_and_deaf_devices_are_told_apart() {
    let world = World::start().await;
    let offline = world.device("offline").await.device_id;
    let code = async |device: &DeviceId| {
        let answer = world.client.invoke_method(device, &request(Value::Null, 5, 0)).await;
        answer.unwrap_err().code()
    };
    assert_eq!(code(&offline).await, Some(ErrorCode::DeviceNotOnline));
    assert_eq!(code(&id("nobody")).await, Some(ErrorCode::DeviceNotFound));

    let deaf = world.device("deaf").await;
    let _connected = world.connect(&deaf).await;
    assert_eq!(
        code(&deaf.device_id).await,
        Some(ErrorCode::DeviceNotOnline),
        "not subscribed is offline"
    );

    let mut disabled = world.client.device(&offline).await.unwrap();
    disabled.status = Status::Disabled;
    world.client.update_device(&disabled, IfMatch::Any).await.unwrap();
    assert_eq!(code(&offline).await, Some(ErrorCode::DeviceNotOnline));
}

#[tokio::test]
async fn a_silent_device_is_a_timeout_and_its_late_answer_goes_nowhere() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    let silent = world.begin_call(&connection.device_id, request(json!("first"), 5, 0));
    let (_, late, _) = raw.call().await;
    let error = silent.await.unwrap().unwrap_err();
    assert_eq!(
        (error.status(), error.code()),
        (Some(504), Some(ErrorCode::GatewayTimeout))
    );

    let next = world.begin_call(&connection.device_id, request(json!("second"), 30, 0));
    let (_, request_id, _) = raw.call().await;
    raw.answer(&late, 200, &json!("late")).await;
    raw.answer(&request_id, 200, &json!("in time")).await;
    assert_eq!(next.await.unwrap().unwrap().payload, "in time");
}

#[tokio::test]
async fn a_connect_timeout_waits_for_a_device_that_comes() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let call = world.begin_call(&connection.device_id, request(Value::Null, 30, 30));
    let mut events = world.hub.subscribe();
    let mut raw = world.connect(&connection).await;
    event(&mut events, "the connection", |event| {
        matches!(event, HubEvent::ConnectionChanged { .. }).then_some(())
    })
    .await;
    assert!(!call.is_finished());
    raw.subscribe(&[METHODS]).await;
    let (_, request_id, _) = raw.call().await;
    raw.answer(&request_id, 200, &Value::Null).await;
    assert_eq!(call.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_device_may_answer_after_it_reconnected() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    let call = world.begin_call(&connection.device_id, request(Value::Null, 30, 0));
    let (_, request_id, _) = raw.call().await;
    let mut again = world.connect(&connection).await;
    again.answer(&request_id, 200, &json!("back")).await;
    assert_eq!(call.await.unwrap().unwrap().payload, "back");
}

#[tokio::test]
async fn nobody_answers_for_another_device() {
    let world = World::start().await;
    let (one, other) = (world.device("one").await, world.device("other").await);
    let mut raw = world.connect(&one).await;
    raw.subscribe(&[METHODS]).await;
    let mut thief = world.connect(&other).await;
    let call = world.begin_call(&one.device_id, request(Value::Null, 30, 0));
    let (_, request_id, _) = raw.call().await;
    thief.answer(&request_id, 200, &json!("forged")).await;
    // Its next packet was read after the forged answer was.
    thief.subscribe(&[METHODS]).await;
    assert!(!call.is_finished());
    raw.answer(&request_id, 200, &json!("true")).await;
    assert_eq!(call.await.unwrap().unwrap().payload, "true");
}

#[tokio::test]
async fn a_payload_may_have_128_kib_and_not_a_byte_more() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    let largest = json!("x".repeat(MAX_PAYLOAD - 2));
    let call = world.begin_call(&connection.device_id, request(largest.clone(), 30, 0));
    let (_, request_id, payload) = raw.call().await;
    assert_eq!(payload, largest);
    raw.answer(&request_id, 200, &largest).await;
    assert_eq!(call.await.unwrap().unwrap().payload, largest);

    let too_large = json!("x".repeat(MAX_PAYLOAD - 1));
    let unsent = world
        .client
        .invoke_method(&connection.device_id, &request(too_large.clone(), 30, 0))
        .await;
    assert!(matches!(unsent, Err(ClientError::InvalidRequest { .. })));
    let body = json!({ "methodName": "m", "payload": too_large }).to_string();
    let answer = world.call(Method::POST, "/twins/d/methods", &[], body).await;
    assert!(matches!(answer.status, 400 | 413), "{}", answer.body);
}

#[tokio::test]
async fn timeouts_and_names_out_of_bounds_are_refused_by_the_hub_itself() {
    let world = World::start().await;
    world.device("d").await;
    for body in [
        json!({ "methodName": "m", "responseTimeoutInSeconds": 4 }),
        json!({ "methodName": "m", "responseTimeoutInSeconds": 301 }),
        json!({ "methodName": "m", "connectTimeoutInSeconds": 301 }),
        json!({ "methodName": "a/b" }),
        json!({ "methodName": "" }),
        json!({ "payload": 1 }),
    ] {
        let answer = world
            .call(Method::POST, "/twins/d/methods", &[], body.to_string())
            .await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let answer = world.call(Method::POST, "/twins/d/methods", &[], "{".into()).await;
    assert_eq!(
        (answer.status, answer.header("iothub-errorcode")),
        (400, Some("IotHubFormatError"))
    );
}
