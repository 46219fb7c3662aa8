//! `factoryReset`: forgets everything it reported, and restarts.

use serde_json::{Value, json};

use super::Behaviour;
use crate::{handle::DeviceHandle, session::MethodCall};

pub(super) const METHOD: &str = "factoryReset";

pub(super) async fn serve(device: &Behaviour, handle: &impl DeviceHandle, call: &MethodCall) {
    handle
        .respond(call, 200, json!({ "Response": "Factory reset started" }))
        .await;
    let mut reset = json!({});
    for key in device.remembered() {
        reset[key] = Value::Null;
    }
    reset["factoryResetTime"] = json!(handle.now());
    device.report(handle, reset).await;
    handle.restart(device.times.off).await;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::models::{
        Behaviour, Model, Speed,
        recording::{Recording, call},
    };

    #[tokio::test(start_paused = true)]
    async fn what_was_reported_is_removed_from_the_twin() {
        let handle = Recording::new(Err(crate::download::DownloadError::Empty));
        let device = Behaviour::new(Model::FactoryReset, Speed::Tutorial.times());
        let Value::Object(twin) = json!({ "a": 1, "b": { "c": 2 } }) else {
            panic!()
        };
        device.remember(&twin);
        device.serve(&handle, call("factoryReset", Value::Null)).await;
        assert_eq!(
            handle.lines(),
            [
                "0 respond 200 {\"Response\":\"Factory reset started\"}",
                "0 report {\"a\":null,\"b\":null,\"factoryResetTime\":\"0001-01-01T00:00:00Z\"}",
                "0 restart",
            ]
        );
    }
}
