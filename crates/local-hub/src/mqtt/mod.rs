//! MQTT 3.1.1 over TLS, bare or in a WebSocket: the device side.
//!
//! One task a connection. [`packet`] says what a packet means, [`wire`] cuts packets out of the
//! stream; [`connection`] acts on the hub and answers, strictly in order. This file is about the
//! way there: everything up to the CONNACK.

mod connection;
mod deliveries;
mod explain;
#[cfg(any(test, fuzzing))]
pub(crate) mod invariants;
mod packet;
pub(crate) mod websocket;
mod wire;

use std::{io, sync::Arc, time::Duration};

use connection::Connection;
use deliveries::Deliveries;
use hub_protocol::{ErrorCode, HubError};
use packet::{Message, Violation};
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet};
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
pub(crate) use wire::Socket;
use wire::Wire;

use crate::{
    auth::claimed_client,
    device_certificates::PeerCertificates,
    hub::{Hub, now},
    limits::Operation,
    log::Sender,
    sessions::{OUTBOX, Session},
};

/// A connection that says nothing is closed after this (device.md 2.4).
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(60);
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
    #[error("the device speaks another protocol than MQTT 3.1.1")]
    OtherProtocol,
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error("refused: {0}")]
    Refused(HubError),
    #[error(transparent)]
    Hub(HubError),
}

/// Serves a connection to its end. `certificates` are what the device showed at the handshake.
pub(crate) async fn serve(hub: Hub, socket: Box<dyn Socket>, certificates: PeerCertificates, stop: CancellationToken) {
    let mut wire = Wire::new(socket);
    // Boxed: it is large, and gone before the connection's long life begins.
    let opening = Box::pin(open(&hub, &mut wire, certificates, &stop));
    let end = tokio::select! {
        () = stop.cancelled() => Err(End::Kicked),
        opened = opening => opened,
    };
    match end {
        Ok(connection) => connection.run(wire).await,
        Err(end) => {
            tracing::debug!("a device connection was not opened: {end}");
            wire.ended(&end);
            wire.close().await;
        }
    }
}

/// Everything up to the CONNACK, which is the connection's own first word.
async fn open(
    hub: &Hub,
    wire: &mut Wire,
    certificates: PeerCertificates,
    stop: &CancellationToken,
) -> Result<Connection, End> {
    let first = timeout(CONNECT_WAIT, first_packet(wire)).await;
    let connect = match first.unwrap_or(Err(End::Silent(CONNECT_WAIT))) {
        Err(End::OtherProtocol) => {
            hub.turned_away(None, End::OtherProtocol.to_string());
            return refuse(wire, ConnectReturnCode::RefusedProtocolVersion, End::OtherProtocol).await;
        }
        Ok(Packet::Connect(connect)) => connect,
        Ok(_) => {
            hub.turned_away(None, Violation::NotConnect.to_string());
            return Err(Violation::NotConnect.into());
        }
        Err(end) => return Err(end),
    };
    wire.opened(hub.protocol().trace(&connect.client_id), &connect);
    match admit(hub, &connect, &certificates, stop).await {
        Ok(connection) => Ok(connection),
        // 5 for what somebody must mend, 3 for "try later": clients stop or retry by it.
        Err(error) => {
            let later = matches!(
                error.code,
                ErrorCode::ServiceUnavailable | ErrorCode::ServerError | ErrorCode::ThrottlingBacklogTimeout
            );
            let code = if later {
                ConnectReturnCode::ServiceUnavailable
            } else {
                ConnectReturnCode::NotAuthorized
            };
            tracing::info!(client = connect.client_id, "a connection was refused: {error}");
            hub.turned_away(Some(&connect.client_id), error.message.clone());
            refuse(wire, code, End::Refused(error)).await
        }
    }
}

async fn first_packet(wire: &mut Wire) -> Result<Packet, End> {
    loop {
        // The level stands in the first dozen bytes; what follows it may not be ours to read.
        if packet::is_other_protocol(wire.unread()) {
            return Err(End::OtherProtocol);
        }
        if let Some(packet) = wire.next()? {
            return Ok(packet);
        }
        wire.fill().await?;
    }
}

