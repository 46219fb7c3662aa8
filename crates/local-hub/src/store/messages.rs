//! Messages to devices: a queue for each device.
//!
//! A message is enqueued, then locked by whoever receives it, and leaves the queue completed or
//! dead-lettered; a lock that lapses or is given up puts it back at its old place. Every
//! operation on a queue first does what time has done to it, so what is true does not depend on
//! when the hub's timer runs (device.md 4.2, service.md 9.2).

use std::time::Duration;

use bytes::Bytes;
use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    feedback::{Ack, FeedbackRecord, Outcome},
    message::{Properties, SystemProperty},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::Transaction;
use crate::{error::StoreError, events::HubEvent};

/// Messages that a device's queue holds, locked ones included.
const QUEUE: usize = 50;
/// How often a message is delivered before it is given up.
pub(super) const MAX_DELIVERIES: u32 = 10;
/// No lock is longer; one that seems so was taken before the clock was set back.
pub(super) const LONGEST_LOCK: Duration = Duration::from_secs(300);
/// Messages that one piece of the timer's work looks at.
const OVERDUE_BATCH: usize = 200;

#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub properties: Properties,
    pub body: Bytes,
    pub expires: Timestamp,
}

/// A message as its receiver has it, locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Rises with each message of a device; not without gaps.
    pub sequence: i64,
    pub properties: Properties,
    pub body: Bytes,
    pub enqueued: Timestamp,
    /// Deliveries before this one.
    pub delivery_count: u32,
    pub lock_token: String,
}

/// How messages are received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take {
    pub at_most: usize,
    /// The lock is the device's connection's: `at_most` counts what that has already, and the
    /// next connection finds the messages in the queue again. Otherwise it is its token's.
    pub on_connection: bool,
    pub lock: Duration,
    /// Random; lock tokens are made of it.
    pub nonce: [u8; 16],
}

/// What a receiver says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Complete,
    Reject,
    /// Back into the queue.
    Abandon,
}

/// A UUID's form, of a random number and what makes it differ from its neighbours.
pub(super) fn token(nonce: [u8; 16], sequence: i64) -> String {
    let bits = u128::from_be_bytes(nonce) ^ u128::from(sequence.unsigned_abs());
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

pub(super) fn lock_lost() -> StoreError {
    let text = "The lock is lost: it lapsed, or the message was settled already.";
    HubError::new(ErrorCode::DeviceMessageLockLost, text).into()
}

/// When time next changes a queue: a lock lapses or a message expires.
fn next_deadline(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(locked_until, expires) FROM messages ORDER BY coalesce(locked_until, expires) LIMIT 1",
    )?;
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| Timestamp::parse(&text)))
}

