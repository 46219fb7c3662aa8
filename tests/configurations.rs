//! Automatic device management: what configurations do to twins (service.md 7 and checklist CF).

use std::sync::Arc;

use hub_client::IfMatch;
use hub_protocol::{
    ClientId, DeviceId, ErrorCode,
    configuration::{Configuration, ConfigurationContent, ConfigurationId},
    identity::{Capabilities, DeviceIdentity},
    twin::{Twin, TwinPatch},
};
use local_hub::HubEvent;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::support::{
    id, object,
    raw_device::DESIRED,
    rest::Answer,
    world::{World, event},
};

#[allow(clippy::needless_pass_by_value, reason = "json! reads better without a reference")]
fn configuration(name: &str, priority: u32, target: &str, desired: Value) -> Value {
    json!({
        "id": name, "priority": priority, "targetCondition": target,
        "content": { "deviceContent": { "properties.desired": desired } }
    })
}

impl World {
    async fn put_configuration(&self, configuration: &Value, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/configurations/{}", configuration["id"].as_str().unwrap());
        self.call(Method::PUT, &path, headers, configuration.to_string()).await
    }

    async fn create(&self, configuration: Value) -> Value {
        let answer = self.put_configuration(&configuration, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    async fn delete_configuration(&self, name: &str, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/configurations/{name}");
        self.call(Method::DELETE, &path, headers, String::new()).await
    }

    async fn tag(&self, device: &DeviceId, tags: Value) {
        let patch = TwinPatch::tags(object(tags));
        self.client.update_twin(device, &patch, IfMatch::None).await.unwrap();
    }

    async fn edge_device(&self, name: &str) -> DeviceId {
        let mut device = DeviceIdentity::new(id(name));
        device.capabilities = Capabilities { iot_edge: true };
        self.client.create_device(&device).await.unwrap().device_id
    }
}

/// The twin as soon as a change makes it so.
async fn becomes(
    events: &mut Receiver<HubEvent>,
    device: &str,
    module: Option<&str>,
    what: &str,
    holds: impl Fn(&Twin) -> bool,
) -> Arc<Twin> {
    let id = ClientId::new(device, module).unwrap();
    event(events, what, |event| match event {
        HubEvent::StandingsChanged { twin } | HubEvent::TwinChanged { twin, .. }
            if twin.client_id() == id && holds(twin) =>
        {
            Some(twin.clone())
        }
        _ => None,
    })
    .await
}

fn status<'a>(twin: &'a Twin, name: &str) -> Option<&'a str> {
    twin.configurations.get(name)?.get("status")?.as_str()
}

async fn is_applied(events: &mut Receiver<HubEvent>, device: &str, name: &str) -> Arc<Twin> {
    becomes(events, device, None, "the configuration to apply", |twin| {
        status(twin, name) == Some("Applied")
    })
    .await
}

