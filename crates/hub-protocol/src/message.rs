//! The properties of messages, and the bag they travel in at the end of a topic.

use std::collections::{BTreeMap, HashSet};

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::sas::UNRESERVED;

/// `key=value` pairs joined by `&`, both sides percent-encoded. A bare key has the value `None`,
/// `key=` the empty text; a plain `+` stays a plus; the last of a repeated key wins.
pub fn parse_bag(bag: &str) -> Vec<(String, Option<String>)> {
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // From the back, so that the last of a repeated key is met first: a topic has room for tens of
    // thousands of keys, too many to compare each with all.
    let mut seen = HashSet::new();
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    for item in bag.rsplit('&').filter(|item| !item.is_empty()) {
        let (key, value) = match item.split_once('=') {
            Some((key, value)) => (decode(key), Some(decode(value))),
            None => (decode(item), None),
        };
        if seen.insert(key.clone()) {
            pairs.push((key, value));
        }
    }
    pairs.reverse();
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

/// What IoT Hub itself understands of a message's properties; everything else is the
/// application's (device.md 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SystemProperty {
    MessageId,
    To,
    CorrelationId,
    UserId,
    ContentType,
    ContentEncoding,
    AbsoluteExpiryTime,
    CreationTime,
    Ack,
    Operation,
    InterfaceId,
    /// The component of a plug and play model.
    Subject,
    OutputName,
    MessageSchema,
    /// The device that sent a message to a module's input.
    SenderDeviceId,
    SenderModuleId,
}

/// What comes before the name of an application's property in HTTPS headers.
const APPLICATION_HEADER: &str = "iothub-app-";

use SystemProperty as P;

/// In a topic's bag, in the headers of HTTPS, on the message as the back end sees it. In a bag
/// they are written in this order: the C# and Java clients look for `$.to` near its start.
const NAMES: [(SystemProperty, &str, &str, &str); 16] = [
    (P::To, "$.to", "iothub-to", "to"),
    (P::MessageId, "$.mid", "iothub-messageid", "message-id"),
    (P::CorrelationId, "$.cid", "iothub-correlationid", "correlation-id"),
    (P::UserId, "$.uid", "iothub-userid", "user-id"),
    (P::ContentType, "$.ct", "iothub-contenttype", "content-type"),
    (P::ContentEncoding, "$.ce", "iothub-contentencoding", "content-encoding"),
    (P::AbsoluteExpiryTime, "$.exp", "iothub-expiry", "absolute-expiry-time"),
    (
        P::CreationTime,
        "$.ctime",
        "iothub-creation-time-utc",
        "iothub-creation-time-utc",
    ),
    (P::Ack, "iothub-ack", "iothub-ack", "iothub-ack"),
    (P::Operation, "iothub-operation", "iothub-operation", "iothub-operation"),
    (P::InterfaceId, "$.ifid", "iothub-interface-id", "iothub-interface-id"),
    (P::Subject, "$.sub", "dt-subject", "dt-subject"),
    (P::OutputName, "$.on", "iothub-outputname", "outputName"),
    (
        P::MessageSchema,
        "$.schema",
        "iothub-message-schema",
        "iothub-message-schema",
    ),
    (
        P::SenderDeviceId,
        "$.cdid",
        "iothub-connection-device-id",
        "iothub-connection-device-id",
    ),
    (
        P::SenderModuleId,
        "$.cmid",
        "iothub-connection-module-id",
        "iothub-connection-module-id",
    ),
];

impl SystemProperty {
    fn names(self) -> (&'static str, &'static str, &'static str) {
        let row = NAMES.iter().find(|row| row.0 == self);
        row.map_or(("", "", ""), |row| (row.1, row.2, row.3))
    }

    /// In a topic's bag, e.g. `$.mid`.
    pub fn bag_name(self) -> &'static str {
        self.names().0
    }

    /// As a header of the HTTPS API, e.g. `iothub-messageid`.
    pub fn header_name(self) -> &'static str {
        self.names().1
    }

    /// On the message as a back end reads it, e.g. `message-id`.
    pub fn event_name(self) -> &'static str {
        self.names().2
    }

    fn of_bag(name: &str) -> Option<Self> {
        if name == "ack" {
            return Some(P::Ack);
        }
        NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Header names compare without case.
    pub fn of_header(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|row| row.2.eq_ignore_ascii_case(name))
            .map(|row| row.0)
    }
}

/// The properties of a message, in either direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    #[serde(default)]
    pub system: BTreeMap<SystemProperty, String>,
    /// In the order they came; a bare key has no value.
    #[serde(default)]
    pub application: Vec<(String, Option<String>)>,
}

