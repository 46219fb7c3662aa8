//! Who may connect as what: the whole table of the device side.

use hub_protocol::{connection_string::Credential, identity::Status, sas};
use rumqttc::mqttbytes::v4::ConnectReturnCode;

use super::x509::{ACCEPTED, REFUSED, Shown, of_authority, self_signed, world_with_authority};
use crate::support::{
    raw_device::{login, token},
    unix_now,
    world::World,
};

#[tokio::test]
async fn every_proof_opens_what_it_proves_and_nothing_else() {
    let (world, authority) = world_with_authority().await;
    let other_hub = World::start().await;
    let (pump, other) = (world.device("pump").await, world.device("other").await);
    let module = world.module(&pump.device_id, "m").await;
    let shown = Shown::self_signed("thumb");
    let second = Shown::self_signed("thumb");
    world
        .device_of("thumb", self_signed(&shown.thumbprint(), &second.thumbprint()))
        .await;
    world.device_of("signed", of_authority()).await;
    world.device("disabled").await;
    let mut disabled = world.client.device(&crate::support::id("disabled")).await.unwrap();
    disabled.status = Status::Disabled;
    let disabled = world
        .client
        .update_device(&disabled, hub_client::IfMatch::Any)
        .await
        .unwrap();
    let disabled = crate::support::world::connection(&disabled);

    let (soon, past) = (unix_now() + 60, unix_now() - 301);
    let of = |resource: &str, device| token(resource, device, soon).expose().to_owned();
    let policy = |world: &World, name: &str| {
        let Credential::Key(key) = world.policy(name).credential else {
            panic!("a policy has a key")
        };
        sas::sign("localhost", &key, soon, Some(name)).expose().to_owned()
    };
    let (pump_at, module_at) = ("localhost/devices/pump", "localhost/devices/pump/modules/m");
    let by_token: Vec<(&str, &str, String, ConnectReturnCode)> = vec![
        ("its own key", "pump", of(pump_at, &pump), ACCEPTED),
        ("another device's key", "pump", of(pump_at, &other), REFUSED),
        ("its module's key", "pump", of(pump_at, &module), REFUSED),
        (
            "a token past its end",
            "pump",
            token(pump_at, &pump, past).expose().into(),
            REFUSED,
        ),
        (
            "a token of another scope",
            "pump",
            of("localhost/devices/other", &pump),
            REFUSED,
        ),
        ("a token of its module's scope", "pump", of(module_at, &pump), REFUSED),
        (
            "another device's token",
            "pump",
            of("localhost/devices/other", &other),
            REFUSED,
        ),
        ("a policy that connects", "pump", policy(&world, "device"), ACCEPTED),
        ("a policy that owns", "pump", policy(&world, "iothubowner"), ACCEPTED),
        ("a policy that serves", "pump", policy(&world, "service"), REFUSED),
        ("a policy of another hub", "pump", policy(&other_hub, "device"), REFUSED),
        (
            "a policy nobody knows",
            "pump",
            of("localhost", &pump) + "&skn=nobody",
            REFUSED,
        ),
        (
            "a policy's name on its own key",
            "pump",
            of(pump_at, &pump) + "&skn=device",
            REFUSED,
        ),
        ("nothing", "pump", String::new(), REFUSED),
        ("a module's own key", "pump/m", of(module_at, &module), ACCEPTED),
        ("its device's key", "pump/m", of(pump_at, &pump), ACCEPTED),
        (
            "another device's key, a module",
            "pump/m",
            of(module_at, &other),
            REFUSED,
        ),
        ("a policy, a module", "pump/m", policy(&world, "device"), ACCEPTED),
        (
            "a module nobody knows",
            "pump/n",
            of("localhost/devices/pump/modules/n", &pump),
            REFUSED,
        ),
        ("a device nobody knows", "nobody", policy(&world, "device"), REFUSED),
        (
            "a disabled device",
            "disabled",
            of("localhost/devices/disabled", &disabled),
            REFUSED,
        ),
        (
            "a policy, a disabled device",
            "disabled",
            policy(&world, "iothubowner"),
            REFUSED,
        ),
        (
            "a policy, a device of certificates",
            "thumb",
            policy(&world, "device"),
            ACCEPTED,
        ),
    ];
    for (what, client, password, code) in by_token {
        assert_eq!(world.knock(login("localhost", client, &password)).await, code, "{what}");
    }

    let stranger = Shown::self_signed("signed");
    let by_certificate = [
        ("the primary hash", "thumb", &shown, ACCEPTED),
        ("the secondary hash", "thumb", &second, ACCEPTED),
        ("another hash", "thumb", &stranger, REFUSED),
        (
            "an authority's, for a device of hashes",
            "thumb",
            &authority.sign("thumb"),
            REFUSED,
        ),
        ("an authority's", "signed", &authority.sign("signed"), ACCEPTED),
        (
            "an authority's for another",
            "signed",
            &authority.sign("thumb"),
            REFUSED,
        ),
        ("nobody's", "signed", &stranger, REFUSED),
        (
            "an authority's, for a device of keys",
            "pump",
            &authority.sign("pump"),
            REFUSED,
        ),
        (
            "an authority's, for nobody",
            "nobody",
            &authority.sign("nobody"),
            REFUSED,
        ),
    ];
    for (what, client, shown, code) in by_certificate {
        assert_eq!(shown.knock(&world, client, "").await, code, "{what}");
    }
}