#[tokio::test]
async fn cf_1_a_configuration_reaches_the_twins_it_targets_and_their_devices() {
    let world = World::start().await;
    let inside = world.device("inside").await;
    world.device("outside").await;
    world.tag(&inside.device_id, json!({ "hall": "B" })).await;
    let mut raw = world.connect(&inside).await;
    raw.subscribe(&[DESIRED]).await;
    let mut events = world.hub.subscribe();

    let created = world
        .create(configuration("cfg-1", 10, "tags.hall = 'B'", json!({ "interval": 30 })))
        .await;
    let twin = is_applied(&mut events, "inside", "cfg-1").await;
    assert_eq!(twin.properties.desired.values["interval"], 30);
    let message = raw.message().await;
    assert_eq!(
        message.body,
        json!({ "interval": 30, "$version": twin.properties.desired.version })
    );
    assert_eq!(*twin, world.twin(&inside.device_id).await);
    let outside = world.twin(&id("outside")).await;
    assert!(outside.properties.desired.values.is_empty() && outside.configurations.is_empty());

    let answer = world.get("/configurations/cfg-1").await;
    let quoted = format!("\"{}\"", created["etag"].as_str().unwrap());
    assert_eq!((answer.status, answer.header("ETag")), (200, Some(quoted.as_str())));
    for field in [
        "id",
        "content",
        "targetCondition",
        "priority",
        "createdTimeUtc",
        "lastUpdatedTimeUtc",
        "etag",
    ] {
        assert_eq!(answer.body[field], created[field], "{field}");
    }
    assert_eq!(
        answer.body["systemMetrics"]["queries"],
        json!({
            "targetedCount": "select deviceId from devices where tags.hall = 'B'",
            "appliedCount": "select deviceId from devices where configurations.[[cfg-1]].status = 'Applied'",
        })
    );
    assert_eq!(
        answer.body["systemMetrics"]["results"],
        json!({ "targetedCount": 1, "appliedCount": 1 })
    );
    let list = world.get("/configurations/").await;
    assert_eq!(list.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn cf_1_metrics_count_what_their_queries_find() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.device(name).await;
    }
    world.edge_device("edge").await;
    let mut events = world.hub.subscribe();
    let mut body = configuration("c1", 1, "deviceId != 'c'", json!({ "n": 1 }));
    body["metrics"] = json!({ "queries": {
        "all": "SELECT deviceId FROM devices", "top": "SELECT TOP 2 * FROM devices",
        "groups": "SELECT capabilities.iotEdge AS e, COUNT() AS n FROM devices GROUP BY capabilities.iotEdge",
        "none": "SELECT * FROM devices.modules WHERE moduleId = 'x'"
    } });
    let created = world.create(body).await;
    assert_eq!(created["metrics"]["results"], json!({}));
    is_applied(&mut events, "edge", "c1").await;
    let read = world.get("/configurations/c1").await.body;
    assert_eq!(
        read["metrics"]["results"],
        json!({ "all": 4, "groups": 2, "none": 0, "top": 2 })
    );
    assert_eq!(
        read["systemMetrics"]["results"],
        json!({ "appliedCount": 3, "targetedCount": 3 })
    );

    let deployment = json!({ "id": "e", "targetCondition": "*", "content": { "modulesContent": {
        "$edgeAgent": { "properties.desired": { "modules": {} } }
    } } });
    world.create(deployment).await;
    becomes(&mut events, "edge", Some("$edgeAgent"), "the deployment", |twin| {
        status(twin, "e") == Some("Applied")
    })
    .await;
    let read = world.get("/configurations/e").await.body;
    assert_eq!(
        read["systemMetrics"]["results"],
        json!({ "appliedCount": 1, "reportedFailedCount": 0, "reportedSuccessfulCount": 0, "targetedCount": 1 })
    );
}

#[tokio::test]
async fn cf_1_devices_come_and_go_with_their_tags_and_keep_their_values() {
    let world = World::start().await;
    let mut events = world.hub.subscribe();
    world
        .create(configuration("c", 0, "tags.a = 1", json!({ "n": 1 })))
        .await;
    let device = world.device("d").await.device_id;
    world.tag(&device, json!({ "a": 1 })).await;
    is_applied(&mut events, "d", "c").await;
    world.tag(&device, json!({ "a": 2 })).await;
    let left = becomes(&mut events, "d", None, "the device to leave", |twin| {
        twin.configurations.is_empty() && twin.tags["a"] == 2
    })
    .await;
    assert_eq!(left.properties.desired.values["n"], 1);
}

#[tokio::test]
async fn cf_1_a_value_that_was_changed_is_put_back_once_and_nothing_is_written_twice() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let bell = world.device("bell").await.device_id;
    let mut events = world.hub.subscribe();
    // The number has more digits than a hasty reader keeps.
    let number = json!(0.300_000_000_000_000_04);
    world
        .create(configuration(
            "c",
            0,
            "tags.on = true",
            json!({ "n": number, "o": { "gone": null } }),
        ))
        .await;
    world.tag(&device, json!({ "on": true })).await;
    let applied = is_applied(&mut events, "d", "c").await;
    let patch = TwinPatch::desired(object(json!({ "n": 5, "mine": 1 })));
    let changed = world.client.update_twin(&device, &patch, IfMatch::None).await.unwrap();
    assert_eq!(
        changed.properties.desired.version,
        applied.properties.desired.version + 1
    );
    let back = becomes(&mut events, "d", None, "the value to be put back", |twin| {
        twin.properties.desired.version > changed.properties.desired.version
    })
    .await;
    assert_eq!(
        Value::Object(back.properties.desired.values.clone()),
        json!({ "n": number, "o": {}, "mine": 1 })
    );
    // Devices are looked at in turn: when this one is done, the other was looked at again.
    world.tag(&bell, json!({ "on": true })).await;
    is_applied(&mut events, "bell", "c").await;
    assert_eq!(world.twin(&device).await, *back);
}

