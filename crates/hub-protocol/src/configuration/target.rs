//! Which twins a configuration is for.

use serde_json::Value;

use crate::query::{self, Expression, Source, Target};

/// A configuration's target condition, over `deviceId`, `moduleId`, tags and reported
/// properties.
///
/// Desired properties are what a configuration writes: a condition over them would never come
/// to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetCondition(Option<Target>);

impl TargetCondition {
    /// An empty text targets nothing, `*` every device. The error is for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text == "*" {
            return Ok(Self(Some(Target {
                source: Source::Devices,
                condition: None,
            })));
        }
        let target = query::parse_target(text).map_err(|error| format!("{error}."))?;
        let names_a_source = text
            .split_whitespace()
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("from"));
        if names_a_source && target.source == Source::Devices {
            return Err("A condition over devices is the text after WHERE alone.".into());
        }
        if let Some(condition) = &target.condition {
            check(condition)?;
        }
        Ok(Self(Some(target)))
    }

    pub(super) fn must_be_over(self, source: Source) -> Result<Self, String> {
        match &self.0 {
            Some(target) if target.source != source => Err(if source == Source::Modules {
                "The condition of module content begins with FROM devices.modules WHERE.".into()
            } else {
                "A condition over modules goes with module content only.".into()
            }),
            _ => Ok(self),
        }
    }

    /// Whether `twin` is one of them: a twin's document as clients see it.
    pub fn selects(&self, twin: &Value) -> bool {
        let Some(target) = &self.0 else { return false };
        let is_module = twin.get("moduleId").is_some();
        (target.source == Source::Modules) == is_module
            && target
                .condition
                .as_ref()
                .is_none_or(|condition| condition.matches(twin))
    }
}

fn check(condition: &Expression) -> Result<(), String> {
    let mut paths = Vec::new();
    condition.paths(&mut paths);
    for path in paths {
        match path.keys().as_slice() {
            ["deviceId" | "moduleId"] | ["tags", ..] | ["properties", "reported", ..] => {}
            other => {
                return Err(format!(
                    "{} cannot be used in a target condition; deviceId, tags and reported properties can.",
                    other.join(".")
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(text: &str, twin: &Value) -> bool {
        TargetCondition::parse(text).unwrap().selects(twin)
    }

    #[test]
    fn nothing_targets_nothing_and_a_star_every_device() {
        let (device, module) = (json!({ "deviceId": "d" }), json!({ "deviceId": "d", "moduleId": "m" }));
        assert!(!selects(" ", &device) && selects(" * ", &device) && !selects("*", &module));
    }

    #[test]
    fn a_condition_over_modules_begins_with_from() {
        let twin = json!({ "deviceId": "d", "moduleId": "m", "tags": { "a": 1 } });
        let device = json!({ "deviceId": "d", "tags": { "a": 1 } });
        let text = "from  devices.modules\nWHERE tags.a = 1";
        assert!(selects(text, &twin) && !selects(text, &device));
        assert!(!selects("tags.a = 1", &twin) && selects("tags.a = 1", &device));
        assert!(selects("FROM devices.modules WHERE moduleId = 'm'", &twin));
        for text in [
            "FROM devices.modules WHERE",
            "FROM devices WHERE tags.a = 1",
            "FROM devices.jobs",
        ] {
            assert!(TargetCondition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_reported_properties_and_ids_can_be_named_and_nothing_else() {
        let twin = json!({ "deviceId": "d", "tags": { "hall": "B" }, "properties": { "reported": { "n": 2 } } });
        assert!(selects(
            "tags.hall = 'B' AND properties.reported.n > 1 AND deviceId != 'e'",
            &twin
        ));
        assert!(!selects("tags.hall = 'B' AND NOT tags.floor = 1", &twin));
        for text in [
            "properties.desired.a = 1",
            "status = 'enabled'",
            "tags.a = 1 OR NOT version = 3",
            "tags.a ==",
        ] {
            assert!(TargetCondition::parse(text).is_err(), "{text}");
        }
    }
}
