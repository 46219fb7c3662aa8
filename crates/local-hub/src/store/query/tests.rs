use hub_protocol::query::parse;
use proptest::prelude::*;
use serde_json::json;

use super::{
    invariants::{all_pages, everything, make_index},
    *,
};

fn database() -> Connection {
    invariants::database().unwrap()
}

fn plant(connection: &Connection, number: usize, module: &str, tags: &Value, desired: &Value, reported: &Value) {
    invariants::plant(connection, number, module, [tags, desired, reported]).unwrap();
}

fn assert_same(connection: &Connection, text: &str, page_size: usize) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    invariants::assert_same(connection, &query, page_size, &everything(connection, query.source));
}

/// Mostly one and the same, so that queries meet something.
fn key() -> impl Strategy<Value = String> {
    let odd = vec!["c", "a-b", "it's", "q\"uote", "back\\slash", "ä", "0", "and", "%"];
    prop_oneof![4 => Just("a"), 2 => Just("b"), 3 => prop::sample::select(odd)].prop_map(str::to_owned)
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
    let word = prop::sample::select(vec!["=", "IN", "STARTSWITH"]);
    let indexed = (prop::sample::select(INDEXED.to_vec()), word, scalar()).prop_map(|(path, word, value)| match word {
        "=" => format!("{path} = {value}"),
        "IN" => format!("{path} IN ['a', {value}]"),
        _ => format!("STARTSWITH({path}, {value})"),
    });
    let condition = prop_oneof![1 => Just(String::new()),
        2 => (indexed, expression()).prop_map(|(first, then)| format!(" WHERE {first} AND ({then} OR NOT IS_NULL({then}))")),
        4 => expression().prop_map(|text| format!(" WHERE {text}"))];
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

/// What the property test may have indexes of.
const INDEXED: [&str; 3] = [
    "tags.a",
    "properties.desired.[[it's]]",
    "properties.reported.[[q\"uote]].a",
];

fn plan(connection: &Connection, text: &str) -> (Vec<String>, Plan) {
    let plan = Plan::new(connection, &parse(text).unwrap(), None, None).unwrap();
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {}", plan.text("device_id")))
        .unwrap();
    let values = plan.translation.values.iter().take(statement.parameter_count());
    let steps = statement
        .query_map(params_from_iter(values), |row| row.get("detail"))
        .unwrap();
    (steps.collect::<Result<_, _>>().unwrap(), plan)
}

fn index_names(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'query %' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_query_that_looks_at_many_rows_asks_for_an_index_and_then_uses_it_in_order() {
    let connection = database();
    for number in 0..6000 {
        let tags = json!({ "site": format!("s{}", number % 100), "n": number % 7 });
        plant(&connection, number * 2, "", &tags, &json!({}), &json!({}));
    }
    for (condition, sorts) in [
        ("tags.site = 's42' AND tags.n != 3", false),
        ("tags.n < 9 AND 's42' = tags.site", false),
        ("tags.site IN ['s42', 's43']", true),
        ("tags.n < 9 AND STARTSWITH(tags.site, 's4x')", true),
    ] {
        let text = format!("SELECT deviceId FROM devices WHERE {condition}");
        let query = parse(&text).unwrap();
        let before = all_pages(&connection, &query, 7);
        let index = run(&connection, &query, Some(100), None)
            .unwrap()
            .wanted
            .expect(condition);
        let recent = Recent::default();
        index.make(&connection, &recent).unwrap();
        let (steps, found) = plan(&connection, &text);
        assert!(
            steps[0].contains("SEARCH identities USING INDEX query tags"),
            "{text}: {steps:?}"
        );
        assert_eq!(
            steps.iter().any(|step| step.contains("ORDER BY")),
            sorts,
            "{text}: {steps:?}"
        );
        assert_eq!((found.used, found.wanted), (vec![index], None));
        assert_eq!(all_pages(&connection, &query, 7), before);
        for condition in [
            "STARTSWITH(tags.site, 's4')",
            "tags.site IN ['s1', 7, 's99', true]",
            "tags.site = 'nowhere'",
        ] {
            assert_same(
                &connection,
                &format!("SELECT deviceId FROM devices WHERE {condition}"),
                7,
            );
        }
        connection
            .execute_batch("DROP INDEX \"query tags '$.\"\"site\"\"'\"")
            .unwrap();
    }
}

#[test]
fn what_an_index_cannot_help_asks_for_none() {
    let connection = database();
    for number in 0..6000 {
        plant(
            &connection,
            number * 2,
            "",
            &json!({ "site": "s" }),
            &json!({}),
            &json!({}),
        );
    }
    for condition in [
        "tags.site = 'a' OR tags.site = 'b'",
        "tags.site != 's'",
        "NOT tags.site = 's'",
        "deviceId = tags.site",
    ] {
        let query = parse(&format!("SELECT deviceId FROM devices WHERE {condition}")).unwrap();
        assert_eq!(
            run(&connection, &query, None, None).unwrap().wanted,
            None,
            "{condition}"
        );
    }
}

#[test]
fn groups_are_made_by_value_and_type_and_sorted_so() {
    let connection = database();
    let values = [
        json!("b"),
        json!(2),
        json!(1.0),
        json!("1"),
        json!(true),
        json!(1),
        json!(-1.5),
        json!(false),
        json!([1]),
        json!([1]),
        json!(true),
        json!("x".repeat(4000)),
        json!("x".repeat(4001)),
        json!("x".repeat(4000)),
    ];
    for (number, value) in values.iter().enumerate() {
        plant(
            &connection,
            number * 2,
            "",
            &json!({ "v": value }),
            &json!({}),
            &json!({}),
        );
    }
    plant(&connection, 100, "", &json!({}), &json!({}), &json!({}));
    let text = "SELECT COUNT() AS n, tags.v AS v, tags.v[0] AS first FROM devices GROUP BY tags.v";
    let rows = all_pages(&connection, &parse(text).unwrap(), 3);
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["n"].as_u64().unwrap(),
                row.get("v")
                    .map(Value::to_string)
                    .unwrap_or_default()
                    .chars()
                    .take(4)
                    .collect::<String>(),
            )
        })
        .collect();
    let expected = [
        (1, "fals"),
        (2, "true"),
        (1, "-1.5"),
        (2, "1"),
        (1, "2"),
        (1, "\"1\""),
        (1, "\"b\""),
        (2, "\"xxx"),
        (1, "\"xxx"),
        (2, "[1]"),
        (1, ""),
    ];
    let mut shown: Vec<_> = shown.iter().map(|(n, v)| (*n, v.trim_end_matches(".0"))).collect();
    // Long texts that begin alike have an order that is not theirs.
    shown[7..9].sort_by(|a, b| b.cmp(a));
    assert_eq!(shown, expected);
}