#[tokio::test]
async fn cf_2_the_higher_priority_wins_and_a_tie_goes_to_the_newest() {
    let world = World::start().await;
    world.device("d").await;
    let mut events = world.hub.subscribe();
    world
        .create(configuration("high", 5, "*", json!({ "n": "high" })))
        .await;
    is_applied(&mut events, "d", "high").await;
    world
        .create(configuration("low", 1, "*", json!({ "n": "low", "low": true })))
        .await;
    let twin = becomes(&mut events, "d", None, "the lower one to be seen", |twin| {
        status(twin, "low").is_some()
    })
    .await;
    assert_eq!(
        (status(&twin, "high"), status(&twin, "low")),
        (Some("Applied"), Some("Targeted"))
    );
    assert_eq!(
        Value::Object(twin.properties.desired.values.clone()),
        json!({ "n": "high" })
    );

    world
        .create(configuration("newest", 5, "*", json!({ "n": "newest" })))
        .await;
    let twin = is_applied(&mut events, "d", "newest").await;
    assert_eq!(
        (status(&twin, "high"), &twin.properties.desired.values["n"]),
        (Some("Targeted"), &json!("newest"))
    );
}

#[tokio::test]
async fn cf_2_after_a_delete_values_stay_until_the_next_winner_writes_its_own() {
    let world = World::start().await;
    world.device("d").await;
    let mut events = world.hub.subscribe();
    world.create(configuration("low", 1, "*", json!({ "n": "low" }))).await;
    is_applied(&mut events, "d", "low").await;
    world
        .create(configuration("high", 5, "*", json!({ "n": "high", "own": 1 })))
        .await;
    is_applied(&mut events, "d", "high").await;
    assert_eq!(world.delete_configuration("high", &[]).await.status, 204);
    let twin = becomes(&mut events, "d", None, "the next winner", |twin| {
        status(twin, "high").is_none()
    })
    .await;
    assert_eq!(
        Value::Object(twin.properties.desired.values.clone()),
        json!({ "n": "low", "own": 1 })
    );
    assert_eq!(status(&twin, "low"), Some("Applied"));
    assert_eq!(world.delete_configuration("low", &[]).await.status, 204);
    let twin = becomes(&mut events, "d", None, "the last to go", |twin| {
        twin.configurations.is_empty()
    })
    .await;
    assert_eq!(twin.properties.desired.values["n"], "low");
}

