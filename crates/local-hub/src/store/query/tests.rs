//! What SQLite answers is what the language means: the same queries over the same twins, here by
//! SQL and there by hub-protocol's evaluator over the twins as clients see them.

use hub_protocol::query::{Query, parse};
use proptest::prelude::*;
use rusqlite::params;
use serde_json::json;

use super::*;
use crate::store::{Connection, migrations};

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    register(&connection).unwrap();
    migrations::run(&connection).unwrap();
    connection
}

/// One identity with these documents; its other columns differ by `number`.
fn plant(connection: &Connection, number: usize, module: &str, tags: &Value, desired: &Value, reported: &Value) {
    let authentication = json!({ "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": "AB" }, "type": if number % 2 == 0 { "sas" } else { "selfSigned" } });
    let stamps = if number % 4 == 0 {
        json!({})
    } else {
        json!({ "$lastUpdated": "2026-01-01T00:00:00Z" })
    };
    let configurations = if number % 3 == 0 {
        json!({ "c-1": { "status": "Applied" } })
    } else {
        json!({})
    };
    let parents = if number % 5 == 0 {
        json!(["ms-azure-iot-edge://gw-1", "x"])
    } else {
        json!([])
    };
    connection
        .execute(
            "INSERT INTO identities (device_id, module_id, generation_id, etag, status, status_reason, status_updated,
                authentication, capabilities, device_scope, parent_scopes, connection_updated, last_activity, model_id,
                version, tags, desired, reported, configurations, desired_metadata, reported_metadata, reported_version)
             VALUES (?1, ?2, 'g', ?3, ?4, ?5, '0001-01-01T00:00:00Z', ?6, ?7, ?8, ?9, '0001-01-01T00:00:00Z',
                '0001-01-01T00:00:00Z', '', ?3, ?10, ?11, ?12, ?13, ?14, ?14, ?3)",
            params![
                format!("d{:02}", number / 2),
                module,
                number,
                if number % 3 == 0 { "disabled" } else { "enabled" },
                (number % 2 == 0).then_some("why"),
                authentication.to_string(),
                json!({ "iotEdge": number % 2 == 0 }).to_string(),
                (number % 4 == 0).then_some("scope"),
                parents.to_string(),
                tags.to_string(),
                desired.to_string(),
                reported.to_string(),
                configurations.to_string(),
                stamps.to_string(),
            ],
        )
        .unwrap();
}

fn everything(connection: &Connection, source: Source) -> Vec<Value> {
    let all = Query {
        top: None,
        selection: Selection::All,
        source,
        condition: None,
        group_by: Vec::new(),
    };
    all_pages(connection, &all, 100)
}

