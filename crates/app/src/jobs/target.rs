//! Which devices a job is for.

use hub_protocol::{DeviceId, identity::ConnectionState, query};
use serde_json::Value;

use super::work;
use crate::{
    devices::parse_ids,
    error::{AppError, Result},
    table::{DeviceTable, Entry},
    view::{DifferenceLine, JobTarget, TwinDifference},
};

/// Differences shown before a twin change.
const SHOWN: usize = 5;

/// Devices of the table that are meant now, in order of id. Those that were picked and are gone
/// stay: they fail with their reason.
pub(crate) fn resolve(table: &DeviceTable, target: &JobTarget) -> Result<Vec<DeviceId>> {
    match target {
        JobTarget::Devices { ids } => {
            let mut ids = parse_ids(ids.clone())?;
            ids.sort();
            ids.dedup();
            Ok(ids)
        }
        JobTarget::Query { condition } => Ok(matching(table, condition)?
            .into_iter()
            .map(|entry| entry.twin.device_id.clone())
            .collect()),
    }
}

/// Entries of the devices that are meant and exist.
pub(crate) fn entries(table: &DeviceTable, target: &JobTarget) -> Result<Vec<Entry>> {
    match target {
        JobTarget::Devices { .. } => Ok(resolve(table, target)?.iter().filter_map(|id| table.get(id)).collect()),
        JobTarget::Query { condition } => matching(table, condition),
    }
}

fn matching(table: &DeviceTable, condition: &str) -> Result<Vec<Entry>> {
    let wrong = |error: query::QueryError| {
        AppError::invalid(format!("The query cannot be read: {error}."))
            .hint("Write what comes after WHERE, such as tags.building = 43.")
    };
    let condition = query::parse_condition(condition).map_err(wrong)?;
    let mut entries = table.page(0, usize::MAX);
    if let Some(condition) = condition {
        let keeps = |entry: &Entry| serde_json::to_value(&*entry.twin).is_ok_and(|row| condition.matches(&row));
        entries.retain(keeps);
    }
    Ok(entries)
}

pub(crate) fn connected(entries: &[Entry]) -> usize {
    let is_connected = |entry: &&Entry| entry.twin.connection_state == ConnectionState::Connected;
    entries.iter().filter(is_connected).count()
}

/// What a twin change does, by device; and how many have these values already.
pub(crate) fn differences(entries: &[Entry], patch: &hub_protocol::twin::TwinPatch) -> (Vec<TwinDifference>, usize) {
    let (mut shown, mut unchanged) = (Vec::new(), 0);
    for entry in entries {
        let changed = work::changes(&entry.twin, patch);
        if changed.is_empty() {
            unchanged += 1;
        } else if shown.len() < SHOWN {
            let mut lines = Vec::new();
            for (section, before, after) in changed {
                compare(section, &before.into(), &after.into(), &mut lines);
            }
            shown.push(TwinDifference {
                device_id: entry.twin.device_id.to_string(),
                lines,
            });
        }
    }
    (shown, unchanged)
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<DifferenceLine>) {
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let path = format!("{path}.{key}");
            match (old.get(key), new.get(key)) {
                (Some(before), Some(after)) => compare(&path, before, after, lines),
                (before, after) => lines.push(DifferenceLine {
                    path,
                    before: before.cloned(),
                    after: after.cloned(),
                }),
            }
        }
    } else if before != after {
        lines.push(DifferenceLine {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hub_protocol::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{jobs::work::Act, view::JobWork};

    fn table() -> DeviceTable {
        let table = DeviceTable::default();
        for (id, building) in [("a", json!(43)), ("b", json!(44)), ("c", json!("43"))] {
            let twin = json!({"deviceId": id, "etag": "e", "version": 1, "tags": {"building": building}});
            table.put(Arc::new(serde_json::from_value(twin).unwrap()), None, Timestamp::NEVER);
        }
        table
    }

    #[test]
    fn a_query_finds_the_devices_that_the_hub_would_find() {
        let query = |condition: &str| JobTarget::Query {
            condition: condition.into(),
        };
        let found = |condition: &str| resolve(&table(), &query(condition)).unwrap().len();
        assert_eq!((found(""), found("*"), found("tags.building = 43")), (3, 3, 1));
        assert!(resolve(&table(), &query("tags.building =")).is_err());
    }

    #[test]
    fn a_preview_tells_lines_that_change_and_devices_that_do_not() {
        let work = JobWork::UpdateTwin {
            tags: Some(json!({"building": 43, "floor": 3})),
            desired: None,
        };
        let Act::Twin(patch) = work.act(None).unwrap() else {
            panic!("no patch")
        };
        let all = entries(
            &table(),
            &JobTarget::Query {
                condition: String::new(),
            },
        )
        .unwrap();
        let (shown, unchanged) = differences(&all, &patch);
        assert_eq!((shown.len(), unchanged), (3, 0));
        assert_eq!(shown[0].lines.len(), 1, "its building stays");
        assert_eq!(shown[1].lines[0].path, "tags.building");
    }
}
