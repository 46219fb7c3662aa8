//! Shared access signatures: made by clients, checked by the hub.
//!
//! `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]`. The signature
//! is HMAC-SHA256 over the `sr` text *exactly as it stands in the token*, a line feed, and `se`
//! (Microsoft, "Control access to IoT Hub using SAS"). SDKs differ in field order and in the case
//! of their escapes, so nothing is re-encoded before the check.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;

use crate::Secret;

/// What SDKs leave unescaped: letters, digits and `- . _ ~`.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    #[error("the key is not base64")]
    KeyNotBase64,
    #[error("the key must decode to 16 to 64 bytes")]
    KeyLength,
    #[error("the token does not begin with SharedAccessSignature")]
    Scheme,
    #[error("the token lacks its field {0}")]
    Missing(&'static str),
    #[error("the token's field {0} cannot be read")]
    Malformed(&'static str),
}

/// A decoded shared access key: 16 to 64 bytes. Prints redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct SasKey(Vec<u8>);

impl SasKey {
    pub fn parse(base64_text: &str) -> Result<Self, SasError> {
        let bytes = BASE64.decode(base64_text.trim()).map_err(|_| SasError::KeyNotBase64)?;
        Self::from_bytes(bytes)
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SasError> {
        if (16..=64).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SasError::KeyLength)
        }
    }

    /// The key as it is written in a connection string.
    pub fn to_base64(&self) -> Secret {
        Secret::new(BASE64.encode(&self.0))
    }

    fn mac(&self, signed_resource: &str, expiry: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length; the error type is for MACs that do not.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC accepts every key length")
        };
        mac.update(signed_resource.as_bytes());
        mac.update(b"\n");
        mac.update(expiry.as_bytes());
        mac
    }
}

impl fmt::Debug for SasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Makes a token for `resource` (`{host}` or `{host}/devices/{id}`, not yet escaped), valid until
/// `expiry` in seconds since 1970. `policy` goes in as `skn`; it is not signed.
pub fn sign(resource: &str, key: &SasKey, expiry: u64, policy: Option<&str>) -> Secret {
    let resource = utf8_percent_encode(resource, UNRESERVED).to_string();
    let signature = BASE64.encode(key.mac(&resource, &expiry.to_string()).finalize().into_bytes());
    let signature = utf8_percent_encode(&signature, UNRESERVED);
    let mut token = format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}");
    if let Some(policy) = policy {
        token.push_str("&skn=");
        token.extend(utf8_percent_encode(policy, UNRESERVED));
    }
    Secret::new(token)
}

/// A parsed token. Parsing proves nothing: check expiry, signature and scope.
pub struct SasToken {
    signed_resource: String,
    signature: Vec<u8>,
    expiry_text: String,
    /// Seconds since 1970.
    pub expiry: u64,
    /// The percent-decoded `sr`.
    pub resource: String,
    /// `skn`; `None` when absent or empty, which means a key of the identity itself.
    pub policy: Option<String>,
}