fn all_pages(connection: &Connection, query: &Query, page_size: usize) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut continuation = None;
    loop {
        let page = run(connection, query, Some(page_size), continuation.as_deref()).unwrap();
        let found: Vec<Value> = match page.rows {
            Rows::Twins(twins) => twins.iter().map(|twin| serde_json::to_value(twin).unwrap()).collect(),
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
fn assert_same(connection: &Connection, text: &str, page_size: usize) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = all_pages(connection, &query, page_size);
    let meant = query.select(&everything(connection, query.source));
    if query.is_aggregate() {
        assert_eq!(sorted(found), sorted(meant), "{text}");
    } else {
        assert_eq!(found, meant, "{text}");
    }
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "a-b",
        "it's",
        "q\"uote",
        "back\\slash",
        "ä",
        "0",
        "and",
        "%",
    ])
    .prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "a",
        "A",
        "ab",
        "abc",
        "1",
        "1.0",
        "true",
        "null",
        "ä",
        "it's",
        "[1]",
        "{\"a\":1}",
        "😀",
        "\u{0}x",
        "%",
    ])
    .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3..6_i64).prop_map(Value::from),
        (-6..12_i64).prop_map(|quarters| json!(quarters as f64 / 4.0)),
        prop::sample::select(vec![json!(4_503_599_627_370_495_i64), json!(1e300), json!(-1e300)]),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => number(),
        3 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    prop::collection::vec((key(), value), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

fn path() -> impl Strategy<Value = String> {
    let below = prop::collection::vec(
        prop_oneof![4 => key().prop_map(|key| format!(".[[{key}]]")), 1 => (0..3_u8).prop_map(|index| format!("[{index}]"))],
        0..3,
    );
    let in_document = (
        prop::sample::select(vec!["tags", "properties.desired", "properties.reported"]),
        key(),
        below,
    )
        .prop_map(|(root, key, below)| format!("{root}.[[{key}]]{}", below.concat()));
    let system = prop::sample::select(vec![
        "deviceId",
        "moduleId",
        "status",
        "statusReason",
        "version",
        "etag",
        "deviceEtag",
        "authenticationType",
        "connectionState",
        "lastActivityTime",
        "modelId",
        "cloudToDeviceMessageCount",
        "x509Thumbprint.primaryThumbprint",
        "x509Thumbprint.secondaryThumbprint",
        "capabilities",
        "capabilities.iotEdge",
        "deviceScope",
        "parentScopes",
        "parentScopes[0]",
        "configurations.[[c-1]].status",
        "tags",
        "properties",
        "properties.desired",
        "properties.reported",
        "properties.reported.$version",
        "properties.desired.$metadata",
        "properties.desired.$metadata.$lastUpdated",
        "status.below",
    ])
    .prop_map(str::to_owned);
    prop_oneof![4 => in_document, 1 => system]
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => scalar().prop_map(|value| value.to_string()),
        1 => Just("undefined".to_owned()),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(|values| Value::from(values).to_string().replacen('[', "[ ", 1)),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![3 => path(), 2 => literal()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pair = (inner.clone(), inner.clone());
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| items.join(", "));
        let comparison = prop::sample::select(vec!["=", "!=", "<>", "<", "<=", ">", ">="]);
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%"]);
        let unary = prop::sample::select(vec![
            "IS_DEFINED", "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_PRIMITIVE", "IS_ARRAY", "IS_OBJECT", "LOWER",
            "UPPER", "LENGTH", "ABS", "EXP", "SQUARE", "CEILING", "FLOOR", "SIGN", "SQRT", "AS_NUMBER",
        ]);
        let binary = prop::sample::select(vec![
            "STARTSWITH", "ENDSWITH", "CONTAINS", "ARRAY_CONTAINS", "CONCAT", "INDEX_OF", "POWER", "SUBSTRING",
        ]);
        let membership = prop::sample::select(vec!["IN", "NOT IN", "NIN"]);
        prop_oneof![
            4 => (pair.clone(), comparison).prop_map(|((l, r), sign)| format!("({l} {sign} {r})")),
            2 => (pair.clone(), prop::sample::select(vec!["AND", "OR"])).prop_map(|((l, r), word)| format!("({l} {word} {r})")),
            1 => inner.clone().prop_map(|part| format!("(NOT {part})")),
            1 => (pair.clone(), operator).prop_map(|((l, r), sign)| format!("({l} {sign} {r})")),
            2 => (inner.clone(), membership, list).prop_map(|(value, word, list)| format!("({value} {word} [ {list} ])")),
            1 => (unary, inner.clone()).prop_map(|(name, part)| format!("{name}({part})")),
            1 => (binary, pair).prop_map(|(name, (l, r))| format!("{name}({l}, {r})")),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let source = prop::sample::select(vec!["devices", "devices.modules"]);
    let condition = prop_oneof![1 => Just(String::new()), 4 => expression().prop_map(|text| format!(" WHERE {text}"))];
    let aggregate = (prop::sample::select(vec!["COUNT", "SUM", "AVG", "MIN", "MAX"]), path());
    let aggregates = prop::collection::vec(aggregate, 1..3)
        .prop_map(|aggregates| {
            let items = aggregates
                .iter()
                .enumerate()
                .map(|(n, (name, path))| format!("{name}({path}) AS a{n}"));
            items.collect::<Vec<_>>().join(", ") + ", COUNT() AS n"
        })
        .boxed();
    prop_oneof![
        (source.clone(), condition.clone())
            .prop_map(|(source, condition)| format!("SELECT * FROM {source}{condition}")),
        (
            prop::collection::vec(expression(), 1..3),
            source.clone(),
            condition.clone(),
            prop::option::of(0..4_u8)
        )
            .prop_map(|(items, source, condition, top)| {
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(n, item)| format!("{item} AS i{n}"))
                    .collect();
                let top = top.map_or(String::new(), |top| format!("TOP {top} "));
                format!("SELECT {top}{} FROM {source}{condition}", items.join(", "))
            }),
        (aggregates.clone(), source, condition.clone())
            .prop_map(|(items, source, condition)| format!("SELECT {items} FROM {source}{condition}")),
        (aggregates, prop::collection::vec(path(), 1..3), condition).prop_map(|(items, by, condition)| {
            let names: Vec<_> = by
                .iter()
                .enumerate()
                .map(|(n, path)| format!("{path} AS g{n}"))
                .collect();
            format!(
                "SELECT {}, {items} FROM devices{condition} GROUP BY {}",
                names.join(", "),
                by.join(", ")
            )
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn sql_answers_what_the_language_means(
        twins in prop::collection::vec((document(), document(), document()), 1..12),
        queries in prop::collection::vec(query(), 8),
        page_size in 1..5_usize,
    ) {
        let connection = database();
        for (number, (tags, desired, reported)) in twins.iter().enumerate() {
            plant(&connection, number, if number % 2 == 0 { "" } else { "m" }, tags, desired, reported);
        }
        for text in queries {
            assert_same(&connection, &text, page_size);
        }
    }
}
