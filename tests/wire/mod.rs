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
use hub_protocol::{
    DeviceConnectionString, DeviceId,
    identity::{Authentication, DeviceIdentity, Status, SymmetricKey},
    sas::SasKey,
};
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
        let mut identity = DeviceIdentity::new(crate::support::id(name));
        identity.authentication.symmetric_key = SymmetricKey::from_keys(primary, secondary);
        let created = self.client.create_device(&identity).await.unwrap();
        crate::support::world::connection(&created)
    }

    /// A module of `device`, with keys of its own, put where the hub keeps its identities.
    async fn module(&self, device: &DeviceId, name: &str) -> DeviceConnectionString {
        let key = SasKey::from_bytes(name.bytes().cycle().take(32).collect()).unwrap();
        let authentication = Authentication {
            symmetric_key: SymmetricKey::from_keys(&key, &key),
            ..Authentication::default()
        };
        let database = rusqlite::Connection::open(self.hub.data_dir().join("hub.db")).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let made = database
            .execute(
                "INSERT INTO identities (device_id, module_id, generation_id, etag, status_updated, authentication,
                    connection_updated, last_activity, desired_metadata, reported_metadata)
                 SELECT device_id, ?2, generation_id, etag, status_updated, ?3, connection_updated, last_activity,
                    desired_metadata, reported_metadata
                 FROM identities WHERE device_id = ?1 AND module_id = ''",
                rusqlite::params![device.as_str(), name, serde_json::to_string(&authentication).unwrap()],
            )
            .unwrap();
        assert_eq!(made, 1);
        DeviceConnectionString {
            host_name: "localhost".into(),
            device_id: device.clone(),
            key,
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