impl Properties {
    /// Of a bag as it stands in a topic. Unknown `$.` keys are the application's.
    pub fn from_bag(bag: &str) -> Self {
        let mut properties = Self::default();
        for (key, value) in parse_bag(bag) {
            match SystemProperty::of_bag(&key) {
                Some(name) => {
                    properties.system.insert(name, value.unwrap_or_default());
                }
                None => properties.application.push((key, value)),
            }
        }
        properties
    }

    /// System properties first, `$` and `/` encoded, `$.to` at the front (device.md 4.1).
    pub fn to_bag(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let system = NAMES
            .iter()
            .filter_map(|row| Some((row.1, Some(self.system.get(&row.0)?.as_str()))));
        let application = self
            .application
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()));
        let items: Vec<String> = system
            .chain(application)
            .map(|(key, value)| match value {
                Some(value) => format!("{}={}", encode(key), encode(value)),
                None => encode(key),
            })
            .collect();
        items.join("&")
    }

    /// Of the headers of an HTTPS request, or of a message in a batch: `iothub-app-{name}` is the
    /// application's, the names of [`SystemProperty`] the system's; every other header is no
    /// property. The last of a repeated one wins (device.md 7.3).
    pub fn from_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut properties = Self::default();
        for (name, value) in headers {
            let prefix = name.get(..APPLICATION_HEADER.len()).unwrap_or_default();
            if prefix.eq_ignore_ascii_case(APPLICATION_HEADER) {
                let name = &name[APPLICATION_HEADER.len()..];
                properties.application.retain(|(seen, _)| seen != name);
                properties.application.push((name.to_owned(), Some(value.to_owned())));
            } else if let Some(name) = SystemProperty::of_header(name) {
                properties.system.insert(name, value.to_owned());
            }
        }
        properties
    }

    /// As headers of HTTPS; a bare key becomes an empty value.
    pub fn to_headers(&self) -> Vec<(String, &str)> {
        let system = self.system.iter();
        let application = self.application.iter();
        system
            .map(|(name, value)| (name.header_name().to_owned(), value.as_str()))
            .chain(application.map(|(key, value)| {
                (
                    format!("{APPLICATION_HEADER}{key}"),
                    value.as_deref().unwrap_or_default(),
                )
            }))
            .collect()
    }

    pub fn get(&self, name: SystemProperty) -> Option<&str> {
        self.system.get(&name).map(String::as_str)
    }

    /// Bytes they count for in a message's size: values of the system's, names and values of the
    /// application's (device.md 3.4).
    pub fn size(&self) -> usize {
        let system: usize = self.system.values().map(String::len).sum();
        let application = self.application.iter();
        system
            + application
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, String::len))
                .sum::<usize>()
    }
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
        assert_eq!(
            parse_bag("a=1&&b&a=2&%61"),
            vec![("b".into(), None), ("a".into(), None)]
        );
        assert!(parse_bag("").is_empty());
    }

    #[test]
    fn system_properties_are_told_from_the_applications_in_either_spelling() {
        let properties = Properties::from_bag("a=1&%24.mid=m%2F1&$.ct=application%2Fjson&$.odd=x&iothub-ack=full");
        assert_eq!(properties.get(SystemProperty::MessageId), Some("m/1"));
        assert_eq!(properties.get(SystemProperty::ContentType), Some("application/json"));
        assert_eq!(properties.get(SystemProperty::Ack), Some("full"));
        assert_eq!(
            properties.application,
            [("a".into(), Some("1".into())), ("$.odd".into(), Some("x".into()))]
        );
        let bag = "%24.mid=m%2F1&%24.ct=application%2Fjson&iothub-ack=full&a=1&%24.odd=x";
        assert_eq!(properties.to_bag(), bag);
    }

    #[test]
    fn headers_carry_what_a_bag_carries_in_any_letter_case() {
        let properties = Properties::from_headers([
            ("IoTHub-MessageId", "m"),
            ("host", "localhost"),
            ("iothub-ack", "full"),
            ("IoTHub-App-Key", "old"),
            ("iothub-app-Key", "new"),
            ("é", "x"),
        ]);
        assert_eq!(properties.get(SystemProperty::MessageId), Some("m"));
        assert_eq!(properties.get(SystemProperty::Ack), Some("full"));
        assert_eq!(properties.application, [("Key".into(), Some("new".into()))]);
        let headers = properties.to_headers();
        let again = Properties::from_headers(headers.iter().map(|(name, value)| (name.as_str(), *value)));
        assert_eq!(again, properties);
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
