//! Telemetry that waits for the hub: kept in order while there is no connection, within bounds, and
//! sent again until it is taken.

use std::collections::VecDeque;

use bytes::Bytes;
use hub_protocol::{Timestamp, topic};
use rumqttc::mqttbytes::{QoS, v4::Publish};

/// What a device keeps; the oldest goes first.
const MAX_MESSAGES: usize = 200;
const MAX_BYTES: usize = 64 * 1024;
/// Sent and not yet taken.
const MAX_IN_FLIGHT: usize = 5;

struct Message {
    ticket: u32,
    body: Bytes,
    created: Timestamp,
    /// 0 until it is sent for the first time.
    packet_id: u16,
    /// Could not be sent at once, so that its time is worth telling.
    has_waited: bool,
}

#[derive(Default)]
pub(crate) struct Outbox {
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many of the first are on their way over the present connection.
    in_flight: usize,
    last_ticket: u32,
}

impl Outbox {
    /// The new message's ticket, and the tickets of those that had to go for it.
    pub(crate) fn push(&mut self, body: Bytes, created: Timestamp, is_connected: bool) -> (u32, Vec<u32>) {
        self.last_ticket = self.last_ticket.wrapping_add(1);
        self.bytes += body.len();
        self.messages.push_back(Message {
            ticket: self.last_ticket,
            body,
            created,
            packet_id: 0,
            has_waited: !is_connected,
        });
        let mut dropped = Vec::new();
        // Neither what is on its way nor the newest.
        while (self.messages.len() > MAX_MESSAGES || self.bytes > MAX_BYTES)
            && self.in_flight + 1 < self.messages.len()
            && let Some(message) = self.messages.remove(self.in_flight)
        {
            self.bytes -= message.body.len();
            dropped.push(message.ticket);
        }
        (self.last_ticket, dropped)
    }

    /// A new connection: nothing is on its way.
    pub(crate) fn connected(&mut self) {
        self.in_flight = 0;
        for message in &mut self.messages {
            message.has_waited = true;
        }
    }

    /// The next message to send, if another may be on its way. `packet_id` makes a new id.
    pub(crate) fn next(&mut self, device_id: &str, packet_id: impl FnOnce(&Self) -> u16) -> Option<Publish> {
        if self.in_flight == MAX_IN_FLIGHT || self.in_flight == self.messages.len() {
            return None;
        }
        let new_id = packet_id(self);
        let message = &mut self.messages[self.in_flight];
        let mut bag = "%24.ct=application%2Fjson&%24.ce=utf-8".to_owned();
        if message.has_waited {
            bag.push_str("&%24.ctime=");
            bag.push_str(&message.created.to_string().replace(':', "%3A"));
        }
        let mut publish = Publish::from_bytes(
            topic::telemetry(device_id, &bag),
            QoS::AtLeastOnce,
            message.body.clone(),
        );
        publish.dup = message.packet_id != 0;
        if message.packet_id == 0 {
            message.packet_id = new_id;
        }
        publish.pkid = message.packet_id;
        self.in_flight += 1;
        Some(publish)
    }

    /// The ticket of the message that the hub took.
    pub(crate) fn taken(&mut self, packet_id: u16) -> Option<u32> {
        let on_their_way = self.messages.iter().take(self.in_flight);
        let place = on_their_way
            .enumerate()
            .find_map(|(place, message)| (message.packet_id == packet_id).then_some(place))?;
        let message = self.messages.remove(place)?;
        self.in_flight -= 1;
        self.bytes -= message.body.len();
        if self.messages.is_empty() {
            // Gives the memory of a long time offline back.
            self.messages = VecDeque::new();
        }
        Some(message.ticket)
    }

    pub(crate) fn uses(&self, packet_id: u16) -> bool {
        self.messages.iter().any(|message| message.packet_id == packet_id)
    }

