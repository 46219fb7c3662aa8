//! Filling a template: pure.
//!
//! A body is JSON; `{{name}}` stands inside its texts. Filling works on the parsed JSON, so what
//! comes out is always JSON and no value breaks out of its text. A text that is nothing but one
//! variable becomes what the value is when that reads as JSON: `"{{floor}}"` with 3 is the number
//! 3, with `"3"` the text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::AppError;

const MAX_VARIABLES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("The template is not JSON: line {line}, column {column}.")]
    NotJson { line: usize, column: usize },
    #[error("The variable {0} has no value.")]
    Missing(String),
    #[error("{0:?} is a name with a variable; variables stand in values only.")]
    InName(String),
    #[error("A template has at most {MAX_VARIABLES} variables.")]
    TooMany,
}

type Filled<T> = std::result::Result<T, TemplateError>;

impl From<TemplateError> for AppError {
    fn from(error: TemplateError) -> Self {
        let hint = match &error {
            TemplateError::NotJson { .. } => "Variables stand in quotes, as in \"{{floor}}\".",
            TemplateError::Missing(_) => "Give it one, or a default in the template.",
            TemplateError::InName(_) => "Write the name out.",
            TemplateError::TooMany => "Make two templates of it.",
        };
        Self::invalid(error.to_string()).hint(hint)
    }
}

/// A piece of a text: as it stands, or a variable's name.
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// What is not a variable's name between braces stays as it stands.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain, mut from) = (0, 0);
    while let Some(start) = text[from..].find("{{").map(|at| from + at) {
        let Some((name, length)) = variable(&text[start..]) else {
            // Of `{{{a}}}` the inner braces are the variable's.
            from = start + 1;
            continue;
        };
        if plain < start {
            pieces.push(Piece::Text(&text[plain..start]));
        }
        pieces.push(Piece::Variable(name));
        plain = start + length;
        from = plain;
    }
    if plain < text.len() {
        pieces.push(Piece::Text(&text[plain..]));
    }
    pieces
}

/// The variable a text begins with, and how many bytes it takes.
fn variable(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix("{{")?.trim_start_matches(' ');
    let end = inner.find(|c: char| !is_name_char(c))?;
    let (name, rest) = inner.split_at(end);
    let rest = rest.trim_start_matches(' ').strip_prefix("}}")?;
    is_name(name).then_some((name, text.len() - rest.len()))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && (1..=64).contains(&name.len()) && name.chars().all(is_name_char)
}

pub(super) fn parse(body: &str) -> Filled<Value> {
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).map_err(|error| TemplateError::NotJson {
        line: error.line(),
        column: error.column(),
    })
}

/// The variables of a body, each once, in the order of the text's names.
pub(super) fn variables(body: &str) -> Filled<Vec<String>> {
    let mut names = Vec::new();
    collect(&parse(body)?, &mut names)?;
    if names.len() > MAX_VARIABLES {
        return Err(TemplateError::TooMany);
    }
    Ok(names)
}