impl Transaction<'_> {
    pub(crate) fn enqueue_message(
        &mut self,
        id: &ClientId,
        message: &NewMessage,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let identity = self.identity(id)?;
        self.overdue_messages_of(identity, now)?;
        let pending: usize = self
            .sql
            .prepare_cached("SELECT count(*) FROM messages WHERE identity = ?1")?
            .query_row([identity], |row| row.get(0))?;
        if pending >= QUEUE {
            let text =
                format!("{QUEUE} messages wait for {id} already; one must be settled, expire or be purged first.");
            return Err(HubError::new(ErrorCode::DeviceMaximumQueueDepthExceeded, text).into());
        }
        self.sql
            .prepare_cached(
                "INSERT INTO messages (identity, enqueued, expires, properties, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                identity,
                now.to_string(),
                message.expires.to_string(),
                serde_json::to_string(&message.properties)?,
                &message.body[..],
            ])?;
        self.tell(HubEvent::MessageQueued {
            id: id.clone(),
            expires: message.expires,
        });
        Ok(())
    }

    /// Locks the oldest messages that nobody has.
    pub(crate) fn receive_messages(
        &mut self,
        id: &ClientId,
        take: &Take,
        now: Timestamp,
    ) -> Result<Vec<Message>, StoreError> {
        let identity = self.identity(id)?;
        self.overdue_messages_of(identity, now)?;
        let mut room = take.at_most;
        if take.on_connection {
            let sql = "SELECT count(*) FROM messages WHERE identity = ?1 AND lock_token IS NOT NULL AND on_connection";
            let taken: usize = self.sql.prepare_cached(sql)?.query_row([identity], |row| row.get(0))?;
            room = room.saturating_sub(taken);
        }
        let mut statement = self.sql.prepare_cached(
            "SELECT sequence, properties, body, enqueued, delivery_count FROM messages
             WHERE identity = ?1 AND lock_token IS NULL ORDER BY sequence LIMIT ?2",
        )?;
        let rows = statement.query_map(params![identity, room], |row| {
            let sequence = row.get(0)?;
            let properties = row.get_ref(1)?.as_str()?;
            Ok(Message {
                sequence,
                properties: serde_json::from_str(properties).unwrap_or_default(),
                body: row.get::<_, Vec<u8>>(2)?.into(),
                enqueued: Timestamp::parse(row.get_ref(3)?.as_str()?).unwrap_or(now),
                delivery_count: row.get(4)?,
                lock_token: token(take.nonce, sequence),
            })
        })?;
        let messages = rows.collect::<Result<Vec<_>, _>>()?;
        let locked_until = now.after(take.lock.min(LONGEST_LOCK)).to_string();
        let mut lock = self.sql.prepare_cached(
            "UPDATE messages SET lock_token = ?2, locked_until = ?3, on_connection = ?4 WHERE sequence = ?1",
        )?;
        for message in &messages {
            lock.execute(params![
                message.sequence,
                message.lock_token,
                locked_until,
                take.on_connection
            ])?;
        }
        Ok(messages)
    }

    /// Fails with `DeviceMessageLockLost` when nothing is locked with this token any more.
    pub(crate) fn settle_message(
        &mut self,
        id: &ClientId,
        lock_token: &str,
        how: Settlement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let identity = self.identity(id)?;
        self.overdue_messages_of(identity, now)?;
        let found: Option<i64> = self
            .sql
            .prepare_cached("SELECT sequence FROM messages WHERE identity = ?1 AND lock_token = ?2")?
            .query_row(params![identity, lock_token], |row| row.get(0))
            .optional()?;
        let sequence = found.ok_or_else(lock_lost)?;
        match how {
            Settlement::Complete => self.remove_message(sequence, Outcome::Success, now),
            Settlement::Reject => self.remove_message(sequence, Outcome::Rejected, now),
            Settlement::Abandon => self.put_back_message(sequence, now),
        }
    }

    /// Empties a queue, locked messages included; returns how many there were.
    pub(crate) fn purge_messages(&mut self, id: &ClientId, now: Timestamp) -> Result<usize, StoreError> {
        let identity = self.identity(id)?;
        self.overdue_messages_of(identity, now)?;
        let all = self.message_sequences("SELECT sequence FROM messages WHERE identity = ?1", params![identity])?;
        for sequence in &all {
            self.remove_message(*sequence, Outcome::Purged, now)?;
        }
        Ok(all.len())
    }

    /// What a connection had and did not settle is for the next one.
    pub(super) fn release_messages(&mut self, identity: i64, now: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT sequence FROM messages WHERE identity = ?1 AND lock_token IS NOT NULL AND on_connection";
        for sequence in self.message_sequences(sql, params![identity])? {
            self.put_back_message(sequence, now)?;
        }
        Ok(())
    }

    /// Does what time has done to all queues, a bounded part of it; returns when to go on.
    pub(crate) fn overdue_messages(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let due = self.message_sequences(
            "SELECT sequence FROM messages WHERE coalesce(locked_until, expires) <= ?1 LIMIT ?2",
            params![now.to_string(), OVERDUE_BATCH],
        )?;
        for sequence in due {
            self.put_back_or_expire_message(sequence, now)?;
        }
        next_deadline(self.sql)
    }

    fn overdue_messages_of(&mut self, identity: i64, now: Timestamp) -> Result<(), StoreError> {
        let due = self.message_sequences(
            "SELECT sequence FROM messages
             WHERE identity = ?1 AND (coalesce(locked_until, expires) <= ?2 OR locked_until > ?3)",
            params![identity, now.to_string(), now.after(LONGEST_LOCK).to_string()],
        )?;
        for sequence in due {
            self.put_back_or_expire_message(sequence, now)?;
        }
        Ok(())
    }

    fn message_sequences(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.sql.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn put_back_or_expire_message(&mut self, sequence: i64, now: Timestamp) -> Result<(), StoreError> {
        let locked: bool = self
            .sql
            .prepare_cached("SELECT lock_token IS NOT NULL FROM messages WHERE sequence = ?1")?
            .query_row([sequence], |row| row.get(0))?;
        if locked {
            self.put_back_message(sequence, now)
        } else {
            self.remove_message(sequence, Outcome::Expired, now)
        }
    }

    /// Ends a lock. A message that was delivered often enough, or expired meanwhile, is not
    /// delivered again.
    fn put_back_message(&mut self, sequence: i64, now: Timestamp) -> Result<(), StoreError> {
        let (deliveries, expires, device, module) = self
            .sql
            .prepare_cached(
                "UPDATE messages SET lock_token = NULL, locked_until = NULL, on_connection = 0,
                    delivery_count = delivery_count + 1 WHERE sequence = ?1
                 RETURNING delivery_count, expires, (SELECT device_id FROM identities WHERE id = identity),
                    (SELECT module_id FROM identities WHERE id = identity)",
            )?
            .query_row([sequence], |row| {
                Ok((
                    row.get::<_, u32>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })?;
        let expires = Timestamp::parse(&expires).unwrap_or(now);
        if deliveries >= MAX_DELIVERIES {
            return self.remove_message(sequence, Outcome::DeliveryCountExceeded, now);
        }
        if expires <= now {
            return self.remove_message(sequence, Outcome::Expired, now);
        }
        let module = (!module.is_empty()).then_some(module.as_str());
        let id = ClientId::new(&device, module).map_err(|_| rusqlite::Error::InvalidQuery)?;
        self.tell(HubEvent::MessageQueued { id, expires });
        Ok(())
    }

    /// Takes a message out of its queue for good, with the feedback its sender asked for.
    fn remove_message(&mut self, sequence: i64, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        let (properties, device_id, device_generation_id) = self
            .sql
            .prepare_cached(
                "DELETE FROM messages WHERE sequence = ?1
                 RETURNING properties, (SELECT device_id FROM identities WHERE id = identity),
                    (SELECT generation_id FROM identities WHERE id = identity)",
            )?
            .query_row([sequence], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
            })?;
        let properties: Properties = serde_json::from_str(&properties).unwrap_or_default();
        let ack = properties
            .get(SystemProperty::Ack)
            .and_then(Ack::parse)
            .unwrap_or_default();
        if !ack.wants(outcome) {
            return Ok(());
        }
        self.keep_feedback(
            &FeedbackRecord {
                original_message_id: properties.get(SystemProperty::MessageId).map(str::to_owned),
                enqueued_time_utc: now,
                status_code: outcome,
                description: outcome.description().to_owned(),
                device_id,
                device_generation_id,
            },
            now,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hub_protocol::{DeviceId, identity::DeviceIdentity};
    use proptest::prelude::*;

    use super::*;
    use crate::store::{IfMatch, migrations};

    #[derive(Debug, Clone)]
    enum Step {
        Send {
            life: u64,
        },
        Receive {
            at_most: usize,
            on_connection: bool,
        },
        /// The nth lock that was ever given, lost or not.
        Settle {
            nth: usize,
            how: Settlement,
        },
        Reconnect,
        /// Seconds, and whether the timer looks then.
        Wait {
            seconds: u64,
            timer: bool,
        },
        Purge,
    }

    fn step() -> impl Strategy<Value = Step> {
        let how = prop_oneof![
            Just(Settlement::Complete),
            Just(Settlement::Reject),
            Just(Settlement::Abandon)
        ];
        prop_oneof![
            8 => (1..600_u64).prop_map(|life| Step::Send { life }),
            4 => (1..20_usize, any::<bool>())
                .prop_map(|(at_most, on_connection)| Step::Receive { at_most, on_connection }),
            4 => (0..100_usize, how).prop_map(|(nth, how)| Step::Settle { nth, how }),
            1 => Just(Step::Reconnect),
            2 => (1..100_u64, any::<bool>()).prop_map(|(seconds, timer)| Step::Wait { seconds, timer }),
            1 => Just(Step::Purge),
        ]
    }

    struct Bench {
        sql: Connection,
        id: ClientId,
        now: Timestamp,
        nonce: u8,
    }

    impl Bench {
        fn new() -> Self {
            let sql = Connection::open_in_memory().unwrap();
            migrations::run(&sql).unwrap();
            let now = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
            let device = DeviceId::new("d").unwrap();
            let bench = Self {
                sql,
                id: device.clone().into(),
                now,
                nonce: 0,
            };
            let made = bench
                .transaction()
                .put_device(&DeviceIdentity::new(device), &IfMatch::None, now);
            made.unwrap();
            bench
        }

        fn transaction(&self) -> Transaction<'_> {
            Transaction {
                sql: &self.sql,
                events: Vec::new(),
            }
        }

        fn send(&self, message_id: usize, life: u64) -> Result<(), StoreError> {
            let mut properties = Properties::default();
            properties
                .system
                .insert(SystemProperty::MessageId, message_id.to_string());
            properties.system.insert(SystemProperty::Ack, "full".into());
            let message = NewMessage {
                properties,
                body: Bytes::new(),
                expires: self.now.after(Duration::from_secs(life)),
            };
            self.transaction().enqueue_message(&self.id, &message, self.now)
        }

        fn receive(&mut self, at_most: usize, on_connection: bool) -> Vec<Message> {
            self.nonce = self.nonce.wrapping_add(1);
            let take = Take {
                at_most,
                on_connection,
                lock: Duration::from_secs(60),
                nonce: [self.nonce; 16],
            };
            self.transaction().receive_messages(&self.id, &take, self.now).unwrap()
        }

        fn settle(&self, lock_token: &str, how: Settlement) -> bool {
            self.transaction()
                .settle_message(&self.id, lock_token, how, self.now)
                .is_ok()
        }

        fn reconnect(&self) {
            self.transaction().connect(&self.id, false, None, self.now).unwrap();
        }

        fn count(&self, of: &str) -> usize {
            let sql = format!("SELECT count(*) FROM messages WHERE {of}");
            self.sql.query_row(&sql, [], |row| row.get(0)).unwrap()
        }

        /// How often each message met an outcome.
        fn outcomes(&self) -> BTreeMap<usize, usize> {
            let mut statement = self.sql.prepare("SELECT record FROM feedback").unwrap();
            let records = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            let mut outcomes = BTreeMap::new();
            for record in records {
                let record: FeedbackRecord = serde_json::from_str(&record.unwrap()).unwrap();
                let message_id = record.original_message_id.unwrap().parse().unwrap();
                *outcomes.entry(message_id).or_default() += 1;
            }
            outcomes
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_queue_is_bounded_and_in_order_and_each_message_leaves_it_once(steps in prop::collection::vec(step(), 1..120)) {
            let mut bench = Bench::new();
            let mut accepted = 0;
            let mut locks: Vec<String> = Vec::new();
            for step in steps {
                match step {
                    Step::Send { life } => {
                        let full = bench.count("1") >= QUEUE;
                        let sent = bench.send(accepted, life).is_ok();
                        // A full queue may have made room by what time did.
                        prop_assert!(sent || full);
                        accepted += usize::from(sent);
                    }
                    Step::Receive { at_most, on_connection } => {
                        let had = bench.count("on_connection");
                        let messages = bench.receive(at_most, on_connection);
                        prop_assert!(messages.len() <= at_most);
                        if on_connection {
                            prop_assert!(bench.count("on_connection") <= at_most.max(had));
                        }
                        prop_assert!(messages.is_sorted_by_key(|message| message.sequence));
                        if let Some(last) = messages.last() {
                            let passed_over = bench.count(&format!("lock_token IS NULL AND sequence < {}", last.sequence));
                            prop_assert_eq!(passed_over, 0);
                        }
                        prop_assert!(messages.iter().all(|message| message.delivery_count < MAX_DELIVERIES));
                        locks.extend(messages.into_iter().map(|message| message.lock_token));
                    }
                    Step::Settle { nth, how } => {
                        if let Some(lock_token) = locks.get(nth) {
                            bench.settle(lock_token, how);
                            prop_assert!(!bench.settle(lock_token, how), "a lock is used up");
                        }
                    }
                    Step::Reconnect => {
                        bench.reconnect();
                        prop_assert_eq!(bench.count("on_connection"), 0);
                    }
                    Step::Wait { seconds, timer } => {
                        bench.now = bench.now.after(Duration::from_secs(seconds));
                        if timer {
                            while let Some(next) = bench.transaction().overdue_messages(bench.now).unwrap() {
                                if next > bench.now {
                                    break;
                                }
                            }
                            let due = format!("coalesce(locked_until, expires) <= '{}'", bench.now);
                            prop_assert_eq!(bench.count(&due), 0);
                        }
                    }
                    Step::Purge => {
                        bench.transaction().purge_messages(&bench.id, bench.now).unwrap();
                        prop_assert_eq!(bench.count("1"), 0);
                    }
                }
                prop_assert!(bench.count("1") <= QUEUE);
                let outcomes = bench.outcomes();
                prop_assert!(outcomes.values().all(|times| *times == 1), "one outcome each: {:?}", outcomes);
                prop_assert_eq!(outcomes.len() + bench.count("1"), accepted);
            }
        }
    }

    #[test]
    fn a_lock_lapses_with_its_time_and_gives_the_message_back_at_its_old_place() {
        let mut bench = Bench::new();
        for message in 0..3 {
            bench.send(message, 600).unwrap();
        }
        let first = bench.receive(1, false).remove(0);
        let second = bench.receive(1, true).remove(0);
        assert!(first.sequence < second.sequence);
        bench.now = bench.now.after(Duration::from_secs(60));
        assert!(!bench.settle(&first.lock_token, Settlement::Complete), "to the second");
        let again: Vec<_> = bench
            .receive(3, false)
            .iter()
            .map(|m| (m.sequence, m.delivery_count))
            .collect();
        assert_eq!(
            again,
            [(first.sequence, 1), (second.sequence, 1), (second.sequence + 1, 0)]
        );
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_a_lock() {
        let mut bench = Bench::new();
        bench.send(0, 600).unwrap();
        assert_eq!(bench.receive(1, false).len(), 1);
        bench.now = bench.now.before(Duration::from_secs(3600));
        assert_eq!(bench.receive(1, false).len(), 1);
    }

    #[test]
    fn a_lock_token_looks_like_a_uuid_and_differs_by_message() {
        let token = |sequence| super::token([0xab; 16], sequence);
        assert_eq!(token(0), "abababab-abab-abab-abab-abababababab");
        assert_ne!(token(1), token(2));
    }
}
