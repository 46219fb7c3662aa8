//! TLS settings, always with ring.
//!
//! Nothing in this workspace needs rustls' process-wide default provider: reqwest and the
//! devices are handed ready configurations made here. Only a bare `reqwest::Client::new()` or
//! `ClientConfig::builder()` would look for one; do not use those.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};

/// The one cryptography provider of the product.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Trusts the given roots and presents no client certificate.
pub fn trusting(roots: impl Into<Arc<RootCertStore>>) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
