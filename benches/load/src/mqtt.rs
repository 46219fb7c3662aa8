//! One MQTT 3.1.1 connection over TLS, the same to both servers.

use std::{net::Ipv4Addr, time::Duration};

use bytes::BytesMut;
use hub_protocol::{
    sas::{self, SasKey},
    topic::UserName,
};
use rumqttc::mqttbytes::{
    self, QoS,
    v4::{Connect, ConnectReturnCode, Packet, Publish, Subscribe, SubscribeReasonCode},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Result, server::Server};

const HOST: &str = "localhost";
const MAX_PACKET: usize = 300 * 1024;
/// Room for what arrives at once.
const READ: usize = 4096;
/// Longer than any run: an idle connection has nothing to say.
const KEEP_ALIVE: u16 = 1200;
const OPEN: Duration = Duration::from_secs(60);

/// How a device proves who it is.
pub(crate) enum Login {
    Anonymous,
    /// `expiry` in seconds since 1970.
    Device {
        key: SasKey,
        expiry: u64,
    },
}

pub(crate) struct Link {
    stream: TlsStream<TcpStream>,
    incoming: BytesMut,
    outgoing: BytesMut,
}

/// Verified TLS to a port of this machine.
pub(crate) async fn dial(server: &Server, port: u16) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(HOST)?;
    Ok(TlsConnector::from(server.tls.clone()).connect(name, stream).await?)
}

impl Link {
    /// Connects as `id` and subscribes to `filter` at QoS 0.
    pub(crate) async fn open(server: &Server, id: &str, filter: Option<&str>) -> Result<Self> {
        timeout(OPEN, Self::open_now(server, id, filter))
            .await
            .map_err(|_| format!("{} let {id} wait for its connection", server.kind.name()))?
    }

    async fn open_now(server: &Server, id: &str, filter: Option<&str>) -> Result<Self> {
        let mut link = Self {
            stream: dial(server, server.mqtt_port).await?,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
        };
        let mut connect = Connect::new(id);
        connect.keep_alive = KEEP_ALIVE;
        if let Login::Device { key, expiry } = &server.login {
            let token = sas::sign(&format!("{HOST}/devices/{id}"), key, *expiry, None);
            connect.set_login(UserName::format(HOST, id, "load"), token.expose());
        }
        link.queue(&Packet::Connect(connect))?;
        link.flush().await?;
        match link.next().await? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => {}
            other => return Err(format!("{id} was not let in: {other:?}").into()),
        }
        if let Some(filter) = filter {
            let mut subscribe = Subscribe::new(filter, QoS::AtMostOnce);
            subscribe.pkid = 1;
            link.queue(&Packet::Subscribe(subscribe))?;
            link.flush().await?;
            match link.next().await? {
                Packet::SubAck(answer) if !answer.return_codes.contains(&SubscribeReasonCode::Failure) => {}
                other => return Err(format!("{id} may not subscribe to {filter}: {other:?}").into()),
            }
        }
        Ok(link)
    }

    /// Leaves with the next [`Self::flush`].
    pub(crate) fn queue(&mut self, packet: &Packet) -> Result<()> {
        packet.write(&mut self.outgoing, MAX_PACKET)?;
        Ok(())
    }

    pub(crate) fn queue_publish(&mut self, publish: &Publish) -> Result<()> {
        publish.write(&mut self.outgoing)?;
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.outgoing.is_empty() {
            self.stream.write_all(&self.outgoing).await?;
            self.outgoing.clear();
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// A packet that has arrived whole.
    pub(crate) fn received(&mut self) -> Result<Option<Packet>> {
        match Packet::read(&mut self.incoming, MAX_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for more to arrive.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.incoming.reserve(READ);
        if self.stream.read_buf(&mut self.incoming).await? == 0 {
            return Err("the server closed a connection".into());
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.received()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }
}
