//! The faults of one device: which strike when. Pure: its age and its dice are arguments, and a
//! draw depends on the occasion's number, never on what happened before.

use std::time::Duration;

use crate::{
    fault::{Fault, FaultKind},
    random::Random,
};

/// Ages are counted from the device's first connect.
#[derive(Debug)]
pub(crate) struct Faults {
    random: Random,
    /// With the number of occasions each had.
    list: Vec<(Fault, u64)>,
    /// The age at which they were given.
    since: Duration,
}

/// Whether a device may have a connection, and until when that is so; `None` is for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) online: bool,
    pub(crate) until: Option<Duration>,
}

impl Faults {
    pub(crate) fn new(random: Random, faults: Vec<Fault>) -> Self {
        Self {
            random,
            list: faults.into_iter().map(|fault| (fault, 0)).collect(),
            since: Duration::ZERO,
        }
    }

    /// Effective at once; windows count from now.
    pub(crate) fn replace(&mut self, faults: Vec<Fault>, age: Duration) {
        *self = Self {
            since: age,
            ..Self::new(self.random, faults)
        };
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.list.iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// The first fault that `pick` knows and that strikes this time. Each call is one occasion of
    /// every fault that was asked.
    pub(crate) fn strike<T>(&mut self, pick: impl Fn(&FaultKind) -> Option<T>) -> Option<T> {
        let random = self.random;
        self.list
            .iter_mut()
            .enumerate()
            .find_map(|(index, (fault, occasions))| {
                let picked = pick(&fault.kind)?;
                let occasion = *occasions;
                *occasions += 1;
                strikes(random, index, fault, occasion).then_some(picked)
            })
    }

    /// Seconds by which the device's clock is wrong.
    pub(crate) fn skew(&self) -> i64 {
        let skews = self
            .list
            .iter()
            .enumerate()
            .map(|(index, (fault, _))| match fault.kind {
                FaultKind::ClockSkew { seconds } if strikes(self.random, index, fault, 0) => seconds,
                _ => 0,
            });
        skews.sum()
    }

    /// What the windows say for a device of this age. `until` may lie before the next change, but
    /// never after it.
    pub(crate) fn reach(&self, age: Duration) -> Reach {
        let age = age.saturating_sub(self.since);
        let mut reach = Reach {
            online: true,
            until: None,
        };
        for (index, (fault, _)) in self.list.iter().enumerate() {
            let strikes = |occasion| strikes(self.random, index, fault, occasion);
            let window = match &fault.kind {
                FaultKind::Offline { after, lasts } => once(age, after.get(), lasts.get(), strikes),
                FaultKind::Flapping { every, lasts } => repeated(age, every.get(), lasts.get(), strikes),
                _ => continue,
            };
            reach = match (reach.online, window.online) {
                (true, false) => window,
                (false, true) => reach,
                // Offline as long as any window says so; online until the first begins.
                (false, false) => Reach {
                    online: false,
                    until: reach.until.max(window.until),
                },
                (true, true) => Reach {
                    online: true,
                    until: [reach.until, window.until].into_iter().flatten().min(),
                },
            };
        }
        Reach {
            until: reach.until.map(|until| until + self.since),
            ..reach
        }
    }
}

fn strikes(random: Random, index: usize, fault: &Fault, occasion: u64) -> bool {
    random.draw(&format!("fault/{index}"), occasion) < fault.chance
}

fn once(age: Duration, after: Duration, lasts: Duration, strikes: impl Fn(u64) -> bool) -> Reach {
    let ends = after + lasts;
    let until = if age < after { after } else { ends };
    if age >= ends || !strikes(0) {
        return Reach {
            online: true,
            until: None,
        };
    }
    Reach {
        online: age < after,
        until: Some(until),
    }
}

/// The first window begins after one whole period.
fn repeated(age: Duration, every: Duration, lasts: Duration, strikes: impl Fn(u64) -> bool) -> Reach {
    let periods = age.as_millis() / every.as_millis().max(1);
    let number = u32::try_from(periods).unwrap_or(u32::MAX);
    let began = every.saturating_mul(number);
    let offline = number > 0 && age < began + lasts && strikes(u64::from(number));
    Reach {
        online: !offline,
        until: Some(began + if offline { lasts } else { every }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::duration::Time;

    fn time(milliseconds: u64) -> Time {
        Duration::from_millis(milliseconds).into()
    }

    fn faults(kinds: impl IntoIterator<Item = FaultKind>) -> Faults {
        let list = kinds.into_iter().map(Fault::from).collect();
        Faults::new(Random::new(7, "pump-1"), list)
    }

    fn at(faults: &Faults, seconds: u64) -> (bool, Option<u64>) {
        let reach = faults.reach(Duration::from_secs(seconds));
        (reach.online, reach.until.map(|until| until.as_secs()))
    }

    fn offline(after: u64, lasts: u64) -> FaultKind {
        FaultKind::Offline {
            after: time(after * 1000),
            lasts: time(lasts * 1000),
        }
    }

    fn flapping(every: u64, lasts: u64) -> FaultKind {
        FaultKind::Flapping {
            every: time(every * 1000),
            lasts: time(lasts * 1000),
        }
    }

    #[test]
    fn a_device_without_windows_stays_online_for_good() {
        assert_eq!(at(&faults([FaultKind::Silent]), 5), (true, None));
    }

    #[test]
    fn an_offline_window_begins_and_ends_once() {
        let faults = faults([offline(30, 10)]);
        assert_eq!(at(&faults, 0), (true, Some(30)));
        assert_eq!(at(&faults, 30), (false, Some(40)));
        assert_eq!(at(&faults, 39), (false, Some(40)));
        assert_eq!(at(&faults, 40), (true, None));
    }

    #[test]
    fn a_flapping_device_goes_after_each_period() {
        let faults = faults([flapping(10, 2)]);
        assert_eq!(at(&faults, 0), (true, Some(10)));
        assert_eq!(at(&faults, 10), (false, Some(12)));
        assert_eq!(at(&faults, 12), (true, Some(20)));
        assert_eq!(at(&faults, 21), (false, Some(22)));
    }

    #[test]
    fn windows_that_meet_add_up() {
        let faults = faults([offline(9, 2), flapping(10, 3)]);
        assert_eq!(at(&faults, 8), (true, Some(9)));
        assert_eq!(at(&faults, 9), (false, Some(11)));
        assert_eq!(at(&faults, 10), (false, Some(13)));
        assert_eq!(at(&faults, 13), (true, Some(20)));
    }

    #[test]
    fn windows_given_to_a_running_device_count_from_then() {
        let mut faults = faults([]);
        faults.replace(vec![offline(0, 5).into()], Duration::from_secs(100));
        assert_eq!(at(&faults, 100), (false, Some(105)));
        assert_eq!(at(&faults, 105), (true, None));
    }

    #[test]
    fn a_fault_strikes_about_as_often_as_its_chance_and_the_same_times_in_every_run() {
        let run = || {
            let fault = Fault {
                chance: 0.3,
                ..FaultKind::NoAnswer.into()
            };
            let mut faults = Faults::new(Random::new(7, "pump-1"), vec![fault]);
            (0..1000)
                .map(|_| {
                    faults
                        .strike(|kind| (*kind == FaultKind::NoAnswer).then_some(()))
                        .is_some()
                })
                .collect::<Vec<_>>()
        };
        let struck = run().into_iter().filter(|struck| *struck).count();
        assert!((250..350).contains(&struck), "{struck}");
        assert_eq!(run(), run());
    }

    #[test]
    fn the_first_of_two_that_fit_is_the_answer() {
        let mut faults = faults([
            FaultKind::Silent,
            FaultKind::WrongAnswer { status: 500 },
            FaultKind::NoAnswer,
        ]);
        let struck = faults.strike(|kind| kind.point().map(|_| kind.clone()));
        assert_eq!(struck, Some(FaultKind::WrongAnswer { status: 500 }));
    }

    #[test]
    fn skews_add_up() {
        let skew = |seconds| FaultKind::ClockSkew { seconds };
        assert_eq!(faults([skew(3600), skew(-60)]).skew(), 3540);
    }

    proptest! {
        /// Whoever looks again at `until` misses no change.
        #[test]
        fn nothing_changes_before_until(
            after in 0..50_u64, lasts in 1..20_u64, every in 2..40_u64, age in 0..200_u64, chance in 0.0..=1.0_f64,
        ) {
            let list = [offline(after, lasts), flapping(every, every / 2)];
            let list = list.map(|kind| Fault { chance, ..kind.into() });
            let faults = Faults::new(Random::new(7, "pump-1"), list.to_vec());
            let now = faults.reach(Duration::from_secs(age));
            let until = now.until.map_or(age + 100, |until| until.as_secs());
            prop_assert!(until > age);
            for later in age..until {
                prop_assert_eq!(faults.reach(Duration::from_secs(later)).online, now.online);
            }
        }
    }
}
