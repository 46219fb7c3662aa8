//! How an identity proves itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    sas::{SasError, SasKey},
    wire_enum::wire_enum,
};

wire_enum! {
    #[derive(Default)]
    pub enum AuthenticationType {
        #[default]
        Sas = "sas",
        SelfSigned = "selfSigned",
        CertificateAuthority = "certificateAuthority",
        None = "none",
    }
}

/// Both keys of an identity, base64 on the wire. The registry's answers carry them, so unlike
/// [`crate::Secret`] this serialises; it prints redacted.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKey {
    pub primary_key: Option<String>,
    pub secondary_key: Option<String>,
}

impl SymmetricKey {
    pub fn from_keys(primary: &SasKey, secondary: &SasKey) -> Self {
        let text = |key: &SasKey| Some(key.to_base64().expose().to_owned());
        Self {
            primary_key: text(primary),
            secondary_key: text(secondary),
        }
    }

    /// Both decoded keys, or `None` where the hub is to mint them: an absent, null or empty key
    /// means "make one" (service clients send all three).
    pub fn keys(&self) -> Result<Option<(SasKey, SasKey)>, SasError> {
        let given = |key: &Option<String>| {
            key.as_deref()
                .filter(|text| !text.is_empty())
                .map(SasKey::parse)
                .transpose()
        };
        match (given(&self.primary_key)?, given(&self.secondary_key)?) {
            (None, None) => Ok(None),
            (Some(primary), Some(secondary)) => Ok(Some((primary, secondary))),
            _ => Err(SasError::Missing("one of the two keys")),
        }
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Thumbprint {
    #[serde(alias = "PrimaryThumbprint")]
    pub primary_thumbprint: Option<String>,
    #[serde(alias = "SecondaryThumbprint")]
    pub secondary_thumbprint: Option<String>,
}

impl X509Thumbprint {
    fn given(&self) -> impl Iterator<Item = &str> {
        [&self.primary_thumbprint, &self.secondary_thumbprint]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.given().next().is_none()
    }

    /// Whether each is the hexadecimal of a SHA-1 or SHA-256 hash, without separators.
    pub fn is_valid(&self) -> bool {
        self.given()
            .all(|text| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

/// Without a type it is `selfSigned` where there is a thumbprint, else `sas` (service.md 2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Given")]
pub struct Authentication {
    pub symmetric_key: SymmetricKey,
    pub x509_thumbprint: X509Thumbprint,
    #[serde(rename = "type")]
    pub kind: AuthenticationType,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    symmetric_key: Option<SymmetricKey>,
    x509_thumbprint: Option<X509Thumbprint>,
    #[serde(rename = "type")]
    kind: Option<AuthenticationType>,
}

impl From<Given> for Authentication {
    fn from(given: Given) -> Self {
        let x509_thumbprint = given.x509_thumbprint.unwrap_or_default();
        let inferred = if x509_thumbprint.is_empty() {
            AuthenticationType::Sas
        } else {
            AuthenticationType::SelfSigned
        };
        Self {
            symmetric_key: given.symmetric_key.unwrap_or_default(),
            x509_thumbprint,
            kind: given.kind.unwrap_or(inferred),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_without_the_other_is_refused() {
        let key = SymmetricKey {
            primary_key: Some("MDEyMzQ1Njc4OWFiY2RlZg==".into()),
            secondary_key: None,
        };
        assert!(key.keys().is_err());
    }

    #[test]
    fn a_thumbprint_without_a_type_means_self_signed_and_types_are_read_in_any_case() {
        let read = |json: &str| serde_json::from_str::<Authentication>(json).unwrap().kind;
        let thumbprint = format!(r#"{{"x509Thumbprint":{{"primaryThumbprint":"{}"}}}}"#, "a".repeat(40));
        assert_eq!(read(&thumbprint), AuthenticationType::SelfSigned);
        assert_eq!(
            read(r#"{"x509Thumbprint":{"primaryThumbprint":""}}"#),
            AuthenticationType::Sas
        );
        assert_eq!(
            read(r#"{"type":"CertificateAuthority"}"#),
            AuthenticationType::CertificateAuthority
        );
        assert_eq!(read(r#"{"type":null,"symmetricKey":null}"#), AuthenticationType::Sas);
    }

    #[test]
    fn thumbprints_are_forty_or_sixty_four_hexadecimal_digits() {
        let valid = |text: &str| {
            let primary_thumbprint = Some(text.to_owned());
            X509Thumbprint {
                primary_thumbprint,
                secondary_thumbprint: None,
            }
            .is_valid()
        };
        assert!(valid(&"aB".repeat(20)) && valid(&"09".repeat(32)) && valid(""));
        assert!(!valid(&"a".repeat(39)) && !valid(&"g".repeat(40)) && !valid(&"AA:".repeat(20)));
    }
}
