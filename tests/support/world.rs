//! A local hub on free ports in a temporary folder, a client, and devices to connect to it.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use device_sim::{DeviceState, Fleet, FleetOptions, Model, SimulatedDevice};
use hub_client::{HubClient, RetryPolicy};
use hub_protocol::{
    DeviceConnectionString, DeviceId, ServiceConnectionString,
    connection_string::Credential,
    identity::{DeviceIdentity, ExportImportDevice},
    merge::Object,
    method::MethodRequest,
    sas::SasKey,
    twin::Twin,
};
use local_hub::{Event, EventLog, HttpsPort, HubEvent, LocalHub, LocalHubConfig, MessageSource, Start};
use rustls::ClientConfig;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use twindeck_app::trust;

use super::{id, raw_device::RawDevice, soon};

/// Twenty seconds of the tutorials become a fifth of one.
pub(crate) const FAST: f64 = 0.01;

pub(crate) struct World {
    pub(crate) hub: LocalHub,
    pub(crate) client: HubClient,
    pub(crate) tls: Arc<ClientConfig>,
    /// For calls the client would never make.
    pub(super) http: reqwest::Client,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(LocalHubConfig) -> LocalHubConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = LocalHubConfig::on_free_ports(dir.path().join("hub"));
        Self::open(change(config), dir).await
    }

    async fn open(config: LocalHubConfig, dir: TempDir) -> Self {
        let hub = LocalHub::start(config).await.unwrap();
        let tls = trust::only(&hub.addresses().ca_file).unwrap();
        // Whatever the hub is called, this machine finds it here.
        let service = ServiceConnectionString {
            host_name: format!("localhost:{}", hub.addresses().https_port),
            ..hub.service_connection_string()
        };
        let client = HubClient::with_retries(service, tls.clone(), RetryPolicy::NEVER).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls.clone());
        Self {
            hub,
            client,
            http: http.no_proxy().build().unwrap(),
            tls: Arc::new(tls),
            dir,
        }
    }

    /// The same folder and the same ports, another process's memory.
    pub(crate) async fn restart(self) -> Self {
        let addresses = self.hub.addresses().clone();
        self.hub.shutdown().await;
        let config = LocalHubConfig {
            mqtt_port: addresses.mqtt_port,
            https_port: HttpsPort::Exactly(addresses.https_port),
            ..LocalHubConfig::new(addresses.data_dir)
        };
        Self::open(config, self.dir).await
    }

    pub(crate) fn client_as(&self, connection: ServiceConnectionString) -> HubClient {
        HubClient::with_retries(connection, ClientConfig::clone(&self.tls), RetryPolicy::NEVER).unwrap()
    }

    /// A policy's connection string, with the key from the hub's own database.
    pub(crate) fn policy(&self, name: &str) -> ServiceConnectionString {
        let database = rusqlite::Connection::open(self.hub.data_dir().join("hub.db")).unwrap();
        let key: String = database
            .query_row("SELECT primary_key FROM policies WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .unwrap();
        ServiceConnectionString {
            policy: name.into(),
            credential: Credential::Key(SasKey::parse(&key).unwrap()),
            ..self.hub.service_connection_string()
        }
    }

    pub(crate) async fn device(&self, name: &str) -> DeviceConnectionString {
        let created = self.client.create_device(&DeviceIdentity::new(id(name))).await.unwrap();
        connection(&created)
    }

    pub(crate) async fn devices(&self, prefix: &str, count: usize) -> Vec<DeviceConnectionString> {
        create_devices(&self.client, prefix, count).await
    }

    pub(crate) async fn connect(&self, device: &DeviceConnectionString) -> RawDevice {
        let mut raw = self.dial().await;
        raw.connect(device, true).await;
        raw
    }

    /// Cuts a device's connection, and waits until the hub has noticed.
    pub(crate) async fn lose(&self, raw: RawDevice, device: &DeviceId) {
        let mut events = self.hub.subscribe();
        drop(raw);
        event(&mut events, "the end of a connection", |event| match event {
            HubEvent::ConnectionChanged {
                id, connected: false, ..
            } if id.device_id == *device => Some(()),
            _ => None,
        })
        .await;
    }

    /// A TLS connection to the hub's MQTT port on which nothing was said yet.
    pub(crate) async fn dial(&self) -> RawDevice {
        RawDevice::dial(self.hub.addresses().mqtt_port, &self.tls).await
    }

    pub(crate) fn fleet(&self) -> Fleet {
        self.fleet_with(|options| options)
    }

    pub(crate) fn fleet_with(&self, change: impl FnOnce(FleetOptions) -> FleetOptions) -> Fleet {
        fleet(self.hub.addresses().mqtt_port, &self.tls, change)
    }

    /// Created, started at the fast speed, and connected.
    pub(crate) async fn running(&self, fleet: &Fleet, prefix: &str, count: usize, model: &str) -> Vec<DeviceId> {
        let devices = self.devices(prefix, count).await;
        let ids = devices.iter().map(|device| device.device_id.clone()).collect();
        start(fleet, devices, model).await;
        ids
    }

    /// Status and payload of a device's answer.
    pub(crate) async fn invoke(
        &self,
        device: &DeviceId,
        method: &str,
        payload: serde_json::Value,
    ) -> (i32, serde_json::Value) {
        let answer = self
            .client
            .invoke_method(device, &MethodRequest::new(method, payload))
            .await
            .unwrap();
        (answer.status, answer.payload)
    }

    pub(crate) async fn twin(&self, device: &DeviceId) -> Twin {
        self.client.twin(device).await.unwrap()
    }
}

