//! The hub's events, in order, for those who read them: telemetry, twin changes, lifecycle and
//! connections.
//!
//! As in an Event Hub there are partitions; everything of one device stands in one of them, in
//! the order it happened, under sequence numbers without gaps. Readers keep their own place and
//! take nothing away. The newest events are in memory; a thread of its own writes them behind to
//! a database, in chunks, so that an acknowledgement never waits for a disk (device.md 10, 5).
//! A clean stop loses nothing, a killed process what was younger than [`WRITE_BEHIND`].

mod disk;
mod event;
mod facts;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_protocol::Timestamp;
use tokio::sync::Notify;

pub(crate) use facts::fact;

pub(crate) use event::NewEvent;
pub use event::{AuthMethod, Event, MessageSource, Sender};

use crate::error::StoreError;

/// As many as a new IoT Hub has.
pub const PARTITIONS: usize = 4;
/// Bytes of events a partition keeps in memory; what is older is read from disk.
const IN_MEMORY: usize = 16 * 1024 * 1024;
const WRITE_BEHIND: Duration = Duration::from_millis(100);

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
}

#[derive(Default)]
struct Tail {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    next: u64,
    /// The first that is not yet on disk.
    unwritten: u64,
    last_enqueued: Option<Timestamp>,
}

impl Tail {
    fn first_in_memory(&self) -> u64 {
        self.next - self.events.len() as u64
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

    /// Never waits; the oldest events leave memory when there are too many.
    pub(crate) fn append(&self, event: NewEvent, now: Timestamp) {
        let partition = &self.0.partitions[Self::partition_of(event.sender.id.device_str())];
        let mut tail = partition.lock();
        tail.bytes += NewEvent::weight(&event.properties, &event.body);
        let event = Arc::new(Event {
            sequence_number: tail.next,
            // Clocks may jump back; a partition's times do not.
            enqueued_time: tail.last_enqueued.map_or(now, |last| last.max(now)),
            source: event.source,
            sender: event.sender,
            properties: event.properties,
            body: event.body,
        });
        tail.next += 1;
        tail.last_enqueued = Some(event.enqueued_time);
        tail.events.push_back(event);
        while tail.bytes > IN_MEMORY {
            let Some(oldest) = tail.events.pop_front() else { break };
            tail.bytes -= NewEvent::weight(&oldest.properties, &oldest.body);
        }
        drop(tail);
        partition.grown.notify_waiters();
    }

    /// # Panics
    /// When there is no such partition; they are `0..PARTITIONS`.
    pub fn state(&self, partition: usize) -> PartitionState {
        let tail = self.0.partitions[partition].lock();
        let in_memory = tail.first_in_memory();
        let on_disk = self.0.disk.as_ref().and_then(|disk| disk.first(partition));
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

    /// What is not yet on disk, up to a bound, oldest first.
    fn unwritten(&self, partition: usize) -> Vec<Arc<Event>> {
        const CHUNK: usize = 4096;
        let tail = self.0.partitions[partition].lock();
        let first = tail.first_in_memory();
        let skip = tail.unwritten.saturating_sub(first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        tail.events.iter().skip(skip).take(CHUNK).cloned().collect()
    }

    fn written(&self, partition: usize, next: u64) {
        let mut tail = self.0.partitions[partition].lock();
        tail.unwritten = tail.unwritten.max(next);
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
