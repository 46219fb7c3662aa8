//! What a hub tells those who watch it. Telemetry is not among it: that is read from the log.

use std::sync::Arc;

use hub_protocol::{ClientId, Timestamp, configuration::ConfigurationId, job::JobStatus, merge::Object, twin::Twin};

/// A fact, told after it was committed.
#[derive(Debug, Clone)]
pub enum HubEvent {
    /// A new identity, or a changed one (status, keys). A change of a device's status is one of
    /// its modules' too.
    IdentityChanged { twin: Arc<Twin>, created: bool },
    /// A device goes with its modules; they are told before it.
    IdentityDeleted { id: ClientId },
    ConnectionChanged {
        id: ClientId,
        connected: bool,
        at: Timestamp,
    },
    /// `patch` is what was written, nulls included; `twin` is the whole after it.
    TwinChanged {
        section: TwinSection,
        patch: Arc<Object>,
        twin: Arc<Twin>,
        /// A PUT: the section was written as a whole.
        replaced: bool,
    },
    /// A message waits for its device: a new one, or one that was delivered and not settled.
    MessageQueued { id: ClientId, expires: Timestamp },
    /// A new job, or one that moved on. Devices of a running job are not told one by one.
    JobChanged { job_id: String, status: JobStatus },
    /// A configuration was created, changed or deleted.
    ConfigurationChanged { id: ConfigurationId },
    /// Other configurations than before target the twin or apply to it.
    StandingsChanged { twin: Arc<Twin> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinSection {
    Tags,
    Desired,
    Reported,
}

/// Events a reader may be behind before it is told that it lagged.
pub(crate) const EVENT_BUFFER: usize = 16_384;
