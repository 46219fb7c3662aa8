//! IoT Plug and Play: digital twins and their commands (service.md 8).

use hub_protocol::HubError;

use super::{Answer, Call, not_here_yet};
use crate::hub::Hub;

pub(super) async fn get(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn patch(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn root_command(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn component_command(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}
