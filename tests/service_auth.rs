//! Who may do what over REST (service.md 1).

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hub_protocol::{
    Secret, ServiceConnectionString,
    connection_string::Credential,
    sas::{self, SasKey},
};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    rest::{Answer, code, token},
    unix_now,
    world::World,
};

const UNAUTHORIZED: (u16, &str) = (401, "IotHubUnauthorizedAccess");

fn key(connection: &ServiceConnectionString) -> SasKey {
    match &connection.credential {
        Credential::Key(key) => key.clone(),
        Credential::Token(_) => panic!("no key"),
    }
}

impl World {
    /// What `GET /devices/d` answers to this header.
    async fn ask_as(&self, authorization: Option<&str>) -> Answer {
        let target = "/devices/d?api-version=2021-04-12";
        self.rest()
            .send(authorization, Method::GET, target, &[], String::new())
            .await
    }

    async fn with_version(&self, version: &str) -> Answer {
        let token = token(&self.hub.service_connection_string(), unix_now() + 60);
        let target = format!("/devices/d{version}");
        self.rest()
            .send(Some(token.expose()), Method::GET, &target, &[], String::new())
            .await
    }
}

#[tokio::test]
async fn au_01_a_call_without_a_token_is_unauthorized_and_says_why() {
    let world = World::start().await;
    let answer = world.ask_as(None).await;
    assert_eq!(code(&answer), UNAUTHORIZED);
    let message = answer.body["Message"].as_str().unwrap();
    assert!(message.starts_with("ErrorCode:IotHubUnauthorizedAccess;"), "{message}");
    assert!(message.contains("Authorization header is missing"), "{message}");
    assert!(
        answer.body["ExceptionMessage"]
            .as_str()
            .unwrap()
            .starts_with("Tracking ID:")
    );
}

#[tokio::test]
async fn au_02_a_wrong_key_an_old_token_and_what_is_no_token_are_unauthorized() {
    let world = World::start().await;
    world.device("d").await;
    let owner = world.hub.service_connection_string();
    let signed = |key: &SasKey, expiry: u64, policy| sas::sign("localhost", key, expiry, policy);
    let (right, wrong) = (key(&owner), SasKey::from_bytes(vec![7; 32]).unwrap());
    let later = unix_now() + 60;
    assert_eq!(
        world
            .ask_as(Some(signed(&right, later, Some("iothubowner")).expose()))
            .await
            .status,
        200
    );
    for (what, token) in [
        ("another key", signed(&wrong, later, Some("iothubowner"))),
        ("past its end", signed(&right, unix_now() - 301, Some("iothubowner"))),
        ("no policy", signed(&right, later, None)),
        ("an unknown policy", signed(&right, later, Some("nobody"))),
        (
            "another policy's key",
            signed(&key(&world.policy("service")), later, Some("iothubowner")),
        ),
        ("an Entra ID token", Secret::new("Bearer eyJhbGciOiJub25lIn0.e30.")),
        ("nonsense", Secret::new("nonsense")),
        ("an empty one", Secret::new("")),
    ] {
        assert_eq!(code(&world.ask_as(Some(token.expose())).await), UNAUTHORIZED, "{what}");
    }
}

#[tokio::test]
async fn au_03_a_token_s_fields_come_in_any_order_and_its_host_in_any_case() {
    let world = World::start().await;
    world.device("d").await;
    let owner = world.hub.service_connection_string();
    for host in ["localhost", "LocalHost", "localhost:8443"] {
        let token = sas::sign(host, &key(&owner), unix_now() + 60, Some("iothubowner"));
        let fields: Vec<_> = token
            .expose()
            .strip_prefix("SharedAccessSignature ")
            .unwrap()
            .split('&')
            .collect();
        let [sr, sig, se, skn] = fields[..] else {
            panic!("{fields:?}")
        };
        for order in [[sr, sig, se, skn], [sr, sig, skn, se], [skn, se, sig, sr]] {
            let token = format!("SharedAccessSignature {}", order.join("&"));
            assert_eq!(world.ask_as(Some(&token)).await.status, 200, "{host}");
        }
    }
}

