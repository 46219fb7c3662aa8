//! Edge devices, and who is below whom.

use serde_json::{Value, json};

use crate::support::{
    rest::{Answer, code},
    world::World,
};

fn edge(extra: Value) -> Value {
    let mut body = extra;
    body["capabilities"] = json!({ "iotEdge": true });
    body
}

fn scope(answer: &Answer) -> String {
    answer.body["deviceScope"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rg_09_an_edge_device_has_a_scope_that_stays_and_the_modules_of_its_runtime() {
    let world = World::start().await;
    let made = world.put("gw-1", None, edge(json!({}))).await;
    let scope = scope(&made);
    let ticks = scope.strip_prefix("ms-azure-iot-edge://gw-1-").unwrap();
    assert!(
        ticks.len() > 10 && ticks.bytes().all(|byte| byte.is_ascii_digit()),
        "{scope}"
    );
    let modules = world.get("/devices/gw-1/modules").await.body;
    let modules = modules.as_array().unwrap();
    let names: Vec<_> = modules.iter().map(|module| &module["moduleId"]).collect();
    assert_eq!(names, ["$edgeAgent", "$edgeHub"]);
    assert!(modules.iter().all(|module| module["managedBy"] == "iotEdge"));
    assert_eq!(world.get("/twins/gw-1/modules/$edgeAgent").await.status, 200);
    assert_eq!(world.get("/twins/gw-1").await.body["deviceScope"], *scope);
    for blank in [
        json!({}),
        json!({ "deviceScope": "" }),
        json!({ "deviceScope": "ms-azure-iot-edge://gw-1-1" }),
    ] {
        assert_eq!(
            code(&world.put("gw-1", Some("*"), edge(blank)).await),
            (400, "ArgumentInvalid")
        );
    }
    let kept = world
        .put("gw-1", Some("*"), edge(json!({ "deviceScope": scope })))
        .await;
    assert_eq!((kept.status, &kept.body["deviceScope"]), (200, &json!(scope)));
    let system = world.delete("/devices/gw-1/modules/$edgeHub", Some("*")).await;
    assert_eq!(code(&system), (401, "SystemModuleModifyUnauthorizedAccess"));
}

#[tokio::test]
async fn rg_10_a_leaf_is_put_under_its_parent_by_that_one_s_scope_and_taken_away_again() {
    let world = World::start().await;
    let parent = scope(&world.put("gw", None, edge(json!({}))).await);
    let leaf = world.put("leaf", None, json!({ "deviceScope": parent })).await;
    assert_eq!(leaf.body["parentScopes"], json!([parent]));
    assert_eq!(world.get("/twins/leaf").await.body["parentScopes"], json!([parent]));
    let only_parents = world.put("other", None, json!({ "parentScopes": [parent] })).await;
    assert_eq!(
        only_parents.body["parentScopes"],
        json!([]),
        "a leaf's parentScopes alone say nothing"
    );
    let nowhere = json!({ "deviceScope": "ms-azure-iot-edge://gone-1" });
    assert_eq!(
        code(&world.put("lost", None, nowhere).await),
        (400, "InvalidDeviceScope")
    );
    for detached in [json!({}), json!({ "deviceScope": "" })] {
        world.put("leaf", Some("*"), json!({ "deviceScope": parent })).await;
        let leaf = world.put("leaf", Some("*"), detached).await;
        assert_eq!(
            (&leaf.body["deviceScope"], &leaf.body["parentScopes"]),
            (&Value::Null, &json!([]))
        );
    }
    let by_bulk = world
        .bulk(&[json!({ "id": "b", "importMode": "create", "deviceScope": parent })])
        .await;
    assert_eq!(by_bulk.status, 200);
    assert_eq!(world.get("/devices/b").await.body["parentScopes"], json!([parent]));
}

#[tokio::test]
async fn an_edge_device_goes_under_another_by_its_parent_scopes() {
    let world = World::start().await;
    let top = scope(&world.put("top", None, edge(json!({}))).await);
    let low = world.put("low", None, edge(json!({ "parentScopes": [top] }))).await;
    assert_eq!(low.body["parentScopes"], json!([top]));
    let own = scope(&low);
    assert_ne!(own, top);
    let two = edge(json!({ "deviceScope": own, "parentScopes": [top, top] }));
    assert_eq!(
        code(&world.put("low", Some("*"), two).await),
        (400, "InvalidDeviceScope")
    );
    let ring = edge(json!({ "deviceScope": top, "parentScopes": [own] }));
    assert_eq!(
        code(&world.put("top", Some("*"), ring).await),
        (400, "InvalidDeviceScope")
    );
    let detached = world
        .put(
            "low",
            Some("*"),
            edge(json!({ "deviceScope": own, "parentScopes": [] })),
        )
        .await;
    assert_eq!((detached.status, &detached.body["parentScopes"]), (200, &json!([])));
}

#[tokio::test]
async fn a_leaf_becomes_an_edge_device_and_an_edge_device_a_leaf() {
    let world = World::start().await;
    let parent = scope(&world.put("gw", None, edge(json!({}))).await);
    world.put("d", None, json!({ "deviceScope": parent })).await;
    world.put("d/mine", None, json!({})).await;
    let became = world.put("d", Some("*"), edge(json!({ "deviceScope": "" }))).await;
    assert_eq!(became.body["deviceScope"], "ms-azure-iot-edge://d-");
    assert_eq!(world.get("/devices/d/modules").await.body.as_array().unwrap().len(), 3);
    let again = world.put("d", Some("*"), json!({ "deviceScope": parent })).await;
    assert_eq!(
        (&again.body["deviceScope"], &again.body["parentScopes"]),
        (&Value::Null, &json!([]))
    );
    let modules = world.get("/devices/d/modules").await.body;
    assert_eq!(modules.as_array().unwrap().len(), 1, "its own module stays");
    let attached = world.put("d", Some("*"), json!({ "deviceScope": parent })).await;
    assert_eq!(
        attached.body["parentScopes"],
        json!([parent]),
        "a second write attaches it"
    );
}
