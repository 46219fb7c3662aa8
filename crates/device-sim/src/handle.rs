//! The narrow door between a device's behaviour and its connection.

use std::{
    future::Future,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use hub_protocol::{
    DeviceId, Timestamp,
    merge::{self, Object},
};
use reqwest::Url;
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore, broadcast, futures::Notified, mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    ConsoleKind, ConsoleLine, DeviceState, Fault, FaultKind, FleetEvent, News, SimError,
    console::Console,
    download::{self, Attempt, DownloadError, Line, Package},
    fault::Point,
    faults::{Faults, Reach},
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

/// What is asked of a device's task.
pub(crate) enum Command {
    Report {
        /// The names of the properties.
        what: String,
        body: Bytes,
        done: oneshot::Sender<Result<(), u16>>,
    },
    Respond {
        call: MethodCall,
        status: i32,
        body: Bytes,
    },
    Message {
        body: Bytes,
        created: Timestamp,
        /// Told when the hub has taken it, or that it was dropped.
        done: Option<oneshot::Sender<Result<(), SimError>>>,
    },
    Restart {
        off: Duration,
        /// Told when the hub reaches the device again.
        done: oneshot::Sender<()>,
    },
    PowerCut,
}

/// What all devices of a fleet share.
pub(crate) struct Shared {
    pub(crate) downloads: reqwest::Client,
    /// A fleet that updates as a whole must not open thousands of downloads at once.
    pub(crate) download_slots: Semaphore,
    pub(crate) tally: Tally,
    pub(crate) events: broadcast::Sender<FleetEvent>,
}

/// What is known of a device inside and outside its task.
struct Known {
    device_id: DeviceId,
    time_scale: f64,
    random: Random,
    fleet: Arc<Shared>,
    /// Boxed, as a channel keeps room for many commands and a fleet has many channels.
    commands: mpsc::Sender<Box<Command>>,
    state: Mutex<DeviceState>,
    console: Mutex<Console>,
    memory: Mutex<Object>,
    faults: Mutex<Faults>,
    faults_changed: Notify,
    first_connect: OnceLock<Instant>,
}

#[derive(Clone)]
pub(crate) struct Handle(Arc<Known>);

/// The hub's limit on a twin's section is 32 KiB and on a message 256 KiB.
const MAX_REPORT: usize = 64 * 1024;
const MAX_MESSAGE: usize = 256 * 1024;
const REPORT_TRIES: u32 = 5;
const COMMANDS: usize = 4;
/// Before a download is resumed for the first time; doubles from then on.
const RESUME_AFTER: Duration = Duration::from_millis(200);

/// What a device starts with.
pub(crate) struct Birth {
    pub(crate) device_id: DeviceId,
    pub(crate) time_scale: f64,
    pub(crate) seed: u64,
    pub(crate) memory: Object,
    pub(crate) faults: Vec<Fault>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    pub(crate) fn new(birth: Birth, fleet: Arc<Shared>) -> (Self, mpsc::Receiver<Box<Command>>) {
        let (commands, received) = mpsc::channel(COMMANDS);
        let random = Random::new(birth.seed, birth.device_id.as_str());
        let known = Known {
            device_id: birth.device_id,
            time_scale: birth.time_scale,
            random,
            fleet,
            commands,
            state: Mutex::new(DeviceState::Connecting),
            console: Mutex::default(),
            memory: Mutex::new(birth.memory),
            faults: Mutex::new(Faults::new(random, birth.faults)),
            faults_changed: Notify::new(),
            first_connect: OnceLock::new(),
        };
        (Self(Arc::new(known)), received)
    }

    pub(crate) fn state(&self) -> DeviceState {
        lock(&self.0.state).clone()
    }

    pub(crate) fn set_state(&self, state: DeviceState) {
        {
            let mut current = lock(&self.0.state);
            if *current == state {
                return;
            }
            *current = state.clone();
        }
        self.tell(News::State(state));
    }

    fn tell(&self, news: News) {
        // Nobody listening is fine.
        let _ = self.0.fleet.events.send(FleetEvent {
            device_id: self.0.device_id.clone(),
            news,
        });
    }

    /// A line for the console; `detail` is asked only while somebody watches.
    pub(crate) fn log(&self, kind: ConsoleKind, text: String, detail: impl FnOnce() -> Option<String>) {
        lock(&self.0.console).note(now(), kind, text, detail);
    }

    pub(crate) fn console(&self) -> (Vec<ConsoleLine>, broadcast::Receiver<ConsoleLine>) {
        lock(&self.0.console).watch()
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        lock(&self.0.faults).list()
    }

    pub(crate) fn set_faults(&self, faults: Vec<Fault>) {
        let age = self.age(Instant::now());
        lock(&self.0.faults).replace(faults, age);
        self.0.faults_changed.notify_waiters();
    }

    /// Completes when the faults are replaced after this call.
    pub(crate) fn faults_changed(&self) -> Notified<'_> {
        self.0.faults_changed.notified()
    }

    /// The windows of offline faults count from here.
    pub(crate) fn connected(&self, now: Instant) {
        self.0.first_connect.get_or_init(|| now);
    }

    fn age(&self, now: Instant) -> Duration {
        let first = self.0.first_connect.get();
        first.map_or(Duration::ZERO, |first| now.saturating_duration_since(*first))
    }

    /// Whether its faults let it have a connection, and how long from now that holds.
    pub(crate) fn reach(&self, now: Instant) -> Reach {
        if self.0.first_connect.get().is_none() {
            return Reach {
                online: true,
                until: None,
            };
        }
        let age = self.age(now);
        let reach = lock(&self.0.faults).reach(age);
        Reach {
            until: reach.until.map(|until| until.saturating_sub(age)),
            ..reach
        }
    }

    /// Whether the fault Silent strikes this time.
    pub(crate) fn is_silent(&self) -> bool {
        let silent = |kind: &FaultKind| (*kind == FaultKind::Silent).then_some(());
        lock(&self.0.faults).strike(silent).is_some()
    }

    pub(crate) async fn power_cut(&self) -> Result<(), SimError> {
        self.command(Command::PowerCut).await
    }

    /// Returns once the hub has taken the message.
    pub(crate) async fn deliver(&self, payload: &Value) -> Result<(), SimError> {
        let body = Bytes::from(payload.to_string());
        if body.len() > MAX_MESSAGE {
            return Err(SimError::TooLarge);
        }
        let (done, taken) = oneshot::channel();
        self.command(Command::Message {
            body,
            created: self.now(),
            done: Some(done),
        })
        .await?;
        taken.await.map_err(|_| SimError::Stopped)?
    }

    async fn command(&self, command: Command) -> Result<(), SimError> {
        let sent = self.0.commands.send(Box::new(command)).await;
        sent.map_err(|_| SimError::Stopped)
    }

    pub(crate) fn count(&self, counter: impl Fn(&Tally) -> &AtomicU64, by: u64) {
        count(counter(&self.0.fleet.tally), by);
    }
}

