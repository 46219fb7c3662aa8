//! What a fleet costs a hub in Azure, and which hub carries it.

use std::fmt;

use super::FleetFile;
use crate::FaultKind;

/// Devices and messages of a day, and the smallest hub in Azure that takes them.
///
/// Messages are what devices send by themselves and the twins they read at each connect, token
/// renewals and flapping included; what the hub is made to do with them comes on top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    pub devices: u64,
    /// Counted in pieces of 4 KiB, as Azure does.
    pub messages_per_day: u64,
    /// At most, while the fleet starts.
    pub connects_per_second: u32,
    pub tier: Tier,
    pub units: u64,
    /// Whether a single hub with all units there are is too small even so.
    pub is_too_much: bool,
}

/// The tiers of a hub, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    F1,
    S1,
    S2,
    S3,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

const A_DAY: f64 = 86_400.0;
const MAX_DEVICES: u64 = 1_000_000;
const F1_DEVICES: u64 = 500;
const F1_MESSAGES: u64 = 8_000;

/// Tier, messages a unit takes a day and a second, the least a hub takes a second, units of a hub,
/// and the price of a unit as a multiple of S1's.
const TIERS: [(Tier, u64, u64, u64, u64, u64); 3] = [
    (Tier::S1, 400_000, 12, 100, 200, 1),
    (Tier::S2, 6_000_000, 120, 120, 200, 10),
    (Tier::S3, 300_000_000, 6_000, 6_000, 10, 100),
];

impl Load {
    /// Of so many devices of each group.
    pub(super) fn of(fleet: &FleetFile, counts: impl Iterator<Item = u32>) -> Self {
        let mut devices = 0;
        let mut messages = 0.0;
        for ((group, model), number) in fleet.devices.iter().zip(&fleet.models).zip(counts) {
            let count = f64::from(number);
            devices += u64::from(number);
            let life = fleet.connect.token_lifetime.get().as_secs_f64() * 0.85;
            let flaps = group.faults.iter().chain(&fleet.faults).map(|fault| match &fault.kind {
                FaultKind::Flapping { every, .. } => {
                    fault.devices * fault.chance * A_DAY / every.get().as_secs_f64().max(0.001)
                }
                _ => 0.0,
            });
            let connects = 1.0 + A_DAY / life.max(0.001) + flaps.sum::<f64>();
            messages += count * (model.messages_per_day() + connects);
        }
        // Saturates, which is as good as too much.
        Self::new(devices, messages.ceil() as u64, fleet.connect.per_second)
    }

    /// The smallest hub that takes so many devices and messages.
    pub fn new(devices: u64, messages_per_day: u64, connects_per_second: u32) -> Self {
        let load = |tier, units, is_too_much| Self {
            devices,
            messages_per_day,
            connects_per_second,
            tier,
            units,
            is_too_much,
        };
        if devices <= F1_DEVICES && messages_per_day <= F1_MESSAGES {
            return load(Tier::F1, 1, false);
        }
        let a_second = messages_per_day.div_ceil(86_400);
        let choices = TIERS.into_iter().filter_map(|(tier, a_day, rate, least, most, price)| {
            let for_rate = if a_second <= least { 1 } else { a_second.div_ceil(rate) };
            let units = messages_per_day.div_ceil(a_day).max(for_rate).max(1);
            (units <= most).then_some((units * price, tier, units))
        });
        match choices.min() {
            Some((_, tier, units)) => load(tier, units, devices > MAX_DEVICES),
            None => load(Tier::S3, 10, true),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            devices,
            messages_per_day,
            tier,
            units,
            ..
        } = self;
        write!(f, "{devices} devices, about {messages_per_day} messages a day: ")?;
        if self.is_too_much {
            return write!(f, "more than one hub takes, even with {units} units of {tier}");
        }
        match units {
            1 => write!(f, "a hub of tier {tier}, one unit"),
            _ => write!(f, "a hub of tier {tier}, {units} units"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(devices: u64, messages_per_day: u64) -> (Tier, u64, bool) {
        let load = Load::new(devices, messages_per_day, 50);
        (load.tier, load.units, load.is_too_much)
    }

    #[test]
    fn the_smallest_hub_that_takes_it_is_named() {
        assert_eq!(hub(500, 8_000), (Tier::F1, 1, false));
        assert_eq!(hub(501, 8_000), (Tier::S1, 1, false));
        assert_eq!(hub(10, 8_001), (Tier::S1, 1, false));
        assert_eq!(hub(10, 400_001), (Tier::S1, 2, false));
        assert_eq!(
            hub(10, 4_000_000),
            (Tier::S1, 10, false),
            "ten units cost as much as one of S2"
        );
        assert_eq!(hub(10, 4_000_001), (Tier::S2, 1, false));
        assert_eq!(hub(10, 60_000_001), (Tier::S3, 1, false));
        assert_eq!(hub(10, 3_000_000_001), (Tier::S3, 10, true));
        assert_eq!(hub(1_000_001, 3_000_000), (Tier::S1, 8, true));
    }

    #[test]
    fn it_is_told_in_a_sentence() {
        assert_eq!(
            Load::new(600, 500_000, 50).to_string(),
            "600 devices, about 500000 messages a day: a hub of tier S1, 2 units"
        );
    }
}
