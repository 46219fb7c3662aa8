//! A handle that writes down what a device does, with the seconds since it began.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hub_protocol::{
    Timestamp,
    merge::{self, Object},
};
use reqwest::Url;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    SimError,
    behaviour::Behaviour,
    download::{DownloadError, Package},
    fault::{FaultKind, Point},
    handle::DeviceHandle,
    model::Model,
    session::MethodCall,
};

/// The hash of every package here.
pub(crate) const SHA256: &str = "abababababababababababababababababababababababababababababababab";

pub(crate) struct Recording {
    pub(crate) behaviour: Behaviour,
    faults: Vec<FaultKind>,
    package: Result<Package, DownloadError>,
    pub(crate) notes: Mutex<Vec<String>>,
    began: Instant,
    lines: Mutex<Vec<String>>,
    memory: Mutex<Object>,
}

pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

impl Recording {
    pub(crate) fn of(model: Arc<Model>) -> Self {
        let package = Package {
            size: 3,
            sha256: SHA256.into(),
        };
        Self {
            behaviour: Behaviour::new(model),
            faults: Vec::new(),
            package: Ok(package),
            notes: Mutex::default(),
            began: Instant::now(),
            lines: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn built_in(name: &str) -> Self {
        Self::of(Model::find(name).unwrap())
    }

    pub(crate) fn parsed(text: &str) -> Self {
        Self::of(Arc::new(Model::parse(text, &|_| None).unwrap()))
    }

    pub(crate) fn with(mut self, faults: impl Into<Vec<FaultKind>>) -> Self {
        self.faults = faults.into();
        self
    }

    pub(crate) fn without_package(mut self, error: DownloadError) -> Self {
        self.package = Err(error);
        self
    }

    pub(crate) async fn call(&self, name: &str, payload: Value) {
        let call = MethodCall {
            name: name.into(),
            request_id: "1".into(),
            payload,
        };
        self.behaviour.serve(self, call).await;
    }

    /// The first connect since it was switched on.
    pub(crate) async fn boot(&self, desired: Value, reported: Value) {
        let (desired, reported) = (object(desired), object(reported));
        self.behaviour.connected(self, desired, reported, true).await;
    }

    pub(crate) async fn desire(&self, patch: Value) {
        self.behaviour.desired_changed(self, object(patch)).await;
    }

    /// What was done since this was asked last; the time of this device's clock is NOW.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, line: &str) {
        let line = line.replace("\"0001-01-01T00:00:00Z\"", "NOW");
        let line = format!("{} {line}", self.began.elapsed().as_secs());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl DeviceHandle for Recording {
    fn device_id(&self) -> &str {
        "pump-1"
    }

    fn now(&self) -> Timestamp {
        Timestamp::NEVER
    }

    fn time_scale(&self) -> f64 {
        1.0
    }

    fn draw(&self, _: &str, _: u64) -> f64 {
        0.5
    }

    fn strike(&self, point: Point) -> Option<FaultKind> {
        self.faults.iter().find(|fault| fault.point() == Some(point)).cloned()
    }

    fn memory(&self) -> Object {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, changes: &Object) {
        merge::merge(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner), changes);
    }

    fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn report(&self, properties: Object) -> Result<(), SimError> {
        merge::check(&properties).unwrap();
        self.write(&format!("report {}", Value::Object(properties)));
        Ok(())
    }

    async fn send(&self, message: Value) {
        self.write(&format!("send {message}"));
    }

    async fn respond(&self, _: &MethodCall, status: i32, payload: Value) {
        self.write(&format!("respond {status} {payload}"));
    }

    async fn restart(&self, off: Duration) {
        self.write("restart");
        tokio::time::sleep(off).await;
    }

    async fn download(&self, _: Url) -> Result<Package, DownloadError> {
        self.package.clone()
    }
}
