//! `rebootDevice`: waits, reports `rebootTime`, and only then answers, as the tutorial's device.

use serde_json::json;

use super::Behaviour;
use crate::{handle::DeviceHandle, session::MethodCall};

pub(super) const METHOD: &str = "rebootDevice";

pub(super) async fn serve(device: &Behaviour, handle: &impl DeviceHandle, call: &MethodCall) {
    handle.sleep(device.times.reboot).await;
    device.report(handle, json!({ "rebootTime": handle.now() })).await;
    let answer = json!({ "Response": "This is the response from the device" });
    handle.respond(call, 200, answer).await;
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::models::{Model, recording::Recording};

    #[tokio::test(start_paused = true)]
    async fn it_answers_after_its_reboot_time_is_reported() {
        let record = Recording::serve(Model::Reboot, "rebootDevice", Value::Null).await;
        assert_eq!(
            record,
            [
                "20 report {\"rebootTime\":\"0001-01-01T00:00:00Z\"}",
                "20 respond 200 {\"Response\":\"This is the response from the device\"}",
            ]
        );
    }
}
