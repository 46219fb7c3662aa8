//! What people paste as a connection string.
#![no_main]

use hub_protocol::{
    ConnectionStringError, DeviceConnectionString, Secret, ServiceConnectionString, connection_string::Credential,
    sas::SasKey,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let service = ServiceConnectionString::parse(text);
    let device = DeviceConnectionString::parse(text);
    assert!(
        service.is_err() || device.is_err(),
        "one text opens the hub or a device, never both"
    );
    match &service {
        Ok(service) => service_holds(service),
        Err(error) => quotes_nothing(error),
    }
    match &device {
        Ok(device) => {
            device_holds(device);
            assert!(
                !names_a_value(text, "SharedAccessSignature") && !names_a_value(text, "SharedAccessKeyName"),
                "a credential was read and dropped"
            );
        }
        Err(error) => quotes_nothing(error),
    }
});

fn service_holds(parsed: &ServiceConnectionString) {
    for text in spellings(parsed.to_secret().expose()) {
        assert_eq!(ServiceConnectionString::parse(&text).as_ref(), Ok(parsed));
    }
    let other = ServiceConnectionString {
        credential: match parsed.credential {
            Credential::Key(_) => Credential::Key(other_key()),
            Credential::Token(_) => Credential::Token(Secret::new("another")),
        },
        ..parsed.clone()
    };
    assert_eq!(
        parsed.redacted(),
        other.redacted(),
        "what is shown depends on the secret"
    );
    assert_eq!(
        format!("{parsed:?}"),
        format!("{other:?}"),
        "Debug depends on the secret"
    );
    is_host(&parsed.host_name);
    assert!(parsed.host_name.starts_with(parsed.host()));
    match &parsed.credential {
        Credential::Key(_) => assert!(!parsed.policy.is_empty(), "a key belongs to a policy"),
        Credential::Token(token) => assert!(!token.expose().is_empty(), "a token is not empty"),
    }
}

fn device_holds(parsed: &DeviceConnectionString) {
    for text in spellings(parsed.to_secret().expose()) {
        assert_eq!(DeviceConnectionString::parse(&text).as_ref(), Ok(parsed));
    }
    let other = DeviceConnectionString {
        key: other_key(),
        ..parsed.clone()
    };
    assert_eq!(format!("{parsed:?}"), format!("{other:?}"), "Debug depends on the key");
    is_host(&parsed.host_name);
    if let Some(gateway) = &parsed.gateway_host_name {
        is_host(gateway);
    }
}

fn names_a_value(text: &str, name: &str) -> bool {
    text.split(';')
        .filter_map(|part| part.split_once('='))
        .any(|(known, value)| known.trim().eq_ignore_ascii_case(name) && !value.trim().is_empty())
}

/// The same string as written, backwards, with names in lower case, and with what people add.
fn spellings(text: &str) -> [String; 4] {
    let parts = || text.split(';');
    let lower = parts().map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.to_ascii_lowercase()),
        None => part.to_owned(),
    });
    [
        text.to_owned(),
        parts().rev().collect::<Vec<_>>().join(";"),
        lower.collect::<Vec<_>>().join(";"),
        format!(" Colour=red;{text};\n"),
    ]
}

fn other_key() -> SasKey {
    match SasKey::from_bytes(vec![0xA5; 32]) {
        Ok(key) => key,
        Err(error) => panic!("{error}"),
    }
}

fn is_host(text: &str) {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    assert!(
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
        "{host:?} is no host name"
    );
    if let Some(port) = port {
        assert!(
            port.parse::<u16>().is_ok() && port.chars().all(|c| c.is_ascii_digit()),
            "{port:?} is no port"
        );
    }
}

/// A value of the input, a key above all, never reaches an error: its length does not depend on it.
fn quotes_nothing(error: &ConnectionStringError) {
    let text = error.to_string();
    assert!(text.len() <= 160, "{text}");
}
