//! Indexes made on demand, for what this hub's people really filter by.
//!
//! A condition such as `tags.site = 's42'` names a place in a JSON document, which SQLite can
//! index as an expression. A query that had to look at many rows asks for such an index; the
//! writer makes it behind whatever else is queued. What a large fleet is tagged with is indexed
//! when the hub starts, before anybody asks. Indexes last, and live in the database itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use hub_protocol::query::{Comparison, Expression, Function, Kind, Literal, Segment};
use rusqlite::Connection;

use super::{
    fields::json_path,
    sql::{Json, Operand, Translation},
};

/// Every write of a twin keeps all of them.
const MAX_INDEXES: usize = 16;
/// Instructions of SQLite that a query may take without an index: some 2 000 rows.
pub(super) const PATIENCE: i32 = 30_000;
/// Devices from which on a query without an index is felt.
const LARGE: usize = 5_000;
/// Twins that are looked at to learn what a fleet is tagged with.
const SAMPLE: usize = 500;
/// Indexes made before anybody asks; each costs a fraction of a second once, and some megabytes.
const FORESEEN: usize = 4;
/// Sections of a twin that people choose the names of.
const COLUMNS: [&str; 3] = ["tags", "desired", "reported"];

/// An index of what stands at one place of every twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index(Json);

/// Part of a condition that an index of its place can find rows by.
pub(super) struct Clue {
    pub(super) index: Index,
    /// SQL that is true wherever that part is.
    pub(super) sql: String,
}

impl Index {
    /// It says what is indexed, so that nothing else must be kept of it.
    fn name(&self) -> String {
        format!("query {} {}", self.0.document, self.0.path)
    }

    pub(super) fn exists(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?1)";
        connection
            .prepare_cached(sql)?
            .query_row([self.name()], |row| row.get(0))
    }

    /// Makes it, in the place of the index that was not used for longest if there are too many.
    pub(crate) fn make(&self, connection: &Connection, recent: &Recent) -> rusqlite::Result<()> {
        if self.exists(connection)? {
            return Ok(());
        }
        let mut statement = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'query %' ORDER BY rowid")?;
        let mut names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        names.sort_by_key(|name| recent.rank(name));
        for name in names.iter().rev().skip(MAX_INDEXES - 1) {
            connection.execute_batch(&format!("DROP INDEX {}", quoted(name)))?;
        }
        // With the ids behind it a page comes out in order.
        let (name, value) = (quoted(&self.name()), self.0.value());
        connection.execute_batch(&format!(
            "CREATE INDEX {name} ON identities ({value}, device_id, module_id)"
        ))?;
        recent.used(self);
        Ok(())
    }
}

/// Of a large fleet the tags that most of its twins have and that are plain values: fleets are
/// asked for by them. Nothing once there are many indexes, for then people have shown what they ask.
pub(crate) fn foreseen(connection: &Connection) -> rusqlite::Result<Vec<Index>> {
    let made = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'query %'";
    let made: usize = connection.query_row(made, [], |row| row.get(0))?;
    let devices = "SELECT count(*) FROM (SELECT 1 FROM identities WHERE module_id = '' LIMIT ?1)";
    let devices: usize = connection.query_row(devices, [LARGE], |row| row.get(0))?;
    if devices < LARGE || made > MAX_INDEXES / 2 {
        return Ok(Vec::new());
    }
    // What is sampled lies side by side, as devices made together do; that is enough to learn names.
    let keys = "SELECT key FROM (SELECT tags FROM identities WHERE module_id = '' LIMIT ?1) AS sample,
        json_each(sample.tags) WHERE type IN ('text', 'integer', 'real', 'true', 'false')";
    let mut statement = connection.prepare(keys)?;
    let mut counts = BTreeMap::<String, usize>::new();
    let mut keys = statement.query([SAMPLE])?;
    while let Some(row) = keys.next()? {
        *counts.entry(row.get(0)?).or_default() += 1;
    }
    let mut common: Vec<(String, usize)> = counts.into_iter().filter(|(_, count)| *count > SAMPLE / 2).collect();
    common.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let index = |(key, _)| {
        Index(Json {
            document: "tags".into(),
            path: json_path(&[Segment::Key(key)]),
        })
    };
    Ok(common.into_iter().take(FORESEEN).map(index).collect())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The clues of a condition: comparisons with literals that every row kept must meet.
pub(super) fn clues(translation: &mut Translation, condition: &Expression) -> Vec<Clue> {
    let parts = match condition {
        Expression::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    parts.iter().filter_map(|part| clue(translation, part)).collect()
}

fn clue(translation: &mut Translation, part: &Expression) -> Option<Clue> {
    let (place, literals) = match part {
        Expression::Compare(left, Comparison::Equal, right) => match (&**left, &**right) {
            (place @ Expression::Path(_), literal) | (literal, place @ Expression::Path(_)) => {
                (place, std::slice::from_ref(literal))
            }
            _ => return None,
        },
        Expression::In {
            value,
            list,
            negated: false,
        } => (&**value, list.as_slice()),
        Expression::Call(Function::StartsWith, parts) => (parts.first()?, parts.get(1..)?),
        _ => return None,
    };
    let Operand::Json(json) = translation.operand(place) else {
        return None;
    };
    if !COLUMNS.contains(&json.document.as_str()) || json.path == "'$'" {
        return None;
    }
    let is_plain = |literal: &&Expression| {
        matches!(
            literal,
            Expression::Literal(Literal::Bool(_) | Literal::Number(_) | Literal::String(_))
        )
    };
    if literals.is_empty() || !literals.iter().all(|literal| is_plain(&literal)) {
        return None;
    }
    let value = json.value();
    let sql = match (part, literals) {
        (Expression::Call(..), [Expression::Literal(Literal::String(prefix))]) => {
            // The next text that does not begin so; there is none after the last character.
            let last = prefix.chars().next_back()?;
            let next = char::from_u32(u32::from(last) + 1)?;
            let after = format!("{}{next}", &prefix[..prefix.len() - last.len_utf8()]);
            let (from, to) = (translation.text(prefix), translation.text(&after));
            format!("({value} >= {from} AND {value} < {to})")
        }
        (Expression::Call(..), _) => return None,
        _ => {
            let items = literals
                .iter()
                .filter_map(|literal| match translation.operand(literal) {
                    Operand::Known(Kind::Bool | Kind::Number | Kind::String, sql) => Some(sql),
                    _ => None,
                });
            let items: Vec<String> = items.collect();
            format!("{value} IN ({})", items.join(", "))
        }
    };
    Some(Clue {
        index: Index(json),
        sql,
    })
}

/// The names of indexes that were used since the hub started, the latest last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<Vec<String>>>);

impl Recent {
    pub(crate) fn used(&self, index: &Index) {
        let name = index.name();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|known| *known != name);
        names.push(name);
        let surplus = names.len().saturating_sub(MAX_INDEXES);
        names.drain(..surplus);
    }

    /// Nothing for what was not used yet, otherwise more for what was used later.
    fn rank(&self, name: &str) -> Option<usize> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().position(|known| known == name)
    }
}
