//! Device twins.

use http::Method;
use hub_protocol::{
    DeviceId,
    twin::{Twin, TwinPatch},
};

use crate::{
    ClientError, HubClient, IfMatch,
    client::{Call, device_path},
};

impl HubClient {
    pub async fn twin(&self, id: &DeviceId) -> Result<Twin, ClientError> {
        self.read(&Call::new(Method::GET, device_path("twins", id)?)).await
    }

    /// Merges: `null` removes a key, a part not given stays. Answers the whole new twin.
    pub async fn update_twin(&self, id: &DeviceId, patch: &TwinPatch, condition: IfMatch) -> Result<Twin, ClientError> {
        self.write_twin(Method::PATCH, id, patch, &condition).await
    }

    /// Replaces tags and desired properties; a part not given becomes empty.
    pub async fn replace_twin(&self, id: &DeviceId, twin: &TwinPatch, condition: IfMatch) -> Result<Twin, ClientError> {
        self.write_twin(Method::PUT, id, twin, &condition).await
    }

    async fn write_twin(
        &self,
        method: Method,
        id: &DeviceId,
        patch: &TwinPatch,
        condition: &IfMatch,
    ) -> Result<Twin, ClientError> {
        let call = Call::new(method, device_path("twins", id)?)
            .condition(condition)?
            .json(patch)?;
        self.read(&call).await
    }
}