    /// Whether the hub owes an acknowledgement.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.in_flight > 0
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push(outbox: &mut Outbox, bytes: usize) -> (u32, Vec<u32>) {
        outbox.push(Bytes::from(vec![b'1'; bytes]), Timestamp::NEVER, false)
    }

    /// Sends what may be sent, with ids that count up from `first`.
    fn send(outbox: &mut Outbox, first: u16) -> Vec<Publish> {
        let mut sent = Vec::new();
        while let Some(publish) = outbox.next("pump", |_| first + u16::try_from(sent.len()).unwrap()) {
            sent.push(publish);
        }
        sent
    }

    #[test]
    fn a_few_are_on_their_way_at_once_and_each_that_is_taken_makes_room() {
        let mut outbox = Outbox::default();
        for _ in 0..10 {
            push(&mut outbox, 1);
        }
        outbox.connected();
        assert_eq!(send(&mut outbox, 1).len(), MAX_IN_FLIGHT);
        assert_eq!(outbox.taken(1), Some(1));
        assert_eq!(outbox.taken(1), None);
        assert_eq!(send(&mut outbox, 6).len(), 1);
    }

    #[test]
    fn what_was_sent_and_not_taken_is_sent_again_as_a_duplicate_in_order() {
        let mut outbox = Outbox::default();
        push(&mut outbox, 1);
        push(&mut outbox, 2);
        send(&mut outbox, 7);
        outbox.connected();
        let again = send(&mut outbox, 9);
        let seen: Vec<_> = again
            .iter()
            .map(|publish| (publish.pkid, publish.dup, publish.payload.len()))
            .collect();
        assert_eq!(seen, [(7, true, 1), (8, true, 2)]);
    }

    #[test]
    fn the_oldest_goes_beyond_two_hundred_messages() {
        let mut outbox = Outbox::default();
        for _ in 0..MAX_MESSAGES {
            assert!(push(&mut outbox, 1).1.is_empty());
        }
        assert_eq!(push(&mut outbox, 1), (201, vec![1]));
        assert_eq!(outbox.len(), MAX_MESSAGES);
    }

    #[test]
    fn the_oldest_go_beyond_sixty_four_kilobytes_but_the_newest_stays() {
        let mut outbox = Outbox::default();
        push(&mut outbox, 40_000);
        push(&mut outbox, 20_000);
        assert_eq!(push(&mut outbox, 30_000), (3, vec![1]));
        assert_eq!(push(&mut outbox, 200_000), (4, vec![2, 3]));
    }

    #[test]
    fn only_a_message_that_waited_tells_when_it_was_made() {
        let mut outbox = Outbox::default();
        outbox.push(Bytes::new(), Timestamp::NEVER, true);
        assert!(!send(&mut outbox, 1)[0].topic.contains("ctime"));
        push(&mut outbox, 1);
        assert!(
            send(&mut outbox, 2)[0]
                .topic
                .ends_with("&%24.ctime=0001-01-01T00%3A00%3A00Z")
        );
    }

    proptest! {
        #[test]
        fn it_is_bounded_keeps_its_order_and_its_count_of_bytes(steps in proptest::collection::vec(0..4_u8, 0..600)) {
            let mut outbox = Outbox::default();
            let mut id = 1;
            for step in steps {
                match step {
                    0 | 1 => drop(push(&mut outbox, 500)),
                    2 => {
                        if let Some(publish) = outbox.next("pump", |_| id) {
                            id = publish.pkid.max(id) + 1;
                            if id % 3 == 0 {
                                prop_assert!(outbox.taken(publish.pkid).is_some());
                            }
                        }
                    }
                    _ => outbox.connected(),
                }
                prop_assert!(outbox.len() <= MAX_MESSAGES + MAX_IN_FLIGHT);
                prop_assert!(outbox.bytes <= MAX_BYTES + MAX_IN_FLIGHT * 500);
                prop_assert_eq!(outbox.bytes, outbox.len() * 500);
                prop_assert!(outbox.messages.iter().is_sorted_by_key(|message| message.ticket));
            }
        }
    }
}
