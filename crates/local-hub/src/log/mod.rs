//! The hub's events, in order, for those who read them: telemetry, twin changes, lifecycle and
//! connections.
//!
//! As in an Event Hub there are partitions; everything of one device stands in one of them, in
//! the order it happened, under sequence numbers without gaps. Readers keep their own place and
//! take nothing away. The newest events are in memory; a thread of its own writes them behind to
//! a database, in chunks, so that an acknowledgement never waits for a disk (device.md 10, 5).
//! A clean stop loses nothing, a killed process what was younger than [`WRITE_BEHIND`]. A device
//! that sends faster than that thread writes has to wait for its acknowledgement, so nothing
//! acknowledged is dropped before it is on disk.

mod disk;
mod event;
mod facts;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hub_protocol::{ErrorCode, HubError, Timestamp};
use tokio::{sync::Notify, time::timeout};

pub(crate) use facts::fact;

pub(crate) use event::NewEvent;
pub use event::{AuthMethod, Event, MessageSource, Sender};

use crate::error::StoreError;

/// As many as a new IoT Hub has.
pub const PARTITIONS: usize = 4;
/// Bytes of events a partition keeps in memory; what is older is read from disk.
const IN_MEMORY: usize = 8 * 1024 * 1024;
const WRITE_BEHIND: Duration = Duration::from_millis(100);
/// Bytes of a partition that may wait for the disk before devices have to.
const UNWRITTEN: usize = 4 * 1024 * 1024;
/// How long a device waits for that; then it is turned away, to try again.
const ROOM_WAIT: Duration = Duration::from_secs(10);

/// How much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The default of an IoT Hub is one day.
    pub age: Duration,
    /// Bytes on disk, all partitions together.
    pub size: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(24 * 3600),
            size: 1024 * 1024 * 1024,
        }
    }
}

/// Where in a partition to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest event kept.
    Oldest,
    /// Only what comes from now on.
    Newest,
    /// Behind this sequence number.
    After(u64),
    /// With the first event enqueued at or after this time.
    At(Timestamp),
}

/// A partition's bounds, as an Event Hubs client asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionState {
    /// The oldest event kept, or the next to come when there is none.
    pub first_sequence_number: u64,
    pub next_sequence_number: u64,
    pub last_enqueued_time: Timestamp,
}

/// A handle to the log of a hub.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

struct Inner {
    partitions: [Partition; PARTITIONS],
    /// `None` in tests of the memory alone.
    disk: Option<disk::Disk>,
}

#[derive(Default)]
struct Partition {
    tail: Mutex<Tail>,
    grown: Notify,
    /// Something was written, so there is room for more.
    room: Notify,
}

#[derive(Default)]
struct Tail {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    next: u64,
    /// The first that is not yet on disk.
    unwritten: u64,
    unwritten_bytes: usize,
    last_enqueued: Option<Timestamp>,
}

