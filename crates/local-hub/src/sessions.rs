//! Who is connected, and which direct methods wait for an answer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hub_protocol::{ClientId, method::MethodResponse, topic::Filter};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Messages to a device that may wait for its socket; a device slower than that is closed.
pub(crate) const OUTBOX: usize = 64;
/// Methods that may be under way on one device.
const METHODS_IN_FLIGHT: usize = 32;

/// A message from the hub to a device, at QoS 0.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub topic: String,
    pub payload: Bytes,
}

/// One connection of one device.
pub(crate) struct Session {
    outbox: mpsc::Sender<Outgoing>,
    subscribed: Mutex<Vec<Filter>>,
    /// Cancelled to close the socket: takeover, disabled, deleted, too slow.
    pub(crate) close: CancellationToken,
}

impl Session {
    pub(crate) fn new(outbox: mpsc::Sender<Outgoing>, close: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            subscribed: Mutex::default(),
            close,
        })
    }

    pub(crate) fn is_subscribed(&self, filter: Filter) -> bool {
        lock(&self.subscribed).contains(&filter)
    }

    /// Returns those that were not subscribed before.
    pub(crate) fn missing(&self, filters: &[Filter]) -> Vec<Filter> {
        let subscribed = lock(&self.subscribed);
        filters
            .iter()
            .copied()
            .filter(|filter| !subscribed.contains(filter))
            .collect()
    }

    pub(crate) fn subscribe(&self, filters: &[Filter]) {
        let mut subscribed = lock(&self.subscribed);
        for filter in filters {
            if !subscribed.contains(filter) {
                subscribed.push(*filter);
            }
        }
    }

    pub(crate) fn unsubscribe(&self, filters: &[Filter]) {
        lock(&self.subscribed).retain(|filter| !filters.contains(filter));
    }

    /// Never blocks: a full outbox closes the connection, the device reads afresh after it.
    pub(crate) fn send(&self, message: Outgoing) -> bool {
        let sent = self.outbox.try_send(message).is_ok();
        if !sent {
            self.close.cancel();
        }
        sent
    }
}

struct Waiting {
    id: ClientId,
    answer: oneshot::Sender<MethodResponse>,
}

/// Shared by every connection. The locks are std mutexes: held for a map operation, never
/// across an await.
#[derive(Default)]
pub(crate) struct Sessions {
    connected: Mutex<HashMap<ClientId, Arc<Session>>>,
    waiting: Mutex<HashMap<String, Waiting>>,
    next_request: AtomicU64,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// The newest connection of an identity wins; the one before it is closed.
    pub(crate) fn insert(&self, id: ClientId, session: Arc<Session>) {
        let before = lock(&self.connected).insert(id, session);
        if let Some(before) = before {
            before.close.cancel();
        }
        self.changed.notify_waiters();
    }

    /// Removes `session` if it is still its device's; says whether it was.
    pub(crate) fn remove(&self, id: &ClientId, session: &Arc<Session>) -> bool {
        let mut connected = lock(&self.connected);
        let current = connected.get(id).is_some_and(|found| Arc::ptr_eq(found, session));
        if current {
            connected.remove(id);
        }
        current
    }

    pub(crate) fn get(&self, id: &ClientId) -> Option<Arc<Session>> {
        lock(&self.connected).get(id).cloned()
    }

    pub(crate) fn close(&self, id: &ClientId) {
        if let Some(session) = self.get(id) {
            session.close.cancel();
        }
    }

    /// To be called after a subscription became active.
    pub(crate) fn subscriptions_changed(&self) {
        self.changed.notify_waiters();
    }

    /// The device's session once it takes methods; waits as long as the caller lets it.
    pub(crate) async fn taking_methods(&self, id: &ClientId) -> Arc<Session> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            if let Some(session) = self.get(id).filter(|session| session.is_subscribed(Filter::Methods)) {
                return session;
            }
            changed.await;
        }
    }

    /// A place for an answer, or `None` when the device has too many methods under way. The
    /// place outlives the connection: a device may answer after a reconnect.
    pub(crate) fn expect_answer(
        &self,
        id: &ClientId,
    ) -> Option<(PendingMethod<'_>, oneshot::Receiver<MethodResponse>)> {
        let mut waiting = lock(&self.waiting);
        if waiting.values().filter(|waiting| waiting.id == *id).count() >= METHODS_IN_FLIGHT {
            return None;
        }
        let request_id = format!("{:x}", self.next_request.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, receiver) = oneshot::channel();
        waiting.insert(request_id.clone(), Waiting { id: id.clone(), answer });
        Some((
            PendingMethod {
                sessions: self,
                request_id,
            },
            receiver,
        ))
    }

    /// Hands a device's answer to its caller; a late or foreign one is dropped.
    pub(crate) fn answer(&self, id: &ClientId, request_id: &str, response: MethodResponse) {
        let mut waiting = lock(&self.waiting);
        if waiting.get(request_id).is_some_and(|found| found.id == *id)
            && let Some(found) = waiting.remove(request_id)
        {
            // The caller may have just given up.
            let _ = found.answer.send(response);
        }
    }
}

/// Forgets its request when dropped, however the call ended.
pub(crate) struct PendingMethod<'a> {
    sessions: &'a Sessions,
    pub(crate) request_id: String,
}

impl Drop for PendingMethod<'_> {
    fn drop(&mut self) {
        lock(&self.sessions.waiting).remove(&self.request_id);
    }
}
