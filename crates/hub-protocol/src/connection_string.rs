//! Connection strings: read from what people paste, written for what they copy.
//!
//! `Name=value` pairs joined by `;`, split at the *first* `=` because keys end in `=`. Names are
//! read in any case, one trailing `;` is dropped, a repeated name or a conflict is refused, and
//! names we do not know are ignored, since Azure has added some before.

use crate::{
    DeviceId, Secret,
    sas::{SasError, SasKey},
};

/// The part of a connection string that is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct ConnectionStringError {
    /// The field's name in Azure's spelling, or "connection string" for the whole.
    pub part: &'static str,
    pub problem: String,
}

fn wrong<T>(part: &'static str, problem: impl Into<String>) -> Result<T, ConnectionStringError> {
    Err(ConnectionStringError {
        part,
        problem: problem.into(),
    })
}

/// How the holder of a connection string proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Key(SasKey),
    /// A ready token; it cannot be renewed.
    Token(Secret),
}

/// `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`: opens the hub's service side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConnectionString {
    /// With its port, where one was given (`localhost:8443`).
    pub host_name: String,
    pub policy: String,
    pub credential: Credential,
}

/// `HostName=…;DeviceId=…;SharedAccessKey=…`: one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConnectionString {
    pub host_name: String,
    pub device_id: DeviceId,
    pub key: SasKey,
    /// Replaces only the TCP and TLS target; tokens and user names keep `host_name`.
    pub gateway_host_name: Option<String>,
}

const NAMES: [&str; 9] = [
    "HostName",
    "DeviceId",
    "ModuleId",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "GatewayHostName",
    "x509",
    "UseProvisioning",
];

struct Fields<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, ConnectionStringError> {
        let text = text.trim();
        if text.is_empty() {
            return wrong("connection string", "it is empty");
        }
        let mut fields: Vec<(&'static str, &str)> = Vec::new();
        for segment in text.strip_suffix(';').unwrap_or(text).split(';') {
            let Some((name, value)) = segment.split_once('=') else {
                return wrong("connection string", "every part between semicolons must be Name=value");
            };
            let Some(name) = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name.trim())) else {
                continue;
            };
            if fields.iter().any(|(seen, _)| seen == name) {
                return wrong(name, "it is given twice");
            }
            fields.push((name, value.trim()));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn host(&self) -> Result<String, ConnectionStringError> {
        let Some(host_name) = self.get("HostName") else {
            return wrong(
                "HostName",
                "it is missing; it looks like HostName=my-hub.azure-devices.net",
            );
        };
        check_host("HostName", host_name)?;
        Ok(host_name.to_owned())
    }

    fn key(&self) -> Result<Option<SasKey>, ConnectionStringError> {
        match self.get("SharedAccessKey").map(SasKey::parse) {
            None => Ok(None),
            Some(Ok(key)) => Ok(Some(key)),
            Some(Err(SasError::KeyNotBase64)) => wrong(
                "SharedAccessKey",
                "it is not base64; it may have been cut off while copying",
            ),
            Some(Err(_)) => wrong(
                "SharedAccessKey",
                "it must decode to 16 to 64 bytes; it may have been cut off while copying",
            ),
        }
    }
}

fn check_host(part: &'static str, host_name: &str) -> Result<(), ConnectionStringError> {
    let (host, port) = match host_name.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host_name, None),
    };
    if host.is_empty() {
        return wrong(part, "it is empty");
    }
    if let Some(bad) = host.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._".contains(*c)) {
        return wrong(
            part,
            format!("it may not contain {bad:?}; give the host alone, without https:// or a path"),
        );
    }
    // A u16 alone would also be read from "+443".
    if port.is_some_and(|port| port.starts_with('+') || port.parse::<u16>().is_err()) {
        return wrong(part, "the part after the colon is not a port number");
    }
    Ok(())
}

