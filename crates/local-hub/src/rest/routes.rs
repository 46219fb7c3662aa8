//! The route table and what each route needs.

use http::{Method, StatusCode};
use hub_protocol::{
    ErrorCode, HubError,
    identity::{DeviceIdentity, ExportImportDevice},
    method::{MAX_PAYLOAD, MethodRequest},
    twin::TwinPatch,
};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Call};
use crate::{
    hub::Hub,
    store::{IfMatch, Right, Rows, TwinWrite},
};

/// What a path asks for, once method and segments are known.
enum Route<'a> {
    ListDevices,
    BulkDevices,
    GetDevice(&'a str),
    PutDevice(&'a str),
    DeleteDevice(&'a str),
    DeviceStatistics,
    ServiceStatistics,
    Query,
    GetTwin(&'a str),
    WriteTwin(&'a str, TwinWrite),
    InvokeMethod(&'a str),
}

impl<'a> Route<'a> {
    /// Fixed segments compare without case, ids with it.
    fn find(call: &'a Call) -> Result<Self, HubError> {
        let lower: Vec<String> = call
            .segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let id = || call.segments[1].as_str();
        let method = &call.method;
        let found = match lower.as_slice() {
            ["devices"] if method == Method::GET => Self::ListDevices,
            ["devices"] if method == Method::POST => Self::BulkDevices,
            ["devices", "query"] if method == Method::POST => Self::Query,
            ["devices", _] if method == Method::GET => Self::GetDevice(id()),
            ["devices", _] if method == Method::PUT => Self::PutDevice(id()),
            ["devices", _] if method == Method::DELETE => Self::DeleteDevice(id()),
            ["statistics", "devices"] if method == Method::GET => Self::DeviceStatistics,
            ["statistics", "service"] if method == Method::GET => Self::ServiceStatistics,
            ["twins", _] if method == Method::GET => Self::GetTwin(id()),
            ["twins", _] if method == Method::PATCH => Self::WriteTwin(id(), TwinWrite::Merge),
            ["twins", _] if method == Method::PUT => Self::WriteTwin(id(), TwinWrite::Replace),
            ["twins", _, "methods"] if method == Method::POST => Self::InvokeMethod(id()),
            ["devices" | "twins" | "statistics", ..] => {
                let text = format!("{method} is not known for /{}.", call.segments.join("/"));
                return Err(HubError::new(ErrorCode::GenericMethodNotAllowed, text));
            }
            _ => {
                let text = format!("There is nothing at /{}.", call.segments.join("/"));
                return Err(HubError::new(ErrorCode::GenericNotFound, text));
            }
        };
        Ok(found)
    }

    /// The right it takes (service.md 1.2).
    fn right(&self) -> Right {
        match self {
            Self::ListDevices | Self::GetDevice(_) | Self::DeviceStatistics | Self::ServiceStatistics => {
                Right::RegistryRead
            }
            Self::BulkDevices | Self::PutDevice(_) | Self::DeleteDevice(_) => Right::RegistryWrite,
            Self::Query | Self::GetTwin(_) | Self::WriteTwin(..) | Self::InvokeMethod(_) => Right::ServiceConnect,
        }
    }
}

pub(super) async fn route(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let route = Route::find(call)?;
    let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    hub.gate().service(call.header("Authorization"), &path, route.right())?;
    check_version(call)?;
    let if_match = IfMatch::parse(call.header("If-Match"));
    match route {
        Route::ListDevices => {
            let top = call
                .query("top")
                .and_then(|top| top.parse().ok())
                .filter(|top| (1..=1000).contains(top));
            Ok(Answer::json(&hub.devices(top.unwrap_or(1000)).await?))
        }
        Route::GetDevice(id) => {
            let device = hub.device(id).await?;
            Ok(Answer::json(&device).etag(&device.etag))
        }
        Route::PutDevice(id) => {
            let device: DeviceIdentity = call.json()?;
            if device.device_id.as_str() != id {
                let text = "The device id in the body is not the one in the path.";
                return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
            }
            let device = hub.put_device(device, if_match).await?;
            Ok(Answer::json(&device).etag(&device.etag))
        }
        Route::DeleteDevice(id) => {
            hub.delete_device(id, if_match).await?;
            Ok(Answer::no_content())
        }
        Route::BulkDevices => {
            let items: Vec<ExportImportDevice> = call.json()?;
            let result = hub.bulk(items).await?;
            let status = if result.is_successful {
                StatusCode::OK
            } else {
                StatusCode::BAD_REQUEST
            };
            Ok(Answer::json(&result).status(status))
        }
        Route::DeviceStatistics => Ok(Answer::json(&hub.statistics().await?)),
        Route::ServiceStatistics => Ok(Answer::json(&json!({ "connectedDeviceCount": hub.connected().await? }))),
        Route::Query => query(hub, call).await,
        Route::GetTwin(id) => {
            let twin = hub.twin(id).await?;
            Ok(Answer::json(&twin).etag(&twin.etag))
        }
        Route::WriteTwin(id, how) => {
            let patch: TwinPatch = call.json()?;
            let twin = hub.write_twin(id, patch, how, if_match).await?;
            Ok(Answer::json(&*twin).etag(&twin.etag))
        }
        Route::InvokeMethod(id) => {
            if call.body.len() > MAX_PAYLOAD + 1024 {
                let text = format!("The request has {} bytes; a payload may have 131072.", call.body.len());
                return Err(HubError::new(ErrorCode::MessageTooLarge, text));
            }
            let request: MethodRequest = call.json()?;
            Ok(Answer::json(&hub.invoke_method(id, request).await?))
        }
    }
}

async fn query(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
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

/// Any date of this century's tens and later, with or without `-preview`.
fn check_version(call: &Call) -> Result<(), HubError> {
    let version = call.query("api-version").unwrap_or_default();
    let date = version.strip_suffix("-preview").unwrap_or(version).as_bytes();
    let digits = |range: std::ops::Range<usize>| date[range].iter().all(u8::is_ascii_digit);
    let known = date.len() == 10
        && date.starts_with(b"20")
        && date[2] >= b'1'
        && date[4] == b'-'
        && date[7] == b'-'
        && digits(0..4)
        && digits(5..7)
        && digits(8..10);
    if known {
        return Ok(());
    }
    Err(HubError::new(
        ErrorCode::InvalidProtocolVersion,
        format!("The api-version {version:?} is not known."),
    ))
}
