//! When a wave has passed, and when it must stop.
//!
//! Counted in devices, never in attempts. Failures are held against the devices that have
//! finished, not against the whole wave: of a thousand devices at ten percent, a hundred could
//! otherwise fail before anybody is asked.

use serde::{Deserialize, Serialize};

/// What a wave must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// So many failures stop the wave, whatever their share.
    pub fail_abs: Option<u32>,
    /// More than this share of the finished devices stops it, once enough have finished. 0 to 100.
    pub fail_percent: u8,
    /// So many failures in a row stop it.
    pub consecutive: Option<u32>,
    /// The share that must succeed for the next wave to open. 0 to 100.
    pub success_percent: u8,
}

impl Gate {
    /// For the first few devices: one failure is enough.
    pub const CANARY: Self = Self {
        fail_abs: Some(1),
        fail_percent: 5,
        consecutive: Some(3),
        success_percent: 95,
    };

    pub const WAVE: Self = Self {
        fail_abs: None,
        ..Self::CANARY
    };
}

/// Where the devices of a wave stand. Those that were skipped, cancelled or removed are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub succeeded: u32,
    /// Failed, rolled back, timed out or rejected.
    pub failed: u32,
    /// Told and not finished; those that wait for another attempt, too.
    pub in_flight: u32,
    pub queued: u32,
    /// The last results in a row that were failures.
    pub failed_in_a_row: u32,
}

impl Counts {
    pub fn total(&self) -> u32 {
        self.done() + self.in_flight + self.queued
    }

    pub fn done(&self) -> u32 {
        self.succeeded + self.failed
    }
}

/// Why a wave stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trip {
    TooMany,
    InARow,
    /// Too large a share of those that finished.
    Share,
    /// Too many even if all the others succeed.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Not decided yet.
    Open,
    Fail(Trip),
    /// All have finished well enough; the soak goes on.
    Soak,
    Pass,
    /// All have finished, too few of them well: a person decides.
    TooFewSucceeded,
}

fn share(part: u32, of: u32, percent: u8) -> std::cmp::Ordering {
    (100 * u64::from(part)).cmp(&(u64::from(percent) * u64::from(of)))
}

impl Gate {
    /// Devices that must have finished before a share says anything.
    pub fn min_sample(&self, total: u32) -> u32 {
        let sample = match self.fail_percent {
            0 => 1,
            percent => 100_u32.div_ceil(percent.into()).max(5),
        };
        sample.min(total)
    }

    /// `soaked`: the soak has passed, and no device failed in it.
    pub fn judge(&self, counts: &Counts, soaked: bool) -> Verdict {
        if let Some(trip) = self.trip(counts) {
            return Verdict::Fail(trip);
        }
        if counts.in_flight > 0 || counts.queued > 0 {
            return Verdict::Open;
        }
        if share(counts.succeeded, counts.total(), self.success_percent).is_lt() {
            return Verdict::TooFewSucceeded;
        }
        if soaked { Verdict::Pass } else { Verdict::Soak }
    }

    fn trip(&self, counts: &Counts) -> Option<Trip> {
        let (failed, done, total) = (counts.failed, counts.done(), counts.total());
        if self.fail_abs.is_some_and(|most| failed >= most) {
            Some(Trip::TooMany)
        } else if self.consecutive.is_some_and(|most| counts.failed_in_a_row >= most) {
            Some(Trip::InARow)
        } else if done >= self.min_sample(total) && share(failed, done, self.fail_percent).is_gt() {
            Some(Trip::Share)
        } else if share(failed, total, self.fail_percent).is_gt() {
            Some(Trip::Lost)
        } else {
            None
        }
    }

    /// Failures that stop a wave of so many devices at the latest, in whatever order they come;
    /// `None` when nothing does.
    pub fn stops_at(&self, total: u32) -> Option<u32> {
        let lost = u64::from(self.fail_percent) * u64::from(total) / 100 + 1;
        let lost = u32::try_from(lost).ok().filter(|lost| *lost <= total);
        let most = self.fail_abs.filter(|most| *most <= total).map(|most| most.max(1));
        lost.into_iter().chain(most).min()
    }

    /// The most devices that can fail in a wave of so many with so many in flight at once: those
    /// that stop it, and those that were told before it stopped.
    pub fn largest_damage(&self, total: u32, in_flight: u32) -> u32 {
        match self.stops_at(total) {
            Some(stops) => stops.saturating_add(in_flight.saturating_sub(1)).min(total),
            None => total,
        }
    }

