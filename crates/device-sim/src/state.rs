//! What is known of devices from outside: their states, as facts, and a few counters.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hub_protocol::{DeviceId, merge::Object};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceState {
    Connecting,
    /// Connected and subscribed: methods reach it.
    Connected,
    /// Offline for now; it tries again by itself.
    Waiting {
        reason: String,
        retry_in: Duration,
    },
    /// The hub does not accept this identity. It tries again, but someone has to look at it.
    Refused {
        reason: String,
        retry_in: Duration,
    },
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    pub device_id: DeviceId,
    pub news: News,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    State(DeviceState),
    /// All that the device remembers beyond what its model gives it; whoever keeps it hands it
    /// back when the device is started again.
    Memory(Object),
}

/// Totals since the fleet was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub connects: u64,
    pub reports: u64,
    pub methods_answered: u64,
    pub messages_sent: u64,
    /// Stored while there was no connection, and gone for newer ones.
    pub messages_dropped: u64,
    pub bytes_downloaded: u64,
    /// Why devices connected again: a new token, …
    pub tokens_renewed: u64,
    /// … a connection or an attempt that failed, …
    pub connections_lost: u64,
    /// … an identity that the hub refused, …
    pub refusals: u64,
    /// … a restart, …
    pub restarts: u64,
    /// … or a fault that kept them offline.
    pub kept_offline: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) connects: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) methods_answered: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) messages_dropped: AtomicU64,
    pub(crate) bytes_downloaded: AtomicU64,
    pub(crate) tokens_renewed: AtomicU64,
    pub(crate) connections_lost: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) kept_offline: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            connects: read(&self.connects),
            reports: read(&self.reports),
            methods_answered: read(&self.methods_answered),
            messages_sent: read(&self.messages_sent),
            messages_dropped: read(&self.messages_dropped),
            bytes_downloaded: read(&self.bytes_downloaded),
            tokens_renewed: read(&self.tokens_renewed),
            connections_lost: read(&self.connections_lost),
            refusals: read(&self.refusals),
            restarts: read(&self.restarts),
            kept_offline: read(&self.kept_offline),
        }
    }
}
