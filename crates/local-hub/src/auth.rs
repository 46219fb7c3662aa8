//! Who may do what: tokens checked on both sides.

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    identity::{AuthenticationType, Status},
    sas::{SasKey, SasToken},
};

use crate::store::{Credentials, Policies, Right};

/// What both checks need to know of this hub and this moment.
pub(crate) struct Gate<'a> {
    pub policies: &'a Policies,
    /// Every host name a token may carry.
    pub names: &'a [String],
    /// Seconds since 1970.
    pub now: u64,
    /// Seconds past its expiry that a token is still taken.
    pub skew: u64,
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

    /// A device's connection; returns when its token expires, in seconds since 1970.
    pub(crate) fn device(&self, device: &Credentials, password: &str) -> Result<u64, HubError> {
        if device.status == Status::Disabled {
            return Err(unauthorized("The device is disabled."));
        }
        let token = self.fresh(password)?;
        let mut path = vec!["devices", device.id.device_str()];
        if device.id.is_module() {
            path.extend(["modules", device.id.module_str()]);
        }
        if !self.covers(&token, &path) {
            return Err(unauthorized("The token is for another device or hub."));
        }
        let signed = match token.policy.as_deref() {
            Some(name) => self.policies.find(name).is_some_and(|policy| {
                policy.may(Right::DeviceConnect)
                    && (token.is_signed_by(&policy.primary) || token.is_signed_by(&policy.secondary))
            }),
            None => device_keys(device).iter().any(|key| token.is_signed_by(key)),
        };
        if signed {
            Ok(token.expiry)
        } else {
            Err(unauthorized("The token is not signed with a key of this device."))
        }
    }
}

fn device_keys(device: &Credentials) -> Vec<SasKey> {
    let authentication = &device.authentication;
    if authentication.kind != AuthenticationType::Sas {
        return Vec::new();
    }
    let key = &authentication.symmetric_key;
    [&key.primary_key, &key.secondary_key]
        .into_iter()
        .flatten()
        .filter_map(|text| SasKey::parse(text).ok())
        .collect()
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
