//! What a fleet's events say of its reconnects: whether each came when its device had announced it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use device_sim::DeviceState;
use hub_protocol::DeviceId;

/// No wait that a device announces is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Announced waits that were kept: another try to connect came when it should.
    pub(crate) kept: u64,
    /// Announced waits after which the device came too late, or not at all.
    pub(crate) late: u64,
    /// Announced waits that the device cut short.
    pub(crate) early: u64,
    /// Announced waits beyond any backoff's ceiling.
    pub(crate) too_long: u64,
    pub(crate) refused: u64,
    /// Events that came faster than they were read: of them nothing is known.
    pub(crate) missed: u64,
    /// By how much the latest came after its time; the turn that it waited for is in it.
    pub(crate) latest: Duration,
}

impl Tally {
    /// Whether every reconnect was seen and kept its time.
    pub(crate) fn is_clean(&self) -> bool {
        self.late + self.early + self.too_long + self.refused + self.missed == 0
    }
}

#[derive(Debug, Default)]
struct Device {
    connected: bool,
    /// When it said so, and the wait it announced.
    announced: Option<(Instant, Duration)>,
}

pub(crate) struct Watch {
    devices: HashMap<DeviceId, Device>,
    /// How late a device may be: the longest wait for a turn to connect.
    turn: Duration,
    /// How far the moments at which events are read may be off.
    slack: Duration,
    tally: Tally,
}

impl Watch {
    pub(crate) fn new(turn: Duration, slack: Duration) -> Self {
        Self {
            devices: HashMap::new(),
            turn,
            slack,
            tally: Tally::default(),
        }
    }

    pub(crate) fn saw(&mut self, id: &DeviceId, state: &DeviceState, at: Instant) {
        let device = self.devices.entry(id.clone()).or_default();
        if let Some((since, wait)) = device.announced.take() {
            let waited = at.saturating_duration_since(since);
            let tally = &mut self.tally;
            tally.latest = tally.latest.max(waited.saturating_sub(wait));
            if waited > wait + self.turn + self.slack {
                tally.late += 1;
            } else if *state == DeviceState::Connecting && waited + self.slack < wait {
                tally.early += 1;
            } else if *state == DeviceState::Connecting {
                tally.kept += 1;
            }
        }
        device.connected = *state == DeviceState::Connected;
        match state {
            DeviceState::Waiting { retry_in, .. } | DeviceState::Refused { retry_in, .. } => {
                self.tally.refused += u64::from(matches!(state, DeviceState::Refused { .. }));
                self.tally.too_long += u64::from(*retry_in > LONGEST_WAIT);
                device.announced = Some((at, *retry_in));
            }
            DeviceState::Connecting | DeviceState::Connected | DeviceState::Stopped => {}
        }
    }

    /// Events were lost: what was announced before them can no longer be judged.
    pub(crate) fn missed(&mut self, events: u64) {
        self.tally.missed += events;
        for device in self.devices.values_mut() {
            device.announced = None;
        }
    }

    pub(crate) fn connected(&self) -> usize {
        self.devices.values().filter(|device| device.connected).count()
    }

    /// So far; those that should have come back by `now` and did not are late.
    pub(crate) fn tally(&self, now: Instant) -> Tally {
        let overdue = |device: &&Device| {
            let due = |(since, wait): (Instant, Duration)| now > since + wait + self.turn + self.slack;
            device.announced.is_some_and(due)
        };
        let overdue = self.devices.values().filter(overdue).count() as u64;
        Tally {
            late: self.tally.late + overdue,
            ..self.tally
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_secs(1);
    const SLACK: Duration = Duration::from_millis(100);

    fn waiting(seconds: u64) -> DeviceState {
        DeviceState::Waiting {
            reason: "offline".into(),
            retry_in: Duration::from_secs(seconds),
        }
    }

    /// What is known after these states at these milliseconds of one device's life.
    fn after(states: &[(u64, DeviceState)], now: u64) -> Tally {
        let (start, id) = (Instant::now(), DeviceId::new("pump").unwrap());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut watch = Watch::new(TURN, SLACK);
        for (milliseconds, state) in states {
            watch.saw(&id, state, at(*milliseconds));
        }
        watch.tally(at(now))
    }

    #[test]
    fn a_device_that_comes_within_its_wait_and_turn_kept_its_time() {
        for came in [4_950, 5_000, 6_050] {
            let states = [
                (0, DeviceState::Connected),
                (10, waiting(5)),
                (10 + came, DeviceState::Connecting),
                (10_000, DeviceState::Connected),
            ];
            let tally = after(&states, 20_000);
            assert_eq!(tally.kept, 1, "{came}");
            assert!(tally.is_clean(), "{tally:?}");
        }
    }

    #[test]
    fn one_that_comes_later_or_sooner_is_counted() {
        let late = after(&[(0, waiting(5)), (6_200, DeviceState::Connecting)], 7_000);
        assert_eq!((late.late, late.kept), (1, 0));
        assert_eq!(late.latest, Duration::from_millis(1_200));
        let early = after(&[(0, waiting(5)), (4_800, DeviceState::Connecting)], 7_000);
        assert_eq!((early.early, early.kept), (1, 0));
    }

    #[test]
    fn one_that_never_comes_is_late_once_its_time_is_over() {
        assert!(after(&[(0, waiting(5))], 6_000).is_clean());
        assert_eq!(after(&[(0, waiting(5))], 6_200).late, 1);
    }

    #[test]
    fn a_new_announcement_in_time_replaces_the_one_before() {
        let states = [(0, waiting(5)), (3_000, waiting(9)), (12_000, DeviceState::Connecting)];
        let tally = after(&states, 13_000);
        assert!(tally.is_clean() && tally.kept == 1, "{tally:?}");
        assert_eq!(after(&[(0, waiting(5)), (8_000, waiting(9))], 9_000).late, 1);
    }

    #[test]
    fn waits_beyond_every_ceiling_and_refusals_are_counted() {
        assert_eq!(after(&[(0, waiting(301))], 0).too_long, 1);
        let refused = DeviceState::Refused {
            reason: "wrong key".into(),
            retry_in: Duration::from_secs(10),
        };
        assert_eq!(after(&[(0, refused)], 0).refused, 1);
    }

    #[test]
    fn after_missed_events_old_announcements_are_not_judged() {
        let (start, id) = (Instant::now(), DeviceId::new("pump").unwrap());
        let mut watch = Watch::new(TURN, SLACK);
        watch.saw(&id, &waiting(5), start);
        watch.missed(3);
        let tally = watch.tally(start + Duration::from_secs(60));
        assert_eq!((tally.late, tally.missed), (0, 3));
        assert!(!tally.is_clean());
    }
}
