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
