//! Resident memory over time, and whether it grows.

use std::{fmt, time::Duration};

/// A shorter look tells of the start of a program, not of its life.
const SHORTEST: Duration = Duration::from_secs(20 * 60);

/// What two processes held at one moment, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Since the soak began.
    pub(crate) at: Duration,
    pub(crate) hub: u64,
    pub(crate) fleet: u64,
}

/// How one process's memory went: the straight line that fits its samples best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    pub(crate) samples: usize,
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
    /// KiB.
    pub(crate) mean: f64,
    /// KiB an hour.
    pub(crate) slope: f64,
}

impl Trend {
    /// Of the samples taken at `from` or later; `None` when they cover less than 20 minutes.
    pub(crate) fn of(samples: &[Sample], from: Duration, process: impl Fn(&Sample) -> u64) -> Option<Self> {
        let late = || samples.iter().filter(|sample| sample.at >= from);
        if samples.last()?.at.saturating_sub(from) < SHORTEST {
            return None;
        }
        let points: Vec<(f64, f64)> = late()
            .map(|sample| (sample.at.as_secs_f64() / 3600.0, kib(process(sample))))
            .collect();
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / kib(points.len() as u64);
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if points.len() < 2 || spread <= 0.0 {
            return None;
        }
        let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        Some(Self {
            samples: points.len(),
            lowest: late().map(&process).min()?,
            highest: late().map(&process).max()?,
            mean: mean_y,
            slope: together / spread,
        })
    }

    /// Growth in an hour as a share of the mean, in percent; negative when it shrinks.
    pub(crate) fn percent_an_hour(&self) -> f64 {
        self.slope / self.mean * 100.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kib(number: u64) -> f64 {
    number as f64
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB on average, {:.1} to {:.1}; {:+.0} KiB an hour, {:+.2} % ({} samples)",
            self.mean / 1024.0,
            kib(self.lowest) / 1024.0,
            kib(self.highest) / 1024.0,
            self.slope,
            self.percent_an_hour(),
            self.samples,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(hub: impl Fn(u64) -> u64) -> Vec<Sample> {
        (0..60)
            .map(|minute| Sample {
                at: Duration::from_secs(minute * 60),
                hub: hub(minute),
                fleet: 0,
            })
            .collect()
    }

    #[test]
    fn steady_growth_is_its_own_slope() {
        let trend = Trend::of(&samples(|minute| 1000 + 10 * minute), Duration::ZERO, |s| s.hub).unwrap();
        assert!((trend.slope - 600.0).abs() < 1e-6, "{trend:?}");
        assert_eq!((trend.lowest, trend.highest, trend.samples), (1000, 1590, 60));
    }

    #[test]
    fn what_came_before_the_start_does_not_count() {
        let late = Duration::from_secs(15 * 60);
        let warm_up = samples(|minute| if minute < 15 { 100 * minute } else { 2000 });
        let trend = Trend::of(&warm_up, late, |s| s.hub).unwrap();
        assert!(trend.percent_an_hour().abs() < 1e-9, "{trend:?}");
        assert_eq!(trend.samples, 45);
    }

    #[test]
    fn a_short_look_has_no_slope() {
        assert_eq!(Trend::of(&samples(|_| 1)[..20], Duration::ZERO, |s| s.hub), None);
        assert!(Trend::of(&samples(|_| 1)[..21], Duration::ZERO, |s| s.hub).is_some());
    }
}
