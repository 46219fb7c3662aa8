//! What SQLite answers is what the language means: one query over the same rows, here by SQL and
//! there by hub-protocol's evaluator over the rows as clients see them. Checked by tests here and
//! by the fuzz target.

use hub_protocol::query::{Expression, Query, Selection, Source, parse};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::{Recent, Rows, indexes, register, run, sql::Translation};
use crate::{error::StoreError, store::migrations};

pub(super) fn database() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory()?;
    register(&connection)?;
    migrations::run(&connection)?;
    Ok(connection)
}

/// One identity with these tags, desired and reported properties; its other columns differ by
/// `number`.
pub(super) fn plant(
    connection: &Connection,
    number: usize,
    module: &str,
    [tags, desired, reported]: [&Value; 3],
) -> Result<(), StoreError> {
    let authentication = json!({ "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": "AB" }, "type": if number.is_multiple_of(2) { "sas" } else { "selfSigned" } });
    let stamps = if number.is_multiple_of(4) {
        json!({})
    } else {
        json!({ "$lastUpdated": "2026-01-01T00:00:00Z" })
    };
    let configurations = if number.is_multiple_of(3) {
        json!({ "c-1": { "status": "Applied" } })
    } else {
        json!({})
    };
    let parents = if number.is_multiple_of(5) {
        json!(["ms-azure-iot-edge://gw-1", "x"])
    } else {
        json!([])
    };
    connection.execute(
        "INSERT INTO identities (device_id, module_id, generation_id, etag, status, status_reason, status_updated,
            authentication, capabilities, device_scope, parent_scopes, connection_updated, last_activity, model_id,
            version, tags, desired, reported, configurations, desired_metadata, reported_metadata, reported_version)
         VALUES (?1, ?2, 'g', ?3, ?4, ?5, '0001-01-01T00:00:00Z', ?6, ?7, ?8, ?9, '0001-01-01T00:00:00Z',
            '0001-01-01T00:00:00Z', '', ?3, ?10, ?11, ?12, ?13, ?14, ?14, ?3)",
        params![
            format!("d{:02}", number / 2),
            module,
            number,
            if number.is_multiple_of(3) {
                "disabled"
            } else {
                "enabled"
            },
            (number.is_multiple_of(2)).then_some("why"),
            authentication.to_string(),
            json!({ "iotEdge": number.is_multiple_of(2) }).to_string(),
            (number.is_multiple_of(4)).then_some("scope"),
            parents.to_string(),
            tags.to_string(),
            desired.to_string(),
            reported.to_string(),
            configurations.to_string(),
            stamps.to_string(),
        ],
    )?;
    Ok(())
}

pub(super) fn make_index(connection: &Connection, path: &str, recent: &Recent) {
    let condition = parse(&format!("SELECT * FROM devices WHERE {path} = 1"))
        .ok()
        .and_then(|query| query.condition);
    let clues = condition.map(|condition: Expression| {
        let mut translation = Translation::new(Source::Devices);
        indexes::clues(&mut translation, &condition)
    });
    let made = clues
        .as_deref()
        .and_then(<[_]>::first)
        .map(|clue| clue.index.make(connection, recent));
    assert!(matches!(made, Some(Ok(()))), "{path} is not indexed");
}

pub(super) fn everything(connection: &Connection, source: Source) -> Vec<Value> {
    let all = Query {
        top: None,
        selection: Selection::All,
        source,
        condition: None,
        group_by: Vec::new(),
    };
    all_pages(connection, &all, 100)
}

pub(super) fn all_pages(connection: &Connection, query: &Query, page_size: usize) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut continuation = None;
    loop {
        let page = match run(connection, query, Some(page_size), continuation.as_deref()) {
            Ok(page) => page,
            Err(error) => panic!("{query:?} was understood and not answered: {error}"),
        };
        let found: Vec<Value> = match page.rows {
            Rows::Twins(twins) => twins.iter().map(|twin| json!(twin)).collect(),
            Rows::Raw(rows) | Rows::DeviceJobs(rows) => rows,
        };
        assert!(found.len() <= page_size);
        rows.extend(found);
        continuation = page.continuation;
        if continuation.is_none() {
            return rows;
        }
    }
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_cached_key(Value::to_string);
    rows
}

