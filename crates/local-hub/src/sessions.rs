//! Who is connected, and which direct methods wait for an answer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hub_protocol::{
    ClientId, HubError,
    method::MethodResponse,
    topic::{Filter, Subscription},
};
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

/// One connection of one device or module.
pub(crate) struct Session {
    outbox: mpsc::Sender<Outgoing>,
    subscribed: Mutex<Vec<Subscription>>,
    /// Messages may wait for the device.
    pub(crate) messages: Notify,
    /// Cancelled to close the socket: takeover, disabled, deleted, too slow, or the hub's end.
    pub(crate) close: CancellationToken,
}

impl Session {
    pub(crate) fn new(outbox: mpsc::Sender<Outgoing>, close: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            subscribed: Mutex::default(),
            messages: Notify::new(),
            close,
        })
    }

    pub(crate) fn is_subscribed(&self, filter: Filter) -> bool {
        self.subscription(filter).is_some()
    }

    pub(crate) fn subscription(&self, filter: Filter) -> Option<Subscription> {
        let subscribed = lock(&self.subscribed);
        subscribed
            .iter()
            .copied()
            .find(|subscription| subscription.filter == filter)
    }

    /// Returns those that are new, or have another QoS than before.
    pub(crate) fn changed(&self, asked: &[Subscription]) -> Vec<Subscription> {
        let subscribed = lock(&self.subscribed);
        let changed = asked.iter().copied();
        changed
            .filter(|subscription| !subscribed.contains(subscription))
            .collect()
    }

    pub(crate) fn subscribe(&self, asked: &[Subscription]) {
        let mut subscribed = lock(&self.subscribed);
        for subscription in asked {
            match subscribed.iter_mut().find(|known| known.filter == subscription.filter) {
                Some(known) => *known = *subscription,
                None => subscribed.push(*subscription),
            }
        }
    }

    pub(crate) fn unsubscribe(&self, filters: &[Filter]) {
        lock(&self.subscribed).retain(|subscription| !filters.contains(&subscription.filter));
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

/// A method call that waits for the answer of its device.
struct Waiting {
    request: u64,
    answer: oneshot::Sender<Result<MethodResponse, HubError>>,
}

/// Shared by every connection. The locks are std mutexes: held for a map operation, never
/// across an await.
#[derive(Default)]
pub(crate) struct Sessions {
    /// In order, so that a device's modules stand behind it.
    connected: Mutex<BTreeMap<ClientId, Arc<Session>>>,
    waiting: Mutex<HashMap<ClientId, Vec<Waiting>>>,
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

    pub(crate) fn count(&self) -> usize {
        lock(&self.connected).len()
    }

    pub(crate) fn get(&self, id: &ClientId) -> Option<Arc<Session>> {
        lock(&self.connected).get(id).cloned()
    }

    /// Closes what is connected of `id`; of a device also its modules.
    pub(crate) fn close(&self, id: &ClientId) {
        let connected = lock(&self.connected);
        let closed = connected
            .range(id..)
            .take_while(|(found, _)| *found == id || (!id.is_module() && found.device_id == id.device_id));
        closed.for_each(|(_, session)| session.close.cancel());
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
    pub(crate) fn expect_answer(&self, id: &ClientId) -> Option<PendingMethod<'_>> {
        let mut waiting = lock(&self.waiting);
        let of_device = waiting.entry(id.clone()).or_default();
        if of_device.len() >= METHODS_IN_FLIGHT {
            return None;
        }
        let request = self.next_request.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, receiver) = oneshot::channel();
        of_device.push(Waiting { request, answer });
        Some(PendingMethod {
            sessions: self,
            id: id.clone(),
            request,
            answer: receiver,
        })
    }

    /// Hands a device's answer to its caller; a late or foreign one is dropped.
    pub(crate) fn answer(&self, id: &ClientId, request_id: &str, response: Result<MethodResponse, HubError>) {
        let Ok(request) = u64::from_str_radix(request_id, 16) else {
            return;
        };
        if let Some(found) = self.take(id, request) {
            // The caller may have just given up.
            let _ = found.answer.send(response);
        }
    }

    fn take(&self, id: &ClientId, request: u64) -> Option<Waiting> {
        let mut waiting = lock(&self.waiting);
        let of_device = waiting.get_mut(id)?;
        let place = of_device.iter().position(|waiting| waiting.request == request)?;
        let found = of_device.swap_remove(place);
        if of_device.is_empty() {
            waiting.remove(id);
        }
        Some(found)
    }
}

/// Forgets its request when dropped, however the call ended.
pub(crate) struct PendingMethod<'a> {
    sessions: &'a Sessions,
    id: ClientId,
    request: u64,
    pub(crate) answer: oneshot::Receiver<Result<MethodResponse, HubError>>,
}

impl PendingMethod<'_> {
    /// Letters and digits only: some clients take all of the topic behind it (device.md 5).
    pub(crate) fn request_id(&self) -> String {
        format!("{:x}", self.request)
    }
}

impl Drop for PendingMethod<'_> {
    fn drop(&mut self) {
        self.sessions.take(&self.id, self.request);
    }
}
