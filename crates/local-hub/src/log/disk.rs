//! The log behind the memory: chunks of events in a database of their own.
//!
//! A chunk is a row: a partition, the numbers and times it spans, and its events as JSON. The
//! database is written without flushing, which survives a killed process and not a power cut.
//! Chunks only come and go, so a rollback journal costs next to nothing where a write-ahead log
//! would write everything twice; and their keys stand in an index of their own, so that a search
//! for one need not read others whole.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use hub_protocol::{ErrorCode, HubError, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Event, EventLog, Inner, PARTITIONS, Retention, WRITE_BEHIND};
use crate::{error::StoreError, hub::now};

/// How often the past is cut.
const CUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS chunks (
        partition INTEGER NOT NULL,
        first INTEGER NOT NULL,
        next INTEGER NOT NULL,
        last_enqueued TEXT NOT NULL,
        events TEXT NOT NULL,
        PRIMARY KEY (partition, first)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS chunks_by_age ON chunks (last_enqueued);
    CREATE TABLE IF NOT EXISTS ends (
        partition INTEGER NOT NULL PRIMARY KEY,
        next INTEGER NOT NULL,
        last_enqueued TEXT NOT NULL
    ) STRICT;";

pub(super) struct Disk {
    connection: Mutex<Connection>,
    retention: Retention,
    /// Who writes behind.
    writer: OnceLock<Thread>,
}

impl Disk {
    pub(super) fn open(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        #[cfg(unix)]
        if let Err(error) = std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)) {
            tracing::warn!("the event log's permissions could not be narrowed: {error}");
        }
        // Chunks are large. Both hold for a new file only.
        connection.pragma_update(None, "page_size", 32_768)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
            retention,
            writer: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Much is waiting: it is to be written now.
    pub(super) fn hurry(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// The number that comes next, and when the last event came.
    pub(super) fn end(&self, partition: usize) -> Result<(u64, Option<Timestamp>), StoreError> {
        let sql = "SELECT next, last_enqueued FROM ends WHERE partition = ?1";
        let found = self.lock().query_row(sql, [partition], |row| {
            Ok((row.get(0)?, Timestamp::parse(row.get_ref(1)?.as_str()?)))
        });
        Ok(found.optional()?.unwrap_or((0, None)))
    }

    pub(super) fn first(&self, partition: usize) -> Option<u64> {
        let sql = "SELECT min(first) FROM chunks WHERE partition = ?1";
        self.lock().query_row(sql, [partition], |row| row.get(0)).ok().flatten()
    }

    /// The number of the first stored event at or after `time`.
    pub(super) fn first_at(&self, partition: usize, time: Timestamp) -> Option<u64> {
        let sql = "SELECT events FROM chunks WHERE partition = ?1 AND last_enqueued >= ?2 ORDER BY first LIMIT 1";
        let text: Option<String> = self
            .lock()
            .query_row(sql, params![partition, time.to_string()], |row| row.get(0))
            .optional()
            .ok()?;
        let events: Vec<Event> = serde_json::from_str(&text?).ok()?;
        let found = events.iter().find(|event| event.enqueued_time >= time);
        found.map(|event| event.sequence_number)
    }

    /// From one chunk: the one that holds `from`, or the next after it.
    pub(super) fn read(&self, partition: usize, from: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT events FROM chunks WHERE partition = ?1 AND next > ?2 ORDER BY first LIMIT 1";
        let text: Option<String> = self
            .lock()
            .prepare_cached(sql)?
            .query_row(params![partition, from], |row| row.get(0))
            .optional()?;
        let Some(text) = text else { return Ok(Vec::new()) };
        let events: Vec<Event> = serde_json::from_str(&text)?;
        Ok(events
            .into_iter()
            .filter(|event| event.sequence_number >= from)
            .take(limit)
            .collect())
    }

    /// Writes all that `log` holds only in memory; an error is logged and tried again later.
    pub(super) fn write_all(&self, log: &EventLog) {
        if let Err(error) = self.try_write_all(log) {
            tracing::warn!("events stay in memory, the log cannot be written: {error}");
        }
    }

    fn try_write_all(&self, log: &EventLog) -> Result<(), StoreError> {
        while self.write_chunks(log)? {
            // Along with the writing, as that may have no end.
            self.cut_to_size()?;
        }
        Ok(())
    }

    /// A chunk of every partition that has something to write; says whether any had.
    fn write_chunks(&self, log: &EventLog) -> Result<bool, StoreError> {
        // Held from the look on: of two that write the same chunk, the later could be the shorter.
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut written = Vec::with_capacity(PARTITIONS);
        for partition in 0..PARTITIONS {
            let events = log.unwritten(partition);
            let (Some(first), Some(last)) = (events.first(), events.last()) else {
                continue;
            };
            let next = last.sequence_number + 1;
            let enqueued = last.enqueued_time.to_string();
            let text = serde_json::to_string(&events)?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO chunks VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![partition, first.sequence_number, next, enqueued, text])?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO ends VALUES (?1, ?2, ?3)")?
                .execute(params![partition, next, enqueued])?;
            written.push((partition, next));
        }
        transaction.commit()?;
        for (partition, next) in &written {
            log.written(*partition, *next);
        }
        Ok(!written.is_empty())
    }

    /// Cuts what is too old and gives some of its room back; the rest is for what comes.
    fn cut_to_age(&self, now: Timestamp) -> Result<(), StoreError> {
        const PAGES_AT_ONCE: u32 = 256;
        let connection = self.lock();
        let oldest = Timestamp(now.0 - self.retention.age).to_string();
        connection.execute("DELETE FROM chunks WHERE last_enqueued < ?1", [oldest])?;
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
        // One page a step.
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        Ok(())
    }

    /// Cuts the oldest chunks of all until the size fits.
    fn cut_to_size(&self) -> Result<(), StoreError> {
        let connection = self.lock();
        let used = || -> rusqlite::Result<u64> {
            let sql = "SELECT (page_count - freelist_count) * page_size
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
            connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
        };
        while used()? > self.retention.size {
            let sql = "DELETE FROM chunks WHERE rowid IN
                (SELECT rowid FROM chunks ORDER BY last_enqueued LIMIT 16)";
            if connection.prepare_cached(sql)?.execute([])? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Starts the thread that writes behind; it ends when the log is dropped.
pub(super) fn write_behind(log: &EventLog) -> Result<(), StoreError> {
    let weak: Weak<Inner> = Arc::downgrade(&log.0);
    let run = move || {
        let mut cut = Instant::now();
        loop {
            thread::park_timeout(WRITE_BEHIND);
            let Some(inner) = weak.upgrade() else { return };
            let log = EventLog(inner);
            let Some(disk) = &log.0.disk else { return };
            disk.write_all(&log);
            if cut.elapsed() >= CUT {
                cut = Instant::now();
                if let Err(error) = disk.cut_to_age(now()) {
                    tracing::warn!("the event log cannot be cut: {error}");
                }
            }
        }
    };
    let started = thread::Builder::new().name("hub-log".into()).spawn(run);
    let started = started.map_err(|error| HubError::new(ErrorCode::ServerError, error.to_string()))?;
    if let Some(disk) = &log.0.disk {
        // Set once: a log has one writer.
        let _ = disk.writer.set(started.thread().clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_cut_by_age_and_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention {
            age: Duration::from_secs(60),
            size: 1024 * 1024,
        };
        let disk = Disk::open(&dir.path().join("events.db"), retention).unwrap();
        let now = Timestamp::parse("2030-01-01T01:00:00Z").unwrap();
        let insert = |first: u64, at: &str, size: usize| {
            let at = Timestamp::parse(at).unwrap().to_string();
            let row = params![0, first, first + 1, at, "x".repeat(size)];
            disk.lock()
                .execute("INSERT INTO chunks VALUES (?1, ?2, ?3, ?4, ?5)", row)
                .unwrap();
        };
        insert(0, "2030-01-01T00:58:00Z", 10);
        insert(1, "2030-01-01T00:59:30Z", 10);
        disk.cut_to_age(now).unwrap();
        assert_eq!(disk.first(0), Some(1));
        for first in 2..302 {
            insert(first, "2030-01-01T00:59:40Z", 10_000);
        }
        disk.cut_to_size().unwrap();
        let kept: u64 = disk
            .lock()
            .query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))
            .unwrap();
        assert!((25..=105).contains(&kept), "{kept}");
    }
}
