//! What a hub has done since it started, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::{HubEvent, TwinSection};

/// Totals since the hub started; only [`Counters::connections`] is of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Devices and modules that are connected now.
    pub connections: u64,
    /// Messages of devices, wills included.
    pub telemetry: u64,
    /// Messages that a device, or whoever took them over HTTPS, has completed.
    pub cloud_to_device: u64,
    /// Direct methods that were sent to a device, answered or not.
    pub methods: u64,
    /// Sections (tags, desired) that services, jobs and configurations wrote.
    pub service_twin_writes: u64,
    /// Patches of reported properties.
    pub device_twin_writes: u64,
    /// Requests over HTTPS, refused ones included.
    pub requests: u64,
    /// Connections that were turned away, whoever they said they were.
    pub refused: u64,
}

/// Where the totals are counted. No lock: each is on its own, and only ever read as a hint.
#[derive(Default)]
pub(crate) struct Tally {
    telemetry: AtomicU64,
    cloud_to_device: AtomicU64,
    methods: AtomicU64,
    service_twin_writes: AtomicU64,
    device_twin_writes: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn telemetry(&self) {
        add(&self.telemetry);
    }

    pub(crate) fn completed(&self) {
        add(&self.cloud_to_device);
    }

    pub(crate) fn method(&self) {
        add(&self.methods);
    }

    pub(crate) fn request(&self) {
        add(&self.requests);
    }

    pub(crate) fn refused(&self) {
        add(&self.refused);
    }

    /// A committed write counts once it is told.
    pub(crate) fn event(&self, event: &HubEvent) {
        match event {
            HubEvent::TwinChanged {
                section: TwinSection::Reported,
                ..
            } => add(&self.device_twin_writes),
            HubEvent::TwinChanged { .. } => add(&self.service_twin_writes),
            _ => {}
        }
    }

    pub(crate) fn read(&self, connections: usize) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            connections: u64::try_from(connections).unwrap_or(u64::MAX),
            telemetry: read(&self.telemetry),
            cloud_to_device: read(&self.cloud_to_device),
            methods: read(&self.methods),
            service_twin_writes: read(&self.service_twin_writes),
            device_twin_writes: read(&self.device_twin_writes),
            requests: read(&self.requests),
            refused: read(&self.refused),
        }
    }
}
