//! The hub's own certificate authority and server certificate.
//!
//! The authority is made once and kept, so that clients trust it once. The server certificate
//! is made anew at each start: its names may have changed, and it never grows old.

use std::{fs, net::IpAddr, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::{Duration, OffsetDateTime};

use crate::{
    config::{LocalHubConfig, write_private},
    device_certificates::AnyCertificate,
    error::StartError,
};

pub(crate) struct Certificates {
    pub ca_file: PathBuf,
    pub tls: Arc<ServerConfig>,
}

impl Certificates {
    pub(crate) fn open(config: &LocalHubConfig) -> Result<Self, StartError> {
        let ca_file = config.data_dir.join("ca.pem");
        let key_file = config.data_dir.join("ca-key.pem");
        let failed = |error: rcgen::Error| StartError::Certificates(error.to_string());
        let io = |source| StartError::DataDir {
            path: config.data_dir.clone(),
            source,
        };

        let key = if ca_file.exists() && key_file.exists() {
            KeyPair::from_pem(&fs::read_to_string(&key_file).map_err(io)?).map_err(failed)?
        } else {
            let key = KeyPair::generate().map_err(failed)?;
            let ca = authority(&key).self_signed(&key).map_err(failed)?;
            write_private(&key_file, &key.serialize_pem()).map_err(io)?;
            fs::write(&ca_file, ca.pem()).map_err(io)?;
            key
        };
        // The issuer is its name and its key; both are the same at every start.
        let issuer = Issuer::new(authority(&key), key);
        let ca =
            CertificateDer::from_pem_file(&ca_file).map_err(|error| StartError::Certificates(error.to_string()))?;

        let server_key = KeyPair::generate().map_err(failed)?;
        let server = server(&config.names())
            .map_err(failed)?
            .signed_by(&server_key, &issuer)
            .map_err(failed)?;
        let chain = vec![server.der().clone(), ca];
        let private = PrivateKeyDer::try_from(server_key.serialize_der())
            .map_err(|error| StartError::Certificates(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = Arc::new(AnyCertificate::new(&provider));
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(clients)
                    .with_single_cert(chain, private)
            })
            .map_err(|error| StartError::Certificates(error.to_string()))?;
        Ok(Self {
            ca_file,
            tls: Arc::new(tls),
        })
    }
}

/// The name carries part of the public key: another hub's authority is another name, so that a
/// client that trusts several never confuses them.
fn authority(key: &KeyPair) -> CertificateParams {
    let fingerprint: String = key
        .public_key_raw()
        .iter()
        .rev()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Twindeck local hub {fingerprint}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(3650);
    params
}

fn server(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Twindeck local hub");
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(398);
    Ok(params)
}
