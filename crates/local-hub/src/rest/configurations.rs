//! Automatic device management (service.md 7).

use hub_protocol::HubError;

use super::{Answer, Call, not_here_yet};
use crate::hub::Hub;

pub(super) async fn list(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn get(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn put(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn delete(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn test_queries(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}

pub(super) async fn apply_content(_hub: &Hub, _call: &Call) -> Result<Answer, HubError> {
    Err(not_here_yet())
}
