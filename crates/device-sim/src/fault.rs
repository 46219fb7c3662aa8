//! Ways in which devices misbehave.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Time;

/// One way to misbehave, and whom it strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The share of devices that have it, 0 to 1.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub devices: f64,
    /// How often it strikes a device that has it, 0 to 1, drawn anew on each occasion.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub chance: f64,
}

fn always() -> f64 {
    1.0
}

fn is_always(share: &f64) -> bool {
    *share >= 1.0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// Once without a connection, counted from its first connect.
    Offline {
        after: Time,
        lasts: Time,
    },
    /// Again and again without a connection.
    Flapping {
        every: Time,
        lasts: Time,
    },
    SlowDownload {
        bytes_per_second: u64,
    },
    /// The download breaks off; with `chance` below 1 a repetition may get through.
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
    /// Connected, but neither answers nor reports nor sends.
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
