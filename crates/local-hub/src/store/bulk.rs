//! Many identities in one call.

use std::collections::BTreeSet;

use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    identity::{
        BulkRegistryError, BulkRegistryResult, DeviceIdentity, ExportImportDevice, ImportMode, MAX_BULK, ModuleIdentity,
    },
    twin::{TwinPatch, TwinPatchProperties},
};

use super::{
    Transaction, TwinWrite,
    identities::{IfMatch, exists},
};
use crate::error::StoreError;

/// At most 100 items, none of them twice.
pub(super) fn check<'a>(ids: impl Iterator<Item = ClientId> + 'a) -> Result<(), HubError> {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for id in ids {
        count += 1;
        if seen.contains(&id) {
            let text = format!("{id} is defined more than once.");
            return Err(HubError::new(ErrorCode::DeviceDefinedMultipleTimes, text));
        }
        seen.insert(id);
    }
    if count > MAX_BULK {
        let text = format!("{count} devices in one request, the limit is {MAX_BULK}.");
        return Err(HubError::new(ErrorCode::TooManyDevices, text));
    }
    Ok(())
}

impl Transaction<'_> {
    /// At most 100 items; the good ones are done even where others fail.
    pub(crate) fn bulk(
        &mut self,
        items: &[ExportImportDevice],
        now: Timestamp,
    ) -> Result<BulkRegistryResult, StoreError> {
        check(items.iter().map(ExportImportDevice::client_id))?;
        let mut errors = Vec::new();
        for item in items {
            let default = ImportMode::CreateOrUpdate;
            if let Err(error) = self.alone(|transaction| transaction.import(item, default, now))? {
                errors.push(BulkRegistryError {
                    device_id: item.id.to_string(),
                    module_id: item.module_id.as_ref().map(ToString::to_string),
                    error_code: error.code.name().into(),
                    error_status: error.message,
                    operation: None,
                });
            }
        }
        Ok(BulkRegistryResult {
            is_successful: errors.is_empty(),
            errors,
            warnings: Vec::new(),
        })
    }

    /// Runs one item's work so that, refused, it leaves nothing: neither rows nor events. Only a
    /// fault of the storage itself ends the whole.
    pub(super) fn alone<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Result<T, HubError>, StoreError> {
        self.sql.execute_batch("SAVEPOINT item")?;
        let events = self.events.len();
        match work(self) {
            Ok(done) => {
                self.sql.execute_batch("RELEASE item")?;
                Ok(Ok(done))
            }
            Err(StoreError::Hub(error)) => {
                self.sql.execute_batch("ROLLBACK TO item; RELEASE item")?;
                self.events.truncate(events);
                Ok(Err(error))
            }
            Err(other) => Err(other),
        }
    }

    /// One item, by its mode or else by `default` (service.md 2.5).
    pub(super) fn import(
        &mut self,
        item: &ExportImportDevice,
        default: ImportMode,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        use ImportMode as Mode;
        let id = item.client_id();
        let mode = item.import_mode.unwrap_or(default);
        let exists = exists(self.sql, &id)?;
        let if_match = match mode {
            Mode::Create => IfMatch::None,
            Mode::CreateOrUpdate | Mode::CreateOrUpdateIfMatchETag if !exists => IfMatch::None,
            // They came with their device, so an import never finds them as they were.
            Mode::CreateOrUpdateIfMatchETag if id.module_str().starts_with('$') => IfMatch::Any,
            Mode::CreateOrUpdateIfMatchETag => item.etag.as_deref().map_or(IfMatch::Any, etag),
            Mode::UpdateIfMatchETag | Mode::DeleteIfMatchETag => etag(item.etag.as_deref().unwrap_or_default()),
            Mode::UpdateTwinIfMatchETag => etag(item.twin_etag.as_deref().unwrap_or_default()),
            Mode::CreateOrUpdate | Mode::Update | Mode::Delete | Mode::UpdateTwin => IfMatch::Any,
        };
        let patch = TwinPatch {
            tags: item.tags.clone(),
            properties: item.properties.as_ref().map(|properties| TwinPatchProperties {
                desired: Some(properties.desired.clone()),
            }),
        };
        match mode {
            Mode::Delete | Mode::DeleteIfMatchETag => match &item.module_id {
                None => self.delete_device(item.id.as_str(), &if_match),
                Some(module_id) => self.delete_module(item.id.as_str(), module_id.as_str(), &if_match),
            },
            Mode::UpdateTwin | Mode::UpdateTwinIfMatchETag => {
                self.write_twin(&id, &patch, TwinWrite::Merge, &if_match, now).map(drop)
            }
            _ => {
                self.import_identity(item, exists, &if_match, now)?;
                if patch != TwinPatch::default() {
                    self.write_twin(&id, &patch, TwinWrite::Merge, &IfMatch::Any, now)?;
                }
                Ok(())
            }
        }
    }

    fn import_identity(
        &mut self,
        item: &ExportImportDevice,
        exists: bool,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let authentication = item.authentication.clone().unwrap_or_default();
        let Some(module_id) = &item.module_id else {
            let device = DeviceIdentity {
                status: item.status,
                status_reason: item.status_reason.clone(),
                authentication,
                capabilities: item.capabilities,
                device_scope: item.device_scope.clone(),
                parent_scopes: item.parent_scopes.clone(),
                ..DeviceIdentity::new(item.id.clone())
            };
            return self.put_device(&device, if_match, now).map(drop);
        };
        let module = ModuleIdentity {
            managed_by: item.managed_by.clone(),
            authentication,
            ..ModuleIdentity::new(item.id.clone(), module_id.clone())
        };
        // The runtime of an Edge device came with it; an import gives it its keys back.
        let written = if exists {
            self.write_module(&module, if_match, now)
        } else {
            self.put_module(&module, if_match, now)
        };
        written.map(drop)
    }
}

/// An etag in a body may have its quotes, like one in a header.
fn etag(text: &str) -> IfMatch {
    IfMatch::parse(Some(text))
}
