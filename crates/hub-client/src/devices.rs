//! The identity registry.

use http::Method;
use hub_protocol::{
    DeviceId,
    identity::{BulkRegistryResult, DeviceIdentity, ExportImportDevice, MAX_BULK, RegistryStatistics},
};
use serde::Deserialize;

use crate::{
    ClientError, HubClient, IfMatch,
    client::{Call, device_path},
    retry::Repeatable,
};

const MAX_LIST: u16 = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatistics {
    connected_device_count: u64,
}

impl HubClient {
    pub async fn device(&self, id: &DeviceId) -> Result<DeviceIdentity, ClientError> {
        self.read(&Call::new(Method::GET, device_path("devices", id)?)).await
    }

    /// Refused when the device exists already. Keys left out are minted by the hub.
    pub async fn create_device(&self, device: &DeviceIdentity) -> Result<DeviceIdentity, ClientError> {
        // Repeated after a lost answer it would be refused by its own success.
        let call = put(device, &IfMatch::None)?.repeatable(Repeatable::UnlessDone);
        self.read(&call).await
    }

    /// Replaces the whole identity: keys left out are minted anew. `IfMatch::None` would mean
    /// "create" to the hub and is refused here.
    pub async fn update_device(
        &self,
        device: &DeviceIdentity,
        condition: IfMatch,
    ) -> Result<DeviceIdentity, ClientError> {
        refuse_unconditional(&condition, "updating a device")?;
        self.read(&put(device, &condition)?).await
    }

    pub async fn delete_device(&self, id: &DeviceId, condition: IfMatch) -> Result<(), ClientError> {
        refuse_unconditional(&condition, "deleting a device")?;
        let call = Call::new(Method::DELETE, device_path("devices", id)?).condition(&condition)?;
        self.succeed(&call).await.map(drop)
    }

    /// The first `top` devices, at most 1000; the hub has no paging here. Use a query for more.
    pub async fn devices(&self, top: u16) -> Result<Vec<DeviceIdentity>, ClientError> {
        if !(1..=MAX_LIST).contains(&top) {
            return Err(ClientError::invalid(format!(
                "a list has 1 to {MAX_LIST} devices, not {top}"
            )));
        }
        self.read(&Call::new(Method::GET, "/devices").query("top", top)).await
    }

    /// At most [`MAX_BULK`] items. Items that failed are in the result, not in the error.
    pub async fn bulk(&self, items: &[ExportImportDevice]) -> Result<BulkRegistryResult, ClientError> {
        if items.is_empty() || items.len() > MAX_BULK {
            return Err(ClientError::invalid(format!(
                "one call takes 1 to {MAX_BULK} devices, not {}",
                items.len()
            )));
        }
        let call = Call::new(Method::POST, "/devices")
            .json(items)?
            .repeatable(Repeatable::UnlessDone);
        let answer = self.send(&call).await?;
        match answer.status {
            200..300 => self.parse(&answer),
            400 => self.parse(&answer).map_err(|_| self.refusal(&answer)),
            _ => Err(self.refusal(&answer)),
        }
    }

    pub async fn statistics(&self) -> Result<RegistryStatistics, ClientError> {
        self.read(&Call::new(Method::GET, "/statistics/devices")).await
    }

    /// Devices connected now; Azure's number lags.
    pub async fn connected_count(&self) -> Result<u64, ClientError> {
        let statistics: ServiceStatistics = self.read(&Call::new(Method::GET, "/statistics/service")).await?;
        Ok(statistics.connected_device_count)
    }
}

fn put(device: &DeviceIdentity, condition: &IfMatch) -> Result<Call, ClientError> {
    Call::new(Method::PUT, device_path("devices", &device.device_id)?)
        .condition(condition)?
        .json(device)
}

pub(crate) fn refuse_unconditional(condition: &IfMatch, what: &str) -> Result<(), ClientError> {
    if *condition == IfMatch::None {
        return Err(ClientError::invalid(format!("{what} needs an etag or \"any\"")));
    }
    Ok(())
}
