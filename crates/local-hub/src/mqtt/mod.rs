//! MQTT 3.1.1 over TLS: the device side.
//!
//! One task a connection. [`packet`] says what a packet means; this file reads, acts on the
//! hub and writes, strictly in order, so that a device sees its answers in the order it asked.

#[cfg(any(test, fuzzing))]
pub(crate) mod invariants;
mod packet;

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use hub_protocol::{ClientId, ErrorCode, HubError, merge::Object, message::Properties, method::MethodResponse, topic};
use packet::{Command, Violation, interpret};
use rumqttc::{
    QoS,
    mqttbytes::{
        Error as CodecError, Protocol,
        v4::{
            ConnAck, Connect, ConnectReturnCode, Packet, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode,
            UnsubAck,
        },
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::claimed_client,
    hub::{Hub, now},
    log::{AuthMethod, Sender},
    rest::tracking_id,
    sessions::{OUTBOX, Outgoing, Session},
};

/// Body of a message, properties included (device.md 2.5: 256 KiB).
const MAX_PAYLOAD: usize = 256 * 1024;
/// A packet: the payload, the longest topic, and the fixed header.
const MAX_PACKET: usize = MAX_PAYLOAD + 65_535 + 16;
/// A connection that says nothing is closed after this (device.md 2.4).
const CONNECT_WAIT: Duration = Duration::from_secs(60);
/// Silence allowed at most, whatever keep-alive asks for (29.45 minutes, device.md 2.3).
const MAX_SILENCE: Duration = Duration::from_secs(1767);

/// Why a connection ended. MQTT 3.1.1 servers say nothing: they close.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the device disconnected")]
    Disconnected,
    #[error("the device closed the socket")]
    Closed,
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
    #[error("the device sent no packet for {0:?}")]
    Silent(Duration),
    #[error("the connection's token expired")]
    TokenExpired,
    #[error("closed by the hub")]
    Kicked,
    #[error("a packet cannot be read: {0}")]
    Malformed(String),
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error("refused: {0}")]
    Refused(HubError),
    #[error(transparent)]
    Hub(HubError),
}

struct Wire {
    stream: TlsStream<TcpStream>,
    incoming: BytesMut,
    outgoing: BytesMut,
}

impl Wire {
    /// The next whole packet. Cancel-safe: bytes read stay in the buffer.
    async fn read(&mut self) -> Result<Packet, End> {
        loop {
            match Packet::read(&mut self.incoming, MAX_PACKET) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => return Err(End::Malformed(error.to_string())),
            }
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(End::Closed);
            }
        }
    }

    fn queue(&mut self, packet: &Packet) -> Result<(), End> {
        packet
            .write(&mut self.outgoing, usize::MAX)
            .map_err(|error| End::Malformed(error.to_string()))?;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.stream.write_all_buf(&mut self.outgoing).await?;
        self.stream.flush().await?;
        Ok(())
    }

    fn has_whole_packet(&self) -> bool {
        // Cheap: the codec looks at the fixed header only.
        rumqttc::mqttbytes::check(self.incoming.iter(), MAX_PACKET).is_ok()
    }
}

pub(crate) async fn serve(hub: Hub, stream: TlsStream<TcpStream>, stop: CancellationToken) {
    let mut wire = Wire {
        stream,
        incoming: BytesMut::with_capacity(1024),
        outgoing: BytesMut::new(),
    };
    let end = tokio::select! {
        () = stop.cancelled() => Err(End::Kicked),
        opened = open(&hub, &mut wire) => opened,
    };
    match end {
        Ok(connection) => connection.run(wire, stop).await,
        Err(end) => {
            tracing::debug!("a device connection was not opened: {end}");
            let _ = wire.stream.shutdown().await;
        }
    }
}

/// Everything up to the CONNACK, which is the connection's own first word.
async fn open(hub: &Hub, wire: &mut Wire) -> Result<Connection, End> {
    let first = timeout(CONNECT_WAIT, wire.read()).await;
    let packet = match first.unwrap_or(Err(End::Silent(CONNECT_WAIT))) {
        Err(End::Malformed(text)) if text.contains("rotocol") => {
            return refuse(wire, ConnectReturnCode::RefusedProtocolVersion, End::Malformed(text)).await;
        }
        other => other?,
    };
    let Packet::Connect(connect) = packet else {
        return Err(Violation::NotConnect.into());
    };
    if connect.protocol != Protocol::V4 {
        let end = End::Malformed("protocol level 5".into());
        return refuse(wire, ConnectReturnCode::RefusedProtocolVersion, end).await;
    }
    match admit(hub, &connect).await {
        Ok(connection) => Ok(connection),
        // 5 for what somebody must mend, 3 for "try later": clients stop or retry by it.
        Err(error) => {
            let later = matches!(error.code, ErrorCode::ServiceUnavailable | ErrorCode::ServerError);
            let code = if later {
                ConnectReturnCode::ServiceUnavailable
            } else {
                ConnectReturnCode::NotAuthorized
            };
            refuse(wire, code, End::Refused(error)).await
        }
    }
}

