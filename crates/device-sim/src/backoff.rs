//! How long a device waits before it connects again. Pure: randomness is an argument.

use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Network gone, hub gone, or another connection took over.
    Lost,
    /// The hub said "try later".
    Busy,
    /// The hub does not accept the identity: quick repeats would only fill its log.
    Refused,
}

/// A connection that lived this long proves that the trouble before it is over.
pub(crate) const PROVEN: Duration = Duration::from_secs(30);

/// The wait after the `failures`th failure in a row (counted from 1): doubles up to a ceiling,
/// the upper half of it random, so that a fleet does not return in one moment. `random` is in
/// `0.0..1.0`.
pub(crate) fn delay(trouble: Trouble, failures: u32, random: f64) -> Duration {
    let (first, ceiling) = match trouble {
        Trouble::Lost => (Duration::from_millis(500), Duration::from_secs(60)),
        Trouble::Busy => (Duration::from_secs(5), Duration::from_secs(120)),
        Trouble::Refused => (Duration::from_secs(10), Duration::from_secs(300)),
    };
    let full = first
        .saturating_mul(1 << failures.saturating_sub(1).min(12))
        .min(ceiling);
    full.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refused_device_waits_longer_than_a_lost_one() {
        for failures in 1..20 {
            assert!(delay(Trouble::Refused, failures, 0.0) > delay(Trouble::Lost, failures, 0.99));
        }
    }

    #[test]
    fn the_first_wait_is_short_and_grows() {
        assert!(delay(Trouble::Lost, 1, 0.99) < Duration::from_millis(500));
        assert!(delay(Trouble::Lost, 4, 0.0) >= Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded(failures in any::<u32>(), random in 0.0..1.0_f64) {
            for trouble in [Trouble::Lost, Trouble::Busy, Trouble::Refused] {
                let wait = delay(trouble, failures, random);
                prop_assert!(wait >= Duration::from_millis(250));
                prop_assert!(wait <= Duration::from_secs(300));
            }
        }
    }
}
