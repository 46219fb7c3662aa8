//! Jobs and their devices in the application's database.

use hub_protocol::{DeviceId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value as Sql};
use serde::{Deserialize, Serialize};

use super::child::Child;
use crate::{
    db::{from_text, to_text},
    error::Result,
    open_hub::count,
    view::{
        CauseCount, Job, JobDevice, JobDeviceFilter, JobDevicePage, JobFilter, JobKind, JobPage, JobRunner, JobState,
        JobStateCount, NewJob,
    },
};

/// Jobs kept of a hub.
const KEPT: u32 = 5000;
/// Rows of one page.
const MAX_PAGE: u32 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub job: Job,
    pub request: Option<NewJob>,
    /// The package's address carries a signature or a password, and was not stored.
    pub has_secret_address: bool,
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    job: Job,
    #[serde(default)]
    has_secret_address: bool,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Makes it, or writes over it.
pub(crate) fn put(sql: &Connection, hub_id: &str, stored: &Stored) -> Result<()> {
    let Stored {
        job,
        request,
        has_secret_address,
    } = stored;
    let picked = request.as_ref().and_then(|request| match &request.target {
        crate::view::JobTarget::Devices { ids } if ids.len() <= 20 => Some(ids.join(" ")),
        _ => None,
    });
    let words = [
        Some(job.id.as_str()),
        Some(job.title.as_str()),
        job.condition.as_deref(),
        picked.as_deref(),
        job.reason.as_deref(),
    ];
    let words = words
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
        .to_lowercase();
    let document = Document {
        job: job.clone(),
        has_secret_address: *has_secret_address,
    };
    sql.prepare_cached(
        "INSERT INTO jobs (hub_id, id, runner, kind, state, created_at, request, words, document)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (hub_id, id) DO UPDATE SET state = excluded.state, words = excluded.words,
            document = excluded.document",
    )?
    .execute(params![
        hub_id,
        job.id,
        to_text(&job.runner),
        to_text(&job.kind),
        to_text(&job.state),
        job.created_at,
        request.as_ref().map(json),
        words,
        json(&document),
    ])?;
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Stored>> {
    let (document, request): (String, Option<String>) = (row.get("document")?, row.get("request")?);
    // What an older version wrote and this one cannot read is left alone.
    let Ok(document) = serde_json::from_str::<Document>(&document) else {
        return Ok(None);
    };
    Ok(Some(Stored {
        job: document.job,
        request: request.and_then(|request| serde_json::from_str(&request).ok()),
        has_secret_address: document.has_secret_address,
    }))
}

pub(crate) fn find(sql: &Connection, hub_id: &str, id: &str) -> Result<Option<Stored>> {
    let select = "SELECT document, request FROM jobs WHERE hub_id = ?1 AND id = ?2";
    let found = sql.prepare_cached(select)?.query_row([hub_id, id], stored).optional()?;
    Ok(found.flatten())
}

/// Those of a runner that have not ended.
pub(crate) fn unfinished(sql: &Connection, hub_id: &str, runner: JobRunner) -> Result<Vec<Stored>> {
    let select = "SELECT document, request FROM jobs WHERE hub_id = ?1 AND runner = ?2
        AND state IN ('scheduled', 'enqueued', 'running') ORDER BY created_at, id";
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map(params![hub_id, to_text(&runner)], stored)?;
    Ok(rows
        .filter_map(rusqlite::Result::transpose)
        .collect::<rusqlite::Result<_>>()?)
}

/// Forgets the oldest that have ended, beyond those that are kept.
pub(crate) fn prune(sql: &Connection, hub_id: &str) -> Result<()> {
    sql.execute(
        "DELETE FROM jobs WHERE hub_id = ?1 AND state NOT IN ('scheduled', 'enqueued', 'running') AND id NOT IN (
            SELECT id FROM jobs WHERE hub_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2)",
        params![hub_id, KEPT],
    )?;
    Ok(())
}

/// A condition and what fills its places.
struct Where(String, Vec<Sql>);

impl Where {
    fn new(hub_id: &str) -> Self {
        Self("hub_id = ?1".into(), vec![Sql::Text(hub_id.into())])
    }

    /// `?` in the text stands for the value, as often as it is there.
    fn and(&mut self, text: &str, value: impl Into<String>) {
        self.1.push(Sql::Text(value.into()));
        let place = format!("?{}", self.1.len());
        self.0.push_str(" AND ");
        self.0.push_str(&text.replace('?', &place));
    }
}

