//! Tags of a group's devices: the same for all, or by turns, by number, by weight.

use hub_protocol::merge::{self, Object};
use serde_json::Value;

use super::pattern::Pattern;
use crate::random::Random;

const CYCLE: &str = "cycle";
const NUMBERED: &str = "numbered";
const WEIGHTED: &str = "weighted";

/// How one tag comes about.
enum Rule<'a> {
    /// One value after the other, and again from the first.
    Cycle(&'a [Value]),
    Numbered(Pattern),
    /// Drawn by the device's dice; names with their weights.
    Weighted(Vec<(&'a str, f64)>),
    Group(&'a Object),
    Plain(&'a Value),
}

/// A table with one of three names in it, alone, is a rule; any other is a group of tags.
fn rule<'a>(value: &'a Value) -> Result<Rule<'a>, String> {
    let Value::Object(table) = value else {
        return Ok(Rule::Plain(value));
    };
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) if name == CYCLE => match value {
            Value::Array(values) if !values.is_empty() => Ok(Rule::Cycle(values)),
            _ => Err("cycle is a list of one or more values".into()),
        },
        (Some((name, value)), None) if name == NUMBERED => {
            let text = value.as_str().ok_or("numbered is a text such as s{number % 50}")?;
            Ok(Rule::Numbered(text.parse().map_err(|error| format!("{error}"))?))
        }
        (Some((name, value)), None) if name == WEIGHTED => {
            let wrong = "weighted is a table of names and their weights, numbers above 0";
            let weights = value.as_object().filter(|weights| !weights.is_empty()).ok_or(wrong)?;
            let weight = |(name, weight): (&'a String, &'a Value)| {
                let weight = weight.as_f64().filter(|weight| *weight > 0.0 && *weight <= 1e9)?;
                Some((name.as_str(), weight))
            };
            let weights: Option<Vec<_>> = weights.iter().map(weight).collect();
            Ok(Rule::Weighted(weights.ok_or(wrong)?))
        }
        _ => Ok(Rule::Group(table)),
    }
}

/// That every rule can be followed, and that a hub takes what comes of it.
pub(super) fn check(tags: &Object) -> Result<(), String> {
    let sample = made(tags, 1, Random::new(0, ""), "tag")?;
    merge::check(&sample).map_err(|error| error.to_string())?;
    merge::check_size("tags", &sample).map_err(|error| error.to_string())
}

/// The tags of the device with this number.
pub(super) fn tags(tags: &Object, number: u32, random: Random) -> Object {
    // They were checked.
    made(tags, number, random, "tag").unwrap_or_default()
}

fn made(tags: &Object, number: u32, random: Random, path: &str) -> Result<Object, String> {
    let tag = |(name, value): (&String, &Value)| {
        let path = format!("{path}/{name}");
        let made = match rule(value).map_err(|why| format!("tags, {name}: {why}"))? {
            Rule::Plain(value) => value.clone(),
            Rule::Cycle(values) => values[(number.saturating_sub(1) as usize) % values.len()].clone(),
            Rule::Numbered(pattern) => pattern.fill(number).into(),
            Rule::Weighted(weights) => chosen(&weights, random.draw(&path, 0)).into(),
            Rule::Group(table) => made(table, number, random, &path)?.into(),
        };
        Ok((name.clone(), made))
    };
    tags.iter().map(tag).collect()
}

fn chosen<'a>(weights: &[(&'a str, f64)], draw: f64) -> &'a str {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut left = draw * total;
    let found = weights.iter().find(|(_, weight)| {
        left -= weight;
        left < 0.0
    });
    // Rounding may leave a little over.
    found.or(weights.last()).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else {
            panic!("{value}")
        };
        object
    }

    fn of(template: Value, number: u32) -> Value {
        let random = Random::new(7, &format!("pump-{number}"));
        tags(&object(template), number, random).into()
    }

    #[test]
    fn tags_are_plain_or_made_by_a_rule() {
        let template = json!({
            "plant": "A",
            "site": { "cycle": ["north", "south"] },
            "line": { "numbered": "s{number % 50}" },
            "where": { "floor": { "cycle": [1, 2, 3] }, "cycle": "a plain tag beside it" },
        });
        let expected = |site: &str, line: &str, floor: u32| {
            json!({
                "plant": "A", "site": site, "line": line,
                "where": { "floor": floor, "cycle": "a plain tag beside it" },
            })
        };
        assert_eq!(of(template.clone(), 1), expected("north", "s1", 1));
        assert_eq!(of(template, 52), expected("south", "s2", 1));
    }

    #[test]
    fn weights_are_kept_to_and_a_device_keeps_its_draw() {
        let template = json!({ "ring": { "weighted": { "canary": 1, "early": 9, "broad": 90 } } });
        let rings: Vec<Value> = (1..=2000)
            .map(|number| of(template.clone(), number)["ring"].clone())
            .collect();
        let count = |ring: &str| rings.iter().filter(|found| *found == ring).count();
        assert!((5..40).contains(&count("canary")), "{}", count("canary"));
        assert!((140..220).contains(&count("early")), "{}", count("early"));
        assert_eq!(count("canary") + count("early") + count("broad"), 2000);
        assert_eq!(of(template, 7)["ring"], rings[6]);
    }

    #[test]
    fn a_rule_that_cannot_be_followed_and_tags_a_hub_refuses_are_told() {
        for (template, told) in [
            (json!({ "site": { "cycle": [] } }), "tags, site: cycle is a list"),
            (json!({ "site": { "cycle": "north" } }), "tags, site: cycle is a list"),
            (
                json!({ "a": { "b": { "numbered": 7 } } }),
                "tags, b: numbered is a text",
            ),
            (json!({ "site": { "numbered": "{x}" } }), "is no place for a number"),
            (json!({ "ring": { "weighted": { "a": 0 } } }), "weighted is a table"),
            (json!({ "ring": { "weighted": {} } }), "weighted is a table"),
            (json!({ "a.b": 1 }), "property name"),
            (json!({ "a": "x".repeat(5000) }), "4096"),
        ] {
            let error = check(&object(template)).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
