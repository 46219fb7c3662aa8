//! Identities over REST.

mod modules;

use hub_client::IfMatch;
use hub_protocol::{
    ErrorCode,
    identity::{DeviceIdentity, ExportImportDevice, MAX_BULK, Status},
    twin::TwinPatch,
};
use local_hub::HubEvent;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    id, object,
    world::{World, event},
};

fn import(item: serde_json::Value) -> ExportImportDevice {
    serde_json::from_value(item).unwrap()
}

#[tokio::test]
async fn a_created_device_has_two_keys_and_an_empty_twin() {
    let world = World::start().await;
    let mut events = world.hub.subscribe();
    let created = world
        .client
        .create_device(&DeviceIdentity::new(id("pump-1")))
        .await
        .unwrap();
    let (primary, secondary) = created.authentication.symmetric_key.keys().unwrap().unwrap();
    assert_ne!(primary, secondary);
    let told = event(&mut events, "the new identity", |event| match event {
        HubEvent::IdentityChanged { twin, .. } => Some(twin.clone()),
        _ => None,
    })
    .await;
    assert_eq!(*told, world.twin(&id("pump-1")).await);
    assert!(told.tags.is_empty() && told.properties.desired.values.is_empty());
}

#[tokio::test]
async fn the_same_id_twice_is_refused_and_case_tells_ids_apart() {
    let world = World::start().await;
    world.device("pump").await;
    let again = world
        .client
        .create_device(&DeviceIdentity::new(id("pump")))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::DeviceAlreadyExists));
    world.device("Pump").await;
    assert_eq!(world.client.statistics().await.unwrap().total_device_count, 2);
}

#[tokio::test]
async fn an_id_with_every_allowed_character_goes_through_rest_and_mqtt() {
    let world = World::start().await;
    let device = world.device("a-.%_*?!(),:=@$'Z9").await;
    assert_eq!(
        world.client.device(&device.device_id).await.unwrap().device_id,
        device.device_id
    );
    let mut raw = world.connect(&device).await;
    raw.subscribe(&[crate::support::raw_device::RESPONSES]).await;
    assert_eq!(raw.report("1", &json!({ "a": 1 })).await.0, 204);
    world
        .client
        .delete_device(&device.device_id, IfMatch::Any)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_id_with_a_forbidden_character_is_refused() {
    let world = World::start().await;
    for bad in ["a+b", "a b", "a%23b"] {
        let body = json!({ "deviceId": bad.replace("%23", "#") }).to_string();
        let answer = world.call(Method::PUT, &format!("/devices/{bad}"), &[], body).await;
        assert_eq!(
            (answer.status, answer.header("iothub-errorcode")),
            (400, Some("ArgumentInvalid")),
            "{bad}"
        );
    }
    assert_eq!(world.client.statistics().await.unwrap().total_device_count, 0);
}

#[tokio::test]
async fn an_update_needs_the_newest_etag_or_any() {
    let world = World::start().await;
    world.device("pump").await;
    let mut first = world.client.device(&id("pump")).await.unwrap();
    first.status = Status::Disabled;
    let second = world
        .client
        .update_device(&first, IfMatch::Etag(first.etag.clone()))
        .await
        .unwrap();
    assert_ne!(second.etag, first.etag);
    assert_eq!(second.authentication, first.authentication, "given keys stay");
    let stale = world
        .client
        .update_device(&first, IfMatch::Etag(first.etag.clone()))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::PreconditionFailed));
    world.client.update_device(&first, IfMatch::Any).await.unwrap();
}

#[tokio::test]
async fn a_deleted_device_is_gone_with_its_twin_and_its_connection() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let tags = TwinPatch::tags(object(json!({ "hall": "B" })));
    world
        .client
        .update_twin(&device.device_id, &tags, IfMatch::None)
        .await
        .unwrap();
    let mut raw = world.connect(&device).await;
    world
        .client
        .delete_device(&device.device_id, IfMatch::Any)
        .await
        .unwrap();
    raw.is_closed().await;
    let gone = world.client.twin(&device.device_id).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::DeviceNotFound));
    world.device("pump").await;
    assert!(
        world.twin(&id("pump")).await.tags.is_empty(),
        "a new device of the same name begins empty"
    );
}

#[tokio::test]
async fn a_bulk_call_does_each_item_by_itself_and_says_which_failed() {
    let world = World::start().await;
    world.device("b").await;
    let items = [
        import(json!({ "id": "a", "importMode": "create", "tags": { "hall": "A" } })),
        import(json!({ "id": "b", "importMode": "create" })),
        import(json!({ "id": "c", "importMode": "delete" })),
        import(json!({ "id": "d", "importMode": "CreateOrUpdate", "properties": { "desired": { "x": 1 } } })),
    ];
    let result = world.client.bulk(&items).await.unwrap();
    assert!(!result.is_successful);
    let failed: Vec<_> = result
        .errors
        .iter()
        .map(|error| (error.device_id.as_str(), &error.error_code))
        .collect();
    assert_eq!(
        failed,
        [("b", &json!("DeviceAlreadyExists")), ("c", &json!("DeviceNotFound"))]
    );
    assert_eq!(world.twin(&id("a")).await.tags["hall"], "A");
    assert_eq!(world.twin(&id("d")).await.properties.desired.values["x"], 1);
}

#[tokio::test]
async fn a_bulk_call_of_too_many_or_of_the_same_twice_changes_nothing() {
    let world = World::start().await;
    let many: Vec<_> = (0..=MAX_BULK)
        .map(|n| json!({ "id": format!("d{n}"), "importMode": "create" }))
        .collect();
    let answer = world.call(Method::POST, "/devices", &[], json!(many).to_string()).await;
    assert_eq!(answer.header("iothub-errorcode"), Some("TooManyDevices"));
    let twice = [
        import(json!({ "id": "x", "importMode": "create" })),
        import(json!({ "id": "x" })),
    ];
    let error = world.client.bulk(&twice).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DeviceDefinedMultipleTimes));
    assert_eq!(world.client.statistics().await.unwrap().total_device_count, 0);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let tags = TwinPatch::tags(object(json!({ "hall": "B" })));
    world
        .client
        .update_twin(&device.device_id, &tags, IfMatch::None)
        .await
        .unwrap();
    let identity = world.client.device(&device.device_id).await.unwrap();
    let twin = world.twin(&device.device_id).await;
    let world = world.restart().await;
    assert_eq!(world.client.device(&device.device_id).await.unwrap(), identity);
    assert_eq!(world.twin(&device.device_id).await, twin);
    world.connect(&device).await;
}
