//! Twin changes as they are seen, waiting to be stored.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hub_protocol::{DeviceId, Timestamp, merge::Object, twin::Twin};
use tokio::sync::Notify;

use crate::{
    open_hub::count,
    twins::differences,
    view::{Author, ChangedSection, PathChange, TwinChange},
};

/// Changes that may wait; the oldest go first.
const WAITING: usize = 1_000;
/// Writes from here whose events may still come.
const OURS: usize = 256;

/// A change of one section of a twin.
pub(crate) struct Seen {
    pub device_id: DeviceId,
    pub at: Timestamp,
    /// Of the twin after it; tells which write this was.
    etag: String,
    pub change: TwinChange,
}

/// Gathers changes of watched twins and writes from here, each once.
///
/// A write from here comes back as news of the table, before or after its answer. So changes of a
/// device wait while it is being written, and the etag of the answer says which of them are ours.
#[derive(Default)]
pub(crate) struct Recorder {
    waiting: Mutex<Waiting>,
    wake: Notify,
    pub storing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    changes: VecDeque<Seen>,
    writing: BTreeMap<DeviceId, usize>,
    /// Device and etag after it, of writes from here.
    ours: VecDeque<(DeviceId, String)>,
}

/// A write that is under way; ends when it is dropped.
pub(crate) struct Writing<'a> {
    recorder: &'a Recorder,
    device_id: DeviceId,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn seen(&self) {
        self.wake.notified().await;
    }

    /// News of a twin that somebody looks at.
    pub(crate) fn saw(&self, before: &Twin, after: &Twin, at: Timestamp) {
        let mut waiting = self.lock();
        let ours = waiting
            .ours
            .iter()
            .any(|(id, etag)| *id == after.device_id && *etag == after.etag);
        for seen in changes(before, after, Author::Elsewhere, at) {
            if !ours || seen.change.section == ChangedSection::Reported {
                waiting.push(seen);
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// The device is gone; another of its name begins with the same etags.
    pub(crate) fn forget(&self, device_id: &DeviceId) {
        self.lock().ours.retain(|(id, _)| id != device_id);
    }

    /// To be called before a write of tags or desired properties leaves.
    pub(crate) fn writing(&self, device_id: &DeviceId) -> Writing<'_> {
        *self.lock().writing.entry(device_id.clone()).or_default() += 1;
        Writing {
            recorder: self,
            device_id: device_id.clone(),
        }
    }

    /// What may be stored, in the order in which it was seen.
    pub(super) fn take(&self) -> Vec<Seen> {
        let mut waiting = self.lock();
        let all = std::mem::take(&mut waiting.changes);
        let (held, ready): (VecDeque<_>, VecDeque<_>) = all
            .into_iter()
            .partition(|seen| waiting.writing.contains_key(&seen.device_id));
        waiting.changes = held;
        ready.into()
    }
}

impl Waiting {
    fn push(&mut self, seen: Seen) {
        if self.changes.len() == WAITING {
            self.changes.pop_front();
        }
        self.changes.push_back(seen);
    }
}

impl Writing<'_> {
    /// The hub has taken it: `after` is what it answered, `before` what was written over.
    pub(crate) fn done(self, before: &Twin, after: &Twin, at: Timestamp) {
        let mut waiting = self.recorder.lock();
        let mut heard = false;
        for seen in &mut waiting.changes {
            let written = seen.change.section != ChangedSection::Reported;
            if written && seen.device_id == after.device_id && seen.etag == after.etag {
                seen.change.author = Author::Here;
                heard = true;
            }
        }
        if heard {
            return;
        }
        if waiting.ours.len() == OURS {
            waiting.ours.pop_front();
        }
        waiting.ours.push_back((after.device_id.clone(), after.etag.clone()));
        for seen in changes(before, after, Author::Here, at) {
            if seen.change.section != ChangedSection::Reported {
                waiting.push(seen);
            }
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut waiting = self.recorder.lock();
        if let Some(times) = waiting.writing.get_mut(&self.device_id) {
            *times -= 1;
            if *times == 0 {
                waiting.writing.remove(&self.device_id);
            }
        }
        drop(waiting);
        self.recorder.wake.notify_one();
    }
}

/// What differs, a change a section. Reported properties are always the device's own.
fn changes(before: &Twin, after: &Twin, writer: Author, at: Timestamp) -> impl Iterator<Item = Seen> {
    let (desired, reported) = (&after.properties.desired, &after.properties.reported);
    let sections = [
        (ChangedSection::Tags, writer, after.version, &before.tags, &after.tags),
        (
            ChangedSection::Desired,
            writer,
            desired.version,
            &before.properties.desired.values,
            &desired.values,
        ),
        (
            ChangedSection::Reported,
            Author::Device,
            reported.version,
            &before.properties.reported.values,
            &reported.values,
        ),
    ];
    sections
        .into_iter()
        .filter_map(move |(section, author, version, before, now)| {
            let paths = diff(before, now);
            (!paths.is_empty()).then(|| Seen {
                device_id: after.device_id.clone(),
                at,
                etag: after.etag.clone(),
                change: TwinChange {
                    section,
                    author,
                    version: count(usize::try_from(version).unwrap_or(usize::MAX)),
                    paths,
                    more: 0,
                }
                .bounded(),
            })
        })
}

/// The leaves that differ, with what they were and are.
fn diff(before: &Object, after: &Object) -> Vec<PathChange> {
    let mut paths = Vec::new();
    differences("", before, after, &mut |path, before, after| {
        paths.push(PathChange {
            path,
            before: before.cloned(),
            after: after.cloned(),
        });
    });
    paths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn twin(etag: &str, desired: &Value, reported: &Value) -> Twin {
        let document = json!({"deviceId": "d", "etag": etag, "properties": {"desired": desired, "reported": reported}});
        serde_json::from_value(document).unwrap()
    }

    fn stored(recorder: &Recorder) -> Vec<(ChangedSection, Author, Vec<String>)> {
        let line = |seen: Seen| {
            let paths = seen.change.paths.into_iter().map(|path| path.path).collect();
            (seen.change.section, seen.change.author, paths)
        };
        recorder.take().into_iter().map(line).collect()
    }

    #[test]
    fn a_write_from_here_is_kept_once_whether_its_news_come_before_or_after_the_answer() {
        let (before, after) = (
            twin("1", &json!({}), &json!({})),
            twin("2", &json!({"a": 1}), &json!({})),
        );
        let kept = [(ChangedSection::Desired, Author::Here, vec!["a".to_owned()])];
        for news_first in [true, false] {
            let recorder = Recorder::default();
            let writing = recorder.writing(&before.device_id);
            if news_first {
                recorder.saw(&before, &after, Timestamp::NEVER);
                assert!(stored(&recorder).is_empty(), "who wrote is not known yet");
            }
            writing.done(&before, &after, Timestamp::NEVER);
            if !news_first {
                recorder.saw(&before, &after, Timestamp::NEVER);
            }
            assert_eq!(stored(&recorder), kept);
            assert!(stored(&recorder).is_empty());
        }
    }

    #[test]
    fn what_others_write_while_we_do_is_theirs_and_what_the_device_says_is_its_own() {
        let recorder = Recorder::default();
        let first = twin("1", &json!({}), &json!({}));
        let theirs = twin("2", &json!({"a": 1}), &json!({"b": 1}));
        let writing = recorder.writing(&first.device_id);
        recorder.saw(&first, &theirs, Timestamp::NEVER);
        // Refused: the hub has another etag by now.
        drop(writing);
        assert_eq!(
            stored(&recorder),
            [
                (ChangedSection::Desired, Author::Elsewhere, vec!["a".to_owned()]),
                (ChangedSection::Reported, Author::Device, vec!["b".to_owned()])
            ]
        );
    }

    #[test]
    fn many_changes_that_wait_and_large_ones_are_bounded() {
        let recorder = Recorder::default();
        for number in 0..WAITING + 5 {
            let (before, after) = (json!({"n": number}), json!({"n": number + 1}));
            recorder.saw(
                &twin("1", &json!({}), &before),
                &twin("1", &json!({}), &after),
                Timestamp::NEVER,
            );
        }
        assert_eq!(recorder.take().len(), WAITING);
        let large: Object = (0..10).map(|n| (format!("k{n}"), json!("x".repeat(4000)))).collect();
        recorder.saw(
            &twin("1", &json!({}), &json!({})),
            &twin("1", &json!({}), &large.into()),
            Timestamp::NEVER,
        );
        let change = &recorder.take()[0].change;
        assert_eq!((change.paths.len(), change.more), (4, 6));
    }

    fn object() -> impl Strategy<Value = Object> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), any::<i8>().prop_map(Value::from)];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::hash_map("[a-c]", inner, 0..4).prop_map(|m| m.into_iter().collect())
        });
        prop::collection::hash_map("[a-c]", value, 0..4).prop_map(|m| m.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_changed_paths_lead_from_what_was_to_what_is(before in object(), after in object()) {
            let mut value = Value::Object(before.clone());
            for PathChange { path, before, after } in diff(&before, &after) {
                let (parents, key) = path.rsplit_once('.').unwrap_or(("", &path));
                let parents = parents.split('.').filter(|key| !key.is_empty());
                let parent = parents.fold(&mut value, |value, key| &mut value[key]).as_object_mut().unwrap();
                prop_assert_eq!(parent.get(key).cloned(), before);
                match after {
                    Some(after) => parent.insert(key.to_owned(), after),
                    None => parent.remove(key),
                };
            }
            prop_assert_eq!(value, Value::Object(after));
        }
    }
}