#[tokio::test]
async fn cf_3_only_a_quoted_etag_counts_and_content_never_changes() {
    let world = World::start().await;
    let mut body = configuration("c", 1, "", json!({ "n": 1 }));
    body["etag"] = json!("*");
    let created = world.create(body.clone()).await;
    let etag = created["etag"].as_str().unwrap().to_owned();
    let code = |answer: &Answer| (answer.status, answer.header("iothub-errorcode").map(str::to_owned));
    let exists = (409, Some("ConfigurationAlreadyExists".to_owned()));
    for headers in [vec![], vec![("If-Match", "*")], vec![("If-Match", etag.as_str())]] {
        assert_eq!(
            code(&world.put_configuration(&body, &headers).await),
            exists,
            "{headers:?}"
        );
    }
    body["content"] = json!({ "deviceContent": { "properties.desired.other": 2 } });
    body["priority"] = json!(7);
    body["labels"] = json!({ "team": "x" });
    let updated = world.put_configuration(&body, &[("If-Match", "\"*\"")]).await;
    assert_eq!(
        (updated.status, &updated.body["priority"]),
        (200, &json!(7)),
        "{}",
        updated.body
    );
    assert_eq!(updated.body["content"], created["content"]);
    assert_eq!(updated.body["createdTimeUtc"], created["createdTimeUtc"]);
    assert!(updated.body["lastUpdatedTimeUtc"].as_str() > created["lastUpdatedTimeUtc"].as_str());

    let stale = format!("\"{etag}\"");
    let refused = (412, Some("PreconditionFailed".to_owned()));
    assert_eq!(
        code(&world.put_configuration(&body, &[("If-Match", &stale)]).await),
        refused
    );
    assert_eq!(
        code(&world.delete_configuration("c", &[("If-Match", &stale)]).await),
        refused
    );
    let current = format!("\"{}\"", updated.body["etag"].as_str().unwrap());
    assert_eq!(
        world.put_configuration(&body, &[("If-Match", &current)]).await.status,
        200
    );
    body.as_object_mut().unwrap().remove("content");
    let without = world.put_configuration(&body, &[("If-Match", "\"*\"")]).await;
    assert_eq!(code(&without), (400, Some("InvalidConfigurationContent".to_owned())));

    assert_eq!(
        world
            .delete_configuration("c", &[("If-Match", &stale[1..stale.len() - 1])])
            .await
            .status,
        204
    );
    let missing = (404, Some("ConfigurationNotFound".to_owned()));
    assert_eq!(code(&world.get("/configurations/c").await), missing);
    assert_eq!(code(&world.delete_configuration("c", &[]).await), missing);
}

