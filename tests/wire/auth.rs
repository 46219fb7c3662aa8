//! AUTH-01 to AUTH-13; the certificates' rows are in `x509.rs`.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use hub_protocol::{
    DeviceConnectionString, Secret,
    connection_string::Credential,
    identity::Status,
    sas::{self, SasKey},
};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};
use sha2::Sha256;

use super::{CONTOSO, KEY, contoso, key};
use crate::support::{
    raw_device::{login, token},
    unix_now,
    world::World,
};

const ACCEPTED: ConnectReturnCode = ConnectReturnCode::Success;
const REFUSED: ConnectReturnCode = ConnectReturnCode::NotAuthorized;

/// `sr` as it is to stand in the token; `rest` comes behind the signature.
fn token_over(key: &SasKey, sr: &str, se: &str, rest: impl Fn(&str) -> String) -> String {
    let key = BASE64.decode(key.to_base64().expose()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{sr}\n{se}").as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("SharedAccessSignature sr={sr}&{}", rest(&format!("sig={signature}")))
}

fn pump(token: &Secret) -> Connect {
    login("localhost", "pump", token.expose())
}

async fn pump_token(world: &World, resource: &str, expiry: u64) -> (DeviceConnectionString, Secret) {
    let device = world.device("pump").await;
    let token = token(resource, &device, expiry);
    (device, token)
}

#[tokio::test]
async fn auth_01_the_published_token_opens_with_the_primary_and_with_the_secondary_key() {
    let world = contoso().await;
    let other = SasKey::from_bytes(vec![7; 32]).unwrap();
    let published = "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1&\
                     sig=AG9femPEu7PvvCiU%2FzNwpWllymhfzQP7zZZYOKaZSgc%3D&se=1893456000";
    world.device_with_keys("dev-1", &key(), &other).await;
    assert_eq!(world.knock(login(CONTOSO, "dev-1", published)).await, ACCEPTED);

    let published = token_over(
        &SasKey::parse(KEY).unwrap(),
        "contoso.azure-devices.net%2Fdevices%2Fdev-2",
        "1893456000",
        |sig| format!("{sig}&se=1893456000"),
    );
    world.device_with_keys("dev-2", &other, &key()).await;
    assert_eq!(world.knock(login(CONTOSO, "dev-2", &published)).await, ACCEPTED);
    world.device_with_keys("dev-3", &other, &other).await;
    let wrong = published.replace("dev-2", "dev-3");
    assert_eq!(world.knock(login(CONTOSO, "dev-3", &wrong)).await, REFUSED);
}

#[tokio::test]
async fn auth_02_a_resource_is_signed_as_it_stands_escaped_in_either_case_or_not_at_all() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let se = (unix_now() + 60).to_string();
    for sr in [
        "localhost%2fdevices%2fpump",
        "localhost/devices/pump",
        "LocalHost%2Fdevices%2Fpump",
    ] {
        let token = token_over(&device.key, sr, &se, |sig| format!("{sig}&se={se}"));
        assert_eq!(world.knock(login("localhost", "pump", &token)).await, ACCEPTED, "{sr}");
    }
}

#[tokio::test]
async fn auth_03_fields_come_in_any_order_and_a_policy_that_may_connect_opens() {
    let world = World::start().await;
    world.device("pump").await;
    let Credential::Key(key) = world.policy("device").credential else {
        panic!("a policy has a key")
    };
    let se = (unix_now() + 60).to_string();
    for sr in ["localhost%2Fdevices%2Fpump", "localhost%2Fdevices", "localhost"] {
        let token = token_over(&key, sr, &se, |sig| format!("{sig}&skn=device&se={se}"));
        assert_eq!(world.knock(login("localhost", "pump", &token)).await, ACCEPTED, "{sr}");
    }
}

#[tokio::test]
async fn auth_04_a_token_past_its_end_and_the_skew_is_refused() {
    let world = World::start().await;
    let (device, expired) = pump_token(&world, "localhost/devices/pump", unix_now() - 301).await;
    assert_eq!(world.knock(pump(&expired)).await, REFUSED);
    let late = token("localhost/devices/pump", &device, unix_now() - 200);
    assert_eq!(world.knock(pump(&late)).await, ACCEPTED, "clocks differ");
}

