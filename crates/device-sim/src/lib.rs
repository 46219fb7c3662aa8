//! Simulated devices that speak IoT Hub's MQTT, to Azure and to the local hub alike.
//!
//! A [`Fleet`] runs devices; each is one tokio task with one TLS connection. What a device does is
//! its [`Model`], data that `behaviour` and `routine` carry out through the narrow door of
//! `handle`. What a device knows of its conversation is in `session` and does no I/O; how long it
//! waits is in `backoff`; which faults strike it is in `faults`. Only `device`, `wire` and
//! `download` touch the network and the clock. A [`FleetFile`] says which devices there are.
//!
//! MQTT packets are read and written by rumqttc's codec. Its event loop is not used: it takes the
//! name for TLS from the address it dials, and keeps some 10 KiB of buffers for each connection.

mod backoff;
mod behaviour;
mod console;
mod device;
mod download;
mod duration;
mod error;
mod fault;
mod faults;
mod file_error;
mod fleet;
mod fleet_file;
mod handle;
mod model;
mod network;
mod outbox;
mod random;
#[cfg(test)]
mod recording;
mod routine;
mod session;
mod state;
mod wire;

pub use console::{ConsoleKind, ConsoleLine};
pub use duration::{NoTime, Time};
pub use error::SimError;
pub use fault::{Fault, FaultKind, InvalidFault, MAX_FAULTS};
pub use file_error::FileError;
pub use fleet::{Fleet, FleetOptions, SimulatedDevice};
pub use fleet_file::{Connect, FleetFile, Group, InvalidPattern, Load, Member, NoShard, Pattern, Shard, Tier};
pub use model::{FirmwareSchema, Model};
pub use state::{Counters, DeviceState, FleetEvent, News};
