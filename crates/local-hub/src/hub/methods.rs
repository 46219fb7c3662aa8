//! Direct methods.

use std::time::Duration;

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    identity::Status,
    method::{MAX_PAYLOAD, MethodRequest, MethodResponse},
    topic,
};
use tokio::time::timeout;

use super::Hub;
use crate::sessions::Outgoing;

impl Hub {
    /// At most once: delivered to a device that is connected and subscribed within the connect
    /// timeout, answered within the response timeout or reported as such.
    pub(crate) async fn invoke_method(
        &self,
        id: &ClientId,
        request: MethodRequest,
    ) -> Result<MethodResponse, HubError> {
        request
            .check()
            .map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, error.to_string()))?;
        let sessions = self.sessions();
        if sessions.get(id).is_none() {
            self.must_be_enabled(id).await?;
        }
        let offline = |text: &str| HubError::new(ErrorCode::DeviceNotOnline, text);
        let connect = Duration::from_secs(request.connect_timeout_in_seconds.into());
        let session = timeout(connect, sessions.taking_methods(id))
            .await
            .map_err(|_| offline("Timed out waiting for device to connect."))?;
        let Some(mut pending) = sessions.expect_answer(id) else {
            let text = "Too many methods are under way on this device.";
            return Err(HubError::new(ErrorCode::DeviceMaximumInflightMethodExceeded, text));
        };
        let message = Outgoing {
            topic: topic::method_request(&request.method_name, &pending.request_id()),
            payload: request.payload.to_string().into(),
        };
        if !session.send(message) {
            return Err(offline("The device's connection was closed: it does not keep up."));
        }
        self.tally().method();
        let wait = Duration::from_secs(request.response_timeout_in_seconds.into());
        match timeout(wait, &mut pending.answer).await {
            Ok(Ok(response)) => response,
            _ => Err(HubError::new(
                ErrorCode::GatewayTimeout,
                "Timed out waiting for the response from device.",
            )),
        }
    }

    /// A device's answer. One that is not JSON, or too long, is the caller's to hear of
    /// (device.md 5); no body is `null`.
    pub(crate) fn method_answered(&self, id: &ClientId, request_id: &str, status: i32, body: &[u8]) {
        let refused = |text: String| HubError::new(ErrorCode::InvalidResponseWhileProxying, text);
        let payload = match body.len() {
            0 => Ok(serde_json::Value::Null),
            length if length > MAX_PAYLOAD => {
                let text = format!("The device's response has {length} bytes, the limit is {MAX_PAYLOAD}.");
                Err(refused(text))
            }
            _ => serde_json::from_slice(body)
                .map_err(|error| refused(format!("The device's response is not JSON: {error}."))),
        };
        let response = payload.map(|payload| MethodResponse { status, payload });
        self.sessions().answer(id, request_id, response);
    }

    /// A connected identity is known and enabled; anything else is looked up.
    async fn must_be_enabled(&self, id: &ClientId) -> Result<(), HubError> {
        match self.credentials(id).await?.status {
            Status::Enabled => Ok(()),
            Status::Disabled => Err(HubError::new(ErrorCode::DeviceNotOnline, "The device is disabled.")),
        }
    }
}