/// `like` with nothing in it that means more than itself.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.trim().to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// `of_device`: jobs of the hub that are known to have had the device.
pub(crate) fn page(
    sql: &Connection,
    hub_id: &str,
    filter: &JobFilter,
    of_device: &[String],
    offset: u32,
    limit: u32,
) -> Result<JobPage> {
    let mut condition = Where::new(hub_id);
    if let Some(device) = &filter.device_id {
        let here: Vec<String> = sql
            .prepare_cached("SELECT job_id FROM job_devices WHERE hub_id = ?1 AND device_id = ?2")?
            .query_map([hub_id, device], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let ids: Vec<&String> = here.iter().chain(of_device).collect();
        condition.and("id IN (SELECT value FROM json_each(?))", json(&ids));
    }
    if let Some(runner) = filter.runner {
        condition.and("runner = ?", to_text(&runner));
    }
    if let Some(kind) = filter.kind {
        condition.and("kind = ?", to_text(&kind));
    }
    if let Some(from) = filter.from.as_deref().and_then(Timestamp::parse) {
        condition.and("created_at >= ?", from.to_string());
    }
    if let Some(until) = filter.until.as_deref().and_then(Timestamp::parse) {
        condition.and("created_at <= ?", until.to_string());
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) {
        condition.and("words LIKE ? ESCAPE '\\'", containing(text));
    }
    let counts = format!("SELECT state, count(*) FROM jobs WHERE {} GROUP BY state", condition.0);
    let mut statement = sql.prepare(&counts)?;
    let rows = statement.query_map(params_from_iter(&condition.1), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?))
    })?;
    let mut by_state = Vec::new();
    for row in rows {
        let (state, count) = row?;
        by_state.extend(from_text(state).map(|state| JobStateCount { state, count }));
    }
    by_state.sort_by_key(|count: &JobStateCount| count.state);
    let total = by_state
        .iter()
        .filter(|count| filter.state.is_none_or(|state| state == count.state))
        .map(|count| count.count)
        .sum();
    if let Some(state) = filter.state {
        condition.and("state = ?", to_text(&state));
    }
    let select = format!(
        "SELECT document, request FROM jobs WHERE {} ORDER BY created_at DESC, id DESC LIMIT {} OFFSET {offset}",
        condition.0,
        limit.min(MAX_PAGE)
    );
    let mut statement = sql.prepare(&select)?;
    let rows = statement.query_map(params_from_iter(&condition.1), stored)?;
    let jobs = rows
        .filter_map(rusqlite::Result::transpose)
        .map(|row| row.map(|stored| stored.job))
        .collect::<rusqlite::Result<_>>()?;
    Ok(JobPage { jobs, total, by_state })
}

// ---- devices -----------------------------------------------------------------------------------

pub(crate) fn put_children<'a>(
    sql: &Connection,
    hub_id: &str,
    job_id: &str,
    children: impl Iterator<Item = (&'a DeviceId, &'a Child)>,
) -> Result<()> {
    let mut statement = sql.prepare_cached(
        "INSERT INTO job_devices (hub_id, job_id, device_id, state, cause, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (hub_id, job_id, device_id) DO UPDATE SET state = excluded.state, cause = excluded.cause,
            document = excluded.document",
    )?;
    for (device, child) in children {
        let state = to_text(&child.state);
        statement.execute(params![
            hub_id,
            job_id,
            device.as_str(),
            state,
            child.cause,
            json(child)
        ])?;
    }
    Ok(())
}

