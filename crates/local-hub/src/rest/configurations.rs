//! Automatic device management (service.md 7).

use hub_protocol::{
    DeviceId, ErrorCode, HubError,
    configuration::{Configuration, ConfigurationContent, ConfigurationId, TestQueries},
};

use super::{Answer, Call};
use crate::{hub::Hub, store::IfMatch};

/// All of them: `top` is ignored (service.md 7.1).
pub(super) async fn list(hub: &Hub) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.configurations().await?))
}

pub(super) async fn get(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let configuration = hub.configuration(id(call)?).await?;
    Ok(Answer::json(&configuration).etag(&configuration.etag))
}

pub(super) async fn put(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let configuration: Configuration = call.json()?;
    if configuration.id.as_str() != call.segment(1) {
        let text = "The configuration id in the body is not the one in the path.";
        return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
    }
    // Needed in an update too, where it changes nothing.
    if configuration.content == ConfigurationContent::default() {
        return Err(HubError::new(
            ErrorCode::InvalidConfigurationContent,
            "The content is missing.",
        ));
    }
    let configuration = hub.put_configuration(configuration, if_match(call)).await?;
    Ok(Answer::json(&configuration).etag(&configuration.etag))
}

pub(super) async fn delete(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.delete_configuration(id(call)?, if_match(call)).await?;
    Ok(Answer::no_content())
}

pub(super) fn test_queries(call: &Call) -> Result<Answer, HubError> {
    let queries: TestQueries = call.json()?;
    Ok(Answer::json(&queries.test()))
}

pub(super) async fn apply_content(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let content: ConfigurationContent = call.json()?;
    let device_id =
        DeviceId::new(call.segment(1)).map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, error.to_string()))?;
    hub.apply_configuration_content(device_id, &content).await?;
    Ok(Answer::no_content())
}

fn id(call: &Call) -> Result<ConfigurationId, HubError> {
    ConfigurationId::new(call.segment(1))
        .map_err(|error| HubError::new(ErrorCode::ConfigurationNotFound, error.to_string()))
}

/// Unlike everywhere else an etag without quotes counts as none (service.md 7.2).
fn if_match(call: &Call) -> IfMatch {
    let header = call.header("If-Match").map(str::trim);
    IfMatch::parse(header.filter(|text| text.len() > 1 && text.starts_with('"') && text.ends_with('"')))
}
