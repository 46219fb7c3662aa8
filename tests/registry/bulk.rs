//! Many identities in one call.

use serde_json::{Value, json};

use super::etag;
use crate::support::{
    id,
    rest::{Answer, code},
    world::World,
};

/// The ids that failed, and why.
fn failures(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = answer.body["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            let id = [text(&error["deviceId"]), text(&error["moduleId"])].join("/");
            (id.trim_end_matches('/').to_owned(), text(&error["errorCode"]))
        })
        .collect()
}

fn failure(id: &str, code: &str) -> (String, String) {
    (id.to_owned(), code.to_owned())
}

#[tokio::test]
async fn rg_12_a_bulk_call_does_each_item_by_itself_and_says_which_failed() {
    let world = World::start().await;
    world.device("b").await;
    let answer = world
        .bulk(&[
            json!({ "id": "a", "importMode": "create", "tags": { "hall": "A" } }),
            json!({ "id": "b", "importMode": "create" }),
            json!({ "id": "c", "importMode": "delete" }),
            json!({ "id": "d", "importMode": "CreateOrUpdate", "properties": { "desired": { "x": 1 } } }),
        ])
        .await;
    assert_eq!((answer.status, &answer.body["isSuccessful"]), (400, &json!(false)));
    assert_eq!(
        failures(&answer),
        [failure("b", "DeviceAlreadyExists"), failure("c", "DeviceNotFound")]
    );
    assert_eq!(answer.body["warnings"], json!([]));
    assert_eq!(world.twin(&id("a")).await.tags["hall"], "A");
    assert_eq!(world.twin(&id("d")).await.properties.desired.values["x"], 1);
}

#[tokio::test]
async fn rg_13_a_bulk_call_of_new_devices_and_modules_succeeds_as_a_whole() {
    let world = World::start().await;
    let items = [
        json!({ "id": "d", "importMode": "create", "eTag": null, "moduleId": null, "statusReason": "new" }),
        json!({ "id": "d", "moduleId": "m", "importMode": "create", "managedBy": "me", "tags": { "hall": "B" } }),
        json!({ "id": "e", "importMode": "create" }),
    ];
    let answer = world.bulk(&items).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({ "isSuccessful": true, "errors": [], "warnings": [] })
    );
    assert_eq!(world.get("/devices/d").await.body["statusReason"], "new");
    assert_eq!(world.get("/devices/d/modules/m").await.body["managedBy"], "me");
    assert_eq!(world.get("/twins/d/modules/m").await.body["tags"]["hall"], "B");
}

#[tokio::test]
async fn rg_14_a_bulk_call_of_too_many_or_of_the_same_twice_changes_nothing() {
    let world = World::start().await;
    let many: Vec<_> = (0..101)
        .map(|n| json!({ "id": format!("d{n}"), "importMode": "create" }))
        .collect();
    assert_eq!(code(&world.bulk(&many).await), (413, "TooManyDevices"));
    let twice = [json!({ "id": "x", "importMode": "create" }), json!({ "id": "x" })];
    assert_eq!(code(&world.bulk(&twice).await), (400, "DeviceDefinedMultipleTimes"));
    let twice = [
        json!({ "id": "x", "moduleId": "m" }),
        json!({ "id": "x", "moduleId": "m" }),
    ];
    assert_eq!(code(&world.bulk(&twice).await), (400, "DeviceDefinedMultipleTimes"));
    assert_eq!(world.client.statistics().await.unwrap().total_device_count, 0);
    assert_eq!(world.bulk(&many[..100]).await.status, 200);
}

#[tokio::test]
async fn each_import_mode_does_to_devices_and_modules_what_it_says() {
    for (path, address) in [
        ("d", json!({ "id": "d" })),
        ("p/m", json!({ "id": "p", "moduleId": "m" })),
    ] {
        let world = World::start().await;
        world.put("p", None, json!({})).await;
        let (identity, twin) = match path.split_once('/') {
            None => ("/devices/d", "/twins/d"),
            Some(_) => ("/devices/p/modules/m", "/twins/p/modules/m"),
        };
        let (missing, taken) = match path {
            "d" => ("DeviceNotFound", "DeviceAlreadyExists"),
            _ => ("ModuleNotFound", "ModuleAlreadyExistsOnDevice"),
        };
        let bulk = |mode: &'static str, extra: Value| {
            let (world, mut item) = (&world, address.clone());
            item.as_object_mut().unwrap().append(&mut crate::support::object(extra));
            item["importMode"] = mode.into();
            async move { failures(&world.bulk(&[item]).await) }
        };
        let fails = |code: &str| vec![failure(path, code)];
        let none: Vec<(String, String)> = Vec::new();
        let stale = || json!({ "eTag": "MTIz", "twinETag": "AAAAAAAAAGQ=" });

        for mode in ["update", "updateIfMatchETag", "delete", "deleteIfMatchETag"] {
            assert_eq!(bulk(mode, stale()).await, fails(missing), "{mode}");
        }
        for mode in ["updateTwin", "updateTwinIfMatchETag"] {
            assert_eq!(bulk(mode, stale()).await, fails("DeviceNotFound"), "{mode}");
        }
        assert_eq!(
            bulk("createOrUpdateIfMatchETag", stale()).await,
            none,
            "there is no etag to match yet"
        );
        assert_eq!(bulk("create", json!({})).await, fails(taken));
        for mode in [
            "createOrUpdateIfMatchETag",
            "updateIfMatchETag",
            "deleteIfMatchETag",
            "updateTwinIfMatchETag",
        ] {
            assert_eq!(bulk(mode, stale()).await, fails("PreconditionFailed"), "{mode}");
        }
        for mode in ["updateIfMatchETag", "deleteIfMatchETag", "updateTwinIfMatchETag"] {
            assert_eq!(
                bulk(mode, json!({})).await,
                fails("PreconditionFailed"),
                "{mode} without its etag"
            );
        }
        for mode in [
            "createOrUpdate",
            "update",
            "updateIfMatchETag",
            "createOrUpdateIfMatchETag",
        ] {
            let before = etag(&world.get(identity).await);
            assert_eq!(bulk(mode, json!({ "eTag": before })).await, none, "{mode}");
            assert_ne!(etag(&world.get(identity).await), before, "{mode}");
        }
        let tags = |value: Value| json!({ "tags": value });
        assert_eq!(bulk("UPDATETWIN", tags(json!({ "a": 1, "b": 2 }))).await, none);
        let twin_etag = etag(&world.get(twin).await);
        let mut merged = tags(json!({ "a": null }));
        merged["twinETag"] = twin_etag.into();
        assert_eq!(bulk("updateTwinIfMatchETag", merged).await, none);
        assert_eq!(world.get(twin).await.body["tags"], json!({ "b": 2 }));
        let last = etag(&world.get(identity).await);
        assert_eq!(bulk("deleteIfMatchETag", json!({ "eTag": last })).await, none);
        assert_eq!(world.get(identity).await.status, 404);
    }
}

#[tokio::test]
async fn an_item_that_is_refused_leaves_nothing_of_itself() {
    let world = World::start().await;
    let bad_twin = json!({ "id": "d", "importMode": "create", "tags": { "a.b": 1 } });
    let answer = world.bulk(&[bad_twin]).await;
    assert_eq!(failures(&answer), [failure("d", "ArgumentInvalid")]);
    assert_eq!(world.get("/devices/d").await.status, 404);
}
