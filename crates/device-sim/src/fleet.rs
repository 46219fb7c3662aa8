//! Many simulated devices: started with a ramp, watched, stopped.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hub_protocol::{DeviceConnectionString, DeviceId, merge::Object};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, broadcast},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ConsoleLine, Counters, DeviceState, Fault, FleetEvent, Model, SimError,
    behaviour::Behaviour,
    device::{Device, Ramp},
    fault,
    handle::{Birth, DeviceHandle, Handle, Shared},
    state::Tally,
};

const DOWNLOADS_AT_ONCE: usize = 64;
/// Listeners that fall further behind are told how many events they missed.
const EVENTS: usize = 4096;

pub struct FleetOptions {
    /// Whom the devices trust.
    pub tls: Arc<ClientConfig>,
    pub mqtt_port: u16,
    /// Where to dial when it is not the host of the connection string; the certificate is still
    /// checked against that host.
    pub address: Option<String>,
    /// For the fleet as a whole, reconnects included.
    pub connects_per_second: u32,
    pub token_lifetime: Duration,
    pub keep_alive: Duration,
    /// Whom the devices trust when they download packages.
    pub download_tls: ClientConfig,
}

impl FleetOptions {
    pub fn new(tls: Arc<ClientConfig>, download_tls: ClientConfig) -> Self {
        Self {
            tls,
            mqtt_port: 8883,
            address: None,
            connects_per_second: 50,
            token_lifetime: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(240),
            download_tls,
        }
    }
}

pub struct SimulatedDevice {
    pub connection: DeviceConnectionString,
    pub model: Arc<Model>,
    /// What waits of the model's steps are multiplied with: 1.0 is the tutorials' time.
    pub time_scale: f64,
    pub seed: u64,
    /// What [`News::Memory`](crate::News) told last; empty for a new device.
    pub memory: Object,
    /// The faults it has; their share of `devices` is not looked at again.
    pub faults: Vec<Fault>,
}

/// What devices know of the network.
pub(crate) struct Network {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) mqtt_port: u16,
    pub(crate) address: Option<String>,
    pub(crate) token_lifetime: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) ramp: Ramp,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    handle: Handle,
}

/// Devices stop when their fleet is dropped; `stop_all` also waits for them.
pub struct Fleet {
    network: Arc<Network>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    devices: Mutex<HashMap<DeviceId, Running>>,
}

pub(crate) fn download_client(mut tls: ClientConfig) -> Result<reqwest::Client, SimError> {
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::limited(5))
        .pool_max_idle_per_host(8)
        .build()
        .map_err(|error| SimError::Tls(error.to_string()))
}

impl Fleet {
    pub fn new(options: FleetOptions) -> Result<Self, SimError> {
        let shared = Shared {
            downloads: download_client(options.download_tls)?,
            download_slots: Semaphore::new(DOWNLOADS_AT_ONCE),
            tally: Tally::default(),
            events: broadcast::Sender::new(EVENTS),
        };
        let network = Network {
            tls: options.tls,
            mqtt_port: options.mqtt_port,
            address: options.address,
            token_lifetime: options.token_lifetime,
            keep_alive: options
                .keep_alive
                .clamp(Duration::from_secs(5), Duration::from_secs(1177)),
            ramp: Ramp::new(options.connects_per_second),
        };
        Ok(Self {
            network: Arc::new(network),
            shared: Arc::new(shared),
            stop: CancellationToken::new(),
            devices: Mutex::default(),
        })
    }

    /// Starts devices; one that runs already is left alone. Needs a tokio runtime.
    pub fn start(&self, devices: Vec<SimulatedDevice>) {
        let mut running = self.lock();
        for device in devices {
            let id = device.connection.device_id.clone();
            if running
                .get(&id)
                .is_some_and(|known| !known.task.is_finished() && !known.stop.is_cancelled())
            {
                continue;
            }
            running.insert(id, self.launch(device));
        }
    }

