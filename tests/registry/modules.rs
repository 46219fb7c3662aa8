//! Module identities and their twins.

use hub_client::IfMatch;
use hub_protocol::{
    ClientId, ErrorCode,
    identity::{ModuleIdentity, Status},
};
use local_hub::HubEvent;
use reqwest::Method;
use serde_json::{Value, json};

use super::{etag, primary_key};
use crate::support::{
    id,
    rest::code,
    world::{World, event},
};

#[tokio::test]
async fn rg_11_a_module_is_put_once_and_then_only_conditionally() {
    let world = World::start().await;
    world.device("d").await;
    let created = world.put("d/m", None, json!({ "managedBy": "me" })).await;
    assert_eq!(created.status, 200, "{}", created.body);
    assert_eq!(created.header("etag"), Some(&*format!("\"{}\"", etag(&created))));
    assert_eq!(created.body["managedBy"], "me");
    assert_eq!(created.body["authentication"]["type"], "sas");
    assert_eq!(created.body["connectionState"], "Disconnected");
    for field in [
        "generationId",
        "connectionStateUpdatedTime",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
    ] {
        assert!(created.body.get(field).is_some(), "{field}");
    }
    for field in ["status", "capabilities", "deviceScope", "parentScopes"] {
        assert!(created.body.get(field).is_none(), "{field} is a device's");
    }
    assert_eq!(
        code(&world.put("d/m", None, json!({})).await),
        (409, "ModuleAlreadyExistsOnDevice")
    );
    let old = etag(&created);
    let replaced = world.put("d/m", Some(&old), json!({})).await;
    assert_eq!(
        (replaced.status, &replaced.body["managedBy"]),
        (200, &Value::Null),
        "a full replace"
    );
    assert_ne!(
        primary_key(&replaced),
        primary_key(&created),
        "no keys given, fresh keys made"
    );
    assert_eq!(replaced.body["generationId"], created.body["generationId"]);
    assert_eq!(
        code(&world.put("d/m", Some(&old), json!({})).await),
        (412, "PreconditionFailed")
    );
    assert_eq!(
        code(&world.put("d/none", Some("\"*\""), json!({})).await),
        (404, "ModuleNotFound")
    );
    assert_eq!(
        code(&world.put("d/$x", None, json!({})).await),
        (400, "ArgumentInvalid")
    );
    assert_eq!(
        code(&world.put("nobody/m", None, json!({})).await),
        (404, "DeviceNotFound")
    );
    let other = json!({ "deviceId": "d", "moduleId": "other" }).to_string();
    let mismatch = world.call(Method::PUT, "/devices/d/modules/m", &[], other).await;
    assert_eq!(code(&mismatch), (400, "ArgumentInvalid"));
    let twin = world.get("/twins/d/modules/none").await;
    assert_eq!(code(&twin), (404, "DeviceNotFound"));
}

#[tokio::test]
async fn rg_11_modules_are_read_listed_and_deleted_like_devices() {
    let world = World::start().await;
    world.device("d").await;
    world.put("d/b", None, json!({})).await;
    let made = world.put("d/a", None, json!({})).await;
    assert_eq!(world.get("/devices/d/modules/a").await.body, made.body);
    let listed = world.get("/Devices/d/MODULES").await.body;
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|module| &module["moduleId"])
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        code(&world.get("/devices/nobody/modules").await),
        (404, "DeviceNotFound")
    );
    assert_eq!(
        code(&world.get("/devices/nobody/modules/a").await),
        (404, "DeviceNotFound")
    );
    assert_eq!(
        code(&world.get("/devices/d/modules/none").await),
        (404, "ModuleNotFound")
    );
    let delete = |condition: Option<&'static str>| world.delete("/devices/d/modules/a", condition);
    assert_eq!(code(&delete(None).await), (412, "PreconditionFailed"));
    assert_eq!(code(&delete(Some("\"old\"")).await), (412, "PreconditionFailed"));
    assert_eq!(delete(Some("*")).await.status, 204);
    assert_eq!(code(&delete(Some("*")).await), (404, "ModuleNotFound"));
    assert_eq!(
        world.client.statistics().await.unwrap().total_device_count,
        1,
        "modules are no devices"
    );
}

