//! Messages on their way to a device: their packet ids, and which of them a PUBACK settles.
//!
//! The queue and its locks are the hub's; a connection only remembers what it has sent and was
//! not told of.

use std::collections::VecDeque;

use hub_protocol::{
    ErrorCode,
    topic::{self, Filter},
};
use rumqttc::{
    QoS,
    mqttbytes::v4::{Packet, Publish},
};

use super::{End, connection::Connection, wire::Wire};
use crate::store::{Message, Settlement};

/// Messages that a device may leave unacknowledged before it gets another.
const WINDOW: usize = 16;

struct Sent {
    packet_id: u16,
    sequence: i64,
    lock_token: String,
}

/// What was sent at QoS 1, oldest first. At most a window: the hub locks no more for one
/// connection, so the oldest beyond it have lapsed or were purged.
#[derive(Default)]
pub(super) struct Deliveries(VecDeque<Sent>);

impl Deliveries {
    /// The packet id of a message, remembered. It follows from the message, so that a message
    /// keeps it over reconnects, unless another one on its way has it.
    fn sent(&mut self, message: &Message) -> u16 {
        self.0.retain(|sent| sent.sequence != message.sequence);
        if self.0.len() >= WINDOW {
            self.0.pop_front();
        }
        let ids = i64::from(u16::MAX);
        let id = |place: i64| u16::try_from(place.rem_euclid(ids) + 1).unwrap_or(1);
        // Fewer are in use than are tried.
        let packet_id = (message.sequence..)
            .map(id)
            .find(|id| self.0.iter().all(|sent| sent.packet_id != *id))
            .unwrap_or(1);
        self.0.push_back(Sent {
            packet_id,
            sequence: message.sequence,
            lock_token: message.lock_token.clone(),
        });
        packet_id
    }

    /// The lock token of the message that was sent so; forgotten with it.
    fn acknowledged(&mut self, packet_id: u16) -> Option<String> {
        let place = self.0.iter().position(|sent| sent.packet_id == packet_id)?;
        self.0.remove(place).map(|sent| sent.lock_token)
    }
}

impl Connection {
    /// Queues the messages the device may have now.
    pub(super) async fn deliver(&mut self, wire: &mut Wire) -> Result<(), End> {
        let Some(subscription) = self.session.subscription(Filter::CloudToDevice) else {
            return Ok(());
        };
        let id = &self.sender.id;
        let messages = self.hub.deliver_messages(id, &self.session, WINDOW).await;
        let messages = messages.map_err(End::Hub)?;
        if subscription.at_least_once {
            for message in messages {
                let packet_id = self.deliveries.sent(&message);
                self.publish_message(wire, &message, Some(packet_id))?;
            }
            return Ok(());
        }
        for message in &messages {
            self.publish_message(wire, message, None)?;
        }
        // At QoS 0 a message is delivered once it is written (device.md 4.2).
        self.flush(wire).await?;
        for message in &messages {
            self.complete(&message.lock_token).await?;
        }
        if !messages.is_empty() {
            self.session.messages.notify_one();
        }
        Ok(())
    }

    fn publish_message(&self, wire: &mut Wire, message: &Message, packet_id: Option<u16>) -> Result<(), End> {
        let topic = topic::cloud_to_device(self.sender.id.device_str(), &message.properties.to_bag());
        let mut publish = Publish::from_bytes(topic, QoS::AtMostOnce, message.body.clone());
        if let Some(packet_id) = packet_id {
            publish.qos = QoS::AtLeastOnce;
            publish.pkid = packet_id;
            publish.dup = message.delivery_count > 0;
        }
        wire.queue(&Packet::Publish(publish))
    }

    /// A PUBACK: the message is completed, and there may be room for another.
    pub(super) async fn settle(&mut self, packet_id: u16) -> Result<(), End> {
        let Some(lock_token) = self.deliveries.acknowledged(packet_id) else {
            return Ok(());
        };
        self.session.messages.notify_one();
        self.complete(&lock_token).await
    }

    async fn complete(&self, lock_token: &str) -> Result<(), End> {
        match self
            .hub
            .settle_message(&self.sender.id, lock_token, Settlement::Complete)
            .await
        {
            // Acknowledged after its lock lapsed: it is delivered again, as the cloud does.
            Err(error) if error.code == ErrorCode::DeviceMessageLockLost => Ok(()),
            other => other.map_err(End::Hub),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: i64) -> Message {
        Message {
            sequence,
            properties: hub_protocol::message::Properties::default(),
            body: bytes::Bytes::new(),
            enqueued: hub_protocol::Timestamp::NEVER,
            delivery_count: 0,
            lock_token: sequence.to_string(),
        }
    }

    #[test]
    fn a_message_keeps_its_packet_id_over_connections() {
        let (mut one, mut other) = (Deliveries::default(), Deliveries::default());
        one.sent(&message(1));
        assert_eq!(one.sent(&message(70_000)), other.sent(&message(70_000)));
    }

    #[test]
    fn two_messages_on_their_way_never_share_a_packet_id() {
        let mut deliveries = Deliveries::default();
        let first = deliveries.sent(&message(5));
        let second = deliveries.sent(&message(5 + 65_535));
        assert_ne!(first, second);
        assert_eq!(deliveries.acknowledged(second).as_deref(), Some("65540"));
        assert_eq!(deliveries.acknowledged(first).as_deref(), Some("5"));
        assert_eq!(deliveries.acknowledged(first), None, "settled once");
    }

    #[test]
    fn what_is_sent_again_replaces_what_was_sent_and_the_oldest_are_forgotten() {
        let mut deliveries = Deliveries::default();
        let first = deliveries.sent(&message(1));
        let again = Message {
            lock_token: "second".into(),
            ..message(1)
        };
        assert_eq!(deliveries.sent(&again), first);
        assert_eq!(deliveries.acknowledged(first).as_deref(), Some("second"));
        for sequence in 0..1000 {
            let id = deliveries.sent(&message(sequence));
            assert_ne!(id, 0);
        }
        assert_eq!(deliveries.0.len(), WINDOW);
    }
}
