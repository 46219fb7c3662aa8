//! Messages from services to devices, and what became of them (device.md 4, service.md 9).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    feedback::Ack,
    message::{Properties, SystemProperty},
    topic,
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Hub, now};
use crate::{
    error::StoreError,
    sessions::Session,
    store::{FeedbackBatch, Message, NewMessage, Settlement, Take, Transaction},
};

/// Body and properties (device.md 4.2).
const MAX_SIZE: usize = 64 * 1024;
/// What MQTT can carry (device.md 2.5); percent-encoding makes three bytes of one.
const MAX_TOPIC: usize = 65_535;
const MAX_MESSAGE_ID: usize = 128;
/// A message that says nothing else is kept for this.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
const LONGEST_LIFE: Duration = Duration::from_secs(2 * 86_400);
/// What a sender may set and a device gets (device.md 4.1).
const SETTABLE: [SystemProperty; 8] = [
    SystemProperty::MessageId,
    SystemProperty::CorrelationId,
    SystemProperty::UserId,
    SystemProperty::AbsoluteExpiryTime,
    SystemProperty::ContentType,
    SystemProperty::ContentEncoding,
    SystemProperty::CreationTime,
    SystemProperty::Ack,
];

/// A clock that was set, or a machine that slept, is noticed this soon; only while messages wait.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// After storage refused.
const PAUSE: Duration = Duration::from_secs(5);

/// When time next changes a queue: a message expires, or a lock lapses.
#[derive(Default)]
pub(super) struct Deadline(watch::Sender<Option<Timestamp>>);

impl Deadline {
    /// There is something to do at `at`, if not before.
    pub(super) fn by(&self, at: Timestamp) {
        self.0.send_if_modified(|soonest| {
            let sooner = soonest.is_none_or(|soonest| at < soonest);
            if sooner {
                *soonest = Some(at);
            }
            sooner
        });
    }
}

/// What is queued for the device, or why it cannot be.
fn checked(id: &ClientId, mut properties: Properties, body: Bytes, now: Timestamp) -> Result<NewMessage, HubError> {
    let size = properties.size() + body.len();
    if size > MAX_SIZE {
        let text = format!("The message has {size} bytes, its properties included; {MAX_SIZE} is the limit.");
        return Err(HubError::new(ErrorCode::MessageTooLarge, text));
    }
    let invalid = |text: String| HubError::new(ErrorCode::ArgumentInvalid, text);
    if properties
        .get(SystemProperty::MessageId)
        .is_some_and(|id| id.len() > MAX_MESSAGE_ID)
    {
        return Err(invalid(format!(
            "A message id has at most {MAX_MESSAGE_ID} characters."
        )));
    }
    if let Some(ack) = properties.get(SystemProperty::Ack)
        && Ack::parse(ack).is_none()
    {
        return Err(invalid(format!(
            "The ack {ack:?} is none of none, positive, negative and full."
        )));
    }
    let expires = match properties.get(SystemProperty::AbsoluteExpiryTime) {
        None => now.after(DEFAULT_LIFE),
        Some(text) => {
            let expires = Timestamp::parse(text)
                .ok_or_else(|| invalid(format!("The expiry {text:?} is not a time in ISO 8601.")))?;
            if expires <= now || expires > now.after(LONGEST_LIFE) {
                let text = format!("The expiry {expires} is past, or more than two days away.");
                return Err(HubError::new(ErrorCode::InvalidMessageExpiryTime, text));
            }
            expires
        }
    };
    properties.system.retain(|name, _| SETTABLE.contains(name));
    let to = format!("/devices/{}/messages/devicebound", id.device_id);
    properties.system.insert(SystemProperty::To, to);
    if topic::cloud_to_device(id.device_str(), &properties.to_bag()).len() > MAX_TOPIC {
        let text = format!("The properties, percent-encoded, do not fit into a topic of {MAX_TOPIC} bytes.");
        return Err(HubError::new(ErrorCode::MessageTooLarge, text));
    }
    Ok(NewMessage {
        properties,
        body,
        expires,
    })
}

fn receive(
    transaction: &mut Transaction<'_>,
    id: &ClientId,
    take: &Take,
    deadline: &Deadline,
) -> Result<Vec<Message>, StoreError> {
    let now = now();
    let messages = transaction.receive_messages(id, take, now)?;
    if !messages.is_empty() {
        deadline.by(now.after(take.lock));
    }
    Ok(messages)
}

fn nonce() -> Result<[u8; 16], HubError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| HubError::new(ErrorCode::ServerError, error.to_string()))?;
    Ok(nonce)
}

impl Hub {
    /// Queued, and on disk, once this returns. Modules have no queue.
    pub(crate) async fn send_message(
        &self,
        id: &ClientId,
        properties: Properties,
        body: Bytes,
    ) -> Result<(), HubError> {
        if id.is_module() {
            let text = "Modules take no messages; only devices do.";
            return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
        }
        let (id, now) = (id.clone(), now());
        let message = checked(&id, properties, body, now)?;
        self.0.store.write(move |t| t.enqueue_message(&id, &message, now)).await
    }

    /// The oldest message that nobody has, locked.
    pub(crate) async fn receive_message(&self, id: &ClientId) -> Result<Option<Message>, HubError> {
        let take = self.take(1, false)?;
        let (id, deadline) = (id.clone(), self.0.message_deadline.clone());
        let receive = self.0.store.write(move |t| receive(t, &id, &take, &deadline));
        Ok(receive.await?.pop())
    }

