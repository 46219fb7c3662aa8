//! IoT Plug and Play: digital twins and commands (service.md 8 and checklist DT).

use hub_protocol::{DeviceConnectionString, ErrorCode, HubError};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    raw_device::{DESIRED, METHODS, RESPONSES, RawDevice, hello},
    rest::Answer,
    world::World,
};

const MODEL: &str = "dtmi:demo:Thermo;1";

impl World {
    /// Connected as a device of that model.
    async fn thermo(&self, device: &DeviceConnectionString) -> RawDevice {
        let mut raw = self.dial().await;
        let mut connect = hello(device, true);
        if let Some(login) = &mut connect.login {
            login.username = format!("{}&model-id={MODEL}", login.username);
        }
        raw.knock(connect).await;
        raw
    }

    async fn digital_twin(&self, device: &str) -> Answer {
        let path = format!("/digitaltwins/{device}");
        self.call(Method::GET, &path, &[], String::new()).await
    }

    async fn patch_digital_twin(&self, device: &str, headers: &[(&str, &str)], operations: &Value) -> Answer {
        let path = format!("/digitaltwins/{device}");
        self.call(Method::PATCH, &path, headers, operations.to_string()).await
    }
}

/// Shape C: the number in the body and the name in the header are the same error's.
fn code(answer: &Answer) -> (u16, ErrorCode) {
    let (by_header, _) = HubError::parse(answer.header("iothub-errorcode"), "");
    let inner: Value = serde_json::from_str(answer.body["Message"].as_str().unwrap()).unwrap();
    let by_body = ErrorCode::from_number(u32::try_from(inner["errorCode"].as_u64().unwrap()).unwrap());
    assert_eq!(by_header, by_body);
    (answer.status, by_body.unwrap())
}

#[tokio::test]
async fn dt_1_a_patch_is_accepted_without_a_body_and_reaches_desired_properties() {
    let world = World::start().await;
    let connection = world.device("th-1").await;
    let mut raw = world.thermo(&connection).await;
    raw.subscribe(&[DESIRED, RESPONSES]).await;
    let operations = json!([
        { "op": "add", "path": "/target", "value": 21 },
        { "op": "replace", "path": "/probe/max", "value": 40 }
    ]);
    let before = world.digital_twin("th-1").await;
    let etag = before.header("ETag").unwrap().to_owned();
    let answer = world
        .patch_digital_twin("th-1", &[("If-Match", &etag)], &operations)
        .await;
    let twin = world.twin(&connection.device_id).await;
    assert_eq!((answer.status, &answer.body), (202, &Value::Null));
    assert_eq!(answer.header("ETag"), Some(format!("\"{}\"", twin.etag).as_str()));
    assert!(answer.header("Location").unwrap().ends_with("/digitaltwins/th-1"));
    let expected = json!({ "target": 21, "probe": { "__t": "c", "max": 40 } });
    assert_eq!(Value::Object(twin.properties.desired.values), expected);
    let told = raw.message().await.body;
    assert_eq!(
        (&told["target"], &told["probe"]),
        (&expected["target"], &expected["probe"])
    );

    let stale = world
        .patch_digital_twin("th-1", &[("If-Match", &etag)], &operations)
        .await;
    assert_eq!(code(&stale), (412, ErrorCode::PreconditionFailed));
    let any = json!([{ "op": "remove", "path": "/probe" }]);
    assert_eq!(
        world
            .patch_digital_twin("th-1", &[("If-Match", "*")], &any)
            .await
            .status,
        202
    );
    let twin = world.twin(&connection.device_id).await;
    assert_eq!(Value::Object(twin.properties.desired.values), json!({ "target": 21 }));
}

#[tokio::test]
async fn dt_1_a_digital_twin_shows_what_was_asked_for_and_what_the_device_answered() {
    let world = World::start().await;
    let connection = world.device("th-1").await;
    assert_eq!(
        world.digital_twin("th-1").await.body,
        json!({ "$dtId": "th-1", "$metadata": { "$model": "" } })
    );
    let mut raw = world.thermo(&connection).await;
    raw.subscribe(&[RESPONSES]).await;
    let target = json!([{ "op": "add", "path": "/target", "value": 21 }]);
    assert_eq!(world.patch_digital_twin("th-1", &[], &target).await.status, 202);
    let version = world.twin(&connection.device_id).await.properties.desired.version;
    let report = json!({
        "serial": "X1", "target": { "value": 21, "ac": 200, "av": version, "ad": "ok" }, "probe": { "__t": "c", "max": 40 }
    });
    assert_eq!(raw.report("1", &report).await.0, 204);

    let answer = world.digital_twin("th-1").await;
    let twin = world.twin(&connection.device_id).await;
    assert_eq!(answer.header("ETag"), Some(format!("\"{}\"", twin.etag).as_str()));
    let document = answer.body;
    assert_eq!(
        (&document["$dtId"], &document["$metadata"]["$model"]),
        (&json!("th-1"), &json!(MODEL))
    );
    assert_eq!(
        (&document["serial"], &document["target"], &document["probe"]["max"]),
        (&json!("X1"), &json!(21), &json!(40))
    );
    let mut about = document["$metadata"]["target"].clone();
    assert!(about["lastUpdateTime"].is_string());
    about.as_object_mut().unwrap().remove("lastUpdateTime");
    assert_eq!(
        about,
        json!({ "desiredValue": 21, "desiredVersion": version, "ackVersion": version, "ackCode": 200, "ackDescription": "ok" })
    );
    assert!(document["probe"]["$metadata"]["max"]["lastUpdateTime"].is_string());
    assert!(document["probe"].get("__t").is_none());
}