impl Tail {
    fn first_in_memory(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    fn index_of(&self, sequence_number: u64) -> usize {
        let skip = sequence_number.saturating_sub(self.first_in_memory());
        usize::try_from(skip).unwrap_or(usize::MAX)
    }

    /// Says that all before `next` is on disk, or given up.
    fn settle(&mut self, next: u64) {
        if next > self.unwritten {
            let settled = self.index_of(self.unwritten)..self.index_of(next);
            self.unwritten_bytes -= self.events.range(settled).map(|event| event.weight()).sum::<usize>();
            self.unwritten = next;
        }
    }

    /// Lets go of the oldest events beyond the bound. One that is not on disk stays, unless the
    /// disk takes nothing at all.
    fn trim(&mut self, kept_on_disk: bool) {
        while let Some(oldest) = self.events.front().filter(|_| self.bytes > IN_MEMORY) {
            let next = oldest.sequence_number + 1;
            if next > self.unwritten {
                if kept_on_disk && self.bytes <= 2 * IN_MEMORY {
                    break;
                }
                self.settle(next);
            }
            self.bytes -= self.events.pop_front().map_or(0, |oldest| oldest.weight());
        }
    }
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog {
    /// In memory only.
    #[cfg(test)]
    fn ephemeral() -> Self {
        Self(Arc::new(Inner {
            partitions: Default::default(),
            disk: None,
        }))
    }

    /// Goes on where the log at `path` ended.
    pub(crate) fn open(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        let disk = disk::Disk::open(path, retention)?;
        let partitions: [Partition; PARTITIONS] = Default::default();
        for (index, partition) in partitions.iter().enumerate() {
            let (next, last_enqueued) = disk.end(index)?;
            let mut tail = partition.lock();
            (tail.next, tail.unwritten, tail.last_enqueued) = (next, next, last_enqueued);
        }
        let log = Self(Arc::new(Inner {
            partitions,
            disk: Some(disk),
        }));
        disk::write_behind(&log)?;
        Ok(log)
    }

    /// Everything of a device, its modules included, is in one partition.
    pub fn partition_of(device_id: &str) -> usize {
        // FNV-1a: the same for every build and platform, since places are kept on disk.
        let hash = device_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        usize::try_from(hash % PARTITIONS as u64).unwrap_or_default()
    }

    /// A message of a device: waits while its partition has more than it may that is not on disk.
    /// Fails when the disk takes nothing for [`ROOM_WAIT`]; the device may send again. Cancel-safe:
    /// the message is in the log only on success.
    pub(crate) async fn accept(&self, event: NewEvent, now: impl Fn() -> Timestamp) -> Result<(), HubError> {
        match self.push(event, now(), UNWRITTEN) {
            Ok(()) => Ok(()),
            // Boxed: rare, and otherwise part of every idle connection.
            Err(event) => Box::pin(self.accept_later(event, now)).await,
        }
    }

    async fn accept_later(&self, mut event: NewEvent, now: impl Fn() -> Timestamp) -> Result<(), HubError> {
        let partition = self.partition_for(&event);
        let pushed = async {
            loop {
                let room = partition.room.notified();
                tokio::pin!(room);
                // Enabled before the look, so that a write in between is not missed.
                room.as_mut().enable();
                match self.push(event, now(), UNWRITTEN) {
                    Ok(()) => return,
                    Err(back) => event = back,
                }
                room.await;
            }
        };
        timeout(ROOM_WAIT, pushed).await.map_err(|_| {
            let text = "The hub cannot write its event log fast enough; try again later.";
            HubError::new(ErrorCode::ServiceUnavailable, text)
        })
    }

    /// What the hub itself says. Never waits: the storing thread tells it.
    pub(crate) fn append(&self, event: NewEvent, now: Timestamp) {
        // Without a bound there is always room.
        let _ = self.push(event, now, usize::MAX);
    }

    fn partition_for(&self, event: &NewEvent) -> &Partition {
        &self.0.partitions[Self::partition_of(event.sender.id.device_str())]
    }

    /// Gives the event back when `bound` bytes already wait for the disk.
    fn push(&self, event: NewEvent, now: Timestamp, bound: usize) -> Result<(), NewEvent> {
        let partition = self.partition_for(&event);
        let mut tail = partition.lock();
        if self.0.disk.is_some() && tail.unwritten_bytes >= bound {
            return Err(event);
        }
        let event = Event {
            sequence_number: tail.next,
            // Clocks may jump back; a partition's times do not.
            enqueued_time: tail.last_enqueued.map_or(now, |last| last.max(now)),
            source: event.source,
            sender: event.sender,
            properties: event.properties,
            // A slice would keep all of the buffer it was read into.
            body: Bytes::copy_from_slice(&event.body),
        };
        let weight = event.weight();
        let hurry = tail.unwritten_bytes < UNWRITTEN / 2 && tail.unwritten_bytes + weight >= UNWRITTEN / 2;
        tail.bytes += weight;
        tail.unwritten_bytes += weight;
        tail.next += 1;
        tail.last_enqueued = Some(event.enqueued_time);
        tail.events.push_back(Arc::new(event));
        tail.trim(self.0.disk.is_some());
        drop(tail);
        partition.grown.notify_waiters();
        if let Some(disk) = self.0.disk.as_ref().filter(|_| hurry) {
            disk.hurry();
        }
        Ok(())
    }

    /// # Panics
    /// When there is no such partition; they are `0..PARTITIONS`.
    pub fn state(&self, partition: usize) -> PartitionState {
        // The disk first: who appends must not wait for it.
        let on_disk = self.0.disk.as_ref().and_then(|disk| disk.first(partition));
        let tail = self.0.partitions[partition].lock();
        let in_memory = tail.first_in_memory();
        PartitionState {
            first_sequence_number: on_disk.map_or(in_memory, |first| first.min(in_memory)),
            next_sequence_number: tail.next,
            last_enqueued_time: tail.last_enqueued.unwrap_or(Timestamp::NEVER),
        }
    }

    /// A reader with a place of its own.
    ///
    /// # Panics
    /// When there is no such partition; they are `0..PARTITIONS`.
    pub fn reader(&self, partition: usize, start: Start) -> Reader {
        let state = self.state(partition);
        let next = match start {
            Start::Oldest => state.first_sequence_number,
            Start::Newest => state.next_sequence_number,
            Start::After(sequence) => sequence.saturating_add(1),
            Start::At(time) => self.first_at(partition, time),
        };
        Reader {
            log: self.clone(),
            partition,
            next,
        }
    }

    fn first_at(&self, partition: usize, time: Timestamp) -> u64 {
        let in_memory = {
            let tail = self.0.partitions[partition].lock();
            let earlier = tail.events.partition_point(|event| event.enqueued_time < time);
            if earlier > 0 {
                return tail.first_in_memory() + earlier as u64;
            }
            tail.first_in_memory()
        };
        let on_disk = self.0.disk.as_ref().and_then(|disk| disk.first_at(partition, time));
        on_disk.map_or(in_memory, |found| found.min(in_memory))
    }

    /// At most `limit` events from `from` on, and the number to go on with: events that were
    /// dropped as too old are passed over.
    fn read(&self, partition: usize, from: u64, limit: usize) -> (Vec<Arc<Event>>, u64) {
        let in_memory = {
            let tail = self.0.partitions[partition].lock();
            let first = tail.first_in_memory();
            if from >= first {
                let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
                let events: Vec<_> = tail.events.iter().skip(skip).take(limit).cloned().collect();
                let next = events.last().map_or(from, |event| event.sequence_number + 1);
                return (events, next);
            }
            first
        };
        let stored = self.0.disk.as_ref().map(|disk| disk.read(partition, from, limit));
        match stored {
            Some(Ok(events)) if !events.is_empty() => {
                let events: Vec<_> = events.into_iter().map(Arc::new).collect();
                let next = events.last().map_or(from, |event| event.sequence_number + 1);
                (events, next)
            }
            Some(Err(error)) => {
                tracing::warn!("older events cannot be read: {error}");
                (Vec::new(), in_memory)
            }
            _ => (Vec::new(), in_memory),
        }
    }

    /// What is not yet on disk, oldest first, up to a chunk.
    fn unwritten(&self, partition: usize) -> Vec<Arc<Event>> {
        const COUNT: usize = 1024;
        const BYTES: usize = 1024 * 1024;
        let tail = self.0.partitions[partition].lock();
        let mut bytes = 0;
        let fits = |event: &&Arc<Event>| {
            let first = bytes == 0;
            bytes += event.weight();
            first || bytes <= BYTES
        };
        let unwritten = tail.events.range(tail.index_of(tail.unwritten)..);
        unwritten.take(COUNT).take_while(fits).cloned().collect()
    }

    fn written(&self, partition: usize, next: u64) {
        let partition = &self.0.partitions[partition];
        let mut tail = partition.lock();
        tail.settle(next);
        tail.trim(true);
        drop(tail);
        partition.room.notify_waiters();
    }

    /// Writes out what is only in memory.
    pub(crate) fn close(&self) {
        if let Some(disk) = &self.0.disk {
            disk.write_all(self);
        }
    }
}

/// A place in one partition.
pub struct Reader {
    log: EventLog,
    partition: usize,
    next: u64,
}

impl Reader {
    /// The sequence number this reader takes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Waits until there is something, then at most `limit` events, in order. Cancel-safe: the
    /// place moves only when events are returned.
    pub async fn next(&mut self, limit: usize) -> Vec<Arc<Event>> {
        loop {
            let log = self.log.clone();
            let grown = log.0.partitions[self.partition].grown.notified();
            tokio::pin!(grown);
            // Enabled before the look, so that an event in between is not missed.
            grown.as_mut().enable();
            let (events, next) = self.take(limit);
            self.next = next;
            if !events.is_empty() {
                return events;
            }
            if next < log.state(self.partition).next_sequence_number {
                continue;
            }
            grown.await;
        }
    }

    /// What is there now, at most `limit` events.
    pub fn take(&mut self, limit: usize) -> (Vec<Arc<Event>>, u64) {
        let (events, next) = self.log.read(self.partition, self.next, limit.max(1));
        self.next = next;
        (events, next)
    }
}

#[cfg(test)]
mod tests;
