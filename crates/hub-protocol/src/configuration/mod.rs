//! Configurations: automatic device management and Edge deployments (service.md 7).

mod content;
mod target;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    ErrorCode, HubError, Timestamp,
    identity::null_as_default,
    query::{self, Source},
};

pub use content::{ConfigurationContent, Content, Deployment, InvalidContent, Setting};
pub use target::TargetCondition;

/// Configurations a hub may have.
pub const MAX_CONFIGURATIONS: usize = 100;
/// Custom metrics a configuration may have.
pub const MAX_METRICS: usize = 5;

/// The module of an Edge device that runs all others; a deployment's standing is told on its twin.
pub const EDGE_AGENT: &str = "$edgeAgent";

/// 1 to 128 lower-case ASCII letters, digits and `- + % _ * ! '`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ConfigurationId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a configuration id has 1 to 128 lower-case letters, digits and - + % _ * ! ', unlike {0:?}")]
pub struct InvalidConfigurationId(String);

impl ConfigurationId {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidConfigurationId> {
        let text = text.into();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+%_*!'".contains(c);
        if (1..=128).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text))
        } else {
            Err(InvalidConfigurationId(text.chars().take(128).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ConfigurationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// `GET` and `PUT /configurations/{id}`. A PUT's times, etag, results and system metrics are
/// ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    pub id: ConfigurationId,
    /// Free text.
    #[serde(default)]
    pub schema_version: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Never changes after the configuration was created.
    #[serde(default, deserialize_with = "null_as_default")]
    pub content: ConfigurationContent,
    /// What stands after WHERE, `*` for all, nothing for none; for modules a whole
    /// `FROM devices.modules WHERE …`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub target_condition: String,
    #[serde(default = "never", deserialize_with = "time_or_never")]
    pub created_time_utc: Timestamp,
    #[serde(default = "never", deserialize_with = "time_or_never")]
    pub last_updated_time_utc: Timestamp,
    /// The highest wins; among equals the newest.
    #[serde(default, deserialize_with = "null_as_default")]
    pub priority: u32,
    #[serde(default, deserialize_with = "null_as_default")]
    pub system_metrics: ConfigurationMetrics,
    #[serde(default, deserialize_with = "null_as_default")]
    pub metrics: ConfigurationMetrics,
    /// Opaque, unquoted here and quoted in the `ETag` header.
    #[serde(default, deserialize_with = "null_as_default")]
    pub etag: String,
}

/// Queries by name, and how many rows each has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigurationMetrics {
    #[serde(deserialize_with = "null_as_default")]
    pub results: BTreeMap<String, u64>,
    #[serde(deserialize_with = "null_as_default")]
    pub queries: BTreeMap<String, String>,
}

/// Body of `POST /configurations/testQueries`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TestQueries {
    #[serde(deserialize_with = "null_as_default")]
    pub target_condition: String,
    #[serde(deserialize_with = "null_as_default")]
    pub custom_metric_queries: BTreeMap<String, String>,
}

/// Its answer: only what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TestQueriesResult {
    pub target_condition_error: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub custom_metric_query_errors: BTreeMap<String, String>,
}

/// What a configuration is to one twin: the value of `configurations.{id}.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Its condition holds, and another configuration wins.
    Targeted,
    /// Its content is in the twin's desired properties.
    Applied,
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

fn time_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(Timestamp::NEVER))
}

impl Configuration {
    pub fn new(id: ConfigurationId, content: ConfigurationContent) -> Self {
        Self {
            id,
            schema_version: None,
            labels: BTreeMap::new(),
            content,
            target_condition: String::new(),
            created_time_utc: Timestamp::NEVER,
            last_updated_time_utc: Timestamp::NEVER,
            priority: 0,
            system_metrics: ConfigurationMetrics::default(),
            metrics: ConfigurationMetrics::default(),
            etag: String::new(),
        }
    }

    /// Reads condition, content and metrics, and refuses what the hub does.
    pub fn read(&self) -> Result<(TargetCondition, Content), HubError> {
        let content = self.content.read().map_err(HubError::from)?;
        let source = match content {
            Content::Module(_) => Source::Modules,
            Content::Device(_) | Content::Edge(_) => Source::Devices,
        };
        let target = TargetCondition::parse(&self.target_condition)
            .and_then(|target| target.must_be_over(source))
            .map_err(|text| HubError::new(ErrorCode::InvalidConfigurationTargetCondition, text))?;
        let invalid = |text: String| HubError::new(ErrorCode::InvalidConfigurationCustomMetricsQuery, text);
        if self.metrics.queries.len() > MAX_METRICS {
            let count = self.metrics.queries.len();
            return Err(invalid(format!(
                "{count} custom metrics, a configuration has at most {MAX_METRICS}."
            )));
        }
        for (name, text) in &self.metrics.queries {
            query::parse(text).map_err(|error| invalid(format!("Metric {name}: {error}.")))?;
        }
        Ok((target, content))
    }