#[tokio::test]
async fn dt_1_a_patch_that_cannot_be_is_refused_whole_with_its_code() {
    let world = World::start().await;
    let device = world.device("d").await.device_id;
    let before = world.twin(&device).await;
    let good = json!({ "op": "add", "path": "/ok", "value": 1 });
    for (operation, expected) in [
        (
            json!({ "op": "test", "path": "/a", "value": 1 }),
            ErrorCode::InvalidDigitalTwinJsonPatch,
        ),
        (
            json!({ "op": "add", "path": "/a", "value": [1] }),
            ErrorCode::InvalidDigitalTwinPatch,
        ),
        (
            json!({ "op": "add", "path": "/a-b", "value": 1 }),
            ErrorCode::InvalidDigitalTwinPatchPath,
        ),
    ] {
        let answer = world.patch_digital_twin("d", &[], &json!([good, operation])).await;
        assert_eq!(code(&answer), (400, expected));
    }
    let text = world.call(Method::PATCH, "/digitaltwins/d", &[], "[{".into()).await;
    assert_eq!(code(&text), (400, ErrorCode::InvalidDigitalTwinPayload));
    assert_eq!(world.twin(&device).await, before);
    let nobody = world.patch_digital_twin("nobody", &[], &json!([good])).await;
    assert_eq!(code(&nobody), (404, ErrorCode::DeviceNotFound));
    assert_eq!(
        code(&world.digital_twin("nobody").await),
        (404, ErrorCode::DeviceNotFound)
    );
}

#[tokio::test]
async fn dt_2_commands_are_direct_methods_and_the_devices_status_is_in_a_header() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let mut raw = world.connect(&connection).await;
    raw.subscribe(&[METHODS]).await;
    for (path, method) in [
        ("/digitaltwins/d/commands/reboot", "reboot"),
        ("/digitaltwins/d/components/probe/commands/reset", "probe*reset"),
    ] {
        for (body, payload) in [(r#"{"delay":3}"#, json!({ "delay": 3 })), ("", Value::Null)] {
            let call = world.call(Method::POST, path, &[], body.into());
            let device = async {
                let (name, request, given) = raw.call().await;
                assert_eq!((name.as_str(), given), (method, payload));
                raw.answer(&request, 207, &json!({ "done": true })).await;
            };
            let (answer, ()) = tokio::join!(call, device);
            assert_eq!((answer.status, answer.body.clone()), (200, json!({ "done": true })));
            assert_eq!(answer.header("x-ms-command-statuscode"), Some("207"));
            assert!(answer.header("x-ms-request-id").is_some_and(|id| !id.is_empty()));
        }
    }
}

#[tokio::test]
async fn dt_2_commands_fail_as_methods_do() {
    let world = World::start().await;
    world.device("d").await;
    let command = async |path: &str, body: &str| code(&world.call(Method::POST, path, &[], body.into()).await);
    assert_eq!(
        command("/digitaltwins/d/commands/reboot", "").await,
        (404, ErrorCode::DeviceNotOnline)
    );
    assert_eq!(
        command("/digitaltwins/nobody/commands/reboot", "").await,
        (404, ErrorCode::DeviceNotFound)
    );
    assert_eq!(
        command("/digitaltwins/d/commands/reboot", "{").await,
        (400, ErrorCode::InvalidDigitalTwinPayload)
    );
    assert_eq!(
        command("/digitaltwins/d/commands/re-boot", "").await,
        (400, ErrorCode::ArgumentInvalid)
    );
    assert_eq!(
        command("/digitaltwins/d/components/a.b/commands/reboot", "").await,
        (400, ErrorCode::ArgumentInvalid)
    );
}

#[tokio::test]
async fn dt_2_timeouts_stand_in_the_query_and_keep_the_bounds_of_methods() {
    let world = World::start().await;
    let connection = world.device("d").await;
    let path = |query: &str| format!("/digitaltwins/d/commands/reboot?{query}");
    for query in [
        "responseTimeoutInSeconds=4",
        "responseTimeoutInSeconds=301",
        "connectTimeoutInSeconds=60&responseTimeoutInSeconds=30",
        "connectTimeoutInSeconds=soon",
    ] {
        let answer = world.call(Method::POST, &path(query), &[], String::new()).await;
        assert_eq!(code(&answer), (400, ErrorCode::ArgumentInvalid), "{query}");
    }
    let waiting = path("connectTimeoutInSeconds=20&responseTimeoutInSeconds=20");
    let call = world.call(Method::POST, &waiting, &[], String::new());
    let device = async {
        let mut raw = world.connect(&connection).await;
        raw.subscribe(&[METHODS]).await;
        let (_, request, _) = raw.call().await;
        raw.answer(&request, 200, &Value::Null).await;
    };
    let (answer, ()) = tokio::join!(call, device);
    assert_eq!((answer.status, answer.body), (200, Value::Null));
}