impl ServiceConnectionString {
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let fields = Fields::parse(text)?;
        let host_name = fields.host()?;
        if fields.get("DeviceId").is_some() {
            return wrong(
                "DeviceId",
                "this is a device's connection string; a hub's has SharedAccessKeyName instead",
            );
        }
        let policy = fields.get("SharedAccessKeyName").unwrap_or_default();
        let credential = match (fields.key()?, fields.get("SharedAccessSignature")) {
            (Some(_), Some(_)) => return wrong("SharedAccessSignature", "give either a key or a signature, not both"),
            (None, None) => return wrong("SharedAccessKey", "it is missing"),
            (Some(_), None) if policy.is_empty() => {
                return wrong(
                    "SharedAccessKeyName",
                    "it is missing; it names the policy, for example iothubowner",
                );
            }
            (Some(key), None) => Credential::Key(key),
            (None, Some("")) => return wrong("SharedAccessSignature", "it is empty"),
            (None, Some(token)) => Credential::Token(Secret::new(token)),
        };
        if policy.len() > 64
            || policy
                .chars()
                .any(|c| !c.is_ascii_alphanumeric() && !"-._@".contains(c))
        {
            return wrong(
                "SharedAccessKeyName",
                "a policy name has at most 64 letters, digits and - . _ @",
            );
        }
        Ok(Self {
            host_name,
            policy: policy.to_owned(),
            credential,
        })
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        self.host_name.split(':').next().unwrap_or_default()
    }

    /// The string as it may be shown: everything but the key.
    pub fn redacted(&self) -> String {
        let field = match self.credential {
            Credential::Key(_) => "SharedAccessKey",
            Credential::Token(_) => "SharedAccessSignature",
        };
        format!(
            "HostName={};SharedAccessKeyName={};{field}=••••",
            self.host_name, self.policy
        )
    }

    /// The string as it is pasted elsewhere.
    pub fn to_secret(&self) -> Secret {
        let credential = match &self.credential {
            Credential::Key(key) => format!("SharedAccessKey={}", key.to_base64().expose()),
            Credential::Token(token) => format!("SharedAccessSignature={}", token.expose()),
        };
        Secret::new(format!(
            "HostName={};SharedAccessKeyName={};{credential}",
            self.host_name, self.policy
        ))
    }
}

