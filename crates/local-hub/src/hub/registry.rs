//! Identities of devices and modules.

use hub_protocol::{
    DeviceConnectionString, DeviceId, ErrorCode, HubError, Secret,
    identity::{
        BulkRegistryResult, DeviceIdentity, ExportImportDevice, KeyRegeneration, KeyRegenerationResult, ModuleIdentity,
        PolicyKey, RegistryStatistics,
    },
};

use super::{Hub, now};
use crate::store::{self, IfMatch};

impl Hub {
    pub(crate) async fn device(&self, device_id: &str) -> Result<DeviceIdentity, HubError> {
        let id = device_id.to_owned();
        self.0.store.read(move |sql| store::get_device(sql, &id)).await
    }

    pub(crate) async fn devices(&self, top: usize) -> Result<Vec<DeviceIdentity>, HubError> {
        self.0.store.read(move |sql| store::list_devices(sql, "", top)).await
    }

    pub(crate) async fn put_device(
        &self,
        device: DeviceIdentity,
        if_match: IfMatch,
    ) -> Result<DeviceIdentity, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.put_device(&device, &if_match, now()))
            .await
    }

    pub(crate) async fn delete_device(&self, device_id: &str, if_match: IfMatch) -> Result<(), HubError> {
        let id = device_id.to_owned();
        self.0
            .store
            .write(move |transaction| transaction.delete_device(&id, &if_match))
            .await
    }

    pub(crate) async fn module(&self, device_id: &str, module_id: &str) -> Result<ModuleIdentity, HubError> {
        let (device_id, module_id) = (device_id.to_owned(), module_id.to_owned());
        self.0
            .store
            .read(move |sql| store::get_module(sql, &device_id, &module_id))
            .await
    }

    pub(crate) async fn modules(&self, device_id: &str) -> Result<Vec<ModuleIdentity>, HubError> {
        let id = device_id.to_owned();
        self.0.store.read(move |sql| store::list_modules(sql, &id)).await
    }

    pub(crate) async fn put_module(
        &self,
        module: ModuleIdentity,
        if_match: IfMatch,
    ) -> Result<ModuleIdentity, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.put_module(&module, &if_match, now()))
            .await
    }

    pub(crate) async fn delete_module(
        &self,
        device_id: &str,
        module_id: &str,
        if_match: IfMatch,
    ) -> Result<(), HubError> {
        let (device_id, module_id) = (device_id.to_owned(), module_id.to_owned());
        self.0
            .store
            .write(move |transaction| transaction.delete_module(&device_id, &module_id, &if_match))
            .await
    }

    pub(crate) async fn bulk(&self, items: Vec<ExportImportDevice>) -> Result<BulkRegistryResult, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.bulk(&items, now()))
            .await
    }

    pub(crate) async fn regenerate_keys(&self, request: KeyRegeneration) -> Result<KeyRegenerationResult, HubError> {
        let key = PolicyKey::parse(&request.policy_key).ok_or_else(|| {
            let text = "The policyKey is primaryKey, secondaryKey or both.";
            HubError::new(ErrorCode::InvalidPolicyKey, text)
        })?;
        self.0
            .store
            .write(move |transaction| transaction.regenerate_keys(key, &request.devices))
            .await
    }

    pub(crate) async fn statistics(&self) -> Result<RegistryStatistics, HubError> {
        self.0.store.read(store::statistics).await
    }

    pub(crate) async fn connected(&self) -> Result<u64, HubError> {
        self.0.store.read(store::connected).await
    }

    pub(crate) async fn device_connection_string(&self, device_id: &DeviceId) -> Result<Secret, HubError> {
        let device = self.device(device_id.as_str()).await?;
        let Some(key) = device.primary_key() else {
            return Err(HubError::new(
                ErrorCode::ArgumentInvalid,
                "This device does not connect with a key.",
            ));
        };
        let (host_name, device_id) = (self.0.host_name.clone(), device.device_id);
        Ok(DeviceConnectionString {
            host_name,
            device_id,
            key,
            gateway_host_name: None,
        }
        .to_secret())
    }
}