#[tokio::test]
async fn au_04_a_token_s_scope_covers_whole_segments() {
    let world = World::start().await;
    world.device("d").await;
    let owner = world.hub.service_connection_string();
    for (scope, covered) in [
        ("localhost", true),
        ("localhost/devices", true),
        ("localhost/devices/d", true),
        ("localhost/devices/", true),
        ("localhost/device", false),
        ("localhost/devices/d/modules", false),
        ("localhost/devices/D", false),
        ("localhost/twins", false),
        ("elsewhere", false),
    ] {
        let token = sas::sign(scope, &key(&owner), unix_now() + 60, Some("iothubowner"));
        let answer = world.ask_as(Some(token.expose())).await;
        assert_eq!(answer.status == 200, covered, "{scope}: {}", answer.body);
        assert!(covered || code(&answer) == UNAUTHORIZED, "{scope}");
    }
}

#[tokio::test]
async fn au_05_a_policy_that_may_only_read_the_registry_writes_nothing() {
    let world = World::start().await;
    let reader = token(&world.policy("registryRead"), unix_now() + 60);
    let body = json!({ "deviceId": "d" }).to_string();
    let answer = world.call_as(&reader, Method::PUT, "/devices/d", &[], body).await;
    assert_eq!(code(&answer), UNAUTHORIZED);
    assert_eq!(world.get("/devices/d").await.status, 404);
}

#[tokio::test]
async fn au_06_twins_are_for_policies_that_connect_as_services() {
    let world = World::start().await;
    world.device("d").await;
    for (policy, status) in [("registryReadWrite", 401), ("service", 200), ("iothubowner", 200)] {
        let token = token(&world.policy(policy), unix_now() + 60);
        let answer = world.call_as(&token, Method::GET, "/twins/d", &[], String::new()).await;
        assert_eq!(answer.status, status, "{policy}");
    }
}

#[tokio::test]
async fn au_07_an_api_version_that_is_none_is_refused() {
    let world = World::start().await;
    world.device("d").await;
    for version in [
        "?api-version=1999-01-01",
        "?api-version=",
        "",
        "?api-version=2021-4-12",
        "?api-version=latest",
    ] {
        assert_eq!(
            code(&world.with_version(version).await),
            (400, "InvalidProtocolVersion"),
            "{version}"
        );
    }
}

#[tokio::test]
async fn au_08_every_api_version_of_the_known_clients_is_answered_alike() {
    let world = World::start().await;
    world.device("d").await;
    let expected = world.get("/devices/d").await.body;
    for version in [
        "2018-06-30",
        "2020-05-31-preview",
        "2020-09-30",
        "2021-04-12",
        "2024-03-31",
        "2030-01-01",
    ] {
        let answer = world.with_version(&format!("?Api-Version={version}")).await;
        assert_eq!((answer.status, answer.body), (200, expected.clone()), "{version}");
    }
}

#[tokio::test]
async fn both_keys_of_a_policy_open_it() {
    let world = World::start().await;
    world.device("d").await;
    let database = rusqlite::Connection::open(world.hub.data_dir().join("hub.db")).unwrap();
    for column in ["primary_key", "secondary_key"] {
        let sql = format!("SELECT {column} FROM policies WHERE name = 'registryRead'");
        let text: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        let key = SasKey::from_bytes(BASE64.decode(text).unwrap()).unwrap();
        let token = sas::sign("localhost", &key, unix_now() + 60, Some("registryRead"));
        assert_eq!(world.ask_as(Some(token.expose())).await.status, 200, "{column}");
    }
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy)]
enum For {
    RegistryReaders,
    RegistryWriters,
    Services,
    ServicesAndRegistryWriters,
    Devices,
    Anyone,
}

