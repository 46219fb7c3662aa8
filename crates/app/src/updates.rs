//! Firmware updates from the window: packages, runs kept in the database, progress, resume.

use std::{path::PathBuf, sync::Arc};

use hub_protocol::{DeviceId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    db::{Db, from_text, to_text},
    devices::parse_ids,
    error::{AppError, Code, Result},
    events::Events,
    firmware::{self, Attempt, Attempts, Firmware, Journal, attempt::is_terminal},
    now,
    open_hub::OpenHub,
    packages::{self, Imported},
    view::{Package, PackageSource, StageCount, Update, UpdateDevice, UpdateStage, UpdateState},
};

impl App {
    // ---- packages ------------------------------------------------------------------------

    pub async fn list_packages(&self) -> Result<Vec<Package>> {
        self.0
            .db
            .call(|sql| {
                let mut statement =
                    sql.prepare("SELECT sha256, name, size, added_at FROM packages ORDER BY added_at DESC")?;
                let rows = statement.query_map([], package)?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    /// Takes a file in: hashes it, keeps a copy, serves it to devices from now on.
    pub async fn add_package(&self, file: PathBuf) -> Result<Package> {
        let imported = packages::import(&file, &self.packages_dir()).await?;
        self.remember_package(imported).await
    }

    pub async fn sample_package(&self) -> Result<Package> {
        let imported = packages::import_sample(&self.packages_dir()).await?;
        self.remember_package(imported).await
    }

    async fn remember_package(&self, imported: Imported) -> Result<Package> {
        let added_at = now().to_string();
        self.0
            .db
            .call(move |sql| {
                let insert = "INSERT INTO packages (sha256, name, size, added_at) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, added_at = excluded.added_at";
                sql.execute(insert, params![imported.sha256, imported.name, imported.size, added_at])?;
                find_package(sql, &imported.sha256)
            })
            .await
    }

    // ---- updates -------------------------------------------------------------------------

    pub async fn start_update(&self, device_ids: Vec<String>, source: PackageSource) -> Result<Update> {
        let hub = self.hub()?;
        let ids = parse_ids(device_ids)?;
        if ids.is_empty() {
            return Err(AppError::invalid("No device is selected."));
        }
        let package = self.resolve(source).await?;
        let attempts: Attempts = ids.into_iter().map(|id| (id, Attempt::queued(now()))).collect();
        let (hub_id, rows) = (hub.saved.id.clone(), attempts.clone());
        let firmware = Firmware {
            uri: package.uri.clone(),
            sha256: package.sha256.clone(),
        };
        let update = self
            .0
            .db
            .call(move |sql| insert_update(sql, &hub_id, &package, &rows))
            .await?;
        self.spawn_update(hub, update.id, firmware, attempts);
        Ok(update)
    }

    pub(crate) async fn resolve(&self, source: PackageSource) -> Result<Target> {
        match source {
            PackageSource::Package { id } => {
                let package = self.0.db.call(move |sql| find_package(sql, &id)).await?;
                let uri = self.0.packages.uri(&package.sha256, &package.name);
                Ok(Target {
                    name: package.name,
                    shown: uri.clone(),
                    uri,
                    sha256: Some(package.sha256),
                    size: Some(package.size),
                })
            }
            PackageSource::Uri { uri } => {
                let uri = uri.trim().to_owned();
                let shown = without_secrets(&uri).ok_or_else(|| {
                    AppError::invalid("The package's address must begin with https:// or http://.")
                        .hint("Devices download it themselves, so it must be reachable from where they are.")
                })?;
                let name = shown
                    .rsplit('/')
                    .next()
                    .filter(|name| !name.is_empty())
                    .unwrap_or(&shown);
                Ok(Target {
                    name: name.to_owned(),
                    uri,
                    shown,
                    sha256: None,
                    size: None,
                })
            }
        }
    }

    fn spawn_update(&self, hub: Arc<OpenHub>, id: u32, firmware: Firmware, attempts: Attempts) {
        let cancel = CancellationToken::new();
        self.cancels().insert(id, cancel.clone());
        let (db, events) = (self.0.db.clone(), self.0.events.clone());
        let app = self.clone();
        tokio::spawn(async move {
            let journal = DbJournal { db, events, id };
            let ended = tokio::select! {
                () = hub.stop.cancelled() => None,
                ended = firmware::run(hub.client.clone(), hub.table.clone(), firmware, attempts, &journal, cancel) => Some(ended),
            };
            let state = match ended {
                Some(Ok(attempts)) => firmware::final_state(&firmware::counts(attempts.values().map(|a| a.stage))),
                Some(Err(error)) => {
                    tracing::error!("update {id} could not go on: {error}");
                    UpdateState::Interrupted
                }
                None => UpdateState::Interrupted,
            };
            app.cancels().remove(&id);
            if let Err(error) = app.set_update_state(id, state).await {
                tracing::error!("the end of update {id} could not be stored: {error}");
            }
        });
    }

    async fn set_update_state(&self, id: u32, state: UpdateState) -> Result<()> {
        let over = !matches!(
            state,
            UpdateState::Running | UpdateState::Cancelling | UpdateState::Interrupted
        );
        let ended = over.then(|| now().to_string());
        let update = move |sql: &Connection| {
            sql.execute(
                "UPDATE updates SET state = ?2, ended_at = ?3 WHERE id = ?1",
                params![id, to_text(&state), ended],
            )?;
            Ok(())
        };
        self.0.db.call(update).await?;
        self.0.events.note(|pending| {
            pending.updates.entry(id).or_default();
        });
        Ok(())
    }

    /// Devices that have not begun do not begin; the others finish.
    pub async fn cancel_update(&self, id: u32) -> Result<()> {
        let cancel = self.cancels().get(&id).cloned();
        let cancel = cancel.ok_or_else(|| AppError::new(Code::NotFound, "This update is not running."))?;
        self.set_update_state(id, UpdateState::Cancelling).await?;
        cancel.cancel();
        Ok(())
    }

    /// After the hub was opened: what was under way when the application closed is followed to
    /// its end; what had not begun stays so, since nobody has confirmed it anew.
    pub(crate) fn resume_updates(&self, hub: Arc<OpenHub>) {
        let app = self.clone();
        tokio::spawn(async move {
            hub.until_read().await;
            let hub_id = hub.saved.id.clone();
            let interrupted = app.0.db.call(move |sql| interrupted(sql, &hub_id)).await;
            for (id, firmware, mut attempts) in interrupted.unwrap_or_default() {
                if app.cancels().contains_key(&id) || hub.stop.is_cancelled() {
                    continue;
                }
                let reason = "Twindeck was closed before this device was told to update";
                let changed: Vec<_> = attempts
                    .iter_mut()
                    .filter_map(|(id, attempt)| {
                        let changed = attempt.cancelled(now(), reason) || attempt.resumed(now());
                        changed.then(|| (id.clone(), attempt.clone()))
                    })
                    .collect();
                let journal = DbJournal {
                    db: app.0.db.clone(),
                    events: app.0.events.clone(),
                    id,
                };
                if journal.save(changed).await.is_ok() && app.set_update_state(id, UpdateState::Running).await.is_ok() {
                    app.spawn_update(hub.clone(), id, firmware, attempts);
                }
            }
        });
    }

    /// The newest first, of the open hub.
    pub async fn list_updates(&self) -> Result<Vec<Update>> {
        let hub_id = self.hub()?.saved.id.clone();
        self.0
            .db
            .call(move |sql| {
                let mut statement =
                    sql.prepare("SELECT id FROM updates WHERE hub_id = ?1 ORDER BY id DESC LIMIT 200")?;
                let ids = statement
                    .query_map([hub_id], |row| row.get(0))?
                    .collect::<rusqlite::Result<Vec<u32>>>()?;
                ids.into_iter().map(|id| find_update(sql, id)).collect()
            })
            .await
    }

    pub async fn update_devices(&self, id: u32, offset: u32, limit: u32) -> Result<Vec<UpdateDevice>> {
        self.0
            .db
            .call(move |sql| {
                let select = "SELECT device_id, stage, since, reason FROM update_devices
                    WHERE update_id = ?1 ORDER BY device_id LIMIT ?2 OFFSET ?3";
                let mut statement = sql.prepare(select)?;
                let rows = statement.query_map(params![id, limit.min(10_000), offset], update_device)?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    /// An update with those of its devices, for an event.
    pub(crate) async fn update_with(&self, id: u32, devices: Vec<DeviceId>) -> Result<(Update, Vec<UpdateDevice>)> {
        self.0
            .db
            .call(move |sql| {
                let select = "SELECT device_id, stage, since, reason FROM update_devices WHERE update_id = ?1 AND device_id = ?2";
                let mut statement = sql.prepare(select)?;
                let rows = devices.iter().map(|device| statement.query_row(params![id, device.as_str()], update_device));
                Ok((find_update(sql, id)?, rows.collect::<rusqlite::Result<_>>()?))
            })
            .await
    }
}

/// What an update installs.
pub(crate) struct Target {
    name: String,
    /// What devices are given. It may carry a signature, so it is kept in memory only; nobody is
    /// told to update after a restart.
    pub uri: String,
    /// What is stored and shown.
    pub shown: String,
    pub sha256: Option<String>,
    size: Option<u32>,
}

/// An address without its query, fragment and user, where links to storage carry signatures and
/// passwords. `None` when it is no HTTP address.
pub(crate) fn without_secrets(uri: &str) -> Option<String> {
    let uri: http::Uri = uri.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{}{port}{}", uri.host()?, uri.path()))
}

struct DbJournal {
    db: Db,
    events: Arc<Events>,
    id: u32,
}

impl Journal for DbJournal {
    async fn save(&self, changed: Vec<(DeviceId, Attempt)>) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let id = self.id;
        let devices: Vec<DeviceId> = changed.iter().map(|(device, _)| device.clone()).collect();
        self.db
            .call(move |sql| save_attempts(sql, id, changed.iter().map(|(id, attempt)| (id, attempt))))
            .await?;
        self.events
            .note(|pending| pending.updates.entry(id).or_default().extend(devices));
        Ok(())
    }
}

fn save_attempts<'a>(
    sql: &Connection,
    id: u32,
    attempts: impl Iterator<Item = (&'a DeviceId, &'a Attempt)>,
) -> Result<()> {
    let mut statement = sql.prepare_cached(
        "INSERT OR REPLACE INTO update_devices (update_id, device_id, stage, since, reason, baseline) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (device, attempt) in attempts {
        let baseline = attempt.baseline.map(|time| time.to_string());
        statement.execute(params![
            id,
            device.as_str(),
            to_text(&attempt.stage),
            attempt.since.to_string(),
            attempt.reason,
            baseline
        ])?;
    }
    Ok(())
}

fn insert_update(sql: &Connection, hub_id: &str, target: &Target, attempts: &Attempts) -> Result<Update> {
    let select = "SELECT d.device_id, u.id FROM update_devices d JOIN updates u ON u.id = d.update_id
        WHERE u.hub_id = ?1 AND u.state IN ('running', 'cancelling') AND d.device_id = ?2
        AND d.stage NOT IN ('completed', 'failed', 'timedOut', 'cancelled')";
    let mut statement = sql.prepare(select)?;
    let (mut busy, mut other) = (0, 0);
    for id in attempts.keys() {
        let found = statement
            .query_row(params![hub_id, id.as_str()], |row| row.get::<_, u32>(1))
            .optional()?;
        if let Some(update) = found {
            (busy, other) = (busy + 1, update);
        }
    }
    if busy > 0 {
        let text = format!(
            "{busy} of the {} devices are already being updated by update {other}.",
            attempts.len()
        );
        return Err(AppError::new(Code::AlreadyExists, text)
            .hint("Wait until that update has ended, or leave these devices out."));
    }
    let insert = "INSERT INTO updates (hub_id, package_name, uri, sha256, size, state, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (state, started) = (to_text(&UpdateState::Running), now().to_string());
    sql.execute(
        insert,
        params![
            hub_id,
            target.name,
            target.shown,
            target.sha256,
            target.size,
            state,
            started
        ],
    )?;
    let id = u32::try_from(sql.last_insert_rowid()).unwrap_or(u32::MAX);
    save_attempts(sql, id, attempts.iter())?;
    find_update(sql, id)
}

fn find_update(sql: &Connection, id: u32) -> Result<Update> {
    let mut statement =
        sql.prepare_cached("SELECT stage, count(*) FROM update_devices WHERE update_id = ?1 GROUP BY stage")?;
    let rows = statement.query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
    let mut counts = Vec::new();
    for row in rows {
        let (stage, count) = row?;
        counts.extend(from_text::<UpdateStage>(stage).map(|stage| StageCount { stage, count }));
    }
    counts.sort_by_key(|count| count.stage);
    let (succeeded, failed) = firmware::results(&counts);
    let select = "SELECT package_name, uri, sha256, size, state, started_at, ended_at FROM updates WHERE id = ?1";
    let found = sql.prepare_cached(select)?.query_row([id], |row| {
        Ok(Update {
            id,
            package_name: row.get(0)?,
            uri: row.get(1)?,
            sha256: row.get(2)?,
            size: row.get(3)?,
            state: from_text(row.get(4)?).unwrap_or(UpdateState::Interrupted),
            started_at: row.get(5)?,
            ended_at: row.get(6)?,
            total: counts.iter().map(|count| count.count).sum(),
            succeeded,
            failed,
            summary: firmware::summary(&counts),
            counts: counts.clone(),
        })
    });
    found
        .optional()?
        .ok_or_else(|| AppError::new(Code::NotFound, "There is no such update."))
}

fn update_device(row: &Row<'_>) -> rusqlite::Result<UpdateDevice> {
    Ok(UpdateDevice {
        device_id: row.get(0)?,
        stage: from_text(row.get(1)?).unwrap_or(UpdateStage::Uncertain),
        since: row.get(2)?,
        reason: row.get(3)?,
    })
}

fn package(row: &Row<'_>) -> rusqlite::Result<Package> {
    let sha256: String = row.get(0)?;
    Ok(Package {
        id: sha256.clone(),
        name: row.get(1)?,
        size: row.get(2)?,
        sha256,
        added_at: row.get(3)?,
    })
}

fn find_package(sql: &Connection, sha256: &str) -> Result<Package> {
    let select = "SELECT sha256, name, size, added_at FROM packages WHERE sha256 = ?1";
    let found = sql.query_row(select, [sha256], package).optional()?;
    found.ok_or_else(|| AppError::new(Code::NotFound, "This package is no longer kept.").hint("Choose its file again."))
}

/// Marks what an earlier run of the application left unfinished.
pub(crate) fn mark_interrupted(sql: &Connection) -> Result<()> {
    sql.execute(
        "UPDATE updates SET state = 'interrupted' WHERE state IN ('running', 'cancelling')",
        [],
    )?;
    Ok(())
}

type Unfinished = (u32, Firmware, Attempts);

fn interrupted(sql: &Connection, hub_id: &str) -> Result<Vec<Unfinished>> {
    let mut statement =
        sql.prepare("SELECT id, uri, sha256 FROM updates WHERE hub_id = ?1 AND state = 'interrupted'")?;
    let rows = statement.query_map([hub_id], |row| {
        Ok((
            row.get::<_, u32>(0)?,
            Firmware {
                uri: row.get(1)?,
                sha256: row.get(2)?,
            },
        ))
    })?;
    let mut unfinished = Vec::new();
    for row in rows {
        let (id, firmware) = row?;
        let mut statement =
            sql.prepare("SELECT device_id, stage, since, reason, baseline FROM update_devices WHERE update_id = ?1")?;
        let devices = statement.query_map([id], |row| {
            let time = |text: Option<String>| text.as_deref().and_then(Timestamp::parse);
            let attempt = Attempt {
                stage: from_text(row.get(1)?).unwrap_or(UpdateStage::Uncertain),
                since: time(row.get(2)?).unwrap_or(Timestamp::NEVER),
                reason: row.get(3)?,
                baseline: time(row.get(4)?),
            };
            Ok((row.get::<_, String>(0)?, attempt))
        })?;
        let mut attempts = Attempts::new();
        for device in devices {
            let (device, mut attempt) = device?;
            if !is_terminal(attempt.stage) {
                // The time the application was closed is not the device's fault.
                attempt.since = now();
            }
            attempts.extend(DeviceId::new(device).ok().map(|device| (device, attempt)));
        }
        unfinished.push((id, firmware, attempts));
    }
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn an_address_is_stored_without_the_signature_it_carries() {
        let link = "https://user:pw@store.example:8443/c/fw.bin?sv=1&sig=c2VjcmV0#x";
        assert_eq!(
            without_secrets(link).as_deref(),
            Some("https://store.example:8443/c/fw.bin")
        );
        assert_eq!(without_secrets("ftp://x/y"), None);
        assert_eq!(without_secrets("fw.bin"), None);
    }
}
