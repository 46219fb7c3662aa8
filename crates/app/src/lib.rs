//! What Twindeck can do, for the window and the command line alike.
//!
//! It knows no Tauri: a command of the window is one call into [`App`]. Secrets enter through
//! [`hubs`] and [`credentials`], and nothing in [`view`] can carry one out again.

pub mod error;
pub mod firmware;
pub mod package_server;
pub mod packages;
pub mod table;
pub mod trust;
pub mod view;
pub mod watch;

mod db;

pub use error::{AppError, Code, Result};
use hub_protocol::Timestamp;

/// The clock, read at the edge only.
pub(crate) fn now() -> Timestamp {
    Timestamp(time::OffsetDateTime::now_utc())
}
