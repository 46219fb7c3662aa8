//! The rates of the hub that jobs share, and how long a job takes by them.
//!
//! A hub over its rate makes calls wait, then answers 429 (service.md 11.4). Keeping to the rates
//! here costs no more time and no attempts.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, clock::Clock};

use crate::view::{JobKind, JobRunner};

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meter {
    Methods,
    TwinUpdates,
    Registry,
    /// Devices of the hub's own jobs; counted by the hub.
    JobDevices,
}

impl Meter {
    /// Of a hub of tier S1 with one unit: at once, and in each second after that.
    fn rate(self) -> (u32, f64) {
        match self {
            Self::Methods => (40, 40.0),
            Self::TwinUpdates => (50, 50.0),
            Self::Registry => (100, 100.0 / 60.0),
            Self::JobDevices => (10, 10.0),
        }
    }

    fn quota(self) -> Quota {
        let (burst, per_second) = self.rate();
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(Duration::from_secs_f64(1.0 / per_second))
            .map_or(Quota::per_second(burst), |quota| quota.allow_burst(burst))
    }
}

/// What one device of a job costs.
pub(crate) fn cost(kind: JobKind, runner: JobRunner) -> (Meter, u32) {
    match (runner, kind) {
        (JobRunner::Hub, _) => (Meter::JobDevices, 1),
        (_, JobKind::UpdateTwin) => (Meter::TwinUpdates, 1),
        // Read, then written with its etag.
        (_, JobKind::Enable | JobKind::Disable) => (Meter::Registry, 2),
        (_, JobKind::Delete) => (Meter::Registry, 1),
        _ => (Meter::Methods, 1),
    }
}

/// Seconds by the rates alone; how long devices take is not known.
pub(crate) fn estimate(kind: JobKind, runner: JobRunner, devices: u32) -> u32 {
    let (meter, each) = cost(kind, runner);
    let (burst, per_second) = meter.rate();
    let beyond = devices.saturating_mul(each).saturating_sub(burst);
    let seconds = (f64::from(beyond) / per_second).ceil();
    format!("{seconds:.0}").parse().unwrap_or(u32::MAX)
}

/// Shared by all jobs of a hub; without limits nothing waits.
pub(crate) struct Rates(Option<[DefaultDirectRateLimiter; 3]>);

impl Rates {
    pub(crate) fn new(is_limited: bool) -> Self {
        let meters = [Meter::Methods, Meter::TwinUpdates, Meter::Registry];
        Self(is_limited.then(|| meters.map(|meter| DefaultDirectRateLimiter::direct(meter.quota()))))
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a place for one device, or says how long until there is one.
    pub(crate) fn take(&self, kind: JobKind) -> Result<(), Duration> {
        let (meter, each) = cost(kind, JobRunner::Here);
        let limiter = self.0.as_ref().and_then(|limiters| limiters.get(meter as usize));
        let (Some(limiter), Some(each)) = (limiter, NonZeroU32::new(each)) else {
            return Ok(());
        };
        match limiter.check_n(each) {
            Ok(Err(early)) => Err(early.wait_time_from(limiter.clock().now())),
            // More at once than the rate ever allows is never asked for.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_counts_what_the_hub_lets_through_at_once() {
        assert_eq!(estimate(JobKind::InvokeMethod, JobRunner::Here, 40), 0);
        assert_eq!(estimate(JobKind::InvokeMethod, JobRunner::Here, 440), 10);
        assert_eq!(estimate(JobKind::UpdateTwin, JobRunner::Hub, 110), 10);
        assert_eq!(estimate(JobKind::Disable, JobRunner::Here, 100), 60);
    }

    #[test]
    fn a_rate_lets_its_burst_through_and_then_says_how_long_to_wait() {
        let rates = Rates::new(true);
        assert!((0..40).all(|_| rates.take(JobKind::Reboot).is_ok()));
        let wait = rates.take(JobKind::Reboot).unwrap_err();
        assert!(wait <= Duration::from_millis(25), "{wait:?}");
        assert!(rates.take(JobKind::UpdateTwin).is_ok(), "counted apart");
        assert!((0..1000).all(|_| Rates::new(false).take(JobKind::Reboot).is_ok()));
    }
}
