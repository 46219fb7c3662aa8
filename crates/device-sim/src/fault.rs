//! Ways in which devices misbehave.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use crate::duration::Time;

/// Faults that one device may have, and one list of a fleet file.
pub const MAX_FAULTS: usize = 32;
/// Ten years: clocks may be wrong, but not so that a time cannot be written any more.
const MAX_SKEW: i64 = 10 * 365 * 24 * 3600;
const MAX_RESTARTS: u32 = 100;

/// One way to misbehave, and whom it strikes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The share of devices that have it, 0 to 1.
    #[serde(skip_serializing_if = "is_always")]
    pub devices: f64,
    /// How often it strikes a device that has it, 0 to 1, drawn anew on each occasion.
    #[serde(skip_serializing_if = "is_always")]
    pub chance: f64,
}

fn is_always(share: &f64) -> bool {
    *share >= 1.0
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fault {fault}: {why}")]
pub struct InvalidFault {
    fault: &'static str,
    why: String,
}

impl From<FaultKind> for Fault {
    /// On every device, on every occasion.
    fn from(kind: FaultKind) -> Self {
        Self {
            kind,
            devices: 1.0,
            chance: 1.0,
        }
    }
}

impl Fault {
    /// That its values make sense. A fault that was read from a file has been checked.
    pub fn check(&self) -> Result<(), InvalidFault> {
        let wrong = |why: String| {
            Err(InvalidFault {
                fault: self.kind.name(),
                why,
            })
        };
        for (name, share) in [("devices", self.devices), ("chance", self.chance)] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(format!("{name} is a share from 0 to 1, not {share}"));
            }
        }
        match &self.kind {
            FaultKind::Offline { lasts, .. } if *lasts == Time::ZERO => {
                wrong("lasts must be longer than nothing".into())
            }
            FaultKind::Flapping { every, lasts } if *lasts == Time::ZERO || lasts >= every => wrong(format!(
                "lasts must be shorter than every, {every}, and longer than nothing"
            )),
            FaultKind::SlowDownload { bytes_per_second: 0 } => wrong("bytesPerSecond must be at least 1".into()),
            FaultKind::BootLoop { times } if !(1..=MAX_RESTARTS).contains(times) => {
                wrong(format!("times must be 1 to {MAX_RESTARTS}, not {times}"))
            }
            FaultKind::ClockSkew { seconds } if seconds.unsigned_abs() > MAX_SKEW.unsigned_abs() => wrong(format!(
                "seconds must be between -{MAX_SKEW} and {MAX_SKEW}, not {seconds}"
            )),
            _ => Ok(()),
        }
    }
}

/// Checks each, and that there are not too many.
pub(crate) fn check_all(faults: &[Fault]) -> Result<(), InvalidFault> {
    if faults.len() > MAX_FAULTS {
        return Err(InvalidFault {
            fault: faults[MAX_FAULTS].kind.name(),
            why: format!("a device has at most {MAX_FAULTS} faults"),
        });
    }
    faults.iter().try_for_each(Fault::check)
}

/// Strict: an unknown key is a mistake, which serde would pass over in a flattened enum.
impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = serde_json::Map::deserialize(deserializer)?;
        let mut share = |name: &str| match table.remove(name) {
            None => Ok(1.0),
            Some(value) => {
                let share = value.as_f64();
                share.ok_or_else(|| D::Error::custom(format!("{name} is a share from 0 to 1, not {value}")))
            }
        };
        let (devices, chance) = (share("devices")?, share("chance")?);
        let kind: FaultKind = serde_json::from_value(Value::Object(table.clone())).map_err(D::Error::custom)?;
        let known = json!(kind);
        if let Some(key) = table.keys().find(|key| known.get(key).is_none()) {
            return Err(D::Error::custom(format!("the fault {} has no {key}", kind.name())));
        }
        let fault = Self { kind, devices, chance };
        fault.check().map_err(D::Error::custom)?;
        Ok(fault)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// Once without a connection, counted from its first connect, or from when the fault was
    /// given to a running device.
    Offline {
        after: Time,
        lasts: Time,
    },
    /// Without a connection for as long as it `lasts`, once in every `every`.
    Flapping {
        every: Time,
        lasts: Time,
    },
    SlowDownload {
        bytes_per_second: u64,
    },
    /// The download breaks off after so many bytes, and so does each time it is resumed; with
    /// `chance` below 1 one may get through.
    CutDownload {
        after_bytes: u64,
    },
    WrongChecksum,
    NoSpace,
    ApplyFails,
    /// It applies, restarts, finds itself unwell and goes back to the version before.
    RollsBack,
    /// It restarts so often before it gives up and goes back to the version before.
    BootLoop {
        times: u32,
    },
    /// Connected, but it neither answers nor sends, and what it reports waits until the fault is
    /// gone.
    Silent,
    LateAnswer {
        by: Time,
    },
    WrongAnswer {
        status: i32,
    },
    NoAnswer,
    ClockSkew {
        seconds: i64,
    },
    /// It reports an earlier phase of an update again.
    TwinRegression,
}