#[tokio::test]
async fn cf_4_what_is_wrong_is_refused_with_its_code_and_told_by_test_queries() {
    let world = World::start().await;
    let refused = async |change: Value| {
        let mut body = configuration("c", 1, "*", json!({ "n": 1 }));
        body.as_object_mut().unwrap().extend(object(change));
        let answer = world.put_configuration(&body, &[]).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.header("iothub-errorcode").unwrap().to_owned()
    };
    assert_eq!(
        refused(json!({ "targetCondition": "tags.a ==" })).await,
        "InvalidConfigurationTargetCondition"
    );
    assert_eq!(
        refused(json!({ "targetCondition": "properties.desired.n != 1" })).await,
        "InvalidConfigurationTargetCondition"
    );
    let keys = json!({ "properties.desired.a": 1 });
    assert_eq!(
        refused(json!({ "content": { "deviceContent": keys, "moduleContent": keys } })).await,
        "InvalidConfigurationContent"
    );
    assert_eq!(
        refused(json!({ "content": { "moduleContent": keys } })).await,
        "InvalidConfigurationTargetCondition"
    );
    let metrics = |count: usize| {
        let queries: serde_json::Map<_, _> = (0..count)
            .map(|n| (format!("m{n}"), json!("SELECT * FROM devices")))
            .collect();
        json!({ "metrics": { "queries": queries } })
    };
    assert_eq!(refused(metrics(6)).await, "InvalidConfigurationCustomMetricsQuery");
    assert_eq!(
        refused(json!({ "metrics": { "queries": { "m": "SELEC" } } })).await,
        "InvalidConfigurationCustomMetricsQuery"
    );
    assert_eq!(refused(json!({ "priority": -1 })).await, "ArgumentInvalid");
    let upper = world
        .put_configuration(&configuration("Upper", 1, "*", json!({ "n": 1 })), &[])
        .await;
    assert_eq!(upper.status, 400);

    let test = async |target: &str| {
        let body = json!({ "targetCondition": target, "customMetricQueries": { "good": "SELECT * FROM devices", "bad": "SELEC" } });
        let path = "/configurations/testQueries";
        let answer = world.call(Method::POST, path, &[], body.to_string()).await;
        assert_eq!(answer.status, 200);
        let errors: Vec<_> = answer.body["customMetricQueryErrors"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(errors, ["bad"]);
        answer.body["targetConditionError"].is_null()
    };
    assert!(test("tags.a = 1").await);
    assert!(!test("tags.a ==").await);
    assert!(!test("*").await);
}

#[tokio::test]
async fn cf_4_content_is_applied_to_an_edge_device_and_refused_for_a_plain_one() {
    let world = World::start().await;
    let edge = world.edge_device("edge").await;
    world.device("plain").await;
    let content = json!({ "modulesContent": {
        "$edgeAgent": { "properties.desired": { "modules": { "camera": { "type": "docker" } } } },
        "$edgeHub": { "properties.desired": { "routes": {} } },
        "filter": { "properties.desired": { "limit": 1 } }
    } });
    let apply = async |device: &str, content: &Value| {
        let path = format!("/devices/{device}/applyConfigurationContent");
        let answer = world.call(Method::POST, &path, &[], content.to_string()).await;
        (answer.status, answer.header("iothub-errorcode").map(str::to_owned))
    };
    assert_eq!(apply("edge", &content).await, (204, None));
    let module = async |name: &str| world.get(&format!("/twins/edge/modules/{name}")).await.body;
    let agent = module("$edgeAgent").await;
    assert_eq!(
        agent["properties"]["desired"]["modules"],
        json!({ "camera": { "type": "docker" } })
    );
    assert_eq!(module("filter").await["properties"]["desired"]["limit"], 1);
    assert_eq!(module("camera").await["moduleId"], "camera");
    assert!(world.twin(&edge).await.configurations.is_empty());

    // The second one replaces: what it does not name is gone.
    let second = json!({ "modulesContent": { "$edgeAgent": { "properties.desired": { "modules": {} } } } });
    assert_eq!(apply("edge", &second).await, (204, None));
    assert_eq!(
        module("$edgeAgent").await["properties"]["desired"]["modules"],
        json!({})
    );

    assert_eq!(apply("plain", &content).await, (400, Some("ArgumentInvalid".into())));
    assert_eq!(apply("nobody", &content).await, (404, Some("DeviceNotFound".into())));
    let no_agent = json!({ "modulesContent": { "m": { "properties.desired": {} } } });
    assert_eq!(
        apply("edge", &no_agent).await,
        (400, Some("InvalidConfigurationContent".into()))
    );
}

#[tokio::test]
async fn cf_4_a_deployment_creates_the_modules_of_edge_devices_and_no_others() {
    let world = World::start().await;
    world.edge_device("edge").await;
    world.device("plain").await;
    let mut events = world.hub.subscribe();
    let deployment = |name: &str, priority: u32, modules: Value| json!({ "id": name, "priority": priority, "targetCondition": "*", "content": { "modulesContent": modules } });
    let base = json!({ "$edgeAgent": { "properties.desired": { "modules": { "camera": {} } } }, "$edgeHub": { "properties.desired": { "routes": {} } } });
    world.create(deployment("base", 1, base)).await;
    let agent = becomes(&mut events, "edge", Some("$edgeAgent"), "the base deployment", |twin| {
        status(twin, "base") == Some("Applied")
    })
    .await;
    assert_eq!(agent.properties.desired.values["modules"], json!({ "camera": {} }));
    let layer = json!({ "$edgeAgent": { "properties.desired.modules.extra": { "v": 1 } } });
    world.create(deployment("layer", 2, layer)).await;
    let agent = becomes(&mut events, "edge", Some("$edgeAgent"), "the layer", |twin| {
        status(twin, "layer") == Some("Applied")
    })
    .await;
    assert_eq!(
        agent.properties.desired.values["modules"],
        json!({ "camera": {}, "extra": { "v": 1 } })
    );
    assert_eq!(status(&world.twin(&id("edge")).await, "layer"), Some("Applied"));
    for name in ["camera", "extra"] {
        assert_eq!(world.get(&format!("/twins/edge/modules/{name}")).await.status, 200);
    }
    assert!(world.twin(&id("plain")).await.configurations.is_empty());

    world.delete_configuration("layer", &[]).await;
    let agent = becomes(&mut events, "edge", Some("$edgeAgent"), "the layer to go", |twin| {
        status(twin, "layer").is_none()
    })
    .await;
    assert_eq!(agent.properties.desired.values["modules"], json!({ "camera": {} }));
}

#[tokio::test]
async fn a_hub_has_a_hundred_configurations_and_not_one_more() {
    let world = World::start().await;
    for n in 0..100 {
        world
            .create(configuration(&format!("c{n}"), 1, "", json!({ "n": n })))
            .await;
    }
    let answer = world
        .put_configuration(&configuration("more", 1, "", json!({ "n": 1 })), &[])
        .await;
    assert_eq!(
        (answer.status, answer.header("iothub-errorcode")),
        (413, Some("ConfigurationCountLimitExceeded"))
    );
    assert_eq!(world.client.configurations().await.unwrap().len(), 100);
}

#[tokio::test]
async fn what_was_left_undone_is_done_after_a_restart() {
    let world = World::start().await;
    world.device("d").await;
    world.device("gone").await;
    let mut events = world.hub.subscribe();
    world
        .create(configuration("c", 1, "tags.a = 1", json!({ "n": 1 })))
        .await;
    world.tag(&id("gone"), json!({ "a": 1 })).await;
    is_applied(&mut events, "gone", "c").await;
    // As if the hub had stopped between a change and its consequence.
    let database = rusqlite::Connection::open(world.hub.data_dir().join("hub.db")).unwrap();
    let set_tags = |tags: &str, device: &str| {
        database
            .execute("UPDATE identities SET tags = ?1 WHERE device_id = ?2", [tags, device])
            .unwrap();
    };
    set_tags(r#"{"a":1}"#, "d");
    set_tags("{}", "gone");
    let world = world.restart().await;
    let mut events = world.hub.subscribe();
    world.device("bell").await;
    world.tag(&id("bell"), json!({ "a": 1 })).await;
    is_applied(&mut events, "bell", "c").await;
    assert_eq!(status(&world.twin(&id("d")).await, "c"), Some("Applied"));
    assert!(world.twin(&id("gone")).await.configurations.is_empty());

    // And where the last configuration went before twins were told.
    database.execute("DELETE FROM configurations", []).unwrap();
    let world = world.restart().await;
    let mut events = world.hub.subscribe();
    world
        .create(configuration("next", 1, "deviceId = 'bell'", json!({ "m": 1 })))
        .await;
    is_applied(&mut events, "bell", "next").await;
    assert!(world.twin(&id("d")).await.configurations.is_empty());
}

#[tokio::test]
async fn every_device_of_many_pages_is_reached_and_left_again() {
    const DEVICES: usize = 600;
    let world = World::start().await;
    world.devices("many", DEVICES).await;
    let mut events = world.hub.subscribe();
    let content = ConfigurationContent {
        device_content: Some(object(json!({ "properties.desired.n": 1 }))),
        ..ConfigurationContent::default()
    };
    let mut all = Configuration::new(ConfigurationId::new("all").unwrap(), content);
    all.target_condition = "*".into();
    let created = world.client.create_configuration(&all).await.unwrap();
    let mut standings = async |expected: Option<&str>| {
        for _ in 0..DEVICES {
            let twin = event(&mut events, "a device", |event| match event {
                HubEvent::StandingsChanged { twin } => Some(twin.clone()),
                _ => None,
            })
            .await;
            assert_eq!(status(&twin, "all"), expected);
            assert_eq!(
                (twin.properties.desired.version, &twin.properties.desired.values["n"]),
                (2, &json!(1))
            );
        }
    };
    standings(Some("Applied")).await;
    let mut updated = world.client.configuration(&all.id).await.unwrap();
    assert_eq!(updated.content, created.content);
    updated.target_condition = String::new();
    let etag = IfMatch::Etag(updated.etag.clone());
    world.client.update_configuration(&updated, etag.clone()).await.unwrap();
    standings(None).await;
    let stale = world.client.delete_configuration(&all.id, etag).await.unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::PreconditionFailed));
    world.client.delete_configuration(&all.id, IfMatch::None).await.unwrap();
}
