//! What a device sends by itself: messages made of generators, as pure functions of the device's
//! randomness and the number of the message.

use std::{collections::BTreeMap, f64::consts::TAU, time::Duration};

use hub_protocol::merge::Object;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::duration::Time;

/// A walk goes so many steps, and the same way back: each value is found without its predecessors.
const WALK: u64 = 1024;
const MAX_ROWS: usize = 10_000;
const MAX_DECIMALS: u8 = 9;

/// One message again and again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Telemetry {
    pub(crate) name: String,
    pub(crate) every: Duration,
    pub(crate) values: Vec<(String, Generator)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Generator {
    Constant(Value),
    Walk(Walk),
    Sine(Sine),
    /// Replayed in a circle.
    Rows(Vec<Value>),
}

/// A generator of values, as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum GeneratorFile {
    /// Always the same.
    Constant(Value),
    /// A random walk.
    Walk(Walk),
    /// A sine wave; each device has its own phase.
    Sine(Sine),
    /// Values from a table, one after the other and again from the first.
    Csv(Csv),
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Walk {
    start: f64,
    /// The most it goes up or down at once.
    step: f64,
    min: f64,
    max: f64,
    /// Digits after the point; 0 makes whole numbers.
    #[serde(default = "two")]
    decimals: u8,
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Sine {
    mean: f64,
    amplitude: f64,
    period: Time,
    /// Digits after the point; 0 makes whole numbers.
    #[serde(default = "two")]
    decimals: u8,
}

/// Either a file and its column, or the rows themselves.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Csv {
    /// A file beside the model. Its first line names the columns.
    file: Option<String>,
    column: Option<String>,
    rows: Option<Vec<Value>>,
}

fn two() -> u8 {
    2
}

impl GeneratorFile {
    /// Reads what the generator needs; an error is a sentence.
    pub(crate) fn generator(&self, files: &dyn Fn(&str) -> Option<String>) -> Result<Generator, String> {
        match self {
            Self::Constant(value) => Ok(Generator::Constant(value.clone())),
            Self::Walk(walk) => {
                let inside = walk.min <= walk.start && walk.start <= walk.max;
                if !inside || walk.step.is_nan() || walk.step < 0.0 || !(walk.max - walk.min).is_finite() {
                    return Err("a walk needs min ≤ start ≤ max and a step that is not negative".into());
                }
                decimals(walk.decimals)?;
                Ok(Generator::Walk(walk.clone()))
            }
            Self::Sine(sine) => {
                if sine.period.get().is_zero() || !sine.mean.is_finite() || !sine.amplitude.is_finite() {
                    return Err("a sine needs a mean, an amplitude and a period longer than 0s".into());
                }
                decimals(sine.decimals)?;
                Ok(Generator::Sine(sine.clone()))
            }
            Self::Csv(csv) => {
                let rows = csv.rows(files)?;
                match rows.len() {
                    0 => Err("there are no rows to replay".into()),
                    1..=MAX_ROWS => Ok(Generator::Rows(rows)),
                    many => Err(format!("{many} rows are too many; at most {MAX_ROWS} are replayed")),
                }
            }
        }
    }
}

fn decimals(decimals: u8) -> Result<(), String> {
    if decimals <= MAX_DECIMALS {
        Ok(())
    } else {
        Err(format!("decimals must be at most {MAX_DECIMALS}"))
    }
}

