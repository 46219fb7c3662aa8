//! Times as IoT Hub writes them: ISO 8601, UTC, seven fraction digits.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{
    OffsetDateTime, PrimitiveDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::{datetime, format_description},
};

const WIRE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
const WITHOUT_ZONE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");

/// A moment in UTC. Its text sorts in the order of time, which queries rely on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub OffsetDateTime);

impl Timestamp {
    /// What the hub writes for "has not happened".
    pub const NEVER: Self = Self(datetime!(0001-01-01 00:00:00 UTC));

    /// Accepts any RFC 3339 text, and the zone-less form some twins carry (read as UTC).
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| PrimitiveDateTime::parse(text, WITHOUT_ZONE).map(PrimitiveDateTime::assume_utc))
            .ok()
            .map(Self)
    }

    /// Seconds since 1970; negative before.
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// `wait` from then; the end of the calendar at most.
    pub fn after(self, wait: Duration) -> Self {
        let wait = time::Duration::try_from(wait).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_add(wait))
    }

    /// `time` before then; the start of the calendar at least.
    pub fn before(self, time: Duration) -> Self {
        let time = time::Duration::try_from(time).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_sub(time))
    }

    /// How long from `earlier` until then; nothing if it is past.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or_default()
    }

    /// From nanoseconds since 1970; `NEVER` when out of the calendar.
    pub fn from_unix_nanos(nanos: i128) -> Self {
        OffsetDateTime::from_unix_timestamp_nanos(nanos).map_or(Self::NEVER, Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("0001-01-01T00:00:00Z");
        }
        let text = self
            .0
            .to_offset(time::UtcOffset::UTC)
            .format(WIRE)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("not a time: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn times_survive_the_wire_with_seven_digits() {
        let time = Timestamp::parse("2030-01-01T00:00:05.1234567Z").unwrap();
        assert_eq!(time.to_string(), "2030-01-01T00:00:05.1234567Z");
        assert_eq!(
            Timestamp::parse("2030-01-01T02:00:05+02:00").unwrap().to_string(),
            "2030-01-01T00:00:05.0000000Z"
        );
    }

    #[test]
    fn never_is_read_with_and_without_a_zone() {
        for text in ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp::NEVER));
        }
        assert_eq!(Timestamp::NEVER.to_string(), "0001-01-01T00:00:00Z");
    }
}
