//! A device that speaks MQTT packet by packet, rightly or wrongly.

use std::sync::Arc;

use bytes::BytesMut;
use hub_protocol::{
    DeviceConnectionString, DeviceId, Secret, sas,
    topic::{self, ToDevice, UserName},
};
use rumqttc::{
    QoS,
    mqttbytes::{
        self,
        v4::{Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe, SubscribeFilter},
    },
};
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{soon, unix_now};

const MAX_PACKET: usize = 512 * 1024;

pub(crate) const METHODS: &str = "$iothub/methods/POST/#";
pub(crate) const RESPONSES: &str = "$iothub/twin/res/#";
pub(crate) const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";

pub(crate) struct RawDevice {
    stream: TlsStream<TcpStream>,
    incoming: BytesMut,
    next_id: u16,
}

/// A message of the hub.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) body: Value,
}

/// What anybody says who it is with; `id` is a device's or `device/module`.
pub(crate) fn login(host_name: &str, id: &str, password: &str) -> Connect {
    let mut connect = Connect::new(id);
    connect.keep_alive = 60;
    connect.set_login(format!("{host_name}/{id}/?api-version=2021-04-12"), password);
    connect
}

/// What a device says who it is with.
pub(crate) fn hello(device: &DeviceConnectionString, keep_session: bool) -> Connect {
    let id = device.device_id.as_str();
    let token = token(&format!("{}/devices/{id}", device.host_name), device, unix_now() + 3600);
    let mut connect = Connect::new(id);
    connect.clean_session = !keep_session;
    connect.keep_alive = 60;
    connect.set_login(
        UserName::format(&device.host_name, id, "twindeck-tests"),
        token.expose(),
    );
    connect
}

pub(crate) fn token(resource: &str, device: &DeviceConnectionString, expiry: u64) -> Secret {
    sas::sign(resource, &device.key, expiry, None)
}

