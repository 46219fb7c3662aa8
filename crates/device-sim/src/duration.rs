//! Times as people write them in model and fleet files: `250ms`, `20s`, `5m`, `2h`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A time of at most thirty days, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(Duration);

const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time; write a whole number and its unit, as in 250ms, 20s, 5m or 2h, up to 720h")]
pub struct NoTime(String);

impl Time {
    pub const ZERO: Self = Self(Duration::ZERO);

    pub fn get(self) -> Duration {
        self.0
    }

    /// This time in a world that goes `factor` times as slowly; a factor that makes no sense leaves it.
    pub fn scaled(self, factor: f64) -> Duration {
        Duration::try_from_secs_f64(self.0.as_secs_f64() * factor).unwrap_or(self.0)
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Self(duration.min(LONGEST))
    }
}

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let parse = || {
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = text[..digits].parse().ok()?;
            let milliseconds = match &text[digits..] {
                "ms" => number,
                "s" => number.checked_mul(1000)?,
                "m" => number.checked_mul(60_000)?,
                "h" => number.checked_mul(3_600_000)?,
                _ => return None,
            };
            let duration = Duration::from_millis(milliseconds);
            (duration <= LONGEST).then_some(Self(duration))
        };
        parse().ok_or_else(|| NoTime(text.chars().take(20).collect()))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" })
    }
}

impl TryFrom<String> for Time {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Self, NoTime> {
        text.parse()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
        match units
            .into_iter()
            .find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", milliseconds / unit),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-1s",
            "1.5s",
            "721h",
            "99999999999999999999s",
            "5d",
        ] {
            let error = text.parse::<Time>().unwrap_err().to_string();
            assert!(error.contains("250ms"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_is_written(milliseconds in 0_u64..=2_592_000_000) {
            let time = Time::from(Duration::from_millis(milliseconds));
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
