//! Why a hub could not start, and why its storage refused a write.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use hub_protocol::{ErrorCode, HubError};

use crate::fixture::FixtureError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("The hub's data folder {} cannot be used: {source}", path.display())]
    DataDir { path: PathBuf, source: io::Error },
    #[error("Another hub is already using the data folder {}", path.display())]
    DataDirInUse { path: PathBuf },
    #[error("The hub's certificates could not be made: {0}")]
    Certificates(String),
    #[error("The authority for devices in {} cannot be used: {reason}", path.display())]
    DeviceAuthority { path: PathBuf, reason: String },
    #[error("The hub's database {} cannot be opened: {reason}", path.display())]
    Database { path: PathBuf, reason: String },
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    #[error("Port {port} on {address} cannot be had for {purpose}: {source}")]
    Port {
        port: u16,
        address: String,
        purpose: &'static str,
        source: io::Error,
    },
}

impl StartError {
    pub(crate) fn device_authority(path: &Path, reason: impl fmt::Display) -> Self {
        Self::DeviceAuthority {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Why an operation on the store failed: the request was wrong, or the storage was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a stored document cannot be read: {0}")]
    Document(#[from] serde_json::Error),
}

impl From<hub_protocol::merge::TwinError> for StoreError {
    fn from(error: hub_protocol::merge::TwinError) -> Self {
        Self::Hub(error.into())
    }
}

impl From<StoreError> for HubError {
    fn from(error: StoreError) -> Self {
        use rusqlite::ErrorCode::{DiskFull, ReadOnly, SystemIoFailure};
        let text = match error {
            StoreError::Hub(error) => return error,
            StoreError::Sqlite(error) => match error.sqlite_error_code() {
                Some(DiskFull) => "The disk that holds the hub's data is full; nothing was changed.".into(),
                Some(ReadOnly) => "The hub's data folder cannot be written; nothing was changed.".into(),
                Some(SystemIoFailure) => format!("The hub's data folder cannot be used; nothing was changed. {error}"),
                _ => format!("The hub's database refused: {error}"),
            },
            StoreError::Document(error) => format!("A stored document cannot be read: {error}"),
        };
        tracing::error!("{text}");
        HubError::new(ErrorCode::ServiceUnavailable, text)
    }
}
