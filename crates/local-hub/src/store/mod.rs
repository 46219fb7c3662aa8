//! SQLite: the hub's whole state, one file.
//!
//! One thread owns the only writing connection. It takes what has queued up, runs each piece of
//! work under its own savepoint in one transaction, commits, and only then answers and tells the
//! events, in order. So an acknowledged write is a committed one, and a busy hub pays for one
//! disk flush per batch, not per write. Reads run on a few connections of their own.

mod bulk;
mod configurations;
mod devices;
mod export;
mod feedback;
mod identities;
mod jobs;
mod keys;
mod messages;
mod migrations;
mod modules;
mod policies;
mod query;
mod registry_jobs;
mod scopes;
mod subscriptions;
mod twins;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use hub_protocol::{ErrorCode, HubError};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{error::StoreError, events::HubEvent};

pub(crate) use configurations::{
    any_configuration, device_ids_after, get_configuration, list_configurations, unsettled,
};
pub(crate) use devices::{connected, get as get_device, list as list_devices, statistics};
pub(crate) use export::{count as count_identities, page as export_page};
pub(crate) use feedback::FeedbackBatch;
pub(crate) use identities::{Credentials, IfMatch, credentials};
pub(crate) use jobs::{Answered, Calls, JobFilter, RunningJob, agenda, get as get_job, list as list_jobs};
pub(crate) use messages::{Message, NewMessage, Settlement, Take};
pub(crate) use modules::{get as get_module, list as list_modules};
pub(crate) use policies::{Policies, Right};
#[cfg(fuzzing)]
pub(crate) use query::invariants::assert_answered;
pub(crate) use query::{Page, Rows};
pub(crate) use registry_jobs::{get as get_registry_job, list as list_registry_jobs};
pub(crate) use subscriptions::StoredSession;
pub(crate) use twins::{TwinWrite, get as get_twin};

/// Writes that may wait; a caller beyond that waits for a place.
const QUEUE: usize = 4096;
/// Writes in one transaction at most.
const BATCH: usize = 512;
const READERS: usize = 4;

/// What a piece of work may do: SQL now, events once it is committed.
pub(crate) struct Transaction<'a> {
    pub(crate) sql: &'a Connection,
    events: Vec<HubEvent>,
}

impl Transaction<'_> {
    pub(crate) fn tell(&mut self, event: HubEvent) {
        self.events.push(event);
    }
}

type Answer = Box<dyn FnOnce(Result<(), HubError>) + Send>;
/// Given the transaction, does its part; given an error, does nothing. Says whether its part is
/// to stay, and how to answer its caller once the fate of the whole is known.
type Work = Box<dyn FnOnce(Result<&mut Transaction<'_>, HubError>) -> (bool, Answer) + Send>;

pub(crate) struct Store {
    work: mpsc::Sender<Work>,
    readers: Arc<Mutex<Vec<Connection>>>,
    reading: Arc<Semaphore>,
    recent: query::Recent,
}

impl Store {
    /// `tell` is called on the writing thread with each committed event; it must not block.
    pub(crate) fn open(path: &Path, tell: impl Fn(HubEvent) + Send + 'static) -> Result<Self, StoreError> {
        let writer = open_writer(path)?;
        let readers = (0..READERS).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (work, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("hub-store".into())
            .spawn(move || write_loop(&writer, queue, &tell))
            .map_err(|error| HubError::new(ErrorCode::ServerError, error.to_string()))?;
        let store = Self {
            work,
            readers: Arc::new(Mutex::new(readers)),
            reading: Arc::new(Semaphore::new(READERS)),
            recent: query::Recent::default(),
        };
        store.foresee_queries(&open_reader(path)?)?;
        Ok(store)
    }

    /// Runs `work` in a transaction of its own; returns once that is committed, or with nothing
    /// changed.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HubError> {
        let (reply, answer) = oneshot::channel::<Result<T, HubError>>();
        // The caller may have gone away; its write stands all the same.
        let work = piece_of_work(work, move |result| drop(reply.send(result)));
        let stopped = || HubError::new(ErrorCode::ServiceUnavailable, "The hub is stopping.");
        self.work.send(work).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Like [`write`](Self::write), without waiting for it; not done at all while the queue is full.
    pub(crate) fn post(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static) {
        let told = |result: Result<(), HubError>| {
            if let Err(error) = result {
                tracing::warn!("work that nobody waits for was not done: {error}");
            }
        };
        drop(self.work.try_send(piece_of_work(work, told)));
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HubError> {
        let stopped = |_| HubError::new(ErrorCode::ServiceUnavailable, "The hub is stopping.");
        let permit = self.reading.clone().acquire_owned().await.map_err(|_| stopped(()))?;
        let readers = self.readers.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pool = || readers.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = pool().pop();
            // A permit stands for a connection, so there is one unless a reader panicked.
            let connection = taken.ok_or_else(|| HubError::new(ErrorCode::ServerError, "No reader is left."))?;
            let result = work(&connection).map_err(HubError::from);
            pool().push(connection);
            result
        });
        read.await.map_err(|_| stopped(()))?
    }

    /// Waits until everything queued before is committed.
    pub(crate) async fn flush(&self) {
        drop(self.write(|_| Ok(())).await);
    }
}

fn piece_of_work<T: Send + 'static>(
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    answer: impl FnOnce(Result<T, HubError>) + Send + 'static,
) -> Work {
    Box::new(move |transaction| {
        let result = transaction.and_then(|transaction| work(transaction).map_err(HubError::from));
        let stays = result.is_ok();
        let answer = move |committed: Result<(), HubError>| {
            answer(result.and_then(|value| committed.map(|()| value)));
        };
        (stays, Box::new(answer))
    })
}

