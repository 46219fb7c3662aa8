//! The database's shape, in steps that were ever used; a data folder of an older version is
//! brought up to date when it is opened.

use hub_protocol::{ErrorCode, HubError};
use rusqlite::Connection;

use crate::error::StoreError;

const STEPS: &[&str] = &[
    "CREATE TABLE devices (
        device_id TEXT NOT NULL PRIMARY KEY,
        generation_id TEXT NOT NULL,
        etag INTEGER NOT NULL,
        status TEXT NOT NULL,
        status_reason TEXT,
        status_updated TEXT NOT NULL,
        authentication TEXT NOT NULL,
        capabilities TEXT NOT NULL,
        connection_state TEXT NOT NULL DEFAULT 'Disconnected',
        connection_updated TEXT NOT NULL,
        last_activity TEXT NOT NULL,
        model_id TEXT NOT NULL DEFAULT '',
        twin_etag INTEGER NOT NULL DEFAULT 1,
        version INTEGER NOT NULL DEFAULT 2,
        tags TEXT NOT NULL DEFAULT '{}',
        desired TEXT NOT NULL DEFAULT '{}',
        desired_metadata TEXT NOT NULL,
        desired_version INTEGER NOT NULL DEFAULT 1,
        reported TEXT NOT NULL DEFAULT '{}',
        reported_metadata TEXT NOT NULL,
        reported_version INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    CREATE TABLE subscriptions (
        device_id TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
        filter TEXT NOT NULL,
        PRIMARY KEY (device_id, filter)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
        device_id TEXT NOT NULL PRIMARY KEY REFERENCES devices ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE policies (
        name TEXT NOT NULL PRIMARY KEY,
        rights INTEGER NOT NULL,
        primary_key TEXT NOT NULL,
        secondary_key TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;",
    // Devices and their modules are one kind of thing: who connects, has a twin and answers
    // methods. A device is the identity with no module id.
    "CREATE TABLE identities (
        id INTEGER PRIMARY KEY,
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL DEFAULT '',
        generation_id TEXT NOT NULL,
        etag INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'enabled',
        status_reason TEXT,
        status_updated TEXT NOT NULL,
        authentication TEXT NOT NULL,
        capabilities TEXT NOT NULL DEFAULT '{\"iotEdge\":false}',
        managed_by TEXT,
        device_scope TEXT,
        parent_scopes TEXT NOT NULL DEFAULT '[]',
        connection_state TEXT NOT NULL DEFAULT 'Disconnected',
        connection_updated TEXT NOT NULL,
        last_activity TEXT NOT NULL,
        model_id TEXT NOT NULL DEFAULT '',
        twin_etag INTEGER NOT NULL DEFAULT 1,
        version INTEGER NOT NULL DEFAULT 2,
        tags TEXT NOT NULL DEFAULT '{}',
        desired TEXT NOT NULL DEFAULT '{}',
        desired_version INTEGER NOT NULL DEFAULT 1,
        reported TEXT NOT NULL DEFAULT '{}',
        reported_version INTEGER NOT NULL DEFAULT 1,
        configurations TEXT NOT NULL DEFAULT '{}',
        desired_metadata TEXT NOT NULL,
        reported_metadata TEXT NOT NULL,
        UNIQUE (device_id, module_id)
    ) STRICT;
    INSERT INTO identities (device_id, generation_id, etag, status, status_reason, status_updated, authentication,
            capabilities, connection_updated, last_activity, model_id, twin_etag, version, tags, desired,
            desired_version, reported, reported_version, desired_metadata, reported_metadata)
        SELECT device_id, generation_id, etag, status, status_reason, status_updated, authentication,
            capabilities, connection_updated, last_activity, model_id, twin_etag, version, tags, desired,
            desired_version, reported, reported_version, desired_metadata, reported_metadata FROM devices;
    DROP TABLE subscriptions;
    DROP TABLE sessions;
    DROP TABLE devices;
    CREATE TABLE sessions (
        identity INTEGER PRIMARY KEY REFERENCES identities ON DELETE CASCADE
    ) STRICT;
    CREATE TABLE subscriptions (
        identity INTEGER NOT NULL REFERENCES identities ON DELETE CASCADE,
        filter TEXT NOT NULL,
        qos INTEGER NOT NULL,
        PRIMARY KEY (identity, filter)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE messages (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        identity INTEGER NOT NULL REFERENCES identities ON DELETE CASCADE,
        enqueued TEXT NOT NULL,
        expires TEXT NOT NULL,
        lock_token TEXT,
        locked_until TEXT,
        on_connection INTEGER NOT NULL DEFAULT 0,
        delivery_count INTEGER NOT NULL DEFAULT 0,
        properties TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX messages_of ON messages (identity, sequence);
    CREATE INDEX messages_due ON messages (coalesce(locked_until, expires));
    CREATE TABLE feedback (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL,
        enqueued TEXT NOT NULL,
        lock_token TEXT,
        locked_until TEXT,
        delivery_count INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE jobs (
        job_id TEXT NOT NULL PRIMARY KEY,
        type TEXT NOT NULL,
        query_condition TEXT NOT NULL,
        payload TEXT NOT NULL,
        created TEXT NOT NULL,
        start_time TEXT NOT NULL,
        started TEXT,
        end_time TEXT,
        max_execution_seconds INTEGER NOT NULL,
        status TEXT NOT NULL,
        failure_reason TEXT,
        status_message TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX jobs_waiting ON jobs (status, start_time);
    CREATE TABLE device_jobs (
        job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL DEFAULT '',
        job_type TEXT NOT NULL,
        status TEXT NOT NULL,
        created TEXT NOT NULL,
        started TEXT,
        ended TEXT,
        updated TEXT NOT NULL,
        outcome TEXT,
        error TEXT,
        PRIMARY KEY (job_id, device_id, module_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX device_jobs_of ON device_jobs (device_id);
    CREATE INDEX device_jobs_by_status ON device_jobs (job_id, status);
    CREATE TABLE registry_jobs (
        job_id TEXT NOT NULL PRIMARY KEY,
        properties TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE configurations (
        id TEXT NOT NULL PRIMARY KEY,
        etag INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX identities_configured ON identities (device_id) WHERE configurations <> '{}';",
];

pub(super) fn run(connection: &Connection) -> Result<(), StoreError> {
    let done: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if done > STEPS.len() {
        let text = "The data folder was written by a newer version of this hub; use that version, or another folder.";
        return Err(HubError::new(ErrorCode::ServerError, text).into());
    }
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        connection.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {}; COMMIT;", index + 1))?;
    }
    Ok(())
}
