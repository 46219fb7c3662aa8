//! One simulated device: a task that keeps a connection, serves methods and renews its token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hub_protocol::{DeviceConnectionString, sas, topic::UserName};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::{self, Trouble},
    behaviour::Behaviour,
    fleet::Network,
    handle::{Command, Handle},
    session::{Event, MethodCall, Session},
    state::{DeviceState, StateCell, count},
    wire::{self, Link, WireError},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the hub may owe an answer before the connection counts as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const PONG_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RUNNING_METHODS: usize = 8;

pub(crate) struct Device {
    pub(crate) connection: DeviceConnectionString,
    pub(crate) network: Arc<Network>,
    pub(crate) behaviour: Arc<Behaviour>,
    pub(crate) handle: Handle,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) state: Arc<StateCell>,
    pub(crate) stop: CancellationToken,
    pub(crate) random: fastrand::Rng,
    pub(crate) session: Session,
    pub(crate) waiting: Waiting,
    pub(crate) methods: JoinSet<()>,
    pub(crate) has_booted: bool,
}

/// Who waits for which answer of the hub.
#[derive(Default)]
pub(crate) struct Waiting {
    reports: Vec<(u32, oneshot::Sender<Result<(), u16>>)>,
    messages: Vec<(u16, oneshot::Sender<()>)>,
    restarts: Vec<oneshot::Sender<()>>,
}

/// Why a connection ended.
enum End {
    Stopped,
    TokenRenewal,
    Restart(Duration),
    Lost(WireError),
}