fn write_loop(connection: &Connection, mut queue: mpsc::Receiver<Work>, tell: &dyn Fn(HubEvent)) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        if let Err(error) = commit(connection, &mut batch, tell) {
            tracing::error!("the hub's database refused a transaction: {error}");
        }
    }
}

/// Runs one batch. On an error of the transaction itself every piece of work in it is refused
/// with that error, and nothing of it stays.
fn commit(connection: &Connection, batch: &mut Vec<Work>, tell: &dyn Fn(HubEvent)) -> Result<(), HubError> {
    let mut fate = execute(connection, "BEGIN IMMEDIATE");
    let mut events = Vec::new();
    let mut answers = Vec::with_capacity(batch.len());
    for work in batch.drain(..) {
        if fate.is_ok() {
            fate = execute(connection, "SAVEPOINT work");
        }
        let mut transaction = Transaction {
            sql: connection,
            events: Vec::new(),
        };
        let (stays, answer) = work(fate.clone().map(|()| &mut transaction));
        answers.push(answer);
        if stays {
            events.append(&mut transaction.events);
        } else if fate.is_ok() {
            fate = execute(connection, "ROLLBACK TO work");
        }
        if fate.is_ok() {
            fate = execute(connection, "RELEASE work");
        }
    }
    // A full disk can make SQLite roll the whole transaction back by itself; the savepoint
    // commands fail then, and nothing more is run outside a transaction.
    if fate.is_ok() {
        fate = execute(connection, "COMMIT");
    }
    if fate.is_ok() {
        events.into_iter().for_each(tell);
    } else if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(fate.clone());
    }
    fate
}

fn execute(connection: &Connection, sql: &str) -> Result<(), HubError> {
    let in_transaction = sql.starts_with("BEGIN") || !connection.is_autocommit();
    if !in_transaction {
        return Err(HubError::new(
            ErrorCode::ServiceUnavailable,
            "The hub's storage gave up a transaction; nothing was changed.",
        ));
    }
    connection
        .execute_batch(sql)
        .map_err(|error| StoreError::from(error).into())
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    #[cfg(unix)]
    if let Err(error) = std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)) {
        tracing::warn!("the database's permissions could not be narrowed: {error}");
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(Duration::from_secs(5))?;
    query::register(&connection)?;
    migrations::run(&connection)?;
    // Nobody is connected to a hub that has just started.
    connection.execute(
        "UPDATE identities SET connection_state = 'Disconnected' WHERE connection_state = 'Connected'",
        [],
    )?;
    registry_jobs::fail_interrupted(&connection)?;
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    query::register(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
