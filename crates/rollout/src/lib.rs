//! Firmware in waves: who is next, when a wave has passed, and when it must stop.
//!
//! Decisions are functions of what was seen. Nothing here reads a clock, draws at random or calls
//! anybody; who drives a rollout does that.

pub mod gate;
pub mod waves;
