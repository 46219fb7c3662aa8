//! AUTH-10 and AUTH-11: devices that show a certificate.

use std::sync::Arc;

use hub_protocol::{
    DeviceId,
    identity::{Authentication, AuthenticationType, DeviceIdentity, X509Thumbprint},
};
use local_hub::{AuthMethod, LocalHubConfig};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rumqttc::{
    QoS,
    mqttbytes::v4::{ConnectReturnCode, Packet},
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};

use crate::support::{
    id,
    raw_device::{RawDevice, login, token},
    unix_now,
    world::World,
};

pub(super) const ACCEPTED: ConnectReturnCode = ConnectReturnCode::Success;
pub(super) const REFUSED: ConnectReturnCode = ConnectReturnCode::NotAuthorized;

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A key and the chain that speaks for it.
pub(super) struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Shown {
    pub(super) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            chain: vec![named(name).self_signed(&key).unwrap().der().clone()],
            key,
        }
    }

    /// In capitals; the registry takes no separators (service.md 2.2).
    pub(super) fn thumbprint(&self) -> String {
        let digest = Sha256::digest(&self.chain[0]);
        digest.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn config(&self, world: &World, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&world.hub.addresses().ca_file).unwrap())
            .unwrap();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), key)
            .unwrap();
        Arc::new(config)
    }

    pub(super) async fn dial(&self, world: &World, version: &'static SupportedProtocolVersion) -> RawDevice {
        RawDevice::dial(world.hub.addresses().mqtt_port, &self.config(world, version)).await
    }

    /// Knocks as `client` (a device's id, or `device/module`) with this certificate and `password`.
    pub(super) async fn knock(&self, world: &World, client: &str, password: &str) -> ConnectReturnCode {
        let mut raw = self.dial(world, &TLS13).await;
        raw.knock(login("localhost", client, password)).await.0
    }
}

/// An authority for devices, in a file of its own.
pub(super) struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    pub(super) fn in_file(path: &std::path::Path, name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    pub(super) fn sign(&self, name: &str) -> Shown {
        let key = KeyPair::generate().unwrap();
        Shown {
            chain: vec![named(name).signed_by(&key, &self.0).unwrap().der().clone()],
            key,
        }
    }
}

/// A world whose hub takes the certificates of an authority in its data folder.
pub(super) async fn world_with_authority() -> (World, Authority) {
    let mut authority = None;
    let world = World::start_with(|config| {
        authority = Some(Authority::in_file(
            &config.data_dir.join("device-ca/plant.pem"),
            "Plant CA",
        ));
        config
    })
    .await;
    (world, authority.unwrap())
}

impl World {
    pub(super) async fn device_of(&self, name: &str, authentication: Authentication) -> DeviceId {
        let identity = DeviceIdentity {
            authentication,
            ..DeviceIdentity::new(id(name))
        };
        self.client.create_device(&identity).await.unwrap().device_id
    }
}

pub(super) fn self_signed(primary: &str, secondary: &str) -> Authentication {
    Authentication {
        kind: AuthenticationType::SelfSigned,
        x509_thumbprint: X509Thumbprint {
            primary_thumbprint: Some(primary.into()),
            secondary_thumbprint: Some(secondary.into()),
        },
        ..Authentication::default()
    }
}

pub(super) fn of_authority() -> Authentication {
    Authentication {
        kind: AuthenticationType::CertificateAuthority,
        ..Authentication::default()
    }
}

/// Hex without separators: some other certificate's.
fn other_thumbprint() -> String {
    "0123456789abcdef".repeat(4)
}