#[test]
fn a_quick_query_asks_for_no_index() {
    let connection = database();
    for number in 0..50 {
        plant(
            &connection,
            number * 2,
            "",
            &json!({ "site": "s" }),
            &json!({}),
            &json!({}),
        );
    }
    let query = parse("SELECT deviceId FROM devices WHERE tags.site = 'other'").unwrap();
    assert_eq!(run(&connection, &query, None, None).unwrap().wanted, None);
}

#[test]
fn what_most_twins_of_a_large_fleet_are_tagged_with_is_foreseen_and_nothing_else() {
    let connection = database();
    let fill = |from: usize, to: usize| {
        for number in from..to {
            let mut tags = json!({ "site": "s1", "it's": 5, "place": { "hall": "B" } });
            if number % 10 == 0 {
                tags["rare"] = json!(true);
            }
            // Two numbers make one id.
            plant(
                &connection,
                2 * number,
                "",
                &tags,
                &json!({}),
                &json!({ "state": "ok" }),
            );
        }
    };
    fill(0, 4_999);
    assert!(
        indexes::foreseen(&connection).unwrap().is_empty(),
        "a small fleet needs none"
    );
    fill(4_999, 5_001);
    let foreseen = indexes::foreseen(&connection).unwrap();
    assert_eq!(foreseen.len(), 2);
    for index in &foreseen {
        index.make(&connection, &Recent::default()).unwrap();
    }
    for text in [
        "SELECT * FROM devices WHERE tags.site = 's1'",
        "SELECT * FROM devices WHERE tags.[[it's]] = 5",
    ] {
        let plan = Plan::new(&connection, &parse(text).unwrap(), None, None).unwrap();
        assert_eq!(plan.used.len(), 1, "{text}");
    }
}

