//! What devices and the hub say to each other, a line a packet, for a person who looks on.
//!
//! Only devices that somebody watches are recorded. A connection asks one atomic number before
//! each packet whether anything about that has changed; the lock is taken when it has.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hub_protocol::{ClientId, Timestamp};
use tokio::sync::Notify;

/// Lines kept of one device.
const LINES: usize = 200;
/// Devices and modules watched at once.
const WATCHED: usize = 64;
/// Refusals kept, of all clients together.
const REFUSALS: usize = 50;
/// Characters kept of what a stranger calls itself: a device's id, a slash and a module's.
const NAME: usize = 257;

/// What a line of the protocol log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// A packet of the device.
    Received,
    /// A packet of the hub.
    Sent,
    /// The connection ended.
    Closed,
    /// The connection was not taken, or was ended for something the device did.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolLine {
    /// Counts from 0 for each watched device, without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    pub kind: LineKind,
    /// One line that says what the packet means. Holds no token, and of a body its beginning.
    pub text: String,
}

/// A client that was turned away. Kept whether or not anybody watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub at: Timestamp,
    /// What the client called itself, where it came so far: not to be trusted.
    pub client: Option<String>,
    pub reason: String,
}

/// As many devices are watched as can be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{WATCHED} devices are being watched already")]
pub struct TooManyWatched;

#[derive(Default)]
pub(crate) struct ProtocolLog {
    /// Moves on whenever who is watched changes.
    epoch: AtomicU64,
    watched: Mutex<HashMap<String, Watched>>,
    refusals: Mutex<VecDeque<Refusal>>,
}

struct Watched {
    ring: Arc<Ring>,
    watches: usize,
}

#[derive(Default)]
struct Ring {
    lines: Mutex<Lines>,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<ProtocolLine>,
    next: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    fn push(&self, at: Timestamp, kind: LineKind, text: String) {
        let mut lines = lock(&self.lines);
        if lines.kept.len() == LINES {
            lines.kept.pop_front();
        }
        let sequence = lines.next;
        lines.next += 1;
        lines.kept.push_back(ProtocolLine {
            sequence,
            at,
            kind,
            text,
        });
        drop(lines);
        self.changed.notify_one();
    }
}

impl ProtocolLog {
    pub(crate) fn watch(self: &Arc<Self>, client: &ClientId) -> Result<ProtocolWatch, TooManyWatched> {
        let client = client.to_string();
        let mut watched = lock(&self.watched);
        if watched.len() >= WATCHED && !watched.contains_key(&client) {
            return Err(TooManyWatched);
        }
        let entry = watched.entry(client.clone()).or_insert_with(|| Watched {
            ring: Arc::default(),
            watches: 0,
        });
        entry.watches += 1;
        let ring = entry.ring.clone();
        self.epoch.fetch_add(1, Ordering::Release);
        drop(watched);
        Ok(ProtocolWatch {
            log: self.clone(),
            client,
            ring,
        })
    }

    /// The writing end for a connection of `client`, which need not be anybody.
    pub(crate) fn trace(self: &Arc<Self>, client: &str) -> Trace {
        Trace {
            log: self.clone(),
            client: client.chars().take(NAME).collect(),
            epoch: 0,
            ring: None,
        }
    }

    pub(crate) fn refused(&self, at: Timestamp, client: Option<&str>, reason: String) {
        let client = client.map(|client| client.chars().filter(|c| !c.is_control()).take(NAME).collect());
        let mut refusals = lock(&self.refusals);
        if refusals.len() == REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(Refusal { at, client, reason });
    }

    /// Oldest first.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        lock(&self.refusals).iter().cloned().collect()
    }

    fn ring(&self, client: &str) -> Option<Arc<Ring>> {
        lock(&self.watched).get(client).map(|watched| watched.ring.clone())
    }

    fn unwatch(&self, client: &str) {
        let mut watched = lock(&self.watched);
        let Some(entry) = watched.get_mut(client) else { return };
        entry.watches -= 1;
        if entry.watches == 0 {
            // A silent connection holds on to the ring until its next packet.
            lock(&entry.ring.lines).kept.clear();
            watched.remove(client);
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }
}

/// One connection's way into the log.
pub(crate) struct Trace {
    log: Arc<ProtocolLog>,
    client: Box<str>,
    epoch: u64,
    ring: Option<Arc<Ring>>,
}