fn collect(value: &Value, names: &mut Vec<String>) -> Filled<()> {
    match value {
        Value::String(text) => {
            for piece in pieces(text) {
                if let Piece::Variable(name) = piece
                    && !names.iter().any(|known| known == name)
                {
                    names.push(name.to_owned());
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, names)),
        Value::Object(object) => object.iter().try_for_each(|(key, value)| {
            if pieces(key).iter().any(|piece| matches!(piece, Piece::Variable(_))) {
                return Err(TemplateError::InName(key.clone()));
            }
            collect(value, names)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The body with its variables replaced. Values are not looked into for further variables.
pub(super) fn fill(body: &str, values: &BTreeMap<String, String>) -> Filled<Value> {
    variables(body)?;
    filled(parse(body)?, values)
}

fn filled(value: Value, values: &BTreeMap<String, String>) -> Filled<Value> {
    let of = |name: &str| values.get(name).ok_or_else(|| TemplateError::Missing(name.to_owned()));
    Ok(match value {
        Value::String(text) => match pieces(&text).as_slice() {
            [Piece::Variable(name)] => alone(of(name)?),
            pieces => {
                let mut whole = String::new();
                for piece in pieces {
                    whole.push_str(match piece {
                        Piece::Text(text) => text,
                        Piece::Variable(name) => of(name)?,
                    });
                }
                Value::String(whole)
            }
        },
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| filled(item, values))
                .collect::<Filled<_>>()?,
        ),
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(key, value)| Ok((key, filled(value, values)?)))
                .collect::<Filled<_>>()?,
        ),
        plain => plain,
    })
}

/// What a value is where nothing stands around it. A whole number too long for one would lose
/// digits, and is what such numbers are for: a text.
fn alone(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(Value::Number(number)) if number.is_f64() && !value.contains(['.', 'e', 'E']) => value.into(),
        Ok(parsed) => parsed,
        Err(_) => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn a_variable_alone_becomes_what_it_reads_as_and_inside_a_text_it_stays_text() {
        let body = r#"{"floor": "{{floor}}", "open": "{{ open }}", "at": "floor {{floor}}!", "list": ["{{floor}}"]}"#;
        assert_eq!(
            fill(body, &values(&[("floor", "3"), ("open", "true")])),
            Ok(json!({"floor": 3, "open": true, "at": "floor 3!", "list": [3]}))
        );
        assert_eq!(
            fill(body, &values(&[("floor", "\"3\""), ("open", "{\"from\": 8}")])),
            Ok(json!({"floor": "3", "open": {"from": 8}, "at": "floor \"3\"!", "list": ["3"]}))
        );
        let number = "89490200001234567890";
        assert_eq!(
            fill(r#"{"sim": "{{sim}}"}"#, &values(&[("sim", number)])),
            Ok(json!({"sim": number})),
            "no digit is lost"
        );
        assert_eq!(
            fill(r#"{"t": "{{t}}"}"#, &values(&[("t", "10m")])),
            Ok(json!({"t": "10m"}))
        );
    }

    #[test]
    fn what_is_wrong_is_said_plainly() {
        assert_eq!(
            fill(r#"{"a": "{{b}}"}"#, &values(&[])),
            Err(TemplateError::Missing("b".into()))
        );
        assert_eq!(
            fill(r#"{"{{a}}": 1}"#, &values(&[("a", "x")])),
            Err(TemplateError::InName("{{a}}".into()))
        );
        let error = AppError::from(fill("{\n\"a\": {{b}}}", &values(&[])).unwrap_err());
        assert!(error.message.contains("line 2"), "{error}");
        let many: Vec<String> = (0..=MAX_VARIABLES).map(|n| format!("\"{{{{v{n}}}}}\"")).collect();
        assert_eq!(variables(&format!("[{}]", many.join(","))), Err(TemplateError::TooMany));
    }

    #[test]
    fn braces_that_hold_no_name_stay_as_they_are() {
        let body = r#"["{{}}", "{{ two words }}", "{{1}}", "{{open", "{{{a}}}", "}}{{"]"#;
        assert_eq!(variables(body), Ok(vec!["a".to_owned()]));
        assert_eq!(
            fill(body, &values(&[("a", "x")])),
            Ok(json!(["{{}}", "{{ two words }}", "{{1}}", "{{open", "{x}", "}}{{"]))
        );
    }

    /// JSON whose texts hold variables, or what looks like some.
    fn body() -> impl Strategy<Value = Value> {
        let text = prop::collection::vec(
            prop_oneof![
                Just("{{a}}".to_owned()),
                Just("{{ b }}".to_owned()),
                Just("{{".to_owned()),
                Just("}}".to_owned()),
                any::<String>()
            ],
            0..4,
        );
        let leaf = prop_oneof![
            text.prop_map(|texts| Value::from(texts.concat())),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect())
            ]
        })
    }

    /// Objects keep their names, lists their lengths, and what is no text stays.
    fn alike(before: &Value, after: &Value) -> bool {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                before.len() == after.len()
                    && before
                        .iter()
                        .all(|(key, value)| after.get(key).is_some_and(|after| alike(value, after)))
            }
            (Value::Array(before), Value::Array(after)) => {
                before.len() == after.len() && before.iter().zip(after).all(|(before, after)| alike(before, after))
            }
            (Value::String(text), after) => match pieces(text).as_slice() {
                [Piece::Variable(_)] => true,
                _ => after.is_string(),
            },
            (before, after) => before == after,
        }
    }

    proptest! {
        #[test]
        fn a_value_never_breaks_out_of_its_text(body in body(), a in any::<String>(), b in any::<String>()) {
            let text = body.to_string();
            let names = variables(&text).unwrap().into_iter();
            let given = names.zip([a, b].into_iter().cycle()).collect();
            let filled = fill(&text, &given).unwrap();
            prop_assert!(alike(&body, &filled), "{body} {filled}");
            let again: Value = serde_json::from_str(&filled.to_string()).unwrap();
            prop_assert!(alike(&body, &again));
        }

        #[test]
        fn a_text_around_a_variable_holds_its_value_letter_by_letter(a in any::<String>()) {
            let filled = fill(r#"{"t": "<{{a}}>"}"#, &values(&[("a", &a)])).unwrap();
            prop_assert_eq!(filled, json!({"t": format!("<{a}>")}));
        }

        #[test]
        fn every_variable_of_a_body_is_needed_and_no_other(body in body()) {
            let text = body.to_string();
            let names = variables(&text).unwrap();
            let given: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), "1".into())).collect();
            prop_assert!(fill(&text, &given).is_ok());
            for name in &names {
                let mut less = given.clone();
                less.remove(name);
                prop_assert_eq!(fill(&text, &less), Err(TemplateError::Missing(name.clone())));
            }
        }

        #[test]
        fn no_text_makes_filling_panic(text in any::<String>()) {
            let _ = fill(&text, &BTreeMap::new());
            pieces(&text);
        }
    }
}
