//! What people type as a query or as a filter.
#![no_main]

use hub_protocol::query::{
    Comparison, Condition, Literal, MAX_LENGTH, Path, Query, QueryError, Selection, parse, parse_condition,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(query) => query_holds(&query),
        Err(error) => error_holds(text, &error),
    }
    match parse_condition(text) {
        Ok(Some(condition)) => condition_holds(text, &condition),
        Ok(None) => assert!(matches!(text.trim(), "" | "*")),
        Err(error) => error_holds(text, &error),
    }
});

/// An error points into the text, at a character.
fn error_holds(text: &str, error: &QueryError) {
    let inside = error.position <= text.len() && text.is_char_boundary(error.position);
    assert!(inside || text.len() > MAX_LENGTH, "{error:?}");
    assert!(!error.message.is_empty());
}

/// Written in its plainest form, a query means the same.
fn query_holds(query: &Query) {
    let selection = match &query.selection {
        Selection::Twins => "*".to_owned(),
        Selection::Count { name } => format!("COUNT() AS [[{name}]]"),
    };
    let mut text = format!("SELECT {selection} FROM devices");
    if let Some(condition) = &query.condition {
        text.push_str(" WHERE ");
        text.push_str(&written(condition));
    }
    reads_as(&text, query);
    reads_as(
        &text.replacen("SELECT", "select", 1).replacen("FROM", "\nfrom", 1),
        query,
    );
}

fn reads_as(text: &str, query: &Query) {
    // Its plainest form is longer than what was typed, and so may be too long or nested too deeply.
    match parse(text) {
        Ok(again) => assert_eq!(&again, query, "{text}"),
        Err(error) => assert!(
            text.len() > MAX_LENGTH || error.message.contains("nested"),
            "{error}: {text}"
        ),
    }
}

/// A filter is what stands after WHERE.
fn condition_holds(text: &str, condition: &Condition) {
    let Ok(query) = parse(&format!("SELECT * FROM devices WHERE {text}")) else {
        assert!(text.len() + 28 > MAX_LENGTH);
        return;
    };
    assert_eq!(query.condition.as_ref(), Some(condition));
    assert_eq!(query.selection, Selection::Twins);
}

fn written(condition: &Condition) -> String {
    match condition {
        Condition::And(left, right) => format!("({} AND {})", written(left), written(right)),
        Condition::Or(left, right) => format!("({} OR {})", written(left), written(right)),
        Condition::Not(inner) => format!("NOT {}", written(inner)),
        Condition::Compare {
            path,
            comparison,
            literal,
        } => {
            let (sign, mirrored) = (sign(*comparison), sign(comparison.mirrored()));
            assert_eq!(comparison.mirrored().mirrored(), *comparison);
            let (path, literal) = (path_text(path), literal_text(literal));
            // Either side may stand first.
            if literal.len() % 2 == 0 {
                format!("{path} {sign} {literal}")
            } else {
                format!("{literal} {mirrored} {path}")
            }
        }
        Condition::In {
            path,
            literals,
            negated,
        } => {
            let literals: Vec<String> = literals.iter().map(literal_text).collect();
            let word = if *negated { "NIN" } else { "IN" };
            format!("{} {word} [{}]", path_text(path), literals.join(", "))
        }
        Condition::IsDefined(path) => format!("IS_DEFINED({})", path_text(path)),
        Condition::StartsWith { path, prefix } => format!("STARTSWITH({}, {})", path_text(path), quoted(prefix)),
        Condition::EndsWith { path, suffix } => format!("ENDSWITH({}, {})", path_text(path), quoted(suffix)),
        Condition::Contains { path, part } => format!("CONTAINS({}, {})", path_text(path), quoted(part)),
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
    let mut text = segments[0].clone();
    for key in &segments[1..] {
        text.push_str(&format!(".[[{key}]]"));
    }
    text
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => quoted(text),
        Literal::Number(number) => format!("{number}"),
        Literal::Bool(value) => value.to_string(),
        Literal::Null => "null".into(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
