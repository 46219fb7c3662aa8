//! Which device goes in which wave.

use std::{fmt, str::FromStr};

use hub_protocol::DeviceId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// From so many devices on, the canary is more than one.
const MANY: u32 = 100;
const CANARY_OF_MANY: u32 = 5;
/// Waves of one rollout.
const MAX_WAVES: usize = 50;

/// How far the rollout has come when a wave ends, this one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    Devices(u32),
    /// 1 to 100.
    Percent(u8),
}

/// As typed: `5,10%,50%,100%`. The last reaches every device, whether it says so or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waves(Vec<Reach>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWaves {
    #[error("there is no wave; write such as 5,10%,50%,100%")]
    None,
    #[error("at most {MAX_WAVES} waves")]
    TooMany,
    #[error("{0} is no number of devices and no percentage from 1% to 100%")]
    Reach(String),
}

impl Waves {
    /// One device, five from a hundred on; then a tenth, half, all.
    pub fn usual(devices: u32) -> Self {
        let canary = if devices >= MANY { CANARY_OF_MANY } else { 1 };
        Self(vec![
            Reach::Devices(canary),
            Reach::Percent(10),
            Reach::Percent(50),
            Reach::Percent(100),
        ])
    }

    /// How many devices each wave has; each has at least one, and together they have all.
    pub fn sizes(&self, devices: u32) -> Vec<u32> {
        let mut sizes = Vec::new();
        let mut before = 0;
        for reach in self.0.iter().copied().chain([Reach::Percent(100)]) {
            if before == devices {
                break;
            }
            let reach = match reach {
                Reach::Devices(count) => count,
                Reach::Percent(percent) => {
                    let share = (u64::from(percent) * u64::from(devices)).div_ceil(100);
                    u32::try_from(share).unwrap_or(u32::MAX)
                }
            };
            let after = reach.max(before + 1).min(devices);
            sizes.push(after - before);
            before = after;
        }
        sizes
    }
}

impl FromStr for Waves {
    type Err = InvalidWaves;

    fn from_str(text: &str) -> Result<Self, InvalidWaves> {
        let reach = |text: &str| {
            let number = |text: &str, most: u32| text.trim().parse().ok().filter(|number| (1..=most).contains(number));
            let reach = match text.trim().strip_suffix('%') {
                Some(percent) => number(percent, 100)
                    .and_then(|percent| u8::try_from(percent).ok())
                    .map(Reach::Percent),
                None => number(text, u32::MAX).map(Reach::Devices),
            };
            reach.ok_or_else(|| InvalidWaves::Reach(text.trim().to_owned()))
        };
        if text.trim().is_empty() {
            return Err(InvalidWaves::None);
        }
        let waves: Vec<Reach> = text.split(',').map(reach).collect::<Result<_, _>>()?;
        if waves.len() > MAX_WAVES {
            return Err(InvalidWaves::TooMany);
        }
        Ok(Self(waves))
    }
}

impl fmt::Display for Waves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, reach) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match reach {
                Reach::Devices(count) => write!(f, "{comma}{count}")?,
                Reach::Percent(percent) => write!(f, "{comma}{percent}%")?,
            }
        }
        Ok(())
    }
}

/// The devices in the order in which they are updated: by chance, and the same for the same seed,
/// so that a wave is no neighbourhood and a preview is the plan.
pub fn order(seed: u64, mut devices: Vec<DeviceId>) -> Vec<DeviceId> {
    devices.sort_by_cached_key(|id| {
        let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(id.as_str());
        <[u8; 32]>::from(hash.finalize())
    });
    devices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_waves_are_a_canary_a_tenth_half_and_all() {
        assert_eq!(Waves::usual(10_000).sizes(10_000), [5, 995, 4000, 5000]);
        assert_eq!(Waves::usual(20).sizes(20), [1, 1, 8, 10]);
        assert_eq!(Waves::usual(2).sizes(2), [1, 1], "empty waves drop out");
        assert_eq!(Waves::usual(0).sizes(0), [0_u32; 0]);
    }

    #[test]
    fn waves_are_typed_as_they_are_shown() {
        let waves: Waves = " 5, 10% ,50%".parse().unwrap();
        assert_eq!(waves.to_string(), "5,10%,50%");
        assert_eq!(waves.sizes(100), [5, 5, 40, 50], "the rest is a wave of its own");
        for wrong in ["", "0", "101%", "0%", "5;6", "-1", "x%", "1,,2"] {
            assert!(wrong.parse::<Waves>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_is_by_chance_and_repeats() {
        let ids = |count: u32| (0..count).map(|n| DeviceId::new(format!("pump-{n:03}")).unwrap());
        let devices: Vec<DeviceId> = ids(100).collect();
        let reversed: Vec<DeviceId> = ids(100).rev().collect();
        let first = order(7, devices.clone());
        assert_eq!(first, order(7, reversed));
        assert_ne!(first, devices);
        assert_ne!(first, order(8, devices));
    }

    proptest! {
        #[test]
        fn every_device_is_in_one_wave_and_no_wave_is_empty(
            devices in 0_u32..5000,
            reaches in proptest::collection::vec(
                prop_oneof![(1_u32..6000).prop_map(Reach::Devices), (1_u8..=100).prop_map(Reach::Percent)],
                1..8,
            ),
        ) {
            let sizes = Waves(reaches).sizes(devices);
            prop_assert_eq!(sizes.iter().sum::<u32>(), devices);
            prop_assert!(sizes.iter().all(|size| *size > 0));
        }

        #[test]
        fn what_is_shown_is_read_again(text in "[1-9][0-9]{0,3}%?(,[1-9][0-9]?%?){0,5}") {
            if let Ok(waves) = text.parse::<Waves>() {
                prop_assert_eq!(waves.to_string().parse::<Waves>().unwrap(), waves);
            }
        }
    }
}