impl For {
    fn lets_in(self, who: &str) -> bool {
        match self {
            Self::RegistryReaders => matches!(who, "iothubowner" | "registryRead" | "registryReadWrite"),
            Self::RegistryWriters => matches!(who, "iothubowner" | "registryReadWrite"),
            Self::Services => matches!(who, "iothubowner" | "service"),
            Self::ServicesAndRegistryWriters => matches!(who, "iothubowner" | "service" | "registryReadWrite"),
            Self::Anyone => true,
            Self::Devices => matches!(who, "iothubowner" | "device" | "the device itself"),
        }
    }
}

/// Every endpoint, by its name in the hub's route table: how to call it, and for whom it is.
/// Device `d` exists and `nobody` does not.
const ENDPOINTS: &[(&str, &str, &str, For)] = &[
    ("Health", "GET", "/healthz", For::Anyone),
    ("ListDevices", "GET", "/devices", For::RegistryReaders),
    ("BulkDevices", "POST", "/devices", For::RegistryWriters),
    ("GetDevice", "GET", "/devices/d", For::RegistryReaders),
    ("PutDevice", "PUT", "/devices/nobody", For::RegistryWriters),
    ("DeleteDevice", "DELETE", "/devices/nobody", For::RegistryWriters),
    ("ListModules", "GET", "/devices/d/modules", For::RegistryReaders),
    ("GetModule", "GET", "/devices/d/modules/nobody", For::RegistryReaders),
    ("PutModule", "PUT", "/devices/d/modules/nobody", For::RegistryWriters),
    (
        "DeleteModule",
        "DELETE",
        "/devices/d/modules/nobody",
        For::RegistryWriters,
    ),
    (
        "RegenerateKeys",
        "POST",
        "/devices/keys/regenerate",
        For::RegistryWriters,
    ),
    ("DeviceStatistics", "GET", "/statistics/devices", For::RegistryReaders),
    ("ServiceStatistics", "GET", "/statistics/service", For::RegistryReaders),
    ("CreateRegistryJob", "POST", "/jobs/create", For::RegistryWriters),
    ("ListRegistryJobs", "GET", "/jobs", For::RegistryWriters),
    ("GetRegistryJob", "GET", "/jobs/none", For::RegistryWriters),
    ("CancelRegistryJob", "DELETE", "/jobs/none", For::RegistryWriters),
    ("Query", "POST", "/devices/query", For::Services),
    ("GetTwin", "GET", "/twins/d", For::Services),
    ("GetTwin", "GET", "/twins/d/modules/nobody", For::Services),
    ("MergeTwin", "PATCH", "/twins/d", For::Services),
    ("MergeTwin", "PATCH", "/twins/d/modules/nobody", For::Services),
    ("ReplaceTwin", "PUT", "/twins/d", For::Services),
    ("ReplaceTwin", "PUT", "/twins/d/modules/nobody", For::Services),
    ("InvokeMethod", "POST", "/twins/nobody/methods", For::Services),
    ("InvokeMethod", "POST", "/twins/d/modules/nobody/methods", For::Services),
    ("GetDigitalTwin", "GET", "/digitaltwins/d", For::Services),
    ("PatchDigitalTwin", "PATCH", "/digitaltwins/d", For::Services),
    ("RootCommand", "POST", "/digitaltwins/nobody/commands/c", For::Services),
    (
        "ComponentCommand",
        "POST",
        "/digitaltwins/nobody/components/c/commands/c",
        For::Services,
    ),
    ("CreateJob", "PUT", "/jobs/v2/none", For::ServicesAndRegistryWriters),
    ("GetJob", "GET", "/jobs/v2/none", For::ServicesAndRegistryWriters),
    (
        "CancelJob",
        "POST",
        "/jobs/v2/none/cancel",
        For::ServicesAndRegistryWriters,
    ),
    ("QueryJobs", "GET", "/jobs/v2/query", For::ServicesAndRegistryWriters),
    ("ListConfigurations", "GET", "/configurations", For::RegistryReaders),
    ("GetConfiguration", "GET", "/configurations/none", For::RegistryReaders),
    ("PutConfiguration", "PUT", "/configurations/none", For::RegistryWriters),
    (
        "DeleteConfiguration",
        "DELETE",
        "/configurations/none",
        For::RegistryWriters,
    ),
    (
        "TestConfigurationQueries",
        "POST",
        "/configurations/testQueries",
        For::RegistryReaders,
    ),
    (
        "ApplyConfigurationContent",
        "POST",
        "/devices/d/applyConfigurationContent",
        For::RegistryWriters,
    ),
    (
        "SendMessage",
        "POST",
        "/devices/nobody/messages/deviceBound",
        For::Services,
    ),
    ("PurgeMessages", "DELETE", "/devices/nobody/commands", For::Services),
    (
        "ReceiveFeedback",
        "GET",
        "/messages/serviceBound/feedback",
        For::Services,
    ),
    (
        "CompleteFeedback",
        "DELETE",
        "/messages/serviceBound/feedback/none",
        For::Services,
    ),
    (
        "AbandonFeedback",
        "POST",
        "/messages/serviceBound/feedback/none/abandon",
        For::Services,
    ),
    ("SendTelemetry", "POST", "/devices/d/messages/events", For::Devices),
    ("ReceiveMessage", "GET", "/devices/d/messages/deviceBound", For::Devices),
    (
        "SettleMessage",
        "DELETE",
        "/devices/d/messages/deviceBound/none",
        For::Devices,
    ),
    (
        "AbandonMessage",
        "POST",
        "/devices/d/messages/deviceBound/none/abandon",
        For::Devices,
    ),
];