    /// The next messages for a connection, so that it has at most `window` not settled. They are
    /// its own until their locks lapse or the device connects anew.
    pub(crate) async fn deliver_messages(
        &self,
        id: &ClientId,
        session: &Arc<Session>,
        window: usize,
    ) -> Result<Vec<Message>, HubError> {
        let take = self.take(window, true)?;
        let (id, session) = (id.clone(), session.clone());
        let (sessions, deadline) = (self.0.sessions.clone(), self.0.message_deadline.clone());
        let receive = self.0.store.write(move |t| {
            // A newer connection is in place before its connect is stored: nothing is locked for
            // this one after the newer one took back what was.
            let is_current = sessions.get(&id).is_some_and(|current| Arc::ptr_eq(&current, &session));
            if is_current {
                receive(t, &id, &take, &deadline)
            } else {
                Ok(Vec::new())
            }
        });
        receive.await
    }

    fn take(&self, at_most: usize, on_connection: bool) -> Result<Take, HubError> {
        Ok(Take {
            at_most,
            on_connection,
            lock: self.0.message_lock,
            nonce: nonce()?,
        })
    }

    /// `DeviceMessageLockLost` when the message is not locked with this token any more.
    pub(crate) async fn settle_message(
        &self,
        id: &ClientId,
        lock_token: &str,
        how: Settlement,
    ) -> Result<(), HubError> {
        let (id, lock_token) = (id.clone(), lock_token.to_owned());
        self.0
            .store
            .write(move |t| t.settle_message(&id, &lock_token, how, now()))
            .await?;
        if how == Settlement::Complete {
            self.tally().completed();
        }
        Ok(())
    }

    /// Returns how many messages there were.
    pub(crate) async fn purge_messages(&self, id: &ClientId) -> Result<usize, HubError> {
        let id = id.clone();
        self.0.store.write(move |t| t.purge_messages(&id, now())).await
    }

    pub(crate) async fn receive_feedback(&self) -> Result<Option<FeedbackBatch>, HubError> {
        let (lock, nonce) = (self.0.message_lock, nonce()?);
        self.0
            .store
            .write(move |t| t.receive_feedback(lock, nonce, now()))
            .await
    }

    pub(crate) async fn settle_feedback(&self, lock_token: &str, how: Settlement) -> Result<(), HubError> {
        let lock_token = lock_token.to_owned();
        self.0
            .store
            .write(move |t| t.settle_feedback(&lock_token, how, now()))
            .await
    }

    /// Lets locks lapse and messages expire when it is time; ends when `stop` is cancelled.
    pub(crate) async fn keep_message_time(self, stop: CancellationToken) {
        let deadline = &self.0.message_deadline;
        let mut soonest = deadline.0.subscribe();
        // What came due while the hub was not running.
        deadline.by(now());
        loop {
            let at = *soonest.borrow_and_update();
            let due = async {
                match at {
                    Some(at) => sleep(at.since(now()).min(LONGEST_SLEEP)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as this hub.
                _ = soonest.changed() => continue,
                () = due => {}
            }
            if at.is_none_or(|at| at > now()) {
                continue;
            }
            // Forgotten before the work is queued: what the work does not see lowers it again.
            deadline.0.send_replace(None);
            match self.0.store.write(|t| t.overdue_messages(now())).await {
                Ok(Some(next)) => deadline.by(next),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!("messages that are due could not be looked at: {error}");
                    deadline.by(now().after(PAUSE));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(properties: Properties, size: usize) -> Result<NewMessage, ErrorCode> {
        let now = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
        let id = ClientId::new("d", None).unwrap();
        checked(&id, properties, vec![b'x'; size].into(), now).map_err(|error| error.code)
    }

    fn expiring(text: &str) -> Properties {
        let mut properties = Properties::default();
        properties
            .system
            .insert(SystemProperty::AbsoluteExpiryTime, text.into());
        properties
    }

    #[test]
    fn a_message_has_at_most_64_kib_with_its_properties() {
        assert!(check(Properties::default(), MAX_SIZE).is_ok());
        assert_eq!(
            check(Properties::from_bag("a=1"), MAX_SIZE - 1).unwrap_err(),
            ErrorCode::MessageTooLarge
        );
        let mut wide = Properties::default();
        wide.application.push(("k".into(), Some("/".repeat(MAX_SIZE / 2))));
        assert_eq!(check(wide, 0).unwrap_err(), ErrorCode::MessageTooLarge);
    }

    #[test]
    fn a_message_expires_when_it_says_or_after_an_hour_and_not_beyond_two_days() {
        let expires = |text: &str| check(expiring(text), 0).map(|message| message.expires.to_string());
        assert_eq!(
            check(Properties::default(), 0).unwrap().expires.to_string(),
            "2030-01-01T01:00:00.0000000Z"
        );
        assert_eq!(
            expires("2030-01-02T01:00:00+01:00").unwrap(),
            "2030-01-02T00:00:00.0000000Z"
        );
        assert_eq!(
            expires("2030-01-01T00:00:00Z"),
            Err(ErrorCode::InvalidMessageExpiryTime)
        );
        assert_eq!(
            expires("2030-01-03T00:00:01Z"),
            Err(ErrorCode::InvalidMessageExpiryTime)
        );
        assert_eq!(expires("tomorrow"), Err(ErrorCode::ArgumentInvalid));
    }

    #[test]
    fn a_device_gets_what_a_sender_may_set_and_where_it_was_sent_to() {
        let message = check(
            Properties::from_bag("$.mid=m&$.to=elsewhere&$.cdid=other&iothub-ack=full&a=1"),
            0,
        );
        let bag = "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&%24.mid=m&iothub-ack=full&a=1";
        assert_eq!(message.unwrap().properties.to_bag(), bag);
        assert_eq!(
            check(Properties::from_bag("iothub-ack=maybe"), 0).unwrap_err(),
            ErrorCode::ArgumentInvalid
        );
    }
}