    /// The queries of the system metrics. Clients run them as they stand, so each is one.
    pub fn system_queries(&self) -> BTreeMap<String, String> {
        let id = &self.id;
        let condition = self.target_condition.trim();
        let applied = format!("configurations.[[{id}]].status = 'Applied'");
        let is_edge = self.content.modules_content.is_some();
        let targeted = match (is_edge, condition) {
            // No id is empty: nothing is targeted.
            (_, "") => "select deviceId from devices where deviceId = ''".to_owned(),
            (true, "*") => "select deviceId from devices where capabilities.iotEdge = true".to_owned(),
            (true, _) => format!("select deviceId from devices where capabilities.iotEdge = true and ({condition})"),
            (false, "*") => "select deviceId from devices".to_owned(),
            (false, _) if self.content.module_content.is_some() => format!("select deviceId, moduleId {condition}"),
            (false, _) => format!("select deviceId from devices where {condition}"),
        };
        let mut queries = BTreeMap::from([("targetedCount".to_owned(), targeted)]);
        if is_edge {
            let agents = format!("select deviceId from devices.modules where moduleId = '{EDGE_AGENT}' and {applied}");
            let reported = |comparison: &str| {
                format!(
                    "{agents} and properties.desired.$version = properties.reported.lastDesiredVersion \
                     and properties.reported.lastDesiredStatus.code {comparison} 200"
                )
            };
            queries.insert("reportedSuccessfulCount".to_owned(), reported("="));
            queries.insert("reportedFailedCount".to_owned(), reported("!="));
            queries.insert("appliedCount".to_owned(), agents);
        } else if self.content.module_content.is_some() {
            let text = format!("select deviceId, moduleId from devices.modules where {applied}");
            queries.insert("appliedCount".to_owned(), text);
        } else {
            let text = format!("select deviceId from devices where {applied}");
            queries.insert("appliedCount".to_owned(), text);
        }
        queries
    }
}

