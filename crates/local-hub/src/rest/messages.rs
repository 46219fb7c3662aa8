//! Messages to devices, and their feedback (service.md 9.5).

use hub_protocol::HubError;

use super::{Answer, Call, not_here_yet};
use crate::hub::Hub;

pub(super) async fn send(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn purge(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn receive_feedback(_hub: &Hub) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn complete_feedback(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn abandon_feedback(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}
