//! What can go wrong when talking to a hub, told apart by what a person would do about it.

use std::time::Duration;

use hub_protocol::{ErrorCode, HubError, Secret};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The hub answered, and said no.
    #[error("the hub answered {status}{}: {message}", code_text(*code))]
    Hub {
        status: u16,
        code: Option<ErrorCode>,
        message: String,
    },
    #[error("{host} could not be found; check the host name and the network")]
    UnknownHost { host: String },
    /// Refused, reset, no route, or not speaking TLS.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("the identity of {host} cannot be trusted: {reason}")]
    UntrustedTls { host: String, reason: String },
    #[error("{host} did not answer within {} s", limit.as_secs())]
    TimedOut { host: String, limit: Duration },
    /// An answer, but not the one this API gives.
    #[error("{host} gave an answer that cannot be understood: {reason}")]
    BadAnswer { host: String, reason: String },
    /// Found wrong before anything was sent.
    #[error("{reason}")]
    InvalidRequest { reason: String },
}

fn code_text(code: Option<ErrorCode>) -> String {
    code.map(|code| format!(" ({})", code.name())).unwrap_or_default()
}

impl ClientError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into() }
    }

    /// Reads the hub's error body. `token` is what the call authorised itself with: should a
    /// proxy's error page echo the request, it is cut out.
    pub(crate) fn from_answer(status: u16, header: Option<&str>, body: &[u8], token: &Secret) -> Self {
        let body = String::from_utf8_lossy(body);
        let (code, message) = HubError::parse(header, body.trim());
        let message = match message.replace(token.expose(), "<redacted>") {
            text if text.is_empty() => "no further text".to_owned(),
            text => text,
        };
        Self::Hub { status, code, message }
    }

    pub(crate) fn bad_json(host: &str, error: &serde_json::Error) -> Self {
        // serde's text quotes the offending value, which may be a key: only the place is told.
        let reason = format!(
            "unexpected JSON at line {} column {} ({:?})",
            error.line(),
            error.column(),
            error.classify()
        );
        Self::BadAnswer {
            host: host.to_owned(),
            reason,
        }
    }

    /// The hub's error code, where it named one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Hub { code, .. } => *code,
            _ => None,
        }
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Hub { status, .. } => Some(*status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_protocol::Timestamp;

    use super::*;

    #[test]
    fn the_hub_s_error_keeps_its_code_and_text() {
        let body = HubError::device_not_found("pump-07")
            .body("T", Timestamp::NEVER)
            .to_string();
        let error = ClientError::from_answer(404, Some("DeviceNotFound"), body.as_bytes(), &Secret::new("token"));
        assert_eq!(error.code(), Some(ErrorCode::DeviceNotFound));
        assert_eq!(
            error.to_string(),
            "the hub answered 404 (DeviceNotFound): Device pump-07 is not registered."
        );
    }

    #[test]
    fn a_page_that_echoes_the_token_does_not_leak_it() {
        let token = Secret::new("SharedAccessSignature sr=h&sig=s&se=1");
        let body = format!("<html>Authorization: {}</html>", token.expose());
        let error = ClientError::from_answer(502, None, body.as_bytes(), &token);
        assert!(!error.to_string().contains("sig=s"), "{error}");
        assert!(!format!("{error:?}").contains("sig=s"));
    }

    #[test]
    fn an_answer_that_is_not_json_does_not_quote_what_it_found() {
        let error = serde_json::from_str::<u64>("\"c2VjcmV0\"").unwrap_err();
        let text = ClientError::bad_json("hub.example", &error).to_string();
        assert!(!text.contains("c2VjcmV0"));
        assert!(text.contains("hub.example"));
    }
}
