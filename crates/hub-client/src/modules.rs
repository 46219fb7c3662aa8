//! Module identities.

use http::Method;
use hub_protocol::{DeviceId, ModuleId, identity::ModuleIdentity};

use crate::{
    ClientError, HubClient, IfMatch,
    client::{Call, device_path, escaped},
    devices::refuse_unconditional,
    retry::Repeatable,
};

impl HubClient {
    /// Those of an Edge device's runtime included.
    pub async fn modules(&self, device: &DeviceId) -> Result<Vec<ModuleIdentity>, ClientError> {
        let path = format!("{}/modules", device_path("devices", device)?);
        self.read(&Call::new(Method::GET, path)).await
    }

    pub async fn module(&self, device: &DeviceId, module: &ModuleId) -> Result<ModuleIdentity, ClientError> {
        self.read(&Call::new(Method::GET, path(device, module)?)).await
    }

    /// Refused when the module exists already. Keys left out are minted by the hub.
    pub async fn create_module(&self, module: &ModuleIdentity) -> Result<ModuleIdentity, ClientError> {
        // Repeated after a lost answer it would be refused by its own success.
        let call = put(module, &IfMatch::None)?.repeatable(Repeatable::UnlessDone);
        self.read(&call).await
    }

    /// Replaces the whole identity: keys left out are minted anew. `IfMatch::None` would mean
    /// "create" to the hub and is refused here.
    pub async fn update_module(
        &self,
        module: &ModuleIdentity,
        condition: IfMatch,
    ) -> Result<ModuleIdentity, ClientError> {
        refuse_unconditional(&condition, "updating a module")?;
        self.read(&put(module, &condition)?).await
    }

    pub async fn delete_module(
        &self,
        device: &DeviceId,
        module: &ModuleId,
        condition: IfMatch,
    ) -> Result<(), ClientError> {
        refuse_unconditional(&condition, "deleting a module")?;
        let call = Call::new(Method::DELETE, path(device, module)?).condition(&condition)?;
        self.succeed(&call).await.map(drop)
    }
}

fn path(device: &DeviceId, module: &ModuleId) -> Result<String, ClientError> {
    Ok(format!(
        "{}/modules/{}",
        device_path("devices", device)?,
        escaped(module)?
    ))
}

fn put(module: &ModuleIdentity, condition: &IfMatch) -> Result<Call, ClientError> {
    Call::new(Method::PUT, path(&module.device_id, &module.module_id)?)
        .condition(condition)?
        .json(module)
}
