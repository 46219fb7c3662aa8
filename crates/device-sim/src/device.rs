//! One simulated device: a task that keeps a connection, runs routines, sends telemetry and renews
//! its token.

use std::{
    future::Future,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hub_protocol::{DeviceConnectionString, merge::Object, sas, topic::UserName};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{
    ConsoleKind, SimError,
    backoff::{self, Trouble},
    behaviour::Behaviour,
    fleet::Network,
    handle::{Command, DeviceHandle, Handle},
    session::{Event, MethodCall, Session},
    state::DeviceState,
    wire::{self, Link, WireError},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the hub may owe an answer before the connection counts as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const PONG_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ROUTINES: usize = 8;
/// Before the twin is asked for again, when nothing could be done with it.
const TWIN_PAUSE: Duration = Duration::from_secs(1);
/// Nothing will happen by itself.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) struct Device {
    connection: DeviceConnectionString,
    network: Arc<Network>,
    behaviour: Arc<Behaviour>,
    handle: Handle,
    commands: mpsc::Receiver<Box<Command>>,
    stop: CancellationToken,
    session: Session,
    waiting: Waiting,
    routines: JoinSet<()>,
    /// One for each telemetry of the model, from the first connect on.
    timers: Box<[Timer]>,
    has_booted: bool,
    /// When to ask for the twin again.
    twin_at: Option<Instant>,
    /// In a row, and since the start.
    failures: u32,
    all_failures: u64,
}

/// Who waits for which answer of the hub.
#[derive(Default)]
struct Waiting {
    reports: Vec<(u32, oneshot::Sender<Result<(), u16>>)>,
    messages: Vec<(u32, oneshot::Sender<Result<(), SimError>>)>,
    restarts: Vec<oneshot::Sender<()>>,
}

struct Timer {
    next: Instant,
    tick: u64,
}

/// Why a connection ended.
enum End {
    Stopped,
    TokenRenewal,
    Restart(Duration),
    PowerCut,
    KeptOffline,
    Lost(WireError),
}

impl Device {
    pub(crate) fn new(
        connection: DeviceConnectionString,
        network: Arc<Network>,
        behaviour: Behaviour,
        (handle, commands): (Handle, mpsc::Receiver<Box<Command>>),
        stop: CancellationToken,
    ) -> Self {
        let session = Session::new(connection.device_id.as_str(), behaviour.needs_twin());
        Self {
            connection,
            network,
            behaviour: Arc::new(behaviour),
            handle,
            commands,
            stop,
            session,
            waiting: Waiting::default(),
            routines: JoinSet::new(),
            timers: Box::default(),
            has_booted: false,
            twin_at: None,
            failures: 0,
            all_failures: 0,
        }
    }

    /// Runs until it is stopped. Dropping the task is safe too: nothing outlives it.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut pause = Duration::ZERO;
        while self.rest(pause).await.is_continue() {
            let opened = tokio::select! {
                () = stop.cancelled() => break,
                opened = self.open() => opened,
            };
            let end = match opened {
                Ok(link) => {
                    let began = Instant::now();
                    let end = Box::pin(self.converse(link)).await;
                    if began.elapsed() >= backoff::PROVEN {
                        self.failures = 0;
                    }
                    end
                }
                Err(error) => End::Lost(error),
            };
            self.session.disconnected();
            match self.ended(end) {
                ControlFlow::Continue(next) => pause = next,
                ControlFlow::Break(()) => break,
            }
        }
        self.routines.shutdown().await;
        self.handle.set_state(DeviceState::Stopped);
    }

    /// Lives without a connection, for `pause` at least and until it may connect.
    async fn rest(&mut self, pause: Duration) -> ControlFlow<()> {
        let (handle, stop) = (self.handle.clone(), self.stop.clone());
        let mut until = Instant::now() + pause;
        let mut has_turn = false;
        let mut is_kept = false;
        loop {
            let changed = handle.faults_changed();
            let now = Instant::now();
            if now >= until {
                let reach = handle.reach(now);
                if !reach.online {
                    let retry_in = reach.until.unwrap_or(NEVER);
                    let reason = "kept offline by a fault".to_owned();
                    handle.set_state(DeviceState::Waiting { reason, retry_in });
                    (until, is_kept, has_turn) = (now + retry_in, true, false);
                } else if has_turn {
                    return ControlFlow::Continue(());
                } else {
                    (until, is_kept, has_turn) = (self.network.ramp.turn(now), false, true);
                    continue;
                }
            }
            let wake = self.next_tick().map_or(until, |tick| tick.min(until));
            tokio::select! {
                () = stop.cancelled() => return ControlFlow::Break(()),
                () = changed => if is_kept { until = Instant::now() },
                command = self.commands.recv(), if self.session.has_room() => {
                    match command.map(|command| self.obey(*command, false)) {
                        Some(Ok(_)) => {}
                        Some(Err(end)) => match self.ended(end) {
                            ControlFlow::Continue(off) => until = until.max(Instant::now() + off),
                            ControlFlow::Break(()) => return ControlFlow::Break(()),
                        },
                        None => return ControlFlow::Break(()),
                    }
                }
                () = sleep_until(wake) => self.measure(Instant::now()),
                Some(_) = self.routines.join_next(), if !self.routines.is_empty() => {}
            }
        }
    }

    /// Counts and tells why there is no connection, and says how long to wait.
    fn ended(&mut self, end: End) -> ControlFlow<(), Duration> {
        let handle = &self.handle;
        ControlFlow::Continue(match end {
            End::Stopped => return ControlFlow::Break(()),
            End::TokenRenewal => {
                handle.count(|tally| &tally.tokens_renewed, 1);
                handle.note("renews its token".into());
                Duration::ZERO
            }
            End::Restart(off) => {
                handle.count(|tally| &tally.restarts, 1);
                handle.note("restarts".into());
                let reason = "restarting".to_owned();
                handle.set_state(DeviceState::Waiting { reason, retry_in: off });
                off
            }
            End::PowerCut => {
                handle.count(|tally| &tally.restarts, 1);
                handle.note("lost its power, and starts again".into());
                self.routines.abort_all();
                self.behaviour = Arc::new(self.behaviour.reborn());
                self.session.forget();
                self.waiting.reports.clear();
                self.has_booted = false;
                self.timers = Box::default();
                Duration::ZERO
            }
            End::KeptOffline => {
                handle.count(|tally| &tally.kept_offline, 1);
                handle.note("is kept offline by a fault".into());
                Duration::ZERO
            }
            End::Lost(error) => self.failed(&error),
        })
    }

    /// Tells what went wrong and how long to wait.
    fn failed(&mut self, error: &WireError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.all_failures += 1;
        let trouble = match error {
            WireError::Refused(ConnectReturnCode::ServiceUnavailable) => Trouble::Busy,
            WireError::Refused(_) => Trouble::Refused,
            _ => Trouble::Lost,
        };
        let handle = &self.handle;
        match trouble {
            Trouble::Refused => handle.count(|tally| &tally.refusals, 1),
            Trouble::Lost | Trouble::Busy => handle.count(|tally| &tally.connections_lost, 1),
        }
        let random = handle.draw("backoff", self.all_failures);
        let retry_in = backoff::delay(trouble, self.failures, random);
        let reason = error.to_string();
        tracing::debug!(device = %self.connection.device_id, %reason, ?retry_in, "no connection");
        handle.note(format!("has no connection: {reason}; tries again in {retry_in:.1?}"));
        handle.set_state(match trouble {
            Trouble::Refused => DeviceState::Refused { reason, retry_in },
            Trouble::Lost | Trouble::Busy => DeviceState::Waiting { reason, retry_in },
        });
        retry_in
    }

    async fn open(&mut self) -> Result<Link<TlsStream<TcpStream>>, WireError> {
        self.handle.set_state(DeviceState::Connecting);
        let name = without_port(
            self.connection
                .gateway_host_name
                .as_ref()
                .unwrap_or(&self.connection.host_name),
        );
        let network = Arc::clone(&self.network);
        let address = network.address.as_deref().unwrap_or(name);
        let open = async {
            let mut link = wire::dial(address, network.mqtt_port, name, &network.tls).await?;
            link.connect(self.hello()).await?;
            Ok(link)
        };
        match timeout(CONNECT_TIMEOUT, Box::pin(open)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(WireError::Stuck),
        }
    }

    /// The token ends by the device's own clock, which may be wrong.
    fn hello(&self) -> Connect {
        let (host, id) = (&self.connection.host_name, self.connection.device_id.as_str());
        let ends = self.handle.now().after(self.network.token_lifetime).unix_seconds();
        let expiry = u64::try_from(ends).unwrap_or_default();
        let token = sas::sign(&format!("{host}/devices/{id}"), &self.connection.key, expiry, None);
        let mut connect = Connect::new(id);
        connect.clean_session = false;
        connect.keep_alive = u16::try_from(self.network.keep_alive.as_secs()).unwrap_or(u16::MAX);
        let mut user_name = UserName::format(host, id, "twindeck-device-sim");
        if let Some(model_id) = self.behaviour.model().model_id() {
            user_name = UserName::with_model(&user_name, model_id);
        }
        connect.set_login(user_name, token.expose());
        connect
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, mut link: Link<S>) -> End {
        let (handle, stop) = (self.handle.clone(), self.stop.clone());
        let began = Instant::now();
        handle.count(|tally| &tally.connects, 1);
        handle.connected(began);
        let life = self.network.token_lifetime;
        let mut renew_at = began + life.mul_f64(0.85);
        // A routine that runs holds the renewal up, but not to the token's end.
        let renew_latest = began + life.mul_f64(0.95);
        let mut ping_at = began + self.network.keep_alive;
        let mut pinged = false;
        let mut answer_due = None;
        match self.session.stored() {
            0 => {}
            stored => handle.note(format!("sends what it stored: {stored} messages")),
        }
        let mut packets = self.session.connected();
        loop {
            let sent = if packets.is_empty() {
                Ok(())
            } else {
                link.send(&packets).await
            };
            match sent {
                Ok(()) => {}
                // It can never be sent: waiting for it would block the queue.
                Err(WireError::TooLarge) => handle.note("could not send what is too large for a hub".into()),
                Err(error) => return End::Lost(error),
            }
            let changed = handle.faults_changed();
            let now = Instant::now();
            let reach = handle.reach(now);
            if !reach.online {
                return End::KeptOffline;
            }
            let due = self
                .session
                .awaits_answer()
                .then(|| *answer_due.get_or_insert_with(|| now + ANSWER_TIMEOUT));
            let window = reach.until.map(|until| now + until);
            let times = [Some(ping_at), due, window, self.twin_at, self.next_tick()];
            let wake = times.into_iter().flatten().fold(renew_at, Instant::min);
            packets = tokio::select! {
                () = stop.cancelled() => {
                    link.close().await;
                    return End::Stopped;
                }
                () = changed => Vec::new(),
                packet = link.receive() => {
                    let packet = match packet {
                        Ok(packet) => packet,
                        Err(error) => return End::Lost(error),
                    };
                    if pinged {
                        pinged = false;
                        ping_at = Instant::now() + self.network.keep_alive;
                    }
                    answer_due = None;
                    let received = self.session.received(packet);
                    let refusal = received.event.and_then(|event| self.happened(event));
                    received.replies.into_iter().chain(refusal).collect()
                }
                command = self.commands.recv(), if self.session.has_room() => {
                    match command.map(|command| self.obey(*command, true)) {
                        Some(Ok(packets)) => packets,
                        Some(Err(end)) => return end,
                        None => return End::Stopped,
                    }
                }
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if due.is_some_and(|due| now >= due) {
                        return End::Lost(WireError::Stuck);
                    }
                    if now >= renew_at {
                        if self.routines.is_empty() || now >= renew_latest {
                            link.close().await;
                            return End::TokenRenewal;
                        }
                        renew_at = renew_latest.min(now + Duration::from_secs(1));
                    }
                    self.measure(now);
                    let mut packets = self.session.messages();
                    if self.twin_at.is_some_and(|at| now >= at) {
                        self.twin_at = None;
                        packets.push(self.session.ask_twin());
                    }
                    if now >= ping_at {
                        if pinged {
                            return End::Lost(WireError::Stuck);
                        }
                        packets.push(Packet::PingReq);
                        pinged = true;
                        ping_at = now + PONG_TIMEOUT.min(self.network.keep_alive / 2);
                    }
                    packets
                }
                Some(_) = self.routines.join_next(), if !self.routines.is_empty() => Vec::new(),
            };
        }
    }

    /// The packets to send, if there is a connection; or the end of it.
    fn obey(&mut self, command: Command, is_connected: bool) -> Result<Vec<Packet>, End> {
        let sent = |text, body: &bytes::Bytes| {
            self.handle.log(ConsoleKind::Sent, text, || {
                Some(String::from_utf8_lossy(body).into_owned())
            });
        };
        match command {
            Command::Report { what, body, done } => {
                sent(format!("reported {what}"), &body);
                let (ticket, packet) = self.session.report(body);
                self.waiting.reports.push((ticket, done));
                Ok(vec![packet])
            }
            Command::Message { body, created, done } => {
                sent("telemetry".into(), &body);
                let ticket = self.store(body, created);
                self.waiting.messages.extend(done.map(|done| (ticket, done)));
                Ok(self.session.messages())
            }
            Command::Respond { call, .. } if !is_connected => {
                let text = format!("could not answer {}: there is no connection", call.name);
                self.handle.note(text);
                Ok(Vec::new())
            }
            Command::Respond { call, status, body } => {
                sent(format!("answered {} with {status}", call.name), &body);
                Ok(vec![Session::respond(&call.request_id, status, body)])
            }
            Command::Restart { off, done } => {
                self.waiting.restarts.push(done);
                Err(End::Restart(off))
            }
            Command::PowerCut => Err(End::PowerCut),
        }
    }

    /// Acts on an event; the packet is an immediate answer.
    fn happened(&mut self, event: Event) -> Option<Packet> {
        match event {
            Event::Subscribed => self.subscribed(),
            Event::NotSubscribed => {
                tracing::warn!(device = %self.connection.device_id, "the hub refused a subscription");
                self.handle.note("was refused a subscription by the hub".into());
            }
            Event::Twin { desired, reported } => {
                let detail = || Some(json!({ "desired": desired, "reported": reported }).to_string());
                self.handle.log(ConsoleKind::Received, "its twin".into(), detail);
                let is_boot = !self.has_booted;
                if self.connected(desired, reported, is_boot) {
                    self.has_booted = true;
                } else {
                    self.twin_at = Some(Instant::now() + TWIN_PAUSE);
                }
            }
            Event::NoTwin(status) => {
                self.handle
                    .note(format!("was given no twin: the hub answered {status}"));
                let wait = backoff::delay(Trouble::Busy, 1, self.handle.draw("twin", 0));
                self.twin_at = Some(Instant::now() + wait);
            }
            Event::Desired(patch) => self.desired(patch),
            Event::Method(call) => return self.serve(call),
            // Whoever asked may have been dropped since.
            Event::ReportAnswered { ticket, outcome } => {
                if let Some(done) = take(&mut self.waiting.reports, ticket) {
                    let _ = done.send(outcome);
                }
            }
            Event::MessageTaken { ticket } => {
                self.handle.count(|tally| &tally.messages_sent, 1);
                if let Some(done) = take(&mut self.waiting.messages, ticket) {
                    let _ = done.send(Ok(()));
                }
            }
        }
        None
    }

    fn subscribed(&mut self) {
        self.handle.note("is connected".into());
        self.handle.set_state(DeviceState::Connected);
        for restarted in self.waiting.restarts.drain(..) {
            // The routine may have been dropped since.
            let _ = restarted.send(());
        }
        if !self.session.wants_twin() && !self.has_booted {
            self.has_booted = self.connected(Object::new(), Object::new(), true);
        }
        if self.timers.is_empty() {
            let (handle, now) = (&self.handle, Instant::now());
            let telemetry = self.behaviour.model().telemetry().iter();
            let timers = telemetry.map(|telemetry| Timer {
                next: now
                    + telemetry
                        .every()
                        .mul_f64(handle.draw(&format!("telemetry/{}", telemetry.name()), 0)),
                tick: 0,
            });
            self.timers = timers.collect();
        }
    }

    fn connected(&mut self, desired: Object, reported: Object, is_boot: bool) -> bool {
        let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
        self.start(async move { behaviour.connected(&handle, desired, reported, is_boot).await })
    }

    fn desired(&mut self, patch: Object) {
        let names = patch.keys().filter(|name| !name.starts_with('$'));
        let names = names.map(String::as_str).collect::<Vec<_>>().join(", ");
        let detail = || Some(Value::Object(patch.clone()).to_string());
        self.handle
            .log(ConsoleKind::Received, format!("desired {names}"), detail);
        let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
        if !self.start(async move { behaviour.desired_changed(&handle, patch).await }) {
            // Too much is going on; the whole twin will tell of this change as well.
            self.twin_at = Some(Instant::now() + TWIN_PAUSE);
        }
    }

    fn serve(&mut self, call: MethodCall) -> Option<Packet> {
        let detail = || Some(call.payload.to_string());
        self.handle
            .log(ConsoleKind::Received, format!("method {}", call.name), detail);
        let request_id = call.request_id.clone();
        let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
        if self.start(async move { behaviour.serve(&handle, call).await }) {
            return None;
        }
        let body = json!({ "message": "the device is busy with other methods" }).to_string();
        Some(Session::respond(&request_id, 429, body.into()))
    }

    /// Runs a routine, unless too many run already.
    fn start(&mut self, routine: impl Future<Output = ()> + Send + 'static) -> bool {
        let has_room = self.routines.len() < MAX_ROUTINES;
        if has_room {
            self.routines.spawn(Box::pin(routine));
        }
        has_room
    }

    fn next_tick(&self) -> Option<Instant> {
        self.timers.iter().map(|timer| timer.next).min()
    }

    /// Stores the telemetry that is due.
    fn measure(&mut self, now: Instant) {
        for index in 0..self.timers.len() {
            let model = self.behaviour.model();
            let (timer, telemetry) = (&mut self.timers[index], &model.telemetry()[index]);
            if timer.next > now {
                continue;
            }
            let tick = timer.tick;
            timer.tick += 1;
            // Late ones are not made up for in a burst.
            timer.next = (timer.next + telemetry.every()).max(now);
            if self.handle.is_silent() {
                continue;
            }
            let message = telemetry
                .message(|what, occasion| self.handle.draw(what, occasion), tick)
                .to_string();
            let text = format!("telemetry {}", telemetry.name());
            self.handle.log(ConsoleKind::Sent, text, || Some(message.clone()));
            let created = self.handle.now();
            self.store(message.into(), created);
        }
    }

    fn store(&mut self, body: bytes::Bytes, created: hub_protocol::Timestamp) -> u32 {
        let (ticket, dropped) = self.session.store(body, created);
        self.handle.count(|tally| &tally.messages_dropped, dropped.len() as u64);
        for ticket in dropped {
            if let Some(done) = take(&mut self.waiting.messages, ticket) {
                let _ = done.send(Err(SimError::Dropped));
            }
        }
        ticket
    }
}

fn take<T>(waiting: &mut Vec<(u32, T)>, ticket: u32) -> Option<T> {
    let place = waiting.iter().position(|(waiting, _)| *waiting == ticket)?;
    Some(waiting.swap_remove(place).1)
}

fn without_port(host_name: &str) -> &str {
    host_name.split(':').next().unwrap_or_default()
}

/// Spreads connects evenly over time, first and repeated ones alike.
pub(crate) struct Ramp {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Ramp {
    pub(crate) fn new(connects_per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / connects_per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// When the one who asks may connect.
    fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.interval);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connects_are_spread_over_time() {
        let ramp = Ramp::new(10);
        let now = Instant::now();
        let turns = [ramp.turn(now), ramp.turn(now), ramp.turn(now)].map(|turn| (turn - now).as_millis());
        assert_eq!(turns, [0, 100, 200]);
        let later = now + Duration::from_secs(60);
        assert_eq!(ramp.turn(later), later);
    }

    #[test]
    fn the_name_for_tls_has_no_port() {
        assert_eq!(without_port("localhost:8443"), "localhost");
        assert_eq!(without_port("my-hub.azure-devices.net"), "my-hub.azure-devices.net");
    }
}
