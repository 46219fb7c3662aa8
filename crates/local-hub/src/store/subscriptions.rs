//! Sessions that outlive a connection: with CleanSession 0 the subscriptions stay, because
//! Microsoft's Python client never subscribes again after a reconnect.

use hub_protocol::{
    ClientId, ErrorCode, HubError, Timestamp,
    identity::Status,
    topic::{Filter, Subscription},
};
use rusqlite::{OptionalExtension, params};

use super::Transaction;
use crate::{error::StoreError, events::HubEvent};

/// What a CONNECT found.
#[derive(Debug, Default)]
pub(crate) struct StoredSession {
    pub present: bool,
    pub subscriptions: Vec<Subscription>,
}

fn name(filter: Filter) -> &'static str {
    match filter {
        Filter::Methods => "methods",
        Filter::TwinResponses => "twinResponses",
        Filter::DesiredPatches => "desiredPatches",
        Filter::CloudToDevice => "cloudToDevice",
        Filter::Inputs => "inputs",
        Filter::Module => "module",
    }
}

fn by_name(text: &str) -> Option<Filter> {
    [
        Filter::Methods,
        Filter::TwinResponses,
        Filter::DesiredPatches,
        Filter::CloudToDevice,
        Filter::Inputs,
        Filter::Module,
    ]
    .into_iter()
    .find(|filter| name(*filter) == text)
}

impl Transaction<'_> {
    pub(super) fn identity(&self, id: &ClientId) -> Result<i64, StoreError> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT id FROM identities WHERE device_id = ?1 AND module_id = ?2")?;
        let found = statement
            .query_row([id.device_str(), id.module_str()], |row| row.get(0))
            .optional()?;
        found.ok_or_else(|| HubError::client_not_found(id).into())
    }

    fn must_be_enabled(&self, id: &ClientId) -> Result<(), StoreError> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT status FROM identities WHERE device_id = ?1 AND module_id = ''")?;
        let status: String = statement.query_row([id.device_str()], |row| row.get(0))?;
        if status == Status::Enabled.as_str() {
            return Ok(());
        }
        Err(HubError::new(ErrorCode::IotHubUnauthorizedAccess, "The device is disabled.").into())
    }

    /// Marks the identity connected and finds its session, or drops it for CleanSession 1. Fails
    /// when its device was disabled since its credentials were read.
    pub(crate) fn connect(
        &mut self,
        id: &ClientId,
        clean_session: bool,
        model_id: Option<&str>,
        now: Timestamp,
    ) -> Result<StoredSession, StoreError> {
        let identity = self.identity(id)?;
        self.must_be_enabled(id)?;
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
        self.release_messages(identity, now)?;
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
            .prepare_cached("SELECT filter, qos FROM subscriptions WHERE identity = ?1")?;
        let rows = statement.query_map([identity], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u8>(1)?)))?;
        let mut subscriptions = Vec::new();
        for row in rows {
            let (filter, qos) = row?;
            subscriptions.extend(by_name(&filter).map(|filter| Subscription {
                filter,
                at_least_once: qos > 0,
            }));
        }
        Ok(StoredSession {
            present: true,
            subscriptions,
        })
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

    /// A filter that is known gets the new QoS.
    pub(crate) fn subscribe(&mut self, id: &ClientId, subscriptions: &[Subscription]) -> Result<(), StoreError> {
        let identity = self.identity(id)?;
        for subscription in subscriptions {
            self.sql
                .prepare_cached("INSERT OR REPLACE INTO subscriptions (identity, filter, qos) VALUES (?1, ?2, ?3)")?
                .execute(params![
                    identity,
                    name(subscription.filter),
                    u8::from(subscription.at_least_once)
                ])?;
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
