//! When to repeat a call, and after how long. Pure: elapsed time and randomness are arguments.

use std::time::Duration;

/// What a call may suffer without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Doing it twice is the same as doing it once.
    Yes,
    /// Doing it twice would be noticed (a method would run again): only repeated when it is
    /// certain that the first try did nothing.
    UnlessDone,
}

/// How a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: nothing was sent.
    NotSent,
    /// The connection was lost or fell silent after the request may have gone out.
    Lost,
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
}

/// Exponential backoff with full jitter under three bounds: tries, one wait, all time together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries, the first included.
    pub attempts: u32,
    /// Ceiling of the first wait.
    pub base: Duration,
    /// Ceiling of the first wait after a 429: a throttled hub asks for about ten seconds but
    /// sends no `Retry-After`.
    pub throttled_base: Duration,
    pub longest_wait: Duration,
    /// No wait is begun that would end later than this after the first try began.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(500),
            throttled_base: Duration::from_secs(10),
            longest_wait: Duration::from_secs(30),
            total: Duration::from_secs(90),
        }
    }
}

impl RetryPolicy {
    /// One try. For a person who waits for "test this connection".
    pub const NEVER: Self = Self {
        attempts: 1,
        base: Duration::ZERO,
        throttled_base: Duration::ZERO,
        longest_wait: Duration::ZERO,
        total: Duration::ZERO,
    };

    /// The wait before the next try, or `None` to give up. `tries` counts those made, `elapsed`
    /// runs since the first began, `random` is in `0.0..1.0`.
    pub fn wait(
        &self,
        repeatable: Repeatable,
        failure: Failure,
        tries: u32,
        elapsed: Duration,
        random: f64,
    ) -> Option<Duration> {
        if tries >= self.attempts || !may_repeat(repeatable, failure) {
            return None;
        }
        let (base, asked) = match failure {
            Failure::Status {
                status: 429,
                retry_after,
            } => (self.throttled_base, retry_after),
            Failure::Status { retry_after, .. } => (self.base, retry_after),
            Failure::NotSent | Failure::Lost => (self.base, None),
        };
        let doublings = tries.saturating_sub(1).min(16);
        let wait = match asked {
            // At least what the hub asked for, and a little spread so that not all come at once.
            Some(asked) => asked.saturating_add(self.base.mul_f64(random)),
            None => base
                .saturating_mul(1 << doublings)
                .min(self.longest_wait)
                .mul_f64(random),
        };
        (elapsed.saturating_add(wait) <= self.total).then_some(wait)
    }
}

fn may_repeat(repeatable: Repeatable, failure: Failure) -> bool {
    match failure {
        // A throttled request was turned away, not begun.
        Failure::NotSent | Failure::Status { status: 429, .. } => true,
        Failure::Lost => repeatable == Repeatable::Yes,
        Failure::Status { status, .. } => {
            repeatable == Repeatable::Yes && matches!(status, 408 | 500 | 502 | 503 | 504)
        }
    }
}

/// `Retry-After` in its form of seconds; no hub sends the form of a date.
pub fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(status: u16) -> Failure {
        Failure::Status {
            status,
            retry_after: None,
        }
    }

    fn first_wait(repeatable: Repeatable, failure: Failure) -> Option<Duration> {
        RetryPolicy::default().wait(repeatable, failure, 1, Duration::ZERO, 0.99)
    }

    #[test]
    fn passing_troubles_of_an_idempotent_call_are_retried() {
        for number in [408, 429, 500, 502, 503, 504] {
            assert!(first_wait(Repeatable::Yes, status(number)).is_some(), "{number}");
        }
        assert!(first_wait(Repeatable::Yes, Failure::Lost).is_some());
        assert!(first_wait(Repeatable::Yes, Failure::NotSent).is_some());
    }

    #[test]
    fn answers_that_would_be_the_same_again_are_not_retried() {
        for number in [200, 400, 401, 403, 404, 409, 412, 413] {
            assert_eq!(first_wait(Repeatable::Yes, status(number)), None, "{number}");
        }
    }

    #[test]
    fn a_method_is_never_repeated_once_it_may_have_reached_the_device() {
        for number in [408, 500, 502, 503, 504] {
            assert_eq!(first_wait(Repeatable::UnlessDone, status(number)), None, "{number}");
        }
        assert_eq!(first_wait(Repeatable::UnlessDone, Failure::Lost), None);
        assert!(first_wait(Repeatable::UnlessDone, Failure::NotSent).is_some());
        assert!(first_wait(Repeatable::UnlessDone, status(429)).is_some());
    }

    #[test]
    fn a_throttled_call_waits_longer_than_a_failed_one() {
        let throttled = first_wait(Repeatable::Yes, status(429)).unwrap();
        assert!(throttled > Duration::from_secs(9));
        assert!(first_wait(Repeatable::Yes, status(503)).unwrap() < Duration::from_secs(1));
    }

    #[test]
    fn retry_after_is_the_least_that_is_waited() {
        let failure = Failure::Status {
            status: 503,
            retry_after: retry_after(Some(" 7 ")),
        };
        let wait = first_wait(Repeatable::Yes, failure).unwrap();
        assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8));
    }

    #[test]
    fn a_wait_longer_than_the_time_left_is_not_begun() {
        let failure = Failure::Status {
            status: 429,
            retry_after: Some(Duration::from_secs(3600)),
        };
        assert_eq!(first_wait(Repeatable::Yes, failure), None);
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(Repeatable::Yes, Failure::Lost, 1, policy.total, 0.99), None);
    }

    #[test]
    fn an_unreadable_retry_after_is_ignored() {
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }

    proptest! {
        #[test]
        fn tries_and_time_are_bounded_whatever_happens(
            failures in prop::collection::vec((prop::sample::select(vec![429_u16, 503]), 0.0..1.0_f64), 20..21),
        ) {
            let policy = RetryPolicy::default();
            let (mut tries, mut elapsed) = (1, Duration::ZERO);
            for (number, random) in failures {
                let Some(wait) = policy.wait(Repeatable::Yes, status(number), tries, elapsed, random) else { break };
                prop_assert!(wait <= policy.longest_wait);
                tries += 1;
                elapsed += wait;
            }
            prop_assert!(tries <= policy.attempts);
            prop_assert!(elapsed <= policy.total);
        }
    }
}
