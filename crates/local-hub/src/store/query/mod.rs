//! Queries over twins and device jobs: pages of rows, found by SQLite.

mod fields;
mod functions;
mod page;
mod sql;

use hub_protocol::{
    ClientId,
    query::{Aggregate, Expression, Item, ItemValue, MAX_PAGE, Query, Selection, Source, Target},
    twin::Twin,
};
use rusqlite::{Connection, Row, Statement, params_from_iter, types::Value as Sql};
use serde_json::{Map, Value};

pub(crate) use functions::register;
use page::Position;
use sql::{Form, Operand, Translation};

use super::{devices::MESSAGE_COUNT, twins};
use crate::error::StoreError;

pub(crate) enum Rows {
    Twins(Vec<Twin>),
    Raw(Vec<Value>),
    DeviceJobs(Vec<Value>),
}

pub(crate) struct Page {
    pub rows: Rows,
    /// Opaque; stays true while rows come and go, because it names the last row seen.
    pub continuation: Option<String>,
}

/// One page: `page_size` rows at most, and never more than [`MAX_PAGE`].
pub(crate) fn run(
    connection: &Connection,
    query: &Query,
    page_size: Option<usize>,
    continuation: Option<&str>,
) -> Result<Page, StoreError> {
    let mut translation = Translation::new(query.source);
    let scope = scope(&mut translation, query.source, query.condition.as_ref());
    let mut rest = format!("FROM {scope}");
    let keys: Vec<String> = if query.is_aggregate() {
        let groups: Vec<Operand> = query.group_by.iter().map(|path| translation.path(path)).collect();
        if !groups.is_empty() {
            let by: Vec<String> = groups.iter().flat_map(Operand::group).collect();
            rest.push_str(&format!(" GROUP BY {} HAVING 1", by.join(", ")));
        }
        let key = (!groups.is_empty()).then(|| format!("hub_group({})", sql::arguments(&groups)));
        key.into_iter().collect()
    } else {
        order(query.source).iter().map(|key| (*key).to_owned()).collect()
    };
    let position = Position::read(query, keys.len(), continuation)?;
    let size = position.size(query, page_size.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE));
    if !position.after.is_empty() {
        let after: Vec<String> = position
            .after
            .iter()
            .map(|key| translation.bind(Sql::Text(key.clone())))
            .collect();
        rest.push_str(&format!(" AND ({}) > ({})", keys.join(", "), after.join(", ")));
    }
    if !keys.is_empty() {
        rest.push_str(&format!(" ORDER BY {}", keys.join(", ")));
    }
    // One row more than the page tells whether another page follows.
    rest.push_str(&format!(" LIMIT {}", size + 1));

    let mut read = Reading {
        connection,
        keys: &keys,
        rest,
        size,
        last: None,
    };
    let rows = match &query.selection {
        Selection::All if query.source == Source::Jobs => {
            Rows::DeviceJobs(read.rows(&translation.values, JOB_COLUMNS, device_job)?)
        }
        Selection::All => {
            let columns = format!("{}, {MESSAGE_COUNT}", twins::COLUMNS);
            Rows::Twins(read.rows(&translation.values, &columns, twins::from_row)?)
        }
        Selection::Items(items) => {
            let columns: Vec<(Form, String)> = items.iter().map(|item| column(&mut translation, item)).collect();
            let list: Vec<&str> = columns.iter().map(|(_, sql)| sql.as_str()).collect();
            let raw = |row: &Row<'_>| {
                let mut object = Map::new();
                for (index, (item, (form, _))) in items.iter().zip(&columns).enumerate() {
                    if let Some(value) = functions::read(*form, row.get_ref(index)?) {
                        item.place(&mut object, value);
                    }
                }
                Ok(Value::Object(object))
            };
            Rows::Raw(read.rows(&translation.values, &list.join(", "), raw)?)
        }
    };
    let continuation = read.last.and_then(|last| position.token(query, size, last));
    Ok(Page { rows, continuation })
}

