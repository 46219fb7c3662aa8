//! Identities of devices and modules, and jobs over the whole registry.

use http::StatusCode;
use hub_protocol::{
    ErrorCode, HubError,
    identity::{DeviceIdentity, ExportImportDevice, KeyRegeneration, ModuleIdentity, RegistryJobRequest},
};
use serde_json::json;

use super::{Answer, Call};
use crate::{hub::Hub, limits::Operation};

/// `top` counts from 1 to 1000; anything else means 1000 (service.md 2.1).
pub(super) async fn list_devices(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let top = call
        .query("top")
        .and_then(|top| top.parse().ok())
        .filter(|top| (1..=1000).contains(top));
    Ok(Answer::json(&hub.devices(top.unwrap_or(1000)).await?))
}

pub(super) async fn get_device(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let device = hub.device(call.segment(1)).await?;
    Ok(Answer::json(&device).etag(&device.etag))
}

pub(super) async fn put_device(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let device: DeviceIdentity = call.json()?;
    if device.device_id.as_str() != call.segment(1) {
        let text = "The device id in the body is not the one in the path.";
        return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
    }
    let device = hub.put_device(device, call.if_match()).await?;
    Ok(Answer::json(&device).etag(&device.etag))
}

pub(super) async fn delete_device(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.delete_device(call.segment(1), call.if_match()).await?;
    Ok(Answer::no_content())
}

pub(super) async fn bulk(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let items: Vec<ExportImportDevice> = call.json()?;
    hub.throttle(Operation::Registry, u32::try_from(items.len()).unwrap_or(u32::MAX))
        .await?;
    let result = hub.bulk(items).await?;
    let status = if result.is_successful {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    Ok(Answer::json(&result).status(status))
}

pub(super) async fn device_statistics(hub: &Hub) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.statistics().await?))
}

pub(super) async fn service_statistics(hub: &Hub) -> Result<Answer, HubError> {
    Ok(Answer::json(&json!({ "connectedDeviceCount": hub.connected().await? })))
}

pub(super) async fn list_modules(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.modules(call.segment(1)).await?))
}

pub(super) async fn get_module(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let module = hub.module(call.segment(1), call.segment(3)).await?;
    Ok(Answer::json(&module).etag(&module.etag))
}

pub(super) async fn put_module(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let module: ModuleIdentity = call.json()?;
    if module.device_id.as_str() != call.segment(1) || module.module_id.as_str() != call.segment(3) {
        let text = "The device and module id in the body are not those in the path.";
        return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
    }
    let module = hub.put_module(module, call.if_match()).await?;
    Ok(Answer::json(&module).etag(&module.etag))
}

pub(super) async fn delete_module(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.delete_module(call.segment(1), call.segment(3), call.if_match())
        .await?;
    Ok(Answer::no_content())
}

/// Since api-version 2024-03-31 (service.md 2.7).
pub(super) async fn regenerate_keys(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    if call.query("api-version").unwrap_or_default() < "2024-03-31" {
        let text = "Keys are regenerated with api-version 2024-03-31 or later.";
        return Err(HubError::new(ErrorCode::InvalidProtocolVersion, text));
    }
    let request: KeyRegeneration = call.json()?;
    let result = hub.regenerate_keys(request).await?;
    let status = match (result.errors.is_empty(), result.rotated_keys.is_empty()) {
        (true, _) => StatusCode::OK,
        (false, false) => StatusCode::MULTI_STATUS,
        (false, true) => StatusCode::BAD_REQUEST,
    };
    Ok(Answer::json(&result).status(status))
}

pub(super) async fn create_job(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    let request: RegistryJobRequest = call.json()?;
    Ok(Answer::json(&hub.create_registry_job(request).await?))
}

pub(super) async fn list_jobs(hub: &Hub) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.registry_jobs().await?))
}

pub(super) async fn get_job(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    Ok(Answer::json(&hub.registry_job(call.segment(1)).await?))
}

pub(super) async fn cancel_job(hub: &Hub, call: &Call) -> Result<Answer, HubError> {
    hub.cancel_registry_job(call.segment(1)).await?;
    Ok(Answer::no_content())
}