impl DeviceConnectionString {
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let fields = Fields::parse(text)?;
        let host_name = fields.host()?;
        let Some(id) = fields.get("DeviceId") else {
            return wrong(
                "DeviceId",
                "it is missing; this looks like a hub's connection string, not a device's",
            );
        };
        let device_id = match DeviceId::new(id) {
            Ok(id) => id,
            Err(error) => return wrong("DeviceId", error.to_string()),
        };
        if fields.get("ModuleId").is_some() {
            return wrong("ModuleId", "connecting as a module is not supported yet");
        }
        if fields
            .get("x509")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return wrong("x509", "connecting with a certificate is not supported yet");
        }
        if fields.get("SharedAccessSignature").is_some() {
            return wrong(
                "SharedAccessSignature",
                "connecting a device with a ready token is not supported yet; give its key",
            );
        }
        if fields
            .get("SharedAccessKeyName")
            .is_some_and(|policy| !policy.is_empty())
        {
            return wrong(
                "SharedAccessKeyName",
                "connecting a device with a policy's key is not supported yet; give its own key",
            );
        }
        let Some(key) = fields.key()? else {
            return wrong("SharedAccessKey", "it is missing");
        };
        let gateway_host_name = fields.get("GatewayHostName").map(str::to_owned);
        if let Some(gateway) = &gateway_host_name {
            check_host("GatewayHostName", gateway)?;
        }
        Ok(Self {
            host_name,
            device_id,
            key,
            gateway_host_name,
        })
    }

    pub fn to_secret(&self) -> Secret {
        let gateway = self
            .gateway_host_name
            .as_ref()
            .map(|name| format!(";GatewayHostName={name}"))
            .unwrap_or_default();
        let (host, id, key) = (&self.host_name, &self.device_id, self.key.to_base64());
        Secret::new(format!(
            "HostName={host};DeviceId={id};SharedAccessKey={}{gateway}",
            key.expose()
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn part_of(text: &str) -> &'static str {
        ServiceConnectionString::parse(text).unwrap_err().part
    }

    #[test]
    fn a_hub_string_is_read_in_any_order_and_case_with_a_trailing_semicolon() {
        let text = format!("sharedaccesskey={KEY};SharedAccessKeyName=iothubowner;HOSTNAME=localhost:8443;Colour=red;");
        let parsed = ServiceConnectionString::parse(&text).unwrap();
        assert_eq!(
            (parsed.host_name.as_str(), parsed.host(), parsed.policy.as_str()),
            ("localhost:8443", "localhost", "iothubowner")
        );
        assert_eq!(ServiceConnectionString::parse(parsed.to_secret().expose()), Ok(parsed));
    }

    #[test]
    fn the_wrong_part_is_named() {
        assert_eq!(part_of(""), "connection string");
        assert_eq!(part_of("rubbish"), "connection string");
        assert_eq!(
            part_of(&format!("SharedAccessKeyName=p;SharedAccessKey={KEY}")),
            "HostName"
        );
        assert_eq!(
            part_of(&format!(
                "HostName=https://h;SharedAccessKeyName=p;SharedAccessKey={KEY}"
            )),
            "HostName"
        );
        assert_eq!(
            part_of(&format!("HostName=h;SharedAccessKey={KEY}")),
            "SharedAccessKeyName"
        );
        assert_eq!(part_of("HostName=h;SharedAccessKeyName=p"), "SharedAccessKey");
        assert_eq!(
            part_of("HostName=h;SharedAccessKeyName=p;SharedAccessKey=%%%"),
            "SharedAccessKey"
        );
        assert_eq!(
            part_of("HostName=h;SharedAccessKeyName=p;SharedAccessKey=AAAA"),
            "SharedAccessKey"
        );
        assert_eq!(
            part_of(&format!(
                "HostName=h;HostName=h;SharedAccessKeyName=p;SharedAccessKey={KEY}"
            )),
            "HostName"
        );
        assert_eq!(
            part_of(&format!("HostName=h;DeviceId=d;SharedAccessKey={KEY}")),
            "DeviceId"
        );
    }

    #[test]
    fn what_may_be_shown_never_holds_the_key() {
        let text = format!("HostName=h;SharedAccessKeyName=p;SharedAccessKey={KEY}");
        let parsed = ServiceConnectionString::parse(&text).unwrap();
        assert!(!parsed.redacted().contains("MDEy"));
        assert!(!format!("{parsed:?}").contains("MDEy"));
    }

    #[test]
    fn a_device_string_survives_the_round_trip() {
        let text = format!("HostName=h.local;DeviceId=dev%1=a#b;SharedAccessKey={KEY};GatewayHostName=localhost");
        let parsed = DeviceConnectionString::parse(&text).unwrap_err();
        assert_eq!(parsed.part, "DeviceId", "# cannot stand in an MQTT topic");
        let text = format!("HostName=h.local;DeviceId=dev%1=a'b;SharedAccessKey={KEY};GatewayHostName=localhost");
        let parsed = DeviceConnectionString::parse(&text).unwrap();
        assert_eq!(parsed.device_id.as_str(), "dev%1=a'b");
        assert_eq!(DeviceConnectionString::parse(parsed.to_secret().expose()), Ok(parsed));
    }

    #[test]
    fn a_host_or_a_gateway_that_cannot_be_dialled_is_refused() {
        for host in ["h:+443", "h:65536", "h:", ":443", "", "h/path", "a:b:1"] {
            assert_eq!(
                part_of(&format!("HostName={host};SharedAccessKeyName=p;SharedAccessKey={KEY}")),
                "HostName",
                "{host}"
            );
            let text = format!("HostName=h;DeviceId=d;SharedAccessKey={KEY};GatewayHostName={host}");
            let error = DeviceConnectionString::parse(&text).unwrap_err();
            assert_eq!(error.part, "GatewayHostName", "{host}");
        }
    }

    #[test]
    fn a_credential_that_would_not_be_used_is_refused_and_not_dropped() {
        assert_eq!(
            part_of("HostName=h;SharedAccessKeyName=p;SharedAccessSignature="),
            "SharedAccessSignature"
        );
        for part in ["SharedAccessSignature", "SharedAccessKeyName"] {
            let text = format!("HostName=h;DeviceId=d;SharedAccessKey={KEY};{part}=x");
            assert_eq!(DeviceConnectionString::parse(&text).unwrap_err().part, part);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_leak_a_long_value(text in ".{0,200}") {
            let _ = DeviceConnectionString::parse(&text);
            if let Err(error) = ServiceConnectionString::parse(&format!("HostName=h;SharedAccessKeyName=p;SharedAccessKey=secretsecret{text}")) {
                prop_assert!(!error.to_string().contains("secretsecret"));
            }
        }
    }
}
