//! Device identities.

use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, Timestamp,
    identity::{AuthenticationType, ConnectionState, DeviceIdentity, RegistryStatistics},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Transaction,
    identities::{IfMatch, MESSAGE_COUNT, Record, completed, identity_etag, json, status, ticks, time},
    modules, scopes,
};
use crate::{error::StoreError, events::HubEvent};

const COLUMNS: &str = "device_id, generation_id, etag, status, status_reason, status_updated, authentication,
    capabilities, device_scope, parent_scopes, connection_state, connection_updated, last_activity";

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeviceIdentity> {
    let text = |column: &str| row.get::<_, String>(column);
    let id = DeviceId::new(text("device_id")?).map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(DeviceIdentity {
        generation_id: text("generation_id")?,
        etag: identity_etag(row.get("etag")?),
        connection_state: ConnectionState::parse(&text("connection_state")?).unwrap_or_default(),
        status: status(row, "status")?,
        status_reason: row.get("status_reason")?,
        connection_state_updated_time: time(row, "connection_updated")?,
        status_updated_time: time(row, "status_updated")?,
        last_activity_time: time(row, "last_activity")?,
        cloud_to_device_message_count: row.get("message_count")?,
        device_scope: row.get("device_scope")?,
        parent_scopes: json(row, "parent_scopes")?,
        authentication: json(row, "authentication")?,
        capabilities: json(row, "capabilities")?,
        ..DeviceIdentity::new(id)
    })
}

pub(super) fn find(connection: &Connection, device_id: &str) -> Result<Option<DeviceIdentity>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities WHERE device_id = ?1 AND module_id = ''");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([device_id], from_row).optional()?)
}

pub(crate) fn get(connection: &Connection, device_id: &str) -> Result<DeviceIdentity, StoreError> {
    find(connection, device_id)?.ok_or_else(|| HubError::device_not_found(device_id).into())
}

/// By id, beginning behind `after`; the empty text begins at the first.
pub(crate) fn list(connection: &Connection, after: &str, top: usize) -> Result<Vec<DeviceIdentity>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities
         WHERE module_id = '' AND device_id > ?1 ORDER BY device_id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, top], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn statistics(connection: &Connection) -> Result<RegistryStatistics, StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE status = 'enabled') FROM identities WHERE module_id = ''";
    let (total, enabled) = connection.query_row(sql, [], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
    Ok(RegistryStatistics {
        total_device_count: total,
        enabled_device_count: enabled,
        disabled_device_count: total - enabled,
    })
}

pub(crate) fn connected(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM identities WHERE module_id = '' AND connection_state = 'Connected'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

impl Transaction<'_> {
    /// PUT without If-Match creates; with it, it replaces (service.md 2.3). An Edge device comes
    /// with the modules of its runtime.
    pub(crate) fn put_device(
        &mut self,
        device: &DeviceIdentity,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<DeviceIdentity, StoreError> {
        let existing = find(self.sql, device.device_id.as_str())?;
        match (&existing, if_match) {
            (None, IfMatch::None) => {}
            (None, _) => return Err(HubError::device_not_found(&device.device_id).into()),
            (Some(_), IfMatch::None) => {
                let text = format!("A device with ID '{}' is already registered.", device.device_id);
                return Err(HubError::new(ErrorCode::DeviceAlreadyExists, text).into());
            }
            (Some(existing), if_match) => if_match.check(&existing.etag)?,
        }
        self.write_device(device, existing.as_ref(), now)?;
        get(self.sql, device.device_id.as_str())
    }

    fn write_device(
        &mut self,
        device: &DeviceIdentity,
        existing: Option<&DeviceIdentity>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let invalid = |text: &str| HubError::new(ErrorCode::ArgumentInvalid, text);
        let reason = device.status_reason.as_deref();
        if reason.is_some_and(|reason| reason.chars().count() > 128) {
            return Err(invalid("A status reason has at most 128 characters.").into());
        }
        if device.authentication.kind == AuthenticationType::None {
            return Err(invalid("A device cannot have the authentication type none.").into());
        }
        let parents_of = |scope: &str| {
            let edge = scopes::edge_id(scope)
                .map(|id| find(self.sql, id))
                .transpose()?
                .flatten();
            Ok(edge
                .filter(|edge| edge.capabilities.iot_edge && edge.device_scope.as_deref() == Some(scope))
                .map(|edge| edge.parent_scopes))
        };
        let (device_scope, parent_scopes) = scopes::settle(device, existing, ticks(now), &parents_of)?;
        let status_updated = match existing {
            None => Timestamp::NEVER,
            Some(existing) if existing.status == device.status => existing.status_updated_time,
            Some(_) => now,
        };
        let id = ClientId::device(device.device_id.clone());
        let record = Record {
            id: &id,
            status: device.status,
            status_reason: reason,
            status_updated,
            authentication: completed(&device.authentication)?,
            capabilities: device.capabilities,
            managed_by: None,
            device_scope,
            parent_scopes,
        };
        match existing {
            None => self.insert_identity(&record, now)?,
            Some(_) => self.update_identity(&record)?,
        }
        if existing.is_some_and(|existing| existing.status != device.status) {
            self.follow_status(&record)?;
        }
        let was_edge = existing.is_some_and(|existing| existing.capabilities.iot_edge);
        if device.capabilities.iot_edge != was_edge {
            self.set_system_modules(&record, now)?;
        }
        Ok(())
    }

    /// `If-Match` is needed: a delete without one is refused. Modules, twins and waiting messages
    /// go with the device.
    pub(crate) fn delete_device(&mut self, device_id: &str, if_match: &IfMatch) -> Result<(), StoreError> {
        let existing = get(self.sql, device_id)?;
        if_match.demand(&existing.etag)?;
        let gone = modules::ids(self.sql, &existing.device_id)?;
        self.sql
            .prepare_cached("DELETE FROM identities WHERE device_id = ?1")?
            .execute([device_id])?;
        for id in gone.into_iter().chain([existing.device_id.into()]) {
            self.tell(HubEvent::IdentityDeleted { id });
        }
        Ok(())
    }
}