#[tokio::test]
async fn auth_05_a_token_for_dev_1_does_not_open_dev_10() {
    let world = World::start().await;
    world.device_with_keys("dev-10", &key(), &key()).await;
    for (resource, code) in [
        ("localhost/devices/dev-1", REFUSED),
        ("localhost/devices/dev-10", ACCEPTED),
    ] {
        let token = sas::sign(resource, &key(), unix_now() + 60, None);
        assert_eq!(
            world.knock(login("localhost", "dev-10", token.expose())).await,
            code,
            "{resource}"
        );
    }
}

#[tokio::test]
async fn auth_06_an_empty_policy_name_means_a_key_of_the_device() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let se = (unix_now() + 60).to_string();
    let token = token_over(&device.key, "localhost%2Fdevices%2Fpump", &se, |sig| {
        format!("{sig}&se={se}&skn=")
    });
    assert_eq!(world.knock(login("localhost", "pump", &token)).await, ACCEPTED);
}

#[tokio::test]
async fn auth_07_a_policy_that_may_not_connect_does_not_open() {
    let world = World::start().await;
    world.device("pump").await;
    for (policy, code) in [
        ("iothubowner", ACCEPTED),
        ("device", ACCEPTED),
        ("service", REFUSED),
        ("registryRead", REFUSED),
        ("registryReadWrite", REFUSED),
    ] {
        let Credential::Key(key) = world.policy(policy).credential else {
            panic!("a policy has a key")
        };
        let token = sas::sign("localhost", &key, unix_now() + 60, Some(policy));
        assert_eq!(world.knock(pump(&token)).await, code, "{policy}");
    }
}

#[tokio::test]
async fn auth_08_a_token_that_lacks_a_part_or_has_no_number_for_its_end_is_refused() {
    let world = World::start().await;
    let device = world.device("pump").await;
    let sr = "localhost%2Fdevices%2Fpump";
    for broken in [
        token_over(&device.key, sr, "tomorrow", |sig| format!("{sig}&se=tomorrow")),
        token_over(&device.key, sr, "9999999999.5", |sig| format!("{sig}&se=9999999999.5")),
        token_over(&device.key, sr, "9999999999", |_| "se=9999999999".into()),
        token_over(&device.key, sr, "9999999999", str::to_owned),
        "SharedAccessSignature".into(),
        "nonsense".into(),
    ] {
        assert_eq!(
            world.knock(login("localhost", "pump", &broken)).await,
            REFUSED,
            "{broken}"
        );
    }
}

#[tokio::test]
async fn auth_09_unknown_and_disabled_devices_are_refused() {
    let world = World::start().await;
    let (device, good) = pump_token(&world, "localhost/devices/pump", unix_now() + 60).await;
    let nobody = token("localhost/devices/nobody", &device, unix_now() + 60);
    assert_eq!(
        world.knock(login("localhost", "nobody", nobody.expose())).await,
        REFUSED
    );
    world.set_status(&device.device_id, Status::Disabled).await;
    assert_eq!(world.knock(pump(&good)).await, REFUSED);
    world.set_status(&device.device_id, Status::Enabled).await;
    assert_eq!(world.knock(pump(&good)).await, ACCEPTED);
}

#[tokio::test]
async fn auth_12_neither_token_nor_certificate_is_refused() {
    let world = World::start().await;
    world.device("pump").await;
    assert_eq!(world.knock(login("localhost", "pump", "")).await, REFUSED);
    let mut nameless = Connect::new("pump");
    nameless.login = None;
    assert_eq!(world.knock(nameless).await, REFUSED);
}

#[tokio::test]
async fn auth_13_a_hub_dialled_by_another_name_is_told_its_own() {
    // The gateway dialled is localhost; user name and token carry the hub's name.
    let world = contoso().await;
    world.device_with_keys("dev-1", &key(), &key()).await;
    let own = sas::sign("contoso.azure-devices.net/devices/dev-1", &key(), unix_now() + 60, None);
    assert_eq!(world.knock(login(CONTOSO, "dev-1", own.expose())).await, ACCEPTED);
    let other = "other.azure-devices.net";
    assert_eq!(
        world.knock(login(other, "dev-1", own.expose())).await,
        REFUSED,
        "another user name"
    );
    let foreign = sas::sign("other.azure-devices.net/devices/dev-1", &key(), unix_now() + 60, None);
    assert_eq!(
        world.knock(login(CONTOSO, "dev-1", foreign.expose())).await,
        REFUSED,
        "another token"
    );
}
