//! CONN-07 and CONN-08, and which protocol is spoken on which port.

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use hub_protocol::{method::MethodRequest, topic};
use reqwest::StatusCode;
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnectReturnCode, Packet, Publish, Subscribe},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as WebSocketError, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::support::{
    raw_device::{METHODS, RawDevice, hello, tls_stream},
    soon,
    world::World,
};

type Frames = WebSocketStream<TlsStream<TcpStream>>;

struct WebDevice {
    frames: Frames,
    incoming: BytesMut,
}

fn bytes(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for packet in packets {
        packet.write(&mut bytes, usize::MAX).unwrap();
    }
    bytes.to_vec()
}

impl World {
    /// Asks for a WebSocket; the subprotocol answered, or the status of the refusal.
    async fn upgrade(&self, port: u16, path: &str, protocol: &str) -> Result<(WebDevice, String), StatusCode> {
        let stream = tls_stream(port, &self.tls).await;
        let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_str(protocol).unwrap());
        headers.insert(
            "Sec-WebSocket-Extensions",
            HeaderValue::from_static("permessage-deflate"),
        );
        match soon("an answer", Box::pin(client_async(request, stream))).await {
            Ok((frames, response)) => {
                assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
                assert!(!response.headers().contains_key("Sec-WebSocket-Extensions"));
                let protocol = response.headers()["Sec-WebSocket-Protocol"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                let incoming = BytesMut::new();
                Ok((WebDevice { frames, incoming }, protocol))
            }
            Err(WebSocketError::Http(response)) => Err(response.status()),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    async fn web_device(&self) -> WebDevice {
        let port = self.hub.addresses().https_port;
        self.upgrade(port, "/$iothub/websocket", "mqtt").await.unwrap().0
    }
}

impl WebDevice {
    async fn send(&mut self, bytes: &[u8]) {
        self.frames.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Packet> {
        soon("a packet", async {
            loop {
                if let Ok(packet) = Packet::read(&mut self.incoming, usize::MAX) {
                    return Some(packet);
                }
                match self.frames.next().await {
                    Some(Ok(Message::Binary(frame))) => self.incoming.extend_from_slice(&frame),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(other)) => panic!("{other:?} is no binary frame"),
                }
            }
        })
        .await
    }

    async fn is_welcome(&mut self) {
        match self.receive().await {
            Some(Packet::ConnAck(answer)) => assert_eq!(answer.code, ConnectReturnCode::Success),
            other => panic!("CONNACK was expected, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn conn_07_a_websocket_is_opened_in_either_case_with_any_query_and_a_session_works() {
    let world = World::start().await;
    let device = world.device("d").await;
    let port = world.hub.addresses().https_port;
    for (path, protocol) in [
        ("/$iothub/websocket", "mqtt"),
        ("/$iothub/websocket?iothub-no-client-cert=true", "MQTT"),
        ("/%24iothub/websocket/", "mqtt"),
        ("/$IoTHub/WebSocket", "mqtt"),
    ] {
        let (mut raw, answered) = world.upgrade(port, path, protocol).await.unwrap();
        assert_eq!(answered, protocol, "{path}");
        raw.send(&bytes(&[Packet::Connect(hello(&device, true))])).await;
        raw.is_welcome().await;
        let mut subscribe = Subscribe::new(METHODS, QoS::AtMostOnce);
        subscribe.pkid = 1;
        raw.send(&bytes(&[Packet::Subscribe(subscribe)])).await;
        assert!(matches!(raw.receive().await, Some(Packet::SubAck(_))));
        let (client, id) = (world.client.clone(), device.device_id.clone());
        // More than one frame either way.
        let payload = json!("x".repeat(60_000));
        let request = MethodRequest::new("m", payload.clone());
        let call = tokio::spawn(async move { client.invoke_method(&id, &request).await });
        let Some(Packet::Publish(asked)) = raw.receive().await else {
            panic!("a call was expected")
        };
        assert_eq!(asked.payload.len(), 60_002);
        let request_id = asked.topic.rsplit('=').next().unwrap();
        let answer = Publish::from_bytes(
            topic::method_response(200, request_id),
            QoS::AtMostOnce,
            asked.payload.clone(),
        );
        raw.send(&bytes(&[Packet::Publish(answer)])).await;
        assert_eq!(call.await.unwrap().unwrap().payload, payload);
        raw.send(&bytes(&[Packet::Disconnect])).await;
        assert_eq!(raw.receive().await, None);
    }
    for other in ["AMQPWSB10", "http"] {
        let refused = world.upgrade(port, "/$iothub/websocket", other).await;
        assert_eq!(refused.err(), Some(StatusCode::BAD_REQUEST), "{other}");
    }
    let elsewhere = world.upgrade(port, "/somewhere", "mqtt").await;
    assert_eq!(elsewhere.err(), Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn conn_08_packets_are_cut_and_joined_by_frames_in_any_way() {
    let world = World::start().await;
    let device = world.device("d").await;
    let mut raw = world.web_device().await;
    let connect = bytes(&[Packet::Connect(hello(&device, true))]);
    let (first, rest) = connect.split_at(1);
    let (second, third) = rest.split_at(rest.len() / 2);
    for part in [first, second, third] {
        raw.send(part).await;
        // Frames between the parts are no part of them.
        raw.frames.send(Message::Ping(vec![1, 2].into())).await.unwrap();
    }
    raw.is_welcome().await;
    let mut subscribe = Subscribe::new(METHODS, QoS::AtMostOnce);
    subscribe.pkid = 6;
    raw.send(&bytes(&[Packet::Subscribe(subscribe), Packet::PingReq])).await;
    assert!(matches!(raw.receive().await, Some(Packet::SubAck(answer)) if answer.pkid == 6));
    assert!(matches!(raw.receive().await, Some(Packet::PingResp)));
    raw.send(&[]).await;
    raw.frames.send(Message::text("no MQTT")).await.unwrap();
    assert_eq!(raw.receive().await, None, "texts are not taken");
}

#[tokio::test]
async fn a_message_over_the_limit_closes_a_websocket_too() {
    let world = World::start().await;
    let device = world.device("d").await;
    for (size, taken) in [(262_144, true), (262_145, false)] {
        let mut raw = world.web_device().await;
        raw.send(&bytes(&[Packet::Connect(hello(&device, true))])).await;
        raw.is_welcome().await;
        let mut publish = Publish::new("devices/d/messages/events/", QoS::AtLeastOnce, vec![b'x'; size]);
        publish.pkid = 1;
        raw.send(&bytes(&[Packet::Publish(publish)])).await;
        assert_eq!(raw.receive().await.is_some(), taken, "{size}");
    }
}

#[tokio::test]
async fn each_port_tells_the_protocols_apart() {
    let world = World::start().await;
    let device = world.device("d").await;
    let addresses = world.hub.addresses().clone();
    let mut raw = RawDevice::dial(addresses.https_port, &world.tls).await;
    raw.connect(&device, true).await;

    let on_mqtt = world.upgrade(addresses.mqtt_port, "/$iothub/websocket", "mqtt").await;
    let (mut web, _) = on_mqtt.unwrap();
    web.send(&bytes(&[Packet::Connect(hello(&device, true))])).await;
    web.is_welcome().await;

    for port in [addresses.mqtt_port, addresses.https_port] {
        let mut amqp = tls_stream(port, &world.tls).await;
        amqp.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
        let mut answer = Vec::new();
        // A closed socket may end with or without TLS's goodbye.
        let _ = soon("the end", amqp.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{answer:?}");

        let mut http = tls_stream(port, &world.tls).await;
        http.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let _ = soon("the end", http.read_to_end(&mut answer)).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 404"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
