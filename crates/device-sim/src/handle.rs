//! What a model may do: the narrow door between a device's behaviour and its connection.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hub_protocol::{
    DeviceId, Timestamp,
    merge::{self, Object},
};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    SimError,
    download::{self, DownloadError, Package},
    fault::{Fault, FaultKind, Point},
    random::Random,
    session::MethodCall,
    state::{Tally, count},
};

/// What a device can do and knows, as its routines see it. Whoever implements it adds what the
/// network and the faults of the connection do; a routine need not know of them.
pub(crate) trait DeviceHandle: Send + Sync {
    fn device_id(&self) -> &str;

    /// The device's clock, wrong by what a fault makes of it.
    fn now(&self) -> Timestamp;

    /// What waits of steps are multiplied with: 1.0 is the tutorials' time.
    fn time_scale(&self) -> f64;

    /// In `0.0..1.0`; the same in every run for the same device, `what` and `occasion`.
    fn draw(&self, what: &str, occasion: u64) -> f64;

    /// The fault that strikes here and now, if any. Each call is an occasion: it is asked once
    /// where a fault could strike, and the first of the device's faults that does is the answer.
    fn strike(&self, point: Point) -> Option<FaultKind>;

    /// What the device remembers beyond what its model gives every device.
    fn memory(&self) -> Object;

    /// Merges into the memory at once and for good; null forgets.
    fn remember(&self, changes: &Object);

    /// A line for the console: what the device did.
    fn note(&self, text: String);

    /// Exactly this long: the time scale is in it already.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Returns once the hub has taken the properties, however often that needs a reconnect.
    fn report(&self, properties: Object) -> impl Future<Output = Result<(), SimError>> + Send;

    /// Sends one message of telemetry, or stores it while there is no connection. It does not
    /// wait for the hub.
    fn send(&self, message: Value) -> impl Future<Output = ()> + Send;

    fn respond(&self, call: &MethodCall, status: i32, payload: Value) -> impl Future<Output = ()> + Send;

    /// Drops the connection without a word, opens it again after `off`, and returns once the hub
    /// reaches the device again.
    fn restart(&self, off: Duration) -> impl Future<Output = ()> + Send;

    fn download(&self, url: Url) -> impl Future<Output = Result<Package, DownloadError>> + Send;
}

/// What a model asks of its device's task.
pub(crate) enum Command {
    Report {
        body: Bytes,
        done: oneshot::Sender<Result<(), u16>>,
    },
    Respond {
        request_id: String,
        status: i32,
        body: Bytes,
    },
    Message {
        body: Bytes,
        done: oneshot::Sender<()>,
    },
    Restart {
        off: Duration,
        /// Told once the hub reaches the device again.
        up: oneshot::Sender<()>,
    },
}

/// What all devices of a fleet share.
pub(crate) struct Shared {
    pub(crate) downloads: reqwest::Client,
    /// A fleet that updates as a whole must not open thousands of downloads at once.
    pub(crate) download_slots: Semaphore,
    pub(crate) tally: Tally,
}

#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) device: Arc<Itself>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

/// What a device knows of itself.
pub(crate) struct Itself {
    pub(crate) id: DeviceId,
    pub(crate) random: Random,
    pub(crate) time_scale: f64,
    pub(crate) memory: Mutex<Object>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) occasions: AtomicU64,
}

/// The hub's limit on a twin's section is 32 KiB and on a message 256 KiB.
const MAX_REPORT: usize = 64 * 1024;
const MAX_MESSAGE: usize = 256 * 1024;
const REPORT_TRIES: u32 = 5;

impl Handle {
    pub(crate) async fn message(&self, payload: &Value) -> Result<(), SimError> {
        let body = Bytes::from(payload.to_string());
        if body.len() > MAX_MESSAGE {
            return Err(SimError::TooLarge);
        }
        let (done, taken) = oneshot::channel();
        self.command(Command::Message { body, done }).await?;
        taken.await.map_err(|_| SimError::Stopped)
    }

    async fn command(&self, command: Command) -> Result<(), SimError> {
        self.commands.send(command).await.map_err(|_| SimError::Stopped)
    }

    fn count(&self, counter: impl Fn(&Tally) -> &AtomicU64, by: u64) {
        count(counter(&self.shared.tally), by);
    }
}

impl DeviceHandle for Handle {
    fn device_id(&self) -> &str {
        self.device.id.as_str()
    }

    fn now(&self) -> Timestamp {
        Timestamp(time::OffsetDateTime::now_utc())
    }

    fn time_scale(&self) -> f64 {
        self.device.time_scale
    }

    fn draw(&self, what: &str, occasion: u64) -> f64 {
        self.device.random.draw(what, occasion)
    }

    fn strike(&self, point: Point) -> Option<FaultKind> {
        let occasion = self.device.occasions.fetch_add(1, Ordering::Relaxed);
        let mut faults = self.device.faults.iter().enumerate();
        let struck = faults.find(|(place, fault)| {
            fault.kind.point() == Some(point) && self.draw(&format!("fault/{place}"), occasion) < fault.chance
        });
        struck.map(|(_, fault)| fault.kind.clone())
    }

    fn memory(&self) -> Object {
        self.device
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, changes: &Object) {
        let mut memory = self.device.memory.lock().unwrap_or_else(PoisonError::into_inner);
        merge::merge(&mut memory, changes);
    }

    fn note(&self, text: String) {
        tracing::debug!(device = %self.device.id, "{text}");
    }

    async fn send(&self, message: Value) {
        if let Err(error) = self.message(&message).await {
            self.note(format!("a message was lost: {error}"));
        }
    }

    async fn report(&self, properties: Object) -> Result<(), SimError> {
        let body = Bytes::from(Value::Object(properties).to_string());
        if body.len() > MAX_REPORT {
            return Err(SimError::TooLarge);
        }
        let mut tries = 1;
        loop {
            let (done, answer) = oneshot::channel();
            self.command(Command::Report {
                body: body.clone(),
                done,
            })
            .await?;
            match answer.await.map_err(|_| SimError::Stopped)? {
                Ok(()) => {
                    self.count(|tally| &tally.reports, 1);
                    return Ok(());
                }
                Err(429 | 500..=599) if tries < REPORT_TRIES => {
                    tokio::time::sleep(Duration::from_secs(1 << tries)).await;
                    tries += 1;
                }
                Err(status) => return Err(SimError::ReportRefused(status)),
            }
        }
    }

    async fn respond(&self, call: &MethodCall, status: i32, payload: Value) {
        let command = Command::Respond {
            request_id: call.request_id.clone(),
            status,
            body: Bytes::from(payload.to_string()),
        };
        if self.command(command).await.is_ok() {
            self.count(|tally| &tally.methods_answered, 1);
        }
    }

    async fn restart(&self, off: Duration) {
        let (up, is_up) = oneshot::channel();
        // A device that is being stopped need not restart.
        if self.command(Command::Restart { off, up }).await.is_ok() {
            let _ = is_up.await;
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn download(&self, url: Url) -> Result<Package, DownloadError> {
        let Ok(_slot) = self.shared.download_slots.acquire().await else {
            return Err(DownloadError::Unreachable);
        };
        let received = |bytes| self.count(|tally| &tally.bytes_downloaded, bytes);
        Box::pin(download::download(&self.shared.downloads, url, received)).await
    }
}
