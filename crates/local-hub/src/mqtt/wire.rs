//! MQTT packets on a stream of bytes.

use std::io;

use bytes::BytesMut;
use rumqttc::mqttbytes::{
    self,
    v4::{Connect, Packet},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    End,
    explain::{explain, explain_connect, explain_end},
    packet::MAX_MESSAGE,
};
use crate::{
    hub::now,
    protocol_log::{LineKind, Trace},
};

/// A message, the longest topic, and the fixed header.
pub(super) const MAX_PACKET: usize = MAX_MESSAGE + 65_535 + 16;
/// Bytes asked of the socket at once: few where little comes, more where reads come back full.
const READ: std::ops::RangeInclusive<usize> = 256..=16 * 1024;
/// A buffer above this is given back when it is empty.
const KEPT: usize = 4 * 1024;

/// What a connection runs over: TLS, or a WebSocket on it.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

pub(super) struct Wire {
    socket: Box<dyn Socket>,
    incoming: BytesMut,
    outgoing: BytesMut,
    read: usize,
    /// Bytes the packet that has begun still lacks.
    lacking: usize,
    /// Set once it is known who speaks.
    trace: Option<Trace>,
}

impl Wire {
    pub(super) fn new(socket: Box<dyn Socket>) -> Self {
        Self {
            socket,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            read: 2 * READ.start(),
            lacking: 0,
            trace: None,
        }
    }

    /// From here on what is said is recorded for who watches; `connect` was the first word.
    pub(super) fn opened(&mut self, mut trace: Trace, connect: &Connect) {
        trace.note(LineKind::Received, now, |_| explain_connect(connect, now()));
        self.trace = Some(trace);
    }

    fn record(&mut self, kind: LineKind, packet: &Packet) {
        if let Some(trace) = &mut self.trace {
            trace.note(kind, now, |client| explain(packet, client, now()));
        }
    }

    /// The last line of this connection.
    pub(super) fn ended(&mut self, end: &End) {
        if let Some(trace) = &mut self.trace {
            let (kind, text) = explain_end(end);
            trace.note(kind, now, |_| text);
        }
    }

    /// What was read and is not yet taken as packets.
    pub(super) fn unread(&self) -> &[u8] {
        &self.incoming
    }

    /// The next packet of what was read; `None` when there is no whole one.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, End> {
        self.lacking = 0;
        match Packet::read(&mut self.incoming, MAX_PACKET) {
            Ok(packet) => {
                self.record(LineKind::Received, &packet);
                Ok(Some(packet))
            }
            Err(mqttbytes::Error::InsufficientBytes(count)) => {
                self.lacking = count;
                Ok(None)
            }
            Err(error) => Err(End::Malformed(error.to_string())),
        }
    }

    /// Waits for bytes. Cancel-safe: what was read stays.
    pub(super) async fn fill(&mut self) -> Result<(), End> {
        let wanted = self.read.max(self.lacking.min(4 * READ.end()));
        // May get back all of a buffer whose packets are gone.
        self.incoming.reserve(wanted);
        if self.incoming.is_empty() && self.incoming.capacity() > KEPT.max(2 * wanted) {
            self.incoming = BytesMut::with_capacity(wanted);
        }
        let room = self.incoming.capacity() - self.incoming.len();
        let count = self.socket.read_buf(&mut self.incoming).await?;
        if count == 0 {
            return Err(End::Closed);
        }
        if count >= room.min(self.read) {
            self.read = (2 * self.read).min(*READ.end());
        } else if count < self.read / 4 {
            self.read = (self.read / 2).max(*READ.start());
        }
        Ok(())
    }

    pub(super) fn queue(&mut self, packet: &Packet) -> Result<(), End> {
        self.record(LineKind::Sent, packet);
        packet
            .write(&mut self.outgoing, usize::MAX)
            .map_err(|error| End::Malformed(error.to_string()))?;
        Ok(())
    }

    pub(super) fn queued(&self) -> usize {
        self.outgoing.len()
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.socket.write_all_buf(&mut self.outgoing).await?;
        self.socket.flush().await?;
        if self.outgoing.capacity() > KEPT {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }

    /// Says goodbye to TLS, for as long as a second.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.socket.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::{QoS, mqttbytes::v4::Publish};
    use tokio::io::duplex;

    use super::*;

    fn message(size: usize) -> Packet {
        Packet::Publish(Publish::new("t", QoS::AtMostOnce, vec![7; size]))
    }

    async fn next(wire: &mut Wire) -> Packet {
        loop {
            if let Some(packet) = wire.next().unwrap() {
                return packet;
            }
            wire.fill().await.unwrap();
        }
    }

    #[tokio::test]
    async fn packets_are_read_however_they_are_cut_and_a_large_one_leaves_no_large_buffer() {
        let (near, far) = duplex(100);
        let mut wire = Wire::new(Box::new(near));
        let writer = tokio::spawn(async move {
            let mut wire = Wire::new(Box::new(far));
            for size in [0, 1, 200_000, 3] {
                wire.queue(&message(size)).unwrap();
            }
            wire.queue(&Packet::PingReq).unwrap();
            wire.flush().await.unwrap();
            wire
        });
        for size in [0, 1, 200_000, 3] {
            assert_eq!(next(&mut wire).await, message(size));
        }
        assert_eq!(next(&mut wire).await, Packet::PingReq);
        let mut writer = writer.await.unwrap();
        assert!(writer.outgoing.capacity() <= KEPT);
        for _ in 0..10 {
            writer.queue(&Packet::PingReq).unwrap();
            writer.flush().await.unwrap();
            assert_eq!(next(&mut wire).await, Packet::PingReq);
        }
        assert!(wire.incoming.capacity() <= KEPT, "{}", wire.incoming.capacity());
    }

    #[tokio::test]
    async fn a_packet_over_the_limit_is_refused_by_its_header_alone() {
        let (near, mut far) = duplex(100);
        let mut wire = Wire::new(Box::new(near));
        far.write_all(&[0x30, 0xFF, 0xFF, 0x7F, 0]).await.unwrap();
        wire.fill().await.unwrap();
        assert!(matches!(wire.next(), Err(End::Malformed(_))));
    }

    #[tokio::test]
    async fn a_peer_that_closes_is_told_from_one_that_is_silent() {
        let (near, far) = duplex(100);
        let mut wire = Wire::new(Box::new(near));
        drop(far);
        assert!(matches!(wire.fill().await, Err(End::Closed)));
    }
}
