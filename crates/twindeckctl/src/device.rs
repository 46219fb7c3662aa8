//! `device create|list|delete|connection-string`.

use hub_client::IfMatch;
use hub_protocol::{
    DeviceConnectionString, DeviceId, Secret,
    identity::{ConnectionState, DeviceIdentity, Status},
    twin::Twin,
};
use serde_json::{Value, json};
use twindeck_app::{AppError, Code};

use crate::{
    arguments::Device,
    connection::Target,
    failure::{Failure, Result},
    output::Output,
};

pub(crate) async fn run(command: Device, target: &Target, output: Output) -> Result<()> {
    match command {
        Device::Create { ids } => create(&ids, target, output).await,
        Device::List => list(target, output).await,
        Device::Delete { ids } => delete(&ids, target, output).await,
        Device::ConnectionString { id } => {
            let text = connection_string(&id, target).await?;
            let value = json!({ "deviceId": id, "connectionString": text.expose() });
            output.result(|| text.expose().to_owned(), &value)
        }
    }
}

async fn create(ids: &[DeviceId], target: &Target, output: Output) -> Result<()> {
    let mut created = Vec::new();
    for id in ids {
        let device = target.client.create_device(&DeviceIdentity::new(id.clone())).await;
        created.push(device.map_err(|error| about(id, created.len(), error.into()))?);
    }
    let lines = || {
        created
            .iter()
            .map(|device| format!("created {}", device.device_id))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let value: Vec<Value> = created
        .iter()
        .map(|device| json!({ "deviceId": device.device_id, "status": device.status, "etag": device.etag }))
        .collect();
    output.result(lines, &value)
}

async fn delete(ids: &[DeviceId], target: &Target, output: Output) -> Result<()> {
    for (done, id) in ids.iter().enumerate() {
        let deleted = target.client.delete_device(id, IfMatch::Any).await;
        deleted.map_err(|error| about(id, done, error.into()))?;
    }
    let lines = || {
        ids.iter()
            .map(|id| format!("deleted {id}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let value: Vec<Value> = ids.iter().map(|id| json!({ "deviceId": id })).collect();
    output.result(lines, &value)
}

/// Names the device that failed, and how many before it are done.
fn about(id: &DeviceId, done: usize, failure: Failure) -> Failure {
    let with_device = |error: AppError| AppError {
        message: match done {
            0 => format!("{id}: {}", error.message),
            _ => format!("{id}: {} The {done} before it are done.", error.message),
        },
        ..error
    };
    match failure {
        // Nothing was done only if this is the first.
        Failure::Usage(error) if done == 0 => Failure::Usage(with_device(error)),
        Failure::Usage(error) | Failure::Failed(error) => Failure::Failed(with_device(error)),
    }
}

async fn list(target: &Target, output: Output) -> Result<()> {
    let mut devices = Vec::new();
    let mut query = target.client.query("SELECT * FROM devices");
    while let Some(page) = query.next_page().await? {
        devices.extend(page);
    }
    devices.sort_by(|a, b| a.device_id.cmp(&b.device_id));
    let value: Vec<Value> = devices
        .iter()
        .map(|twin| {
            json!({
                "deviceId": twin.device_id,
                "status": twin.status,
                "connectionState": twin.connection_state,
                "lastActivityTime": twin.last_activity_time,
                "tags": twin.tags,
            })
        })
        .collect();
    output.result(|| table(&devices), &value)
}

fn table(devices: &[Twin]) -> String {
    let width = devices
        .iter()
        .map(|twin| twin.device_id.as_str().len())
        .max()
        .unwrap_or(0)
        .max("DEVICE".len());
    let mut lines = vec![format!("{:width$}  STATUS    CONNECTION", "DEVICE")];
    for twin in devices {
        let status = match twin.status {
            Status::Enabled => "enabled",
            Status::Disabled => "disabled",
        };
        let connection = match twin.connection_state {
            ConnectionState::Connected => "connected",
            ConnectionState::Disconnected => "disconnected",
        };
        lines.push(format!("{:width$}  {status:8}  {connection}", twin.device_id.as_str()));
    }
    lines.join("\n")
}

async fn connection_string(id: &DeviceId, target: &Target) -> Result<Secret> {
    let device = target.client.device(id).await?;
    Ok(device_connection(&device, target.connection.host())?.to_secret())
}

/// Devices dial a port of their own, so their host name has none.
pub(crate) fn device_connection(device: &DeviceIdentity, host: &str) -> Result<DeviceConnectionString> {
    let key = device.primary_key().ok_or_else(|| {
        let text = format!("{} has no symmetric key.", device.device_id);
        AppError::new(Code::InvalidInput, text).hint("It may use a certificate, or the policy may not read keys.")
    })?;
    Ok(DeviceConnectionString {
        host_name: host.to_owned(),
        device_id: device.device_id.clone(),
        key,
        gateway_host_name: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_the_longest_id() {
        let twin = |id: &str| serde_json::from_value::<Twin>(json!({ "deviceId": id, "etag": "e" })).unwrap();
        assert_eq!(
            table(&[twin("a"), twin("a-long-name")]),
            "DEVICE       STATUS    CONNECTION\n\
             a            enabled   disconnected\n\
             a-long-name  enabled   disconnected"
        );
    }

    #[test]
    fn a_failure_in_the_middle_is_no_usage_error_and_says_what_is_done() {
        let id = DeviceId::new("pump-2").unwrap();
        let failure = about(&id, 1, Failure::usage("It is wrong.", "h"));
        assert!(matches!(failure, Failure::Failed(_)));
        assert_eq!(
            failure.error().message,
            "pump-2: It is wrong. The 1 before it are done."
        );
    }
}