pub(crate) fn children(sql: &Connection, hub_id: &str, job_id: &str) -> Result<Vec<(DeviceId, Child)>> {
    let select = "SELECT device_id, document FROM job_devices WHERE hub_id = ?1 AND job_id = ?2";
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map([hub_id, job_id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut children = Vec::new();
    for row in rows {
        let (device, document) = row?;
        if let (Ok(device), Ok(child)) = (DeviceId::new(device), serde_json::from_str(&document)) {
            children.push((device, child));
        }
    }
    Ok(children)
}

/// Devices of a job that ended in one of the states.
pub(crate) fn devices_in(sql: &Connection, hub_id: &str, job_id: &str, states: &[JobState]) -> Result<Vec<String>> {
    let select = "SELECT device_id FROM job_devices WHERE hub_id = ?1 AND job_id = ?2
        AND state IN (SELECT value FROM json_each(?3)) ORDER BY device_id";
    let states: Vec<String> = states.iter().map(to_text).collect();
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map(params![hub_id, job_id, json(&states)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn device_view(job_id: &str, device_id: String, child: Child) -> JobDevice {
    let text = |time: Timestamp| time.to_string();
    JobDevice {
        id: format!("{job_id}-{}", child.number),
        device_id,
        state: child.state,
        phases: child.phases,
        attempts: child.attempts,
        started_at: child.started_at.map(text),
        ended_at: child.ended_at.map(text),
        status: child.status,
        result_text: child.result,
        reason: child.reason,
        cause: child.cause,
    }
}

pub(crate) fn device_page(
    sql: &Connection,
    hub_id: &str,
    job_id: &str,
    filter: &JobDeviceFilter,
    offset: u32,
    limit: u32,
) -> Result<JobDevicePage> {
    let mut condition = Where::new(hub_id);
    condition.and("job_id = ?", job_id);
    let causes = format!(
        "SELECT cause, count(*) FROM job_devices WHERE {} AND state IN ('failed', 'unknown') AND cause IS NOT NULL
        GROUP BY cause ORDER BY count(*) DESC, cause LIMIT 100",
        condition.0
    );
    let mut statement = sql.prepare(&causes)?;
    let causes = statement.query_map(params_from_iter(&condition.1), |row| {
        Ok(CauseCount {
            cause: row.get(0)?,
            count: row.get(1)?,
        })
    })?;
    let causes = causes.collect::<rusqlite::Result<_>>()?;
    if let Some(state) = filter.state {
        condition.and("state = ?", to_text(&state));
    }
    if let Some(cause) = &filter.cause {
        condition.and("cause = ?", cause);
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.trim().is_empty()) {
        condition.and("lower(device_id) LIKE ? ESCAPE '\\'", containing(text));
    }
    let total = sql.query_row(
        &format!("SELECT count(*) FROM job_devices WHERE {}", condition.0),
        params_from_iter(&condition.1),
        |row| row.get(0),
    )?;
    let select = format!(
        "SELECT device_id, document FROM job_devices WHERE {} ORDER BY device_id LIMIT {} OFFSET {offset}",
        condition.0,
        limit.min(MAX_PAGE)
    );
    let mut statement = sql.prepare(&select)?;
    let rows = statement.query_map(params_from_iter(&condition.1), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut devices = Vec::new();
    for row in rows {
        let (device, document) = row?;
        if let Ok(child) = serde_json::from_str::<Child>(&document) {
            devices.push(device_view(job_id, device, child));
        }
    }
    Ok(JobDevicePage { devices, total, causes })
}

/// Whether all rows of a hub's job are here.
pub(crate) fn rows_kept(sql: &Connection, hub_id: &str, job_id: &str) -> Result<bool> {
    let select = "SELECT rows_kept FROM jobs WHERE hub_id = ?1 AND id = ?2";
    let kept = sql
        .prepare_cached(select)?
        .query_row([hub_id, job_id], |row| row.get(0))
        .optional()?;
    Ok(kept.unwrap_or(false))
}

pub(crate) fn keep_rows(sql: &Connection, hub_id: &str, job_id: &str) -> Result<()> {
    sql.execute(
        "UPDATE jobs SET rows_kept = 1 WHERE hub_id = ?1 AND id = ?2",
        [hub_id, job_id],
    )?;
    Ok(())
}

pub(crate) fn ask_to_cancel(sql: &Connection, hub_id: &str, job_id: &str) -> Result<()> {
    sql.execute(
        "UPDATE jobs SET cancel_asked = 1 WHERE hub_id = ?1 AND id = ?2",
        [hub_id, job_id],
    )?;
    Ok(())
}

pub(crate) fn cancel_asked(sql: &Connection, hub_id: &str, job_id: &str) -> Result<bool> {
    let select = "SELECT cancel_asked FROM jobs WHERE hub_id = ?1 AND id = ?2";
    let asked = sql
        .prepare_cached(select)?
        .query_row([hub_id, job_id], |row| row.get(0))
        .optional()?;
    Ok(asked.unwrap_or(false))
}

/// Seconds a device took in the newest jobs of a kind, on average.
pub(crate) fn typical_seconds(sql: &Connection, hub_id: &str, kind: JobKind) -> Result<Option<f64>> {
    let select = "SELECT avg((julianday(document ->> 'endedAt') - julianday(document ->> 'startedAt')) * 86400) FROM (
        SELECT d.document FROM jobs j JOIN job_devices d ON d.hub_id = j.hub_id AND d.job_id = j.id
        WHERE j.hub_id = ?1 AND j.kind = ?2 AND d.state = 'completed' ORDER BY j.created_at DESC LIMIT 500)";
    Ok(sql
        .prepare_cached(select)?
        .query_row([hub_id, &to_text(&kind)], |row| row.get(0))?)
}

/// Jobs here that have begun and not ended with any of these devices, for work that two jobs must
/// not do at once.
pub(crate) fn busy(sql: &Connection, hub_id: &str, kind: JobKind, ids: &[DeviceId]) -> Result<Option<(u32, String)>> {
    let select = "SELECT d.device_id, j.id FROM jobs j JOIN job_devices d ON d.hub_id = j.hub_id AND d.job_id = j.id
        WHERE j.hub_id = ?1 AND j.kind = ?2 AND j.state IN ('enqueued', 'running') AND d.state IN ('enqueued', 'running')";
    let mut statement = sql.prepare_cached(select)?;
    let rows = statement.query_map(params![hub_id, to_text(&kind)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let wanted: std::collections::BTreeSet<&str> = ids.iter().map(DeviceId::as_str).collect();
    let mut found: Option<(usize, String)> = None;
    for row in rows {
        let (device, job) = row?;
        if wanted.contains(device.as_str()) {
            let (seen, _) = found.get_or_insert((0, job));
            *seen += 1;
        }
    }
    Ok(found.map(|(seen, job)| (count(seen), job)))
}
