//! A handle that writes down what a model does, with the seconds since it began.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hub_protocol::{Timestamp, merge::Object};
use reqwest::Url;
use serde_json::Value;
use tokio::time::Instant;

use super::{Behaviour, Model, Speed};
use crate::{
    SimError,
    download::{DownloadError, Package},
    handle::DeviceHandle,
    session::MethodCall,
};

pub(super) struct Recording {
    began: Instant,
    lines: Mutex<Vec<String>>,
    package: Result<Package, DownloadError>,
}

pub(super) fn call(name: &str, payload: Value) -> MethodCall {
    MethodCall {
        name: name.into(),
        request_id: "1".into(),
        payload,
    }
}

impl Recording {
    pub(super) fn new(package: Result<Package, DownloadError>) -> Self {
        Self {
            began: Instant::now(),
            lines: Mutex::default(),
            package,
        }
    }

    /// Runs one call on a new device at the tutorial's speed.
    pub(super) async fn serve(model: Model, name: &str, payload: Value) -> Vec<String> {
        let package = Package {
            size: 3,
            sha256: "abc".into(),
        };
        let handle = Self::new(Ok(package));
        Behaviour::new(model, Speed::Tutorial.times())
            .serve(&handle, call(name, payload))
            .await;
        handle.lines()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, line: &str) {
        let line = format!("{} {line}", self.began.elapsed().as_secs());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl DeviceHandle for Recording {
    async fn report(&self, properties: Object) -> Result<(), SimError> {
        self.write(&format!("report {}", Value::Object(properties)));
        Ok(())
    }

    async fn respond(&self, _: &MethodCall, status: i32, payload: Value) {
        self.write(&format!("respond {status} {payload}"));
    }

    async fn restart(&self, _: Duration) {
        self.write("restart");
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn download(&self, _: Url) -> Result<Package, DownloadError> {
        self.package.clone()
    }

    fn now(&self) -> Timestamp {
        Timestamp::NEVER
    }
}
