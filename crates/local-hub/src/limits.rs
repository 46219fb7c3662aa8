//! The rates and the daily quota of a real unit, for those who want to meet them before Azure
//! does it to them (service.md 11.4). Off unless asked for.

use std::{num::NonZeroU32, sync::Mutex, sync::PoisonError, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota};
use hub_protocol::{ErrorCode, HubError, Timestamp};

/// What a tier-1 hub allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub units: NonZeroU32,
    /// Messages a day, all units together; a message counts once for each 4 KB begun.
    pub messages_a_day: u64,
    /// How long a call over its rate waits before it is refused. A real hub shapes traffic
    /// first, too.
    pub backlog: Duration,
}

impl Limits {
    pub fn s1(units: NonZeroU32) -> Self {
        Self {
            units,
            messages_a_day: 400_000 * u64::from(units.get()),
            backlog: Duration::from_secs(10),
        }
    }
}

/// Jobs that may be under way at once on S1.
pub(crate) const ACTIVE_JOBS: usize = 1;

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Each item of a bulk call counts.
    Registry,
    Query,
    TwinRead,
    TwinUpdate,
    /// Metered by 4 KB.
    Method,
    MessageToDevice,
    ReceiveOverHttps,
    Connect,
    /// Metered by 4 KB.
    Telemetry,
    Configuration,
    Job,
    JobDevice,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Registry => "RegistryOperation",
            Self::Query => "Query",
            Self::TwinRead => "TwinRead",
            Self::TwinUpdate => "TwinUpdate",
            Self::Method => "DirectMethod",
            Self::MessageToDevice => "CloudToDeviceSend",
            Self::ReceiveOverHttps => "CloudToDeviceReceive",
            Self::Connect => "DeviceConnect",
            Self::Telemetry => "DeviceToCloudSend",
            Self::Configuration => "ConfigurationWrite",
            Self::Job => "JobOperation",
            Self::JobDevice => "JobDeviceOperation",
        }
    }

    /// A tier-1 hub's rate with `units`.
    fn quota(self, units: NonZeroU32) -> Quota {
        let times = |count: u32| units.saturating_mul(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        let at_least = |least: u32, each: u32| times(each).max(NonZeroU32::new(least).unwrap_or(NonZeroU32::MIN));
        match self {
            Self::Registry | Self::MessageToDevice | Self::Job => Quota::per_minute(times(100)),
            Self::Query | Self::Configuration => Quota::per_minute(times(20)),
            Self::ReceiveOverHttps => Quota::per_minute(times(1000)),
            Self::Method => Quota::per_second(times(40)),
            Self::Connect | Self::Telemetry => Quota::per_second(at_least(100, 12)),
            Self::TwinRead => Quota::per_second(at_least(100, 1)),
            Self::TwinUpdate => Quota::per_second(at_least(50, 1)),
            Self::JobDevice => Quota::per_second(at_least(10, 1)),
        }
    }

    const ALL: [Self; 12] = [
        Self::Registry,
        Self::Query,
        Self::TwinRead,
        Self::TwinUpdate,
        Self::Method,
        Self::MessageToDevice,
        Self::ReceiveOverHttps,
        Self::Connect,
        Self::Telemetry,
        Self::Configuration,
        Self::Job,
        Self::JobDevice,
    ];
}

/// 4 KB pieces a payload counts for; an empty one counts once.
pub(crate) fn meters(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4096).max(1)).unwrap_or(u32::MAX)
}

pub(crate) struct Limiter {
    limits: Limits,
    rates: Vec<DefaultDirectRateLimiter>,
    /// The day counted, in days since 1970, and what was counted in it.
    today: Mutex<(i64, u64)>,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        let rate = |operation: Operation| DefaultDirectRateLimiter::direct(operation.quota(limits.units));
        Self {
            limits,
            rates: Operation::ALL.into_iter().map(rate).collect(),
            today: Mutex::default(),
        }
    }

    /// Waits for `cost` places in the rate, and refuses when the backlog is too long.
    pub(crate) async fn admit(&self, operation: Operation, cost: u32) -> Result<(), HubError> {
        let refused = || {
            let text = format!(
                "Throttling backlog element expired: the rate of {} is used up; wait 10 seconds and try again.",
                operation.name()
            );
            HubError::new(ErrorCode::ThrottlingBacklogTimeout, text)
        };
        let (Some(rate), Some(cost)) = (self.rates.get(operation as usize), NonZeroU32::new(cost)) else {
            return Ok(());
        };
        match tokio::time::timeout(self.limits.backlog, rate.until_n_ready(cost)).await {
            Ok(Ok(())) => Ok(()),
            // Late, or more at once than the rate ever allows.
            Ok(Err(_)) | Err(_) => Err(refused()),
        }
    }

    /// Waits for `cost` places in the rate, however long that takes: for work of the hub's own.
    pub(crate) async fn pace(&self, operation: Operation, cost: NonZeroU32) {
        if let Some(rate) = self.rates.get(operation as usize) {
            // Refused only where `cost` is more than the rate ever allows.
            let _ = rate.until_n_ready(cost).await;
        }
    }

    /// Counts messages against the day's quota; days are UTC's.
    pub(crate) fn count_messages(&self, meters: u32, now: Timestamp) -> Result<(), HubError> {
        let day = now.unix_seconds().div_euclid(86_400);
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != day {
            *today = (day, 0);
        }
        if today.1 + u64::from(meters) > self.limits.messages_a_day {
            let text = format!(
                "The hub's {} messages of today are used up; the count starts again at midnight UTC.",
                self.limits.messages_a_day
            );
            return Err(HubError::new(ErrorCode::IotHubQuotaExceeded, text));
        }
        today.1 += u64::from(meters);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(backlog: Duration, messages_a_day: u64) -> Limiter {
        Limiter::new(Limits {
            backlog,
            messages_a_day,
            ..Limits::s1(NonZeroU32::MIN)
        })
    }

    #[tokio::test]
    async fn a_rate_is_kept_and_what_is_over_it_is_refused() {
        let limiter = limiter(Duration::ZERO, 1);
        for _ in 0..20 {
            limiter.admit(Operation::Query, 1).await.unwrap();
        }
        let error = limiter.admit(Operation::Query, 1).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ThrottlingBacklogTimeout);
        limiter.admit(Operation::TwinRead, 1).await.unwrap();
    }

    #[tokio::test]
    async fn a_little_over_the_rate_waits_instead() {
        let limiter = limiter(Duration::from_secs(5), 1);
        for _ in 0..51 {
            limiter.admit(Operation::TwinUpdate, 1).await.unwrap();
        }
    }

    #[tokio::test]
    async fn more_than_the_rate_ever_allows_is_refused_at_once() {
        let limiter = limiter(Duration::from_secs(60), 1);
        assert!(limiter.admit(Operation::Registry, 101).await.is_err());
    }

    #[test]
    fn the_day_s_messages_are_counted_by_four_kilobytes_until_midnight() {
        let limiter = limiter(Duration::ZERO, 5);
        let at = |text| Timestamp::parse(text).unwrap();
        limiter
            .count_messages(meters(4096), at("2030-01-01T23:00:00Z"))
            .unwrap();
        limiter
            .count_messages(meters(4 * 4096), at("2030-01-01T23:10:00Z"))
            .unwrap();
        let error = limiter
            .count_messages(meters(0), at("2030-01-01T23:59:59Z"))
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::IotHubQuotaExceeded);
        limiter.count_messages(1, at("2030-01-02T00:00:00Z")).unwrap();
    }
}
