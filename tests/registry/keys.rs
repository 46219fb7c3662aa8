//! New keys for many identities.

use reqwest::Method;
use serde_json::{Value, json};

use super::primary_key;
use crate::support::{
    rest::{Answer, code, token},
    unix_now,
    world::World,
};

impl World {
    async fn regenerate(&self, version: &str, body: Value) -> Answer {
        let token = token(&self.hub.service_connection_string(), unix_now() + 600);
        let target = format!("/devices/keys/regenerate?api-version={version}");
        self.rest()
            .send(Some(token.expose()), Method::POST, &target, &[], body.to_string())
            .await
    }
}

#[tokio::test]
async fn keys_of_devices_and_modules_are_made_anew_and_answered() {
    let world = World::start().await;
    let before = world.put("d", None, json!({})).await;
    world.put("d/m", None, json!({})).await;
    let both = json!([{ "id": "d" }, { "id": "d", "moduleId": "m" }]);
    let answer = world
        .regenerate("2024-03-31", json!({ "policyKey": "primaryKey", "devices": both }))
        .await;
    assert_eq!((answer.status, &answer.body["errors"]), (200, &json!([])));
    assert_eq!(answer.body["policyKey"], "primaryKey");
    let after = world.get("/devices/d").await;
    assert_ne!(primary_key(&after), primary_key(&before));
    let secondary = |answer: &Answer| answer.body["authentication"]["symmetricKey"]["secondaryKey"].clone();
    assert_eq!(secondary(&after), secondary(&before));
    assert_ne!(after.body["etag"], before.body["etag"]);
    let expected =
        json!({ "id": "d", "moduleId": null, "primaryKey": primary_key(&after), "secondaryKey": secondary(&after) });
    assert_eq!(answer.body["rotatedKeys"][0], expected);
    let module = world.get("/devices/d/modules/m").await;
    assert_eq!(answer.body["rotatedKeys"][1]["moduleId"], "m");
    assert_eq!(answer.body["rotatedKeys"][1]["primaryKey"], *primary_key(&module));

    let one = json!([{ "id": "d" }]);
    for (which, changes) in [("secondaryKey", [false, true]), ("both", [true, true])] {
        let before = world.get("/devices/d").await;
        world
            .regenerate("2024-03-31", json!({ "policyKey": which, "devices": one }))
            .await;
        let after = world.get("/devices/d").await;
        let changed = [
            primary_key(&after) != primary_key(&before),
            secondary(&after) != secondary(&before),
        ];
        assert_eq!(changed, changes, "{which}");
    }
}

#[tokio::test]
async fn some_failures_are_207_and_only_failures_400() {
    let world = World::start().await;
    world.put("d", None, json!({})).await;
    world
        .put("cert", None, json!({ "authentication": { "type": "selfSigned" } }))
        .await;
    let regenerate =
        |devices: Value| world.regenerate("2024-03-31", json!({ "policyKey": "both", "devices": devices }));
    let some =
        regenerate(json!([{ "id": "d" }, { "id": "nobody" }, { "id": "d", "moduleId": "m" }, { "id": "cert" }])).await;
    assert_eq!(
        (some.status, some.body["rotatedKeys"].as_array().unwrap().len()),
        (207, 1)
    );
    let codes: Vec<_> = some.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["errorCode"])
        .collect();
    assert_eq!(codes, ["DeviceNotFound", "ModuleNotFound", "ArgumentInvalid"]);
    assert_eq!(regenerate(json!([{ "id": "nobody" }])).await.status, 400);
    assert_eq!(
        code(&regenerate(json!([{ "id": "d" }, { "id": "d" }])).await),
        (400, "DeviceDefinedMultipleTimes")
    );
    let unknown = world
        .regenerate("2024-03-31", json!({ "policyKey": "third", "devices": [] }))
        .await;
    assert_eq!(code(&unknown), (400, "InvalidPolicyKey"));
    let early = world
        .regenerate("2021-04-12", json!({ "policyKey": "both", "devices": [] }))
        .await;
    assert_eq!(code(&early), (400, "InvalidProtocolVersion"));
}
