//! Twins, queries and direct methods.

use hub_protocol::{
    ErrorCode, HubError,
    method::{MAX_PAYLOAD, MethodRequest},
    twin::TwinPatch,
};
use serde::Deserialize;

use super::{Answer, Call};
use crate::{
    hub::Hub,
    limits::{Operation, meters},
    store::{Rows, TwinWrite},
};

pub(super) async fn get(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let twin = hub.twin(&call.client_id()?).await?;
    Ok(Answer::json(&twin).etag(&twin.etag))
}

pub(super) async fn write(hub: &Hub, call: &Call, how: TwinWrite) -> Result<Answer, HubError> {
    let patch: TwinPatch = call.json()?;
    let twin = hub.write_twin(&call.client_id()?, patch, how, call.if_match()).await?;
    Ok(Answer::json(&*twin).etag(&twin.etag))
}

pub(super) async fn invoke_method(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    if call.body.len() > MAX_PAYLOAD + 1024 {
        let text = format!("The request has {} bytes; a payload may have 131072.", call.body.len());
        return Err(HubError::new(ErrorCode::MessageTooLarge, text));
    }
    let request: MethodRequest = call.json()?;
    hub.throttle(Operation::Method, meters(call.body.len())).await?;
    Ok(Answer::json(&hub.invoke_method(&call.client_id()?, request).await?))
}

pub(super) async fn query(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    #[derive(Deserialize)]
    struct Body {
        query: Option<String>,
    }
    let body: Body = call.json()?;
    let text = body.query.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| HubError::new(ErrorCode::ArgumentNull, "BadRequest: the query is missing."))?;
    let page_size = call.header("x-ms-max-item-count").and_then(|count| count.parse().ok());
    let continuation = call
        .header("x-ms-continuation")
        .filter(|token| !token.is_empty())
        .map(str::to_owned);
    let page = hub.query(&text, page_size, continuation).await?;
    // The C# client reads the item type with its case.
    let answer = match &page.rows {
        Rows::Twins(twins) => Answer::json(twins).header("x-ms-item-type", "Twin".into()),
        Rows::Raw(rows) => Answer::json(rows).header("x-ms-item-type", "Raw".into()),
    };
    Ok(match page.continuation {
        Some(token) => answer.header("x-ms-continuation", token),
        None => answer,
    })
}
