//! Direct methods: delivered at most once, so never repeated once they may have arrived.

use std::time::Duration;

use http::Method;
use hub_protocol::{
    DeviceId,
    method::{MethodRequest, MethodResponse},
};

use crate::{
    ClientError, HubClient,
    client::{Call, device_path},
    retry::Repeatable,
};

/// Beyond what the hub itself may wait, for the way there and back.
const MARGIN: Duration = Duration::from_secs(15);

impl HubClient {
    /// The device's own status is in the response; an error is the hub's or the network's.
    pub async fn invoke_method(&self, id: &DeviceId, request: &MethodRequest) -> Result<MethodResponse, ClientError> {
        request
            .check()
            .map_err(|problem| ClientError::invalid(problem.to_string()))?;
        let call = Call::new(Method::POST, format!("{}/methods", device_path("twins", id)?))
            .json(request)?
            .repeatable(Repeatable::UnlessDone)
            .timeout(timeout(request));
        self.read(&call).await
    }
}

fn timeout(request: &MethodRequest) -> Duration {
    let hub_waits = request.connect_timeout_in_seconds + request.response_timeout_in_seconds;
    MARGIN + Duration::from_secs(hub_waits.into())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_call_outlasts_every_wait_of_the_hub() {
        let mut request = MethodRequest::new("rebootDevice", Value::Null);
        request.connect_timeout_in_seconds = 20;
        assert_eq!(timeout(&request), Duration::from_secs(15 + 20 + 30));
    }
}
