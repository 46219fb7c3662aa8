//! What a model may do: the narrow door between a device's behaviour and its connection.

use std::{future::Future, sync::Arc, sync::atomic::AtomicU64, time::Duration};

use bytes::Bytes;
use hub_protocol::{Timestamp, merge::Object};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    SimError,
    download::{self, DownloadError, Package},
    session::MethodCall,
    state::{Tally, count},
};

pub(crate) trait DeviceHandle: Send + Sync {
    /// Returns once the hub has taken the properties, however often that needs a reconnect.
    fn report(&self, properties: Object) -> impl Future<Output = Result<(), SimError>> + Send;
    fn respond(&self, call: &MethodCall, status: i32, payload: Value) -> impl Future<Output = ()> + Send;
    /// Drops the connection without a word and opens it again after `off`.
    fn restart(&self, off: Duration) -> impl Future<Output = ()> + Send;
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
    fn download(&self, url: Url) -> impl Future<Output = Result<Package, DownloadError>> + Send;
    fn now(&self) -> Timestamp;
}

/// What a model asks of its device's task.
pub(crate) enum Command {
    Report {
        body: Bytes,
        done: oneshot::Sender<Result<(), u16>>,
    },
    Respond {
        request_id: String,
        status: i32,
        body: Bytes,
    },
    Message {
        body: Bytes,
        done: oneshot::Sender<()>,
    },
    Restart {
        off: Duration,
    },
}

/// What all devices of a fleet share.
pub(crate) struct Shared {
    pub(crate) downloads: reqwest::Client,
    /// A fleet that updates as a whole must not open thousands of downloads at once.
    pub(crate) download_slots: Semaphore,
    pub(crate) tally: Tally,
}

#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

/// The hub's limit on a twin's section is 32 KiB and on a message 256 KiB.
const MAX_REPORT: usize = 64 * 1024;
const MAX_MESSAGE: usize = 256 * 1024;
const REPORT_TRIES: u32 = 5;

impl Handle {
    pub(crate) async fn message(&self, payload: &Value) -> Result<(), SimError> {
        let body = Bytes::from(payload.to_string());
        if body.len() > MAX_MESSAGE {
            return Err(SimError::TooLarge);
        }
        let (done, taken) = oneshot::channel();
        self.send(Command::Message { body, done }).await?;
        taken.await.map_err(|_| SimError::Stopped)
    }

    async fn send(&self, command: Command) -> Result<(), SimError> {
        self.commands.send(command).await.map_err(|_| SimError::Stopped)
    }

    fn count(&self, counter: impl Fn(&Tally) -> &AtomicU64, by: u64) {
        count(counter(&self.shared.tally), by);
    }
}

impl DeviceHandle for Handle {
    async fn report(&self, properties: Object) -> Result<(), SimError> {
        let body = Bytes::from(Value::Object(properties).to_string());
        if body.len() > MAX_REPORT {
            return Err(SimError::TooLarge);
        }
        let mut tries = 1;
        loop {
            let (done, answer) = oneshot::channel();
            self.send(Command::Report {
                body: body.clone(),
                done,
            })
            .await?;
            match answer.await.map_err(|_| SimError::Stopped)? {
                Ok(()) => {
                    self.count(|tally| &tally.reports, 1);
                    return Ok(());
                }
                Err(429 | 500..=599) if tries < REPORT_TRIES => {
                    tokio::time::sleep(Duration::from_secs(1 << tries)).await;
                    tries += 1;
                }
                Err(status) => return Err(SimError::ReportRefused(status)),
            }
        }
    }

    async fn respond(&self, call: &MethodCall, status: i32, payload: Value) {
        let command = Command::Respond {
            request_id: call.request_id.clone(),
            status,
            body: Bytes::from(payload.to_string()),
        };
        if self.send(command).await.is_ok() {
            self.count(|tally| &tally.methods_answered, 1);
        }
    }

    async fn restart(&self, off: Duration) {
        // A device that is being stopped need not restart.
        let _ = self.send(Command::Restart { off }).await;
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn download(&self, url: Url) -> Result<Package, DownloadError> {
        let Ok(_slot) = self.shared.download_slots.acquire().await else {
            return Err(DownloadError::Unreachable);
        };
        let received = |bytes| self.count(|tally| &tally.bytes_downloaded, bytes);
        Box::pin(download::download(&self.shared.downloads, url, received)).await
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp(time::OffsetDateTime::now_utc())
}
