//! The service side of Azure IoT Hub over HTTPS: devices, twins, direct methods, queries.
//!
//! Azure and the local hub are the same to this crate; only the trust anchor in the
//! `rustls::ClientConfig` differs. Decisions (when to repeat a call, when to renew a token, what
//! an error means) are pure functions in [`retry`], `token` and `fault`; [`HubClient`] is the edge
//! that reads the clock and the network.

mod client;
mod configurations;
mod devices;
mod error;
mod etag;
mod fault;
mod jobs;
mod messages;
mod methods;
mod modules;
mod query;
mod resolver;
pub mod retry;
pub mod tls;
mod token;
mod twins;

pub use client::HubClient;
pub use error::ClientError;
pub use etag::IfMatch;
pub use jobs::{DeviceJobPages, JobFilter, JobPages};
pub use query::TwinQuery;
pub use retry::RetryPolicy;
