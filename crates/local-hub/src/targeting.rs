//! Which configurations a device and its modules get, and what their twins become of it
//! (service.md 7.3). Pure: twins in, changes out.
//!
//! A plan that was carried out leaves nothing to do: conditions cannot name desired properties,
//! and what is wanted of a twin does not depend on how often it was written.

use std::{cmp::Reverse, collections::BTreeMap};

use hub_protocol::{
    ClientId, ModuleId, Timestamp,
    configuration::{ConfigurationId, Content, Deployment, EDGE_AGENT, Setting, Standing, TargetCondition},
    merge::{self, Object},
    twin::Twin,
};
use serde_json::json;

/// Modules a device may have (service.md 11.4).
const MAX_MODULES: usize = 50;

/// A configuration as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub id: ConfigurationId,
    pub priority: u32,
    pub created: Timestamp,
    pub target: TargetCondition,
    pub content: Content,
}

impl Candidate {
    /// The greatest wins: the highest priority, then the newest. Ids settle what is left.
    fn rank(&self) -> (u32, Timestamp, &ConfigurationId) {
        (self.priority, self.created, &self.id)
    }
}

/// Every configuration of the hub, the winner of any two first.
#[derive(Debug, Default)]
pub(crate) struct Candidates(Vec<Candidate>);

impl FromIterator<Candidate> for Candidates {
    fn from_iter<T: IntoIterator<Item = Candidate>>(candidates: T) -> Self {
        let mut candidates: Vec<Candidate> = candidates.into_iter().collect();
        candidates.sort_by(|one, other| Reverse(one.rank()).cmp(&Reverse(other.rank())));
        Self(candidates)
    }
}

/// What is to be done to one device and its modules.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Modules to create. Once they are there, the plan is to be made anew.
    pub missing: Vec<ModuleId>,
    pub changes: Vec<Change>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub id: ClientId,
    /// The twin's new `configurations`; `None` leaves them.
    pub configurations: Option<Object>,
    /// A patch, empty when nothing is to be written.
    pub desired: Object,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.changes.is_empty()
    }
}

/// What Edge modules get, from the lowest layer to the highest.
type Layers<'a> = BTreeMap<&'a ModuleId, Vec<&'a Setting>>;

/// `twins` are a device's and its modules'.
pub(crate) fn plan(candidates: &Candidates, twins: &[Twin]) -> Plan {
    let Some(device) = twins.iter().find(|twin| twin.module_id.is_none()) else {
        return Plan::default();
    };
    let targeted = |twin: &Twin| {
        let row = serde_json::to_value(twin).unwrap_or_default();
        let targeted = candidates.0.iter().filter(|candidate| candidate.target.selects(&row));
        targeted.collect::<Vec<_>>()
    };
    let of_device = targeted(device);
    let edge = Edge::of(&of_device, device, twins);
    let mut changes = Vec::new();
    for twin in twins {
        let mut standings = Object::new();
        let mut wanted = twin.properties.desired.values.clone();
        if let Some(settings) = twin.module_id.as_ref().and_then(|id| edge.layers.get(id)) {
            settings.iter().for_each(|setting| setting.replace_in(&mut wanted));
        }
        let own = if twin.module_id.is_some() {
            targeted(twin)
        } else {
            of_device.clone()
        };
        let mut is_first = true;
        for candidate in own {
            let (Content::Device(settings) | Content::Module(settings)) = &candidate.content else {
                continue;
            };
            let applied = std::mem::take(&mut is_first) && merge_if_it_fits(&mut wanted, settings);
            stand(&mut standings, candidate, applied);
        }
        if twin.module_id.as_ref().is_none_or(|id| id.as_str() == EDGE_AGENT) {
            for (candidate, applied) in &edge.standings {
                stand(&mut standings, candidate, *applied);
            }
        }
        let desired = merge::difference(&twin.properties.desired.values, &wanted);
        let configurations = Some(standings).filter(|standings| *standings != twin.configurations);
        changes.extend(change(twin, configurations, desired));
    }
    Plan {
        missing: edge.missing,
        changes,
    }
}

