//! Queries over twins and device jobs: pages of rows, found by SQLite.

mod fields;
mod functions;
mod indexes;
#[cfg(any(test, fuzzing))]
pub(crate) mod invariants;
mod page;
mod sql;

use hub_protocol::{
    ClientId, HubError,
    query::{Aggregate, Expression, Item, ItemValue, MAX_PAGE, Query, Selection, Source, Target},
    twin::Twin,
};
use rusqlite::{Connection, Row, StatementStatus, params_from_iter};
use serde_json::{Map, Value};

pub(crate) use functions::register;
use indexes::Index;
pub(crate) use indexes::Recent;
use page::Position;
use sql::{Form, Operand, Translation};

use super::{Store, identities::MESSAGE_COUNT, twins};
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
    used: Vec<Index>,
    /// Would have spared this query much work.
    wanted: Option<Index>,
}

impl Store {
    /// Runs `query` on a reader. Indexes that would help later ones are asked of the writer, and
    /// not waited for; while its queue is full they can wait for the next query.
    pub(crate) async fn query(
        &self,
        query: Query,
        page_size: Option<usize>,
        continuation: Option<String>,
    ) -> Result<Page, HubError> {
        let page = self
            .read(move |sql| run(sql, &query, page_size, continuation.as_deref()))
            .await?;
        page.used.iter().for_each(|index| self.recent.used(index));
        if let Some(index) = page.wanted.clone() {
            self.post_index(index);
        }
        Ok(page)
    }

    /// Indexes what a large fleet will be asked for, behind the writes that come meanwhile.
    pub(super) fn foresee_queries(&self, connection: &Connection) -> Result<(), StoreError> {
        indexes::foreseen(connection)?
            .into_iter()
            .for_each(|index| self.post_index(index));
        Ok(())
    }

    fn post_index(&self, index: Index) {
        let recent = self.recent.clone();
        self.post(move |transaction| Ok(index.make(transaction.sql, &recent)?));
    }
}

/// One page: `page_size` rows at most, and never more than [`MAX_PAGE`].
pub(crate) fn run(
    connection: &Connection,
    query: &Query,
    page_size: Option<usize>,
    continuation: Option<&str>,
) -> Result<Page, StoreError> {
    let mut plan = Plan::new(connection, query, page_size, continuation)?;
    let (rows, end) = match &query.selection {
        Selection::All if query.source == Source::Jobs => {
            let (jobs, end) = plan.rows(connection, JOB_COLUMNS, device_job)?;
            (Rows::DeviceJobs(jobs), end)
        }
        Selection::All => {
            let columns = format!("{}, {MESSAGE_COUNT}", twins::COLUMNS);
            let (twins, end) = plan.rows(connection, &columns, twins::from_row)?;
            (Rows::Twins(twins), end)
        }
        Selection::Items(items) => {
            let columns: Vec<(Form, String)> = items.iter().map(|item| plan.column(item)).collect();
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
            let (rows, end) = plan.rows(connection, &list.join(", "), raw)?;
            (Rows::Raw(rows), end)
        }
    };
    let is_slow = end.steps > indexes::PATIENCE && plan.used.is_empty();
    Ok(Page {
        rows,
        continuation: end.last.and_then(|last| plan.position.token(query, plan.size, last)),
        used: plan.used,
        wanted: plan.wanted.filter(|_| is_slow),
    })
}

