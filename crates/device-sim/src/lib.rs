//! Simulated devices that speak IoT Hub's MQTT, to Azure and to the local hub alike.
//!
//! A [`Fleet`] runs devices; each is one tokio task with one TLS connection. What a device knows
//! of its conversation is in `session` and does no I/O; how long it waits is in `backoff`. What it
//! does is its [`Model`], which is data; `behaviour` starts the model's routines and `routine` runs
//! their steps. Only `device`, `wire` and `download` touch the network and the clock.
//!
//! MQTT packets are read and written by rumqttc's codec. Its event loop is not used: it takes the
//! name for TLS from the address it dials, and keeps some 10 KiB of buffers for each connection.

mod backoff;
mod behaviour;
mod device;
mod download;
mod duration;
mod error;
mod fault;
mod fleet;
mod handle;
mod model;
mod random;
#[cfg(test)]
mod recording;
mod routine;
mod session;
mod state;
mod wire;

pub use duration::{NoTime, Time};
pub use error::SimError;
pub use fault::{Fault, FaultKind};
pub use fleet::{Fleet, FleetOptions, SimulatedDevice};
pub use model::{FirmwareSchema, Model, ModelError};
pub use state::{Counters, DeviceState, FleetEvent};
