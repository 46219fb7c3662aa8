//! Sessions that outlive a connection: with CleanSession 0 the subscriptions stay, because
//! Microsoft's Python client never subscribes again after a reconnect.

use hub_protocol::{ClientId, HubError, Timestamp, topic::Filter};
use rusqlite::{OptionalExtension, params};

use super::Transaction;
use crate::{error::StoreError, events::HubEvent};

/// What a CONNECT found.
#[derive(Debug, Default)]
pub(crate) struct StoredSession {
    pub present: bool,
    pub filters: Vec<Filter>,
}

fn name(filter: Filter) -> &'static str {
    match filter {
        Filter::Methods => "methods",
        Filter::TwinResponses => "twinResponses",
        Filter::DesiredPatches => "desiredPatches",
        Filter::CloudToDevice => "cloudToDevice",
    }
}

fn by_name(text: &str) -> Option<Filter> {
    [
        Filter::Methods,
        Filter::TwinResponses,
        Filter::DesiredPatches,
        Filter::CloudToDevice,
    ]
    .into_iter()
    .find(|filter| name(*filter) == text)
}

impl Transaction<'_> {
    fn identity(&self, id: &ClientId) -> Result<i64, StoreError> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT id FROM identities WHERE device_id = ?1 AND module_id = ?2")?;
        let found = statement
            .query_row([id.device_str(), id.module_str()], |row| row.get(0))
            .optional()?;
        found.ok_or_else(|| HubError::client_not_found(id).into())
    }

    /// Marks the identity connected and finds its session, or drops it for CleanSession 1.
    pub(crate) fn connect(
        &mut self,
        id: &ClientId,
        clean_session: bool,
        model_id: Option<&str>,
        now: Timestamp,
    ) -> Result<StoredSession, StoreError> {
        let identity = self.identity(id)?;
        self.sql
            .prepare_cached(
                "UPDATE identities SET connection_state = 'Connected', connection_updated = ?2, last_activity = ?2,
                    model_id = coalesce(?3, model_id) WHERE id = ?1",
            )?
            .execute(params![identity, now.to_string(), model_id])?;
        self.tell(HubEvent::ConnectionChanged {
            id: id.clone(),
            connected: true,
            at: now,
        });
        if clean_session {
            for sql in [
                "DELETE FROM subscriptions WHERE identity = ?1",
                "DELETE FROM sessions WHERE identity = ?1",
            ] {
                self.sql.prepare_cached(sql)?.execute([identity])?;
            }
            return Ok(StoredSession::default());
        }
        let made = self
            .sql
            .prepare_cached("INSERT OR IGNORE INTO sessions (identity) VALUES (?1)")?
            .execute([identity])?;
        if made > 0 {
            return Ok(StoredSession::default());
        }
        let mut statement = self
            .sql
            .prepare_cached("SELECT filter FROM subscriptions WHERE identity = ?1")?;
        let rows = statement.query_map([identity], |row| row.get::<_, String>(0))?;
        let mut filters = Vec::new();
        for row in rows {
            filters.extend(by_name(&row?));
        }
        Ok(StoredSession { present: true, filters })
    }

    pub(crate) fn disconnect(&mut self, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
        let changed = self
            .sql
            .prepare_cached(
                "UPDATE identities SET connection_state = 'Disconnected', connection_updated = ?3
                 WHERE device_id = ?1 AND module_id = ?2 AND connection_state = 'Connected'",
            )?
            .execute(params![id.device_str(), id.module_str(), now.to_string()])?;
        if changed > 0 {
            self.tell(HubEvent::ConnectionChanged {
                id: id.clone(),
                connected: false,
                at: now,
            });
        }
        Ok(())
    }

    pub(crate) fn subscribe(&mut self, id: &ClientId, filters: &[Filter]) -> Result<(), StoreError> {
        let identity = self.identity(id)?;
        for filter in filters {
            self.sql
                .prepare_cached("INSERT OR REPLACE INTO subscriptions (identity, filter, qos) VALUES (?1, ?2, 0)")?
                .execute(params![identity, name(*filter)])?;
        }
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, id: &ClientId, filters: &[Filter]) -> Result<(), StoreError> {
        let identity = self.identity(id)?;
        for filter in filters {
            self.sql
                .prepare_cached("DELETE FROM subscriptions WHERE identity = ?1 AND filter = ?2")?
                .execute(params![identity, name(*filter)])?;
        }
        Ok(())
    }
}
