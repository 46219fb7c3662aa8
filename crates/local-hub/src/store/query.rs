//! Queries: the typed tree to SQL.
//!
//! SQL's NULL stands for "undefined": every operand is made NULL unless it has the literal's
//! type, comparisons with NULL are NULL, and WHERE keeps only true. That is the language's own
//! three-valued logic.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hub_protocol::{
    ErrorCode, HubError,
    query::{Comparison, Condition, Literal, MAX_PAGE, Path, Query, Selection},
    twin::Twin,
};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{identities::MESSAGE_COUNT, twins};
use crate::error::StoreError;

pub(crate) enum Rows {
    Twins(Vec<Twin>),
    Raw(Vec<serde_json::Value>),
}

pub(crate) struct Page {
    pub rows: Rows,
    /// Opaque; stays true while rows come and go, because it names the last id seen.
    pub continuation: Option<String>,
}

pub(crate) fn run(
    connection: &Connection,
    query: &Query,
    page_size: Option<usize>,
    continuation: Option<&str>,
) -> Result<Page, StoreError> {
    let mut sql = Sql::default();
    let condition = match &query.condition {
        Some(condition) => sql.condition(condition)?,
        None => "1".into(),
    };
    match &query.selection {
        Selection::Count { name } => {
            let text = format!("SELECT count(*) FROM identities WHERE module_id = '' AND ({condition})");
            let count: u64 = connection
                .prepare(&text)?
                .query_row(params_from_iter(sql.values), |row| row.get(0))?;
            let row = serde_json::json!({ name.as_str(): count });
            Ok(Page {
                rows: Rows::Raw(vec![row]),
                continuation: None,
            })
        }
        Selection::Twins => {
            let size = page_size.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
            let after = sql.bind(Value::Text(after(continuation)?));
            let columns = twins::COLUMNS;
            // One row more than the page tells whether another page follows.
            let text = format!(
                "SELECT {columns}, {MESSAGE_COUNT} FROM identities
                 WHERE module_id = '' AND device_id > {after} AND ({condition}) ORDER BY device_id LIMIT {}",
                size + 1
            );
            let mut statement = connection.prepare(&text)?;
            let rows = statement.query_map(params_from_iter(sql.values), twins::from_row)?;
            let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
            let more = rows.len() > size;
            rows.truncate(size);
            let continuation = rows
                .last()
                .filter(|_| more)
                .map(|twin| BASE64.encode(twin.device_id.as_str()));
            Ok(Page {
                rows: Rows::Twins(rows),
                continuation,
            })
        }
    }
}

fn after(continuation: Option<&str>) -> Result<String, HubError> {
    let Some(token) = continuation else {
        return Ok(String::new());
    };
    let id = BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    id.ok_or_else(|| {
        HubError::new(
            ErrorCode::ArgumentInvalid,
            "The continuation token is not one of this hub's.",
        )
    })
}

#[derive(Default)]
struct Sql {
    values: Vec<Value>,
}