/// Grouped rows have an order of their own; all others come by id.
pub(super) fn assert_same(connection: &Connection, query: &Query, page_size: usize, rows: &[Value]) {
    let found = all_pages(connection, query, page_size);
    let meant = query.select(rows);
    if query.is_aggregate() {
        assert_eq!(sorted(found), sorted(meant), "{query:?}");
    } else {
        assert_eq!(found, meant, "{query:?}");
    }
}

/// Asks a small fleet whose twins hold every kind of value, with and without indexes.
#[cfg(fuzzing)]
pub(crate) fn assert_answered(query: &Query) {
    thread_local! {
        static FLEETS: [Connection; 2] = [fleet(&[]), fleet(&["tags.a", "tags.s", "properties.reported.temp"])];
        static ROWS: [Vec<Value>; 3] = FLEETS.with(|[fleet, _]| {
            [Source::Devices, Source::Modules, Source::Jobs].map(|source| everything(fleet, source))
        });
    }
    ROWS.with(|[devices, modules, jobs]| {
        let rows = match query.source {
            Source::Devices => devices,
            Source::Modules => modules,
            Source::Jobs => jobs,
        };
        FLEETS.with(|[plain, indexed]| {
            assert_same(plain, query, 100, rows);
            assert_same(indexed, query, 3, rows);
        });
    });
}

#[cfg(fuzzing)]
fn fleet(indexes: &[&str]) -> Connection {
    let twins = [
        (
            json!({ "a": 1, "n": 5.5, "s": "xyz", "hall": "B", "x": true, "list": [1, "x", null, { "k": 2 }], "a-b": { "c": null } }),
            json!({ "interval": 30 }),
            json!({ "temp": 41, "state": "ok" }),
        ),
        (
            json!({ "a": "1", "n": -1500, "s": "", "x": null, "list": [] }),
            json!({}),
            json!({ "temp": "hot", "state": "ok" }),
        ),
        (
            json!({ "a": { "b": { "c": 1.5 } }, "n": 0, "s": "it's \"é\" \\ \u{0}%" }),
            json!({ "a": false }),
            json!({}),
        ),
        (
            json!({ "a": 1.0, "n": 4_503_599_627_370_495_i64, "s": "XYZ", "x": false }),
            json!({}),
            json!({ "temp": 40.5, "state": null }),
        ),
        (json!({}), json!({}), json!({})),
        (
            json!({ "a": [1], "n": "5.5", "s": 7, "it's": 1, "q\"uote": 2, "back\\slash": 3 }),
            json!({ "a": { "b": 1 } }),
            json!({ "temp": -0.25, "state": ["ok"] }),
        ),
        (
            json!({ "a": true, "n": 31, "s": "😀", "hall": "b" }),
            json!({ "interval": "30" }),
            json!({ "temp": 41, "state": "" }),
        ),
    ];
    let made = database().and_then(|connection| {
        for (number, (tags, desired, reported)) in twins.iter().enumerate() {
            plant(&connection, 2 * number, "", [tags, desired, reported])?;
            if number < 3 {
                plant(&connection, 2 * number + 1, "$edgeAgent", [tags, desired, reported])?;
            }
        }
        connection.execute_batch(
            "INSERT INTO jobs (job_id, type, query_condition, payload, created, start_time, max_execution_seconds, status)
                VALUES ('j1', 'scheduleUpdateTwin', '*', '{}', '2026', '2026', 9, 'completed');
             INSERT INTO device_jobs (job_id, device_id, module_id, job_type, status, created, started, ended, updated, outcome, error)
                VALUES ('j1', 'd00', '', 'scheduleUpdateTwin', 'completed', '2026', '2026', '2026', '2026', '{\"status\":200}', NULL),
                       ('j1', 'd01', 'm', 'scheduleDeviceMethod', 'failed', '2026', NULL, NULL, '2026', NULL, '{\"code\":\"x\"}');",
        )?;
        Ok(connection)
    });
    let connection = match made {
        Ok(connection) => connection,
        Err(error) => panic!("{error}"),
    };
    indexes
        .iter()
        .for_each(|path| make_index(&connection, path, &Recent::default()));
    connection
}