    /// How many more failures in a row stop the wave, as it stands; `None` when none can.
    pub fn failures_left(&self, counts: &Counts) -> Option<u32> {
        let mut next = *counts;
        for more in 0..=counts.in_flight + counts.queued {
            if self.trip(&next).is_some() {
                return Some(more);
            }
            // The next to finish is one in flight, or one that is told first.
            if next.in_flight > 0 {
                next.in_flight -= 1;
            } else {
                next.queued = next.queued.checked_sub(1)?;
            }
            next.failed += 1;
            next.failed_in_a_row += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(succeeded: u32, failed: u32, in_flight: u32, queued: u32) -> Counts {
        Counts {
            succeeded,
            failed,
            in_flight,
            queued,
            failed_in_a_row: 0,
        }
    }

    fn percent(fail_percent: u8) -> Gate {
        Gate {
            fail_abs: None,
            fail_percent,
            consecutive: None,
            success_percent: 95,
        }
    }

    #[test]
    fn failures_are_held_against_those_that_finished_not_against_all() {
        let gate = percent(10);
        assert_eq!(
            gate.judge(&counts(9, 1, 50, 940), false),
            Verdict::Open,
            "just ten percent"
        );
        assert_eq!(gate.judge(&counts(9, 2, 50, 939), false), Verdict::Fail(Trip::Share));
    }

    #[test]
    fn a_few_results_are_no_sample() {
        let gate = percent(10);
        assert_eq!(gate.min_sample(1000), 10);
        assert_eq!(gate.judge(&counts(1, 2, 50, 947), false), Verdict::Open);
        assert_eq!(gate.judge(&counts(1, 2, 0, 1), false), Verdict::Fail(Trip::Lost));
    }

    #[test]
    fn at_none_and_at_all_the_boundaries_hold() {
        assert_eq!(
            percent(0).judge(&counts(0, 1, 9, 90), false),
            Verdict::Fail(Trip::Share)
        );
        let all = percent(100);
        assert_eq!(all.judge(&counts(0, 99, 1, 0), false), Verdict::Open);
        assert_eq!(all.judge(&counts(0, 100, 0, 0), false), Verdict::TooFewSucceeded);
        for total in 1..=3 {
            let gate = percent(50);
            assert_eq!(gate.min_sample(total), total);
            assert_eq!(gate.judge(&counts(total, 0, 0, 0), true), Verdict::Pass);
        }
    }

    #[test]
    fn a_wave_that_ended_well_soaks_before_it_passes() {
        let ended = counts(100, 0, 0, 0);
        assert_eq!(Gate::WAVE.judge(&ended, false), Verdict::Soak);
        assert_eq!(Gate::WAVE.judge(&ended, true), Verdict::Pass);
        assert_eq!(
            Gate::WAVE.judge(&counts(0, 0, 0, 0), true),
            Verdict::Pass,
            "all were skipped"
        );
    }

    #[test]
    fn the_canary_stops_at_its_first_failure() {
        assert_eq!(
            Gate::CANARY.judge(&counts(4, 1, 0, 0), true),
            Verdict::Fail(Trip::TooMany)
        );
        assert_eq!(Gate::CANARY.failures_left(&counts(3, 0, 2, 0)), Some(1));
        assert_eq!(Gate::CANARY.largest_damage(5, 1), 1);
    }

    fn gate() -> impl Strategy<Value = Gate> {
        (
            proptest::option::of(1_u32..20),
            0_u8..=100,
            proptest::option::of(1_u32..6),
            0_u8..=100,
        )
            .prop_map(|(fail_abs, fail_percent, consecutive, success_percent)| Gate {
                fail_abs,
                fail_percent,
                consecutive,
                success_percent,
            })
    }

    fn any_counts() -> impl Strategy<Value = Counts> {
        (0_u32..60, 0_u32..60, 0_u32..60, 0_u32..60, 0_u32..6).prop_map(
            |(succeeded, failed, in_flight, queued, row)| Counts {
                failed_in_a_row: row.min(failed),
                ..counts(succeeded, failed, in_flight, queued)
            },
        )
    }

    proptest! {
        /// However devices end, in whatever order, no more fail than was promised before.
        #[test]
        fn never_more_fail_than_was_promised(
            gate in gate(),
            total in 1_u32..200,
            in_flight in 1_u32..20,
            fates in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let mut now = counts(0, 0, 0, total);
            let mut fates = fates.into_iter();
            loop {
                let stopped = matches!(gate.judge(&now, false), Verdict::Fail(_));
                while !stopped && now.queued > 0 && now.in_flight < in_flight {
                    now.queued -= 1;
                    now.in_flight += 1;
                }
                if now.in_flight == 0 {
                    break;
                }
                now.in_flight -= 1;
                // What is in flight when the wave stops may fail altogether.
                if stopped || !fates.next().unwrap_or(false) {
                    now.failed += 1;
                    now.failed_in_a_row += 1;
                } else {
                    now.succeeded += 1;
                    now.failed_in_a_row = 0;
                }
            }
            prop_assert!(now.failed <= gate.largest_damage(total, in_flight), "{:?}", now);
        }

        /// A failure in place of a success never turns a stop into anything else.
        #[test]
        fn more_failures_never_make_it_better(gate in gate(), before in any_counts()) {
            prop_assume!(before.succeeded > 0);
            let after = Counts {
                succeeded: before.succeeded - 1,
                failed: before.failed + 1,
                failed_in_a_row: before.failed_in_a_row + 1,
                ..before
            };
            if matches!(gate.judge(&before, true), Verdict::Fail(_)) {
                prop_assert!(matches!(gate.judge(&after, true), Verdict::Fail(_)));
            }
            if gate.judge(&after, true) == Verdict::Pass {
                prop_assert_eq!(gate.judge(&before, true), Verdict::Pass);
            }
        }

        /// What would pass and must stop, stops.
        #[test]
        fn a_stop_beats_a_pass(gate in gate(), at in any_counts()) {
            let failed = gate.trip(&at).is_some();
            prop_assert_eq!(matches!(gate.judge(&at, true), Verdict::Fail(_)), failed);
        }

        /// So many failures stop it, and one less does not.
        #[test]
        fn failures_left_is_exact(gate in gate(), at in any_counts()) {
            if let Some(left) = gate.failures_left(&at) {
                let after = |more: u32| {
                    let told = more.saturating_sub(at.in_flight);
                    Counts {
                        failed: at.failed + more,
                        failed_in_a_row: at.failed_in_a_row + more,
                        in_flight: at.in_flight.saturating_sub(more),
                        queued: at.queued - told,
                        ..at
                    }
                };
                prop_assert!(gate.trip(&after(left)).is_some());
                if left > 0 {
                    prop_assert!(gate.trip(&after(left - 1)).is_none());
                }
            }
        }
    }
}
