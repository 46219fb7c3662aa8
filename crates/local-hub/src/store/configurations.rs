//! Configurations, and what they do to twins.

use std::sync::Arc;

use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, ModuleId, Timestamp,
    configuration::{Configuration, ConfigurationId, MAX_CONFIGURATIONS},
    identity::{Authentication, SymmetricKey},
    merge::{self, Object},
    twin::{Twin, TwinPatch},
};
use rusqlite::{Connection, Row, named_params, params};

use super::{
    Transaction, TwinWrite,
    identities::{IfMatch, MESSAGE_COUNT, identity_etag},
    policies::random_key,
    twins,
};
use crate::{
    error::StoreError,
    events::HubEvent,
    targeting::{Candidate, Candidates, Plan, plan},
};

fn from_row(row: &Row<'_>) -> Result<Configuration, StoreError> {
    let document: Configuration =
        serde_json::from_str(row.get_ref("document")?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(Configuration {
        etag: identity_etag(row.get("etag")?),
        ..document
    })
}

fn find(connection: &Connection, id: &ConfigurationId) -> Result<Option<Configuration>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT etag, document FROM configurations WHERE id = ?1")?;
    let found = statement.query_and_then([id.as_str()], from_row)?.next();
    found.transpose()
}

pub(crate) fn get_configuration(connection: &Connection, id: &ConfigurationId) -> Result<Configuration, StoreError> {
    find(connection, id)?.ok_or_else(|| not_found(id).into())
}

fn not_found(id: &ConfigurationId) -> HubError {
    HubError::new(
        ErrorCode::ConfigurationNotFound,
        format!("There is no configuration {id}."),
    )
}

/// All of them: there are few.
pub(crate) fn list_configurations(connection: &Connection) -> Result<Vec<Configuration>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT etag, document FROM configurations ORDER BY id")?;
    statement.query_and_then([], from_row)?.collect()
}

pub(crate) fn any_configuration(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM configurations)", [], |row| row.get(0))?)
}

/// Read afresh each time, so that no deleted configuration is ever applied.
fn candidates(connection: &Connection) -> Result<Candidates, StoreError> {
    let read = |configuration: Configuration| {
        let (target, content) = configuration.read()?;
        Ok(Candidate {
            id: configuration.id,
            priority: configuration.priority,
            created: configuration.created_time_utc,
            target,
            content,
        })
    };
    list_configurations(connection)?.into_iter().map(read).collect()
}

