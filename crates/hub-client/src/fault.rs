//! What a transport error means, read from its chain of sources.
//!
//! reqwest wraps hyper wraps `io::Error` wraps rustls, and an `io::Error` hides its content from
//! `source()`; so the chain is laid out first and then searched from the most telling cause down.

use std::{error::Error, io, time::Duration};

use rustls::CertificateError;

use crate::{ClientError, resolver::UnresolvedName};

/// Longer chains do not occur; a cyclic one must not hang us.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    UnknownHost,
    Unreachable(String),
    UntrustedTls(String),
    TimedOut,
    BadAnswer(String),
}

impl Fault {
    /// Whether doing the same again may help by itself.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut)
    }

    pub(crate) fn into_error(self, host: &str, limit: Duration) -> ClientError {
        let host = host.to_owned();
        match self {
            Self::UnknownHost => ClientError::UnknownHost { host },
            Self::Unreachable(reason) => ClientError::Unreachable { host, reason },
            Self::UntrustedTls(reason) => ClientError::UntrustedTls { host, reason },
            Self::TimedOut => ClientError::TimedOut { host, limit },
            Self::BadAnswer(reason) => ClientError::BadAnswer { host, reason },
        }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut links = Vec::new();
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(link) = next.filter(|_| links.len() < MAX_DEPTH) {
        links.push(link);
        next = match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => link.source(),
        };
    }
    links
}

pub(crate) fn classify(error: &(dyn Error + 'static)) -> Fault {
    let links = chain(error);
    let find = |test: &dyn Fn(&(dyn Error + 'static)) -> Option<Fault>| links.iter().find_map(|link| test(*link));
    find(&|link| link.is::<UnresolvedName>().then_some(Fault::UnknownHost))
        .or_else(|| find(&|link| link.downcast_ref::<rustls::Error>().map(tls_fault)))
        .or_else(|| {
            let timed_out = |link: &(dyn Error + 'static)| link.downcast_ref().is_some_and(reqwest::Error::is_timeout);
            find(&|link| timed_out(link).then_some(Fault::TimedOut))
        })
        .or_else(|| {
            find(&|link| {
                link.downcast_ref::<io::Error>()
                    .and_then(|error| io_fault(error.kind()))
            })
        })
        .unwrap_or_else(|| Fault::Unreachable("the connection broke off".into()))
}

fn io_fault(kind: io::ErrorKind) -> Option<Fault> {
    use io::ErrorKind as Kind;
    let reason = match kind {
        Kind::TimedOut => return Some(Fault::TimedOut),
        Kind::ConnectionRefused => "it refuses connections on this port",
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            "it closed the connection"
        }
        Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            "there is no route to it from this network"
        }
        Kind::PermissionDenied => "this computer does not allow the connection",
        _ => return None,
    };
    Some(Fault::Unreachable(reason.into()))
}

fn tls_fault(error: &rustls::Error) -> Fault {
    use CertificateError as Bad;
    let reason = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => "its certificate comes from an authority that is not trusted here".into(),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate was made for another name".into()
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".into(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check this computer's clock".into()
            }
            Bad::Revoked => "its certificate was revoked".into(),
            Bad::BadSignature => {
                "its certificate's signature is wrong; another authority of that name signed it".into()
            }
            other => format!("its certificate was refused ({other:?})"),
        },
        rustls::Error::NoCertificatesPresented => "it presented no certificate".into(),
        rustls::Error::InvalidMessage(_) => {
            return Fault::Unreachable("it does not speak TLS on this port".into());
        }
        other => return Fault::Unreachable(format!("the TLS handshake failed ({other})")),
    };
    Fault::UntrustedTls(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_certificate_error_is_found_inside_an_io_error() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = Outer(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert!(matches!(classify(&error), Fault::UntrustedTls(reason) if reason.contains("not trusted")));
    }

    #[test]
    fn a_wrong_name_and_an_expired_certificate_read_differently() {
        let reason = |bad| match tls_fault(&rustls::Error::InvalidCertificate(bad)) {
            Fault::UntrustedTls(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(CertificateError::NotValidForName).contains("another name"));
        assert!(reason(CertificateError::Expired).contains("expired"));
    }

    #[test]
    fn an_unresolved_name_wins_over_the_io_error_around_it() {
        let error = Outer(io::Error::other(UnresolvedName));
        assert_eq!(classify(&error), Fault::UnknownHost);
    }

    #[test]
    fn refusal_and_silence_are_told_apart() {
        let refused = Outer(io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(classify(&refused), Fault::Unreachable(reason) if reason.contains("refuses")));
        assert_eq!(classify(&Outer(io::ErrorKind::TimedOut.into())), Fault::TimedOut);
    }

    #[test]
    fn an_unknown_error_still_says_something() {
        assert!(matches!(classify(&std::fmt::Error), Fault::Unreachable(_)));
    }
}
