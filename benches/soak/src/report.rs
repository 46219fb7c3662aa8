//! How it went, and whether that is good.

use std::{fmt, time::Duration};

use device_sim::Counters;
use hub_protocol::DeviceId;

use crate::{memory::Trend, watch::Tally};

/// Devices that are named when they did not answer.
const NAMED: usize = 10;

pub(crate) struct Report {
    pub(crate) devices: usize,
    pub(crate) length: Duration,
    pub(crate) token_lifetime: Duration,
    /// Who did not answer in the end, and why.
    pub(crate) lost: Vec<(DeviceId, String)>,
    pub(crate) counters: Counters,
    pub(crate) tally: Tally,
    /// How late a try to connect may be.
    pub(crate) allowed: Duration,
    /// Of the last three quarters; none for a run that is too short.
    pub(crate) hub: Option<Trend>,
    pub(crate) fleet: Option<Trend>,
}

impl Report {
    /// No device lost, every announced time kept, and no memory growing by more than `growth`
    /// percent an hour.
    pub(crate) fn is_good(&self, growth: f64) -> bool {
        let is_flat = |trend: &Option<Trend>| trend.is_none_or(|trend| trend.percent_an_hour() <= growth);
        self.lost.is_empty() && self.tally.is_clean() && is_flat(&self.hub) && is_flat(&self.fleet)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            devices,
            counters,
            tally,
            ..
        } = self;
        let (minutes, life) = (self.length.as_secs() / 60, self.token_lifetime.as_secs());
        writeln!(f, "{devices} devices for {minutes} minutes, tokens of {life} s")?;
        writeln!(f, "- answered a method in the end: {}", devices - self.lost.len())?;
        for (id, why) in self.lost.iter().take(NAMED) {
            writeln!(f, "  - not {id}: {why}")?;
        }
        writeln!(
            f,
            "- connects: {}; tokens renewed: {}; connections lost: {}; kept offline by a fault: {}",
            counters.connects, counters.tokens_renewed, counters.connections_lost, counters.kept_offline
        )?;
        writeln!(
            f,
            "- telemetry messages: {}, dropped: {}",
            counters.messages_sent, counters.messages_dropped
        )?;
        writeln!(
            f,
            "- tries to connect at the announced time: {}; too late: {}, too early: {}, announced for too long: {}, \
             refused: {}, unseen: {}",
            tally.kept, tally.late, tally.early, tally.too_long, tally.refused, tally.missed
        )?;
        let (latest, allowed) = (tally.latest.as_millis(), self.allowed.as_millis());
        writeln!(
            f,
            "- the latest came {latest} ms after its time, {allowed} ms are allowed"
        )?;
        for (name, trend) in [("hub", self.hub), ("fleet", self.fleet)] {
            match trend {
                Some(trend) => writeln!(f, "- memory of the {name}, last three quarters: {trend}")?,
                None => writeln!(f, "- memory of the {name}: too short a run to tell")?,
            }
        }
        Ok(())
    }
}
