//! What can go wrong in a simulation, for whoever started it.

use crate::fault::InvalidFault;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    #[error("there is no device model {name:?}; there is {}", crate::model::all_names())]
    UnknownModel { name: String },
    #[error("the TLS settings for downloads cannot be used: {0}")]
    Tls(String),
    #[error("the device {0} is not running")]
    NotRunning(String),
    #[error("the hub refused the reported properties with status {0}")]
    ReportRefused(u16),
    #[error("the reported properties or the message are larger than a hub takes")]
    TooLarge,
    #[error("the device was stopped")]
    Stopped,
    #[error("the message was dropped: too many newer ones came while there was no connection")]
    Dropped,
    #[error(transparent)]
    Fault(#[from] InvalidFault),
}