#[test]
fn of_too_many_indexes_the_one_that_was_not_used_for_longest_goes() {
    let connection = database();
    let recent = Recent::default();
    for number in 0..16 {
        make_index(&connection, &format!("tags.k{number:02}"), &recent);
    }
    make_index(&connection, "tags.k00", &recent);
    let (_, plan) = plan(&connection, "SELECT * FROM devices WHERE tags.k00 = 1");
    plan.used.iter().for_each(|index| recent.used(index));
    make_index(&connection, "tags.new", &recent);
    let names = index_names(&connection);
    assert_eq!(names.len(), 16);
    assert!(names.contains(&"query tags '$.\"k00\"'".to_owned()), "{names:?}");
    assert!(!names.contains(&"query tags '$.\"k01\"'".to_owned()), "{names:?}");
    // After a restart nothing is known of their use; whatever is used stays.
    let recent = Recent::default();
    make_index(&connection, "tags.newer", &recent);
    make_index(&connection, "tags.newest", &recent);
    let names = index_names(&connection);
    assert_eq!(names.iter().filter(|name| name.contains("new")).count(), 3, "{names:?}");
}

#[test]
fn the_deepest_and_longest_queries_that_are_understood_are_answered() {
    let connection = database();
    plant(&connection, 0, "", &json!({ "a": 1 }), &json!({}), &json!({}));
    let nest = |open: &str, close: &str, core: &str| format!("{}{core}{}", open.repeat(30), close.repeat(30));
    for condition in [
        nest("NOT (", ")", "tags.a = 1"),
        nest("(true AND (", "))", "tags.a = tags.a")
            .replacen("(true AND (", "(", 15)
            .replacen("))", ")", 15),
        nest("ABS(", ")", "tags.a") + " = 1",
        nest("1 = 1 AND true = (", ")", "tags.a = 1"),
        nest("(tags.a + ", ")", "1") + " = 31",
        nest("IS_DEFINED([1, ", "])", "tags.a").replacen("IS_DEFINED([1, ", "[1, ", 30),
        vec!["tags.a = 1"; 500].join(" OR "),
        vec!["tags.a != tags.b"; 300].join(" AND "),
        format!("tags.a IN [{}]", vec!["1"; 3500].join(",")),
        format!("ARRAY_CONTAINS([ {} ], tags.a)", vec!["1"; 256].join(",")),
        vec!["1"; 60].join(" + ") + " = 60",
    ] {
        if let Ok(query) = parse(&format!("SELECT * FROM devices WHERE {condition}")) {
            let found = all_pages(&connection, &query, 1);
            assert_eq!(
                found,
                query.select(&everything(&connection, Source::Devices)),
                "{condition}"
            );
        }
    }
}

#[test]
fn a_token_is_good_for_its_own_query_only() {
    let connection = database();
    for number in 0..6 {
        plant(
            &connection,
            number * 2,
            "",
            &json!({ "a": number }),
            &json!({}),
            &json!({}),
        );
    }
    let query = parse("SELECT * FROM devices").unwrap();
    let token = run(&connection, &query, Some(2), None).unwrap().continuation.unwrap();
    for (text, token) in [
        ("SELECT * FROM devices WHERE tags.a = 1", token.as_str()),
        ("SELECT COUNT() AS n FROM devices", &token),
        ("SELECT * FROM devices", "***"),
        ("SELECT * FROM devices", "bm9uZQ"),
    ] {
        let refused = run(&connection, &parse(text).unwrap(), None, Some(token)).err();
        let code = refused.map(|error| HubError::from(error).code);
        assert_eq!(code, Some(hub_protocol::ErrorCode::ArgumentInvalid), "{text}");
    }
    // The row a token names may go, and others come.
    connection
        .execute_batch("DELETE FROM identities WHERE device_id IN ('d01', 'd02')")
        .unwrap();
    let page = run(&connection, &query, Some(2), Some(&token)).unwrap();
    let Rows::Twins(twins) = page.rows else { panic!("twins") };
    assert_eq!(
        twins.iter().map(|twin| twin.device_id.as_str()).collect::<Vec<_>>(),
        ["d03", "d04"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn sql_answers_what_the_language_means(
        twins in prop::collection::vec((document(), document(), document()), 1..12),
        queries in prop::collection::vec(query(), 6),
        indexed in any::<bool>(),
        page_size in 1..5_usize,
    ) {
        let connection = database();
        for (number, (tags, desired, reported)) in twins.iter().enumerate() {
            plant(&connection, number, if number.is_multiple_of(2) { "" } else { "m" }, tags, desired, reported);
        }
        for path in INDEXED.into_iter().filter(|_| indexed) {
            make_index(&connection, path, &Recent::default());
        }
        for text in queries {
            assert_same(&connection, &text, page_size);
        }
    }
}
