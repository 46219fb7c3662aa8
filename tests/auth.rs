//! Who is let in, on both sides.

use hub_client::{ClientError, HubClient, IfMatch, RetryPolicy};
use hub_protocol::{
    ErrorCode, ServiceConnectionString,
    connection_string::Credential,
    identity::{DeviceIdentity, Status},
    method::MethodRequest,
    sas::{self, SasKey},
    topic::UserName,
    twin::TwinPatch,
};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};
use rustls::RootCertStore;
use serde_json::{Value, json};

use crate::support::{
    id, object,
    raw_device::{hello, token},
    rest, unix_now,
    world::World,
};

fn with_password(connect: &Connect, password: &str) -> Connect {
    let mut connect = connect.clone();
    let user = connect.login.as_ref().unwrap().username.clone();
    connect.set_login(user, password);
    connect
}

async fn is_refused(world: &World, connect: Connect, what: &str) {
    let mut raw = world.dial().await;
    assert_eq!(raw.knock(connect).await.0, ConnectReturnCode::NotAuthorized, "{what}");
    raw.is_closed().await;
}

#[tokio::test]
async fn a_device_is_refused_for_whatever_is_wrong_with_its_login() {
    let world = World::start().await;
    let (device, other) = (world.device("pump").await, world.device("other").await);
    let right = hello(&device, false);
    let resource = "localhost/devices/pump";
    let later = unix_now() + 3600;

    let wrong_key = token(resource, &other, later);
    is_refused(
        &world,
        with_password(&right, wrong_key.expose()),
        "another device's key",
    )
    .await;
    let foreign = token("localhost/devices/other", &other, later);
    is_refused(
        &world,
        with_password(&right, foreign.expose()),
        "another device's token",
    )
    .await;
    let scope = token("localhost/devices/pum", &device, later);
    is_refused(
        &world,
        with_password(&right, scope.expose()),
        "a scope that is a mere prefix",
    )
    .await;
    let expired = token(resource, &device, unix_now() - 301);
    is_refused(&world, with_password(&right, expired.expose()), "an expired token").await;
    is_refused(&world, with_password(&right, "not a token"), "no token").await;

    let mut stranger = right.clone();
    stranger.client_id = "nobody".into();
    stranger.login.as_mut().unwrap().username = UserName::format("localhost", "nobody", "t");
    is_refused(&world, stranger, "an unknown device").await;
    let mut two_names = right.clone();
    two_names.client_id = "other".into();
    is_refused(&world, two_names, "a client id that is not the user name's").await;
    let mut elsewhere = right.clone();
    elsewhere.login.as_mut().unwrap().username = UserName::format("other.azure-devices.net", "pump", "t");
    is_refused(&world, elsewhere, "another hub's name").await;
    let mut anonymous = right.clone();
    anonymous.login = None;
    is_refused(&world, anonymous, "no login").await;

    world.connect(&device).await;
}

#[tokio::test]
async fn both_keys_and_a_policy_s_key_open_a_device_s_connection() {
    let world = World::start().await;
    let mut device = world.device("pump").await;
    let identity = world.client.device(&device.device_id).await.unwrap();
    device.key = SasKey::parse(identity.authentication.symmetric_key.secondary_key.as_deref().unwrap()).unwrap();
    world.connect(&device).await;

    let resource = "localhost/devices/pump";
    for (policy, code) in [
        ("device", ConnectReturnCode::Success),
        ("iothubowner", ConnectReturnCode::Success),
        ("service", ConnectReturnCode::NotAuthorized),
        ("registryReadWrite", ConnectReturnCode::NotAuthorized),
    ] {
        let Credential::Key(key) = world.policy(policy).credential else {
            panic!()
        };
        let password = sas::sign(resource, &key, unix_now() + 60, Some(policy));
        let mut raw = world.dial().await;
        let connect = with_password(&hello(&device, false), password.expose());
        assert_eq!(raw.knock(connect).await.0, code, "{policy}");
    }
}

#[tokio::test]
async fn a_token_a_little_past_its_end_is_taken_for_clocks_that_differ() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let password = token("localhost/devices/pump", &device, unix_now() - 200);
    let mut raw = world.dial().await;
    let connect = with_password(&hello(&device, false), password.expose());
    assert_eq!(raw.knock(connect).await.0, ConnectReturnCode::Success);
}