/// What one deployment alone does to an Edge device, no matter whom it targets.
pub(crate) fn deploy(deployment: &Deployment, twins: &[Twin]) -> Plan {
    let layers = layers(std::iter::once(deployment));
    let changes = twins.iter().filter_map(|twin| {
        let mut wanted = twin.properties.desired.values.clone();
        for setting in layers.get(twin.module_id.as_ref()?)? {
            setting.replace_in(&mut wanted);
        }
        let desired = merge::difference(&twin.properties.desired.values, &wanted);
        change(twin, None, desired)
    });
    Plan {
        missing: missing(std::iter::once(deployment), twins),
        changes: changes.collect(),
    }
}

fn change(twin: &Twin, configurations: Option<Object>, desired: Object) -> Option<Change> {
    let changes = configurations.is_some() || !desired.is_empty();
    changes.then(|| Change {
        id: twin.client_id(),
        configurations,
        desired,
    })
}

fn stand(standings: &mut Object, candidate: &Candidate, applied: bool) {
    let standing = if applied { Standing::Applied } else { Standing::Targeted };
    standings.insert(candidate.id.to_string(), json!({ "status": standing }));
}

/// A twin without room keeps what it has: the configuration stays without effect on it.
fn merge_if_it_fits(wanted: &mut Object, settings: &[Setting]) -> bool {
    let mut merged = wanted.clone();
    settings.iter().for_each(|setting| setting.merge_into(&mut merged));
    let fits = fits(&merged);
    if fits {
        *wanted = merged;
    }
    fits
}

fn fits(desired: &Object) -> bool {
    merge::check_size("desired properties", desired).is_ok()
}

fn layers<'a>(deployments: impl Iterator<Item = &'a Deployment>) -> Layers<'a> {
    let mut layers = Layers::new();
    for (id, settings) in deployments.flat_map(|deployment| &deployment.modules) {
        layers.entry(id).or_default().extend(settings);
    }
    layers
}

fn missing<'a>(deployments: impl Iterator<Item = &'a Deployment>, twins: &[Twin]) -> Vec<ModuleId> {
    let mut missing = Vec::new();
    for id in deployments.flat_map(|deployment| deployment.module_ids().unwrap_or_default()) {
        let exists = twins.iter().any(|twin| twin.module_id.as_ref() == Some(&id));
        if !exists && !missing.contains(&id) {
            missing.push(id);
        }
    }
    missing
}

/// The deployments of an Edge device: one that replaces what was there, and the layers above it.
#[derive(Default)]
struct Edge<'a> {
    layers: Layers<'a>,
    missing: Vec<ModuleId>,
    standings: Vec<(&'a Candidate, bool)>,
}

