//! How twins change: the merge, its metadata, and the limits a patch must keep.
//!
//! Null deletes, objects merge, everything else replaces, arrays are values. `{"a":{"b":null}}`
//! on a twin without `a` leaves `a: {}`. One bad key refuses the whole patch.

use serde_json::{Map, Value, json};

pub type Object = Map<String, Value>;

/// Bytes a section may hold, counted by [`size`].
pub const MAX_TAGS_SIZE: usize = 8 * 1024;
pub const MAX_PROPERTIES_SIZE: usize = 32 * 1024;
/// Levels of objects and arrays below a section's root; a scalar may sit inside the last one.
pub const MAX_DEPTH: usize = 10;
const MAX_KEY: usize = 1024;
const MAX_STRING: usize = 4096;
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    #[error("the patch must be a JSON object")]
    NotAnObject,
    #[error(
        "property name {0:?} is not allowed: names may not be empty, pass 1 KB, or hold blanks, control characters or . $ #"
    )]
    Key(String),
    #[error("{0}: twins nest at most {MAX_DEPTH} levels deep")]
    Depth(String),
    #[error("{0}: a text may have at most 4096 bytes")]
    LongString(String),
    #[error("{0}: whole numbers must lie between -4503599627370496 and 4503599627370495")]
    Integer(String),
    #[error("{0}: an array may not contain null")]
    NullInArray(String),
    #[error("{section} would be {size} bytes, the limit is {limit}")]
    TooLarge {
        section: &'static str,
        size: usize,
        limit: usize,
    },
}

