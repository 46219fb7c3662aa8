//! What simulated devices do when their methods are called.

mod factory_reset;
mod firmware;
mod lock_door;
mod reboot;
#[cfg(test)]
mod recording;

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use hub_protocol::merge::Object;
use serde_json::{Value, json};

use crate::{SimError, handle::DeviceHandle, session::MethodCall};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// `rebootDevice`, as in Microsoft's device management tutorial.
    Reboot,
    /// `firmwareUpdate` with the flat reported properties of the Python tutorial, and the methods
    /// of `Reboot` and `FactoryReset`.
    Firmware,
    /// `lockDoor`, as in the tutorial on scheduled jobs.
    LockDoor,
    FactoryReset,
}

impl Model {
    pub const ALL: [Self; 4] = [Self::Reboot, Self::Firmware, Self::LockDoor, Self::FactoryReset];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Firmware => "firmware",
            Self::LockDoor => "lock-door",
            Self::FactoryReset => "factory-reset",
        }
    }

    /// The methods a device of this model answers.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Reboot => &[reboot::METHOD],
            Self::Firmware => &[firmware::METHOD, reboot::METHOD, factory_reset::METHOD],
            Self::LockDoor => &[lock_door::METHOD],
            Self::FactoryReset => &[factory_reset::METHOD],
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Model {
    type Err = SimError;

    fn from_str(text: &str) -> Result<Self, SimError> {
        let found = Self::ALL.into_iter().find(|model| model.name() == text);
        found.ok_or_else(|| SimError::UnknownModel(text.to_owned()))
    }
}

/// Whether to take the tutorials' time or hardly any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Speed {
    #[default]
    Tutorial,
    Fast,
}

/// How long each thing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageTimes {
    /// From the call of `rebootDevice` to its report.
    pub reboot: Duration,
    pub stand_by: Duration,
    /// At least; a slow download takes longer.
    pub downloading: Duration,
    pub applying: Duration,
    /// Without a connection while it restarts.
    pub off: Duration,
}

impl Speed {
    pub fn times(self) -> StageTimes {
        match self {
            Self::Tutorial => StageTimes {
                reboot: Duration::from_secs(20),
                stand_by: Duration::from_secs(5),
                downloading: Duration::from_secs(20),
                applying: Duration::from_secs(20),
                off: Duration::from_secs(5),
            },
            Self::Fast => StageTimes {
                reboot: Duration::from_millis(200),
                stand_by: Duration::from_millis(20),
                downloading: Duration::from_millis(40),
                applying: Duration::from_millis(40),
                off: Duration::from_millis(20),
            },
        }
    }
}

impl StageTimes {
    /// The stages of an update as one device takes them, three quarters to five quarters of the
    /// usual: real devices do not march in step. `random` is in 0..1. A reboot keeps its time.
    pub fn paced(self, random: f64) -> Self {
        let pace = 0.75 + random / 2.0;
        Self {
            stand_by: self.stand_by.mul_f64(pace),
            downloading: self.downloading.mul_f64(pace),
            applying: self.applying.mul_f64(pace),
            ..self
        }
    }
}

/// One device's behaviour and the little it remembers.
pub(crate) struct Behaviour {
    pub(crate) model: Model,
    pub(crate) times: StageTimes,
    updating: AtomicBool,
    reported: Mutex<BTreeSet<String>>,
}

impl Behaviour {
    pub(crate) fn new(model: Model, times: StageTimes) -> Self {
        Self {
            model,
            times,
            updating: AtomicBool::new(false),
            reported: Mutex::default(),
        }
    }

    /// Learns which properties the twin holds, from a report or from the twin itself.
    pub(crate) fn remember(&self, properties: &Object) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in properties {
            if value.is_null() {
                reported.remove(key);
            } else if !reported.contains(key) {
                reported.insert(key.clone());
            }
        }
    }

    fn remembered(&self) -> BTreeSet<String> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a JSON object. A report the hub refuses is logged: a device has nobody to tell.
    async fn report(&self, handle: &impl DeviceHandle, properties: Value) {
        let Value::Object(properties) = properties else { return };
        self.remember(&properties);
        if let Err(error) = handle.report(properties).await {
            tracing::warn!(%error, "reported properties were lost");
        }
    }

    /// Serves one call from beginning to end, the answer included.
    pub(crate) async fn serve(&self, handle: &impl DeviceHandle, call: MethodCall) {
        if !self.model.methods().contains(&call.name.as_str()) {
            let message = format!("this device has no method {:?}", call.name);
            return handle.respond(&call, 404, json!({ "message": message })).await;
        }
        match call.name.as_str() {
            firmware::METHOD => Box::pin(firmware::serve(self, handle, &call)).await,
            lock_door::METHOD => lock_door::serve(self, handle, &call).await,
            factory_reset::METHOD => factory_reset::serve(self, handle, &call).await,
            _ => reboot::serve(self, handle, &call).await,
        }
    }
}

/// Some tutorial scripts send an object, others its text as a JSON string.
fn payload(call: &MethodCall) -> Value {
    match &call.payload {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{recording::Recording, *};

    #[test]
    fn models_have_names_that_can_be_read_back() {
        for model in Model::ALL {
            assert_eq!(model.to_string().parse(), Ok(model));
        }
        assert!("toaster".parse::<Model>().is_err());
    }

    #[test]
    fn devices_take_their_own_pace_and_reboot_in_the_tutorials_time() {
        let times = Speed::Tutorial.times();
        let (slow, quick) = (times.paced(1.0), times.paced(0.0));
        assert_eq!((quick.applying.as_secs(), slow.applying.as_secs()), (15, 25));
        assert_eq!((quick.reboot, slow.off), (times.reboot, times.off));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_method_is_answered_with_404() {
        let record = Recording::serve(Model::LockDoor, "firmwareUpdate", Value::Null).await;
        assert_eq!(
            record,
            ["0 respond 404 {\"message\":\"this device has no method \\\"firmwareUpdate\\\"\"}"]
        );
    }
}
