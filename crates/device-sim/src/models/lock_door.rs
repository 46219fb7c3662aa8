//! `lockDoor`: reports the lock and answers.

use serde_json::{Value, json};

use super::{Behaviour, payload};
use crate::{handle::DeviceHandle, session::MethodCall};

pub(super) const METHOD: &str = "lockDoor";

pub(super) async fn serve(device: &Behaviour, handle: &impl DeviceHandle, call: &MethodCall) {
    let lock_time = match payload(call)["lockTime"].take() {
        Value::String(text) => Value::String(text.chars().take(64).collect()),
        Value::Number(number) => Value::Number(number),
        _ => Value::Null,
    };
    let lock = json!({ "state": "locked", "lockTime": lock_time, "lockedAt": handle.now() });
    device.report(handle, json!({ "lock": lock })).await;
    handle.respond(call, 200, json!({ "Response": "Door locked" })).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::models::{Model, recording::Recording};

    #[tokio::test(start_paused = true)]
    async fn the_lock_is_reported_with_its_time() {
        let record = Recording::serve(Model::LockDoor, "lockDoor", json!({ "lockTime": "10m" })).await;
        assert_eq!(
            record,
            [
                "0 report {\"lock\":{\"state\":\"locked\",\"lockTime\":\"10m\",\"lockedAt\":\"0001-01-01T00:00:00Z\"}}",
                "0 respond 200 {\"Response\":\"Door locked\"}",
            ]
        );
    }
}
