//! Device identities.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, Timestamp,
    identity::{
        Authentication, AuthenticationType, BulkRegistryError, BulkRegistryResult, ConnectionState, DeviceIdentity,
        ExportImportDevice, ImportMode, MAX_BULK, RegistryStatistics, Status, SymmetricKey,
    },
    merge::Object,
    twin::TwinPatch,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{Transaction, TwinWrite, policies::random_key, twins};
use crate::{error::StoreError, events::HubEvent};

/// The `If-Match` header: absent, `*`, or an etag with its quotes stripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    None,
    Any,
    Etag(String),
}

impl IfMatch {
    pub(crate) fn parse(header: Option<&str>) -> Self {
        let Some(text) = header.map(str::trim) else {
            return Self::None;
        };
        let bare = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(text);
        if bare == "*" {
            Self::Any
        } else {
            Self::Etag(bare.to_owned())
        }
    }

    /// `None` matches too: whether the header is needed is the operation's business.
    pub(crate) fn check(&self, etag: &str) -> Result<(), HubError> {
        match self {
            Self::Etag(expected) if expected != etag => Err(HubError::new(
                ErrorCode::PreconditionFailed,
                format!("Precondition failed: the etag did not match, existing:{etag} given:{expected}"),
            )),
            _ => Ok(()),
        }
    }
}

pub(crate) fn identity_etag(counter: i64) -> String {
    BASE64.encode(counter.to_string())
}

/// Messages that wait for an identity.
pub(super) const MESSAGE_COUNT: &str =
    "(SELECT count(*) FROM messages WHERE identity = identities.id) AS message_count";

const COLUMNS: &str = "device_id, generation_id, etag, status, status_reason, status_updated, authentication,
    capabilities, device_scope, parent_scopes, connection_state, connection_updated, last_activity";

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeviceIdentity> {
    let text = |column: &str| row.get::<_, String>(column);
    let time = |column: &str| Ok::<_, rusqlite::Error>(Timestamp::parse(&text(column)?).unwrap_or(Timestamp::NEVER));
    let id = DeviceId::new(text("device_id")?).map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(DeviceIdentity {
        generation_id: text("generation_id")?,
        etag: identity_etag(row.get("etag")?),
        connection_state: connection_state(&text("connection_state")?),
        status: status(&text("status")?),
        status_reason: row.get("status_reason")?,
        connection_state_updated_time: time("connection_updated")?,
        status_updated_time: time("status_updated")?,
        last_activity_time: time("last_activity")?,
        cloud_to_device_message_count: row.get("message_count")?,
        device_scope: row.get("device_scope")?,
        parent_scopes: serde_json::from_str(&text("parent_scopes")?).unwrap_or_default(),
        authentication: serde_json::from_str(&text("authentication")?).unwrap_or_default(),
        capabilities: serde_json::from_str(&text("capabilities")?).unwrap_or_default(),
        ..DeviceIdentity::new(id)
    })
}

pub(crate) fn connection_state(text: &str) -> ConnectionState {
    if text == "Connected" {
        ConnectionState::Connected
    } else {
        ConnectionState::Disconnected
    }
}

pub(crate) fn status(text: &str) -> Status {
    if text == "disabled" {
        Status::Disabled
    } else {
        Status::Enabled
    }
}

pub(crate) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Enabled => "enabled",
        Status::Disabled => "disabled",
    }
}

pub(crate) fn find(connection: &Connection, device_id: &str) -> Result<Option<DeviceIdentity>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities WHERE device_id = ?1 AND module_id = ''");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([device_id], from_row).optional()?)
}

pub(crate) fn get(connection: &Connection, device_id: &str) -> Result<DeviceIdentity, StoreError> {
    find(connection, device_id)?.ok_or_else(|| HubError::device_not_found(device_id).into())
}

pub(crate) fn list(connection: &Connection, top: usize) -> Result<Vec<DeviceIdentity>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities WHERE module_id = '' ORDER BY device_id LIMIT ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([top], from_row)?;
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

/// What decides whether an identity may connect, and what its messages are stamped with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub id: ClientId,
    pub authentication: Authentication,
    /// Of a module: what its device authenticates with.
    pub parent: Option<Authentication>,
    /// A module's is its device's.
    pub status: Status,
    pub generation_id: String,
}

