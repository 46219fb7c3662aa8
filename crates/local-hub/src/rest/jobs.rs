//! Scheduled jobs (service.md 6).

use hub_protocol::HubError;

use super::{Answer, Call, not_here_yet};
use crate::hub::Hub;

pub(super) async fn create(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn get(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn cancel(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn query(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}
