//! Who may do what: tokens checked on both sides, and the certificates of devices.

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    identity::{Authentication, AuthenticationType, Status},
    sas::{SasKey, SasToken},
};

use rustls_pki_types::CertificateDer;

use crate::{
    device_certificates::{DeviceAuthorities, has_thumbprint},
    log::AuthMethod,
    store::{Credentials, Policies, Right},
};

/// What both checks need to know of this hub and this moment.
pub(crate) struct Gate<'a> {
    pub policies: &'a Policies,
    pub authorities: &'a DeviceAuthorities,
    /// Every host name a token may carry.
    pub names: &'a [String],
    /// Seconds since 1970.
    pub now: u64,
    /// Seconds past its expiry that a token is still taken.
    pub skew: u64,
}

/// How a device or module proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub method: AuthMethod,
    /// When its token expires, in seconds since 1970; a certificate is looked at once.
    pub expires: Option<u64>,
}

fn unauthorized(text: impl Into<String>) -> HubError {
    HubError::new(ErrorCode::IotHubUnauthorizedAccess, text)
}

impl Gate<'_> {
    fn fresh(&self, token: &str) -> Result<SasToken, HubError> {
        let token =
            SasToken::parse(token).map_err(|error| unauthorized(format!("The token cannot be read: {error}.")))?;
        if token.is_expired(self.now, self.skew) {
            return Err(unauthorized("The token has expired."));
        }
        Ok(token)
    }

    fn covers(&self, token: &SasToken, path: &[&str]) -> bool {
        self.names.iter().any(|name| token.covers(name, path))
    }

    /// A service call: the policy's key signs, its scope covers the path, and it has one of the rights.
    /// A device's own token never opens a service path.
    pub(crate) fn service(&self, authorization: Option<&str>, path: &[&str], rights: &[Right]) -> Result<(), HubError> {
        let header = authorization.ok_or_else(|| unauthorized("The Authorization header is missing."))?;
        let token = self.fresh(header)?;
        let policy = token.policy.as_deref().and_then(|name| self.policies.find(name));
        let policy = policy.ok_or_else(|| unauthorized("The token names no policy of this hub."))?;
        if !token.is_signed_by(&policy.primary) && !token.is_signed_by(&policy.secondary) {
            return Err(unauthorized(format!(
                "The token is not signed with a key of policy {}.",
                policy.name
            )));
        }
        if !self.covers(&token, path) {
            return Err(unauthorized("The token's scope does not cover this path."));
        }
        if !rights.iter().any(|right| policy.may(*right)) {
            return Err(unauthorized(format!(
                "Policy {} lacks the right this needs.",
                policy.name
            )));
        }
        Ok(())
    }

    /// A device or module that connects or calls: by its token where it gives one, otherwise by
    /// the certificate it showed at the handshake, its own first.
    pub(crate) fn device_or_certificate(
        &self,
        client: &Credentials,
        password: Option<&str>,
        certificates: &[CertificateDer<'_>],
    ) -> Result<Admission, HubError> {
        if client.status == Status::Disabled {
            return Err(unauthorized("The device is disabled."));
        }
        match password {
            Some(token) if !token.is_empty() => self.device_token(client, token),
            _ => self.device_certificate(client, certificates),
        }
    }

    fn device_token(&self, client: &Credentials, token: &str) -> Result<Admission, HubError> {
        let token = self.fresh(token)?;
        let (device_id, module_id) = (client.id.device_str(), client.id.module_str());
        let path = ["devices", device_id, "modules", module_id];
        let path = if client.id.is_module() { &path[..] } else { &path[..2] };
        if !self.covers(&token, path) {
            return Err(unauthorized("The token is for another device or hub."));
        }
        let signs = |authentication: &Authentication| keys(authentication).any(|key| token.is_signed_by(&key));
        let method = match token.policy.as_deref() {
            Some(name) => {
                let policy = self
                    .policies
                    .find(name)
                    .filter(|policy| policy.may(Right::DeviceConnect));
                let signed = policy
                    .filter(|policy| token.is_signed_by(&policy.primary) || token.is_signed_by(&policy.secondary));
                signed.map(|_| AuthMethod::HubSas)
            }
            None if signs(&client.authentication) && client.id.is_module() => Some(AuthMethod::ModuleSas),
            None if signs(&client.authentication) => Some(AuthMethod::DeviceSas),
            // A device's own key opens its modules too.
            None => client
                .parent
                .as_ref()
                .filter(|parent| signs(parent))
                .map(|_| AuthMethod::DeviceSas),
        };
        let method = method.ok_or_else(|| unauthorized("The token is not signed with a key of this device."))?;
        Ok(Admission {
            method,
            expires: Some(token.expiry),
        })
    }

    fn device_certificate(
        &self,
        client: &Credentials,
        certificates: &[CertificateDer<'_>],
    ) -> Result<Admission, HubError> {
        let Some(leaf) = certificates.first() else {
            return Err(unauthorized("The device gave neither a token nor a certificate."));
        };
        match client.authentication.kind {
            AuthenticationType::SelfSigned if has_thumbprint(leaf, &client.authentication.x509_thumbprint) => {}
            AuthenticationType::SelfSigned => {
                return Err(unauthorized(
                    "The certificate is not one that is registered for this device.",
                ));
            }
            AuthenticationType::CertificateAuthority => self
                .authorities
                .vouch(certificates, &client.id.to_string(), self.now)
                .map_err(|why| unauthorized(format!("The certificate is not taken: {why}.")))?,
            AuthenticationType::Sas | AuthenticationType::None => {
                return Err(unauthorized("The device authenticates with keys, and gave no token."));
            }
        }
        let method = if client.id.is_module() {
            AuthMethod::ModuleX509
        } else {
            AuthMethod::DeviceX509
        };
        Ok(Admission { method, expires: None })
    }
}

fn keys(authentication: &Authentication) -> impl Iterator<Item = SasKey> {
    let key = &authentication.symmetric_key;
    [&key.primary_key, &key.secondary_key]
        .into_iter()
        .filter(|_| authentication.kind == AuthenticationType::Sas)
        .flatten()
        .filter_map(|text| SasKey::parse(text).ok())
}

/// The client id and the user name must name the same device or module.
pub(crate) fn claimed_client(
    client_id: &str,
    user_name: &str,
    names: &[String],
) -> Result<(ClientId, Option<String>), HubError> {
    let user =
        hub_protocol::topic::UserName::parse(user_name).ok_or_else(|| unauthorized("The user name cannot be read."))?;
    let host = user.host.split(':').next().unwrap_or_default();
    if !names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Err(unauthorized(format!("This hub is not called {host}.")));
    }
    let id =
        ClientId::new(&user.device_id, user.module_id.as_deref()).map_err(|error| unauthorized(error.to_string()))?;
    if id.to_string() != client_id {
        return Err(unauthorized("The client id is not the user name's device or module."));
    }
    Ok((id, user.model_id))
}
