//! What tests stand on.

pub(crate) mod messages;
pub(crate) mod process;
pub(crate) mod raw_device;
pub(crate) mod rest;
pub(crate) mod update;
pub(crate) mod world;

use std::{future::Future, time::Duration};

use hub_protocol::DeviceId;
use serde_json::Value;

/// Far longer than anything here takes; only a fault lasts that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fails the test, with what was waited for, rather than hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(crate) fn id(text: impl Into<String>) -> DeviceId {
    DeviceId::new(text).unwrap()
}

pub(crate) fn object(value: Value) -> hub_protocol::merge::Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap()
}
