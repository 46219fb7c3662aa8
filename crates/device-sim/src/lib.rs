//! Simulated devices that speak IoT Hub's MQTT, to Azure and to the local hub alike.
//!
//! A [`Fleet`] runs devices; each is one tokio task with one TLS connection. What a device knows
//! of its conversation is in `session` and does no I/O; how long it waits is in `backoff`; what
//! it does when a method is called is its [`Model`]. Only `device`, `wire` and `download` touch
//! the network and the clock.
//!
//! MQTT packets are read and written by rumqttc's codec. Its event loop is not used: it takes the
//! name for TLS from the address it dials, and keeps some 10 KiB of buffers for each connection.

mod backoff;
mod device;
mod download;
mod duration;
mod error;
mod fault;
mod fleet;
mod handle;
mod models;
mod random;
mod session;
mod state;
mod wire;

pub use duration::{NoTime, Time};
pub use error::SimError;
pub use fault::{Fault, FaultKind};
pub use fleet::{Fleet, FleetOptions, SimulatedDevice};
pub use models::{Model, Speed, StageTimes};
pub use state::{Counters, DeviceState, FleetEvent};
