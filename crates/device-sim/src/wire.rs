//! One MQTT connection: dial, TLS, packets in and out.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use rumqttc::mqttbytes::{
    self,
    v4::{Connect, ConnectReturnCode, Packet},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A hub's messages have up to 256 KiB, and their topics come on top.
const MAX_PACKET: usize = 300 * 1024;
/// Read at once. Small, as most devices receive little and there are thousands of them.
const READ: usize = 1024;
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0:?} is no name a certificate can have")]
    ServerName(String),
    #[error("the hub sent what is not MQTT 3.1.1: {0}")]
    NotMqtt(mqttbytes::Error),
    #[error("the packet is too large")]
    TooLarge,
    #[error("the hub closed the connection")]
    Closed,
    #[error("the hub does not take what is sent")]
    Stuck,
    #[error("the hub refused the connection: {}", refusal_text(*.0))]
    Refused(ConnectReturnCode),
}

fn refusal_text(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not accept the device id as client id",
        ConnectReturnCode::ServiceUnavailable => "it is busy; try later",
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "it does not know the device, the device is disabled, or its key is wrong"
        }
        ConnectReturnCode::Success => "for no reason",
    }
}

pub(crate) struct Link<S> {
    stream: S,
    incoming: BytesMut,
}

/// Connects to the first of `addresses` that answers and proves by TLS that it is `name`.
pub(crate) async fn dial(
    addresses: &[SocketAddr],
    name: &str,
    tls: &Arc<ClientConfig>,
) -> Result<Link<TlsStream<TcpStream>>, WireError> {
    let server_name = ServerName::try_from(name.to_owned()).map_err(|_| WireError::ServerName(name.to_owned()))?;
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(server_name, stream).await?;
    Ok(Link::new(stream))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
        }
    }

    pub(crate) async fn connect(&mut self, connect: Connect) -> Result<(), WireError> {
        self.send(&[Packet::Connect(connect)]).await?;
        match self.receive().await? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => Ok(()),
            Packet::ConnAck(answer) => Err(WireError::Refused(answer.code)),
            _ => Err(WireError::NotMqtt(mqttbytes::Error::InvalidPacketType(0))),
        }
    }

    /// The next packet. May be dropped while it waits: what was read stays in the buffer.
    pub(crate) async fn receive(&mut self) -> Result<Packet, WireError> {
        loop {
            match Packet::read(&mut self.incoming, MAX_PACKET) {
                Ok(packet) => return Ok(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => return Err(WireError::NotMqtt(error)),
            }
            if self.incoming.is_empty() {
                // Lets go of a large packet's memory.
                self.incoming = BytesMut::new();
            }
            self.incoming.reserve(READ);
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(WireError::Closed);
            }
        }
    }

    /// Not to be dropped midway: half a packet would be on the wire.
    pub(crate) async fn send(&mut self, packets: &[Packet]) -> Result<(), WireError> {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, MAX_PACKET).map_err(|_| WireError::TooLarge)?;
        }
        let write = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        timeout(WRITE_TIMEOUT, write).await.map_err(|_| WireError::Stuck)??;
        Ok(())
    }

    /// Says goodbye as MQTT wants it, but does not insist.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            let _ = self.send(&[Packet::Disconnect]).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = timeout(Duration::from_secs(2), goodbye).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rumqttc::mqttbytes::{QoS, v4::Publish};

    use super::*;

    #[tokio::test]
    async fn a_packet_may_come_in_pieces_and_a_dropped_wait_loses_none() {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let mut link = Link::new(ours);
        let mut bytes = BytesMut::new();
        let sent = Packet::Publish(Publish::from_bytes("t", QoS::AtMostOnce, Bytes::from(vec![7; 5000])));
        sent.write(&mut bytes, MAX_PACKET).unwrap();
        theirs.write_all(&bytes[..100]).await.unwrap();
        assert!(timeout(Duration::from_millis(20), link.receive()).await.is_err());
        theirs.write_all(&bytes[100..]).await.unwrap();
        assert_eq!(link.receive().await.unwrap(), sent);
    }

    #[tokio::test]
    async fn a_closed_connection_and_an_oversized_packet_are_errors() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let mut link = Link::new(ours);
        let large = Packet::Publish(Publish::new("t", QoS::AtMostOnce, vec![0; MAX_PACKET]));
        assert!(matches!(link.send(&[large]).await, Err(WireError::TooLarge)));
        drop(theirs);
        assert!(matches!(link.receive().await, Err(WireError::Closed)));
    }
}
