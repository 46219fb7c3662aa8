//! Certificates that devices show instead of a token (device.md 1.6).
//!
//! The TLS handshake asks for one, needs none, and takes any whose key signed the handshake:
//! what a certificate is worth is decided when its owner says who it is.

use std::{fs, io, path::Path, sync::Arc};

use hub_protocol::identity::X509Thumbprint;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, PeerMisbehaved, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime, pem::PemObject};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::StartError;

/// What a client showed at the handshake, its own certificate first; empty when it showed none.
pub(crate) type PeerCertificates = Arc<[CertificateDer<'static>]>;

/// Accepts every certificate whose owner holds its key. The chain is looked at later, if at all:
/// a device whose hash is registered may sign for itself.
#[derive(Debug)]
pub(crate) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    pub(crate) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

fn unreadable() -> TlsError {
    TlsError::InvalidCertificate(CertificateError::BadEncoding)
}

/// The public key, read leniently: the first version of X.509, which tools still write, is enough.
fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, TlsError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
    Ok(certificate.tbs_certificate.subject_pki.raw.into())
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| unreadable())?;
        let candidates = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = candidates.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // One scheme stands for several curves or keys.
        let valid = algorithms
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        if valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::BadSignature))
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Whether the certificate's hash is one of the two: SHA-1 or SHA-256 in hex, in any case and
/// with any separators.
pub(crate) fn has_thumbprint(certificate: &CertificateDer<'_>, registered: &X509Thumbprint) -> bool {
    let registered: Vec<String> = [&registered.primary_thumbprint, &registered.secondary_thumbprint]
        .into_iter()
        .flatten()
        .map(|text| {
            let digits = text.chars().filter(char::is_ascii_alphanumeric);
            digits.map(|digit| digit.to_ascii_lowercase()).collect()
        })
        .collect();
    let is_registered = |hash: &[u8]| {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        registered.contains(&hash)
    };
    is_registered(&Sha1::digest(certificate)) || is_registered(&Sha256::digest(certificate))
}

/// The certificate's only common name.
fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(name)
}

/// The authorities that vouch for devices of type `certificateAuthority`. The hub's own is not
/// among them: it signs the hub's name, not devices.
#[derive(Debug, Default)]
pub(crate) struct DeviceAuthorities(Option<Arc<dyn ClientCertVerifier>>);

impl DeviceAuthorities {
    /// Reads every certificate of every `*.pem` in `folder`, which may be missing, and of `files`.
    pub(crate) fn open(folder: &Path, files: &[std::path::PathBuf]) -> Result<Self, StartError> {
        let mut paths = Vec::new();
        match fs::read_dir(folder) {
            Ok(entries) => paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StartError::device_authority(folder, &error)),
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
        paths.extend_from_slice(files);
        let mut roots = RootCertStore::empty();
        for path in paths {
            let failed = |error: &dyn std::fmt::Display| StartError::device_authority(&path, error);
            for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| failed(&error))? {
                roots
                    .add(certificate.map_err(|error| failed(&error))?)
                    .map_err(|error| failed(&error))?;
            }
        }
        Ok(Self::trusting(roots))
    }

    fn trusting(roots: RootCertStore) -> Self {
        if roots.is_empty() {
            return Self::default();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
        // Building fails without roots or for revocation lists, of which there are some and none.
        Self(verifier.ok())
    }

    /// Whether an authority vouches, through the chain shown, for a certificate named `name`:
    /// a device's id, or `device/module`. `now` in seconds since 1970.
    pub(crate) fn vouch(&self, chain: &[CertificateDer<'_>], name: &str, now: u64) -> Result<(), String> {
        let (leaf, intermediates) = chain.split_first().ok_or("no certificate was shown")?;
        let verifier = self.0.as_ref().ok_or("this hub has no authority for devices")?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        verifier
            .verify_client_cert(leaf, intermediates, now)
            .map_err(|error| error.to_string())?;
        match common_name(leaf) {
            Some(found) if found == name => Ok(()),
            Some(found) => Err(format!("the certificate is {found:?}'s")),
            None => Err("the certificate has not one common name".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority() -> (CertificateParams, KeyPair) {
        let mut params = named("Plant CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    }

    #[test]
    fn a_hash_is_compared_without_case_and_separators_in_either_place_and_length() {
        let key = KeyPair::generate().unwrap();
        let certificate = named("d").self_signed(&key).unwrap().der().clone();
        let hex = |hash: &[u8], separator: &str| {
            let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
            pairs.join(separator)
        };
        let (sha1, sha256) = (Sha1::digest(&certificate), Sha256::digest(&certificate));
        for text in [
            hex(&sha1, ""),
            hex(&sha1, ":"),
            hex(&sha256, " "),
            hex(&sha256, "").to_lowercase(),
        ] {
            let primary = X509Thumbprint {
                primary_thumbprint: Some(text.clone()),
                secondary_thumbprint: None,
            };
            let secondary = X509Thumbprint {
                primary_thumbprint: Some("00".repeat(20)),
                secondary_thumbprint: Some(text.clone()),
            };
            assert!(has_thumbprint(&certificate, &primary), "{text}");
            assert!(has_thumbprint(&certificate, &secondary), "{text}");
        }
        let empty = X509Thumbprint {
            primary_thumbprint: Some(String::new()),
            secondary_thumbprint: None,
        };
        assert!(!has_thumbprint(&certificate, &empty));
    }

    #[test]
    fn an_authority_vouches_for_the_name_it_signed_through_intermediates_and_in_time() {
        let (root, root_key) = authority();
        let root_certificate = root.self_signed(&root_key).unwrap().der().clone();
        let root = Issuer::new(root, root_key);
        let (mut middle, middle_key) = authority();
        middle.distinguished_name.push(DnType::CommonName, "Line 1");
        let middle_certificate = middle.signed_by(&middle_key, &root).unwrap().der().clone();
        let middle = Issuer::new(middle, middle_key);
        let key = KeyPair::generate().unwrap();
        let leaf = named("pump/m").signed_by(&key, &middle).unwrap().der().clone();

        let mut roots = RootCertStore::empty();
        roots.add(root_certificate).unwrap();
        let authorities = DeviceAuthorities::trusting(roots);
        let chain = [leaf.clone(), middle_certificate];
        assert_eq!(authorities.vouch(&chain, "pump/m", NOW), Ok(()));
        assert!(authorities.vouch(&chain, "pump", NOW).is_err(), "another name");
        assert!(
            authorities.vouch(&chain[..1], "pump/m", NOW).is_err(),
            "a gap in the chain"
        );
        assert!(
            authorities.vouch(&chain, "pump/m", 90_000_000_000).is_err(),
            "long expired"
        );
        assert!(authorities.vouch(&[], "pump/m", NOW).is_err());
        let own = named("pump/m").self_signed(&key).unwrap().der().clone();
        assert!(authorities.vouch(&[own], "pump/m", NOW).is_err(), "signed by itself");
        assert!(DeviceAuthorities::default().vouch(&chain, "pump/m", NOW).is_err());
    }
}
