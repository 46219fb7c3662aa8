//! The property bag at the end of a telemetry topic.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::sas::UNRESERVED;

/// `key=value` pairs joined by `&`, both sides percent-encoded. A bare key has the value `None`,
/// `key=` the empty text; a plain `+` stays a plus; the last of a repeated key wins.
pub fn parse_bag(bag: &str) -> Vec<(String, Option<String>)> {
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    for item in bag.split('&').filter(|item| !item.is_empty()) {
        let (key, value) = match item.split_once('=') {
            Some((key, value)) => (decode(key), Some(decode(value))),
            None => (decode(item), None),
        };
        pairs.retain(|(seen, _)| *seen != key);
        pairs.push((key, value));
    }
    pairs
}

pub fn format_bag<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |text: &'a str| utf8_percent_encode(text, UNRESERVED);
    let items: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    items.join("&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_python_client_sends_is_read() {
        let bag = "%24.mid=id%2F1%20%C3%BC&%24.cid=c%261&%24.ct=application%2Fjson%3Bcharset%3Dutf-8&a=x%2Fy%2Bz&b%20key=v%3D1%262";
        let pairs = parse_bag(bag);
        let get = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| key == name)
                .and_then(|(_, value)| value.as_deref())
        };
        assert_eq!(get("$.mid"), Some("id/1 ü"));
        assert_eq!(get("$.cid"), Some("c&1"));
        assert_eq!((get("a"), get("b key")), (Some("x/y+z"), Some("v=1&2")));
    }

    #[test]
    fn slashes_question_marks_bare_keys_and_plus_signs_are_understood() {
        assert_eq!(
            parse_bag("?a=1+2&b&c=/"),
            vec![
                ("a".into(), Some("1+2".into())),
                ("b".into(), None),
                ("c".into(), Some(String::new()))
            ]
        );
        assert_eq!(parse_bag("a=1&&a=2"), vec![("a".into(), Some("2".into()))]);
        assert!(parse_bag("").is_empty());
    }

    proptest! {
        #[test]
        fn a_bag_survives_the_round_trip(pairs in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..5)) {
            let text = format_bag(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let parsed: std::collections::BTreeMap<_, _> = parse_bag(&text).into_iter().map(|(k, v)| (k, v.unwrap())).collect();
            prop_assert_eq!(parsed, pairs);
        }
    }
}