#[tokio::test]
async fn auth_10_a_certificate_whose_hash_is_registered_opens_in_either_version_of_tls() {
    let world = World::start().await;
    let (first, second) = (Shown::self_signed("whatever"), Shown::self_signed("else"));
    let small = second.thumbprint().to_lowercase();
    world.device_of("d", self_signed(&first.thumbprint(), &small)).await;
    for version in [&TLS12, &TLS13] {
        for shown in [&first, &second] {
            let mut raw = shown.dial(&world, version).await;
            assert_eq!(raw.knock(login("localhost", "d", "")).await.0, ACCEPTED, "{version:?}");
            let messages = world
                .messages("d", 1, raw.publish("devices/d/messages/events/", QoS::AtMostOnce, "x"))
                .await;
            assert_eq!(messages[0].sender.auth, Some(AuthMethod::DeviceX509));
        }
        let mut stranger = Shown::self_signed("d").dial(&world, version).await;
        assert_eq!(stranger.knock(login("localhost", "d", "")).await.0, REFUSED);
        stranger.is_closed().await;
    }
}

#[tokio::test]
async fn auth_11_an_authority_s_certificate_opens_for_the_name_it_carries() {
    let (world, authority) = world_with_authority().await;
    world.device_of("d", of_authority()).await;
    assert_eq!(authority.sign("d").knock(&world, "d", "").await, ACCEPTED);
    for other in ["e", "D", "d/m", ""] {
        assert_eq!(authority.sign(other).knock(&world, "d", "").await, REFUSED, "{other:?}");
    }
    let unknown = Authority::in_file(&world.dir.path().join("other/ca.pem"), "Plant CA");
    assert_eq!(
        unknown.sign("d").knock(&world, "d", "").await,
        REFUSED,
        "an authority of the same name"
    );
    assert_eq!(Shown::self_signed("d").knock(&world, "d", "").await, REFUSED);
}

#[tokio::test]
async fn an_authority_may_stand_in_any_file_and_a_file_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.crt");
    let authority = Authority::in_file(&file, "Mine");
    let world = World::start_with(|config| LocalHubConfig {
        device_authorities: vec![file.clone()],
        ..config
    })
    .await;
    world.device_of("d", of_authority()).await;
    assert_eq!(authority.sign("d").knock(&world, "d", "").await, ACCEPTED);

    let missing = LocalHubConfig {
        device_authorities: vec![folder.path().join("missing.pem")],
        ..LocalHubConfig::on_free_ports(folder.path().join("hub"))
    };
    let error = local_hub::LocalHub::start(missing).await.err().unwrap().to_string();
    assert!(error.contains("missing.pem"), "{error}");
}

#[tokio::test]
async fn a_token_counts_before_a_certificate() {
    let world = World::start().await;
    let shown = Shown::self_signed("d");
    world
        .device_of("d", self_signed(&shown.thumbprint(), &other_thumbprint()))
        .await;
    let sas = world.device("s").await;
    let good = token("localhost/devices/s", &sas, unix_now() + 60);
    assert_eq!(
        shown.knock(&world, "s", good.expose()).await,
        ACCEPTED,
        "a token, and a certificate of no use"
    );
    assert_eq!(shown.knock(&world, "s", "").await, REFUSED, "a device with keys");
    assert_eq!(
        shown.knock(&world, "d", "nonsense").await,
        REFUSED,
        "a token that is none"
    );
    assert_eq!(shown.knock(&world, "d", "").await, ACCEPTED);
}

#[tokio::test]
async fn a_certificate_opens_the_device_s_side_of_https_and_websockets_too() {
    let world = World::start().await;
    let shown = Shown::self_signed("d");
    world
        .device_of("d", self_signed(&shown.thumbprint(), &other_thumbprint()))
        .await;
    let config = shown.config(&world, &TLS13);
    let mut raw = RawDevice::dial(world.hub.addresses().https_port, &config).await;
    assert_eq!(raw.knock(login("localhost", "d", "")).await.0, ACCEPTED);
    raw.send(&Packet::PingReq).await;
    assert!(matches!(raw.receive().await, Some(Packet::PingResp)));

    let port = world.hub.addresses().https_port;
    for (config, admitted) in [(config, true), (world.tls.clone(), false)] {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&config))
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("https://localhost:{port}/devices/d/messages/devicebound?api-version=2021-04-12");
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status() != reqwest::StatusCode::UNAUTHORIZED, admitted);
    }
}
