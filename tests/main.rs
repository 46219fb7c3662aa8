//! The crates together: real hubs, devices, clients and processes, on free ports and in
//! temporary folders. A test waits for what happens, never for a time to pass.

#![allow(
    clippy::unwrap_used,
    reason = "clippy does not take a test crate's helper functions for tests"
)]

mod architecture;
mod auth;
mod bad_input;
mod clock;
mod cloud_to_device;
mod command_line;
mod configurations;
mod conformance_rows;
mod crash;
mod device_https;
mod device_jobs;
mod digital_twins;
mod disk_full;
mod exit_codes;
mod faults;
mod firmware;
mod fleet;
mod for_testers;
mod hostile;
mod job_kills;
mod jobs;
mod methods;
mod models;
mod mqtt;
mod protocol_log;
mod query;
mod registry;
mod scale;
mod service_auth;
mod service_errors;
mod service_methods;
mod shards;
mod simulate;
mod support;
mod twins;
mod twins_over_rest;
mod wire;
