//! The application's own SQLite file: saved hubs (never their keys), simulated devices, method
//! calls, packages and updates. Small and rarely busy: one connection, used off the async threads.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

use crate::error::{AppError, Code, Result};

const MIGRATIONS: &[&str] = &["
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
"];

#[derive(Clone)]
pub(crate) struct Db(Arc<Mutex<Connection>>);

impl Db {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
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

    /// Runs `work` in one transaction: all of it is stored when this returns, or nothing.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
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
