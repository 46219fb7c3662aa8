//! What people type as a query, as a filter, or as the target of a job.
#![no_main]

use std::sync::LazyLock;

use hub_protocol::query::{
    Aggregate, Comparison, Expression, Item, ItemValue, Literal, MAX_LENGTH, Path, Query, QueryError, Segment,
    Selection, Source, Target, parse, parse_condition, parse_target,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(query) => {
            query_holds(&query);
            rows_hold(&query);
            local_hub::fuzzing::answer(&query);
        }
        Err(error) => error_holds(text, &error),
    }
    match parse_condition(text) {
        Ok(Some(condition)) => condition_holds(text, &condition),
        Ok(None) => assert!(matches!(text.trim(), "" | "*")),
        Err(error) => error_holds(text, &error),
    }
    match parse_target(text) {
        Ok(Target { source, .. }) => assert_ne!(source, Source::Jobs),
        Err(error) => error_holds(text, &error),
    }
});

/// An error points into the text.
fn error_holds(text: &str, error: &QueryError) {
    assert!(error.position <= text.chars().count(), "{error:?}");
    assert!(!error.message.is_empty());
}

/// Written in its plainest form, a query means the same.
fn query_holds(query: &Query) {
    let mut text = "SELECT ".to_owned();
    if let Some(top) = query.top {
        text.push_str(&format!("TOP {top} "));
    }
    match &query.selection {
        Selection::All => text.push('*'),
        Selection::Items(items) => text.push_str(&items.iter().map(item).collect::<Vec<_>>().join(", ")),
    }
    text.push_str(match query.source {
        Source::Devices => " FROM devices",
        Source::Modules => " FROM devices.modules",
        Source::Jobs => " FROM devices.jobs",
    });
    if let Some(condition) = &query.condition {
        text.push_str(&format!(" WHERE {}", written(condition)));
    }
    if !query.group_by.is_empty() {
        let paths: Vec<String> = query.group_by.iter().map(path_text).collect();
        text.push_str(&format!(" GROUP BY {}", paths.join(", ")));
    }
    reads_as(&text, query);
    reads_as(&text.replacen("SELECT", "select\n", 1), query);
}

fn reads_as(text: &str, query: &Query) {
    // Its plainest form is longer than what was typed, and so may be too long or nested too deeply.
    match parse(text) {
        Ok(again) => assert_eq!(&again, query, "{text}"),
        Err(error) => assert!(
            text.chars().count() > MAX_LENGTH || error.message.contains("nested"),
            "{error}: {text}"
        ),
    }
}

/// Its answer is made of the rows that its condition keeps.
fn rows_hold(query: &Query) {
    let answer = query.select(&ROWS);
    let kept = |row: &&Value| query.condition.as_ref().is_none_or(|condition| condition.matches(row));
    let kept: Vec<&Value> = ROWS.iter().filter(kept).collect();
    let top = query
        .top
        .map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX));
    match &query.selection {
        Selection::All => assert!(answer.iter().eq(kept.into_iter().take(top))),
        Selection::Items(_) if !query.is_aggregate() => assert_eq!(answer.len(), kept.len().min(top)),
        Selection::Items(_) if !query.group_by.is_empty() => assert!(answer.len() <= kept.len().min(top)),
        Selection::Items(items) => {
            assert_eq!(answer.len(), top.min(1), "without GROUP BY there is one row");
            for (item, row) in items.iter().zip(answer.iter().cycle()) {
                if let ItemValue::Aggregate(Aggregate::Count, path) = &item.value {
                    let counts = |row: &&&Value| path.as_ref().is_none_or(|path| path.value(row).is_some());
                    assert_eq!(row[&item.name[0]], json!(kept.iter().filter(counts).count()));
                }
            }
        }
    }
}

