//! The language's functions and arithmetic inside SQLite: hub-protocol's own code.

use std::hash::{DefaultHasher, Hash, Hasher};

use hub_protocol::{
    query::{Function, Operator, arithmetic, number},
    twin::twin_etag,
};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    types::{Value as Sql, ValueRef},
};
use serde_json::Value;

use super::sql::Form;
use crate::store::identities::identity_etag;

/// Every connection that runs queries needs them.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("hub_function", -1, flags, |context| {
        let function = Function::ALL.get(context.get::<usize>(0)?);
        let arguments = values(context, 1)?;
        let arguments: Vec<_> = arguments.iter().map(Option::as_ref).collect();
        Ok(function.and_then(|function| function.call(&arguments)).map(to_sql))
    })?;
    connection.create_scalar_function("hub_arithmetic", -1, flags, |context| {
        let value = |index| Ok::<_, rusqlite::Error>(read(Form::Number, context.get_raw(index)));
        let mut rest = Vec::new();
        for index in (1..context.len()).step_by(2) {
            let operator = Operator::ALL.get(context.get::<usize>(index)?);
            rest.push((operator.copied().unwrap_or(Operator::Add), value(index + 1)?));
        }
        let rest = rest.iter().map(|(operator, value)| (*operator, value.as_ref()));
        Ok(arithmetic(value(0)?.as_ref(), rest).map(to_sql))
    })?;
    connection.create_scalar_function("hub_list", -1, flags, |context| {
        let items = values(context, 0)?.into_iter().map(Option::unwrap_or_default);
        Ok(Value::Array(items.collect()).to_string())
    })?;
    connection.create_scalar_function("hub_group", -1, flags, |context| {
        let values = (0..context.len()).step_by(2).map(|index| {
            let kind = context.get_raw(index).as_str().unwrap_or_default();
            grouped(kind, context.get_raw(index + 1))
        });
        Ok(group_key(&values.collect::<Vec<_>>()))
    })?;
    connection.create_scalar_function("hub_twin_etag", 1, flags, |context| Ok(twin_etag(context.get(0)?)))?;
    connection.create_scalar_function("hub_identity_etag", 1, flags, |context| {
        Ok(identity_etag(context.get(0)?))
    })
}

/// Arguments from `from` on: pairs of a form's number and a value.
fn values(context: &Context<'_>, from: usize) -> rusqlite::Result<Vec<Option<Value>>> {
    let mut values = Vec::with_capacity((context.len() - from) / 2);
    for index in (from..context.len()).step_by(2) {
        let form = Form::ALL.get(context.get::<usize>(index)?);
        values.push(read(*form.unwrap_or(&Form::Undefined), context.get_raw(index + 1)));
    }
    Ok(values)
}

/// What a column of this form holds; `None` for undefined.
pub(super) fn read(form: Form, value: ValueRef<'_>) -> Option<Value> {
    match (form, value) {
        (Form::Null, _) => Some(Value::Null),
        (Form::Bool, ValueRef::Integer(value)) => Some(Value::Bool(value != 0)),
        (Form::Number | Form::Any, ValueRef::Integer(value)) => Some(Value::from(value)),
        (Form::Number | Form::Any, ValueRef::Real(value)) => number(value),
        (Form::String | Form::Any, ValueRef::Text(text)) => Some(String::from_utf8_lossy(text).into()),
        (Form::Json, ValueRef::Text(text)) => serde_json::from_slice(text).ok(),
        _ => None,
    }
}

/// What a group has in common, by its kind; `None` for undefined.
fn grouped(kind: &str, value: ValueRef<'_>) -> Option<Value> {
    match kind {
        "null" => Some(Value::Null),
        "true" | "false" | "bool" => read(Form::Bool, value),
        "integer" => read(Form::Number, value),
        "text" => read(Form::String, value),
        "array" | "object" => read(Form::Json, value),
        _ => None,
    }
}

/// Functions answer truths, numbers and texts.
fn to_sql(value: Value) -> Sql {
    match value {
        Value::Bool(value) => Sql::Integer(value.into()),
        Value::Number(number) => number.as_f64().map_or(Sql::Null, Sql::Real),
        Value::String(text) => Sql::Text(text),
        _ => Sql::Null,
    }
}

/// A short text that is equal for equal values and sorts by type, then value: null, truths,
/// numbers, texts, the rest, and what is undefined last.
fn group_key(values: &[Option<Value>]) -> String {
    const LONG: usize = 160;
    let mut key = String::new();
    for value in values {
        match value {
            Some(Value::Null) => key.push('1'),
            Some(Value::Bool(value)) => key.push_str(if *value { "3" } else { "2" }),
            Some(Value::Number(value)) => {
                // Flipped so that the bits of greater numbers are greater.
                let bits = (value.as_f64().unwrap_or_default() + 0.0).to_bits();
                let bits = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                key.push_str(&format!("4{bits:016x}"));
            }
            Some(Value::String(text)) => key.push_str(&format!("5{text}")),
            Some(other) => key.push_str(&format!("6{other}")),
            None => key.push('7'),
        }
        key.push('\u{1}');
    }
    if key.len() > LONG {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let cut = (0..=LONG).rev().find(|at| key.is_char_boundary(*at)).unwrap_or(0);
        key.truncate(cut);
        key.push_str(&format!("\u{1}{:016x}", hasher.finish()));
    }
    key
}
