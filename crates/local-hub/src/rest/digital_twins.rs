//! IoT Plug and Play: digital twins and their commands (service.md 8).

use http::StatusCode;
use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, digital_twin,
    method::{DEFAULT_RESPONSE_TIMEOUT, MAX_PAYLOAD, MethodRequest},
    sas::UNRESERVED,
};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::{Answer, Call, tracking_id};
use crate::{
    hub::Hub,
    limits::{Operation, meters},
};

pub(super) async fn get(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let twin = hub.twin(&device(call)?).await?;
    Ok(Answer::json(&digital_twin::document(&twin)).etag(&twin.etag))
}

pub(super) async fn patch(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let id = device(call)?;
    let twin = hub.patch_digital_twin(&id, payload(call)?, call.if_match()).await?;
    let host = call.header("Host").unwrap_or_default();
    let location = format!(
        "https://{host}/digitaltwins/{}",
        utf8_percent_encode(id.device_str(), UNRESERVED)
    );
    Ok(Answer::no_content()
        .status(StatusCode::ACCEPTED)
        .etag(&twin.etag)
        .header("Location", location))
}

pub(super) async fn root_command(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    command(hub, call, None, call.segment(3)).await
}

pub(super) async fn component_command(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    command(hub, call, Some(call.segment(3)), call.segment(5)).await
}

async fn command(hub: &Hub, call: &Call, component: Option<&str>, name: &str) -> Result<Answer, HubError> {
    let invalid = |text: String| HubError::new(ErrorCode::ArgumentInvalid, text);
    for name in component.into_iter().chain([name]) {
        if !digital_twin::is_name(name) {
            let text = "names have 1 to 64 letters, digits and underscores";
            return Err(invalid(format!("{name:?} is no command or component: {text}.")));
        }
    }
    if call.body.len() > MAX_PAYLOAD {
        let text = format!("The payload has {} bytes; it may have 131072.", call.body.len());
        return Err(HubError::new(ErrorCode::MessageTooLarge, text));
    }
    let seconds = |name: &str, default: u32| match call.query(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| invalid(format!("{name} is a whole number of seconds, unlike {text:?}."))),
    };
    let request = MethodRequest {
        response_timeout_in_seconds: seconds("responseTimeoutInSeconds", DEFAULT_RESPONSE_TIMEOUT)?,
        connect_timeout_in_seconds: seconds("connectTimeoutInSeconds", 0)?,
        ..MethodRequest::new(digital_twin::command_method(component, name), payload(call)?)
    };
    hub.throttle(Operation::Method, meters(call.body.len())).await?;
    let response = hub.invoke_method(&device(call)?, request).await?;
    Ok(Answer::json(&response.payload)
        .header("x-ms-command-statuscode", response.status.to_string())
        .header("x-ms-request-id", tracking_id()))
}

/// The device alone: in `/digitaltwins/{id}/components/…` nothing names a module.
fn device(call: &Call) -> Result<ClientId, HubError> {
    let id = DeviceId::new(call.segment(1));
    id.map(ClientId::device)
        .map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, error.to_string()))
}

/// Nothing is null.
fn payload(call: &Call) -> Result<Value, HubError> {
    if call.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&call.body).map_err(|error| {
        HubError::new(
            ErrorCode::InvalidDigitalTwinPayload,
            format!("The body is not JSON: {error}."),
        )
    })
}
