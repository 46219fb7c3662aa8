//! Direct methods.

use std::time::Duration;

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    identity::Status,
    method::{MethodRequest, MethodResponse},
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
        let Some((pending, answer)) = sessions.expect_answer(id) else {
            let text = "Too many methods are under way on this device.";
            return Err(HubError::new(ErrorCode::DeviceMaximumInflightMethodExceeded, text));
        };
        let message = Outgoing {
            topic: topic::method_request(&request.method_name, &pending.request_id),
            payload: request.payload.to_string().into(),
        };
        if !session.send(message) {
            return Err(offline("The device's connection was closed: it does not keep up."));
        }
        let wait = Duration::from_secs(request.response_timeout_in_seconds.into());
        match timeout(wait, answer).await {
            Ok(Ok(response)) => Ok(response),
            _ => Err(HubError::new(
                ErrorCode::GatewayTimeout,
                "Timed out waiting for the response from device.",
            )),
        }
    }

    /// A connected identity is known and enabled; anything else is looked up.
    async fn must_be_enabled(&self, id: &ClientId) -> Result<(), HubError> {
        match self.credentials(id).await?.status {
            Status::Enabled => Ok(()),
            Status::Disabled => Err(HubError::new(ErrorCode::DeviceNotOnline, "The device is disabled.")),
        }
    }
}