pub(crate) fn connection(device: &DeviceIdentity) -> DeviceConnectionString {
    let key = device.authentication.symmetric_key.primary_key.as_deref().unwrap();
    DeviceConnectionString {
        host_name: "localhost".into(),
        device_id: device.device_id.clone(),
        key: SasKey::parse(key).unwrap(),
        gateway_host_name: None,
    }
}

/// `prefix-0001` and so on, through the bulk call.
pub(crate) async fn create_devices(client: &HubClient, prefix: &str, count: usize) -> Vec<DeviceConnectionString> {
    let mut devices = Vec::new();
    let names: Vec<DeviceId> = (1..=count).map(|number| id(format!("{prefix}-{number:04}"))).collect();
    for chunk in names.chunks(100) {
        let mut items: Vec<ExportImportDevice> = Vec::new();
        for name in chunk {
            let key = || SasKey::from_bytes((0..32).map(|_| fastrand::u8(..)).collect()).unwrap();
            let primary = key();
            let keys =
                json!({ "primaryKey": primary.to_base64().expose(), "secondaryKey": key().to_base64().expose() });
            let item = json!({ "id": name, "importMode": "create", "authentication": { "symmetricKey": keys } });
            items.push(serde_json::from_value(item).unwrap());
            devices.push(DeviceConnectionString {
                host_name: "localhost".into(),
                device_id: name.clone(),
                key: primary,
                gateway_host_name: None,
            });
        }
        let result = client.bulk(&items).await.unwrap();
        assert!(result.is_successful, "{:?}", result.errors);
    }
    devices
}

pub(crate) fn fleet(
    mqtt_port: u16,
    tls: &Arc<ClientConfig>,
    change: impl FnOnce(FleetOptions) -> FleetOptions,
) -> Fleet {
    let options = FleetOptions {
        mqtt_port,
        connects_per_second: 1000,
        ..FleetOptions::new(tls.clone(), ClientConfig::clone(tls))
    };
    Fleet::new(change(options)).unwrap()
}

pub(crate) async fn start(fleet: &Fleet, devices: Vec<DeviceConnectionString>, model: &str) {
    let devices = devices.into_iter().map(|connection| simulated(connection, model));
    start_all(fleet, devices.collect()).await;
}

/// A device of a built-in model, at the fast speed.
pub(crate) fn simulated(connection: DeviceConnectionString, model: &str) -> SimulatedDevice {
    SimulatedDevice {
        connection,
        model: Model::find(model).unwrap(),
        time_scale: FAST,
        seed: 7,
        memory: Object::new(),
        faults: Vec::new(),
    }
}

/// Returns once all are connected.
pub(crate) async fn start_all(fleet: &Fleet, devices: Vec<SimulatedDevice>) {
    let mut events = fleet.subscribe();
    fleet.start(devices);
    soon("every device to connect", async {
        while fleet.states().iter().any(|(_, state)| *state != DeviceState::Connected) {
            // A lag is no matter: the states are looked at afresh.
            let _ = events.recv().await;
        }
    })
    .await;
}

/// The first event for which `pick` gives something; those before it are dropped.
pub(crate) async fn event<T>(
    events: &mut Receiver<HubEvent>,
    what: &str,
    mut pick: impl FnMut(&HubEvent) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            if let Some(found) = pick(&events.recv().await.unwrap()) {
                return found;
            }
        }
    })
    .await
}

/// The next telemetry of `device` that `log` takes while `doing` is done.
pub(crate) async fn telemetry(log: &EventLog, device: &DeviceId, doing: impl Future<Output = ()>) -> Arc<Event> {
    let mut reader = log.reader(EventLog::partition_of(device.as_str()), Start::Newest);
    doing.await;
    soon("telemetry", async {
        loop {
            for event in reader.next(1).await {
                if event.source == MessageSource::Telemetry && event.sender.id.device_id == *device {
                    return event;
                }
            }
        }
    })
    .await
}

/// The first reported value of `key` from now on.
pub(crate) async fn reported(events: &mut Receiver<HubEvent>, device: &DeviceId, key: &str) -> serde_json::Value {
    event(events, key, |event| match event {
        HubEvent::TwinChanged {
            section: local_hub::TwinSection::Reported,
            patch,
            twin,
            ..
        } if twin.device_id == *device => patch.get(key).cloned(),
        _ => None,
    })
    .await
}

/// Every value that `key` was given, until `last` is among them.
pub(crate) async fn reported_until(
    events: &mut Receiver<HubEvent>,
    devices: &[DeviceId],
    key: &str,
    last: &str,
) -> BTreeMap<DeviceId, Vec<String>> {
    let mut seen: BTreeMap<DeviceId, Vec<String>> = BTreeMap::new();
    let mut missing = devices.len();
    while missing > 0 {
        let (device, value) = event(events, key, |event| match event {
            HubEvent::TwinChanged {
                section: local_hub::TwinSection::Reported,
                patch,
                twin,
                ..
            } => Some((twin.device_id.clone(), patch.get(key)?.as_str()?.to_owned())),
            _ => None,
        })
        .await;
        missing -= usize::from(value == last);
        seen.entry(device).or_default().push(value);
    }
    seen
}
