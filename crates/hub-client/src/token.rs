//! The token a hub's calls are authorised with: made once, kept, renewed well before it ends.

use std::sync::{Mutex, PoisonError};

use hub_protocol::{Secret, ServiceConnectionString, connection_string::Credential, sas};

/// Seconds.
const LIFETIME: u64 = 3600;
/// The rest is for calls that wait long and for clocks that differ.
const USED: u64 = LIFETIME / 10 * 8;

struct Minted {
    token: Secret,
    at: u64,
}

pub(crate) struct TokenSource {
    connection: ServiceConnectionString,
    minted: Mutex<Option<Minted>>,
}

/// Whether a token made `at` may still be sent `now`. A clock that was set back makes a token
/// look younger than it is, perhaps dated in the future: then a new one is made as well.
fn is_fresh(at: u64, now: u64) -> bool {
    (at..at + USED).contains(&now)
}

impl TokenSource {
    pub(crate) fn new(connection: ServiceConnectionString) -> Self {
        Self {
            connection,
            minted: Mutex::new(None),
        }
    }

    /// `now` in seconds since 1970.
    pub(crate) fn token(&self, now: u64) -> Secret {
        let key = match &self.connection.credential {
            Credential::Token(token) => return token.clone(),
            Credential::Key(key) => key,
        };
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = minted.as_ref().filter(|kept| is_fresh(kept.at, now)) {
            return kept.token.clone();
        }
        let connection = &self.connection;
        let token = sas::sign(connection.host(), key, now + LIFETIME, Some(&connection.policy));
        *minted = Some(Minted {
            token: token.clone(),
            at: now,
        });
        token
    }
}

#[cfg(test)]
mod tests {
    use hub_protocol::sas::SasToken;
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "HostName=hub.example:8443;SharedAccessKeyName=service;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn source() -> TokenSource {
        TokenSource::new(ServiceConnectionString::parse(TEXT).unwrap())
    }

    #[test]
    fn a_token_opens_the_whole_hub_for_an_hour() {
        let token = SasToken::parse(source().token(1000).expose()).unwrap();
        assert_eq!(token.expiry, 1000 + 3600);
        assert_eq!(token.policy.as_deref(), Some("service"));
        assert!(token.covers("hub.example:8443", &["devices", "a"]));
    }

    #[test]
    fn it_is_kept_for_four_fifths_of_its_life_and_then_renewed() {
        let source = source();
        let first = source.token(1000);
        assert_eq!(source.token(1000 + 2879), first);
        assert_ne!(source.token(1000 + 2880), first);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_new_token() {
        let source = source();
        let first = source.token(10_000);
        assert_ne!(source.token(5000), first);
    }

    #[test]
    fn a_ready_token_is_used_as_it_is() {
        let text = "HostName=hub.example;SharedAccessSignature=SharedAccessSignature sr=x&sig=YQ%3D%3D&se=1";
        let source = TokenSource::new(ServiceConnectionString::parse(text).unwrap());
        assert_eq!(
            source.token(99).expose(),
            "SharedAccessSignature sr=x&sig=YQ%3D%3D&se=1"
        );
    }

    proptest! {
        #[test]
        fn no_token_is_sent_in_the_last_fifth_of_its_life(times in prop::collection::vec(0_u64..20_000, 1..40)) {
            let source = source();
            for now in times {
                let token = SasToken::parse(source.token(now).expose()).unwrap();
                prop_assert!(token.expiry > now + LIFETIME / 5);
                prop_assert!(token.expiry <= now + LIFETIME);
            }
        }
    }
}