/// Applies `patch` to `target` in place.
pub fn merge(target: &mut Object, patch: &Object) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(inner) => {
                let slot = target.entry(key).or_insert_with(|| Value::Object(Object::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Object::new());
                }
                if let Value::Object(slot) = slot {
                    merge(slot, inner);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

/// The smallest patch that makes `to` of `from`; empty when they are alike. `to` holds no null but
/// in arrays.
pub fn difference(from: &Object, to: &Object) -> Object {
    let mut patch = Object::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, wanted) in to {
        match (from.get(key), wanted) {
            (Some(is), wanted) if is == wanted => {}
            (Some(Value::Object(is)), Value::Object(wanted)) => {
                patch.insert(key.clone(), Value::Object(difference(is, wanted)));
            }
            _ => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    patch
}

/// Updates `$metadata` for `patch`: every touched node, and the nodes above it, get
/// `$lastUpdated`, in desired also `$lastUpdatedVersion`. Arrays are leaves.
/// `values` is the section after the merge.
pub fn merge_metadata(metadata: &mut Object, values: &Object, patch: &Object, now: &str, version: Option<u64>) {
    stamp(metadata, now, version);
    for (key, changed) in patch {
        let Some(value) = values.get(key) else {
            metadata.remove(key);
            continue;
        };
        let slot = metadata.entry(key).or_insert_with(|| json!({}));
        let Value::Object(slot) = slot else { continue };
        match (value, changed) {
            (Value::Object(value), Value::Object(changed)) => {
                // A scalar that became an object has no stamps below it yet; the patch names all.
                merge_metadata(slot, value, changed, now, version);
            }
            _ => {
                slot.retain(|key, _| key.starts_with('$'));
                stamp(slot, now, version);
            }
        }
    }
}

fn stamp(node: &mut Object, now: &str, version: Option<u64>) {
    node.insert("$lastUpdated".into(), now.into());
    if let Some(version) = version {
        node.insert("$lastUpdatedVersion".into(), version.into());
    }
}

/// Checks names, depth and values of a patch, all of it, before anything is applied.
pub fn check(patch: &Object) -> Result<(), TwinError> {
    check_object(patch, "", 0, false)
}

fn check_object(object: &Object, path: &str, depth: usize, in_array: bool) -> Result<(), TwinError> {
    if depth > MAX_DEPTH {
        return Err(TwinError::Depth(path.to_owned()));
    }
    for (key, value) in object {
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '.' | '$' | '#');
        if key.is_empty() || key.len() > MAX_KEY || key.contains(bad) {
            return Err(TwinError::Key(key.chars().take(64).collect()));
        }
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        check_value(value, &path, depth, in_array)?;
    }
    Ok(())
}

fn check_value(value: &Value, path: &str, depth: usize, in_array: bool) -> Result<(), TwinError> {
    match value {
        Value::Null if in_array => Err(TwinError::NullInArray(path.to_owned())),
        Value::String(text) if text.len() > MAX_STRING => Err(TwinError::LongString(path.to_owned())),
        Value::Number(number) => {
            let integer_in_range = number.as_i64().is_some_and(|n| INTEGERS.contains(&n));
            if integer_in_range || number.is_f64() {
                Ok(())
            } else {
                Err(TwinError::Integer(path.to_owned()))
            }
        }
        Value::Object(inner) => check_object(inner, path, depth + 1, in_array),
        Value::Array(items) => {
            if depth + 1 > MAX_DEPTH {
                return Err(TwinError::Depth(path.to_owned()));
            }
            items
                .iter()
                .try_for_each(|item| check_value(item, path, depth + 1, true))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Bytes as the hub counts them: names and texts in UTF-8 without control characters, 8 a
/// number, 4 a boolean; metadata is free.
pub fn size(values: &Object) -> usize {
    let text = |text: &str| {
        text.chars()
            .filter(|c| !c.is_control())
            .map(char::len_utf8)
            .sum::<usize>()
    };
    values
        .iter()
        .map(|(key, value)| text(key) + value_size(value, &text))
        .sum()
}

fn value_size(value: &Value, text: &impl Fn(&str) -> usize) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(string) => text(string),
        Value::Array(items) => items.iter().map(|item| value_size(item, text)).sum(),
        Value::Object(inner) => size(inner),
    }
}

pub fn check_size(section: &'static str, values: &Object) -> Result<(), TwinError> {
    let limit = if section == "tags" {
        MAX_TAGS_SIZE
    } else {
        MAX_PROPERTIES_SIZE
    };
    let size = size(values);
    if size > limit {
        Err(TwinError::TooLarge { section, size, limit })
    } else {
        Ok(())
    }
}

/// Drops `$metadata` and `$version`, which SDKs send back with whole twin documents and the hub
/// ignores. Any other name with a `$` stays, to be refused.
pub fn without_system_keys(object: &Object) -> Object {
    let keep = object
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "$metadata" | "$version"));
    keep.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    fn merged(target: Value, patch: Value) -> Value {
        let mut target = object(target);
        merge(&mut target, &object(patch));
        Value::Object(target)
    }

    #[test]
    fn null_deletes_objects_merge_and_arrays_are_replaced() {
        let twin = json!({"a": {"b": 1, "c": 2}, "list": [1, 2], "s": "x"});
        assert_eq!(
            merged(twin.clone(), json!({"a": {"b": null}})),
            json!({"a": {"c": 2}, "list": [1, 2], "s": "x"})
        );
        assert_eq!(
            merged(twin.clone(), json!({"list": [3], "s": {"t": 1}}))["list"],
            json!([3])
        );
        assert_eq!(merged(twin.clone(), json!({"s": {"t": 1}}))["s"], json!({"t": 1}));
        assert_eq!(merged(twin.clone(), json!({"missing": null})), twin);
        assert_eq!(merged(json!({}), json!({"a": {"b": null}})), json!({"a": {}}));
    }

    #[test]
    fn every_limit_refuses_the_whole_patch() {
        let mut deep = json!(1);
        for _ in 0..12 {
            deep = json!({ "n": deep });
        }
        assert!(matches!(check(&object(deep)), Err(TwinError::Depth(_))));
        let refused = [
            json!({"a.b": 1}),
            json!({"$version": 1}),
            json!({"a b": 1}),
            json!({"a#": 1}),
            json!({"": 1}),
            json!({"ok": 1, "in": {"b$": 1}}),
            json!({"s": "x".repeat(4097)}),
            json!({"n": 4_503_599_627_370_496_i64}),
            json!({"list": [1, null]}),
            json!({"list": [{"a": null}]}),
        ];
        for patch in refused {
            assert!(check(&object(patch.clone())).is_err(), "{patch}");
        }
        assert!(
            check(&object(
                json!({"s": "x".repeat(4096), "n": -4_503_599_627_370_496_i64, "f": 0.5, "gone": null})
            ))
            .is_ok()
        );
    }

    #[test]
    fn ten_levels_below_the_root_are_allowed() {
        let mut deep = json!(1);
        for _ in 0..11 {
            deep = json!({ "n": deep });
        }
        assert_eq!(check(&object(deep)), Ok(()));
        let mut list = json!([1]);
        for _ in 0..9 {
            list = json!([list]);
        }
        assert_eq!(check(&object(json!({ "n": list }))), Ok(()));
        assert!(matches!(
            check(&object(json!({ "n": [list] }))),
            Err(TwinError::Depth(_))
        ));
    }

    #[test]
    fn metadata_mirrors_the_tree_and_moves_only_where_the_patch_went() {
        let mut values = object(json!({"a": {"b": 1}, "c": 1}));
        let mut metadata = Object::new();
        merge_metadata(&mut metadata, &values, &values.clone(), "t1", Some(1));
        let patch = object(json!({"a": {"b": 2, "d": [1]}, "c": null}));
        merge(&mut values, &patch);
        merge_metadata(&mut metadata, &values, &patch, "t2", Some(2));
        let new = json!({"$lastUpdated": "t2", "$lastUpdatedVersion": 2});
        assert_eq!(metadata["a"]["b"], new);
        assert_eq!(metadata["a"]["d"], new);
        assert!(metadata.get("c").is_none());
        assert_eq!(metadata["$lastUpdated"], "t2");
    }

    #[test]
    fn sizes_count_names_and_values_but_no_metadata() {
        assert_eq!(
            size(&object(json!({"ab": "cd", "n": 1, "t": true, "o": {"x": [1, "é"]}}))),
            2 + 2 + 1 + 8 + 1 + 4 + 1 + 1 + 8 + 2
        );
    }

    fn arbitrary_object() -> impl Strategy<Value = Object> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from)
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-c]", inner, 0..4).prop_map(|m| m.into_iter().collect())
            ]
        });
        prop::collection::hash_map("[a-c]", value, 0..4).prop_map(|m| m.into_iter().collect())
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(target in arbitrary_object(), patch in arbitrary_object()) {
            let mut once = target;
            merge(&mut once, &patch);
            let mut twice = once.clone();
            merge(&mut twice, &patch);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn the_difference_makes_the_one_of_the_other(from in arbitrary_object(), to in arbitrary_object()) {
            let (mut one, mut other) = (Object::new(), Object::new());
            merge(&mut one, &from);
            merge(&mut other, &to);
            let patch = difference(&one, &other);
            prop_assert_eq!(patch.is_empty(), one == other);
            merge(&mut one, &patch);
            prop_assert_eq!(one, other);
        }

        #[test]
        fn nothing_the_patch_does_not_name_changes(target in arbitrary_object(), patch in arbitrary_object()) {
            let mut after = target.clone();
            merge(&mut after, &patch);
            for key in target.keys().filter(|key| !patch.contains_key(*key)) {
                prop_assert_eq!(after.get(key), target.get(key));
            }
        }

        #[test]
        fn metadata_has_exactly_the_keys_of_the_values(first in arbitrary_object(), second in arbitrary_object()) {
            fn same_shape(values: &Object, metadata: &Object) -> bool {
                let keys = metadata.keys().filter(|key| !key.starts_with('$')).count();
                keys == values.len() && values.iter().all(|(key, value)| match (value, metadata.get(key)) {
                    (Value::Object(value), Some(Value::Object(meta))) => same_shape(value, meta),
                    (_, Some(Value::Object(meta))) => meta.contains_key("$lastUpdated"),
                    _ => false,
                })
            }
            let (mut values, mut metadata) = (Object::new(), Object::new());
            for patch in [first, second] {
                merge(&mut values, &patch);
                merge_metadata(&mut metadata, &values, &patch, "t", None);
                prop_assert!(same_shape(&values, &metadata), "{values:?} {metadata:?}");
            }
        }
    }
}