impl SasToken {
    pub fn parse(text: &str) -> Result<Self, SasError> {
        let (scheme, fields) = text.trim().split_once(char::is_whitespace).ok_or(SasError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("SharedAccessSignature") {
            return Err(SasError::Scheme);
        }
        let field = |name: &'static str| {
            fields
                .trim()
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        let decoded = |name: &'static str, value: &str| {
            percent_decode_str(value)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| SasError::Malformed(name))
        };
        let signed_resource = field("sr").filter(|sr| !sr.is_empty()).ok_or(SasError::Missing("sr"))?;
        let signature = decoded("sig", field("sig").ok_or(SasError::Missing("sig"))?)?;
        let expiry_text = field("se").ok_or(SasError::Missing("se"))?;
        Ok(Self {
            resource: decoded("sr", signed_resource)?,
            signature: BASE64.decode(signature).map_err(|_| SasError::Malformed("sig"))?,
            expiry: expiry_text.parse().map_err(|_| SasError::Malformed("se"))?,
            policy: match field("skn") {
                None | Some("") => None,
                Some(name) => Some(decoded("skn", name)?),
            },
            signed_resource: signed_resource.to_owned(),
            expiry_text: expiry_text.to_owned(),
        })
    }

    /// Compares in constant time.
    pub fn is_signed_by(&self, key: &SasKey) -> bool {
        key.mac(&self.signed_resource, &self.expiry_text)
            .verify_slice(&self.signature)
            .is_ok()
    }

    /// `now` and `skew` in seconds.
    pub fn is_expired(&self, now: u64, skew: u64) -> bool {
        now > self.expiry.saturating_add(skew)
    }

    /// Whether the token's scope covers `path` on `host`, by whole segments: `h/devices/a` covers
    /// `devices/a/modules/m`, never `devices/ab`. The host compares without case, and with or
    /// without its port; everything after it with case. A bare host covers everything.
    pub fn covers(&self, host: &str, path: &[&str]) -> bool {
        let mut scope = self.resource.trim_end_matches('/').split('/');
        let without_port = |host: &str| host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let same_host = scope
            .next()
            .is_some_and(|name| without_port(name) == without_port(host));
        let mut path = path.iter();
        same_host && scope.all(|segment| path.next() == Some(&segment))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // base64 of the 32 ASCII bytes 0123456789abcdef0123456789abcdef
    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const HOST: &str = "contoso.azure-devices.net";

    fn key() -> SasKey {
        SasKey::parse(KEY).unwrap()
    }

    #[test]
    fn a_device_token_matches_the_published_vector() {
        let token = sign(&format!("{HOST}/devices/dev-1"), &key(), 1_893_456_000, None);
        assert_eq!(
            token.expose(),
            "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1&sig=AG9femPEu7PvvCiU%2FzNwpWllymhfzQP7zZZYOKaZSgc%3D&se=1893456000"
        );
    }

    #[test]
    fn ids_with_reserved_characters_sign_like_the_published_vector() {
        let token = sign(&format!("{HOST}/devices/dev%1=a#b"), &key(), 1_893_456_000, None);
        assert!(
            token.expose().contains(
                &*utf8_percent_encode("5gYQSwjPnI/fzUngFJWXLC/vQivsORzmrW/2DjrEpF4=", UNRESERVED).to_string()
            )
        );
    }

    #[test]
    fn escapes_are_verified_as_they_stand_in_any_case_and_field_order() {
        for sr in ["h%2fdevices%2fd", "h%2Fdevices%2Fd", "h/devices/d"] {
            let signature = BASE64.encode(key().mac(sr, "99").finalize().into_bytes());
            let signature = utf8_percent_encode(&signature, UNRESERVED);
            let token = SasToken::parse(&format!("sharedaccesssignature skn=&se=99&sig={signature}&sr={sr}")).unwrap();
            assert!(token.is_signed_by(&key()), "{sr}");
            assert!(token.covers("H", &["devices", "d"]));
            assert_eq!(token.policy, None);
        }
    }

    #[test]
    fn scope_is_compared_by_whole_segments() {
        let token = SasToken::parse(sign("h/a/b", &key(), 9, None).expose()).unwrap();
        assert!(token.covers("h", &["a", "b", "c"]));
        assert!(!token.covers("h", &["a", "bc"]));
        assert!(!token.covers("h", &["a"]));
        assert!(!token.covers("other", &["a", "b"]));
        let hub = SasToken::parse(sign("localhost:8443", &key(), 9, None).expose()).unwrap();
        assert!(hub.covers("localhost", &["twins", "d"]));
    }

    #[test]
    fn tokens_that_lack_a_field_name_it() {
        assert_eq!(SasToken::parse("Bearer x").err(), Some(SasError::Scheme));
        assert_eq!(
            SasToken::parse("SharedAccessSignature sr=h&se=1").err(),
            Some(SasError::Missing("sig"))
        );
        assert_eq!(
            SasToken::parse("SharedAccessSignature sr=h&sig=AA%3D%3D&se=soon").err(),
            Some(SasError::Malformed("se"))
        );
    }

    #[test]
    fn expiry_allows_the_skew_and_not_a_second_more() {
        let token = SasToken::parse(sign("h", &key(), 1000, None).expose()).unwrap();
        assert!(!token.is_expired(1300, 300));
        assert!(token.is_expired(1301, 300));
    }

    proptest! {
        #[test]
        fn a_signed_token_verifies_and_one_changed_byte_does_not(resource in "[ -~]{1,60}", expiry: u64, other in any::<[u8; 32]>()) {
            let token = SasToken::parse(sign(&resource, &key(), expiry, Some("p"))
                .expose()).unwrap();
            prop_assert!(token.is_signed_by(&key()));
            prop_assert_eq!(&token.resource, &resource);
            let other = SasKey::from_bytes(other.to_vec()).unwrap();
            prop_assert!(!token.is_signed_by(&other));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = SasToken::parse(&text);
            let _ = SasToken::parse(&format!("SharedAccessSignature {text}"));
        }
    }
}
