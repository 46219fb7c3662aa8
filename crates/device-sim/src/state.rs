//! What is known of devices from outside: their states, as facts, and a few counters.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hub_protocol::DeviceId;
use tokio::sync::broadcast;

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
    pub state: DeviceState,
}

/// Totals since the fleet was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub connects: u64,
    pub reports: u64,
    pub methods_answered: u64,
    pub messages_sent: u64,
    pub bytes_downloaded: u64,
    pub tokens_renewed: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) connects: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) methods_answered: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) bytes_downloaded: AtomicU64,
    pub(crate) tokens_renewed: AtomicU64,
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
            bytes_downloaded: read(&self.bytes_downloaded),
            tokens_renewed: read(&self.tokens_renewed),
        }
    }
}

/// One device's state, and everyone who wants to hear of it.
pub(crate) struct StateCell {
    device_id: DeviceId,
    state: Mutex<DeviceState>,
    events: broadcast::Sender<FleetEvent>,
}

impl StateCell {
    pub(crate) fn new(device_id: DeviceId, events: broadcast::Sender<FleetEvent>) -> Self {
        Self {
            device_id,
            state: Mutex::new(DeviceState::Connecting),
            events,
        }
    }

    pub(crate) fn get(&self) -> DeviceState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, state: DeviceState) {
        {
            let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if *current == state {
                return;
            }
            *current = state.clone();
        }
        // Nobody listening is fine.
        let _ = self.events.send(FleetEvent {
            device_id: self.device_id.clone(),
            state,
        });
    }
}
