//! METH-01 to METH-05, and answers that are none.

use hub_client::ClientError;
use hub_protocol::{
    ErrorCode,
    method::{MAX_PAYLOAD, MethodRequest, MethodResponse},
    topic,
};
use reqwest::Method;
use rumqttc::{QoS, mqttbytes::v4::Packet};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    id,
    raw_device::{METHODS, RawDevice},
    world::World,
};

async fn subscribed() -> (World, RawDevice) {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[METHODS]).await;
    (world, raw)
}

fn call(world: &World, request: MethodRequest) -> JoinHandle<Result<MethodResponse, ClientError>> {
    let client = world.client.clone();
    tokio::spawn(async move { client.invoke_method(&id("d"), &request).await })
}

#[tokio::test]
async fn meth_01_a_call_ends_with_its_request_id_and_its_answer_reaches_the_caller() {
    let (world, mut raw) = subscribed().await;
    let call = call(&world, MethodRequest::new("doIt", json!({ "a": [1] })));
    let message = raw.message().await;
    let request_id = message.topic.strip_prefix("$iothub/methods/POST/doIt/?$rid=").unwrap();
    assert!(!request_id.is_empty() && request_id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(message.body, json!({ "a": [1] }));
    raw.publish(
        topic::method_response(299, request_id),
        QoS::AtLeastOnce,
        r#"{"ok":true}"#,
    )
    .await;
    assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))));
    let answer = call.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.payload), (299, json!({ "ok": true })));
}

#[tokio::test]
async fn meth_02_a_call_without_payload_carries_null() {
    let (world, mut raw) = subscribed().await;
    let calling = world.call(Method::POST, "/twins/d/methods", &[], r#"{"methodName":"m"}"#.into());
    let answering = async {
        let Some(Packet::Publish(publish)) = raw.receive().await else {
            panic!("a call was expected")
        };
        assert_eq!(&publish.payload[..], b"null");
        let request_id = publish.topic.rsplit('=').next().unwrap();
        // An empty answer is null as well.
        raw.publish(topic::method_response(200, request_id), QoS::AtMostOnce, "")
            .await;
    };
    let (answer, ()) = tokio::join!(calling, answering);
    assert_eq!(
        (answer.status, answer.body),
        (200, json!({ "status": 200, "payload": null }))
    );
}

#[tokio::test]
async fn meth_03_a_device_that_is_not_subscribed_is_offline_unless_it_is_waited_for() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.connect(&device).await;
    let error = call(&world, MethodRequest::new("m", Value::Null))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.status(), error.code()),
        (Some(404), Some(ErrorCode::DeviceNotOnline))
    );
    let waiting = call(
        &world,
        MethodRequest {
            connect_timeout_in_seconds: 10,
            ..MethodRequest::new("m", Value::Null)
        },
    );
    raw.send(&Packet::PingReq).await;
    assert!(matches!(raw.receive().await, Some(Packet::PingResp)));
    raw.subscribe(&[METHODS]).await;
    let (_, request_id, _) = raw.call().await;
    raw.answer(&request_id, 200, &Value::Null).await;
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn meth_04_no_answer_in_time_is_a_gateway_timeout() {
    let (world, mut raw) = subscribed().await;
    let silent = call(
        &world,
        MethodRequest {
            response_timeout_in_seconds: 5,
            ..MethodRequest::new("m", Value::Null)
        },
    );
    raw.call().await;
    let error = silent.await.unwrap().unwrap_err();
    assert_eq!(
        (error.status(), error.code()),
        (Some(504), Some(ErrorCode::GatewayTimeout))
    );
}

#[tokio::test]
async fn meth_05_an_answer_nobody_waits_for_is_acknowledged_and_ignored() {
    let (world, mut raw) = subscribed().await;
    for unknown in ["ffff", "not hex", "1"] {
        raw.publish(topic::method_response(200, unknown), QoS::AtLeastOnce, "{}")
            .await;
        assert!(matches!(raw.receive().await, Some(Packet::PubAck(_))), "{unknown}");
        raw.publish(topic::method_response(200, unknown), QoS::AtMostOnce, "{}")
            .await;
    }
    let next = call(&world, MethodRequest::new("m", Value::Null));
    let (_, request_id, _) = raw.call().await;
    raw.answer(&request_id, 200, &json!("right")).await;
    assert_eq!(next.await.unwrap().unwrap().payload, "right");
}

#[tokio::test]
async fn an_answer_that_is_not_json_or_too_long_is_a_bad_gateway() {
    let (world, mut raw) = subscribed().await;
    for bad in [
        b"not json".to_vec(),
        vec![0xFF],
        format!("\"{}\"", "x".repeat(MAX_PAYLOAD - 1)).into_bytes(),
    ] {
        let call = call(&world, MethodRequest::new("m", Value::Null));
        let (_, request_id, _) = raw.call().await;
        raw.publish(topic::method_response(200, &request_id), QoS::AtMostOnce, bad)
            .await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(
            (error.status(), error.code()),
            (Some(502), Some(ErrorCode::InvalidResponseWhileProxying))
        );
    }
}