    fn launch(&self, device: SimulatedDevice) -> Running {
        let birth = Birth {
            device_id: device.connection.device_id.clone(),
            time_scale: device.time_scale,
            seed: device.seed,
            memory: device.memory,
            faults: device.faults,
        };
        let (handle, commands) = Handle::new(birth, Arc::clone(&self.shared));
        let stop = self.stop.child_token();
        let task = Device::new(
            device.connection,
            Arc::clone(&self.network),
            Behaviour::new(device.model),
            (handle.clone(), commands),
            stop.clone(),
        );
        Running {
            stop,
            task: tokio::spawn(Box::pin(task.run())),
            handle,
        }
    }

    /// Stops these devices and waits until they said goodbye; unknown ones are passed over.
    pub async fn stop(&self, ids: &[DeviceId]) {
        let ids: HashSet<&DeviceId> = ids.iter().collect();
        let stopping: Vec<Running> = self
            .lock()
            .extract_if(|id, _| ids.contains(id))
            .map(|(_, device)| device)
            .collect();
        finish(stopping).await;
    }

    pub async fn stop_all(&self) {
        let stopping: Vec<Running> = self.lock().drain().map(|(_, device)| device).collect();
        finish(stopping).await;
    }

    /// Cuts a device's power: its connection and what it is doing are gone, its memory is not. It
    /// starts again at once.
    pub async fn restart(&self, id: &DeviceId) -> Result<(), SimError> {
        self.handle(id)?.power_cut().await
    }

    /// Replaces the faults of a running device, effective at once. Windows in which it is offline
    /// count from now.
    pub fn set_faults(&self, id: &DeviceId, faults: Vec<Fault>) -> Result<(), SimError> {
        fault::check_all(&faults)?;
        self.handle(id)?.set_faults(faults);
        Ok(())
    }

    /// `None` for a device that is not running.
    pub fn faults(&self, id: &DeviceId) -> Option<Vec<Fault>> {
        Some(self.handle(id).ok()?.faults())
    }

    /// What the device remembers beyond what its model gives it; `None` for one that is not running.
    pub fn memory(&self, id: &DeviceId) -> Option<Object> {
        Some(self.handle(id).ok()?.memory())
    }

    /// The last lines of a device's console, and those to come. While it is watched, more lines
    /// are kept, and details with them.
    pub fn console(&self, id: &DeviceId) -> Result<(Vec<ConsoleLine>, broadcast::Receiver<ConsoleLine>), SimError> {
        Ok(self.handle(id)?.console())
    }

    /// Sends one telemetry message and waits until the hub has taken it; stores it while there is
    /// no connection.
    pub async fn send_telemetry(&self, id: &DeviceId, payload: &Value) -> Result<(), SimError> {
        self.handle(id)?.deliver(payload).await
    }

    /// Running devices and their states, in no particular order.
    pub fn states(&self) -> Vec<(DeviceId, DeviceState)> {
        let devices = self.lock();
        devices
            .iter()
            .map(|(id, device)| (id.clone(), device.handle.state()))
            .collect()
    }

    /// `None` for a device that is not running.
    pub fn state(&self, id: &DeviceId) -> Option<DeviceState> {
        self.lock().get(id).map(|device| device.handle.state())
    }

    /// Changes from now on; take `states` and each `memory` after subscribing, and again when told
    /// of a lag.
    pub fn subscribe(&self) -> broadcast::Receiver<FleetEvent> {
        self.shared.events.subscribe()
    }

    pub fn counters(&self) -> Counters {
        self.shared.tally.counters()
    }

    fn handle(&self, id: &DeviceId) -> Result<Handle, SimError> {
        let devices = self.lock();
        let device = devices.get(id).ok_or_else(|| SimError::NotRunning(id.to_string()))?;
        Ok(device.handle.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Running>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn finish(stopping: Vec<Running>) {
    for device in &stopping {
        device.stop.cancel();
    }
    for device in stopping {
        // A task that panicked is over as well.
        let _ = device.task.await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
