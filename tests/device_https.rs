//! What devices do over HTTPS: telemetry, and messages received and settled.

use std::time::Duration;

use hub_protocol::{DeviceConnectionString, Secret, Timestamp, message::SystemProperty};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    id,
    messages::{expiring, message_id, named, outcome},
    raw_device::token,
    rest::{self, Answer},
    unix_now,
    world::{World, telemetry},
};

fn own_token(device: &DeviceConnectionString) -> Secret {
    let resource = format!("{}/devices/{}", device.host_name, device.device_id);
    token(&resource, device, unix_now() + 600)
}

impl World {
    async fn as_device(
        &self,
        device: &DeviceConnectionString,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let path = format!("/devices/{}/messages/{path}", device.device_id);
        self.call_as(&own_token(device), method, &path, headers, body.into())
            .await
    }
}

#[tokio::test]
async fn a_device_receives_and_settles_over_https() {
    let world = World::start().await;
    let device = world.device("d").await;
    let empty = world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    assert_eq!(empty.status, 204);
    let mut properties = named("a");
    properties.application.push(("colour".into(), Some("grün".into())));
    world
        .client
        .send_message(&device.device_id, &properties, b"{\"n\":1}".into())
        .await
        .unwrap();
    world.send(&device, "b").await;

    let receive = async || world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    let settle = async |method: Method, answer: &Answer, how: &str| {
        let lock = answer.header("ETag").unwrap().trim_matches('"').to_owned();
        let path = format!("devicebound/{lock}{how}");
        world.as_device(&device, method, &path, &[], "").await.status
    };
    let a = receive().await;
    assert_eq!((a.status, &a.body), (200, &json!({ "n": 1 })));
    assert_eq!(a.header("iothub-messageid"), Some("a"));
    assert_eq!(a.header("iothub-to"), Some("/devices/d/messages/devicebound"));
    assert_eq!(a.header("iothub-ack"), Some("full"));
    assert_eq!(
        a.headers.get("iothub-app-colour").unwrap().as_bytes(),
        "grün".as_bytes()
    );
    assert_eq!(a.header("iothub-deliverycount"), Some("0"));
    assert!(a.header("iothub-sequencenumber").unwrap().parse::<u64>().is_ok());
    assert!(Timestamp::parse(a.header("iothub-enqueuedtime").unwrap()).is_some());
    let b = receive().await;
    assert_eq!(b.header("iothub-messageid"), Some("b"));
    assert_eq!(receive().await.status, 204, "both are locked");

    assert_eq!(settle(Method::POST, &a, "/abandon").await, 204);
    assert_eq!(
        settle(Method::DELETE, &a, "").await,
        412,
        "the lock went with the abandon"
    );
    let a = receive().await;
    assert_eq!(
        (a.header("iothub-messageid"), a.header("iothub-deliverycount")),
        (Some("a"), Some("1"))
    );
    assert_eq!(settle(Method::DELETE, &b, "?reject").await, 204);
    assert_eq!(settle(Method::DELETE, &a, "").await, 204);
    assert_eq!(settle(Method::DELETE, &a, "").await, 412);
    assert_eq!(
        world.outcomes(2).await,
        [outcome("b", "Rejected"), outcome("a", "Success")]
    );
}

#[tokio::test]
async fn cd_4_what_expires_is_rejected_or_purged_is_fed_back_as_that() {
    let world = World::start().await;
    let device = world.device("d").await;
    let brief = expiring("late", Duration::from_millis(100));
    let sent = world.client.send_message(&device.device_id, &brief, b"x".into());
    sent.await.unwrap();
    assert_eq!(world.outcomes(1).await, [outcome("late", "Expired")]);

    world.send(&device, "unwanted").await;
    let taken = world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    let lock = taken.header("ETag").unwrap().trim_matches('"').to_owned();
    let path = format!("devicebound/{lock}?reject");
    assert_eq!(
        world.as_device(&device, Method::DELETE, &path, &[], "").await.status,
        204
    );
    assert_eq!(world.outcomes(1).await, [outcome("unwanted", "Rejected")]);

    world.send(&device, "queued").await;
    assert_eq!(world.client.purge_messages(&device.device_id).await.unwrap(), 1);
    assert_eq!(world.outcomes(1).await, [outcome("queued", "Purged")]);
}