#[tokio::test]
async fn a_module_has_a_twin_of_its_own_and_its_events() {
    let world = World::start().await;
    world.device("d").await;
    let mut events = world.hub.subscribe();
    let made = world.put("d/m", None, json!({})).await;
    let told = event(&mut events, "the module", |event| match event {
        HubEvent::IdentityChanged { twin, .. } => Some(twin.clone()),
        _ => None,
    })
    .await;
    assert_eq!(told.client_id(), ClientId::new("d", Some("m")).unwrap());
    assert_eq!(told.device_etag, made.body["etag"].as_str().unwrap());
    let patch = json!({ "tags": { "hall": "B" }, "properties": { "desired": { "n": 1 } } }).to_string();
    let twin = world.call(Method::PATCH, "/twins/d/modules/m", &[], patch).await;
    assert_eq!(twin.status, 200);
    assert_eq!(
        (&twin.body["moduleId"], &twin.body["tags"]["hall"]),
        (&json!("m"), &json!("B"))
    );
    assert!(
        world.twin(&id("d")).await.tags.is_empty(),
        "the device's twin is another"
    );

    let mut device = world.client.device(&id("d")).await.unwrap();
    device.status = Status::Disabled;
    world.client.update_device(&device, IfMatch::Any).await.unwrap();
    event(
        &mut events,
        "the module to be disabled with its device",
        |event| match event {
            HubEvent::IdentityChanged { twin, .. } if twin.module_id.is_some() => {
                (twin.status == Status::Disabled).then_some(())
            }
            _ => None,
        },
    )
    .await;
    world.client.delete_device(&id("d"), IfMatch::Any).await.unwrap();
    let gone = event(&mut events, "the module to go with its device", |event| match event {
        HubEvent::IdentityDeleted { id } => Some(id.clone()),
        _ => None,
    })
    .await;
    assert_eq!(gone.to_string(), "d/m");
    let twin = world.get("/twins/d/modules/m").await;
    assert_eq!(twin.status, 404);
}

#[tokio::test]
async fn a_module_that_asks_for_no_authentication_gets_keys() {
    let world = World::start().await;
    world.device("d").await;
    let made = world
        .put("d/m", None, json!({ "authentication": { "type": "none" } }))
        .await;
    assert_eq!(made.body["authentication"]["type"], "sas");
    assert!(made.body["authentication"]["symmetricKey"]["primaryKey"].is_string());
}

#[tokio::test]
async fn a_device_has_fifty_modules_and_not_one_more() {
    let world = World::start().await;
    world.device("d").await;
    let modules: Vec<_> = (0..50)
        .map(|n| json!({ "id": "d", "moduleId": format!("m{n}"), "importMode": "create" }))
        .collect();
    let made = world.bulk(&modules).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(
        code(&world.put("d/one-more", None, json!({})).await),
        (413, "TooManyModulesOnDevice")
    );
    world.put("d/m7", Some("*"), json!({})).await;
}

#[tokio::test]
async fn the_client_makes_reads_replaces_and_deletes_modules() {
    let world = World::start().await;
    world.device("d").await;
    let (device, module) = (id("d"), id("a:b%c"));
    let made = world
        .client
        .create_module(&ModuleIdentity::new(device.clone(), module.clone()))
        .await
        .unwrap();
    assert_eq!(world.client.module(&device, &module).await.unwrap(), made);
    assert_eq!(
        world.client.modules(&device).await.unwrap(),
        std::slice::from_ref(&made)
    );
    let mut changed = made.clone();
    changed.managed_by = Some("me".into());
    let condition = IfMatch::Etag(made.etag.clone());
    let updated = world.client.update_module(&changed, condition.clone()).await.unwrap();
    assert_eq!(updated.managed_by.as_deref(), Some("me"));
    assert_eq!(updated.authentication, made.authentication, "given keys stay");
    let stale = world.client.update_module(&changed, condition).await.unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::PreconditionFailed));
    world
        .client
        .delete_module(&device, &module, IfMatch::Any)
        .await
        .unwrap();
    let gone = world.client.module(&device, &module).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::ModuleNotFound));
}
