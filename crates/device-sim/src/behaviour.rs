//! One device's behaviour: what starts the routines of its model, and the little it knows.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_protocol::merge::{self, Object};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    fault::{FaultKind, Point},
    handle::DeviceHandle,
    model::{Desired, Method, Model, Routine},
    random,
    routine::Run,
    session::MethodCall,
};

/// Where the memory says which desired values were handled.
const HANDLED: &str = "$handled";
/// Bytes a device remembers.
const MAX_MEMORY: usize = 32 * 1024;

pub(crate) struct Behaviour {
    model: Arc<Model>,
    known: Mutex<Known>,
}

/// What it knows until it is switched off.
#[derive(Default)]
struct Known {
    /// As the hub holds them, if the model asks for them.
    desired: Object,
    /// Names with no more than `true` if the model only wants to forget them.
    reported: Object,
    /// The exclusive routine that runs.
    exclusive: Option<String>,
    /// A bit for each of the model's desired properties: handled just now.
    running: u64,
    /// Set again, even if to the same value.
    again: u64,
}

/// An answer as it leaves, and how long it waits before.
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) status: i32,
    pub(crate) payload: Value,
}

/// Gives back what a routine holds, also when it is dropped midway.
struct Turn<'a> {
    behaviour: &'a Behaviour,
    exclusive: bool,
    desired: u64,
}

/// A desired property whose turn it is.
struct Due<'a> {
    property: &'a Desired,
    /// All desired properties, as they are now.
    desired: Object,
    /// Says that this value was handled.
    mark: String,
    turn: Turn<'a>,
}

impl Known {
    /// The right to run, or what runs already.
    fn turn<'a>(
        &mut self,
        behaviour: &'a Behaviour,
        name: &str,
        routine: &Routine,
        desired: u64,
    ) -> Result<Turn<'a>, String> {
        if self.running & desired != 0 {
            return Err(name.to_owned());
        }
        if routine.exclusive {
            if let Some(running) = &self.exclusive {
                return Err(running.clone());
            }
            self.exclusive = Some(name.to_owned());
        }
        self.running |= desired;
        self.again &= !desired;
        Ok(Turn {
            behaviour,
            exclusive: routine.exclusive,
            desired,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut known = self.behaviour.known();
        known.running &= !self.desired;
        if self.exclusive {
            known.exclusive = None;
        }
    }
}

