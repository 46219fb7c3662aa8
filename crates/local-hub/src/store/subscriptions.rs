//! Sessions that outlive a connection: with CleanSession 0 the subscriptions stay, because
//! Microsoft's Python client never subscribes again after a reconnect.

use hub_protocol::{DeviceId, Timestamp, topic::Filter};
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
    /// Marks the device connected and finds its session, or drops it for CleanSession 1.
    pub(crate) fn connect(
        &mut self,
        device_id: &DeviceId,
        clean_session: bool,
        model_id: Option<&str>,
        now: Timestamp,
    ) -> Result<StoredSession, StoreError> {
        let id = device_id.as_str();
        let changed = self
            .sql
            .prepare_cached(
                "UPDATE devices SET connection_state = 'Connected', connection_updated = ?2, last_activity = ?2,
                model_id = coalesce(?3, model_id) WHERE device_id = ?1",
            )?
            .execute(params![id, now.to_string(), model_id])?;
        if changed == 0 {
            return Err(hub_protocol::HubError::device_not_found(device_id).into());
        }
        self.tell(HubEvent::ConnectionChanged {
            device_id: device_id.clone(),
            connected: true,
            at: now,
        });
        if clean_session {
            self.sql
                .prepare_cached("DELETE FROM subscriptions WHERE device_id = ?1")?
                .execute([id])?;
            self.sql
                .prepare_cached("DELETE FROM sessions WHERE device_id = ?1")?
                .execute([id])?;
            return Ok(StoredSession::default());
        }
        let present = self
            .sql
            .prepare_cached("SELECT 1 FROM sessions WHERE device_id = ?1")?
            .query_row([id], |_| Ok(()))
            .optional()?
            .is_some();
        if !present {
            self.sql
                .prepare_cached("INSERT INTO sessions (device_id) VALUES (?1)")?
                .execute([id])?;
            return Ok(StoredSession::default());
        }
        let mut statement = self
            .sql
            .prepare_cached("SELECT filter FROM subscriptions WHERE device_id = ?1")?;
        let rows = statement.query_map([id], |row| row.get::<_, String>(0))?;
        let mut filters = Vec::new();
        for row in rows {
            filters.extend(by_name(&row?));
        }
        Ok(StoredSession { present, filters })
    }

    pub(crate) fn disconnect(&mut self, device_id: &DeviceId, now: Timestamp) -> Result<(), StoreError> {
        let changed = self
            .sql
            .prepare_cached(
                "UPDATE devices SET connection_state = 'Disconnected', connection_updated = ?2
                WHERE device_id = ?1 AND connection_state = 'Connected'",
            )?
            .execute(params![device_id.as_str(), now.to_string()])?;
        if changed > 0 {
            self.tell(HubEvent::ConnectionChanged {
                device_id: device_id.clone(),
                connected: false,
                at: now,
            });
        }
        Ok(())
    }

    pub(crate) fn subscribe(&mut self, device_id: &DeviceId, filters: &[Filter]) -> Result<(), StoreError> {
        for filter in filters {
            self.sql
                .prepare_cached("INSERT OR IGNORE INTO subscriptions (device_id, filter) VALUES (?1, ?2)")?
                .execute(params![device_id.as_str(), name(*filter)])?;
        }
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, device_id: &DeviceId, filters: &[Filter]) -> Result<(), StoreError> {
        for filter in filters {
            self.sql
                .prepare_cached("DELETE FROM subscriptions WHERE device_id = ?1 AND filter = ?2")?
                .execute(params![device_id.as_str(), name(*filter)])?;
        }
        Ok(())
    }
}