impl Csv {
    fn rows(&self, files: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Value>, String> {
        match (&self.file, &self.column, &self.rows) {
            (None, None, Some(rows)) => Ok(rows.clone()),
            (Some(file), Some(column), None) => {
                let text = files(file).ok_or_else(|| {
                    format!(
                        "the file {file:?} cannot be read; it must lie beside the model, or write `rows = [..]` instead"
                    )
                })?;
                read_column(&text, file, column)
            }
            _ => Err("a csv needs either file and column, or rows".into()),
        }
    }
}

fn read_column(text: &str, file: &str, column: &str) -> Result<Vec<Value>, String> {
    let unreadable = |error: csv::Error| format!("{file} is no table with commas: {error}");
    let mut table = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let head = table.headers().map_err(unreadable)?;
    let place = head.iter().position(|name| name == column).ok_or_else(|| {
        format!(
            "{file} has no column {column:?}; its first line is: {}",
            Vec::from_iter(head).join(",")
        )
    })?;
    let cell = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.map_err(unreadable)?;
        let text = row.get(place).unwrap_or_default();
        let number = text.parse().ok().and_then(|number: f64| Number::from_f64(number));
        Ok(match text.parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => number.map_or_else(|| text.into(), Value::Number),
        })
    };
    // One more than allowed is enough to know.
    table.records().take(MAX_ROWS + 1).map(cell).collect()
}

impl Telemetry {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// The message of tick 0, 1, 2 and so on; `draw` gives the device's randomness, in `0.0..1.0`.
    pub(crate) fn message(&self, draw: impl Fn(&str, u64) -> f64, tick: u64) -> Value {
        let value = |(name, generator): &(String, Generator)| {
            let what = format!("telemetry/{}/{name}", self.name);
            let value = generator.value(|occasion| draw(&what, occasion), tick, self.every);
            (name.clone(), value)
        };
        Value::Object(self.values.iter().map(value).collect::<Object>())
    }
}

impl Generator {
    fn value(&self, draw: impl Fn(u64) -> f64, tick: u64, every: Duration) -> Value {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Walk(walk) => rounded(walk.at(draw, tick), walk.decimals),
            Self::Sine(sine) => rounded(sine.at(draw(0), tick, every), sine.decimals),
            Self::Rows(rows) => {
                let row = tick % (rows.len() as u64).max(1);
                let row = usize::try_from(row).ok().and_then(|row| rows.get(row));
                row.cloned().unwrap_or_default()
            }
        }
    }
}

impl Walk {
    fn at(&self, draw: impl Fn(u64) -> f64, tick: u64) -> f64 {
        let there = tick % (2 * WALK);
        let steps = there.min(2 * WALK - there);
        (0..steps).fold(self.start, |at, step| {
            let next = at + self.step * (2.0 * draw(step) - 1.0);
            // Bounces off its bounds, so that it does not stick to them.
            let next = if next > self.max { 2.0 * self.max - next } else { next };
            let next = if next < self.min { 2.0 * self.min - next } else { next };
            next.clamp(self.min, self.max)
        })
    }
}

impl Sine {
    fn at(&self, phase: f64, tick: u64, every: Duration) -> f64 {
        let period = self.period.get().as_nanos();
        // Whole nanoseconds first: a long run must not lose the small part.
        let into = u128::from(tick) * every.as_nanos() % period;
        self.mean + self.amplitude * (TAU * (into as f64 / period as f64 + phase)).sin()
    }
}

