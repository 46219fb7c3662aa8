//! Messages to devices, and their feedback (service.md 9.5).

use hub_protocol::{HubError, feedback, message::Properties};
use serde_json::json;

use super::{Answer, Call};
use crate::{hub::Hub, store::Settlement};

impl Call {
    /// What its headers say of a message.
    pub(super) fn properties(&self) -> Properties {
        let headers = self.headers.iter();
        let text: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        Properties::from_headers(text.iter().map(|(name, value)| (*name, value.as_ref())))
    }

    /// A lock token in the path, with or without the quotes it had as an etag.
    pub(super) fn lock_token(&self, index: usize) -> &str {
        self.segment(index).trim_matches('"')
    }
}

pub(super) async fn send(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.send_message(&call.client_id()?, call.properties(), call.body.clone())
        .await?;
    Ok(Answer::no_content())
}

pub(super) async fn purge(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let id = call.client_id()?;
    let purged = hub.purge_messages(&id).await?;
    Ok(Answer::json(
        &json!({ "deviceId": id.device_id, "moduleId": null, "totalMessagesPurged": purged }),
    ))
}

pub(super) async fn receive_feedback(hub: &Hub) -> Result<Answer, HubError> {
    Ok(match hub.receive_feedback().await? {
        Some(batch) => Answer::json(&batch.records)
            .etag(&batch.lock_token)
            .header("Content-Type", feedback::CONTENT_TYPE.into()),
        None => Answer::no_content(),
    })
}

pub(super) async fn complete_feedback(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.settle_feedback(call.lock_token(3), Settlement::Complete).await?;
    Ok(Answer::no_content())
}

pub(super) async fn abandon_feedback(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.settle_feedback(call.lock_token(3), Settlement::Abandon).await?;
    Ok(Answer::no_content())
}