/// The names in the hub's own list of endpoints.
fn endpoints_of_the_hub() -> BTreeSet<String> {
    let source = include_str!("../crates/local-hub/src/rest/routes.rs");
    let (_, list) = source.split_once("enum Endpoint {").unwrap();
    let (list, _) = list.split_once('}').unwrap();
    let names = list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    names
        .map(|name| name.trim_end_matches(',').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn the_table_of_who_may_do_what_has_every_endpoint() {
    let table: BTreeSet<_> = ENDPOINTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(table, endpoints_of_the_hub());
}

#[tokio::test]
async fn every_endpoint_lets_in_exactly_those_it_is_for() {
    let world = World::start().await;
    let device = world.device("d").await;
    let owner = world.hub.service_connection_string();
    let later = unix_now() + 600;
    let mut callers: Vec<(&str, Option<Secret>)> =
        ["iothubowner", "service", "device", "registryRead", "registryReadWrite"]
            .map(|policy| (policy, Some(token(&world.policy(policy), later))))
            .into();
    let wrong = SasKey::from_bytes(vec![7; 32]).unwrap();
    let own = |key: &SasKey| sas::sign("localhost/devices/d", key, later, None);
    callers.extend([
        ("nobody", None),
        (
            "a wrong key",
            Some(sas::sign("localhost", &wrong, later, Some("iothubowner"))),
        ),
        ("an expired token", Some(token(&owner, unix_now() - 301))),
        (
            "a foreign scope",
            Some(sas::sign(
                "localhost/elsewhere",
                &key(&owner),
                later,
                Some("iothubowner"),
            )),
        ),
        ("the device itself", Some(own(&device.key))),
        ("a false device", Some(own(&wrong))),
    ]);
    let rest = world.rest();
    let mut wrongly = Vec::new();
    for (name, method, path, r#for) in ENDPOINTS {
        for (who, token) in &callers {
            let target = format!("{path}?api-version=2024-03-31");
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let token = token.as_ref().map(Secret::expose);
            let answer = rest.send(token, method, &target, &[], "{}".into()).await;
            let refused = code(&answer) == UNAUTHORIZED;
            let known = !matches!(code(&answer).1, "GenericNotFound" | "GenericMethodNotAllowed");
            if refused == r#for.lets_in(who) || !known {
                wrongly.push(format!("{name} {who}: {} {}", answer.status, answer.body));
            }
        }
    }
    assert!(wrongly.is_empty(), "{wrongly:#?}");
}
