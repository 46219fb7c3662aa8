//! Twins: read, merge, replace, report.

use std::{sync::Arc, time::Duration};

use hub_protocol::{
    ClientId, DeviceId, ErrorCode, HubError, Timestamp,
    identity::{Authentication, ConnectionState},
    merge::{self, Object},
    twin::{PropertySet, Twin, TwinPatch, TwinProperties, twin_etag, twin_etag_counter},
};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{
    Transaction,
    identities::{IfMatch, MESSAGE_COUNT, identity_etag, json, status, time},
};
use crate::{
    error::StoreError,
    events::{HubEvent, TwinSection},
};

/// How a service writes a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TwinWrite {
    /// PATCH: nulls delete, parts not given stay.
    Merge,
    /// PUT: tags and desired become what is given, or empty.
    Replace,
}

pub(super) const COLUMNS: &str =
    "device_id, module_id, etag, status, status_reason, status_updated, authentication, capabilities,
    connection_state, last_activity, model_id, twin_etag, version, tags, desired, desired_metadata, desired_version,
    reported, reported_metadata, reported_version, device_scope, parent_scopes, configurations";

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Twin> {
    let text = |column: &str| row.get::<_, String>(column);
    let object = |column: &str| {
        serde_json::from_str::<Object>(row.get_ref(column)?.as_str()?).map_err(|_| rusqlite::Error::InvalidQuery)
    };
    let authentication: Authentication = json(row, "authentication")?;
    Ok(Twin {
        device_id: DeviceId::new(text("device_id")?).map_err(|_| rusqlite::Error::InvalidQuery)?,
        module_id: Some(text("module_id")?)
            .filter(|id| !id.is_empty())
            .map(DeviceId::new)
            .transpose()
            .map_err(|_| rusqlite::Error::InvalidQuery)?,
        etag: twin_etag(row.get("twin_etag")?),
        device_etag: identity_etag(row.get("etag")?),
        status: status(row, "status")?,
        status_reason: row.get("status_reason")?,
        status_update_time: time(row, "status_updated")?,
        connection_state: ConnectionState::parse(&text("connection_state")?).unwrap_or_default(),
        last_activity_time: time(row, "last_activity")?,
        cloud_to_device_message_count: row.get("message_count")?,
        authentication_type: authentication.kind,
        x509_thumbprint: authentication.x509_thumbprint,
        model_id: text("model_id")?,
        version: row.get("version")?,
        tags: object("tags")?,
        properties: TwinProperties {
            desired: PropertySet {
                values: object("desired")?,
                metadata: object("desired_metadata")?,
                version: row.get("desired_version")?,
            },
            reported: PropertySet {
                values: object("reported")?,
                metadata: object("reported_metadata")?,
                version: row.get("reported_version")?,
            },
        },
        capabilities: json(row, "capabilities")?,
        device_scope: row.get("device_scope")?,
        parent_scopes: json(row, "parent_scopes")?,
        configurations: object("configurations")?,
    })
}