/// A device's own twin and those of its modules; none when there is no such device.
fn twins_of(connection: &Connection, device_id: &DeviceId) -> Result<Vec<Twin>, StoreError> {
    let columns = twins::COLUMNS;
    let sql = format!("SELECT {columns}, {MESSAGE_COUNT} FROM identities WHERE device_id = ?1 ORDER BY module_id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([device_id.as_str()], twins::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The next devices after `after` that configurations may concern: all while there are
/// configurations, without any those that still tell of one.
pub(crate) fn device_ids_after(
    connection: &Connection,
    after: &str,
    count: usize,
) -> Result<Vec<DeviceId>, StoreError> {
    let condition = if any_configuration(connection)? {
        "module_id = ''"
    } else {
        "configurations <> '{}'"
    };
    let sql = format!(
        "SELECT DISTINCT device_id FROM identities WHERE {condition} AND device_id > ?1 ORDER BY device_id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, count], |row| {
        DeviceId::new(row.get::<_, String>(0)?).map_err(|_| rusqlite::Error::InvalidQuery)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those of `devices` that are not what the configurations want them to be.
pub(crate) fn unsettled(connection: &Connection, devices: &[DeviceId]) -> Result<Vec<DeviceId>, StoreError> {
    let candidates = candidates(connection)?;
    let mut found = Vec::new();
    for device in devices {
        if !plan(&candidates, &twins_of(connection, device)?).is_empty() {
            found.push(device.clone());
        }
    }
    Ok(found)
}

impl Transaction<'_> {
    /// PUT without If-Match creates; with it, it updates all but the content.
    pub(crate) fn put_configuration(
        &mut self,
        configuration: &Configuration,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<Configuration, StoreError> {
        let id = &configuration.id;
        let existing = find(self.sql, id)?;
        let (created, content) = match (&existing, if_match) {
            (None, IfMatch::None) => {
                let count: usize = self
                    .sql
                    .query_row("SELECT count(*) FROM configurations", [], |row| row.get(0))?;
                if count >= MAX_CONFIGURATIONS {
                    let text = format!("A hub has at most {MAX_CONFIGURATIONS} configurations.");
                    return Err(HubError::new(ErrorCode::ConfigurationCountLimitExceeded, text).into());
                }
                (now, &configuration.content)
            }
            (None, _) => return Err(not_found(id).into()),
            (Some(_), IfMatch::None) => {
                let text = format!("A configuration {id} exists already.");
                return Err(HubError::new(ErrorCode::ConfigurationAlreadyExists, text).into());
            }
            (Some(existing), if_match) => {
                if_match.check(&existing.etag)?;
                (existing.created_time_utc, &existing.content)
            }
        };
        let mut document = Configuration {
            content: content.clone(),
            created_time_utc: created,
            last_updated_time_utc: now,
            etag: String::new(),
            ..configuration.clone()
        };
        document.metrics.results.clear();
        document.system_metrics.results.clear();
        document.system_metrics.queries = document.system_queries();
        // Content that stays must fit the condition that came.
        document.read()?;
        self.sql
            .prepare_cached(
                "INSERT INTO configurations (id, etag, document) VALUES (:id, :etag, :document)
                 ON CONFLICT (id) DO UPDATE SET etag = etag + 1, document = excluded.document",
            )?
            .execute(named_params! {
                ":id": id.as_str(),
                // Not the etag of one of the same name that was deleted.
                ":etag": now.0.nanosecond(),
                ":document": serde_json::to_string(&document)?,
            })?;
        self.tell(HubEvent::ConfigurationChanged { id: id.clone() });
        get_configuration(self.sql, id)
    }

    pub(crate) fn delete_configuration(&mut self, id: &ConfigurationId, if_match: &IfMatch) -> Result<(), StoreError> {
        if_match.check(&get_configuration(self.sql, id)?.etag)?;
        self.sql
            .prepare_cached("DELETE FROM configurations WHERE id = ?1")?
            .execute([id.as_str()])?;
        self.tell(HubEvent::ConfigurationChanged { id: id.clone() });
        Ok(())
    }

    /// Makes `devices` what the configurations want; one that is refused is left as it was.
    pub(crate) fn apply_configurations(&mut self, devices: &[DeviceId], now: Timestamp) -> Result<(), StoreError> {
        let candidates = candidates(self.sql)?;
        for device in devices {
            self.sql.execute_batch("SAVEPOINT device")?;
            let events = self.events.len();
            match self.carry_out(device, |twins| plan(&candidates, twins), now) {
                Ok(()) => self.sql.execute_batch("RELEASE device")?,
                Err(StoreError::Hub(error)) => {
                    self.sql.execute_batch("ROLLBACK TO device; RELEASE device")?;
                    self.events.truncate(events);
                    tracing::warn!(%device, "the configurations could not be applied: {error}");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Does what is planned for a device and its modules; does nothing when there is no such device.
    pub(crate) fn carry_out(
        &mut self,
        device: &DeviceId,
        plan: impl Fn(&[Twin]) -> Plan,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut planned = plan(&twins_of(self.sql, device)?);
        if !planned.missing.is_empty() {
            for module in &planned.missing {
                self.create_edge_module(device, module, now)?;
            }
            planned = plan(&twins_of(self.sql, device)?);
        }
        for change in planned.changes {
            if let Some(configurations) = &change.configurations {
                self.sql
                    .prepare_cached(
                        "UPDATE identities SET configurations = ?3 WHERE device_id = ?1 AND module_id = ?2",
                    )?
                    .execute(params![
                        change.id.device_str(),
                        change.id.module_str(),
                        serde_json::to_string(configurations)?
                    ])?;
            }
            let twin = if change.desired.is_empty() {
                Arc::new(twins::get(self.sql, &change.id)?)
            } else {
                let patch = TwinPatch::desired(change.desired);
                self.write_twin(&change.id, &patch, TwinWrite::Merge, &IfMatch::Any, now)?
            };
            if change.configurations.is_some() {
                self.tell(HubEvent::StandingsChanged { twin });
            }
        }
        Ok(())
    }

    fn create_edge_module(&mut self, device: &DeviceId, module: &ModuleId, now: Timestamp) -> Result<(), StoreError> {
        let authentication = Authentication {
            symmetric_key: SymmetricKey::from_keys(&random_key()?, &random_key()?),
            ..Authentication::default()
        };
        let metadata = |version| {
            let (mut metadata, none) = (Object::new(), Object::new());
            merge::merge_metadata(&mut metadata, &none, &none, &now.to_string(), version);
            serde_json::to_string(&metadata)
        };
        self.sql
            .prepare_cached(
                "INSERT INTO identities (device_id, module_id, generation_id, etag, status_updated, authentication,
                    managed_by, connection_updated, last_activity, desired_metadata, reported_metadata)
                 SELECT device_id, :module, :generation, :etag, :never, :authentication, 'iotEdge', :never, :never,
                    :desired_metadata, :reported_metadata FROM identities WHERE device_id = :device AND module_id = ''",
            )?
            .execute(named_params! {
                ":device": device.as_str(),
                ":module": module.as_str(),
                ":generation": (now.0.unix_timestamp_nanos() / 100 + 621_355_968_000_000_000).to_string(),
                ":etag": now.0.nanosecond(),
                ":never": Timestamp::NEVER.to_string(),
                ":authentication": serde_json::to_string(&authentication)?,
                ":desired_metadata": metadata(Some(1))?,
                ":reported_metadata": metadata(None)?,
            })?;
        let id = ClientId {
            device_id: device.clone(),
            module_id: Some(module.clone()),
        };
        let twin = twins::get(self.sql, &id)?.into();
        self.tell(HubEvent::IdentityChanged { twin, created: true });
        Ok(())
    }
}