#[tokio::test]
async fn a_message_locked_over_https_is_not_delivered_over_mqtt_until_it_is_abandoned() {
    let world = World::start().await;
    let device = world.device("d").await;
    world.send(&device, "m").await;
    let locked = world.as_device(&device, Method::GET, "devicebound", &[], "").await;
    let mut raw = world.listening(&device).await;
    raw.nothing_more().await;
    let lock = locked.header("ETag").unwrap().trim_matches('"').to_owned();
    let path = format!("devicebound/{lock}/abandon");
    assert_eq!(world.as_device(&device, Method::POST, &path, &[], "").await.status, 204);
    let publish = raw.publication().await;
    assert_eq!((message_id(&publish).as_str(), publish.dup), ("m", true));
}

#[tokio::test]
async fn https_lets_in_the_device_itself_and_policies_that_connect_devices_and_nobody_else() {
    let world = World::start().await;
    let (device, other) = (world.device("d").await, world.device("d2").await);
    let status = async |token: &Secret| {
        let path = "/devices/d/messages/devicebound";
        world.call_as(token, Method::GET, path, &[], String::new()).await.status
    };
    assert_eq!(status(&own_token(&device)).await, 204);
    assert_eq!(
        status(&rest::token(&world.policy("device"), unix_now() + 600)).await,
        204
    );
    for refused in [
        own_token(&other),
        rest::token(&world.policy("service"), unix_now() + 600),
        token("localhost/devices/d", &device, unix_now() - 3600),
        Secret::new(""),
    ] {
        assert_eq!(status(&refused).await, 401);
    }
    let unknown = DeviceConnectionString {
        device_id: id("unknown"),
        ..device
    };
    assert_eq!(
        world
            .as_device(&unknown, Method::GET, "devicebound", &[], "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_device_sends_telemetry_over_https_alone_and_in_batches() {
    let world = World::start().await;
    let device = world.device("d").await;
    let send = async |headers: &[(&str, &str)], body: &str| {
        world
            .as_device(&device, Method::POST, "events", headers, body)
            .await
            .status
    };
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        let headers = [
            ("IoTHub-MessageId", "m"),
            ("iothub-app-a", "1"),
            ("iothub-connection-device-id", "another"),
            ("iothub-contenttype", "text/plain"),
        ];
        assert_eq!(send(&headers, "hello").await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"hello");
    assert_eq!(sent.properties.get(SystemProperty::MessageId), Some("m"));
    assert_eq!(sent.properties.get(SystemProperty::ContentType), Some("text/plain"));
    assert_eq!(sent.properties.application, [("a".into(), Some("1".into()))]);
    assert_eq!(sent.properties.system.len(), 2, "nobody signs with another's name");

    let batch = [("Content-Type", "application/vnd.microsoft.iothub.json")];
    let body = json!([{ "body": "AP8=", "properties": { "iothub-app-n": "1" } }]).to_string();
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        assert_eq!(send(&batch, &body).await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"\x00\xff");
    assert_eq!(sent.properties.application, [("n".into(), Some("1".into()))]);

    let plain = json!([{ "body": "text", "base64Encoded": false }]).to_string();
    let sent = telemetry(world.hub.log(), &device.device_id, async {
        assert_eq!(send(&batch, &plain).await, 204);
    })
    .await;
    assert_eq!(&sent.body[..], b"text");

    assert_eq!(send(&batch, "[{\"body\":\"not base64\"}]").await, 400);
    assert_eq!(send(&batch, "{").await, 400);
    assert_eq!(send(&[], &"x".repeat(256 * 1024)).await, 204);
    assert_eq!(send(&[], &"x".repeat(256 * 1024 + 1)).await, 413);
}