/// Where in a routine a fault may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// Before the first byte of a package.
    Download,
    /// When a downloaded package's hash is known.
    Verify,
    /// When the new firmware has been applied.
    Apply,
    /// When a routine restarts the device.
    Restart,
    /// When a method is answered, a refusal included.
    Answer,
    /// When a routine reports that has reported twice before.
    Report,
}

impl FaultKind {
    /// As written in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Offline { .. } => "offline",
            Self::Flapping { .. } => "flapping",
            Self::SlowDownload { .. } => "slowDownload",
            Self::CutDownload { .. } => "cutDownload",
            Self::WrongChecksum => "wrongChecksum",
            Self::NoSpace => "noSpace",
            Self::ApplyFails => "applyFails",
            Self::RollsBack => "rollsBack",
            Self::BootLoop { .. } => "bootLoop",
            Self::Silent => "silent",
            Self::LateAnswer { .. } => "lateAnswer",
            Self::WrongAnswer { .. } => "wrongAnswer",
            Self::NoAnswer => "noAnswer",
            Self::ClockSkew { .. } => "clockSkew",
            Self::TwinRegression => "twinRegression",
        }
    }

    /// Where it strikes; `None` for what happens to the connection and the clock.
    pub(crate) fn point(&self) -> Option<Point> {
        match self {
            Self::NoSpace => Some(Point::Download),
            Self::WrongChecksum => Some(Point::Verify),
            Self::ApplyFails => Some(Point::Apply),
            Self::RollsBack | Self::BootLoop { .. } => Some(Point::Restart),
            Self::LateAnswer { .. } | Self::WrongAnswer { .. } | Self::NoAnswer => Some(Point::Answer),
            Self::TwinRegression => Some(Point::Report),
            Self::Offline { .. }
            | Self::Flapping { .. }
            | Self::SlowDownload { .. }
            | Self::CutDownload { .. }
            | Self::Silent
            | Self::ClockSkew { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Fault, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for value in [
            json!({ "kind": "offline", "after": "30s", "lasts": "10s" }),
            json!({ "kind": "flapping", "every": "5m", "lasts": "2s", "devices": 0.25 }),
            json!({ "kind": "cutDownload", "afterBytes": 1000, "devices": 0.02, "chance": 0.5 }),
            json!({ "kind": "slowDownload", "bytesPerSecond": 1 }),
            json!({ "kind": "bootLoop", "times": 3 }),
            json!({ "kind": "lateAnswer", "by": "2s" }),
            json!({ "kind": "wrongAnswer", "status": 500 }),
            json!({ "kind": "clockSkew", "seconds": -7200 }),
            json!({ "kind": "silent" }),
        ] {
            let fault = read(value.clone()).unwrap();
            assert_eq!(value["kind"], fault.kind.name());
            assert_eq!(json!(fault), value);
        }
    }

    #[test]
    fn mistakes_in_a_fault_are_named() {
        for (value, told) in [
            (
                json!({ "kind": "silent", "devices": 1.5 }),
                "devices is a share from 0 to 1, not 1.5",
            ),
            (
                json!({ "kind": "silent", "chance": "half" }),
                "chance is a share from 0 to 1",
            ),
            (
                json!({ "kind": "silent", "chanse": 0.5 }),
                "the fault silent has no chanse",
            ),
            (json!({ "kind": "sulking" }), "unknown variant `sulking`"),
            (json!({ "kind": "cutDownload" }), "missing field `afterBytes`"),
            (
                json!({ "kind": "flapping", "every": "5s", "lasts": "5s" }),
                "lasts must be shorter than every, 5s",
            ),
            (
                json!({ "kind": "offline", "after": "1s", "lasts": "0s" }),
                "lasts must be longer than nothing",
            ),
            (
                json!({ "kind": "slowDownload", "bytesPerSecond": 0 }),
                "bytesPerSecond must be at least 1",
            ),
            (
                json!({ "kind": "bootLoop", "times": 0 }),
                "times must be 1 to 100, not 0",
            ),
            (
                json!({ "kind": "clockSkew", "seconds": i64::MIN }),
                "seconds must be between",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