#[tokio::test]
async fn a_disabled_device_is_put_out_and_stays_out_until_enabled() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let mut raw = world.connect(&device).await;
    let mut identity = world.client.device(&device.device_id).await.unwrap();
    identity.status = Status::Disabled;
    world.client.update_device(&identity, IfMatch::Any).await.unwrap();
    raw.is_closed().await;
    is_refused(&world, hello(&device, false), "a disabled device").await;
    identity.status = Status::Enabled;
    world.client.update_device(&identity, IfMatch::Any).await.unwrap();
    world.connect(&device).await;
}

#[tokio::test]
async fn each_policy_may_do_what_its_rights_say_and_nothing_else() {
    let world = World::start().await;
    world.device("pump").await;
    // What `iothubowner`, `registryReadWrite`, `registryRead`, `service` and `device` may do.
    let table: [(&str, [bool; 5]); 5] = [
        ("iothubowner", [true, true, true, true, true]),
        ("registryReadWrite", [true, true, false, false, false]),
        ("registryRead", [true, false, false, false, false]),
        ("service", [false, false, true, true, true]),
        ("device", [false, false, false, false, false]),
    ];
    for (policy, rights) in table {
        let client = world.client_as(world.policy(policy));
        let pump = id("pump");
        let method = MethodRequest::new("m", Value::Null);
        let tags = TwinPatch::tags(object(json!({ "by": policy })));
        let new = DeviceIdentity::new(id(format!("made-by-{policy}")));
        let done = [
            client.device(&pump).await.err(),
            client.create_device(&new).await.err(),
            client.update_twin(&pump, &tags, IfMatch::None).await.err(),
            client.count("").await.err(),
            client.invoke_method(&pump, &method).await.err(),
        ];
        for (call, (error, may)) in done.iter().zip(rights).enumerate() {
            let refused = error.as_ref().and_then(ClientError::code) == Some(ErrorCode::IotHubUnauthorizedAccess);
            assert_eq!(refused, !may, "{policy}, call {call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_service_call_is_refused_for_a_wrong_key_an_old_token_or_a_device_s_own() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let owner = world.hub.service_connection_string();
    let other_key = Credential::Key(SasKey::from_bytes(vec![7; 32]).unwrap());
    let expired = Credential::Token(rest::token(&owner, unix_now() - 301));
    let devices_own = Credential::Token(token("localhost/devices/pump", &device, unix_now() + 60));
    for (what, credential) in [
        ("wrong key", other_key),
        ("expired", expired),
        ("a device's", devices_own),
    ] {
        let client = world.client_as(ServiceConnectionString {
            credential,
            ..owner.clone()
        });
        let error = client.twin(&device.device_id).await.unwrap_err();
        assert_eq!(
            (error.status(), error.code()),
            (Some(401), Some(ErrorCode::IotHubUnauthorizedAccess)),
            "{what}"
        );
    }
    let unknown = world.client_as(ServiceConnectionString {
        policy: "nobody".into(),
        ..owner.clone()
    });
    assert_eq!(unknown.twin(&device.device_id).await.unwrap_err().status(), Some(401));
}

#[tokio::test]
async fn a_hub_with_another_authority_is_not_trusted() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let tls = rustls::ClientConfig::clone(&elsewhere.tls);
    let client = HubClient::with_retries(world.hub.service_connection_string(), tls, RetryPolicy::NEVER).unwrap();
    let error = client.count("").await.unwrap_err();
    assert!(matches!(error, ClientError::UntrustedTls { .. }), "{error}");

    let nobody = hub_client::tls::trusting(RootCertStore::empty()).unwrap();
    let client = HubClient::with_retries(world.hub.service_connection_string(), nobody, RetryPolicy::NEVER).unwrap();
    assert!(matches!(client.count("").await, Err(ClientError::UntrustedTls { .. })));
}

#[tokio::test]
async fn a_simulated_device_waits_when_it_cannot_trust_the_hub() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let device = world.device("pump").await;
    let fleet = crate::support::world::fleet(world.hub.addresses().mqtt_port, &elsewhere.tls, |options| options);
    let mut events = fleet.subscribe();
    fleet.start(vec![crate::support::world::simulated(device, "reboot")]);
    let reason = crate::support::soon("a reason", async {
        loop {
            use device_sim::{
                DeviceState::{Refused, Waiting},
                News::State,
            };
            if let State(Waiting { reason, .. } | Refused { reason, .. }) = events.recv().await.unwrap().news {
                return reason;
            }
        }
    })
    .await;
    assert!(reason.to_lowercase().contains("certificate"), "{reason}");
}