impl DeviceHandle for Handle {
    fn device_id(&self) -> &str {
        self.0.device_id.as_str()
    }

    fn now(&self) -> Timestamp {
        let skew = lock(&self.0.faults).skew();
        Timestamp(now().0.saturating_add(time::Duration::seconds(skew)))
    }

    fn time_scale(&self) -> f64 {
        self.0.time_scale
    }

    fn draw(&self, what: &str, occasion: u64) -> f64 {
        self.0.random.draw(what, occasion)
    }

    fn strike(&self, point: Point) -> Option<FaultKind> {
        lock(&self.0.faults).strike(|kind| (kind.point() == Some(point)).then(|| kind.clone()))
    }

    fn memory(&self) -> Object {
        lock(&self.0.memory).clone()
    }

    fn remember(&self, changes: &Object) {
        let memory = {
            let mut memory = lock(&self.0.memory);
            merge::merge(&mut memory, changes);
            memory.clone()
        };
        self.tell(News::Memory(memory));
    }

    fn note(&self, text: String) {
        self.log(ConsoleKind::Did, text, || None);
    }

    async fn sleep(&self, time: Duration) {
        sleep(time).await;
    }

    async fn report(&self, properties: Object) -> Result<(), SimError> {
        let what = properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let body = Bytes::from(Value::Object(properties).to_string());
        if body.len() > MAX_REPORT {
            return Err(SimError::TooLarge);
        }
        loop {
            let changed = self.faults_changed();
            if !self.is_silent() {
                break;
            }
            self.note(format!("kept silent instead of reporting {what}"));
            changed.await;
        }
        let mut tries = 1;
        loop {
            let (done, answer) = oneshot::channel();
            self.command(Command::Report {
                what: what.clone(),
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
                    sleep(Duration::from_secs(1 << tries)).await;
                    tries += 1;
                }
                Err(status) => return Err(SimError::ReportRefused(status)),
            }
        }
    }