/// A missing module's twin is `DeviceNotFound` like a missing device's (service.md 3).
pub(crate) fn get(connection: &Connection, id: &ClientId) -> Result<Twin, StoreError> {
    let sql = format!("SELECT {COLUMNS}, {MESSAGE_COUNT} FROM identities WHERE device_id = ?1 AND module_id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let twin = statement
        .query_row([id.device_str(), id.module_str()], from_row)
        .optional()?;
    twin.ok_or_else(|| HubError::device_not_found(id).into())
}

/// Both versions are said, as the service says them.
fn check_version(if_match: &IfMatch, etag: &str) -> Result<(), HubError> {
    match if_match {
        IfMatch::Etag(given) if given != etag => {
            let version = |etag: &str| twin_etag_counter(etag).map_or_else(|| etag.to_owned(), |n| n.to_string());
            let text = format!(
                "Precondition failed: Device version did not match, existingVersion:{} newVersion:{}",
                version(etag),
                version(given)
            );
            Err(HubError::new(ErrorCode::PreconditionFailed, text))
        }
        _ => Ok(()),
    }
}

fn contains_null(object: &Object) -> bool {
    object.values().any(|value| match value {
        Value::Null => true,
        Value::Object(inner) => contains_null(inner),
        _ => false,
    })
}

/// The least by which two times on the wire differ.
const TICK: Duration = Duration::from_nanos(100);

/// Writes `patch` into one section in memory; `None` metadata for tags, which have none.
fn write_section(
    values: &mut Object,
    metadata: Option<(&mut Object, Option<u64>)>,
    patch: &Object,
    how: TwinWrite,
    now: Timestamp,
) -> Result<(), StoreError> {
    merge::check(patch)?;
    if how == TwinWrite::Replace {
        if contains_null(patch) {
            return Err(HubError::new(
                ErrorCode::ArgumentInvalid,
                "A whole twin may not contain null; leave the name out.",
            )
            .into());
        }
        values.clear();
    }
    merge::merge(values, patch);
    if let Some((metadata, version)) = metadata {
        // Of two writes the later has the later stamp, even if the clock was set back meanwhile:
        // who compares stamps would take new evidence for old.
        let last = metadata.get("$lastUpdated").and_then(Value::as_str);
        let last = last.and_then(Timestamp::parse);
        let now = last.map_or(now, |last| now.max(last.after(TICK)));
        if how == TwinWrite::Replace {
            metadata.clear();
        }
        merge::merge_metadata(metadata, values, patch, &now.to_string(), version);
    }
    Ok(())
}

impl Transaction<'_> {
    /// A service's write of tags and desired properties; all of it or nothing.
    pub(crate) fn write_twin(
        &mut self,
        id: &ClientId,
        patch: &TwinPatch,
        how: TwinWrite,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<Arc<Twin>, StoreError> {
        let mut twin = get(self.sql, id)?;
        check_version(if_match, &twin.etag)?;
        let given = |section: Option<&Object>| match (section, how) {
            (Some(section), _) => Some(merge::without_system_keys(section)),
            (None, TwinWrite::Replace) => Some(Object::new()),
            (None, TwinWrite::Merge) => None,
        };
        let tags = given(patch.tags.as_ref());
        let desired = given(
            patch
                .properties
                .as_ref()
                .and_then(|properties| properties.desired.as_ref()),
        );
        if let Some(tags) = &tags {
            write_section(&mut twin.tags, None, tags, how, now)?;
            merge::check_size("tags", &twin.tags)?;
        }
        if let Some(desired) = &desired {
            let set = &mut twin.properties.desired;
            set.version += 1;
            write_section(
                &mut set.values,
                Some((&mut set.metadata, Some(set.version))),
                desired,
                how,
                now,
            )?;
            merge::check_size("desired properties", &set.values)?;
        }
        let set = &twin.properties.desired;
        self.sql
            .prepare_cached(
                "UPDATE identities SET twin_etag = twin_etag + 1, version = version + 1, tags = :tags, desired = :desired,
                    desired_metadata = :metadata, desired_version = :version
                 WHERE device_id = :device AND module_id = :module",
            )?
            .execute(named_params! {
                ":device": id.device_str(),
                ":module": id.module_str(),
                ":tags": serde_json::to_string(&twin.tags)?,
                ":desired": serde_json::to_string(&set.values)?,
                ":metadata": serde_json::to_string(&set.metadata)?,
                ":version": set.version,
            })?;
        // Read back: the answer is what is stored.
        let twin = Arc::new(get(self.sql, id)?);
        for (section, patch) in [(TwinSection::Tags, tags), (TwinSection::Desired, desired)] {
            if let Some(patch) = patch {
                self.tell(HubEvent::TwinChanged {
                    section,
                    patch: patch.into(),
                    twin: twin.clone(),
                    replaced: how == TwinWrite::Replace,
                });
            }
        }
        Ok(twin)
    }

    /// A device's patch of its reported properties; returns their new version.
    pub(crate) fn report(&mut self, id: &ClientId, patch: Object, now: Timestamp) -> Result<u64, StoreError> {
        let mut twin = get(self.sql, id)?;
        let set = &mut twin.properties.reported;
        write_section(
            &mut set.values,
            Some((&mut set.metadata, None)),
            &patch,
            TwinWrite::Merge,
            now,
        )?;
        merge::check_size("reported properties", &set.values)?;
        set.version += 1;
        twin.version += 1;
        twin.last_activity_time = now;
        self.sql
            .prepare_cached(
                "UPDATE identities SET version = :twin_version, reported = :reported, reported_metadata = :metadata,
                    reported_version = :version, last_activity = :now
                 WHERE device_id = :device AND module_id = :module",
            )?
            .execute(named_params! {
                ":device": id.device_str(),
                ":module": id.module_str(),
                ":twin_version": twin.version,
                ":reported": serde_json::to_string(&set.values)?,
                ":metadata": serde_json::to_string(&set.metadata)?,
                ":version": set.version,
                ":now": now.to_string(),
            })?;
        let version = set.version;
        self.tell(HubEvent::TwinChanged {
            section: TwinSection::Reported,
            patch: patch.into(),
            twin: twin.into(),
            replaced: false,
        });
        Ok(version)
    }
}
