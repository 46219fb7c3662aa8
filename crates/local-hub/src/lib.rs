//! An Azure IoT Hub on this machine.
//!
//! [`LocalHub::start`] opens the data folder, listens for devices (MQTT over TLS) and services
//! (REST over HTTPS), and answers both the way the cloud does. The hub's state ([`hub`], on
//! [`store`]) knows no transport: `mqtt` and `rest` translate between the wire and its
//! operations. Every write is acknowledged to its peer only once SQLite has committed it.

mod auth;
mod certificates;
mod config;
mod containers;
mod counters;
mod device_certificates;
mod error;
mod events;
mod fixture;
mod hub;
mod limits;
mod log;
mod mqtt;
mod protocol_log;
mod rest;
mod serve;
mod sessions;
mod store;
mod targeting;

use std::path::{Path, PathBuf};

use hub_protocol::{ClientId, DeviceId, HubError, Secret, ServiceConnectionString};
use tokio::sync::broadcast;

pub use config::{HttpsPort, LocalHubConfig};
pub use counters::Counters;
pub use error::StartError;
pub use events::{HubEvent, TwinSection};
pub use fixture::{Fixture, FixtureError};
pub use limits::Limits;
pub use log::{
    AuthMethod, Event, EventLog, MessageSource, PARTITIONS, PartitionState, Reader, Retention, Sender, Start,
};
pub use protocol_log::{LineKind, ProtocolLine, ProtocolWatch, Refusal, TooManyWatched};

/// The door for /fuzz: checks that panic where an invariant does not hold.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Bytes as a device may send them on one MQTT connection.
    pub fn read_from_device(bytes: &[u8]) {
        crate::mqtt::invariants::read_from_device(bytes);
    }

    /// A query as SQLite answers it, beside what it means.
    pub fn answer(query: &hub_protocol::query::Query) {
        crate::store::assert_answered(query);
    }
}

/// A running hub. Dropping it stops it abruptly; [`LocalHub::shutdown`] waits for everything
/// under way.
pub struct LocalHub {
    hub: hub::Hub,
    serving: serve::Serving,
    addresses: Addresses,
    /// Keeps a second hub off the same data folder.
    _lock: std::fs::File,
}

/// Where a running hub is reached.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub host_name: String,
    pub mqtt_port: u16,
    pub https_port: u16,
    /// The certificate that clients must trust.
    pub ca_file: PathBuf,
    pub data_dir: PathBuf,
    /// What a person should know, e.g. that port 443 could not be had.
    pub note: Option<String>,
}

impl LocalHub {
    pub async fn start(config: LocalHubConfig) -> Result<Self, StartError> {
        let lock = config.lock_data_dir()?;
        let certificates = certificates::Certificates::open(&config)?;
        let hub = hub::Hub::open(&config)?;
        if let Some(fixture) = &config.fixture {
            hub.provide(&fixture.devices).await?;
        }
        let listeners = serve::Listeners::bind(&config).await?;
        let addresses = Addresses {
            host_name: config.host_name.clone(),
            mqtt_port: listeners.mqtt_port,
            https_port: listeners.https_port,
            ca_file: certificates.ca_file.clone(),
            data_dir: config.data_dir.clone(),
            note: listeners.note.clone(),
        };
        let serving = serve::Serving::start(&hub, listeners, &certificates.tls);
        tracing::info!(
            mqtt = addresses.mqtt_port,
            https = addresses.https_port,
            "local hub is ready"
        );
        Ok(Self {
            hub,
            serving,
            addresses,
            _lock: lock,
        })
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The connection string of policy `iothubowner`. Its host name carries the port when that
    /// is not 443.
    pub fn service_connection_string(&self) -> ServiceConnectionString {
        let port = self.addresses.https_port;
        let host = &self.addresses.host_name;
        let host_name = if port == 443 {
            host.clone()
        } else {
            format!("{host}:{port}")
        };
        self.hub.policies().connection_string("iothubowner", host_name)
    }

    /// What a device's own SDK takes; fails with `DeviceNotFound`.
    pub async fn device_connection_string(&self, device_id: &DeviceId) -> Result<Secret, HubError> {
        self.hub.device_connection_string(device_id).await
    }

    /// Facts as they happen, after they are committed and in that order. A reader that falls
    /// behind is told so and should read afresh.
    pub fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.hub.subscribe()
    }

    /// Telemetry and everything that happened to devices, in order.
    pub fn log(&self) -> &EventLog {
        self.hub.log()
    }

    /// What it has done since it started.
    pub fn counters(&self) -> Counters {
        self.hub.counters()
    }

    /// Records the packets of a device or module, known or not, while the watch lives. What was
    /// said before is not known.
    pub fn watch_protocol(&self, client: &ClientId) -> Result<ProtocolWatch, TooManyWatched> {
        self.hub.protocol().watch(client)
    }

    /// The last connections that were turned away, oldest first: at most 50.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.hub.protocol().refusals()
    }

    pub fn data_dir(&self) -> &Path {
        &self.addresses.data_dir
    }

    /// Closes every connection and commits what is under way.
    pub async fn shutdown(self) {
        self.serving.shutdown().await;
        self.hub.close().await;
    }
}
