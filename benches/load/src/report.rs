//! Medians, ratios, and how they are shown.

use std::fmt;

use serde_json::json;

use crate::{Round, Trial, server::Kind};

/// The rounds of one trial: those of the hub, those of mosquitto.
pub(crate) struct Measurement {
    pub(crate) trial: Trial,
    pub(crate) rounds: [Vec<Round>; 2],
}

pub(crate) struct Report {
    /// Before the first round: near 0 on a quiet machine, where alone figures compare.
    load_average: f64,
    measurements: Vec<Measurement>,
}

impl Trial {
    fn name(self) -> String {
        match self {
            Self::Telemetry { in_flight } => format!("telemetry/s, QoS 1, {in_flight} unacknowledged"),
            Self::Methods => "round trips/s".into(),
            Self::Idle => "memory of an idle connection, KiB".into(),
        }
    }

    fn key(self) -> String {
        match self {
            Self::Telemetry { in_flight } => format!("telemetry{in_flight}"),
            Self::Methods => "methods".into(),
            Self::Idle => "idle".into(),
        }
    }
}

pub(crate) fn progress(trial: Trial, kind: Kind, round: &Round) -> String {
    let (value, cpu) = (round.value, round.server_cpu);
    format!(
        "{}: {} {value:.1}, {cpu:.1} µs of the server each",
        trial.name(),
        kind.name()
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Lowest, median, highest; and the median of processor time.
struct Summary {
    low: f64,
    median: f64,
    high: f64,
    cpu: f64,
}

impl Summary {
    fn of(rounds: &[Round]) -> Self {
        let values = || rounds.iter().map(|round| round.value);
        Self {
            low: values().fold(f64::INFINITY, f64::min),
            median: median(values()),
            high: values().fold(0.0, f64::max),
            cpu: median(rounds.iter().map(|round| round.server_cpu)),
        }
    }
}

impl Report {
    pub(crate) fn new(load_average: f64) -> Self {
        Self {
            load_average,
            measurements: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | hub | mosquitto | hub ÷ mosquitto | processor time of the server, each |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        let mut line = serde_json::Map::new();
        line.insert("loadAverageBefore".into(), json!(self.load_average));
        for Measurement { trial, rounds } in &self.measurements {
            let [hub, mosquitto] = [0, 1].map(|kind| Summary::of(&rounds[kind]));
            let ratio = hub.median / mosquitto.median;
            let digits = usize::from(matches!(trial, Trial::Idle));
            let cell = |of: &Summary| format!("{:.digits$} ({:.digits$}–{:.digits$})", of.median, of.low, of.high);
            writeln!(
                f,
                "| {} | {} | {} | {ratio:.2} | {:.1} µs, {:.1} µs |",
                trial.name(),
                cell(&hub),
                cell(&mosquitto),
                hub.cpu,
                mosquitto.cpu
            )?;
            let side =
                |of: &Summary| json!({ "median": of.median, "low": of.low, "high": of.high, "cpuMicros": of.cpu });
            line.insert(
                trial.key(),
                json!({ "hub": side(&hub), "mosquitto": side(&mosquitto), "ratio": ratio }),
            );
        }
        writeln!(f, "\n{}", serde_json::Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert!((median([9.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 9.0].into_iter()) - 3.0).abs() < f64::EPSILON);
    }
}