/// Everybody whom `target` means at this moment, by id.
pub(crate) fn matching(connection: &Connection, target: &Target) -> Result<Vec<ClientId>, StoreError> {
    let mut plan = Plan::of(target.source);
    if let Some(condition) = &target.condition {
        plan.filter(connection, condition)?;
    }
    let text = format!(
        "SELECT device_id, module_id {} ORDER BY device_id, module_id",
        plan.from
    );
    let mut statement = connection.prepare(&text)?;
    let values = plan.translation.values.iter().take(statement.parameter_count());
    let rows = statement.query_map(params_from_iter(values), |row| {
        let module = Some(row.get_ref(1)?.as_str()?).filter(|id| !id.is_empty());
        ClientId::new(row.get_ref(0)?.as_str()?, module).map_err(|_| rusqlite::Error::InvalidQuery)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A statement of which everything but its columns is known.
struct Plan {
    translation: Translation,
    /// FROM and WHERE.
    from: String,
    /// Of every row what an aggregate needs; `None` for rows as they are.
    carried: Option<Vec<String>>,
    /// What comes after FROM and WHERE.
    rest: String,
    /// What rows are sorted by.
    keys: Vec<String>,
    position: Position,
    size: usize,
    used: Vec<Index>,
    /// The first that would help, where none does.
    wanted: Option<Index>,
}

/// How a page ended.
struct End {
    /// The keys of its last row, if another page follows.
    last: Option<Vec<String>>,
    /// Instructions that SQLite took.
    steps: i32,
}

impl Plan {
    fn of(source: Source) -> Self {
        let from = match source {
            Source::Devices => "FROM identities WHERE module_id = ''",
            Source::Modules => "FROM identities WHERE module_id <> ''",
            Source::Jobs => "FROM device_jobs WHERE 1",
        };
        Self {
            translation: Translation::new(source),
            from: from.to_owned(),
            carried: None,
            rest: String::new(),
            keys: Vec::new(),
            position: Position::default(),
            size: 0,
            used: Vec::new(),
            wanted: None,
        }
    }

    fn new(
        connection: &Connection,
        query: &Query,
        page_size: Option<usize>,
        continuation: Option<&str>,
    ) -> Result<Self, StoreError> {
        let mut plan = Self::of(query.source);
        if let Some(condition) = &query.condition {
            plan.filter(connection, condition)?;
        }
        plan.sort(query);
        plan.position = Position::read(query, plan.keys.len(), continuation)?;
        plan.size = plan
            .position
            .size(query, page_size.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE));
        plan.cut();
        Ok(plan)
    }

    fn filter(&mut self, connection: &Connection, condition: &Expression) -> Result<(), StoreError> {
        if self.translation.source != Source::Jobs {
            for clue in indexes::clues(&mut self.translation, condition) {
                if clue.index.exists(connection)? {
                    self.from.push_str(&format!(" AND {}", clue.sql));
                    self.used.push(clue.index);
                } else {
                    self.wanted.get_or_insert(clue.index);
                }
            }
        }
        let truth = self.translation.operand(condition).truth();
        self.from.push_str(&format!(" AND {truth}"));
        Ok(())
    }

    fn sort(&mut self, query: &Query) {
        if !query.is_aggregate() {
            self.keys = order(query.source).iter().map(|key| (*key).to_owned()).collect();
            return;
        }
        self.carried = Some(Vec::new());
        if !query.group_by.is_empty() {
            let groups: Vec<Operand> = query.group_by.iter().map(|path| self.translation.path(path)).collect();
            let by: Vec<String> = groups
                .iter()
                .flat_map(Operand::group)
                .map(|sql| self.carry(sql))
                .collect();
            let by = by.join(", ");
            self.rest.push_str(&format!(" GROUP BY {by} HAVING 1"));
            self.keys.push(format!("hub_group({by})"));
        }
    }

    /// SQLite sorts rows into groups with all that is asked of them. What is carried is asked of
    /// them before, so that no whole documents are sorted.
    fn carry(&mut self, sql: String) -> String {
        let Some(carried) = &mut self.carried else { return sql };
        carried.push(format!("{sql} AS c{}", carried.len()));
        format!("c{}", carried.len() - 1)
    }

    /// The rest of the answer only, and one row more than the page: it tells whether another follows.
    fn cut(&mut self) {
        let keys = self.keys.join(", ");
        if !self.position.after.is_empty() {
            let after: Vec<String> = self
                .position
                .after
                .iter()
                .map(|key| self.translation.text(key))
                .collect();
            self.rest.push_str(&format!(" AND ({keys}) > ({})", after.join(", ")));
        }
        if !keys.is_empty() {
            self.rest.push_str(&format!(" ORDER BY {keys}"));
        }
        self.rest.push_str(&format!(" LIMIT {}", self.size + 1));
    }

    fn text(&self, columns: &str) -> String {
        let keys: String = self
            .keys
            .iter()
            .enumerate()
            .map(|(n, key)| format!(", {key} AS key_{n}"))
            .collect();
        let (from, rest) = (&self.from, &self.rest);
        match &self.carried {
            None => format!("SELECT {columns}{keys} {from}{rest}"),
            Some(carried) => {
                let carried = if carried.is_empty() {
                    "1".into()
                } else {
                    carried.join(", ")
                };
                // The limit keeps SQLite from making one query of the two.
                format!("SELECT {columns}{keys} FROM (SELECT {carried} {from} LIMIT -1){rest}")
            }
        }
    }

    fn rows<T>(
        &self,
        connection: &Connection,
        columns: &str,
        from_row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<(Vec<T>, End), StoreError> {
        let mut statement = connection.prepare(&self.text(columns))?;
        // What can only be undefined is left out of the SQL, its parameters too.
        let values = self.translation.values.iter().take(statement.parameter_count());
        let mut found = statement.query(params_from_iter(values))?;
        let (mut rows, mut last, mut more) = (Vec::new(), Vec::new(), false);
        while let Some(row) = found.next()? {
            if rows.len() == self.size {
                more = self.size > 0;
                break;
            }
            rows.push(from_row(row)?);
            let keys = (0..self.keys.len()).map(|n| row.get(format!("key_{n}").as_str()));
            last = keys.collect::<Result<_, _>>()?;
        }
        drop(found);
        let end = End {
            last: more.then_some(last),
            steps: statement.get_status(StatementStatus::VmStep),
        };
        Ok((rows, end))
    }

    fn column(&mut self, item: &Item) -> (Form, String) {
        let (aggregate, path) = match &item.value {
            ItemValue::Expression(expression) => {
                let (form, sql) = self.translation.operand(expression).column();
                return (form, self.carry(sql));
            }
            ItemValue::Aggregate(aggregate, path) => (aggregate, path),
        };
        let Some(path) = path else {
            return (Form::Any, "count(*)".into());
        };
        let operand = self.translation.path(path);
        // As floating point, for sums of whole numbers may pass SQLite's.
        let real = format!("CAST({} AS REAL)", operand.number());
        let mut extreme = |function: &str| {
            let (number, string) = (self.carry(operand.number()), self.carry(operand.string()));
            format!("coalesce({function}({number}), {function}({string}))")
        };
        let sql = match aggregate {
            Aggregate::Count => format!("count({})", self.carry(format!("nullif({}, 0)", operand.is_defined()))),
            Aggregate::Sum => format!("sum({})", self.carry(real)),
            Aggregate::Average => format!("avg({})", self.carry(real)),
            Aggregate::Least => extreme("min"),
            Aggregate::Greatest => extreme("max"),
        };
        (Form::Any, sql)
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
