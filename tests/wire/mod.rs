//! The device side on the wire. Tests named after a row of the conformance checklist of device.md
//! (section 11) assert that row.

mod access;
mod auth;
mod connect;
mod methods;
mod modules;
mod telemetry;
mod twins;
mod websocket;
mod x509;

use std::{future::Future, sync::Arc};

use hub_client::IfMatch;
use hub_protocol::{DeviceConnectionString, DeviceId, identity::Status, sas::SasKey};
use local_hub::{Event, EventLog, MessageSource, Start};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};

use crate::support::{raw_device::RawDevice, soon, world::World};

/// The base64 of the 32 ASCII bytes 0123456789abcdef0123456789abcdef (device.md 1.5).
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// The hub's name in that section.
const CONTOSO: &str = "contoso.azure-devices.net";

fn key() -> SasKey {
    SasKey::parse(KEY).unwrap()
}

async fn contoso() -> World {
    World::start_with(|config| local_hub::LocalHubConfig {
        host_name: CONTOSO.into(),
        ..config
    })
    .await
}

impl World {
    /// Knocks on a new connection: what it is answered. One that is refused is closed.
    async fn knock(&self, connect: Connect) -> ConnectReturnCode {
        let mut raw = self.dial().await;
        let (code, present) = raw.knock(connect).await;
        if code != ConnectReturnCode::Success {
            assert!(!present);
            raw.is_closed().await;
        }
        code
    }

    /// Knocks and is let in.
    async fn enter(&self, connect: Connect) -> RawDevice {
        let mut raw = self.dial().await;
        assert_eq!(raw.knock(connect).await.0, ConnectReturnCode::Success);
        raw
    }

    async fn set_status(&self, device: &DeviceId, status: Status) {
        let mut identity = self.client.device(device).await.unwrap();
        identity.status = status;
        self.client.update_device(&identity, IfMatch::Any).await.unwrap();
    }

    /// A device with the two keys given.
    async fn device_with_keys(&self, name: &str, primary: &SasKey, secondary: &SasKey) -> DeviceConnectionString {
        let mut identity = hub_protocol::identity::DeviceIdentity::new(crate::support::id(name));
        identity.authentication.symmetric_key = hub_protocol::identity::SymmetricKey::from_keys(primary, secondary);
        let created = self.client.create_device(&identity).await.unwrap();
        crate::support::world::connection(&created)
    }

    /// A module of `device`, with keys of its own.
    async fn module(&self, device: &DeviceId, name: &str) -> DeviceConnectionString {
        let body = serde_json::json!({ "deviceId": device, "moduleId": name });
        let path = format!("/devices/{device}/modules/{name}");
        let answer = self.call(reqwest::Method::PUT, &path, &[], body.to_string()).await;
        assert!(answer.status < 300, "{}", answer.body);
        let key = answer.body["authentication"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap();
        DeviceConnectionString {
            host_name: "localhost".into(),
            device_id: device.clone(),
            key: SasKey::parse(key).unwrap(),
            gateway_host_name: None,
        }
    }

    /// The next `count` messages of `device` and its modules while `doing` is done.
    async fn messages(&self, device: &str, count: usize, doing: impl Future<Output = ()>) -> Vec<Arc<Event>> {
        let mut reader = self.hub.log().reader(EventLog::partition_of(device), Start::Newest);
        doing.await;
        soon("telemetry", async {
            let mut found = Vec::new();
            while found.len() < count {
                let telemetry = |event: &Arc<Event>| {
                    event.source == MessageSource::Telemetry && event.sender.id.device_str() == device
                };
                found.extend(reader.next(1).await.into_iter().filter(telemetry));
            }
            found
        })
        .await
    }
}

/// Application properties as pairs.
fn application(event: &Event) -> Vec<(&str, Option<&str>)> {
    let pairs = event.properties.application.iter();
    pairs.map(|(key, value)| (key.as_str(), value.as_deref())).collect()
}
