//! Device identities.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hub_client::IfMatch;
use hub_protocol::{ErrorCode, identity::DeviceIdentity, twin::TwinPatch};
use local_hub::HubEvent;
use reqwest::Method;
use serde_json::{Value, json};

use super::{etag, primary_key};
use crate::support::{
    id, object,
    rest::code,
    world::{World, event},
};

#[tokio::test]
async fn rg_01_a_minimal_put_answers_200_with_every_field_that_clients_read() {
    let world = World::start().await;
    let created = world.put("d", None, json!({})).await;
    assert_eq!(created.status, 200);
    assert_eq!(created.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(created.header("etag"), Some(&*format!("\"{}\"", etag(&created))));
    let body = &created.body;
    assert!(
        body["generationId"]
            .as_str()
            .unwrap()
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    );
    for key in ["primaryKey", "secondaryKey"] {
        let key = body["authentication"]["symmetricKey"][key].as_str().unwrap();
        assert!((16..=64).contains(&BASE64.decode(key).unwrap().len()));
    }
    let mut rest = body.clone();
    for minted in ["generationId", "etag"] {
        rest.as_object_mut().unwrap().remove(minted);
    }
    rest["authentication"]["symmetricKey"] = Value::Null;
    let expected = json!({
        "deviceId": "d", "connectionState": "Disconnected", "status": "enabled", "statusReason": null,
        "connectionStateUpdatedTime": "0001-01-01T00:00:00Z", "statusUpdatedTime": "0001-01-01T00:00:00Z",
        "lastActivityTime": "0001-01-01T00:00:00Z", "cloudToDeviceMessageCount": 0,
        "authentication": {
            "symmetricKey": null, "type": "sas",
            "x509Thumbprint": { "primaryThumbprint": null, "secondaryThumbprint": null }
        },
        "capabilities": { "iotEdge": false }, "deviceScope": null, "parentScopes": []
    });
    assert_eq!(rest, expected);
    assert_eq!(world.get("/devices/d").await.body, created.body);
}

#[tokio::test]
async fn rg_02_the_same_put_again_is_a_conflict_even_with_the_current_etag_in_its_body() {
    let world = World::start().await;
    let created = world.put("pump", None, json!({})).await;
    let again = world.put("pump", None, json!({ "etag": etag(&created) })).await;
    assert_eq!(code(&again), (409, "DeviceAlreadyExists"));
    let other = world.put("Pump", None, json!({})).await;
    assert_eq!(other.status, 200, "case tells ids apart");
    assert_eq!(world.client.statistics().await.unwrap().total_device_count, 2);
}

#[tokio::test]
async fn rg_03_an_update_of_a_missing_device_is_not_found_and_of_a_stale_one_refused() {
    let world = World::start().await;
    for condition in ["\"*\"", "\"MTIz\""] {
        let missing = world.put("d", Some(condition), json!({})).await;
        assert_eq!(code(&missing), (404, "DeviceNotFound"));
    }
    let created = world.put("d", None, json!({})).await;
    let updated = world
        .put("d", Some(&etag(&created)), json!({ "status": "disabled" }))
        .await;
    assert_eq!((updated.status, &updated.body["status"]), (200, &json!("disabled")));
    assert_ne!(etag(&updated), etag(&created));
    assert_ne!(updated.body["statusUpdatedTime"], created.body["statusUpdatedTime"]);
    assert_eq!(updated.body["generationId"], created.body["generationId"]);
    let stale = world.put("d", Some(&etag(&created)), json!({})).await;
    assert_eq!(code(&stale), (412, "PreconditionFailed"));
    assert_eq!(world.get("/devices/d").await.body, updated.body, "nothing was changed");
}

#[tokio::test]
async fn rg_04_if_match_is_read_with_quotes_and_without() {
    let world = World::start().await;
    let mut device = world.put("d", None, json!({})).await;
    for form in ["\"*\"", "*", "\"ETAG\"", "ETAG"] {
        let condition = form.replace("ETAG", &etag(&device));
        device = world.put("d", Some(&condition), json!({})).await;
        assert_eq!(device.status, 200, "{form}: {}", device.body);
    }
}

#[tokio::test]
async fn rg_05_an_update_without_keys_or_with_empty_ones_gets_fresh_keys() {
    let world = World::start().await;
    let mut device = world.put("d", None, json!({})).await;
    for keys in [
        Value::Null,
        json!({}),
        json!({ "primaryKey": "", "secondaryKey": "" }),
        json!({ "primaryKey": null, "secondaryKey": null }),
    ] {
        let before = primary_key(&device);
        device = world
            .put("d", Some("*"), json!({ "authentication": { "symmetricKey": keys } }))
            .await;
        assert_eq!(device.status, 200, "{keys}");
        assert_ne!(primary_key(&device), before, "{keys}");
    }
    let before = primary_key(&device);
    let without = world.put("d", Some("*"), json!({})).await;
    assert_ne!(primary_key(&without), before);
    let given = world
        .put(
            "d",
            Some("*"),
            json!({ "authentication": without.body["authentication"] }),
        )
        .await;
    assert_eq!(
        given.body["authentication"], without.body["authentication"],
        "given keys stay"
    );
}

#[tokio::test]
async fn rg_06_a_key_of_a_wrong_length_or_one_alone_is_refused() {
    let world = World::start().await;
    let key = |bytes: usize| BASE64.encode(vec![7; bytes]);
    let put = |primary: Option<String>, secondary: Option<String>| {
        let keys = json!({ "symmetricKey": { "primaryKey": primary, "secondaryKey": secondary } });
        world.put("d", None, json!({ "authentication": keys }))
    };
    for (primary, secondary) in [
        (Some(key(15)), Some(key(16))),
        (Some(key(16)), Some(key(65))),
        (Some(key(32)), None),
        (None, Some(key(32))),
        (Some("not base64!".into()), Some(key(32))),
    ] {
        let what = format!("{primary:?} {secondary:?}");
        assert_eq!(code(&put(primary, secondary).await), (400, "ArgumentInvalid"), "{what}");
    }
    assert_eq!(put(Some(key(16)), Some(key(64))).await.status, 200);
}

#[tokio::test]
async fn rg_07_a_delete_needs_if_match_and_leaves_nothing() {
    let world = World::start().await;
    world.put("d", None, json!({})).await;
    assert_eq!(
        code(&world.delete("/devices/d", None).await),
        (412, "PreconditionFailed")
    );
    assert_eq!(
        code(&world.delete("/devices/d", Some("\"MTIz\"")).await),
        (412, "PreconditionFailed")
    );
    assert_eq!(world.delete("/devices/d", Some("\"*\"")).await.status, 204);
    assert_eq!(code(&world.get("/devices/d").await), (404, "DeviceNotFound"));
    for condition in [None, Some("*")] {
        assert_eq!(
            code(&world.delete("/devices/d", condition).await),
            (404, "DeviceNotFound")
        );
    }
}

#[tokio::test]
async fn rg_08_a_list_is_as_long_as_asked_for_and_never_longer_than_a_thousand() {
    let world = World::start().await;
    world.devices("d", 1003).await;
    for (top, length) in [
        ("?top=2", 2),
        ("?top=1000", 1000),
        ("?top=0", 1000),
        ("?top=1001", 1000),
        ("?top=x", 1000),
        ("", 1000),
    ] {
        let listed = world.get(&format!("/devices{top}")).await.body;
        assert_eq!(listed.as_array().unwrap().len(), length, "{top}");
    }
}

#[tokio::test]
async fn a_thumbprint_makes_a_device_self_signed_and_must_be_one() {
    let world = World::start().await;
    let thumbprint = "aB01".repeat(16);
    let x509 = |primary: &str| json!({ "authentication": { "x509Thumbprint": { "primaryThumbprint": primary } } });
    let device = world.put("d", None, x509(&thumbprint)).await;
    assert_eq!(device.body["authentication"]["type"], "selfSigned");
    assert_eq!(
        device.body["authentication"]["x509Thumbprint"]["primaryThumbprint"], *thumbprint,
        "case stays"
    );
    assert_eq!(device.body["authentication"]["symmetricKey"]["primaryKey"], Value::Null);
    for bad in ["ab", "AA:BB", &"g".repeat(40)] {
        assert_eq!(
            code(&world.put("other", None, x509(bad)).await),
            (400, "ArgumentInvalid"),
            "{bad}"
        );
    }
    let none = json!({ "authentication": { "type": "none" } });
    assert_eq!(code(&world.put("other", None, none).await), (400, "ArgumentInvalid"));
    for kind in ["CertificateAuthority", "selfSigned"] {
        let made = world
            .put(kind, None, json!({ "authentication": { "type": kind } }))
            .await;
        assert_eq!(made.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn what_a_service_may_not_say_of_a_device_is_ignored_or_refused() {
    let world = World::start().await;
    let read_only = json!({
        "generationId": "1", "etag": "x", "connectionState": "Connected", "connectionStateUpdatedTime": null,
        "statusUpdatedTime": "2030-01-01T00:00:00Z", "lastActivityTime": "2030-01-01T00:00:00Z",
        "cloudToDeviceMessageCount": 7, "attributes": { "newer": true }, "status": "Enabled"
    });
    let made = world.put("d", None, read_only).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["connectionState"], "Disconnected");
    assert_eq!(made.body["cloudToDeviceMessageCount"], 0);
    assert_ne!(made.body["generationId"], "1");
    let reason = |length: usize| json!({ "statusReason": "r".repeat(length) });
    assert_eq!(
        world.put("d", Some("*"), reason(128)).await.body["statusReason"],
        "r".repeat(128)
    );
    assert_eq!(
        code(&world.put("d", Some("*"), reason(129)).await),
        (400, "ArgumentInvalid")
    );
    let other = json!({ "deviceId": "other" }).to_string();
    let mismatch = world.call(Method::PUT, "/devices/d", &[("If-Match", "*")], other).await;
    assert_eq!(code(&mismatch), (400, "ArgumentInvalid"));
}

#[tokio::test]
async fn statistics_count_devices_and_those_that_are_connected() {
    let world = World::start().await;
    let device = world.device("a").await;
    world.put("b", None, json!({ "status": "disabled" })).await;
    world.put("a/m", None, json!({})).await;
    let counts = json!({ "totalDeviceCount": 2, "enabledDeviceCount": 1, "disabledDeviceCount": 1 });
    assert_eq!(world.get("/statistics/devices").await.body, counts);
    assert_eq!(
        world.get("/statistics/service").await.body,
        json!({ "connectedDeviceCount": 0 })
    );
    let _connected = world.connect(&device).await;
    assert_eq!(
        world.get("/statistics/service").await.body,
        json!({ "connectedDeviceCount": 1 })
    );
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
