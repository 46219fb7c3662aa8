//! Whom our TLS connections trust: the system's authorities, or one hub's own.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::error::{AppError, Code, Result};

/// The system's certificate authorities, for Azure.
pub fn system() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text = "This system has no certificate authorities, so no hub in Azure can be trusted.";
        return Err(AppError::new(Code::UntrustedTls, text).hint("Install the package ca-certificates."));
    }
    config(roots)
}

/// Only the authority in `ca_file`, a PEM file, for a hub of one's own.
pub fn only(ca_file: &Path) -> Result<ClientConfig> {
    let failed = |text: String| {
        AppError::new(
            Code::UntrustedTls,
            format!("The CA file {} cannot be used: {text}.", ca_file.display()),
        )
        .hint("Give a PEM file with a CERTIFICATE section.")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".into()));
    }
    config(roots)
}

fn config(roots: RootCertStore) -> Result<ClientConfig> {
    hub_client::tls::trusting(Arc::new(roots)).map_err(|error| AppError::new(Code::Internal, error.to_string()))
}

/// Some libraries below take the process's default cryptography; call once at start.
pub fn install_cryptography() {
    // Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