/// Where a path leads.
enum Operand {
    /// A column of SQL type TEXT or INTEGER.
    Text(&'static str),
    Integer(&'static str),
    /// A JSON column and a bound path into it.
    Json {
        column: &'static str,
        path: String,
    },
}

impl Sql {
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn condition(&mut self, condition: &Condition) -> Result<String, HubError> {
        Ok(match condition {
            Condition::And(left, right) => format!("({} AND {})", self.condition(left)?, self.condition(right)?),
            Condition::Or(left, right) => format!("({} OR {})", self.condition(left)?, self.condition(right)?),
            Condition::Not(inner) => format!("(NOT {})", self.condition(inner)?),
            Condition::Compare {
                path,
                comparison,
                literal,
            } => {
                let operand = self.operand(path)?;
                self.compare(&operand, *comparison, literal)
            }
            Condition::In {
                path,
                literals,
                negated,
            } => {
                let operand = self.operand(path)?;
                let items: Vec<_> = literals
                    .iter()
                    .map(|literal| self.compare(&operand, Comparison::Equal, literal))
                    .collect();
                // Of another type than an item is "not equal" here, not "undefined".
                let any = items
                    .iter()
                    .map(|item| format!("coalesce({item}, 0)"))
                    .collect::<Vec<_>>()
                    .join(" OR ");
                let any = if any.is_empty() { "0".to_owned() } else { any };
                let not = if *negated { "NOT " } else { "" };
                format!("CASE WHEN {} THEN {not}({any}) END", defined(&operand))
            }
            Condition::IsDefined(path) => {
                let operand = self.operand(path)?;
                format!("({})", defined(&operand))
            }
            Condition::StartsWith { path, prefix } => {
                let (text, part) = self.text_and_part(path, prefix)?;
                format!("(substr({text}, 1, length({part})) = {part})")
            }
            Condition::EndsWith { path, suffix } => {
                let (text, part) = self.text_and_part(path, suffix)?;
                format!(
                    "(length({text}) >= length({part}) AND substr({text}, length({text}) - length({part}) + 1) = {part})"
                )
            }
            Condition::Contains { path, part } => {
                let (text, part) = self.text_and_part(path, part)?;
                format!("(instr({text}, {part}) > 0)")
            }
        })
    }

    fn text_and_part(&mut self, path: &Path, part: &str) -> Result<(String, String), HubError> {
        let operand = self.operand(path)?;
        Ok((typed_text(&operand), self.bind(Value::Text(part.to_owned()))))
    }

    fn compare(&mut self, operand: &Operand, comparison: Comparison, literal: &Literal) -> String {
        let sign = match comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        match literal {
            Literal::String(text) => format!(
                "({} {sign} {})",
                typed_text(operand),
                self.bind(Value::Text(text.clone()))
            ),
            Literal::Number(number) => {
                let typed = match operand {
                    Operand::Text(_) => "NULL".to_owned(),
                    Operand::Integer(column) => (*column).to_owned(),
                    Operand::Json { column, path } => format!(
                        "CASE WHEN json_type({column}, {path}) IN ('integer', 'real') THEN json_extract({column}, {path}) END"
                    ),
                };
                format!("({typed} {sign} {})", self.bind(Value::Real(*number)))
            }
            Literal::Bool(value) => {
                let typed = match operand {
                    Operand::Json { column, path } => {
                        format!("CASE json_type({column}, {path}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END")
                    }
                    _ => "NULL".to_owned(),
                };
                format!("({typed} {sign} {})", i32::from(*value))
            }
            Literal::Null => match operand {
                Operand::Json { column, path } => {
                    format!("(CASE json_type({column}, {path}) WHEN 'null' THEN 1 END {sign} 1)")
                }
                Operand::Text(column) | Operand::Integer(column) => {
                    format!("(CASE WHEN {column} IS NULL THEN 1 END {sign} 1)")
                }
            },
        }
    }

    fn operand(&mut self, path: &Path) -> Result<Operand, HubError> {
        let segments: Vec<&str> = path.0.iter().map(String::as_str).collect();
        let (column, rest) = match segments.as_slice() {
            ["deviceId"] => return Ok(Operand::Text("device_id")),
            ["status"] => return Ok(Operand::Text("status")),
            ["statusReason"] => return Ok(Operand::Text("status_reason")),
            ["connectionState"] => return Ok(Operand::Text("connection_state")),
            ["lastActivityTime"] => return Ok(Operand::Text("last_activity")),
            ["modelId"] => return Ok(Operand::Text("model_id")),
            ["version"] => return Ok(Operand::Integer("version")),
            ["authenticationType"] => ("authentication", ["type"].as_slice()),
            ["properties", "desired", "$version"] => return Ok(Operand::Integer("desired_version")),
            ["properties", "reported", "$version"] => return Ok(Operand::Integer("reported_version")),
            ["properties", "desired", "$metadata", rest @ ..] => ("desired_metadata", rest),
            ["properties", "reported", "$metadata", rest @ ..] => ("reported_metadata", rest),
            ["properties", "desired", rest @ ..] => ("desired", rest),
            ["properties", "reported", rest @ ..] => ("reported", rest),
            ["tags", rest @ ..] => ("tags", rest),
            ["capabilities", rest @ ..] => ("capabilities", rest),
            other => {
                let text = format!("{} is not a field a query can use.", other.join("."));
                return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
            }
        };
        if rest.iter().any(|segment| segment.contains('"')) {
            return Err(HubError::new(
                ErrorCode::ArgumentInvalid,
                "A field name may not contain a double quote.",
            ));
        }
        let path: String = rest.iter().map(|segment| format!(".\"{segment}\"")).collect();
        Ok(Operand::Json {
            column,
            path: self.bind(Value::Text(format!("${path}"))),
        })
    }
}

fn defined(operand: &Operand) -> String {
    match operand {
        Operand::Text(column) | Operand::Integer(column) => format!("{column} IS NOT NULL"),
        Operand::Json { column, path } => format!("json_type({column}, {path}) IS NOT NULL"),
    }
}

/// The operand as a text, NULL when it is anything else.
fn typed_text(operand: &Operand) -> String {
    match operand {
        Operand::Text(column) => (*column).to_owned(),
        Operand::Integer(_) => "NULL".into(),
        Operand::Json { column, path } => {
            format!("CASE json_type({column}, {path}) WHEN 'text' THEN json_extract({column}, {path}) END")
        }
    }
}
