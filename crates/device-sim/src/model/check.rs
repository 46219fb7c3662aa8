//! What a value has to be: a member of a method's payload, or what a step requires.

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::template::names;

/// What a value has to be.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Check {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// Whether it has to be there; true when not said. Null counts as not there.
    #[serde(default = "yes")]
    pub(crate) required: bool,
    /// The least number.
    pub(crate) min: Option<f64>,
    /// The greatest number.
    pub(crate) max: Option<f64>,
    /// The most characters of a text.
    pub(crate) max_length: Option<usize>,
    /// The only values allowed.
    pub(crate) one_of: Option<Vec<Value>>,
    /// What it is for.
    #[allow(dead_code, reason = "for readers of the model and for forms made of the schema")]
    pub(crate) about: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Any,
    String,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    /// An http or https address.
    Uri,
    /// 64 hexadecimal digits.
    Sha256,
}

impl Kind {
    fn wanted(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::String => "a text",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::Array => "a list",
            Self::Uri => "an address that begins with http:// or https://",
            Self::Sha256 => "64 hexadecimal digits",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Uri => value.as_str().and_then(package_address).is_some(),
            Self::Sha256 => value.as_str().is_some_and(is_sha256),
        }
    }
}

/// An address that a package may come from.
pub(crate) fn package_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// As JSON values are compared by people: 1 is 1.0.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        #[allow(clippy::float_cmp, reason = "the model says which number")]
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

impl Check {
    /// What is wrong with the value, as a sentence that begins with its name.
    pub(crate) fn problem(&self, name: &str, value: Option<&Value>) -> Option<String> {
        let wanted = self.kind.wanted();
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return self.required.then(|| format!("{name} is missing; it must be {wanted}"));
        };
        if !self.kind.fits(value) {
            return Some(format!("{name} must be {wanted}"));
        }
        if let Some(allowed) = &self.one_of
            && !allowed.iter().any(|one| same(one, value))
        {
            return Some(format!("{name} must be {}", names(allowed)));
        }
        match (value.as_f64(), self.min, self.max) {
            (Some(number), Some(min), _) if number < min => return Some(format!("{name} must be at least {min}")),
            (Some(number), _, Some(max)) if number > max => return Some(format!("{name} must be at most {max}")),
            _ => {}
        }
        match (value.as_str(), self.max_length) {
            (Some(text), Some(most)) if text.chars().nth(most).is_some() => {
                Some(format!("{name} must have at most {most} characters"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_told_with_its_name_and_what_it_must_be() {
        let cases = [
            (
                json!({ "type": "string" }),
                json!(null),
                "x is missing; it must be a text",
            ),
            (json!({ "type": "string" }), json!(1), "x must be a text"),
            (json!({ "type": "number" }), json!("1"), "x must be a number"),
            (json!({ "type": "integer" }), json!(1.5), "x must be a whole number"),
            (json!({ "type": "boolean" }), json!(0), "x must be true or false"),
            (json!({ "type": "object" }), json!([]), "x must be an object"),
            (json!({ "type": "array" }), json!({}), "x must be a list"),
            (
                json!({ "type": "uri" }),
                json!("file:///etc/passwd"),
                "x must be an address that begins with http:// or https://",
            ),
            (
                json!({ "type": "sha256" }),
                json!("abc"),
                "x must be 64 hexadecimal digits",
            ),
            (
                json!({ "type": "number", "min": 1, "max": 5 }),
                json!(0.5),
                "x must be at least 1",
            ),
            (
                json!({ "type": "number", "min": 1, "max": 5 }),
                json!(6),
                "x must be at most 5",
            ),
            (
                json!({ "type": "string", "maxLength": 2 }),
                json!("abc"),
                "x must have at most 2 characters",
            ),
            (
                json!({ "type": "any", "oneOf": ["a", 1] }),
                json!("b"),
                "x must be \"a\" or 1",
            ),
        ];
        for (check, value, expected) in cases {
            let check: Check = serde_json::from_value(check).unwrap();
            assert_eq!(check.problem("x", Some(&value)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_value_that_fits_or_need_not_be_there_is_fine() {
        let cases = [
            (json!({ "type": "string", "required": false }), json!(null)),
            (json!({ "type": "integer" }), json!(2.0)),
            (json!({ "type": "any" }), json!([1])),
            (json!({ "type": "uri" }), json!("https://packages.example/fw.bin?sig=x")),
            (json!({ "type": "sha256" }), json!("AB".repeat(32))),
            (json!({ "type": "number", "oneOf": [1, 2] }), json!(1.0)),
            (json!({ "type": "string", "maxLength": 2 }), json!("äö")),
        ];
        for (check, value) in cases {
            let check: Check = serde_json::from_value(check).unwrap();
            assert_eq!(check.problem("x", Some(&value)), None);
        }
    }
}
