//! The application's own SQLite file: saved hubs (never their keys), fleets and
//! their devices, models, method calls and their templates, what twins did, packages and updates. Small and rarely busy: one connection, used off the async threads.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{AppError, Code, Result};

/// How long to wait while another process writes.
const BUSY: Duration = Duration::from_secs(10);

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE settings (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE hubs (
        id TEXT NOT NULL PRIMARY KEY,
        alias TEXT NOT NULL,
        host_name TEXT NOT NULL,
        policy TEXT NOT NULL,
        colour TEXT NOT NULL,
        production INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE simulated (
        hub_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        model TEXT NOT NULL,
        speed TEXT NOT NULL,
        PRIMARY KEY (hub_id, device_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE method_calls (
        id INTEGER PRIMARY KEY,
        hub_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX method_calls_of_device ON method_calls (hub_id, device_id, id);
    CREATE TABLE packages (
        sha256 TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        added_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE updates (
        id INTEGER PRIMARY KEY,
        hub_id TEXT NOT NULL,
        package_name TEXT NOT NULL,
        uri TEXT NOT NULL,
        sha256 TEXT,
        size INTEGER,
        state TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT
    ) STRICT;
    CREATE TABLE update_devices (
        update_id INTEGER NOT NULL REFERENCES updates ON DELETE CASCADE,
        device_id TEXT NOT NULL,
        stage TEXT NOT NULL,
        since TEXT NOT NULL,
        reason TEXT,
        baseline TEXT,
        PRIMARY KEY (update_id, device_id)
    ) STRICT, WITHOUT ROWID;
",
    include_str!("fleets/migration.sql"),
    include_str!("jobs/migration.sql"),
    include_str!("history/migration.sql"),
    include_str!("templates/migration.sql"),
];

/// A handle.
#[derive(Clone)]
pub struct Db(Arc<Mutex<Connection>>);

impl Db {
    /// Opens the file, makes it where it is missing, and brings it up to date.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // The window and the command line may use the file at the same time.
        connection.busy_timeout(BUSY)?;
        let done: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if done > MIGRATIONS.len() {
            let text = "The application's data was written by a newer version of Twindeck.";
            return Err(
                AppError::new(Code::Storage, text).hint("Install the newer version, or use another data folder.")
            );
        }
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
            connection.execute_batch(&format!(
                "BEGIN; {migration} PRAGMA user_version = {}; COMMIT;",
                index + 1
            ))?;
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Reads at once, where nothing else goes on yet.
    pub(crate) fn now<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` in one transaction: all of it is stored when this returns, or nothing.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            // Readers become writers in the middle of a transaction; two of them would wait for each other.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        done.await
            .map_err(|error| AppError::new(Code::Internal, "The application's database failed.").details(error))?
    }
}

/// An enum as the text it has in JSON, for a column.
pub(crate) fn to_text(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

pub(crate) fn from_text<T: serde::de::DeserializeOwned>(text: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database as the first version left it.
    fn first_version(path: &Path) -> Connection {
        let sql = Connection::open(path).unwrap();
        sql.execute_batch(&format!("BEGIN; {} PRAGMA user_version = 1; COMMIT;", MIGRATIONS[0]))
            .unwrap();
        sql
    }

    #[test]
    fn simulated_devices_of_the_first_version_become_fleets_that_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("twindeck.db");
        let sql = first_version(&path);
        for (hub, device, model, speed) in [
            ("local", "sim-01", "firmware", "fast"),
            ("local", "sim-02", "firmware", "fast"),
            ("local", "sim-03", "lockDoor", "tutorial"),
            ("local", "sim-04", "firmware", "fast"),
            ("local", "sim-100", "firmware", "fast"),
            ("h1", "it's-01", "factoryReset", "tutorial"),
        ] {
            sql.execute(
                "INSERT INTO simulated VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![hub, device, model, speed],
            )
            .unwrap();
        }
        drop(sql);
        let db = Db::open(&path).unwrap();
        let sql = db.0.lock().unwrap();
        let mut statement = sql
            .prepare("SELECT id, source, starts_with_hub FROM fleets ORDER BY hub_id")
            .unwrap();
        let fleets: Vec<(u32, String, bool)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        assert_eq!(fleets.len(), 2, "one a hub");
        assert_eq!(fleets.iter().map(|fleet| fleet.2).collect::<Vec<_>>(), [false, true]);
        let members = |text: &str| -> Vec<String> {
            let file = device_sim::FleetFile::parse(text, &|_| None).unwrap();
            let line = |member: device_sim::Member| format!("{} {} {}", member.id, member.model, member.time_scale);
            let mut lines: Vec<String> = file.members().map(line).collect();
            lines.sort();
            lines
        };
        assert_eq!(members(&fleets[0].1), ["it's-01 factory-reset 1"]);
        assert_eq!(
            members(&fleets[1].1),
            [
                "sim-01 firmware-a 0.01",
                "sim-02 firmware-a 0.01",
                "sim-03 lock-door 1",
                "sim-04 firmware-a 0.01",
                "sim-100 firmware-a 0.01"
            ]
        );
        let owned: u32 = sql
            .query_row(
                "SELECT count(*) FROM simulated s JOIN fleets f ON f.id = s.fleet_id AND f.hub_id = s.hub_id",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(owned, 6);
    }
}