/// `None` when there is no such identity.
pub(crate) fn credentials(connection: &Connection, id: &ClientId) -> Result<Option<Credentials>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT own.authentication, own.generation_id, device.status, device.authentication
         FROM identities AS own JOIN identities AS device ON device.device_id = own.device_id AND device.module_id = ''
         WHERE own.device_id = ?1 AND own.module_id = ?2",
    )?;
    let found = statement.query_row([id.device_str(), id.module_str()], |row| {
        Ok(Credentials {
            id: id.clone(),
            authentication: serde_json::from_str(row.get_ref(0)?.as_str()?).unwrap_or_default(),
            parent: if id.is_module() {
                serde_json::from_str(row.get_ref(3)?.as_str()?).ok()
            } else {
                None
            },
            status: status(row.get_ref(2)?.as_str()?),
            generation_id: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

/// Keys given are kept, keys not given are minted.
fn completed(authentication: &Authentication) -> Result<Authentication, StoreError> {
    let invalid = |text: &str| HubError::new(ErrorCode::ArgumentInvalid, text);
    if authentication.kind == AuthenticationType::None {
        return Err(invalid("A device cannot have the authentication type none.").into());
    }
    let keys = authentication.symmetric_key.keys();
    let keys = keys.map_err(|error| invalid(&format!("The symmetric keys are not valid: {error}.")))?;
    let symmetric_key = match (keys, authentication.kind) {
        (Some((primary, secondary)), _) => SymmetricKey::from_keys(&primary, &secondary),
        (None, AuthenticationType::Sas) => SymmetricKey::from_keys(&random_key()?, &random_key()?),
        (None, _) => SymmetricKey::default(),
    };
    Ok(Authentication {
        symmetric_key,
        ..authentication.clone()
    })
}

impl Transaction<'_> {
    /// PUT without If-Match creates; with it, it replaces.
    pub(crate) fn put_device(
        &mut self,
        device: &DeviceIdentity,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<DeviceIdentity, StoreError> {
        if device
            .status_reason
            .as_ref()
            .is_some_and(|reason| reason.chars().count() > 128)
        {
            return Err(HubError::new(
                ErrorCode::ArgumentInvalid,
                "A status reason has at most 128 characters.",
            )
            .into());
        }
        let existing = find(self.sql, device.device_id.as_str())?;
        let created = existing.is_none();
        match (existing, if_match) {
            (None, IfMatch::None) => self.insert(device, now)?,
            (None, _) => return Err(HubError::device_not_found(&device.device_id).into()),
            (Some(_), IfMatch::None) => {
                let text = format!("A device with ID '{}' is already registered.", device.device_id);
                return Err(HubError::new(ErrorCode::DeviceAlreadyExists, text).into());
            }
            (Some(existing), if_match) => {
                if_match.check(&existing.etag)?;
                self.update(device, &existing, now)?;
            }
        }
        let twin = twins::get(self.sql, &device.device_id.clone().into())?;
        self.tell(HubEvent::IdentityChanged {
            twin: twin.into(),
            created,
        });
        get(self.sql, device.device_id.as_str())
    }

    fn insert(&mut self, device: &DeviceIdentity, now: Timestamp) -> Result<(), StoreError> {
        let metadata = |version: bool| {
            let mut node = Object::new();
            hub_protocol::merge::merge_metadata(
                &mut node,
                &Object::new(),
                &Object::new(),
                &now.to_string(),
                version.then_some(1),
            );
            serde_json::Value::Object(node).to_string()
        };
        self.sql
            .prepare_cached(
                "INSERT INTO identities (device_id, generation_id, etag, status, status_reason, status_updated,
                    authentication, capabilities, connection_updated, last_activity, desired_metadata, reported_metadata)
                 VALUES (:id, :generation, :etag, :status, :reason, :never, :authentication, :capabilities, :never, :never,
                    :desired_metadata, :reported_metadata)",
            )?
            .execute(named_params! {
                ":id": device.device_id.as_str(),
                // Azure's are ticks since year 1; what matters is that a re-created id gets another.
                ":generation": (now.0.unix_timestamp_nanos() / 100 + 621_355_968_000_000_000).to_string(),
                ":etag": now.0.nanosecond() % 1_000_000_000,
                ":status": status_text(device.status),
                ":reason": device.status_reason,
                ":never": Timestamp::NEVER.to_string(),
                ":authentication": serde_json::to_string(&completed(&device.authentication)?)?,
                ":capabilities": serde_json::to_string(&device.capabilities)?,
                ":desired_metadata": metadata(true),
                ":reported_metadata": metadata(false),
            })?;
        Ok(())
    }

    fn update(&mut self, device: &DeviceIdentity, existing: &DeviceIdentity, now: Timestamp) -> Result<(), StoreError> {
        let status_updated = if existing.status == device.status {
            existing.status_updated_time
        } else {
            now
        };
        self.sql
            .prepare_cached(
                "UPDATE identities SET etag = etag + 1, status = :status, status_reason = :reason,
                    status_updated = :updated, authentication = :authentication, capabilities = :capabilities
                 WHERE device_id = :id AND module_id = ''",
            )?
            .execute(named_params! {
                ":id": device.device_id.as_str(),
                ":status": status_text(device.status),
                ":reason": device.status_reason,
                ":updated": status_updated.to_string(),
                ":authentication": serde_json::to_string(&completed(&device.authentication)?)?,
                ":capabilities": serde_json::to_string(&device.capabilities)?,
            })?;
        Ok(())
    }

    /// `If-Match` is needed: a delete without one is refused.
    pub(crate) fn delete_device(&mut self, device_id: &str, if_match: &IfMatch) -> Result<(), StoreError> {
        let existing = get(self.sql, device_id)?;
        if *if_match == IfMatch::None {
            return Err(HubError::new(ErrorCode::PreconditionFailed, "The If-Match header is missing.").into());
        }
        if_match.check(&existing.etag)?;
        self.sql
            .prepare_cached("DELETE FROM identities WHERE device_id = ?1")?
            .execute(params![device_id])?;
        self.tell(HubEvent::IdentityDeleted {
            id: existing.device_id.into(),
        });
        Ok(())
    }

    /// At most 100 items; the good ones are done even where others fail.
    pub(crate) fn bulk(
        &mut self,
        items: &[ExportImportDevice],
        now: Timestamp,
    ) -> Result<BulkRegistryResult, StoreError> {
        if items.len() > MAX_BULK {
            let text = format!("{} devices in one request, the limit is {MAX_BULK}.", items.len());
            return Err(HubError::new(ErrorCode::TooManyDevices, text).into());
        }
        let mut ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            let text = format!("Device {} is defined more than once.", twice[0]);
            return Err(HubError::new(ErrorCode::DeviceDefinedMultipleTimes, text).into());
        }
        let mut result = BulkRegistryResult {
            is_successful: true,
            ..BulkRegistryResult::default()
        };
        for item in items {
            self.sql.execute_batch("SAVEPOINT item")?;
            let events = self.events.len();
            match self.import(item, now) {
                Ok(()) => self.sql.execute_batch("RELEASE item")?,
                Err(StoreError::Hub(error)) => {
                    self.sql.execute_batch("ROLLBACK TO item; RELEASE item")?;
                    self.events.truncate(events);
                    result.is_successful = false;
                    result.errors.push(BulkRegistryError {
                        device_id: item.id.to_string(),
                        module_id: None,
                        error_code: error.code.name().into(),
                        error_status: error.message,
                        operation: None,
                    });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(result)
    }

    fn import(&mut self, item: &ExportImportDevice, now: Timestamp) -> Result<(), StoreError> {
        use ImportMode::{
            Create, CreateOrUpdate, CreateOrUpdateIfMatchETag, Delete, DeleteIfMatchETag, UpdateIfMatchETag,
            UpdateTwin, UpdateTwinIfMatchETag,
        };
        let mode = item.import_mode.unwrap_or(CreateOrUpdate);
        let etag = match mode {
            CreateOrUpdateIfMatchETag | UpdateIfMatchETag | DeleteIfMatchETag => IfMatch::parse(item.etag.as_deref()),
            UpdateTwinIfMatchETag => IfMatch::parse(item.twin_etag.as_deref()),
            _ => IfMatch::Any,
        };
        let desired = item.properties.as_ref().map(|properties| properties.desired.clone());
        let patch = TwinPatch {
            tags: item.tags.clone(),
            properties: desired.map(|desired| hub_protocol::twin::TwinPatchProperties { desired: Some(desired) }),
        };
        let id = item.id.as_str();
        let client = ClientId::device(item.id.clone());
        let exists = find(self.sql, id)?.is_some();
        match mode {
            Delete | DeleteIfMatchETag => return self.delete_device(id, &etag),
            UpdateTwin | UpdateTwinIfMatchETag => {
                self.write_twin(&client, &patch, TwinWrite::Merge, &etag, now)?;
                return Ok(());
            }
            _ => {}
        }
        let device = DeviceIdentity {
            status: item.status,
            status_reason: item.status_reason.clone(),
            authentication: item.authentication.clone().unwrap_or_default(),
            capabilities: item.capabilities,
            ..DeviceIdentity::new(item.id.clone())
        };
        let if_match = match mode {
            Create => IfMatch::None,
            CreateOrUpdate | CreateOrUpdateIfMatchETag if !exists => IfMatch::None,
            _ => etag,
        };
        self.put_device(&device, &if_match, now)?;
        if patch != TwinPatch::default() {
            self.write_twin(&client, &patch, TwinWrite::Merge, &IfMatch::Any, now)?;
        }
        Ok(())
    }
}
