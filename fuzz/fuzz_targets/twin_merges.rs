//! Patches of twins, one after another.
//!
//! An input is a JSON object a line: each is a patch, taken or refused as the hub does.
#![no_main]

use hub_protocol::{
    Timestamp,
    merge::{
        MAX_DEPTH, Object, TwinError, check, check_size, difference, merge, merge_metadata, size, without_system_keys,
    },
    twin::PropertySet,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let mut desired = PropertySet::default();
    let mut reported = PropertySet::default();
    let lines = text.lines().take(8).map(serde_json::from_str::<Object>);
    for (turn, patch) in lines.filter_map(Result::ok).enumerate() {
        // Whole seconds, so that every turn is later than the one before.
        let now = Timestamp::from_unix_nanos((turn as i128 + 1) * 1_000_000_000);
        system_keys_hold(&patch);
        apply(&mut reported, &patch, now, false);
        apply(&mut desired, &without_system_keys(&patch), now, true);
    }
});

/// `$metadata` and `$version` of a whole document go, nothing else does.
fn system_keys_hold(patch: &Object) {
    let plain = without_system_keys(patch);
    assert_eq!(without_system_keys(&plain), plain);
    for (key, value) in patch {
        let kept = !matches!(key.as_str(), "$metadata" | "$version");
        assert_eq!(plain.get(key), Some(value).filter(|_| kept), "{key}");
    }
    assert!(plain.keys().all(|key| patch.contains_key(key)));
    if check(patch).is_ok() {
        assert_eq!(&plain, patch);
    }
}

fn apply(set: &mut PropertySet, patch: &Object, now: Timestamp, versioned: bool) {
    match check(patch) {
        Ok(()) => assert!(levels(patch) <= MAX_DEPTH),
        Err(TwinError::Depth(_)) => return assert!(levels(patch) > MAX_DEPTH, "{patch:?} is not too deep"),
        Err(_) => return,
    }
    let mut after = set.clone();
    after.version += 1;
    merge(&mut after.values, patch);
    let version = versioned.then_some(after.version);
    merge_metadata(&mut after.metadata, &after.values, patch, &now.to_string(), version);

    merge_holds(&set.values, patch, &after.values);
    assert_eq!(
        after.last_updated(&[]),
        Some(now),
        "the section itself is stamped by every patch"
    );
    metadata_holds(&after.values, &after.metadata, versioned);
    stamps_hold(set, patch, &after, &mut Vec::new(), now);

    let limit = check_size("properties", &after.values);
    assert_eq!(limit.is_ok(), size(&after.values) <= 32 * 1024);
    if limit.is_ok() {
        documents_hold(&after);
        *set = after;
    }
}

fn merge_holds(before: &Object, patch: &Object, after: &Object) {
    let mut twice = after.clone();
    merge(&mut twice, patch);
    assert_eq!(&twice, after, "merging twice is merging once");

    for (key, value) in before {
        if !patch.contains_key(key) {
            assert_eq!(after.get(key), Some(value), "{key} was not named by the patch");
        }
    }
    for (key, change) in patch {
        match change {
            Value::Null => assert_eq!(after.get(key), None),
            Value::Object(_) => assert!(after[key].is_object()),
            other => assert_eq!(&after[key], other),
        }
    }
    let difference = difference(before, after);
    assert_eq!(difference.is_empty(), before == after);
    let mut caught_up = before.clone();
    merge(&mut caught_up, &difference);
    assert_eq!(&caught_up, after, "the difference leads elsewhere");

    let untouched = before.keys().filter(|key| !patch.contains_key(*key));
    let given = patch.iter().filter(|(_, value)| !value.is_null());
    assert_eq!(after.len(), untouched.count() + given.count(), "keys from nowhere");

    assert!(size(after) <= size(before) + size(patch));
    assert!(levels(after) <= MAX_DEPTH);
    // What a twin holds could have been one patch; a fresh twin takes it as it is.
    assert_eq!(check(after), Ok(()));
    let mut fresh = Object::new();
    merge(&mut fresh, after);
    assert_eq!(&fresh, after, "a null is left");
}

/// Objects and arrays below the section's root.
fn levels(object: &Object) -> usize {
    fn below(value: &Value) -> usize {
        match value {
            Value::Object(inner) => 1 + levels(inner),
            Value::Array(items) => 1 + items.iter().map(below).max().unwrap_or_default(),
            _ => 0,
        }
    }
    object.values().map(below).max().unwrap_or_default()
}

/// One entry a value, stamped, in the same tree; arrays are leaves.
fn metadata_holds(values: &Object, metadata: &Object, versioned: bool) {
    assert!(metadata["$lastUpdated"].is_string());
    assert_eq!(metadata.contains_key("$lastUpdatedVersion"), versioned);
    let names = metadata.keys().filter(|key| !key.starts_with('$'));
    assert_eq!(names.count(), values.len(), "{values:?} {metadata:?}");
    for (key, value) in values {
        let Some(Value::Object(entry)) = metadata.get(key) else {
            panic!("{key} has no metadata")
        };
        metadata_holds(value.as_object().unwrap_or(&Object::new()), entry, versioned);
    }
}

/// What the patch touched carries this moment, everything else its old stamp.
fn stamps_hold<'a>(
    before: &PropertySet,
    patch: &'a Object,
    after: &PropertySet,
    path: &mut Vec<&'a str>,
    now: Timestamp,
) {
    for (key, change) in patch {
        path.push(key);
        if !change.is_null() {
            assert_eq!(after.last_updated(path), Some(now), "{path:?}");
        }
        if let Value::Object(inner) = change {
            stamps_hold(before, inner, after, path, now);
        }
        path.pop();
    }
    let entries = |set: &PropertySet| {
        let mut node = &set.metadata;
        for key in path.iter() {
            node = node.get(*key)?.as_object()?;
        }
        Some(node.clone())
    };
    for (key, entry) in entries(before).unwrap_or_default() {
        if !key.starts_with('$') && !patch.contains_key(&key) {
            let kept = entries(after).unwrap_or_default().remove(&key);
            assert_eq!(kept, Some(entry), "{path:?} {key}");
        }
    }
}

/// What the hub took it can store, list in a page of twins, and a client can read back.
fn documents_hold(set: &PropertySet) {
    let page = json!([{ "properties": { "desired": set, "reported": set } }]);
    let text = page.to_string();
    match serde_json::from_str::<Value>(&text) {
        Ok(read) => assert_eq!(read, page),
        Err(error) => panic!("a page with this twin cannot be read: {error}"),
    }
    match serde_json::from_value::<PropertySet>(json!(set)) {
        Ok(read) => assert_eq!(&read, set),
        Err(error) => panic!("{error}"),
    }
}
