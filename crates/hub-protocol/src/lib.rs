//! The language of Azure IoT Hub, shared by the service client, the simulated devices and the
//! local hub: what is on the wire and what it means. Nothing here does I/O, reads a clock or
//! makes randomness; time comes in as an argument.
//!
//! Wire fields keep Azure's spelling. Facts come from Microsoft's published documentation and
//! from what its SDKs send; where the two leave a choice, the item's comment names it.

pub mod configuration;
pub mod connection_string;
pub mod digital_twin;
pub mod error;
pub mod feedback;
pub mod identity;
pub mod job;
pub mod merge;
pub mod message;
pub mod method;
pub mod query;
pub mod sas;
pub mod secret;
pub mod timestamp;
pub mod topic;
pub mod twin;
mod wire_enum;

pub use connection_string::{ConnectionStringError, DeviceConnectionString, ServiceConnectionString};
pub use error::{ErrorCode, HubError};
pub use identity::{ClientId, DeviceId, InvalidDeviceId, ModuleId};
pub use secret::Secret;
pub use timestamp::Timestamp;

/// The api-version our clients send; every hub accepts it.
pub const API_VERSION: &str = "2021-04-12";
