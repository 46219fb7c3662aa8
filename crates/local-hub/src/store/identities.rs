//! What devices and modules have in common: a row, an etag, a way to prove themselves.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    identity::{Authentication, AuthenticationType, Capabilities, Status, SymmetricKey},
    merge::{Object, merge_metadata},
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{Transaction, policies::random_key, twins};
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

    /// For writes that may not go without the header.
    pub(super) fn demand(&self, etag: &str) -> Result<(), HubError> {
        match self {
            Self::None => Err(HubError::new(
                ErrorCode::PreconditionFailed,
                "The If-Match header is missing.",
            )),
            given => given.check(etag),
        }
    }
}

pub(crate) fn identity_etag(counter: i64) -> String {
    BASE64.encode(counter.to_string())
}

/// Messages that wait for an identity.
pub(super) const MESSAGE_COUNT: &str =
    "(SELECT count(*) FROM messages WHERE identity = identities.id) AS message_count";

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
        "SELECT own.authentication AS authentication, own.generation_id AS generation_id, own.status AS status,
            device.authentication AS parent
         FROM identities AS own JOIN identities AS device ON device.device_id = own.device_id AND device.module_id = ''
         WHERE own.device_id = ?1 AND own.module_id = ?2",
    )?;
    let found = statement.query_row([id.device_str(), id.module_str()], |row| {
        Ok(Credentials {
            id: id.clone(),
            authentication: json(row, "authentication")?,
            parent: id.is_module().then(|| json(row, "parent")).transpose()?,
            status: status(row, "status")?,
            generation_id: row.get("generation_id")?,
        })
    });
    Ok(found.optional()?)
}

pub(super) fn exists(connection: &Connection, id: &ClientId) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM identities WHERE device_id = ?1 AND module_id = ?2")?;
    Ok(statement.exists([id.device_str(), id.module_str()])?)
}

pub(super) fn status(row: &Row<'_>, column: &str) -> rusqlite::Result<Status> {
    Ok(Status::parse(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::parse(row.get_ref(column)?.as_str()?).unwrap_or(Timestamp::NEVER))
}

/// A column of JSON; the default when it cannot be read.
pub(super) fn json<T: serde::de::DeserializeOwned + Default>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    Ok(serde_json::from_str(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

/// Keys given are kept, keys not given are minted; thumbprints are checked.
pub(super) fn completed(authentication: &Authentication) -> Result<Authentication, StoreError> {
    let invalid = |text: &str| HubError::new(ErrorCode::ArgumentInvalid, text);
    if !authentication.x509_thumbprint.is_valid() {
        return Err(invalid("A thumbprint has 40 or 64 hexadecimal digits and nothing else.").into());
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

/// Ticks of a hundred nanoseconds since year 1, as the service counts.
pub(super) fn ticks(now: Timestamp) -> i128 {
    now.0.unix_timestamp_nanos() / 100 + 621_355_968_000_000_000
}

/// What a write of an identity says; the hub's own columns are not in it.
pub(super) struct Record<'a> {
    pub id: &'a ClientId,
    pub status: Status,
    pub status_reason: Option<&'a str>,
    pub status_updated: Timestamp,
    pub authentication: Authentication,
    pub capabilities: Capabilities,
    pub managed_by: Option<&'a str>,
    pub device_scope: Option<String>,
    pub parent_scopes: Vec<String>,
}

impl Transaction<'_> {
    /// A new identity and its empty twin, and tells of it.
    pub(super) fn insert_identity(&mut self, record: &Record<'_>, now: Timestamp) -> Result<(), StoreError> {
        let metadata = |version: Option<u64>| {
            let mut node = Object::new();
            merge_metadata(&mut node, &Object::new(), &Object::new(), &now.to_string(), version);
            serde_json::Value::Object(node).to_string()
        };
        self.sql
            .prepare_cached(
                "INSERT INTO identities (device_id, module_id, generation_id, etag, status, status_reason, status_updated,
                    authentication, capabilities, managed_by, device_scope, parent_scopes, connection_updated,
                    last_activity, desired_metadata, reported_metadata)
                 VALUES (:device, :module, :generation, :etag, :status, :reason, :updated, :authentication, :capabilities,
                    :managed_by, :scope, :parents, :never, :never, :desired_metadata, :reported_metadata)",
            )?
            .execute(named_params! {
                ":device": record.id.device_str(),
                ":module": record.id.module_str(),
                // What matters is that a re-created id gets another.
                ":generation": ticks(now).to_string(),
                ":etag": now.0.nanosecond() % 1_000_000_000,
                ":status": record.status.as_str(),
                ":reason": record.status_reason,
                ":updated": record.status_updated.to_string(),
                ":authentication": serde_json::to_string(&record.authentication)?,
                ":capabilities": serde_json::to_string(&record.capabilities)?,
                ":managed_by": record.managed_by,
                ":scope": record.device_scope,
                ":parents": serde_json::to_string(&record.parent_scopes)?,
                ":never": Timestamp::NEVER.to_string(),
                ":desired_metadata": metadata(Some(1)),
                ":reported_metadata": metadata(None),
            })?;
        self.tell_identity(record.id, true)
    }

    /// Replaces all that a service may say of an identity; its etag moves. Tells of it.
    pub(super) fn update_identity(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        self.sql
            .prepare_cached(
                "UPDATE identities SET etag = etag + 1, status = :status, status_reason = :reason,
                    status_updated = :updated, authentication = :authentication, capabilities = :capabilities,
                    managed_by = :managed_by, device_scope = :scope, parent_scopes = :parents
                 WHERE device_id = :device AND module_id = :module",
            )?
            .execute(named_params! {
                ":device": record.id.device_str(),
                ":module": record.id.module_str(),
                ":status": record.status.as_str(),
                ":reason": record.status_reason,
                ":updated": record.status_updated.to_string(),
                ":authentication": serde_json::to_string(&record.authentication)?,
                ":capabilities": serde_json::to_string(&record.capabilities)?,
                ":managed_by": record.managed_by,
                ":scope": record.device_scope,
                ":parents": serde_json::to_string(&record.parent_scopes)?,
            })?;
        self.tell_identity(record.id, false)
    }

    /// Tells that an identity is new or changed, with its twin.
    pub(super) fn tell_identity(&mut self, id: &ClientId, created: bool) -> Result<(), StoreError> {
        let twin = twins::get(self.sql, id)?.into();
        self.tell(HubEvent::IdentityChanged { twin, created });
        Ok(())
    }
}
