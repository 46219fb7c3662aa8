//! Listening: sockets, TLS, which protocol a client speaks, and an end that waits for everyone.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{HttpsPort, LocalHubConfig},
    device_certificates::PeerCertificates,
    error::StartError,
    hub::{self, Hub},
    mqtt, rest,
};

const HANDSHAKE: Duration = Duration::from_secs(15);
/// Connections of one kind at once; later ones wait in the socket's backlog.
const CONNECTIONS: usize = 100_000;

pub(crate) struct Listeners {
    mqtt: Vec<TcpListener>,
    https: Vec<TcpListener>,
    pub mqtt_port: u16,
    pub https_port: u16,
    pub note: Option<String>,
}

impl Listeners {
    pub(crate) async fn bind(config: &LocalHubConfig) -> Result<Self, StartError> {
        let (mqtt, mqtt_port) = bind(config.bind, config.mqtt_port, "MQTT").await?;
        let (https, https_port, note) = match config.https_port {
            HttpsPort::Exactly(port) => {
                let (https, port) = bind(config.bind, port, "HTTPS").await?;
                (https, port, None)
            }
            HttpsPort::Preferred => match bind(config.bind, 443, "HTTPS").await {
                Ok((https, port)) => (https, port, None),
                Err(error) => {
                    let (https, port) = bind(config.bind, 8443, "HTTPS").await?;
                    let why = match &error {
                        StartError::Port { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                            "needs administrator rights here".to_owned()
                        }
                        StartError::Port { source, .. } => source.to_string(),
                        other => other.to_string(),
                    };
                    let note = format!(
                        "Port 443 {why}, so the hub's HTTPS is on 8443. Clients that cannot be given a port will not find it."
                    );
                    (https, port, Some(note))
                }
            },
        };
        Ok(Self {
            mqtt,
            https,
            mqtt_port,
            https_port,
            note,
        })
    }
}

/// Binds `port`; for IPv4's loopback also IPv6's, since `localhost` may mean either.
async fn bind(address: IpAddr, port: u16, purpose: &'static str) -> Result<(Vec<TcpListener>, u16), StartError> {
    let failed = |source| StartError::Port {
        port,
        address: address.to_string(),
        purpose,
        source,
    };
    let first = TcpListener::bind(SocketAddr::new(address, port))
        .await
        .map_err(failed)?;
    let port = first.local_addr().map_err(failed)?.port();
    let mut listeners = vec![first];
    if address == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        match TcpListener::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).await {
            Ok(second) => listeners.push(second),
            Err(error) => tracing::debug!("no IPv6 loopback for {purpose}: {error}"),
        }
    }
    Ok((listeners, port))
}

pub(crate) struct Serving {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    pub(crate) fn start(hub: &Hub, listeners: Listeners, tls: &Arc<ServerConfig>) -> Self {
        let serving = Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        serving.tasks.spawn(hub.clone().keep_message_time(serving.stop.clone()));
        serving
            .tasks
            .spawn(hub.clone().keep_configurations_applied(serving.stop.clone()));
        for listener in listeners.mqtt.into_iter().chain(listeners.https) {
            serving.listen(hub.clone(), listener, tls.clone());
        }
        let jobs = hub::scheduler::run(hub.clone(), serving.stop.clone());
        serving.tasks.spawn(jobs);
        serving
    }

    fn listen(&self, hub: Hub, listener: TcpListener, tls: Arc<ServerConfig>) {
        let (stop, tasks) = (self.stop.clone(), self.tasks.clone());
        let acceptor = TlsAcceptor::from(tls);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        self.tasks.spawn(async move {
            loop {
                let Ok(place) = places.clone().acquire_owned().await else {
                    return;
                };
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let socket = match accepted {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        // Out of files, most likely: accepting again at once would only spin.
                        tracing::warn!("a connection could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let (hub, stop, acceptor) = (hub.clone(), stop.clone(), acceptor.clone());
                tasks.spawn(async move {
                    let _place = place;
                    let _ = socket.set_nodelay(true);
                    // Boxed: large, and gone before the connection's long life begins.
                    let handshake = Box::pin(timeout(HANDSHAKE, acceptor.accept(socket)));
                    let handshake = tokio::select! {
                        () = stop.cancelled() => return,
                        handshake = handshake => handshake,
                    };
                    match handshake {
                        Ok(Ok(stream)) => serve(hub, Box::new(stream), stop).await,
                        Ok(Err(error)) => hub.turned_away(None, failed_handshake(&error)),
                        Err(_) => hub.turned_away(None, "The TLS handshake took too long.".into()),
                    }
                });
            }
        });
    }

    pub(crate) async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) type TlsSocket = TlsStream<TcpStream>;

/// Why no TLS came about, for who wonders why a client cannot connect. Most often the client does
/// not know the hub's authority.
fn failed_handshake(error: &io::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown)) => {
            "The client does not trust this hub's certificate: give it the hub's CA certificate.".into()
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "The client left during the TLS handshake; it may not trust this hub's certificate.".into()
        }
        _ => format!("The TLS handshake failed: {error}."),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Mqtt,
    Amqp,
    Http,
}

/// Every port takes every protocol, because some clients send MQTT or AMQP to whatever port their
/// host name carries (clients.md). A method of HTTP is in capitals; whatever is nothing else is
/// MQTT's to close.
fn spoken(first: u8) -> Spoken {
    match first {
        b'A' => Spoken::Amqp,
        b'B'..=b'Z' => Spoken::Http,
        _ => Spoken::Mqtt,
    }
}

async fn serve(hub: Hub, mut stream: Box<TlsSocket>, stop: CancellationToken) {
    let first = tokio::select! {
        () = stop.cancelled() => return,
        first = timeout(mqtt::CONNECT_WAIT, stream.fill_buf()) => first,
    };
    // Looked at, not taken.
    let Ok(Ok([first, ..])) = first else { return };
    let spoken = spoken(*first);
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates: PeerCertificates = shown.iter().map(|shown| shown.clone().into_owned()).collect();
    match spoken {
        Spoken::Mqtt => mqtt::serve(hub, stream, certificates, stop).await,
        Spoken::Http => Box::pin(rest::serve(hub, stream, certificates, stop)).await,
        Spoken::Amqp => {
            tracing::info!("a client that speaks AMQP was turned away");
            hub.turned_away(None, "The client speaks AMQP; devices speak MQTT here.".into());
            let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{AlertDescription, Error};

    use super::{Spoken, failed_handshake, spoken};

    #[test]
    fn a_client_without_the_hub_s_authority_is_told_apart_from_noise() {
        let alert = |alert| io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(alert));
        let untrusted = failed_handshake(&alert(AlertDescription::UnknownCA));
        assert!(untrusted.contains("CA certificate"), "{untrusted}");
        let other = failed_handshake(&alert(AlertDescription::ProtocolVersion));
        assert!(other.starts_with("The TLS handshake failed"), "{other}");
    }

    #[test]
    fn the_first_byte_tells_the_protocols_apart() {
        assert_eq!(spoken(0x10), Spoken::Mqtt);
        assert_eq!(spoken(b"AMQP\0\x01\0\0"[0]), Spoken::Amqp);
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
            assert_eq!(spoken(method.as_bytes()[0]), Spoken::Http, "{method}");
        }
        assert_eq!(spoken(0xC0), Spoken::Mqtt, "a PINGREQ, which is closed there");
    }
}