/// A TLS connection to `localhost`.
pub(crate) async fn tls_stream(port: u16, tls: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(("localhost", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(tls.clone()).connect(name, socket).await.unwrap()
}

impl RawDevice {
    pub(crate) async fn dial(port: u16, tls: &Arc<ClientConfig>) -> Self {
        Self {
            stream: tls_stream(port, tls).await,
            incoming: BytesMut::new(),
            next_id: 0,
        }
    }

    /// Logs in and must be let in; says whether the hub kept a session.
    pub(crate) async fn connect(&mut self, device: &DeviceConnectionString, keep_session: bool) -> bool {
        let (code, present) = self.knock(hello(device, keep_session)).await;
        assert_eq!(code, ConnectReturnCode::Success);
        present
    }

    pub(crate) async fn knock(&mut self, connect: Connect) -> (ConnectReturnCode, bool) {
        self.send(&Packet::Connect(connect)).await;
        match self.receive().await {
            Some(Packet::ConnAck(answer)) => (answer.code, answer.session_present),
            other => panic!("CONNACK was expected, not {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: &Packet) {
        self.send_all(std::slice::from_ref(packet)).await;
    }

    /// All in one write.
    pub(crate) async fn send_all(&mut self, packets: &[Packet]) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, MAX_PACKET).unwrap();
        }
        self.send_bytes(&bytes).await;
    }

    /// Sends to a hub that may die; says whether the socket took it.
    pub(crate) async fn try_send(&mut self, packets: &[Packet]) -> bool {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, MAX_PACKET).unwrap();
        }
        self.stream.write_all(&bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// `None` when the hub closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Packet> {
        soon("a packet of the hub", async {
            loop {
                match Packet::read(&mut self.incoming, MAX_PACKET) {
                    Ok(packet) => return Some(packet),
                    Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                    Err(error) => panic!("not MQTT: {error}"),
                }
                match self.stream.read_buf(&mut self.incoming).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    pub(crate) async fn is_closed(&mut self) {
        let packet = self.receive().await;
        assert!(packet.is_none(), "the hub should have closed, and sent {packet:?}");
    }

    /// The next PUBLISH; acknowledgements before it are passed over.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            match self.receive().await {
                Some(Packet::Publish(publish)) => {
                    let body = if publish.payload.is_empty() {
                        Value::Null
                    } else {
                        serde_json::from_slice(&publish.payload).unwrap()
                    };
                    return Message {
                        topic: publish.topic,
                        body,
                    };
                }
                Some(Packet::PubAck(_) | Packet::PingResp) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// The next PUBLISH as it stands on the wire.
    pub(crate) async fn publication(&mut self) -> Publish {
        loop {
            match self.receive().await {
                Some(Packet::Publish(publish)) => return publish,
                Some(Packet::PubAck(_) | Packet::PingResp) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// Nothing more comes: everything the hub sent before its answer to a ping is read.
    pub(crate) async fn nothing_more(&mut self) {
        self.send(&Packet::PingReq).await;
        let packet = self.receive().await;
        assert!(matches!(packet, Some(Packet::PingResp)), "unexpected: {packet:?}");
    }

    pub(crate) async fn acknowledge(&mut self, publish: &Publish) {
        self.send(&Packet::PubAck(PubAck::new(publish.pkid))).await;
    }

    /// Subscribes to all of them in one packet; the answer must grant each.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) {
        self.subscribe_at(QoS::AtMostOnce, filters).await;
    }

    pub(crate) async fn subscribe_at(&mut self, qos: QoS, filters: &[&str]) {
        self.next_id += 1;
        let filters = filters.iter().map(|path| SubscribeFilter::new((*path).into(), qos));
        let mut packet = Subscribe::new_many(filters);
        packet.pkid = self.next_id;
        let count = packet.filters.len();
        self.send(&Packet::Subscribe(packet)).await;
        match self.receive().await {
            Some(Packet::SubAck(answer)) => {
                assert_eq!((answer.pkid, answer.return_codes.len()), (self.next_id, count));
            }
            other => panic!("SUBACK was expected, not {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self, topic: impl Into<String>, qos: QoS, body: impl Into<Vec<u8>>) {
        self.next_id += 1;
        let mut publish = Publish::new(topic, qos, body);
        publish.pkid = if qos == QoS::AtMostOnce { 0 } else { self.next_id };
        self.send(&Packet::Publish(publish)).await;
    }

    /// Reports and takes the answer: its status, the new version, and the error's body.
    pub(crate) async fn report(&mut self, request: &str, patch: &Value) -> (u16, Option<u64>, Value) {
        let topic = topic::reported_patch(request);
        self.publish(topic, QoS::AtMostOnce, patch.to_string()).await;
        self.twin_answer(request).await
    }

    /// Reports to a hub that may die; says whether it acknowledged.
    pub(crate) async fn try_report(&mut self, request: &str, patch: &Value) -> bool {
        let publish = Publish::new(topic::reported_patch(request), QoS::AtMostOnce, patch.to_string());
        if !self.try_send(&[Packet::Publish(publish)]).await {
            return false;
        }
        match self.receive().await {
            Some(Packet::Publish(answer)) => matches!(
                ToDevice::parse(&answer.topic),
                Some(ToDevice::TwinResponse { status: 204, request_id, .. }) if request_id == request
            ),
            _ => false,
        }
    }

    pub(crate) async fn twin_answer(&mut self, request: &str) -> (u16, Option<u64>, Value) {
        let message = self.message().await;
        match ToDevice::parse(&message.topic) {
            Some(ToDevice::TwinResponse {
                status,
                request_id,
                version,
            }) if request_id == request => (status, version, message.body),
            other => panic!("the answer to {request} was expected, not {other:?}"),
        }
    }

    /// The next method call: its name, its request id, its payload.
    pub(crate) async fn call(&mut self) -> (String, String, Value) {
        let message = self.message().await;
        match ToDevice::parse(&message.topic) {
            Some(ToDevice::MethodRequest { name, request_id }) => (name, request_id.to_owned(), message.body),
            other => panic!("a method call was expected, not {other:?}"),
        }
    }

    pub(crate) async fn answer(&mut self, request: &str, status: i32, payload: &Value) {
        let topic = topic::method_response(status, request);
        self.publish(topic, QoS::AtMostOnce, payload.to_string()).await;
    }
}

pub(crate) fn telemetry_topic(device: &DeviceId) -> String {
    topic::telemetry(device.as_str(), "")
}
