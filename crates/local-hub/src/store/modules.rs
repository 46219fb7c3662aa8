//! Module identities.

use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, ModuleId, Timestamp,
    identity::{Authentication, AuthenticationType, Capabilities, ConnectionState, MAX_MODULES, ModuleIdentity},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Transaction, devices,
    identities::{IfMatch, MESSAGE_COUNT, Record, completed, exists, identity_etag, json, time},
};
use crate::{error::StoreError, events::HubEvent};

/// The runtime of an Edge device; the hub makes and keeps them.
const SYSTEM_MODULES: [&str; 2] = ["$edgeAgent", "$edgeHub"];

const COLUMNS: &str = "device_id, module_id, managed_by, generation_id, etag, authentication, connection_state,
    connection_updated, last_activity";

fn from_row(row: &Row<'_>) -> rusqlite::Result<ModuleIdentity> {
    let text = |column: &str| row.get::<_, String>(column);
    let id = |column: &str| DeviceId::new(text(column)?).map_err(|_| rusqlite::Error::InvalidQuery);
    Ok(ModuleIdentity {
        managed_by: row.get("managed_by")?,
        generation_id: text("generation_id")?,
        etag: identity_etag(row.get("etag")?),
        connection_state: ConnectionState::parse(&text("connection_state")?).unwrap_or_default(),
        connection_state_updated_time: time(row, "connection_updated")?,
        last_activity_time: time(row, "last_activity")?,
        cloud_to_device_message_count: row.get("message_count")?,
        authentication: json(row, "authentication")?,
        ..ModuleIdentity::new(id("device_id")?, id("module_id")?)
    })
}

fn find(connection: &Connection, device_id: &str, module_id: &str) -> Result<Option<ModuleIdentity>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities
         WHERE device_id = ?1 AND module_id = ?2 AND module_id <> ''"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([device_id, module_id], from_row).optional()?)
}

/// `DeviceNotFound` without the device, `ModuleNotFound` without the module.
pub(crate) fn get(connection: &Connection, device_id: &str, module_id: &str) -> Result<ModuleIdentity, StoreError> {
    if let Some(module) = find(connection, device_id, module_id)? {
        return Ok(module);
    }
    devices::get(connection, device_id)?;
    let text = format!("Module {module_id} is not registered on device {device_id}.");
    Err(HubError::new(ErrorCode::ModuleNotFound, text).into())
}