async fn refuse(wire: &mut Wire, code: ConnectReturnCode, end: End) -> Result<Connection, End> {
    wire.queue(&Packet::ConnAck(ConnAck::new(code, false)))?;
    wire.flush().await?;
    Err(end)
}

async fn admit(hub: &Hub, connect: &Connect) -> Result<Connection, HubError> {
    let missing = || HubError::new(ErrorCode::IotHubUnauthorizedAccess, "The device gave no credentials.");
    let login = connect.login.as_ref().ok_or_else(missing)?;
    let (id, model_id) = claimed_client(&connect.client_id, &login.username, hub.names())?;
    let credentials = hub.credentials(&id).await?;
    let expiry = hub.gate().device(&credentials, &login.password)?;
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let session = Session::new(outbox, CancellationToken::new());
    // In place before its connect is stored: the end of the connection before it, should it be
    // stored later, then finds the device connected and leaves it so.
    hub.sessions().insert(id.clone(), session.clone());
    let stored = match hub.connect(&id, connect.clean_session, model_id.clone()).await {
        Ok(stored) => stored,
        Err(error) => {
            hub.sessions().remove(&id, &session);
            return Err(error);
        }
    };
    session.subscribe(&stored.filters);
    hub.sessions().subscriptions_changed();
    let now = u64::try_from(now().unix_seconds()).unwrap_or_default();
    // A token that is already past its expiry, but within the skew, is good for the rest of that.
    let closes = if expiry > now {
        expiry
    } else {
        expiry + hub.token_skew().as_secs()
    };
    let lives = Duration::from_secs(closes.saturating_sub(now).min(10 * 365 * 86_400));
    let keep_alive = Duration::from_millis(u64::from(connect.keep_alive) * 1500);
    Ok(Connection {
        hub: hub.clone(),
        sender: Arc::new(Sender {
            generation_id: credentials.generation_id,
            auth: Some(if id.is_module() {
                AuthMethod::ModuleSas
            } else {
                AuthMethod::DeviceSas
            }),
            model_id: model_id.unwrap_or_default(),
            id: id.clone(),
        }),
        id,
        session,
        inbox,
        keeps_session: !connect.clean_session,
        token_expires: Instant::now() + lives,
        silence: if keep_alive.is_zero() {
            MAX_SILENCE
        } else {
            keep_alive.min(MAX_SILENCE)
        },
        session_present: stored.present,
    })
}

struct Connection {
    hub: Hub,
    id: ClientId,
    sender: Arc<Sender>,
    session: Arc<Session>,
    inbox: mpsc::Receiver<Outgoing>,
    keeps_session: bool,
    token_expires: Instant,
    silence: Duration,
    session_present: bool,
}

impl Connection {
    async fn run(mut self, mut wire: Wire, stop: CancellationToken) {
        let end = match self.welcome(&mut wire).await {
            Ok(()) => self.exchange(&mut wire, &stop).await,
            Err(end) => end,
        };
        tracing::debug!(device = %self.id, "connection ended: {end}");
        let _ = timeout(Duration::from_secs(1), wire.stream.shutdown()).await;
        // A newer connection of the same device has already taken this one's place.
        if self.hub.sessions().remove(&self.id, &self.session) {
            self.hub.disconnect(&self.id).await;
        }
    }

    async fn welcome(&self, wire: &mut Wire) -> Result<(), End> {
        let welcome = ConnAck::new(ConnectReturnCode::Success, self.session_present);
        wire.queue(&Packet::ConnAck(welcome))?;
        wire.flush().await
    }

    async fn exchange(&mut self, wire: &mut Wire, stop: &CancellationToken) -> End {
        let mut heard = Instant::now();
        loop {
            let close = self.session.close.clone();
            let step: Result<(), End> = tokio::select! {
                biased;
                () = stop.cancelled() => Err(End::Kicked),
                () = close.cancelled() => Err(End::Kicked),
                packet = wire.read() => {
                    heard = Instant::now();
                    match packet {
                        Ok(packet) => self.handle(wire, packet).await,
                        Err(end) => Err(end),
                    }
                }
                Some(message) = self.inbox.recv() => publish(wire, message),
                () = tokio::time::sleep_until(heard + self.silence) => Err(End::Silent(self.silence)),
                () = tokio::time::sleep_until(self.token_expires) => Err(End::TokenExpired),
            };
            // Answers to packets that arrived together leave together.
            let flushed = match step {
                Ok(()) if wire.has_whole_packet() && wire.outgoing.len() < MAX_PACKET => Ok(()),
                Ok(()) => {
                    tokio::select! {
                        () = close.cancelled() => Err(End::Kicked),
                        flushed = timeout(self.silence, wire.flush()) => flushed.unwrap_or(Err(End::Silent(self.silence))),
                    }
                }
                Err(end) => Err(end),
            };
            if let Err(end) = flushed {
                return end;
            }
        }
    }

