//! Twins for the window: read, watched, edited.

use std::{collections::BTreeSet, sync::Arc};

use hub_client::IfMatch;
use hub_protocol::{
    DeviceId,
    identity::{ConnectionState, Status},
    merge::{self, Object},
    twin::{Twin, TwinPatch},
};
use serde_json::Value;

use crate::{
    App,
    db::to_text,
    devices::time_text,
    error::{AppError, Result},
    open_hub::count,
    view::{TwinSection, TwinView, WatchKind},
};

pub(crate) fn view(twin: &Twin) -> TwinView {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let (desired, reported) = (&twin.properties.desired, &twin.properties.reported);
    TwinView {
        device_id: twin.device_id.to_string(),
        etag: twin.etag.clone(),
        version: small(twin.version),
        enabled: twin.status == Status::Enabled,
        connected: twin.connection_state == ConnectionState::Connected,
        last_activity_at: time_text(twin.last_activity_time),
        authentication_type: to_text(&twin.authentication_type),
        tags: Value::Object(twin.tags.clone()),
        desired: Value::Object(desired.values.clone()),
        reported: Value::Object(reported.values.clone()),
        desired_version: small(desired.version),
        reported_version: small(reported.version),
        desired_metadata: Value::Object(desired.metadata.clone()),
        reported_metadata: Value::Object(reported.metadata.clone()),
        tags_size: count(merge::size(&twin.tags)),
        desired_size: count(merge::size(&desired.values)),
        reported_size: count(merge::size(&reported.values)),
    }
}

/// Dotted paths of the leaves that changed, e.g. `reported.firmwareStatus`: those that were
/// written, where that is known, else those that differ.
pub(crate) fn changed_paths(
    before: Option<&Twin>,
    after: &Twin,
    written: Option<&(local_hub::TwinSection, Arc<Object>)>,
) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    if let Some((section, patch)) = written {
        let name = match section {
            local_hub::TwinSection::Tags => "tags",
            local_hub::TwinSection::Desired => "desired",
            local_hub::TwinSection::Reported => "reported",
        };
        leaves(name, patch, &mut paths);
    } else if let Some(before) = before {
        let (old, new) = (&before.properties, &after.properties);
        let mut tell = |path, _: Option<&Value>, _: Option<&Value>| {
            paths.insert(path);
        };
        differences("tags", &before.tags, &after.tags, &mut tell);
        differences("desired", &old.desired.values, &new.desired.values, &mut tell);
        differences("reported", &old.reported.values, &new.reported.values, &mut tell);
    }
    paths
}

fn leaves(path: &str, object: &Object, paths: &mut BTreeSet<String>) {
    for (key, value) in object {
        let path = format!("{path}.{key}");
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(&path, inner, paths),
            _ => drop(paths.insert(path)),
        }
    }
}

/// Tells each leaf that differs, with its dotted path below `path`, what it was and what it is.
pub(crate) fn differences(
    path: &str,
    before: &Object,
    after: &Object,
    tell: &mut impl FnMut(String, Option<&Value>, Option<&Value>),
) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = join(path, key);
        match (before.get(key), after.get(key)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => differences(&path, before, after, tell),
            (before, after) if before != after => tell(path, before, after),
            _ => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl App {
    /// As the hub has it now.
    pub async fn get_twin(&self, device_id: String) -> Result<TwinView> {
        let hub = self.hub()?;
        let twin = hub.client.twin(&DeviceId::new(device_id)?).await?;
        let seen = view(&twin);
        // Where changes are learnt by asking, this answer is newer than the last one.
        if hub.watch == WatchKind::Query {
            hub.table.put(twin.into(), None, crate::now());
        }
        Ok(seen)
    }

    /// Reads the twin, and tells of its changes from now on.
    pub async fn watch_twin(&self, device_id: String) -> Result<TwinView> {
        let hub = self.hub()?;
        let id = DeviceId::new(device_id)?;
        *hub.watched().entry(id.clone()).or_default() += 1;
        let twin = hub.client.twin(&id).await;
        if twin.is_err() {
            self.unwatch(&id);
        }
        Ok(view(&twin?))
    }

    pub fn unwatch_twin(&self, device_id: String) -> Result<()> {
        self.unwatch(&DeviceId::new(device_id)?);
        Ok(())
    }

    fn unwatch(&self, id: &DeviceId) {
        let Ok(hub) = self.hub() else { return };
        let mut watched = hub.watched();
        if let Some(times) = watched.get_mut(id) {
            *times -= 1;
            if *times == 0 {
                watched.remove(id);
            }
        }
    }

    /// Merges `patch`, if nobody else has written since `etag`.
    pub async fn update_twin(
        &self,
        device_id: String,
        section: TwinSection,
        patch: Value,
        etag: String,
    ) -> Result<TwinView> {
        let hub = self.hub()?;
        let Value::Object(patch) = patch else {
            return Err(AppError::invalid("A twin patch must be a JSON object."));
        };
        merge::check(&patch).map_err(hub_protocol::HubError::from)?;
        let id = DeviceId::new(device_id)?;
        // What is written over: for the limits, and for the history.
        let before = match hub.table.get(&id) {
            Some(entry) if entry.twin.etag == etag => entry.twin,
            _ => Arc::new(hub.client.twin(&id).await?),
        };
        if before.etag == etag {
            check_size(section, &before, &patch)?;
        }
        let patch = match section {
            TwinSection::Tags => TwinPatch::tags(patch),
            TwinSection::Desired => TwinPatch::desired(patch),
        };
        let writing = hub.history.writing(&id);
        let twin = hub.client.update_twin(&id, &patch, IfMatch::Etag(etag)).await?;
        writing.done(&before, &twin, crate::now());
        let seen = view(&twin);
        // The person's own change shows at once, also on a hub that is watched by query.
        hub.table.put(twin.into(), None, crate::now());
        Ok(seen)
    }
}

fn check_size(section: TwinSection, before: &Twin, patch: &Object) -> Result<()> {
    let (name, values) = match section {
        TwinSection::Tags => ("tags", &before.tags),
        TwinSection::Desired => ("desired", &before.properties.desired.values),
    };
    let mut values = values.clone();
    merge::merge(&mut values, patch);
    merge::check_size(name, &values).map_err(|error| {
        AppError::invalid(format!("Nothing was sent: {error}."))
            .hint("Remove what is no longer needed, or keep it elsewhere and its address here.")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn twin(reported: &Value) -> Twin {
        serde_json::from_value(json!({"deviceId": "d", "etag": "e", "properties": {"reported": reported}})).unwrap()
    }

    fn paths(paths: &BTreeSet<String>) -> Vec<&str> {
        paths.iter().map(String::as_str).collect()
    }

    #[test]
    fn what_was_written_is_marked_even_where_the_value_stayed() {
        let patch = json!({"a": {"b": 1}, "c": null}).as_object().cloned().unwrap();
        let after = twin(&json!({"a": {"b": 1}}));
        let changed = changed_paths(
            Some(&after),
            &after,
            Some(&(local_hub::TwinSection::Reported, Arc::new(patch))),
        );
        assert_eq!(paths(&changed), ["reported.a.b", "reported.c"]);
    }

    #[test]
    fn without_a_patch_the_differing_leaves_are_marked() {
        let changed = changed_paths(
            Some(&twin(&json!({"a": {"b": 1, "c": 2}, "d": 1}))),
            &twin(&json!({"a": {"b": 2, "c": 2}, "e": 1})),
            None,
        );
        assert_eq!(paths(&changed), ["reported.a.b", "reported.d", "reported.e"]);
    }
}