pub(crate) fn list(connection: &Connection, device_id: &str) -> Result<Vec<ModuleIdentity>, StoreError> {
    devices::get(connection, device_id)?;
    let sql = format!(
        "SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities
         WHERE device_id = ?1 AND module_id <> '' ORDER BY module_id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([device_id], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The modules of a device.
pub(super) fn ids(connection: &Connection, device_id: &DeviceId) -> Result<Vec<ClientId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT module_id FROM identities WHERE device_id = ?1 AND module_id <> '' ORDER BY module_id",
    )?;
    let rows = statement.query_map([device_id.as_str()], |row| row.get::<_, String>(0))?;
    let mut ids = Vec::new();
    for row in rows {
        ids.push(ClientId {
            device_id: device_id.clone(),
            module_id: Some(ModuleId::new(row?).map_err(|_| rusqlite::Error::InvalidQuery)?),
        });
    }
    Ok(ids)
}

impl Transaction<'_> {
    /// PUT without If-Match creates; with it, it replaces (service.md 2.3). The modules of the
    /// hub itself, whose names begin with `$`, cannot be written so.
    pub(crate) fn put_module(
        &mut self,
        module: &ModuleIdentity,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<ModuleIdentity, StoreError> {
        if module.module_id.as_str().starts_with('$') {
            let text = "The id of a module may not begin with $; those are the hub's own.";
            return Err(HubError::new(ErrorCode::ArgumentInvalid, text).into());
        }
        self.write_module(module, if_match, now)
    }

    /// Like [`Self::put_module`], for the hub's own modules too.
    pub(super) fn write_module(
        &mut self,
        module: &ModuleIdentity,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<ModuleIdentity, StoreError> {
        let (device_id, module_id) = (module.device_id.as_str(), module.module_id.as_str());
        let device = devices::get(self.sql, device_id)?;
        let existing = find(self.sql, device_id, module_id)?;
        match (&existing, if_match) {
            (None, IfMatch::None) => self.check_room(device_id)?,
            // Says that it is missing.
            (None, _) => return get(self.sql, device_id, module_id),
            (Some(_), IfMatch::None) => {
                let text = format!("A module with ID '{module_id}' is already registered on device '{device_id}'.");
                return Err(HubError::new(ErrorCode::ModuleAlreadyExistsOnDevice, text).into());
            }
            (Some(existing), if_match) => if_match.check(&existing.etag)?,
        }
        // Only modules of an Edge runtime go without; others get keys.
        let kind = match module.authentication.kind {
            AuthenticationType::None => AuthenticationType::Sas,
            kind => kind,
        };
        let id = module.client_id();
        let record = Record {
            id: &id,
            status: device.status,
            status_reason: None,
            status_updated: device.status_updated_time,
            authentication: completed(&Authentication {
                kind,
                ..module.authentication.clone()
            })?,
            capabilities: Capabilities::default(),
            managed_by: module.managed_by.as_deref(),
            device_scope: None,
            parent_scopes: Vec::new(),
        };
        match existing {
            None => self.insert_identity(&record, now)?,
            Some(_) => self.update_identity(&record)?,
        }
        get(self.sql, device_id, module_id)
    }

    fn check_room(&self, device_id: &str) -> Result<(), StoreError> {
        let count: usize = self
            .sql
            .prepare_cached("SELECT count(*) FROM identities WHERE device_id = ?1 AND module_id <> ''")?
            .query_row([device_id], |row| row.get(0))?;
        if count < MAX_MODULES {
            return Ok(());
        }
        let text = format!("Device {device_id} has {count} modules, the limit is {MAX_MODULES}.");
        Err(HubError::new(ErrorCode::TooManyModulesOnDevice, text).into())
    }

    /// `If-Match` is needed: a delete without one is refused.
    pub(crate) fn delete_module(
        &mut self,
        device_id: &str,
        module_id: &str,
        if_match: &IfMatch,
    ) -> Result<(), StoreError> {
        let existing = get(self.sql, device_id, module_id)?;
        if SYSTEM_MODULES.contains(&module_id) {
            let text = "The modules of an Edge device's runtime stay as long as it is one.";
            return Err(HubError::new(ErrorCode::SystemModuleModifyUnauthorizedAccess, text).into());
        }
        if_match.demand(&existing.etag)?;
        self.remove_module(existing.client_id())
    }

    fn remove_module(&mut self, id: ClientId) -> Result<(), StoreError> {
        self.sql
            .prepare_cached("DELETE FROM identities WHERE device_id = ?1 AND module_id = ?2")?
            .execute([id.device_str(), id.module_str()])?;
        self.tell(HubEvent::IdentityDeleted { id });
        Ok(())
    }

    /// A module is as enabled or disabled as its device.
    pub(super) fn follow_status(&mut self, device: &Record<'_>) -> Result<(), StoreError> {
        self.sql
            .prepare_cached(
                "UPDATE identities SET status = ?2, status_updated = ?3 WHERE device_id = ?1 AND module_id <> ''",
            )?
            .execute(params![
                device.id.device_str(),
                device.status.as_str(),
                device.status_updated.to_string()
            ])?;
        for id in ids(self.sql, &device.id.device_id)? {
            self.tell_identity(&id, false)?;
        }
        Ok(())
    }

    /// Makes the runtime's modules for a device that became an Edge device, and removes them from
    /// one that is none any longer.
    pub(super) fn set_system_modules(&mut self, device: &Record<'_>, now: Timestamp) -> Result<(), StoreError> {
        for name in SYSTEM_MODULES {
            let id = ClientId {
                device_id: device.id.device_id.clone(),
                module_id: Some(ModuleId::new(name).map_err(|_| rusqlite::Error::InvalidQuery)?),
            };
            match (device.capabilities.iot_edge, exists(self.sql, &id)?) {
                (true, false) => {
                    let record = Record {
                        id: &id,
                        status: device.status,
                        status_reason: None,
                        status_updated: device.status_updated,
                        authentication: completed(&Authentication::default())?,
                        capabilities: Capabilities::default(),
                        managed_by: Some("iotEdge"),
                        device_scope: None,
                        parent_scopes: Vec::new(),
                    };
                    self.insert_identity(&record, now)?;
                }
                (false, true) => self.remove_module(id)?,
                _ => {}
            }
        }
        Ok(())
    }
}
