use std::time::Duration;

use bytes::Bytes;
use hub_protocol::message::Properties;

use super::*;
use crate::hub::now;

fn event(device: &str, body: &str) -> NewEvent {
    NewEvent {
        source: MessageSource::Telemetry,
        sender: Arc::new(Sender {
            id: ClientId::new(device, None).unwrap(),
            generation_id: "1".into(),
            auth: Some(AuthMethod::DeviceSas),
            model_id: String::new(),
        }),
        properties: Properties::from_bag("%24.mid=m1&a=1&b"),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}
use hub_protocol::ClientId;

fn bodies(events: &[Arc<Event>]) -> Vec<String> {
    let text = |event: &Arc<Event>| String::from_utf8(event.body.to_vec()).unwrap();
    events.iter().map(text).collect()
}

#[tokio::test]
async fn a_device_s_events_are_read_in_order_under_numbers_without_gaps() {
    let log = EventLog::ephemeral();
    let partition = EventLog::partition_of("d");
    let mut reader = log.reader(partition, Start::Newest);
    for body in ["a", "b", "c"] {
        log.append(event("d", body), now());
    }
    assert_eq!(bodies(&reader.next(2).await), ["a", "b"]);
    assert_eq!(bodies(&reader.next(2).await), ["c"]);
    assert_eq!(reader.position(), 3);
    let (all, _) = log.reader(partition, Start::Oldest).take(10);
    assert_eq!(
        all.iter().map(|event| event.sequence_number).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(bodies(&log.reader(partition, Start::After(1)).take(10).0), ["c"]);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_the_next_event() {
    let log = EventLog::ephemeral();
    let mut reader = log.reader(EventLog::partition_of("d"), Start::Newest);
    let waiting = tokio::spawn(async move { reader.next(10).await });
    tokio::task::yield_now().await;
    log.append(event("d", "x"), now());
    assert_eq!(bodies(&waiting.await.unwrap()), ["x"]);
}

#[test]
fn times_of_a_partition_never_go_back_though_the_clock_does() {
    let log = EventLog::ephemeral();
    let late = Timestamp::parse("2030-01-01T00:00:10Z").unwrap();
    let early = Timestamp::parse("2030-01-01T00:00:05Z").unwrap();
    log.append(event("d", "a"), late);
    log.append(event("d", "b"), early);
    let (events, _) = log.reader(EventLog::partition_of("d"), Start::Oldest).take(10);
    assert!(events.iter().all(|event| event.enqueued_time == late));
}

#[test]
fn a_log_that_was_closed_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.db");
    let partition = EventLog::partition_of("d");
    let before = EventLog::open(&path, Retention::default()).unwrap();
    for body in ["a", "b"] {
        before.append(event("d", body), now());
    }
    let (written, _) = before.reader(partition, Start::Oldest).take(10);
    before.close();
    drop(before);

    let after = EventLog::open(&path, Retention::default()).unwrap();
    after.append(event("d", "c"), now());
    let mut reader = after.reader(partition, Start::Oldest);
    let (stored, _) = reader.take(10);
    assert_eq!(stored, written);
    assert_eq!(bodies(&reader.take(10).0), ["c"]);
    assert_eq!(after.state(partition).next_sequence_number, 3);
    let at = after.reader(partition, Start::At(written[1].enqueued_time));
    assert!(at.position() <= 1);
}

#[test]
fn memory_is_bounded_and_what_left_it_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(&dir.path().join("events.db"), Retention::default()).unwrap();
    let partition = EventLog::partition_of("d");
    let body = "x".repeat(64 * 1024);
    let count = 2 * IN_MEMORY / body.len();
    for _ in 0..count {
        log.append(event("d", &body), now());
        // As the writing thread does, at a pace of our own.
        log.close();
    }
    assert!(log.0.partitions[partition].lock().bytes <= IN_MEMORY);
    let mut reader = log.reader(partition, Start::Oldest);
    let mut next = 0;
    while next < count as u64 {
        let (events, _) = reader.take(100);
        for event in events {
            assert_eq!(event.sequence_number, next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn events_that_were_never_kept_are_passed_over() {
    let log = EventLog::ephemeral();
    let body = "x".repeat(256 * 1024);
    for _ in 0..(2 * IN_MEMORY / body.len()) {
        log.append(event("d", &body), now());
    }
    let mut reader = log.reader(EventLog::partition_of("d"), Start::After(0));
    let read = tokio::time::timeout(Duration::from_secs(5), reader.next(1))
        .await
        .unwrap();
    assert!(read[0].sequence_number > 1);
}

/// A log whose disk takes nothing, and what it is that keeps it from it.
fn stuck_log(dir: &Path) -> (EventLog, rusqlite::Connection) {
    let path = dir.join("events.db");
    let log = EventLog::open(&path, Retention::default()).unwrap();
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    (log, other)
}

fn fill(log: &EventLog) -> u64 {
    let body = "x".repeat(64 * 1024);
    let count = UNWRITTEN / body.len() + 1;
    for _ in 0..count {
        log.append(event("d", &body), now());
    }
    count as u64
}

#[tokio::test]
async fn a_message_waits_for_the_disk_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (log, other) = stuck_log(dir.path());
    let mut count = fill(&log);
    let waiting = log.accept(event("d", "late"), now);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(2 * WRITE_BEHIND, waiting.as_mut()).await;
    assert!(early.is_err(), "taken though the disk was not");
    // What the hub itself says is never held up, and never at the cost of a message.
    while log.0.partitions[EventLog::partition_of("d")].lock().bytes <= IN_MEMORY {
        count += fill(&log);
    }

    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    log.close();
    let mut reader = log.reader(EventLog::partition_of("d"), Start::Oldest);
    let mut last = None;
    for sequence_number in 0..=count {
        let event = reader.take(1).0.remove(0);
        assert_eq!(event.sequence_number, sequence_number);
        last = Some(event);
    }
    assert_eq!(last.unwrap().body, "late");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_refused_when_the_disk_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _other) = stuck_log(dir.path());
    let count = fill(&log);
    let refused = log.accept(event("d", "late"), now).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ServiceUnavailable);
    assert_eq!(log.0.partitions[EventLog::partition_of("d")].lock().next, count);
}

#[test]
fn memory_is_bounded_even_when_the_disk_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _other) = stuck_log(dir.path());
    for _ in 0..=(3 * IN_MEMORY / UNWRITTEN) {
        fill(&log);
    }
    let tail = log.0.partitions[EventLog::partition_of("d")].lock();
    assert!(tail.bytes <= 2 * IN_MEMORY, "{}", tail.bytes);
    assert_eq!(tail.unwritten_bytes, tail.bytes);
}
