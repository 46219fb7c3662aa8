//! What devices themselves may do over HTTPS (device.md 7.3).

use hub_protocol::HubError;

use super::{Answer, Call, not_here_yet};
use crate::hub::Hub;

/// By its token, or by the certificate it showed at the TLS handshake.
pub(super) async fn admit(hub: &Hub, call: &Call) -> Result<(), HubError> {
    let token = call.header("Authorization");
    hub.admit(&call.client_id()?, token, &call.certificates).await?;
    Ok(())
}

pub(super) async fn send_telemetry(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn receive(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn settle(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn abandon(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}
