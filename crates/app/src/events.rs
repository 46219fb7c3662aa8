//! Facts for the window, gathered and sent at most 20 times a second.
//!
//! What is pending is a set of names, not of documents: a device that changed a hundred times in
//! between is one row. A window that does not keep up loses nothing but time: its batch is
//! dropped, and it is told to read afresh.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_protocol::DeviceId;
use tokio::sync::{Notify, mpsc};

use crate::view::{AppEvent, ConsoleLine, LocalHubCounters, MethodCall, ProtocolLine};

pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Batches a window may be behind.
const BEHIND: usize = 64;
/// Lines of a log in one batch; the newest stay.
const LINES: usize = 400;
/// Rows in one batch.
const ROWS: usize = 200;

#[derive(Default)]
pub(crate) struct Pending {
    pub state: bool,
    pub reset: bool,
    pub rows: BTreeSet<DeviceId>,
    pub removed: BTreeSet<DeviceId>,
    /// Watched twins, with the dotted paths that changed.
    pub twins: BTreeMap<DeviceId, BTreeSet<String>>,
    pub calls: Vec<MethodCall>,
    /// Updates, with the devices whose stage changed.
    pub updates: BTreeMap<u32, BTreeSet<DeviceId>>,
    /// Ids of jobs.
    pub jobs: BTreeSet<String>,
    /// The local hub's, as last read.
    pub counters: Option<LocalHubCounters>,
    /// What the client that is being watched and the local hub said.
    pub protocol: Option<Log<ProtocolLine>>,
    /// The console of the simulated device that is being watched.
    pub console: Option<Log<ConsoleLine>>,
    pub fleets: bool,
    /// Devices of whose twins something was stored.
    pub history: BTreeSet<DeviceId>,
    /// Simulated devices of the fleet that is being watched, whose state changed.
    pub dots: BTreeSet<DeviceId>,
}

/// Whose lines, and the lines.
pub(crate) type Log<L> = (String, VecDeque<L>);

/// Lines of another one than those that wait take their place.
fn log<L>(waiting: &mut Option<Log<L>>, whose: &str, lines: impl Iterator<Item = L>) {
    match waiting {
        Some((known, waiting)) if known == whose => {
            waiting.extend(lines);
            let over = waiting.len().saturating_sub(LINES);
            waiting.drain(..over);
        }
        other => *other = Some((whose.to_owned(), lines.collect())),
    }
}

impl Pending {
    pub(crate) fn protocol(&mut self, client: &str, lines: impl Iterator<Item = ProtocolLine>) {
        log(&mut self.protocol, client, lines);
    }

    pub(crate) fn console(&mut self, device: &str, lines: impl Iterator<Item = ConsoleLine>) {
        log(&mut self.console, device, lines);
    }
}

/// Leaves the first rows, and gives those after them.
fn first(rows: &mut BTreeSet<DeviceId>) -> BTreeSet<DeviceId> {
    match rows.iter().nth(ROWS).cloned() {
        Some(next) => rows.split_off(&next),
        None => BTreeSet::new(),
    }
}

#[derive(Default)]
pub(crate) struct Events {
    pending: Mutex<Pending>,
    wake: Notify,
    windows: Mutex<Vec<Window>>,
}

struct Window {
    sender: mpsc::Sender<Vec<AppEvent>>,
    missed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    pub(crate) fn note(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut lock(&self.pending));
        self.wake.notify_one();
    }

    pub(crate) fn state_changed(&self) {
        self.note(|pending| pending.state = true);
    }

    pub(crate) fn subscribe(&self) -> mpsc::Receiver<Vec<AppEvent>> {
        let (sender, receiver) = mpsc::channel(BEHIND);
        lock(&self.windows).push(Window { sender, missed: false });
        receiver
    }

    /// What has gathered since the last call; waits until there is something. Of many rows only
    /// the first [`ROWS`], so that no batch makes the window stall; the others come with the next.
    pub(crate) async fn next(&self) -> Pending {
        self.wake.notified().await;
        let mut pending = lock(&self.pending);
        let rest = first(&mut pending.rows);
        let more = !rest.is_empty();
        let taken = std::mem::take(&mut *pending);
        pending.rows = rest;
        drop(pending);
        if more {
            self.wake.notify_one();
        }
        taken
    }

    pub(crate) fn send(&self, batch: &[AppEvent]) {
        lock(&self.windows).retain_mut(|window| {
            let mut events = batch.to_vec();
            if window.missed {
                events.insert(0, AppEvent::DevicesReset);
            }
            match window.sender.try_send(events) {
                Ok(()) => {
                    window.missed = false;
                    true
                }
                Err(mpsc::error::TrySendError::Full(_)) => {
                    window.missed = true;
                    // Tried again with the next batch, and that one must come.
                    self.wake.notify_one();
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_window_that_fell_behind_is_told_to_read_afresh() {
        let events = Events::default();
        let mut window = events.subscribe();
        for _ in 0..=BEHIND {
            events.send(&[]);
        }
        while window.try_recv().is_ok() {}
        events.send(&[]);
        assert_eq!(window.recv().await, Some(vec![AppEvent::DevicesReset]));
    }

    #[test]
    fn lines_that_wait_are_of_one_client_and_bounded() {
        let line = |sequence| ProtocolLine {
            sequence,
            at: String::new(),
            kind: crate::view::LineKind::Sent,
            text: String::new(),
        };
        let most = u64::try_from(LINES).unwrap();
        let mut pending = Pending::default();
        pending.protocol("a", (0..most).map(line));
        pending.protocol("a", std::iter::once(line(most)));
        let (client, lines) = pending.protocol.as_ref().unwrap();
        assert_eq!((client.as_str(), lines.len(), lines[0].sequence), ("a", LINES, 1));
        pending.protocol("b", std::iter::once(line(0)));
        assert_eq!(pending.protocol.unwrap().1.len(), 1);
    }

    #[tokio::test]
    async fn a_flood_of_rows_comes_in_batches_and_none_is_lost() {
        let events = Events::default();
        let ids = (0..2 * ROWS + 1).map(|number| DeviceId::new(format!("d{number}")).unwrap());
        events.note(|pending| pending.rows.extend(ids));
        let mut batches = Vec::new();
        for _ in 0..3 {
            batches.push(events.next().await.rows.len());
        }
        assert_eq!(batches, [ROWS, ROWS, 1]);
    }

    #[tokio::test]
    async fn many_changes_of_one_device_are_one_row() {
        let events = Events::default();
        let id = DeviceId::new("d").unwrap();
        for _ in 0..100 {
            events.note(|pending| {
                pending.rows.insert(id.clone());
            });
        }
        assert_eq!(events.next().await.rows.len(), 1);
    }
}