impl Trace {
    /// Writes what `text` makes, if somebody watches this client.
    pub(crate) fn note(&mut self, kind: LineKind, at: impl FnOnce() -> Timestamp, text: impl FnOnce(&str) -> String) {
        let epoch = self.log.epoch.load(Ordering::Acquire);
        if epoch != self.epoch {
            self.epoch = epoch;
            self.ring = self.log.ring(&self.client);
        }
        if let Some(ring) = &self.ring {
            ring.push(at(), kind, text(&self.client));
        }
    }
}

/// A device is recorded as long as a watch on it lives.
pub struct ProtocolWatch {
    log: Arc<ProtocolLog>,
    client: String,
    ring: Arc<Ring>,
}

impl ProtocolWatch {
    /// The lines from `sequence` on that are still kept, oldest first: at most 200.
    pub fn since(&self, sequence: u64) -> Vec<ProtocolLine> {
        let lines = lock(&self.ring.lines);
        let wanted = lines.kept.iter().filter(|line| line.sequence >= sequence);
        wanted.cloned().collect()
    }

    /// Returns once there are lines that were not there at the last return. Cancel-safe; for one
    /// reader of a device at a time.
    pub async fn changed(&self) {
        self.ring.changed.notified().await;
    }
}

impl Drop for ProtocolWatch {
    fn drop(&mut self) {
        self.log.unwatch(&self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str) -> ClientId {
        ClientId::new(id, None).unwrap()
    }

    fn say(trace: &mut Trace, text: &str) {
        trace.note(LineKind::Received, || Timestamp::NEVER, |_| text.to_owned());
    }

    fn texts(watch: &ProtocolWatch, sequence: u64) -> Vec<String> {
        watch.since(sequence).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn what_nobody_watches_is_not_even_put_into_words() {
        let log = Arc::new(ProtocolLog::default());
        let mut trace = log.trace("d");
        let unheard = |_: &str| -> String { panic!("nobody watches") };
        trace.note(LineKind::Sent, || Timestamp::NEVER, unheard);
        let _other = log.watch(&client("e")).unwrap();
        trace.note(LineKind::Sent, || Timestamp::NEVER, unheard);
    }

    #[test]
    fn a_connection_is_heard_while_it_is_watched_and_not_before_or_after() {
        let log = Arc::new(ProtocolLog::default());
        let mut trace = log.trace("d");
        say(&mut trace, "before");
        let watch = log.watch(&client("d")).unwrap();
        say(&mut trace, "during");
        assert_eq!(texts(&watch, 0), ["during"]);
        let second = log.watch(&client("d")).unwrap();
        drop(watch);
        say(&mut trace, "still");
        assert_eq!(texts(&second, 1), ["still"]);
        drop(second);
        say(&mut trace, "after");
        let again = log.watch(&client("d")).unwrap();
        assert_eq!(texts(&again, 0), [""; 0]);
    }

    #[test]
    fn the_newest_lines_are_kept_and_numbers_show_what_is_missing() {
        let log = Arc::new(ProtocolLog::default());
        let watch = log.watch(&client("d")).unwrap();
        let mut trace = log.trace("d");
        for number in 0..=LINES {
            say(&mut trace, &number.to_string());
        }
        let lines = watch.since(0);
        assert_eq!(
            (lines.len(), lines[0].sequence, lines[0].text.as_str()),
            (LINES, 1, "1")
        );
    }

    #[test]
    fn so_many_devices_are_watched_and_a_place_is_free_again_with_its_watch() {
        let log = Arc::new(ProtocolLog::default());
        let watch = |number: usize| log.watch(&client(&number.to_string()));
        let mut watches: Vec<_> = (0..WATCHED).map(|number| watch(number).unwrap()).collect();
        assert!(watch(WATCHED).is_err());
        assert!(watch(0).is_ok(), "one of those that are watched");
        watches.pop();
        assert!(watch(WATCHED).is_ok());
    }

    #[tokio::test]
    async fn a_reader_is_woken_by_lines_that_came_before_it_waited() {
        let log = Arc::new(ProtocolLog::default());
        let watch = log.watch(&client("d")).unwrap();
        say(&mut log.trace("d"), "said");
        watch.changed().await;
        assert_eq!(texts(&watch, 0), ["said"]);
    }

    #[test]
    fn refusals_are_bounded_and_strangers_names_are_cut_and_cleaned() {
        let log = ProtocolLog::default();
        for number in 0..=REFUSALS {
            log.refused(Timestamp::NEVER, Some(&"n\n".repeat(NAME + 1)), number.to_string());
        }
        let refusals = log.refusals();
        assert_eq!((refusals.len(), refusals[0].reason.as_str()), (REFUSALS, "1"));
        assert_eq!(refusals[0].client.as_deref(), Some("n".repeat(NAME).as_str()));
    }
}
