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

use crate::view::{AppEvent, LocalHubCounters, MethodCall, ProtocolLine};

pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Batches a window may be behind.
const BEHIND: usize = 8;
/// Lines of the protocol log in one batch; the newest stay.
const LINES: usize = 400;

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
    /// The local hub's, as last read.
    pub counters: Option<LocalHubCounters>,
    /// What the client that is being watched and the local hub said.
    pub protocol: Option<(String, VecDeque<ProtocolLine>)>,
}

impl Pending {
    /// Lines of another client than those that wait take their place.
    pub(crate) fn protocol(&mut self, client: &str, lines: impl Iterator<Item = ProtocolLine>) {
        match &mut self.protocol {
            Some((known, waiting)) if known == client => {
                waiting.extend(lines);
                let over = waiting.len().saturating_sub(LINES);
                waiting.drain(..over);
            }
            other => *other = Some((client.to_owned(), lines.collect())),
        }
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

    /// What has gathered since the last call; waits until there is something.
    pub(crate) async fn next(&self) -> Pending {
        self.wake.notified().await;
        std::mem::take(&mut *lock(&self.pending))
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