    async fn send(&self, message: Value) {
        if self.is_silent() {
            return self.note("kept silent instead of sending telemetry".into());
        }
        let body = Bytes::from(message.to_string());
        if body.len() > MAX_MESSAGE {
            return self.note("did not send telemetry: it is larger than the 256 KiB a hub takes".into());
        }
        // A device that is being stopped need not send.
        let _ = self
            .command(Command::Message {
                body,
                created: self.now(),
                done: None,
            })
            .await;
    }

    async fn respond(&self, call: &MethodCall, status: i32, payload: Value) {
        if self.is_silent() {
            return self.note(format!("kept silent instead of answering {}", call.name));
        }
        let command = Command::Respond {
            call: call.clone(),
            status,
            body: Bytes::from(payload.to_string()),
        };
        if self.command(command).await.is_ok() {
            self.count(|tally| &tally.methods_answered, 1);
        }
    }

    async fn restart(&self, off: Duration) {
        let (done, back) = oneshot::channel();
        // A device that is being stopped need not restart.
        if self.command(Command::Restart { off, done }).await.is_ok() {
            let _ = back.await;
        }
    }

    async fn download(&self, url: Url) -> Result<Package, DownloadError> {
        let Ok(_slot) = self.0.fleet.download_slots.acquire().await else {
            return Err(DownloadError::Unreachable);
        };
        Box::pin(download::download(&self.0.fleet.downloads, url, self)).await
    }
}

impl Line for Handle {
    fn attempt(&self) -> Attempt {
        let mut faults = lock(&self.0.faults);
        let attempt = Attempt {
            bytes_per_second: faults.strike(|kind| match kind {
                FaultKind::SlowDownload { bytes_per_second } => NonZeroU64::new(*bytes_per_second),
                _ => None,
            }),
            cut_after: faults.strike(|kind| match kind {
                FaultKind::CutDownload { after_bytes } => Some(*after_bytes),
                _ => None,
            }),
        };
        drop(faults);
        if let Some(pace) = attempt.bytes_per_second {
            self.note(format!("downloads only {pace} bytes a second"));
        }
        attempt
    }

    fn received(&self, bytes: u64) {
        self.count(|tally| &tally.bytes_downloaded, bytes);
    }

    async fn up(&self) {
        self.until(true).await;
    }

    async fn down(&self) {
        self.until(false).await;
    }

    fn pause(&self, attempt: u32) -> Duration {
        self.note("the download broke off; it will be resumed".into());
        let full = RESUME_AFTER.saturating_mul(1 << attempt.saturating_sub(1).min(10));
        full.mul_f64(0.5 + self.draw("resume", attempt.into()) / 2.0)
    }
}

impl Handle {
    /// Until the device has a network, or has none.
    async fn until(&self, online: bool) {
        loop {
            let changed = self.faults_changed();
            let now = Instant::now();
            let reach = self.reach(now);
            if reach.online == online {
                return;
            }
            match reach.until {
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(now + until) => {}
                },
                None => changed.await,
            }
        }
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp(time::OffsetDateTime::now_utc())
}