impl TestQueries {
    /// `*` is refused here, though a configuration may have it (service.md 7.1).
    pub fn test(&self) -> TestQueriesResult {
        let target = if self.target_condition.trim() == "*" {
            Err("* is no condition.".to_owned())
        } else {
            TargetCondition::parse(&self.target_condition)
        };
        let metric_error = |(name, text): (&String, &String)| {
            let error = query::parse(text).err()?;
            Some((name.clone(), error.to_string()))
        };
        TestQueriesResult {
            target_condition_error: target.err(),
            custom_metric_query_errors: self.custom_metric_queries.iter().filter_map(metric_error).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration(value: serde_json::Value) -> Configuration {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn ids_are_lower_case_with_a_few_signs() {
        for id in ["cfg-1", "a+b%c_d*e!f'g", &"x".repeat(128)] {
            assert!(ConfigurationId::new(id).is_ok(), "{id}");
        }
        for id in ["", "Cfg", "a.b", "a b", "a/b", "ü", &"x".repeat(129)] {
            assert!(ConfigurationId::new(id).is_err(), "{id}");
        }
    }

    #[test]
    fn what_clients_leave_out_or_send_as_null_has_a_default() {
        let read = configuration(json!({
            "id": "c", "schemaVersion": null, "labels": null, "targetCondition": null, "priority": null,
            "metrics": { "queries": null }, "systemMetrics": null, "createdTimeUtc": null, "etag": "*",
            "contentType": "assignment", "content": { "deviceContent": { "properties.desired.a": 1 }, "moduleContent": null }
        }));
        assert_eq!((read.priority, read.target_condition.as_str()), (0, ""));
        assert!(read.read().is_ok());
    }

    #[test]
    fn a_document_of_the_specification_is_written_as_it_was_read() {
        let document = json!({
            "id": "cfg-1", "schemaVersion": "2.0", "labels": {"team": "x"},
            "content": {"deviceContent": {"properties.desired.interval": 30}},
            "targetCondition": "tags.hall = 'B'", "createdTimeUtc": "2025-06-01T00:00:00.0000000Z",
            "lastUpdatedTimeUtc": "2025-06-01T00:00:00.0000000Z", "priority": 10,
            "systemMetrics": {
                "results": {"appliedCount": 1, "targetedCount": 2},
                "queries": {"appliedCount": "select deviceId from devices where configurations.[[cfg-1]].status = 'Applied'",
                    "targetedCount": "select deviceId from devices where tags.hall = 'B'"}},
            "metrics": {"results": {"ok": 1}, "queries": {"ok": "SELECT deviceId FROM devices WHERE properties.reported.ok = true"}},
            "etag": "MQ=="
        });
        let read = configuration(document.clone());
        assert_eq!(serde_json::to_value(&read).unwrap(), document);
        assert_eq!(read.system_queries(), read.system_metrics.queries);
    }

    #[test]
    fn edge_deployments_have_the_two_reported_counts_as_well() {
        let edge = configuration(json!({
            "id": "e", "targetCondition": "tags.a = 1 or tags.b = 2",
            "content": { "modulesContent": { "$edgeAgent": { "properties.desired": {} } } }
        }));
        let queries = edge.system_queries();
        assert_eq!(
            queries["targetedCount"],
            "select deviceId from devices where capabilities.iotEdge = true and (tags.a = 1 or tags.b = 2)"
        );
        assert_eq!(
            queries["reportedFailedCount"],
            "select deviceId from devices.modules where moduleId = '$edgeAgent' and \
             configurations.[[e]].status = 'Applied' and properties.desired.$version = \
             properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code != 200"
        );
        assert_eq!(queries.len(), 4);
    }

    #[test]
    fn every_system_query_can_be_run_whatever_the_id_and_the_condition() {
        let contents = [
            json!({ "deviceContent": { "properties.desired.a": 1 } }),
            json!({ "moduleContent": { "properties.desired.a": 1 } }),
            json!({ "modulesContent": { "$edgeAgent": { "properties.desired": {} } } }),
        ];
        for (kind, content) in contents.iter().enumerate() {
            let conditions = if kind == 1 {
                ["", "FROM devices.modules WHERE tags.a = 1 OR moduleId = 'm'"]
            } else {
                ["*", "tags.a = 1 OR deviceId IN ['d']"]
            };
            for condition in conditions {
                let value = json!({ "id": "a-+%_*!'9", "targetCondition": condition, "content": content });
                let read = configuration(value);
                assert_eq!(read.read().map(drop), Ok(()));
                for (name, text) in read.system_queries() {
                    assert!(query::parse(&text).is_ok(), "{name}: {text}: {:?}", query::parse(&text));
                }
            }
        }
    }

    #[test]
    fn each_fault_has_the_code_clients_know() {
        let refused = |change: fn(&mut Configuration)| {
            let mut value = configuration(json!({
                "id": "c", "targetCondition": "*", "content": { "deviceContent": { "properties.desired.a": 1 } }
            }));
            change(&mut value);
            value.read().unwrap_err().code
        };
        assert_eq!(
            refused(|c| c.content = ConfigurationContent::default()),
            ErrorCode::InvalidConfigurationContent
        );
        assert_eq!(
            refused(|c| c.target_condition = "tags.a ==".into()),
            ErrorCode::InvalidConfigurationTargetCondition
        );
        assert_eq!(
            refused(|c| c.target_condition = "FROM devices.modules WHERE tags.a = 1".into()),
            ErrorCode::InvalidConfigurationTargetCondition
        );
        let metrics = |c: &mut Configuration, count: usize, text: &str| {
            c.metrics.queries = (0..count).map(|n| (format!("m{n}"), text.to_owned())).collect();
        };
        assert_eq!(
            refused(|c| c.metrics.queries = [("m".to_owned(), "SELEC".to_owned())].into()),
            ErrorCode::InvalidConfigurationCustomMetricsQuery
        );
        let mut many =
            configuration(json!({ "id": "c", "content": { "deviceContent": { "properties.desired.a": 1 } } }));
        metrics(&mut many, 5, "SELECT * FROM devices");
        assert!(many.read().is_ok());
        metrics(&mut many, 6, "SELECT * FROM devices");
        assert_eq!(
            many.read().unwrap_err().code,
            ErrorCode::InvalidConfigurationCustomMetricsQuery
        );
    }

    #[test]
    fn tested_queries_answer_only_what_is_wrong() {
        let test = |target: &str, metric: &str| {
            TestQueries {
                target_condition: target.into(),
                custom_metric_queries: [("m".to_owned(), metric.to_owned())].into(),
            }
            .test()
        };
        assert_eq!(
            test("tags.a = 1", "SELECT * FROM devices"),
            TestQueriesResult::default()
        );
        let wrong = test("tags.a =", "SELEC");
        assert!(wrong.target_condition_error.is_some() && wrong.custom_metric_query_errors.contains_key("m"));
        assert!(test("*", "SELECT * FROM devices").target_condition_error.is_some());
    }
}