async fn refuse(wire: &mut Wire, code: ConnectReturnCode, end: End) -> Result<Connection, End> {
    wire.queue(&Packet::ConnAck(ConnAck::new(code, false)))?;
    wire.flush().await?;
    Err(end)
}

async fn admit(
    hub: &Hub,
    connect: &Connect,
    certificates: &[CertificateDer<'_>],
    stop: &CancellationToken,
) -> Result<Connection, HubError> {
    let refused = |text: &str| HubError::new(ErrorCode::IotHubUnauthorizedAccess, text);
    let login = connect.login.as_ref();
    let login = login.ok_or_else(|| refused("The device did not say who it is."))?;
    let (id, model_id) = claimed_client(&connect.client_id, &login.username, hub.names())?;
    hub.throttle(Operation::Connect, 1).await?;
    let (credentials, admission) = hub.admit(&id, Some(&login.password), certificates).await?;
    let will = connect.last_will.as_ref().map(|will| Message::of_will(will, &id));
    let will = will
        .transpose()
        .map_err(|violation| refused(&format!("The will is not taken: {violation}.")))?;
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let session = Session::new(outbox, stop.child_token());
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
    session.subscribe(&stored.subscriptions);
    // Messages may have waited for the device; it need not subscribe again.
    session.messages.notify_one();
    hub.sessions().subscriptions_changed();
    let now = u64::try_from(now().unix_seconds()).unwrap_or_default();
    let lives = admission
        .expires
        .map(|expiry| life(expiry, hub.token_skew().as_secs(), now));
    Ok(Connection {
        hub: hub.clone(),
        sender: Arc::new(Sender {
            id,
            generation_id: credentials.generation_id,
            auth: Some(admission.method),
            model_id: model_id.unwrap_or_default(),
        }),
        session,
        inbox,
        deliveries: Deliveries::default(),
        keeps_session: !connect.clean_session,
        expires: lives.map(|lives| Instant::now() + lives),
        silence: silence(connect.keep_alive),
        will: will.map(Box::new),
        session_present: stored.present,
        stop: stop.clone(),
    })
}

/// How long a connection may last on a token; all in seconds. One that is already past its
/// expiry, but within the skew, is good for the rest of that.
fn life(expiry: u64, skew: u64, now: u64) -> Duration {
    const TEN_YEARS: u64 = 10 * 365 * 86_400;
    let closes = if expiry > now {
        expiry
    } else {
        expiry.saturating_add(skew)
    };
    Duration::from_secs(closes.saturating_sub(now).min(TEN_YEARS))
}

/// How long a device may be silent: one and a half of its keep-alive, in seconds, with a limit
/// that also stands for none.
fn silence(keep_alive: u16) -> Duration {
    match keep_alive {
        0 => MAX_SILENCE,
        seconds => Duration::from_millis(u64::from(seconds) * 1500).min(MAX_SILENCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conn_06_silence_is_allowed_for_one_and_a_half_keep_alives_and_never_above_the_limit() {
        assert_eq!(silence(60), Duration::from_secs(90));
        assert_eq!(silence(1), Duration::from_millis(1500));
        assert_eq!(silence(1177), Duration::from_millis(1_765_500));
        for endless in [0, 1179, u16::MAX] {
            assert_eq!(silence(endless), Duration::from_secs(1767), "{endless}");
        }
    }

    #[test]
    fn conn_17_a_connection_ends_with_its_token_or_with_the_skew_it_came_in() {
        let seconds = Duration::from_secs;
        assert_eq!(life(1000, 300, 900), seconds(100));
        assert_eq!(life(1000, 300, 1000), seconds(300));
        assert_eq!(life(1000, 300, 1290), seconds(10));
        assert_eq!(life(u64::MAX, 300, 0), seconds(10 * 365 * 86_400));
    }
}