impl Device {
    /// Runs until it is stopped. Dropping the task is safe too: nothing outlives it.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut failures = 0;
        loop {
            let pause = tokio::select! {
                () = stop.cancelled() => break,
                link = self.open() => match link {
                    Ok(link) => {
                        count(&self.handle.shared.tally.connects, 1);
                        let began = Instant::now();
                        let end = Box::pin(self.converse(link)).await;
                        if began.elapsed() >= backoff::PROVEN {
                            failures = 0;
                        }
                        match end {
                            End::Stopped => break,
                            End::TokenRenewal => {
                                count(&self.handle.shared.tally.tokens_renewed, 1);
                                continue;
                            }
                            End::Restart(off) => {
                                let reason = "restarting".to_owned();
                                self.state.set(DeviceState::Waiting { reason, retry_in: off });
                                off
                            }
                            End::Lost(error) => self.failed(&error, &mut failures),
                        }
                    }
                    Err(error) => self.failed(&error, &mut failures),
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        self.methods.shutdown().await;
        self.state.set(DeviceState::Stopped);
    }

    /// Tells what went wrong and how long to wait.
    fn failed(&mut self, error: &WireError, failures: &mut u32) -> Duration {
        *failures = failures.saturating_add(1);
        let trouble = match error {
            WireError::Refused(ConnectReturnCode::ServiceUnavailable) => Trouble::Busy,
            WireError::Refused(_) => Trouble::Refused,
            _ => Trouble::Lost,
        };
        let retry_in = backoff::delay(trouble, *failures, self.random.f64());
        let reason = error.to_string();
        tracing::debug!(device = %self.connection.device_id, %reason, ?retry_in, "no connection");
        self.state.set(match trouble {
            Trouble::Refused => DeviceState::Refused { reason, retry_in },
            Trouble::Lost | Trouble::Busy => DeviceState::Waiting { reason, retry_in },
        });
        retry_in
    }

    async fn open(&mut self) -> Result<Link<TlsStream<TcpStream>>, WireError> {
        sleep_until(self.network.ramp.turn(Instant::now())).await;
        self.state.set(DeviceState::Connecting);
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

    fn hello(&self) -> Connect {
        let (host, id) = (&self.connection.host_name, self.connection.device_id.as_str());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let expiry = now + self.network.token_lifetime.as_secs().max(1);
        let token = sas::sign(&format!("{host}/devices/{id}"), &self.connection.key, expiry, None);
        let mut connect = Connect::new(id);
        connect.clean_session = false;
        connect.keep_alive = u16::try_from(self.network.keep_alive.as_secs()).unwrap_or(u16::MAX);
        connect.set_login(UserName::format(host, id, "twindeck-device-sim"), token.expose());
        connect
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, mut link: Link<S>) -> End {
        let began = Instant::now();
        let life = self.network.token_lifetime;
        let mut renew_at = began + life.mul_f64(0.85);
        // A method that is being answered holds the renewal up, but not to the token's end.
        let renew_latest = began + life.mul_f64(0.95);
        let mut ping_at = began + self.network.keep_alive;
        let mut pinged = false;
        let mut answer_due = None;
        let hello = self.session.connected();
        if let Err(error) = link.send(&hello).await {
            return End::Lost(error);
        }
        loop {
            let due = self
                .session
                .awaits_answer()
                .then(|| *answer_due.get_or_insert_with(|| Instant::now() + ANSWER_TIMEOUT));
            let wake = [Some(renew_at), Some(ping_at), due].into_iter().flatten().min();
            tokio::select! {
                () = self.stop.cancelled() => {
                    link.close().await;
                    return End::Stopped;
                }
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
                    let (reply, event) = self.session.received(packet);
                    let reply = match event.map(|event| self.happened(event)).unwrap_or_default() {
                        Some(refusal) => reply.into_iter().chain([refusal]).collect(),
                        None => Vec::from_iter(reply),
                    };
                    if !reply.is_empty() && let Err(error) = link.send(&reply).await {
                        return End::Lost(error);
                    }
                }
                command = self.commands.recv(), if self.session.has_room() => {
                    let packet = match command.map(|command| self.obey(command)) {
                        Some(Ok(packet)) => packet,
                        Some(Err(off)) => return End::Restart(off),
                        None => return End::Stopped,
                    };
                    match link.send(&[packet]).await {
                        Ok(()) => {}
                        // It can never be sent: waiting for it would block the queue.
                        Err(WireError::TooLarge) => tracing::warn!("a packet was too large to send"),
                        Err(error) => return End::Lost(error),
                    }
                }
                () = sleep_until(wake.unwrap_or(renew_at)) => {
                    let now = Instant::now();
                    if due.is_some_and(|due| now >= due) {
                        return End::Lost(WireError::Stuck);
                    }
                    if now >= renew_at {
                        if self.methods.is_empty() || now >= renew_latest {
                            link.close().await;
                            return End::TokenRenewal;
                        }
                        renew_at = renew_latest.min(now + Duration::from_secs(1));
                    }
                    if now >= ping_at {
                        if pinged {
                            return End::Lost(WireError::Stuck);
                        }
                        if let Err(error) = link.send(&[Packet::PingReq]).await {
                            return End::Lost(error);
                        }
                        pinged = true;
                        ping_at = now + PONG_TIMEOUT.min(self.network.keep_alive / 2);
                    }
                }
                Some(_) = self.methods.join_next(), if !self.methods.is_empty() => {}
            }
        }
    }

    /// A packet to send, or the time to be off before connecting again.
    fn obey(&mut self, command: Command) -> Result<Packet, Duration> {
        match command {
            Command::Report { body, done } => {
                let (ticket, packet) = self.session.report(body);
                self.waiting.reports.push((ticket, done));
                Ok(packet)
            }
            Command::Message { body, done } => {
                let (ticket, packet) = self.session.message(body);
                self.waiting.messages.push((ticket, done));
                Ok(packet)
            }
            Command::Respond {
                request_id,
                status,
                body,
            } => Ok(Session::respond(&request_id, status, body)),
            Command::Restart { off, up } => {
                self.waiting.restarts.push(up);
                Err(off)
            }
        }
    }

    /// Acts on an event; the packet is an immediate answer.
    fn happened(&mut self, event: Event) -> Option<Packet> {
        match event {
            Event::Subscribed => {
                self.state.set(DeviceState::Connected);
                for up in self.waiting.restarts.drain(..) {
                    let _ = up.send(());
                }
            }
            Event::NotSubscribed => {
                tracing::warn!(device = %self.connection.device_id, "the hub refused a subscription");
            }
            Event::Twin { desired, reported } => {
                let booted = !std::mem::replace(&mut self.has_booted, true);
                let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
                self.methods.spawn(Box::pin(async move {
                    behaviour.connected(&handle, desired, reported, booted).await;
                }));
            }
            Event::Desired(patch) => {
                let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
                self.methods
                    .spawn(Box::pin(async move { behaviour.desired_changed(&handle, patch).await }));
            }
            Event::Method(call) => return self.serve(call),
            // Whoever asked may have been dropped since.
            Event::ReportAnswered { ticket, outcome } => {
                let place = self
                    .waiting
                    .reports
                    .iter()
                    .position(|(waiting, _)| *waiting == ticket)?;
                let _ = self.waiting.reports.swap_remove(place).1.send(outcome);
            }
            Event::MessageTaken { ticket } => {
                let place = self
                    .waiting
                    .messages
                    .iter()
                    .position(|(waiting, _)| *waiting == ticket)?;
                let _ = self.waiting.messages.swap_remove(place).1.send(());
                count(&self.handle.shared.tally.messages_sent, 1);
            }
        }
        None
    }

    fn serve(&mut self, call: MethodCall) -> Option<Packet> {
        if self.methods.len() >= MAX_RUNNING_METHODS {
            let body = json!({ "message": "the device is busy with other methods" }).to_string();
            return Some(Session::respond(&call.request_id, 429, body.into()));
        }
        let (behaviour, handle) = (Arc::clone(&self.behaviour), self.handle.clone());
        self.methods
            .spawn(Box::pin(async move { behaviour.serve(&handle, call).await }));
        None
    }
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