/// A filter is what stands after WHERE; it and its opposite never keep the same row.
fn condition_holds(text: &str, condition: &Expression) {
    let Ok(query) = parse(&format!("SELECT * FROM devices WHERE {text}")) else {
        assert!(text.len() + 28 > MAX_LENGTH);
        return;
    };
    assert_eq!(query.condition.as_ref(), Some(condition));
    assert_eq!(query.selection, Selection::All);
    let opposite = Expression::Not(Box::new(condition.clone()));
    let either = Expression::Or(vec![condition.clone(), opposite.clone()]);
    let twice = Expression::Not(Box::new(opposite.clone()));
    for row in ROWS.iter() {
        let keeps = condition.matches(row);
        assert!(!keeps || !opposite.matches(row));
        assert_eq!(either.matches(row), keeps || opposite.matches(row));
        assert_eq!(twice.matches(row), keeps);
    }
}

/// What conditions are tried on: every kind of value where seeds look, and nothing at all.
static ROWS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    vec![
        json!({ "deviceId": "sim-1", "status": "enabled", "version": 3, "capabilities": { "iotEdge": true },
            "tags": { "a": 1, "n": 5.5, "s": "xyz", "hall": "B", "x": true, "list": [1, "x", null, { "k": 2 }] },
            "properties": { "desired": { "$version": 4 }, "reported": { "temp": 41, "state": "ok", "$version": 9 } } }),
        json!({ "deviceId": "gw1", "moduleId": "$edgeAgent", "status": "disabled", "version": 9,
            "tags": { "a": "1", "n": -1500, "s": "", "x": null, "list": [] }, "parentScopes": ["ms-azure-iot-edge://gw-1"],
            "properties": { "desired": { "$version": 1 }, "reported": { "temp": "hot", "$version": 1 } } }),
        json!({ "tags": { "a": { "b": { "c": null } }, "a-b": { "c": null } }, "configurations": { "cfg-1": { "status": "Applied" } } }),
        json!({}),
    ]
});

fn item(item: &Item) -> String {
    let value = match &item.value {
        ItemValue::Expression(expression) => written(expression),
        ItemValue::Aggregate(aggregate, path) => {
            let name = match aggregate {
                Aggregate::Count => "COUNT",
                Aggregate::Sum => "SUM",
                Aggregate::Average => "AVG",
                Aggregate::Least => "MIN",
                Aggregate::Greatest => "MAX",
            };
            format!("{name}({})", path.as_ref().map(path_text).unwrap_or_default())
        }
    };
    match item.name.as_slice() {
        [name] => format!("{value} AS [[{name}]]"),
        // Nested only without a name of its own.
        _ => value,
    }
}

fn written(expression: &Expression) -> String {
    let joined = |parts: &[Expression], between: &str| parts.iter().map(written).collect::<Vec<_>>().join(between);
    match expression {
        Expression::Literal(literal) => literal_text(literal),
        Expression::Path(path) => path_text(path),
        Expression::List(parts) => format!("[ {} ]", joined(parts, ", ")),
        Expression::And(parts) => format!("({})", joined(parts, " AND ")),
        Expression::Or(parts) => format!("({})", joined(parts, " OR ")),
        Expression::Not(part) => format!("(NOT {})", written(part)),
        Expression::Compare(left, comparison, right) => {
            format!("({} {} {})", written(left), sign(*comparison), written(right))
        }
        Expression::In { value, list, negated } => {
            let word = if *negated { "NIN" } else { "IN" };
            format!("({} {word} [ {} ])", written(value), joined(list, ", "))
        }
        Expression::Arithmetic(first, rest) => {
            let rest = rest
                .iter()
                .map(|(operator, part)| format!(" {} {}", operator.symbol(), written(part)));
            format!("({}{})", written(first), rest.collect::<String>())
        }
        Expression::Call(function, parts) => format!("{}({})", function.name(), joined(parts, ", ")),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// The first segment is a known root; every other key stands in brackets.
fn path_text(Path(segments): &Path) -> String {
    let part = |(place, segment): (usize, &Segment)| match segment {
        Segment::Key(key) if place == 0 => key.clone(),
        Segment::Key(key) => format!(".[[{key}]]"),
        Segment::Index(index) => format!("[{index}]"),
    };
    segments.iter().enumerate().map(part).collect()
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Undefined => "undefined".into(),
        Literal::Null => "null".into(),
        Literal::Bool(value) => value.to_string(),
        Literal::Number(number) => format!("{number}"),
        Literal::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}
