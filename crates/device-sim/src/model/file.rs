//! The model file as it is written: what TOML says before anything is checked beyond types. The
//! JSON schema is made of these types, so their comments are what an editor shows.

use std::collections::BTreeMap;

use hub_protocol::merge::Object;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;

use super::{check::Check, telemetry::TelemetryFile};
use crate::duration::Time;

/// A model of simulated devices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ModelFile {
    /// What fleets and commands call it: letters, digits and - . _ : and the like, as in a device id.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What people call it.
    pub(super) title: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub(super) about: String,
    /// The IoT Plug and Play model it announces when it connects: dtmi:com:example:Thermostat;1
    #[schemars(with = "Option<String>")]
    pub(super) model_id: Option<Spanned<String>>,
    /// The firmware schema it speaks.
    pub(super) firmware: Option<FirmwareSchema>,
    /// What every device remembers when it is new. It survives restarts and is kept for each device.
    #[schemars(with = "Option<Object>")]
    pub(super) memory: Option<Spanned<Object>>,
    /// Reported at every boot; texts are templates.
    #[schemars(with = "Option<Object>")]
    pub(super) reported: Option<Spanned<Object>>,
    /// Messages it sends by itself, each with its own timer.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, TelemetryFile>")]
    pub(super) telemetry: BTreeMap<String, Spanned<TelemetryFile>>,
    /// The direct methods it answers.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RoutineFile>")]
    pub(super) methods: BTreeMap<String, Spanned<RoutineFile>>,
    /// What it does when a desired property is set, by the property's path with dots. It does so
    /// at once, and after a connect when it has not handled the value yet.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RoutineFile>")]
    pub(super) desired: BTreeMap<String, Spanned<RoutineFile>>,
    /// What it does after every boot, once `reported` is reported.
    pub(super) boot: Option<BootFile>,
}

/// How a device speaks of its firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FirmwareSchema {
    /// Method `firmwareUpdate`, reported flat: `firmwareStatus` and times.
    A,
    /// Method `firmwareUpdate`, reported under `iothubDM.firmwareUpdate`.
    B,
    /// Desired and reported `firmware`.
    C,
    /// State and result numbers of LwM2M, reported under `firmware`.
    L,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RoutineFile {
    /// For methods: what the payload must hold. What does not fit is answered with 400.
    #[serde(default)]
    pub(super) payload: BTreeMap<String, Check>,
    /// Whether it must not run beside another routine that is exclusive. A method called meanwhile
    /// is answered with 409; a desired property waits for its turn.
    #[serde(default)]
    pub(super) exclusive: bool,
    #[schemars(with = "Vec<StepFile>")]
    pub(super) steps: Vec<Spanned<StepFile>>,
    /// What it does after a step failed.
    #[serde(default)]
    #[schemars(with = "Vec<StepFile>")]
    pub(super) failed: Vec<Spanned<StepFile>>,
    /// The same, from the step `apply` on; without it `failed`.
    #[serde(default)]
    #[schemars(with = "Vec<StepFile>")]
    pub(super) apply_failed: Vec<Spanned<StepFile>>,
    /// The same, after it went back to the firmware before; without it as for `applyFailed`.
    #[serde(default)]
    #[schemars(with = "Vec<StepFile>")]
    pub(super) rolled_back: Vec<Spanned<StepFile>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BootFile {
    #[schemars(with = "Vec<StepFile>")]
    pub(super) steps: Vec<Spanned<StepFile>>,
}

/// A step does one thing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 2))]
pub(super) struct StepFile {
    /// Lets time pass.
    pub(super) wait: Option<Time>,
    /// Reports properties; null removes one. Texts and names are templates.
    pub(super) report: Option<Object>,
    /// Changes what it remembers, member by member; null goes back to what a new device has.
    pub(super) remember: Option<Object>,
    /// Answers the method, once. A routine that does not is answered for with 200 when it ends.
    pub(super) answer: Option<AnswerFile>,
    /// Sends one message of telemetry.
    pub(super) send: Option<Value>,
    /// Downloads a package, really; {package.uri}, {package.size} and {package.sha256} tell of it.
    pub(super) download: Option<DownloadFile>,
    /// Compares the package with the hash that was ordered; without one everything is right.
    pub(super) verify: Option<VerifyFile>,
    /// Installs the package, which takes this time.
    pub(super) apply: Option<Time>,
    /// Loses its connection, is off for this time, and boots.
    pub(super) restart: Option<Time>,
    /// Removes every property it ever reported, and reports these.
    pub(super) forget_reported: Option<Object>,
    /// Fails with an error unless a value is as it must be.
    pub(super) require: Option<RequireFile>,
    /// Ends the routine here, with nothing failed, when two values are the same.
    pub(super) stop_if: Option<StopIfFile>,
    /// How far devices differ in the time that wait, apply, restart or download takes: 0.25 is ±25 %.
    pub(super) vary: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AnswerFile {
    /// 200 when not said.
    pub(super) status: Option<i32>,
    /// Any JSON; texts are templates.
    pub(super) payload: Option<Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DownloadFile {
    /// A template that gives the package's address.
    pub(super) uri: String,
    /// The step takes at least this time.
    pub(super) at_least: Option<Time>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct VerifyFile {
    /// A template that gives the hash that was ordered.
    pub(super) sha256: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RequireFile {
    /// Where the value is, without braces: desired.firmware.fwVersion
    pub(super) path: String,
    /// What it must be; a template.
    pub(super) equals: Option<Value>,
    /// Of what kind it must be.
    pub(super) check: Option<Check>,
    /// The error's code when it is not.
    pub(super) error: String,
    /// The error's message; without it one is made.
    pub(super) message: Option<String>,
    /// The error's number; 8 (update failed) when not said.
    pub(super) number: Option<u8>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct StopIfFile {
    /// Where the value is, without braces.
    pub(super) path: String,
    /// What it is compared with; a template.
    pub(super) equals: Value,
}
