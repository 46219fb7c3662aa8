//! What real clients do to paths (service.md 0.1).

use reqwest::Method;
use serde_json::json;

use crate::support::{
    rest::{code, token},
    unix_now,
    world::World,
};

#[tokio::test]
async fn ht_01_encoded_slashes_trailing_ones_and_any_case_lead_to_the_same_place() {
    let world = World::start().await;
    for name in ["a", "B", "c"] {
        world.put(name, None, json!({})).await;
    }
    world.put("B/m", None, json!({})).await;
    let query = json!({ "query": "SELECT * FROM devices" }).to_string();
    for path in [
        "/devices/query",
        "/devices%2Fquery",
        "/devices%2fquery",
        "/Devices/QUERY/",
    ] {
        let answer = world.call(Method::POST, path, &[], query.clone()).await;
        assert_eq!(
            (answer.status, answer.body.as_array().unwrap().len()),
            (200, 3),
            "{path}"
        );
    }
    let token = token(&world.hub.service_connection_string(), unix_now() + 600);
    let listed = world
        .rest()
        .send(
            Some(token.expose()),
            Method::GET,
            "/devices/?top=2&api-version=2021-04-12",
            &[],
            String::new(),
        )
        .await;
    assert_eq!(listed.body.as_array().unwrap().len(), 2);
    for path in ["/twins/B", "/twins%2FB", "/TWINS/B/"] {
        assert_eq!(world.get(path).await.body["deviceId"], "B", "{path}");
    }
    assert_eq!(world.get("/twins%2FB%2Fmodules%2Fm").await.body["moduleId"], "m");
    assert_eq!(
        code(&world.get("/devices/b").await),
        (404, "DeviceNotFound"),
        "ids keep their case"
    );
    assert_eq!(code(&world.get("/devices/B/modules/M").await), (404, "ModuleNotFound"));
    let feedback = world.get("/messages/servicebound/FEEDBACK").await;
    assert_eq!(
        code(&feedback),
        code(&world.get("/messages/serviceBound/feedback").await)
    );
    assert_eq!(code(&world.get("/nothing/here").await), (404, "GenericNotFound"));
    assert_eq!(
        code(&world.call(Method::PATCH, "/devices", &[], String::new()).await),
        (405, "GenericMethodNotAllowed")
    );
}

#[tokio::test]
async fn an_id_that_came_encoded_twice_is_found_when_read_and_never_when_deleted() {
    let world = World::start().await;
    for name in ["a:b", "x%3Ay"] {
        world.put_encoded(name).await;
    }
    assert_eq!(world.get("/twins/a%253Ab").await.body["deviceId"], "a:b");
    assert_eq!(
        world.get("/devices/x%253Ay").await.body["deviceId"],
        "x%3Ay",
        "the first lookup wins"
    );
    assert_eq!(
        code(&world.delete("/devices/a%253Ab", Some("*")).await),
        (404, "DeviceNotFound")
    );
    assert_eq!(code(&world.get("/devices/no%253Abody").await), (404, "DeviceNotFound"));
    assert_eq!(world.get("/devices/a%3Ab").await.status, 200);
}

#[tokio::test]
async fn a_token_for_one_id_does_not_open_what_that_id_decodes_to() {
    use hub_protocol::{connection_string::Credential, sas};
    let world = World::start().await;
    world.put_encoded("a:b").await;
    let owner = world.hub.service_connection_string();
    let Credential::Key(key) = owner.credential else {
        panic!("the owner has a key")
    };
    let token = sas::sign("localhost/devices/a%3Ab", &key, unix_now() + 600, Some(&owner.policy));
    let answer = world
        .call_as(&token, Method::GET, "/devices/a%253Ab", &[], String::new())
        .await;
    assert_eq!(code(&answer), (401, "IotHubUnauthorizedAccess"));
}

impl World {
    /// Creates a device whose id has to be escaped in a path.
    async fn put_encoded(&self, id: &str) {
        let path = format!("/devices/{}", id.replace('%', "%25").replace(':', "%3A"));
        let made = self
            .call(Method::PUT, &path, &[], json!({ "deviceId": id }).to_string())
            .await;
        assert_eq!(made.status, 200, "{}", made.body);
    }
}