fn rounded(value: f64, decimals: u8) -> Value {
    let factor = 10_f64.powi(i32::from(decimals));
    let rounded = (value * factor).round() / factor;
    if decimals == 0 && rounded.abs() < 9e15 {
        #[allow(clippy::cast_possible_truncation, reason = "a whole number that an i64 holds")]
        return (rounded as i64).into();
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// One timer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TelemetryFile {
    /// From one message to the next; at least 100ms.
    pub(crate) every: Time,
    /// What the message holds, by name.
    pub(crate) values: BTreeMap<String, GeneratorFile>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::random::Random;

    fn generator(file: Value) -> Result<Generator, String> {
        let files = |name: &str| (name == "load.csv").then(|| "time, kw\n1,2.5\n2,3\n3,\"off\"\n".to_owned());
        serde_json::from_value::<GeneratorFile>(file).unwrap().generator(&files)
    }

    fn series(file: Value, device: &str, ticks: u64) -> Vec<Value> {
        let telemetry = Telemetry {
            name: "t".into(),
            every: Duration::from_secs(5),
            values: vec![("v".into(), generator(file).unwrap())],
        };
        let random = Random::new(7, device);
        let draw = |what: &str, occasion| random.draw(what, occasion);
        (0..ticks)
            .map(|tick| telemetry.message(draw, tick)["v"].take())
            .collect()
    }

    #[test]
    fn a_walk_stays_in_its_bounds_and_takes_no_longer_steps_than_allowed() {
        let walk = json!({ "walk": { "start": 21, "step": 0.4, "min": 20, "max": 22, "decimals": 6 } });
        let values: Vec<f64> = series(walk.clone(), "a", 5000)
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert_eq!(values.len(), 5000);
        assert!((values[0] - 21.0).abs() < f64::EPSILON);
        assert!(values.iter().all(|value| (20.0..=22.0).contains(value)));
        assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.400_01));
        let spread = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        assert!(spread.1 - spread.0 > 1.0, "it wanders: {spread:?}");
        assert_ne!(
            series(walk, "a", 20)[1..],
            series(
                json!({ "walk": { "start": 21, "step": 0.4, "min": 20, "max": 22, "decimals": 6 } }),
                "b",
                20
            )[1..]
        );
    }

    #[test]
    fn the_same_device_sends_the_same_again() {
        let walk = || json!({ "walk": { "start": 0, "step": 3, "min": -9, "max": 9, "decimals": 0 } });
        assert_eq!(series(walk(), "a", 100), series(walk(), "a", 100));
        assert!(
            series(walk(), "a", 100).iter().all(Value::is_i64),
            "decimals = 0 makes whole numbers"
        );
    }

    #[test]
    fn a_sine_swings_about_its_mean_once_a_period() {
        let values = series(
            json!({ "sine": { "mean": 50, "amplitude": 10, "period": "10m" } }),
            "a",
            240,
        );
        let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        let (low, high) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        assert!(
            (39.9..40.1).contains(&low) && (59.9..60.1).contains(&high),
            "{low} {high}"
        );
        assert!(
            (values[0] - values[120]).abs() < 0.011,
            "ten minutes are 120 ticks of 5 s"
        );
        let mean = values.iter().sum::<f64>() / 240.0;
        assert!((mean - 50.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn rows_are_replayed_in_a_circle_from_a_file_or_the_model() {
        let circle = [json!(2.5), json!(3), json!("off"), json!(2.5)];
        assert_eq!(
            series(json!({ "csv": { "file": "load.csv", "column": "kw" } }), "a", 4),
            circle
        );
        assert_eq!(series(json!({ "csv": { "rows": [2.5, 3, "off"] } }), "a", 4), circle);
        assert_eq!(
            series(json!({ "constant": "north" }), "a", 2),
            [json!("north"), json!("north")]
        );
    }

    #[test]
    fn a_generator_that_cannot_work_says_what_would() {
        for (file, part) in [
            (
                json!({ "walk": { "start": 5, "step": 1, "min": 6, "max": 9 } }),
                "min ≤ start ≤ max",
            ),
            (
                json!({ "walk": { "start": 5, "step": 1, "min": 0, "max": 9, "decimals": 10 } }),
                "at most 9",
            ),
            (
                json!({ "sine": { "mean": 5, "amplitude": 1, "period": "0s" } }),
                "longer than 0s",
            ),
            (
                json!({ "csv": { "file": "gone.csv", "column": "kw" } }),
                "beside the model",
            ),
            (
                json!({ "csv": { "file": "load.csv", "column": "w" } }),
                "its first line is: time,kw",
            ),
            (
                json!({ "csv": { "file": "load.csv" } }),
                "either file and column, or rows",
            ),
            (json!({ "csv": { "rows": [] } }), "no rows"),
        ] {
            let error = generator(file).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
