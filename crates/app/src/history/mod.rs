//! What was done to a device from here, and what its twin did while somebody looked.

mod recorder;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hub_protocol::DeviceId;
use rusqlite::{Connection, params};

pub(crate) use self::recorder::Recorder;
use self::recorder::Seen;
use crate::{
    App,
    db::{Db, from_text},
    error::Result,
    events::Events,
    open_hub::{OpenHub, count},
    view::{HistoryEntry, HistoryPage, TwinChange},
};

/// Twin changes kept of one device, and of all devices of all hubs.
const KEPT: u32 = 200;
const KEPT_IN_ALL: u32 = 10_000;
/// Changes are gathered this long and stored together; a killed process loses them.
const PAUSE: Duration = Duration::from_millis(300);
/// Entries of one page.
const MOST: u32 = 200;

/// One select a kind of entry: kind, id, time, document. Who adds a kind adds a select here, a
/// variant to [`HistoryEntry`] and an arm to [`entry`]. Times are texts of one length and sort.
const SELECTS: &str = "
    SELECT 'twin', id, at, document FROM twin_changes WHERE hub_id = ?1 AND device_id = ?2
    UNION ALL
    SELECT 'call', id, document ->> 'startedAt', document FROM method_calls WHERE hub_id = ?1 AND device_id = ?2
    UNION ALL
    SELECT 'update', u.id, u.started_at, json_object('stage', d.stage, 'packageName', u.package_name, 'reason', d.reason)
    FROM updates u JOIN update_devices d ON d.update_id = u.id AND d.device_id = ?2 WHERE u.hub_id = ?1
    UNION ALL
    SELECT 'job', d.document ->> 'number', coalesce(d.document ->> 'startedAt', j.created_at),
        json_object('jobId', j.id, 'title', j.document ->> 'title', 'state', d.state, 'reason', d.document ->> 'reason')
    FROM job_devices d JOIN jobs j ON j.hub_id = d.hub_id AND j.id = d.job_id WHERE d.hub_id = ?1 AND d.device_id = ?2";

struct Row {
    kind: String,
    id: u32,
    at: String,
    document: String,
}

impl App {
    /// The newest first; `offset` counts from the newest.
    pub async fn device_history(&self, device_id: String, offset: u32, limit: u32) -> Result<HistoryPage> {
        let hub = self.hub()?;
        let id = DeviceId::new(device_id)?;
        let stored = hub.keep_history(&self.0.db).await?;
        if !stored.is_empty() {
            self.0.events.note(|pending| pending.history.extend(stored));
        }
        let hub_id = hub.saved.id.clone();
        let limit = limit.min(MOST);
        let rows = self.0.db.call(move |sql| {
            // One more than asked for tells whether there is more.
            let select = format!("{SELECTS} ORDER BY 3 DESC, 1, 2 DESC LIMIT ?3 OFFSET ?4");
            let mut statement = sql.prepare(&select)?;
            let rows = statement.query_map(params![hub_id, id.as_str(), limit + 1, offset], |row| {
                Ok(Row {
                    kind: row.get(0)?,
                    id: row.get(1)?,
                    at: row.get(2)?,
                    document: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        let mut rows = rows.await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let entries = rows.into_iter().filter_map(|row| self.entry(row)).collect();
        Ok(HistoryPage { entries, more })
    }

    /// `None` for what another version wrote and this one cannot read.
    fn entry(&self, row: Row) -> Option<HistoryEntry> {
        let Row { kind, id, at, document } = row;
        Some(match kind.as_str() {
            "twin" => HistoryEntry::Twin {
                id,
                at,
                change: serde_json::from_str(&document).ok()?,
            },
            "call" => HistoryEntry::Call {
                id,
                at,
                call: Box::new(self.stored_call(id, &document)?),
            },
            _ => {
                let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&document).ok()?;
                let mut text = |name: &str| match document.remove(name) {
                    Some(serde_json::Value::String(text)) => Some(text),
                    _ => None,
                };
                if kind == "job" {
                    return Some(HistoryEntry::Job {
                        id,
                        at,
                        job_id: text("jobId")?,
                        title: text("title").unwrap_or_default(),
                        state: text("state").and_then(from_text)?,
                        reason: text("reason"),
                    });
                }
                HistoryEntry::Update {
                    id,
                    at,
                    stage: text("stage").and_then(from_text)?,
                    package_name: text("packageName").unwrap_or_default(),
                    reason: text("reason"),
                }
            }
        })
    }
}

impl OpenHub {
    /// Stores what was seen, a moment after it was, until the hub is closed.
    pub(crate) fn spawn_history(self: Arc<Self>, db: Db, events: Arc<Events>) {
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = self.history.seen() => {}
                }
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
                match self.keep_history(&db).await {
                    Ok(devices) if devices.is_empty() => {}
                    Ok(devices) => events.note(|pending| pending.history.extend(devices)),
                    Err(error) => tracing::warn!("the history of twins was not stored: {error}"),
                }
            }
        });
    }

    /// Stores what waits, and says of which devices.
    pub(crate) async fn keep_history(&self, db: &Db) -> Result<BTreeSet<DeviceId>> {
        // One at a time, so that ids follow the order in which changes were seen.
        let _storing = self.history.storing.lock().await;
        let changes = self.history.take();
        if changes.is_empty() {
            return Ok(BTreeSet::new());
        }
        let hub_id = self.saved.id.clone();
        db.call(move |sql| store(sql, &hub_id, &changes)).await
    }
}

fn store(sql: &Connection, hub_id: &str, changes: &[Seen]) -> Result<BTreeSet<DeviceId>> {
    let mut insert =
        sql.prepare_cached("INSERT INTO twin_changes (hub_id, device_id, at, document) VALUES (?1, ?2, ?3, ?4)")?;
    for seen in changes {
        let document = serde_json::to_string(&seen.change).unwrap_or_default();
        insert.execute(params![hub_id, seen.device_id.as_str(), seen.at.to_string(), document])?;
    }
    let devices: BTreeSet<DeviceId> = changes.iter().map(|seen| seen.device_id.clone()).collect();
    let mut trim = sql.prepare_cached(
        "DELETE FROM twin_changes WHERE hub_id = ?1 AND device_id = ?2 AND id <= (
            SELECT id FROM twin_changes WHERE hub_id = ?1 AND device_id = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )?;
    for device in &devices {
        trim.execute(params![hub_id, device.as_str(), KEPT])?;
    }
    sql.execute(
        "DELETE FROM twin_changes WHERE id <= (SELECT id FROM twin_changes ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [KEPT_IN_ALL],
    )?;
    Ok(devices)
}

/// Bytes of values that one change keeps; a section may hold 32 KB.
const MAX_VALUES: usize = 16 * 1024;
/// Paths that one change keeps.
const MAX_PATHS: usize = 200;

impl TwinChange {
    /// Keeps as many paths as fit, and counts the others.
    fn bounded(mut self) -> Self {
        let mut bytes = 0;
        let fits = self.paths.iter().take(MAX_PATHS).take_while(|path| {
            let value = |value: &Option<serde_json::Value>| value.as_ref().map_or(0, |value| value.to_string().len());
            bytes += path.path.len() + value(&path.before) + value(&path.after);
            bytes <= MAX_VALUES
        });
        let fits = fits.count();
        self.more = count(self.paths.len() - fits);
        self.paths.truncate(fits);
        self
    }
}