/// Everyone whom a job or a configuration is for, in order.
pub(crate) fn targets(connection: &Connection, target: &Target) -> Result<Vec<ClientId>, StoreError> {
    let mut translation = Translation::new(target.source);
    let scope = scope(&mut translation, target.source, target.condition.as_ref());
    let text = format!("SELECT device_id, module_id FROM {scope} ORDER BY device_id, module_id");
    let mut statement = connection.prepare(&text)?;
    let rows = statement.query_map(params_from_iter(used(&translation.values, &statement)), |row| {
        let module: String = row.get(1)?;
        ClientId::new(
            &row.get::<_, String>(0)?,
            Some(module.as_str()).filter(|id| !id.is_empty()),
        )
        .map_err(|_| rusqlite::Error::InvalidQuery)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The rows of a source that meet a condition.
fn scope(translation: &mut Translation, source: Source, condition: Option<&Expression>) -> String {
    let table = match source {
        Source::Devices => "identities WHERE module_id = ''",
        Source::Modules => "identities WHERE module_id <> ''",
        Source::Jobs => "device_jobs WHERE 1",
    };
    match condition {
        Some(condition) => format!("{table} AND {}", translation.operand(condition).truth()),
        None => table.to_owned(),
    }
}

/// What rows are sorted by, and a continuation goes on after.
fn order(source: Source) -> &'static [&'static str] {
    match source {
        Source::Devices => &["device_id"],
        Source::Modules => &["device_id", "module_id"],
        Source::Jobs => &["job_id", "device_id", "module_id"],
    }
}

/// A statement of which everything but its columns is known.
struct Reading<'a> {
    connection: &'a Connection,
    keys: &'a [String],
    rest: String,
    size: usize,
    /// The keys of the page's last row, if another page follows.
    last: Option<Vec<String>>,
}

impl Reading<'_> {
    fn rows<T>(
        &mut self,
        values: &[Sql],
        columns: &str,
        from_row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let keys: String = self
            .keys
            .iter()
            .enumerate()
            .map(|(n, key)| format!(", {key} AS key_{n}"))
            .collect();
        let mut statement = self
            .connection
            .prepare(&format!("SELECT {columns}{keys} {}", self.rest))?;
        let mut found = statement.query(params_from_iter(used(values, &statement)))?;
        let (mut rows, mut last) = (Vec::new(), Vec::new());
        while let Some(row) = found.next()? {
            if rows.len() == self.size {
                self.last = Some(last).filter(|_| self.size > 0);
                break;
            }
            rows.push(from_row(row)?);
            let keys = (0..self.keys.len()).map(|n| row.get(format!("key_{n}").as_str()));
            last = keys.collect::<Result<_, _>>()?;
        }
        Ok(rows)
    }
}

/// What stands where it can only be undefined is left out of the SQL, its parameters too.
fn used<'a>(values: &'a [Sql], statement: &Statement<'_>) -> &'a [Sql] {
    &values[..statement.parameter_count().min(values.len())]
}

fn column(translation: &mut Translation, item: &Item) -> (Form, String) {
    let (aggregate, path) = match &item.value {
        ItemValue::Expression(expression) => return translation.operand(expression).column(),
        ItemValue::Aggregate(aggregate, path) => (aggregate, path),
    };
    let operand = path.as_ref().map(|path| translation.path(path));
    let sql = match (aggregate, &operand) {
        (Aggregate::Count, Some(operand)) => format!("count(nullif({}, 0))", operand.is_defined()),
        (_, None) => "count(*)".into(),
        // As floating point, for sums of whole numbers may pass SQLite's.
        (Aggregate::Sum, Some(operand)) => format!("sum(CAST({} AS REAL))", operand.number()),
        (Aggregate::Average, Some(operand)) => format!("avg(CAST({} AS REAL))", operand.number()),
        (Aggregate::Least, Some(operand)) => format!("coalesce(min({}), min({}))", operand.number(), operand.string()),
        (Aggregate::Greatest, Some(operand)) => {
            format!("coalesce(max({}), max({}))", operand.number(), operand.string())
        }
    };
    (Form::Any, sql)
}

const JOB_COLUMNS: &str =
    "job_id, device_id, module_id, job_type, status, created, started, ended, updated, outcome, error";

/// A row of `devices.jobs` (service.md 6.4). Times that are not known are left out, because
/// clients do not take null for them.
fn device_job(row: &Row<'_>) -> rusqlite::Result<Value> {
    let mut job = Map::new();
    let fields = [
        ("deviceId", "device_id"),
        ("moduleId", "module_id"),
        ("jobId", "job_id"),
        ("jobType", "job_type"),
        ("status", "status"),
        ("startTimeUtc", "started"),
        ("endTimeUtc", "ended"),
        ("createdDateTimeUtc", "created"),
        ("lastUpdatedDateTimeUtc", "updated"),
    ];
    for (name, column) in fields {
        let value: Option<String> = row.get(column)?;
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            job.insert(name.into(), value.into());
        }
    }
    let document = |column: &str| Ok::<_, rusqlite::Error>(functions::read(Form::Json, row.get_ref(column)?));
    job.insert("outcome".into(), document("outcome")?.unwrap_or_default());
    if let Some(error) = document("error")? {
        job.insert("error".into(), error);
    }
    Ok(Value::Object(job))
}

#[cfg(test)]
mod tests;
