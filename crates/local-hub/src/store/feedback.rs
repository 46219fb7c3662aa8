//! Feedback: what became of messages, for the services that asked (service.md 9.3).

use std::time::Duration;

use hub_protocol::{Timestamp, feedback::FeedbackRecord};
use rusqlite::params;

use super::{
    Transaction,
    messages::{LONGEST_LOCK, MAX_DELIVERIES, Settlement, lock_lost, token},
};
use crate::error::StoreError;

const BATCH: usize = 64;
/// Records nobody reads are forgotten after this.
const LIFE: Duration = Duration::from_secs(3600);
/// Records kept at most; the oldest goes first.
const KEPT: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedbackBatch {
    pub lock_token: String,
    /// At most 64, oldest first.
    pub records: Vec<FeedbackRecord>,
}

impl Transaction<'_> {
    pub(super) fn keep_feedback(&mut self, record: &FeedbackRecord, now: Timestamp) -> Result<(), StoreError> {
        self.sql
            .prepare_cached("INSERT INTO feedback (record, enqueued) VALUES (?1, ?2)")?
            .execute(params![serde_json::to_string(record)?, now.to_string()])?;
        self.sql
            .prepare_cached("DELETE FROM feedback WHERE sequence <= ?1")?
            .execute([self.sql.last_insert_rowid() - KEPT])?;
        Ok(())
    }

    /// Locks up to 64 of the oldest records under one token; `None` when there are none.
    pub(crate) fn receive_feedback(
        &mut self,
        lock: Duration,
        nonce: [u8; 16],
        now: Timestamp,
    ) -> Result<Option<FeedbackBatch>, StoreError> {
        self.sql
            .prepare_cached(
                "UPDATE feedback SET lock_token = NULL, locked_until = NULL, delivery_count = delivery_count + 1
                 WHERE locked_until <= ?1 OR locked_until > ?2",
            )?
            .execute([now.to_string(), now.after(LONGEST_LOCK).to_string()])?;
        let forgotten = now.before(LIFE);
        self.sql
            .prepare_cached(
                "DELETE FROM feedback WHERE lock_token IS NULL AND (enqueued <= ?1 OR delivery_count >= ?2)",
            )?
            .execute(params![forgotten.to_string(), MAX_DELIVERIES])?;
        let mut statement = self.sql.prepare_cached(
            "SELECT sequence, record FROM feedback WHERE lock_token IS NULL ORDER BY sequence LIMIT ?1",
        )?;
        let rows = statement.query_map([BATCH], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            return Ok(None);
        }
        let lock_token = token(nonce, 0);
        let locked_until = now.after(lock.min(LONGEST_LOCK)).to_string();
        let mut records = Vec::with_capacity(rows.len());
        for (sequence, record) in rows {
            self.sql
                .prepare_cached("UPDATE feedback SET lock_token = ?2, locked_until = ?3 WHERE sequence = ?1")?
                .execute(params![sequence, lock_token, locked_until])?;
            records.push(serde_json::from_str(&record)?);
        }
        Ok(Some(FeedbackBatch { lock_token, records }))
    }

    /// Completing and rejecting both forget the batch; abandoning gives it back.
    pub(crate) fn settle_feedback(
        &mut self,
        lock_token: &str,
        how: Settlement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = match how {
            Settlement::Complete | Settlement::Reject => {
                "DELETE FROM feedback WHERE lock_token = ?1 AND locked_until > ?2"
            }
            Settlement::Abandon => {
                "UPDATE feedback SET lock_token = NULL, locked_until = NULL, delivery_count = delivery_count + 1
                 WHERE lock_token = ?1 AND locked_until > ?2"
            }
        };
        let settled = self.sql.prepare_cached(sql)?.execute([lock_token, &now.to_string()])?;
        if settled == 0 { Err(lock_lost()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use hub_protocol::feedback::Outcome;
    use rusqlite::Connection;

    use super::*;
    use crate::store::migrations;

    const LOCK: Duration = Duration::from_secs(60);

    fn keep(sql: &Connection, now: Timestamp) {
        let record = FeedbackRecord {
            original_message_id: None,
            enqueued_time_utc: now,
            status_code: Outcome::Purged,
            description: String::new(),
            device_id: "d".into(),
            device_generation_id: "1".into(),
        };
        transaction(sql).keep_feedback(&record, now).unwrap();
    }

    fn transaction(sql: &Connection) -> Transaction<'_> {
        Transaction {
            sql,
            events: Vec::new(),
        }
    }

    fn receive(sql: &Connection, nonce: u8, now: Timestamp) -> Option<FeedbackBatch> {
        transaction(sql).receive_feedback(LOCK, [nonce; 16], now).unwrap()
    }

    fn start() -> (Connection, Timestamp) {
        let sql = Connection::open_in_memory().unwrap();
        migrations::run(&sql).unwrap();
        (sql, Timestamp::parse("2030-01-01T00:00:00Z").unwrap())
    }

    #[test]
    fn a_batch_is_given_ten_times_at_most() {
        let (sql, now) = start();
        keep(&sql, now);
        for nonce in 0..10 {
            let batch = receive(&sql, nonce, now).unwrap();
            let settled = transaction(&sql).settle_feedback(&batch.lock_token, Settlement::Abandon, now);
            settled.unwrap();
        }
        assert_eq!(receive(&sql, 10, now), None);
    }

    #[test]
    fn what_nobody_reads_is_forgotten_after_an_hour_and_beyond_ten_thousand() {
        let (sql, now) = start();
        keep(&sql, now);
        assert_eq!(receive(&sql, 0, now.after(LIFE)), None);
        for _ in 0..KEPT + 5 {
            keep(&sql, now);
        }
        let kept: i64 = sql
            .query_row("SELECT count(*) FROM feedback", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, KEPT);
    }

    #[test]
    fn batches_have_64_records_and_a_lock_each() {
        let (sql, now) = start();
        for _ in 0..65 {
            keep(&sql, now);
        }
        let first = receive(&sql, 1, now).unwrap();
        let second = receive(&sql, 2, now).unwrap();
        assert_eq!((first.records.len(), second.records.len()), (BATCH, 1));
        assert_eq!(receive(&sql, 3, now), None);
        let settle =
            |batch: &FeedbackBatch, at| transaction(&sql).settle_feedback(&batch.lock_token, Settlement::Complete, at);
        settle(&first, now).unwrap();
        assert!(settle(&first, now).is_err(), "settled once");
        assert!(settle(&second, now.after(LOCK)).is_err(), "the lock lapsed");
        assert_eq!(receive(&sql, 4, now.after(LOCK)).unwrap().records.len(), 1);
    }
}
