//! Tokens: what comes in an Authorization header or as an MQTT password, and what we sign.
#![no_main]

use hub_protocol::sas::{SasKey, SasToken, sign};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(token) = SasToken::parse(text) {
        read_holds(&token);
    }
    signed_holds(text);
    if let Ok(key) = SasKey::parse(text) {
        assert_eq!(SasKey::parse(key.to_base64().expose()), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "<redacted>");
    }
});

/// No input knows this key, so nothing it says is signed with it.
fn hidden_key() -> SasKey {
    key(0x5C)
}

fn key(byte: u8) -> SasKey {
    match SasKey::from_bytes(vec![byte; 32]) {
        Ok(key) => key,
        Err(error) => panic!("{error}"),
    }
}

fn parse(text: &str) -> SasToken {
    match SasToken::parse(text) {
        Ok(token) => token,
        Err(error) => panic!("{error}: {text}"),
    }
}

fn read_holds(token: &SasToken) {
    assert!(!token.is_signed_by(&hidden_key()), "a forged token is believed");
    assert_ne!(token.policy.as_deref(), Some(""), "an empty skn is none");
    expiry_holds(token);
    scope_holds(token);

    // Signed anew it says the same, and then it is believed.
    let again = sign(&token.resource, &hidden_key(), token.expiry, token.policy.as_deref());
    let again = parse(again.expose());
    assert!(again.is_signed_by(&hidden_key()));
    assert_eq!(
        (&again.resource, again.expiry, &again.policy),
        (&token.resource, token.expiry, &token.policy)
    );
}

fn expiry_holds(token: &SasToken) {
    let expiry = token.expiry;
    assert!(!token.is_expired(expiry, 0), "a token lives to its last second");
    assert!(
        !token.is_expired(expiry.saturating_add(300), 300),
        "the skew is granted"
    );
    if let Some(later) = expiry.checked_add(301) {
        assert!(token.is_expired(later, 300), "and not a second more");
        assert!(token.is_expired(u64::MAX, 300), "what has expired stays so");
    }
}

/// Covers what it names and what lies below it; nothing above it, beside it, or on another host.
fn scope_holds(token: &SasToken) {
    let resource = token.resource.trim_end_matches('/');
    let mut segments = resource.split('/');
    let host = segments.next().unwrap_or_default();
    let path: Vec<&str> = segments.collect();
    assert!(token.covers(host, &path));
    assert!(
        token.covers(&host.to_ascii_uppercase(), &path),
        "hosts compare without case"
    );
    assert!(token.covers(host, &[path.as_slice(), &["below"]].concat()));
    assert!(!token.covers(&format!("x{host}"), &path));
    if let Some((last, above)) = path.split_last() {
        assert!(!token.covers(host, above));
        let longer = format!("{last}x");
        assert!(!token.covers(host, &[above, &[longer.as_str()]].concat()));
    }
}

/// Any text can stand in each place of a token we make; any change to what is signed shows.
fn signed_holds(text: &str) {
    if text.is_empty() {
        return;
    }
    let key = key(0x21);
    let expiry = text.len() as u64;
    for policy in [None, Some(text)] {
        let secret = sign(text, &key, expiry, policy);
        let token = parse(secret.expose());
        assert!(token.is_signed_by(&key) && !token.is_signed_by(&hidden_key()));
        assert_eq!((token.resource.as_str(), token.expiry), (text, expiry));
        assert_eq!(token.policy.as_deref(), policy);
        assert_eq!(format!("{secret} {secret:?}"), "<redacted> <redacted>");

        let later = secret
            .expose()
            .replace(&format!("&se={expiry}"), &format!("&se={expiry}0"));
        assert!(!parse(&later).is_signed_by(&key), "the expiry is signed");
        let wider = secret.expose().replacen("sr=", "sr=x", 1);
        assert!(!parse(&wider).is_signed_by(&key), "the resource is signed");
    }
}
