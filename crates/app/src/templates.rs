//! Method calls and twin patches kept by name, with variables in their texts.
//!
//! A body is JSON; `{{name}}` stands inside its texts. Filling works on the parsed JSON, so what
//! comes out is always JSON and no value breaks out of its text. A text that is nothing but one
//! variable becomes what the value is when that reads as JSON: `"{{floor}}"` with 3 is the number
//! 3, with `"3"` the text.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::{
    App,
    error::{AppError, Code, Result},
    view::{NewTemplate, Template, TemplateCheck, TemplateUse, TemplateVariable, TwinSection},
};

const MAX_TEMPLATES: u32 = 200;
/// Characters of a template's name.
const MAX_NAME: usize = 100;
/// Bytes of a body: what a method's payload may have.
const MAX_BODY: usize = 128 * 1024;
const MAX_VARIABLES: usize = 32;
/// Bytes of a value.
const MAX_VALUE: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
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

fn parse(body: &str) -> Filled<Value> {
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).map_err(|error| TemplateError::NotJson {
        line: error.line(),
        column: error.column(),
    })
}

/// The variables of a body, each once, in the order of the text's names.
fn variables(body: &str) -> Filled<Vec<String>> {
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
fn fill(body: &str, values: &BTreeMap<String, String>) -> Filled<Value> {
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

/// The flows of Microsoft's tutorials.
fn built_in() -> Vec<Template> {
    let method = |name: &str, response_timeout_seconds| TemplateUse::Method {
        method_name: name.into(),
        response_timeout_seconds,
        connect_timeout_seconds: 0,
    };
    let template = |id: &str, name: &str, used, body: &str, variables: &[(&str, &str)]| Template {
        id: id.into(),
        built_in: true,
        template: NewTemplate {
            name: name.into(),
            used,
            body: body.into(),
            variables: variables
                .iter()
                .map(|(name, default)| TemplateVariable {
                    name: (*name).into(),
                    default: Some((*default).into()),
                })
                .collect(),
        },
    };
    let place = TemplateUse::Twin {
        section: TwinSection::Desired,
    };
    vec![
        template(
            "reboot",
            "Reboot",
            method("rebootDevice", 60),
            r#"{"method_number":"42"}"#,
            &[],
        ),
        template(
            "lock-door",
            "Lock the door",
            method("lockDoor", 30),
            r#"{"lockTime":"{{lockTime}}"}"#,
            &[("lockTime", "10m")],
        ),
        template(
            "door-place",
            "Building and floor",
            place,
            r#"{"building":"{{building}}","floor":"{{floor}}"}"#,
            &[("building", "43"), ("floor", "3")],
        ),
    ]
}

fn kind(used: &TemplateUse) -> &'static str {
    match used {
        TemplateUse::Method { .. } => "method",
        TemplateUse::Twin { .. } => "twin",
    }
}

/// Which variables a body has, while it is being written.
pub fn check_template(body: &str) -> TemplateCheck {
    match variables(body) {
        Ok(variables) => TemplateCheck {
            variables,
            problem: None,
        },
        Err(error) => TemplateCheck {
            variables: Vec::new(),
            problem: Some(AppError::from(error).to_string()),
        },
    }
}

impl App {
    /// The built-in ones first, then the person's own by name.
    pub async fn list_templates(&self) -> Result<Vec<Template>> {
        let mut templates = built_in();
        let own = self.0.db.call(|sql| {
            let mut statement = sql.prepare("SELECT id, document FROM templates ORDER BY name COLLATE NOCASE, id")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        for (id, document) in own.await? {
            if let Ok(template) = serde_json::from_str(&document) {
                templates.push(Template {
                    id: id.to_string(),
                    built_in: false,
                    template,
                });
            }
        }
        Ok(templates)
    }

    /// Keeps a template. One of the same kind and name is replaced only if `replace` says so.
    /// Variables that the body does not have are left out.
    pub async fn save_template(&self, mut template: NewTemplate, replace: bool) -> Result<Template> {
        template.name = template.name.trim().to_owned();
        check(&mut template)?;
        let document = serde_json::to_string(&template).unwrap_or_default();
        let (name, kind) = (template.name.clone(), kind(&template.used));
        if built_in()
            .iter()
            .any(|known| known.template.name == name && self::kind(&known.template.used) == kind)
        {
            return Err(taken(&name).hint("Choose another name; this one comes with Twindeck."));
        }
        let id = self
            .0
            .db
            .call(move |sql| store(sql, &name, kind, &document, replace))
            .await?;
        Ok(Template {
            id: id.to_string(),
            built_in: false,
            template,
        })
    }

    pub async fn delete_template(&self, id: String) -> Result<()> {
        let deleted = self
            .0
            .db
            .call(move |sql| Ok(sql.execute("DELETE FROM templates WHERE id = ?1", [id])?))
            .await?;
        if deleted == 0 {
            return Err(AppError::new(Code::NotFound, "There is no such template of your own."));
        }
        Ok(())
    }

    /// The body with these values, defaults where there is none, as JSON text; empty where the body
    /// is empty.
    pub async fn fill_template(&self, id: String, values: BTreeMap<String, String>) -> Result<String> {
        let templates = self.list_templates().await?;
        let found = templates.into_iter().find(|known| known.id == id);
        let NewTemplate { body, variables, .. } = found
            .ok_or_else(|| AppError::new(Code::NotFound, "This template is no longer kept."))?
            .template;
        if body.trim().is_empty() {
            return Ok(String::new());
        }
        if values.values().any(|value| value.len() > MAX_VALUE) {
            return Err(AppError::invalid(format!("A value has at most {MAX_VALUE} bytes.")));
        }
        let defaults = variables
            .into_iter()
            .filter_map(|variable| Some((variable.name, variable.default?)));
        let mut all: BTreeMap<String, String> = defaults.collect();
        all.extend(values);
        let value = fill(&body, &all)?;
        Ok(serde_json::to_string_pretty(&value).unwrap_or_default())
    }
}

fn taken(name: &str) -> AppError {
    AppError::new(
        Code::AlreadyExists,
        format!("There is a template called {name} already."),
    )
}

fn check(template: &mut NewTemplate) -> Result<()> {
    if template.name.is_empty() || template.name.chars().count() > MAX_NAME {
        return Err(AppError::invalid(format!(
            "A template's name has 1 to {MAX_NAME} characters."
        )));
    }
    if template.body.len() > MAX_BODY {
        return Err(AppError::invalid(format!("A template has at most {MAX_BODY} bytes.")));
    }
    let names = variables(&template.body)?;
    template.variables.retain(|variable| names.contains(&variable.name));
    for name in names {
        if !template.variables.iter().any(|variable| variable.name == name) {
            template.variables.push(TemplateVariable { name, default: None });
        }
    }
    if template
        .variables
        .iter()
        .any(|variable| variable.default.as_ref().is_some_and(|text| text.len() > MAX_VALUE))
    {
        return Err(AppError::invalid(format!("A value has at most {MAX_VALUE} bytes.")));
    }
    match &template.used {
        TemplateUse::Method { method_name, .. } if method_name.trim().is_empty() => {
            Err(AppError::invalid("A template of a call needs the method's name."))
        }
        TemplateUse::Twin { .. } if !parse(&template.body)?.is_object() => Err(AppError::invalid(
            "A template of a twin is a JSON object: what is to change.",
        )),
        _ => Ok(()),
    }
}

fn store(sql: &Connection, name: &str, kind: &str, document: &str, replace: bool) -> Result<u32> {
    let select = "SELECT id FROM templates WHERE kind = ?1 AND name = ?2";
    let known: Option<u32> = sql.query_row(select, [kind, name], |row| row.get(0)).optional()?;
    if let Some(id) = known {
        if !replace {
            return Err(taken(name).hint("Choose another name, or replace it."));
        }
        sql.execute(
            "UPDATE templates SET document = ?2 WHERE id = ?1",
            params![id, document],
        )?;
        return Ok(id);
    }
    let kept: u32 = sql.query_row("SELECT count(*) FROM templates", [], |row| row.get(0))?;
    if kept >= MAX_TEMPLATES {
        return Err(
            AppError::invalid(format!("At most {MAX_TEMPLATES} templates are kept."))
                .hint("Delete some that you no longer need."),
        );
    }
    sql.execute(
        "INSERT INTO templates (name, kind, document) VALUES (?1, ?2, ?3)",
        [name, kind, document],
    )?;
    Ok(u32::try_from(sql.last_insert_rowid()).unwrap_or(u32::MAX))
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

    #[test]
    fn the_built_in_templates_fill_from_their_defaults() {
        let filled: Vec<Value> = built_in()
            .into_iter()
            .map(|Template { template, .. }| {
                let defaults = template.variables.into_iter().map(|v| (v.name, v.default.unwrap()));
                fill(&template.body, &defaults.collect()).unwrap()
            })
            .collect();
        assert_eq!(
            filled,
            [
                json!({"method_number": "42"}),
                json!({"lockTime": "10m"}),
                json!({"building": 43, "floor": 3})
            ]
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
