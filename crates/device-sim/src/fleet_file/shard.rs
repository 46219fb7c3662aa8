//! One part of a fleet that runs on several machines.

use std::{fmt, str::FromStr};

use hub_protocol::DeviceId;

use crate::random::Random;

/// `2/4`: the second of four parts. A device belongs to one part, by its id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    index: u32,
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no shard; write its number and how many there are, as in 1/4")]
pub struct NoShard(String);

impl Shard {
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    pub fn holds(self, id: &DeviceId) -> bool {
        let place = Random::new(0, id.as_str()).draw("shard", 0) * f64::from(self.count);
        // A draw is below 1, so the place is below the count.
        place as u32 == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (1..=count).contains(&index).then_some(Self { index, count })
        };
        parse().ok_or_else(|| NoShard(text.chars().take(20).collect()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_is_read_and_what_is_none_is_refused() {
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        for text in ["", "1", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/2"] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("1/4"), "{error}");
        }
    }

    #[test]
    fn shards_are_about_as_large_as_each_other() {
        let shard = Shard { index: 2, count: 4 };
        let held = (0..10_000).filter(|number| shard.holds(&DeviceId::new(format!("d-{number}")).unwrap()));
        assert!((2350..2650).contains(&held.count()));
    }

    proptest! {
        #[test]
        fn every_device_is_in_exactly_one_shard(id in "[a-zA-Z0-9._-]{1,40}", count in 1..50_u32) {
            let id = DeviceId::new(id).unwrap();
            let holders = (1..=count).filter(|index| Shard { index: *index, count }.holds(&id));
            prop_assert_eq!(holders.count(), 1);
        }
    }
}
