use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn path(keys: &str) -> Path {
    Path(keys.split('.').map(|key| Segment::Key(key.into())).collect())
}

fn names(text: &str) -> Vec<String> {
    match parse(text).unwrap().selection {
        Selection::All => vec!["*".into()],
        Selection::Items(items) => items.iter().map(|item| item.name.join(".")).collect(),
    }
}

/// The value of an expression without any row.
fn value(text: &str) -> Option<Value> {
    let row = Value::Null;
    let expression = parse_condition(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .unwrap();
    expression.evaluate(&row).map(std::borrow::Cow::into_owned)
}

#[test]
fn keywords_and_roots_ignore_case_and_keys_do_not() {
    let query = parse("select *\n from Devices where TAGS.Site = \"s1\"").unwrap();
    let expected = Expression::Compare(
        Box::new(Expression::Path(path("tags.Site"))),
        Comparison::Equal,
        Box::new(Expression::Literal(Literal::String("s1".into()))),
    );
    assert_eq!(query.condition, Some(expected));
    for (text, resolved) in [
        ("Properties.Reported.$Version", "properties.reported.$version"),
        ("devices.Capabilities.iotedge", "capabilities.iotEdge"),
        ("devices.modules.moduleid", "moduleId"),
        ("statusUpdatedTime", "statusUpdateTime"),
        ("id", "deviceId"),
        ("configurations.[[My-Cfg]].STATUS", "configurations.My-Cfg.status"),
        ("tags.my-key", "tags.my-key"),
        ("tags.in", "tags.in"),
    ] {
        assert_eq!(
            parse_condition(text),
            Ok(Some(Expression::Path(path(resolved)))),
            "{text}"
        );
    }
}

#[test]
fn sources_have_aliases_and_prefixes() {
    for (text, source) in [
        ("SELECT * FROM devices", Source::Devices),
        ("SELECT d.deviceId FROM devices d WHERE d.tags.a = 1", Source::Devices),
        ("SELECT * FROM devices AS d WHERE D.tags.a = 1", Source::Devices),
        ("SELECT c.deviceId FROM c WHERE c.tags.a = 1", Source::Devices),
        ("SELECT devices.deviceId FROM devices.modules", Source::Modules),
        (
            "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'",
            Source::Jobs,
        ),
    ] {
        assert_eq!(parse(text).map(|query| query.source), Ok(source), "{text}");
    }
}

#[test]
fn and_binds_tighter_than_or_and_not_tighter_than_both() {
    let parsed = parse_condition("status = 'a' OR NOT status = 'b' AND version > 3").unwrap();
    let Some(Expression::Or(parts)) = parsed else {
        panic!("or")
    };
    let Expression::And(parts) = &parts[1] else {
        panic!("and")
    };
    assert!(matches!(parts[0], Expression::Not(_)));
}

#[test]
fn arithmetic_binds_as_usual_and_comparisons_loosest() {
    for (text, expected) in [
        ("1 + 2 * 3", json!(7)),
        ("(1 + 2) * 3", json!(9)),
        ("10 - 3 - 2", json!(5)),
        ("2 * 3 % 4", json!(2)),
        ("7 / 2", json!(3.5)),
        ("-2 + +1", json!(-1)),
        ("- -2", json!(2)),
        ("1 + 1 = 2", json!(true)),
        ("NOT 1 > 2", json!(true)),
        ("0x1F", json!(31)),
        ("1.5e3", json!(1500)),
        ("2E-1", json!(0.2)),
    ] {
        assert_eq!(value(text), Some(expected), "{text}");
    }
    for undefined in [
        "1 / 0",
        "1 + 'a'",
        "'a' + 'b'",
        "-true",
        "undefined",
        "1e308 * 10",
        "0 % 0",
    ] {
        assert_eq!(value(undefined), None, "{undefined}");
    }
}

#[test]
fn texts_know_escapes_and_doubled_quotes() {
    for (text, expected) in [
        (r#"'it\'s'"#, "it's"),
        ("'it''s'", "it's"),
        (r#""say \"x\"""#, r#"say "x""#),
        (r"'\\ \/ \b\f\n\r\t'", "\\ / \u{8}\u{c}\n\r\t"),
        (r"'\u00e4 \uD83D\uDE00'", "ä 😀"),
        ("''", ""),
        ("'it\"s'", "it\"s"),
    ] {
        assert_eq!(value(text), Some(json!(expected)), "{text}");
    }
}

#[test]
fn fields_without_a_name_get_one() {
    assert_eq!(
        names("SELECT DeviceID, tags.a.B, tags.list[0], properties.desired, properties.reported.x FROM devices"),
        ["deviceId", "B", "list", "properties.desired", "x"]
    );
    assert_eq!(
        names(
            "SELECT COUNT(), SUM(tags.a), AVG(tags.a) AS mean, MIN(tags.a) least, MAX(tags.a) AS [[great-est]] FROM devices"
        ),
        ["$1", "$2", "mean", "least", "great-est"]
    );
    assert_eq!(names("SELECT TOP 3 * FROM devices"), ["*"]);
    assert_eq!(
        names("SELECT tags.a AS value, 1 AS from_ FROM devices"),
        ["value", "from_"]
    );
}

#[test]
fn what_is_not_understood_is_refused_where_it_stands() {
    for (text, position) in [
        ("SELEC *", 0),
        ("", 0),
        ("SELECT", 6),
        ("SELECT *", 8),
        ("SELECT * FROM", 13),
        ("SELECT * FROM nothing", 14),
        ("SELECT * FROM devices.things", 14),
        ("SELECT FROM devices", 7),
        ("SELECT * FROM devices ORDER BY deviceId", 22),
        ("SELECT * FROM devices d ORDER BY deviceId", 24),
        ("SELECT DISTINCT tags.a FROM devices", 7),
        ("SELECT VALUE COUNT(1) FROM devices", 7),
        ("SELECT * FROM devices JOIN x IN devices.modules", 22),
        ("SELECT * FROM devices, devices.modules", 21),
        ("SELECT * FROM (SELECT * FROM devices)", 14),
        ("SELECT * FROM devices LIMIT 5", 22),
        ("SELECT * FROM devices WHERE nonsense = 1", 28),
        ("SELECT * FROM devices WHERE properties.other = 1", 28),
        ("SELECT * FROM devices WHERE tags.a LIKE 'x'", 35),
        ("SELECT * FROM devices WHERE tags.a BETWEEN 1 AND 2", 35),
        ("SELECT * FROM devices WHERE tags.ä = 'open", 37),
        ("SELECT * FROM devices WHERE tags.a = '\\q'", 38),
        ("SELECT * FROM devices WHERE tags.a = '\\ud800'", 38),
        ("SELECT * FROM devices WHERE tags.a == 1", 36),
        ("SELECT * FROM devices WHERE tags.a = 1 = 1", 39),
        ("SELECT * FROM devices WHERE tags.a = 12ab", 37),
        ("SELECT * FROM devices WHERE tags.a = 0x", 37),
        ("SELECT * FROM devices WHERE tags.a IN ('x')", 38),
        ("SELECT * FROM devices WHERE tags.a NOT 'x'", 39),
        ("SELECT * FROM devices WHERE tags.[[a = 1", 33),
        ("SELECT * FROM devices WHERE tags. = 1", 34),
        ("SELECT * FROM devices WHERE tags.a[x] = 1", 35),
        ("SELECT * FROM devices WHERE frobnicate(tags.a)", 28),
        ("SELECT * FROM devices WHERE COUNT() > 1", 28),
        ("SELECT * FROM devices WHERE IS_DEFINED()", 28),
        ("SELECT * FROM devices WHERE (tags.a = 1", 39),
        ("SELECT * FROM devices WHERE", 27),
        ("SELECT * FROM devices WHERE tags.a = 1;", 38),
        ("SELECT TOP x * FROM devices", 11),
        ("SELECT AVG() FROM devices", 11),
        ("SELECT AVG(1) FROM devices", 11),
        ("SELECT tags.a, properties.reported.a FROM devices", 15),
        ("SELECT deviceId, COUNT() AS n FROM devices", 7),
        ("SELECT deviceId, COUNT() AS n FROM devices GROUP BY tags.a", 7),
        ("SELECT * FROM devices GROUP BY tags.a", 7),
        ("SELECT COUNT() AS n FROM devices GROUP tags.a", 39),
        ("SELECT COUNT() AS n FROM devices.modules GROUP BY tags.a", 41),
        ("SELECT jobId FROM devices.jobs", 7),
        ("SELECT COUNT() AS n FROM devices.jobs", 7),
        ("SELECT * FROM devices.jobs WHERE tags.a = 1", 33),
        ("SELECT * FROM devices WHERE jobId = 'j'", 28),
    ] {
        let error = parse(text).map(|query| panic!("{text}: {query:?}")).unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
    }
}

#[test]
fn an_unknown_word_of_other_languages_is_named() {
    let error = parse("SELECT * FROM devices ORDER BY deviceId").unwrap_err();
    assert_eq!(
        error.to_string(),
        "IoT Hub's query language has no ORDER at character 23"
    );
}

#[test]
fn targets_say_whose_condition_they_are() {
    let target = parse_target("FROM devices.modules WHERE moduleId = 'm'").unwrap();
    assert_eq!((target.source, target.condition.is_some()), (Source::Modules, true));
    let target = parse_target("tags.a = 1").unwrap();
    assert_eq!((target.source, target.condition.is_some()), (Source::Devices, true));
    let target = parse_target("from devices").unwrap();
    assert_eq!((target.source, target.condition), (Source::Devices, None));
    for refused in [
        "*",
        "",
        "FROM devices.jobs WHERE jobId = 'j'",
        "SELECT * FROM devices",
        "tags.a = ",
    ] {
        assert!(parse_target(refused).is_err(), "{refused}");
    }
}

#[test]
fn nesting_and_length_have_their_limits() {
    let nested = |levels: usize| format!("{}tags.a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse_condition(&nested(MAX_NESTING - 1)).is_ok());
    assert!(parse_condition(&nested(MAX_NESTING)).is_err());
    for opening in ["(", "NOT ", "- ", "[ ", "ABS(", "tags.a IN [ "] {
        let text = opening.repeat(4000 / opening.len());
        assert!(
            parse_condition(&text).unwrap_err().message.contains("deep"),
            "{opening}"
        );
    }
    let terms = vec!["1"; 1000];
    assert!(parse_condition(&terms.join(" OR ")).is_ok());
    assert!(parse_condition(&terms.join("+")).is_err());
    let list = |length: usize| format!("[ {} ]", terms[..length].join(","));
    assert!(parse_condition(&format!("ARRAY_CONTAINS({}, 1)", list(MAX_LIST))).is_ok());
    assert!(parse_condition(&format!("ARRAY_CONTAINS({}, 1)", list(MAX_LIST + 1))).is_err());
    assert!(parse_condition(&format!("tags.a IN {}", list(1000))).is_ok());
    assert!(parse(&format!("SELECT * FROM devices{}", " ".repeat(8192))).is_err());
    // Characters, not bytes, count.
    assert!(parse(&format!("SELECT * FROM devices WHERE tags.a = '{}'", "ä".repeat(8000))).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}", nested in "[(\\[NOT '\"\\\\u.a=+*x0-9,-]{0,80}") {
        let _ = parse(&text);
        let _ = parse(&format!("SELECT * FROM devices WHERE {nested}"));
        let _ = parse(&format!("SELECT {nested} FROM devices"));
        let _ = parse_target(&text);
        let _ = parse_condition(&nested);
    }

    #[test]
    fn any_text_can_be_written_as_a_literal(text in "\\PC{0,20}") {
        let quoted = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        prop_assert_eq!(value(&quoted), Some(json!(text)));
        prop_assert_eq!(value(&json!(text).to_string()), Some(json!(text)));
    }
}
