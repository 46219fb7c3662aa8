//! What devices themselves may do over HTTPS (device.md 7.3).

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hub_protocol::{
    ErrorCode, HubError,
    message::{Properties, SystemProperty},
};
use serde::Deserialize;

use super::{Answer, Call};
use crate::{
    auth::Admission,
    hub::Hub,
    log::Sender,
    store::{Credentials, Settlement},
};

/// A message or a batch, properties included (device.md 3.4).
const MAX_TELEMETRY: usize = 256 * 1024;
const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// The device of the path, by its token or by the certificate it showed at the TLS handshake.
async fn admitted(hub: &Hub, call: &Call) -> Result<(Credentials, Admission), HubError> {
    let token = call.header("Authorization");
    let admitted = hub.admit(&call.client_id()?, token, &call.certificates).await;
    admitted.map_err(|error| match error.code {
        // Who is no device of this hub does not learn which ids are.
        ErrorCode::DeviceNotFound => {
            let text = "The device cannot be authenticated.";
            HubError::new(ErrorCode::IotHubUnauthorizedAccess, text)
        }
        _ => error,
    })
}

pub(super) async fn admit(hub: &Hub, call: &Call) -> Result<(), HubError> {
    admitted(hub, call).await.map(drop)
}

/// One message of a batch. The published clients write headers' names into `properties`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    body: String,
    /// The C client sends texts as they are, and says so.
    #[serde(default = "base64_encoded")]
    base64_encoded: bool,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

fn base64_encoded() -> bool {
    true
}

impl BatchItem {
    fn read(self) -> Result<(Properties, Bytes), HubError> {
        let body = if self.base64_encoded {
            BASE64.decode(&self.body).map_err(|error| {
                let text = format!("A body is not base64: {error}.");
                HubError::new(ErrorCode::ArgumentInvalid, text)
            })?
        } else {
            self.body.into_bytes()
        };
        let properties = self.properties.iter();
        let properties = properties.map(|(name, value)| (name.as_str(), value.as_str()));
        Ok((Properties::from_headers(properties), body.into()))
    }
}

/// A batch is taken whole or not at all.
pub(super) async fn send_telemetry(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let content_type = call.header("Content-Type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let messages = if content_type.eq_ignore_ascii_case(BATCH) {
        let items: Vec<BatchItem> = call.json()?;
        items.into_iter().map(BatchItem::read).collect::<Result<_, _>>()?
    } else {
        vec![(call.properties(), call.body.clone())]
    };
    let size: usize = messages
        .iter()
        .map(|(properties, body)| properties.size() + body.len())
        .sum();
    if size > MAX_TELEMETRY {
        let text = format!("{size} bytes, properties included; {MAX_TELEMETRY} is the limit.");
        return Err(HubError::new(ErrorCode::MessageTooLarge, text));
    }
    let (credentials, admission) = admitted(hub, call).await?;
    let sender = Arc::new(Sender {
        id: credentials.id,
        generation_id: credentials.generation_id,
        auth: Some(admission.method),
        model_id: String::new(),
    });
    hub.meter(size).await?;
    for (mut properties, body) in messages {
        // Only the hub says who sent a message.
        properties.system.remove(&SystemProperty::SenderDeviceId);
        properties.system.remove(&SystemProperty::SenderModuleId);
        hub.telemetry(&sender, properties, body).await?;
    }
    Ok(Answer::no_content())
}

pub(super) async fn receive(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let Some(message) = hub.receive_message(&call.client_id()?).await? else {
        return Ok(Answer::no_content());
    };
    let mut answer = Answer::bytes(message.body.clone())
        .etag(&message.lock_token)
        .header("iothub-enqueuedtime", message.enqueued.to_string())
        .header("iothub-sequencenumber", message.sequence.to_string())
        .header("iothub-deliverycount", message.delivery_count.to_string());
    for (name, value) in message.properties.to_headers() {
        answer = answer.header(name, value.to_owned());
    }
    Ok(answer)
}

pub(super) async fn settle(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let how = if call.query("reject").is_some() {
        Settlement::Reject
    } else {
        Settlement::Complete
    };
    hub.settle_message(&call.client_id()?, call.lock_token(4), how).await?;
    Ok(Answer::no_content())
}

pub(super) async fn abandon(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.settle_message(&call.client_id()?, call.lock_token(4), Settlement::Abandon)
        .await?;
    Ok(Answer::no_content())
}