impl Behaviour {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        Self {
            model,
            known: Mutex::default(),
        }
    }

    /// The same device after a power cut: it knows nothing yet.
    pub(crate) fn reborn(&self) -> Self {
        Self::new(Arc::clone(&self.model))
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Whether it acts on the twin; a device that does not need not read it.
    pub(crate) fn needs_twin(&self) -> bool {
        let keeps = self.model.keeps();
        keeps.desired || keeps.reported || keeps.names
    }

    /// Serves one call from beginning to end, the answer included.
    pub(crate) async fn serve(&self, handle: &impl DeviceHandle, call: MethodCall) {
        let payload = payload(&call);
        let (method, turn) = match self.accept(&call, &payload) {
            Ok(accepted) => accepted,
            Err((status, message)) => {
                if let Some(answer) = Answer::of(handle, status, json!({ "message": message })) {
                    handle.sleep(answer.after).await;
                    handle.respond(&call, answer.status, answer.payload).await;
                }
                return;
            }
        };
        // A late answer holds nothing up: the work goes on meanwhile.
        let (late, answer) = oneshot::channel();
        let work = async {
            let run = Run::new(self, handle, self.desired()).of_method(&call, payload, late);
            run.finish(&method.routine).await;
            drop(turn);
            self.catch_up(handle).await;
        };
        let answer = async {
            if let Ok(Answer { after, status, payload }) = answer.await {
                handle.sleep(after).await;
                handle.respond(&call, status, payload).await;
            }
        };
        tokio::join!(Box::pin(work), answer);
    }

    fn accept(&self, call: &MethodCall, payload: &Value) -> Result<(&Method, Turn<'_>), (i32, String)> {
        let method = self.model.method(&call.name);
        let method = method.ok_or_else(|| (404, format!("this device has no method {:?}", call.name)))?;
        let mut checks = method.payload.iter();
        if let Some(problem) = checks.find_map(|(name, check)| check.problem(name, payload.get(name))) {
            return Err((400, problem));
        }
        let turn = self.known().turn(self, &method.name, &method.routine, 0);
        turn.map(|turn| (method, turn)).map_err(|running| {
            (
                409,
                format!("{running} is running already; try again when it has ended"),
            )
        })
    }

    /// Takes the twin as the hub holds it after a connect; boots first if the device just started.
    pub(crate) async fn connected(&self, handle: &impl DeviceHandle, desired: Object, reported: Object, booted: bool) {
        if self.model.keeps().desired {
            self.known().desired = desired;
        }
        self.learn(&reported);
        if booted {
            self.boot(handle).await;
        }
        self.catch_up(handle).await;
    }

    /// Takes a patch of desired properties, with its `$version`.
    pub(crate) async fn desired_changed(&self, handle: &impl DeviceHandle, patch: Object) {
        if !self.model.keeps().desired {
            return;
        }
        {
            let mut known = self.known();
            merge::merge(&mut known.desired, &patch);
            for (bit, desired) in bits(self.model.desired()) {
                if find(&patch, &desired.path).is_some() {
                    known.again |= bit;
                }
            }
        }
        self.catch_up(handle).await;
    }

    /// Runs what desired properties ask for, one after the other, until all are handled.
    async fn catch_up(&self, handle: &impl DeviceHandle) {
        while let Some(due) = self.due(handle) {
            let run = Run::new(self, handle, due.desired);
            Box::pin(run.finish(&due.property.routine)).await;
            if let Value::Object(handled) = json!({ HANDLED: { due.property.path.as_str(): due.mark } }) {
                handle.remember(&handled);
            }
            drop(due.turn);
        }
    }

    /// A desired property that is not handled as it is now.
    fn due(&self, handle: &impl DeviceHandle) -> Option<Due<'_>> {
        if self.model.desired().is_empty() {
            return None;
        }
        let memory = handle.memory();
        let mut known = self.known();
        for (bit, property) in bits(self.model.desired()) {
            let Some(value) = find(&known.desired, &property.path) else {
                continue;
            };
            let mark = format!("{:016x}", random::hash(0, value.to_string().as_bytes()));
            let handled = memory.get(HANDLED).and_then(|handled| handled[&property.path].as_str());
            if known.again & bit == 0 && handled == Some(&mark) {
                continue;
            }
            if let Ok(turn) = known.turn(self, &property.path, &property.routine, bit) {
                let desired = known.desired.clone();
                return Some(Due {
                    property,
                    desired,
                    mark,
                    turn,
                });
            }
        }
        None
    }

    /// What a device does once it is up: its first report, and its boot steps. Boxed, for a
    /// routine may restart and so boot.
    pub(crate) fn boot<'a>(&'a self, handle: &'a impl DeviceHandle) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let run = Run::new(self, handle, self.desired());
            run.of_boot(self.model.boot()).await;
        })
    }

    /// A report the hub refuses is noted: a device has nobody to tell.
    pub(crate) async fn report(&self, handle: &impl DeviceHandle, properties: Object) {
        self.learn(&properties);
        if let Err(error) = handle.report(properties).await {
            handle.note(format!("reported properties were lost: {error}"));
        }
    }

    /// Learns which properties the twin holds, from a report or from the twin itself.
    fn learn(&self, properties: &Object) {
        let keeps = self.model.keeps();
        let mut known = self.known();
        if keeps.reported {
            merge::merge(&mut known.reported, properties);
        } else if keeps.names {
            for (name, value) in properties {
                if value.is_null() {
                    known.reported.remove(name);
                } else if !known.reported.contains_key(name) {
                    known.reported.insert(name.clone(), Value::Bool(true));
                }
            }
        }
    }

    pub(crate) fn reported(&self) -> Object {
        self.known().reported.clone()
    }

    fn desired(&self) -> Object {
        self.known().desired.clone()
    }

    /// What the device remembers, laid over what its model gives every device.
    pub(crate) fn memory(&self, handle: &impl DeviceHandle) -> Object {
        let mut memory = self.model.memory().clone();
        let mut own = handle.memory();
        own.remove(HANDLED);
        merge::merge(&mut memory, &own);
        memory
    }

    pub(crate) fn remember(&self, handle: &impl DeviceHandle, changes: &Object) {
        let mut after = handle.memory();
        merge::merge(&mut after, changes);
        if merge::size(&after) > MAX_MEMORY {
            handle.note(format!(
                "it would remember more than {MAX_MEMORY} bytes, and forgets the new"
            ));
        } else if !changes.is_empty() {
            handle.remember(changes);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    /// What becomes of an answer by the faults of this moment; `None` when it is never given.
    pub(crate) fn of(handle: &impl DeviceHandle, status: i32, payload: Value) -> Option<Self> {
        let mut answer = Self {
            after: Duration::ZERO,
            status,
            payload,
        };
        match handle.strike(Point::Answer) {
            Some(FaultKind::NoAnswer) => {
                handle.note("a fault: the answer is never given".into());
                return None;
            }
            Some(FaultKind::LateAnswer { by }) => {
                handle.note(format!("a fault: the answer is late by {by}"));
                answer.after = by.get();
            }
            Some(FaultKind::WrongAnswer { status }) => {
                handle.note(format!("a fault: the answer is {status}"));
                answer.status = status;
                answer.payload = json!({ "message": "the device answers wrongly: it has a fault" });
            }
            _ => {}
        }
        Some(answer)
    }
}

fn bits(desired: &[Desired]) -> impl Iterator<Item = (u64, &Desired)> {
    desired.iter().enumerate().map(|(place, desired)| (1 << place, desired))
}

/// A property by its path with dots; null counts as not there.
fn find<'o>(object: &'o Object, path: &str) -> Option<&'o Value> {
    let mut names = path.split('.');
    let first = object.get(names.next()?)?;
    let found = names.try_fold(first, |value, name| value.get(name))?;
    (!found.is_null()).then_some(found)
}

/// Some tutorial scripts send an object, others its text as a JSON string.
fn payload(call: &MethodCall) -> Value {
    let parsed = call.payload.as_str().and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| call.payload.clone())
}