impl<'a> Edge<'a> {
    fn of(targeted: &[&'a Candidate], device: &Twin, twins: &[Twin]) -> Self {
        if !device.capabilities.iot_edge {
            return Self::default();
        }
        let deployments: Vec<(&'a Candidate, &'a Deployment)> = targeted
            .iter()
            .filter_map(|candidate| match &candidate.content {
                Content::Edge(deployment) => Some((*candidate, deployment)),
                _ => None,
            })
            .collect();
        let base = deployments.iter().find(|(_, deployment)| !deployment.layered);
        // Layers count only above a deployment they can be laid on.
        let applies = |candidate: &Candidate, deployment: &Deployment| {
            base.is_some_and(|(base, _)| {
                candidate.id == base.id || (deployment.layered && candidate.priority > base.priority)
            })
        };
        // From the lowest to the highest, so that the highest has the last word.
        let applied = deployments.iter().rev();
        let applied: Vec<&Deployment> = applied
            .filter(|(candidate, deployment)| applies(candidate, deployment))
            .map(|(_, deployment)| *deployment)
            .collect();
        let layers = layers(applied.iter().copied());
        let missing = missing(applied.iter().copied(), twins);
        let modules = twins.iter().filter(|twin| twin.module_id.is_some());
        let has_room = modules.clone().count() + missing.len() <= MAX_MODULES;
        let mut modules = modules.filter_map(|twin| Some((twin, layers.get(twin.module_id.as_ref()?)?)));
        let all_fit = modules.all(|(twin, settings)| {
            let mut wanted = twin.properties.desired.values.clone();
            settings.iter().for_each(|setting| setting.replace_in(&mut wanted));
            fits(&wanted)
        });
        let possible = has_room && all_fit;
        let standings = deployments
            .iter()
            .map(|(candidate, deployment)| (*candidate, possible && applies(candidate, deployment)));
        let standings = standings.collect();
        if possible {
            Self {
                layers,
                missing,
                standings,
            }
        } else {
            Self {
                standings,
                ..Self::default()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "json! reads better without a reference")]
mod tests {
    use hub_protocol::configuration::{Configuration, ConfigurationContent};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn candidate(id: &str, priority: u32, created: i128, target: &str, content: Value) -> Candidate {
        let content: ConfigurationContent = serde_json::from_value(content).unwrap();
        let mut configuration = Configuration::new(ConfigurationId::new(id).unwrap(), content);
        configuration.target_condition = target.into();
        let (target, content) = configuration.read().unwrap();
        Candidate {
            id: configuration.id,
            priority,
            created: Timestamp::from_unix_nanos(created),
            target,
            content,
        }
    }

    fn for_devices(id: &str, priority: u32, created: i128, target: &str, desired: Value) -> Candidate {
        candidate(
            id,
            priority,
            created,
            target,
            json!({ "deviceContent": { "properties.desired": desired } }),
        )
    }

    fn twin(module: Option<&str>, iot_edge: bool, tags: Value) -> Twin {
        let twin = json!({ "deviceId": "d", "moduleId": module, "etag": "", "capabilities": { "iotEdge": iot_edge }, "tags": tags });
        serde_json::from_value(twin).unwrap()
    }

    /// Does what the store does; says how many changes there were.
    fn carry_out(candidates: &Candidates, twins: &mut Vec<Twin>) -> usize {
        let mut now = plan(candidates, twins);
        if !now.missing.is_empty() {
            let edge = twins[0].capabilities.iot_edge;
            twins.extend(now.missing.iter().map(|id| twin(Some(id.as_str()), edge, json!({}))));
            now = plan(candidates, twins);
            assert_eq!(now.missing, []);
        }
        for change in &now.changes {
            let twin = twins.iter_mut().find(|twin| twin.client_id() == change.id).unwrap();
            merge::merge(&mut twin.properties.desired.values, &change.desired);
            if let Some(configurations) = &change.configurations {
                twin.configurations = configurations.clone();
            }
        }
        now.changes.len()
    }

    fn settled(candidates: impl IntoIterator<Item = Candidate>, mut twins: Vec<Twin>) -> Vec<Twin> {
        let candidates = candidates.into_iter().collect();
        carry_out(&candidates, &mut twins);
        assert!(plan(&candidates, &twins).is_empty(), "{:?}", plan(&candidates, &twins));
        twins
    }

    fn desired(twins: &[Twin], module: Option<&str>) -> Value {
        let twin = twins
            .iter()
            .find(|twin| twin.module_id.as_ref().map(ModuleId::as_str) == module);
        Value::Object(twin.unwrap().properties.desired.values.clone())
    }

    fn deployment(id: &str, priority: u32, modules: Value) -> Candidate {
        candidate(id, priority, 0, "*", json!({ "modulesContent": modules }))
    }

    #[test]
    fn the_winner_is_applied_and_the_others_are_targeted() {
        let twins = settled(
            [
                for_devices("low", 1, 9, "*", json!({ "n": 1 })),
                for_devices("high", 2, 1, "tags.a = 1", json!({ "n": 2 })),
                for_devices("elsewhere", 3, 1, "tags.a = 2", json!({ "n": 3 })),
            ],
            vec![twin(None, false, json!({ "a": 1 }))],
        );
        assert_eq!(desired(&twins, None), json!({ "n": 2 }));
        let expected = json!({ "high": { "status": "Applied" }, "low": { "status": "Targeted" } });
        assert_eq!(Value::Object(twins[0].configurations.clone()), expected);
    }

    #[test]
    fn without_configurations_values_stay_and_standings_go() {
        let twins = settled(
            [for_devices("c", 1, 1, "*", json!({ "n": 1 }))],
            vec![twin(None, false, json!({}))],
        );
        let after = settled([], twins);
        assert_eq!(desired(&after, None), json!({ "n": 1 }));
        assert!(after[0].configurations.is_empty());
    }

    #[test]
    fn content_that_does_not_fit_into_a_twin_stays_targeted() {
        let mut full = twin(None, false, json!({}));
        let text = "x".repeat(4000);
        full.properties.desired.values = (0..8).map(|n| (format!("k{n}"), json!(text))).collect();
        let before = full.properties.desired.values.clone();
        let twins = settled([for_devices("c", 1, 1, "*", json!({ "n": text }))], vec![full]);
        assert_eq!(twins[0].properties.desired.values, before);
        assert_eq!(twins[0].configurations["c"]["status"], "Targeted");
    }

    #[test]
    fn module_content_reaches_modules_and_no_device() {
        let content = json!({ "moduleContent": { "properties.desired.n": 1 } });
        let twins = settled(
            [candidate("m", 1, 1, "FROM devices.modules WHERE tags.a = 1", content)],
            vec![
                twin(None, false, json!({ "a": 1 })),
                twin(Some("one"), false, json!({ "a": 1 })),
                twin(Some("two"), false, json!({ "a": 2 })),
            ],
        );
        assert_eq!(desired(&twins, Some("one")), json!({ "n": 1 }));
        assert_eq!(
            (desired(&twins, None), desired(&twins, Some("two"))),
            (json!({}), json!({}))
        );
        assert!(twins[0].configurations.is_empty());
    }

    #[test]
    fn a_deployment_replaces_what_modules_had_and_higher_layers_add_to_it() {
        let base = |id: &str, priority, module: &str| {
            deployment(
                id,
                priority,
                json!({ "$edgeAgent": { "properties.desired": { "modules": { module: { "v": 1 } } } }, module: { "properties.desired": {} } }),
            )
        };
        let layer = |id: &str, priority, version: u32| {
            let agent = json!({ "properties.desired.modules.extra": { "v": version } });
            deployment(id, priority, json!({ "$edgeAgent": agent }))
        };
        let mut agent = twin(Some("$edgeAgent"), true, json!({}));
        agent
            .properties
            .desired
            .values
            .insert("modules".into(), json!({ "gone": {} }));
        let twins = settled(
            [
                base("lower", 1, "old"),
                base("base", 5, "camera"),
                layer("below", 5, 0),
                layer("one", 6, 1),
                layer("two", 7, 2),
            ],
            vec![twin(None, true, json!({})), agent],
        );
        assert_eq!(
            desired(&twins, Some("$edgeAgent")),
            json!({ "modules": { "camera": { "v": 1 }, "extra": { "v": 2 } } })
        );
        let status = |id: &str| twins[1].configurations[id]["status"].clone();
        for (id, expected) in [
            ("lower", "Targeted"),
            ("below", "Targeted"),
            ("base", "Applied"),
            ("one", "Applied"),
            ("two", "Applied"),
        ] {
            assert_eq!(status(id), expected, "{id}");
        }
        assert_eq!(twins[0].configurations, twins[1].configurations);
        let modules: Vec<&str> = twins[1..]
            .iter()
            .map(|twin| twin.module_id.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(modules, ["$edgeAgent", "camera", "extra"]);
    }

    #[test]
    fn deployments_pass_over_what_is_no_edge_device_and_what_has_no_room() {
        let edge = || {
            let run: Object = (0..MAX_MODULES).map(|n| (format!("m{n}"), json!({}))).collect();
            deployment(
                "e",
                1,
                json!({ "$edgeAgent": { "properties.desired": { "modules": run } } }),
            )
        };
        let plain = settled([edge()], vec![twin(None, false, json!({}))]);
        assert!(plain.len() == 1 && plain[0].configurations.is_empty());
        let crowded = settled([edge()], vec![twin(None, true, json!({}))]);
        assert_eq!(crowded.len(), 1);
        assert_eq!(crowded[0].configurations["e"]["status"], "Targeted");
    }

    fn arbitrary() -> impl Strategy<Value = Candidate> {
        let values = prop_oneof![
            Just(Value::Null),
            (0..3).prop_map(Value::from),
            Just(json!(0.300_000_000_000_000_04)),
            Just(json!({ "x": 1 })),
            Just(json!({ "x": null, "y": [1, { "z": 2 }] }))
        ];
        let target = prop_oneof![Just(""), Just("*"), Just("tags.a = 1"), Just("NOT tags.a = 1")];
        let place = prop_oneof![Just(""), Just(".a"), Just(".a.b"), Just(".b")];
        (0..3_u32, 0..3_i128, 0..4, target, place, values, any::<bool>()).prop_map(
            |(priority, created, kind, target, place, value, whole)| {
                let value = if place.is_empty() { json!({ "a": value }) } else { value };
                let keys = json!({ format!("properties.desired{place}"): value });
                let agent = if whole {
                    json!({ "properties.desired": { "modules": { "m": {} } } })
                } else {
                    keys.clone()
                };
                let content = match kind {
                    0 | 1 => json!({ "deviceContent": keys }),
                    2 => json!({ "moduleContent": keys }),
                    _ => json!({ "modulesContent": { "$edgeAgent": agent, "m": keys } }),
                };
                let target = match (kind, target) {
                    (2, "*" | "") => "FROM devices.modules WHERE deviceId = 'd'".to_owned(),
                    (2, target) => format!("FROM devices.modules WHERE {target}"),
                    (_, target) => target.to_owned(),
                };
                candidate("x", priority, created, &target, content)
            },
        )
    }

    fn named(candidates: Vec<Candidate>) -> Vec<Candidate> {
        let named = candidates.into_iter().enumerate();
        named
            .map(|(n, candidate)| Candidate {
                id: ConfigurationId::new(format!("c{n}")).unwrap(),
                ..candidate
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_highest_priority_wins_and_a_tie_goes_to_the_newest(ranks in prop::collection::vec((0..3_u32, 0..3_i128), 1..6)) {
            let candidates = ranks.iter().map(|(priority, created)| for_devices("x", *priority, *created, "*", json!({ "rank": [priority, i64::try_from(*created).unwrap()] })));
            let twins = settled(named(candidates.collect()), vec![twin(None, false, json!({}))]);
            let (priority, created) = ranks.iter().max().unwrap();
            prop_assert_eq!(desired(&twins, None), json!({ "rank": [priority, i64::try_from(*created).unwrap()] }));
            let applied = twins[0].configurations.values().filter(|standing| standing["status"] == "Applied");
            prop_assert_eq!((applied.count(), twins[0].configurations.len()), (1, ranks.len()));
        }

        #[test]
        fn what_was_carried_out_once_leaves_nothing_to_do(
            first in prop::collection::vec(arbitrary(), 0..5),
            second in prop::collection::vec(arbitrary(), 0..5),
            is_edge in any::<bool>(),
            tag in 0..3,
        ) {
            let module = twin(Some("m"), is_edge, json!({ "a": tag }));
            let twins = settled(named(first), vec![twin(None, is_edge, json!({ "a": tag })), module]);
            // Through JSON, as twins and configurations go through the store.
            let text = serde_json::to_string(&twins).unwrap();
            settled(named(second), serde_json::from_str(&text).unwrap());
        }
    }
}