    fn handle<'a>(&'a mut self, wire: &'a mut Wire, packet: Packet) -> impl Future<Output = Result<(), End>> + 'a {
        // Boxed: a rare, large future would otherwise sit in every idle connection.
        Box::pin(async move {
            match interpret(&packet, self.id.device_str(), MAX_PAYLOAD)? {
                Command::Telemetry { bag, body, acknowledge } => {
                    let properties = Properties::from_bag(bag);
                    self.hub.telemetry(&self.sender, properties, body.clone());
                    self.acknowledge(wire, acknowledge)
                }
                Command::MethodResponse {
                    request_id,
                    status,
                    body,
                    acknowledge,
                } => {
                    let payload = if body.is_empty() {
                        Ok(Value::Null)
                    } else {
                        serde_json::from_slice(body)
                    };
                    match payload {
                        Ok(payload) => {
                            let response = MethodResponse { status, payload };
                            self.hub.sessions().answer(&self.id, request_id, response);
                        }
                        Err(error) => {
                            tracing::info!(device = %self.id, "a method answer is not JSON: {error}");
                        }
                    }
                    self.acknowledge(wire, acknowledge)
                }
                Command::TwinGet {
                    request_id,
                    acknowledge,
                } => {
                    self.acknowledge(wire, acknowledge)?;
                    let twin = self.hub.twin(&self.id).await;
                    let answer = twin.map(|twin| packet::twin_for_device(&twin));
                    self.answer(wire, request_id, 200, None, answer)
                }
                Command::ReportedPatch {
                    request_id,
                    body,
                    acknowledge,
                } => {
                    let result = match serde_json::from_slice::<Object>(body) {
                        Ok(patch) => self.hub.report(&self.id, patch).await,
                        Err(error) => {
                            let text = format!("The patch is not a JSON object: {error}");
                            Err(HubError::new(ErrorCode::ArgumentInvalid, text))
                        }
                    };
                    self.acknowledge(wire, acknowledge)?;
                    let Some(request_id) = request_id else { return Ok(()) };
                    let version = result.as_ref().ok().copied();
                    self.answer(wire, request_id, 204, version, result.map(|_| Bytes::new()))
                }
                Command::Subscribe { packet_id, filters } => {
                    let missing = self.session.missing(&filters);
                    if self.keeps_session && !missing.is_empty() {
                        self.hub.subscribe_device(&self.id, missing).await.map_err(End::Hub)?;
                    }
                    let codes = packet::granted(&packet)
                        .into_iter()
                        .map(SubscribeReasonCode::Success)
                        .collect();
                    wire.queue(&Packet::SubAck(SubAck::new(packet_id, codes)))?;
                    // The SUBACK is on its way before anything that matches can be.
                    self.session.subscribe(&filters);
                    self.hub.sessions().subscriptions_changed();
                    Ok(())
                }
                Command::Unsubscribe { packet_id, filters } => {
                    self.session.unsubscribe(&filters);
                    if self.keeps_session {
                        self.hub.unsubscribe_device(&self.id, filters).await.map_err(End::Hub)?;
                    }
                    wire.queue(&Packet::UnsubAck(UnsubAck::new(packet_id)))
                }
                Command::Ping => {
                    PingResp
                        .write(&mut wire.outgoing)
                        .map_err(|error| End::Malformed(error.to_string()))?;
                    Ok(())
                }
                Command::Acknowledged => Ok(()),
                Command::Disconnect => Err(End::Disconnected),
            }
        })
    }

    fn acknowledge(&self, wire: &mut Wire, packet_id: Option<u16>) -> Result<(), End> {
        packet_id.map_or(Ok(()), |id| wire.queue(&Packet::PubAck(PubAck::new(id))))
    }

    /// Answers a twin request, if the device listens for answers.
    fn answer(
        &self,
        wire: &mut Wire,
        request_id: &str,
        status: u16,
        version: Option<u64>,
        body: Result<Bytes, HubError>,
    ) -> Result<(), End> {
        if !self.session.is_subscribed(topic::Filter::TwinResponses) {
            return Ok(());
        }
        let (status, payload) = match body {
            Ok(body) => (status, body),
            Err(error) => (
                error.code.status(),
                error.twin_body(&tracking_id(), now()).to_string().into(),
            ),
        };
        publish(
            wire,
            Outgoing {
                topic: topic::twin_response(status, request_id, version),
                payload,
            },
        )
    }
}

fn publish(wire: &mut Wire, message: Outgoing) -> Result<(), End> {
    wire.queue(&Packet::Publish(Publish::from_bytes(
        message.topic,
        QoS::AtMostOnce,
        message.payload,
    )))
}
