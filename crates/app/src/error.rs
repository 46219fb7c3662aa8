//! What people are told when something goes wrong: what happened, why, and what to do next.

use std::fmt;

use hub_client::ClientError;
use hub_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

/// A code exists because somebody acts on it: the UI, or a script by the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub enum Code {
    InvalidInput,
    InvalidConnectionString,
    Unauthorized,
    UnknownHost,
    Unreachable,
    UntrustedTls,
    NotFound,
    AlreadyExists,
    PreconditionFailed,
    DeviceOffline,
    DeviceTimeout,
    Throttled,
    PortInUse,
    NoHub,
    /// What was asked burdens a hub in use, and the person has not confirmed how much.
    NeedsConfirmation,
    Storage,
    Keychain,
    Internal,
}

/// Serialised for the UI as it is; never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct AppError {
    pub code: Code,
    /// What happened and why, one or two sentences.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Codes and texts of lower layers, for a report.
    pub details: Option<String>,
}

pub type Result<T> = std::result::Result<T, AppError>;

impl AppError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            details: None,
        }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub fn details(self, details: impl fmt::Display) -> Self {
        Self {
            details: Some(details.to_string()),
            ..self
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message)
    }

    pub fn no_hub() -> Self {
        Self::new(Code::NoHub, "No hub is open.").hint("Start the local hub or connect to one.")
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AppError {}

impl From<ClientError> for AppError {
    fn from(error: ClientError) -> Self {
        let details = error.to_string();
        let base = match &error {
            ClientError::Hub { status, code, message } => return from_hub(*status, *code, message).details(details),
            ClientError::UnknownHost { host } => {
                Self::new(Code::UnknownHost, format!("There is no host called {host}."))
                    .hint("Check HostName in the connection string, and the network.")
            }
            ClientError::Unreachable { host, .. } => Self::new(Code::Unreachable, format!("{host} cannot be reached."))
                .hint("Check the network and whether a firewall blocks port 443; a local hub must be running."),
            ClientError::UntrustedTls { host, .. } => {
                Self::new(Code::UntrustedTls, format!("The certificate of {host} is not trusted.")).hint(
                    "If this is a hub of your own, give its CA certificate; otherwise somebody may be in between.",
                )
            }
            ClientError::TimedOut { host, limit } => Self::new(
                Code::Unreachable,
                format!("{host} did not answer within {} seconds.", limit.as_secs()),
            )
            .hint("Try again; if it stays so, check the network."),
            ClientError::BadAnswer { host, .. } => Self::new(
                Code::Internal,
                format!("{host} gave an answer that cannot be understood."),
            )
            .hint("Is this really an IoT Hub? Copy the details for a report."),
            ClientError::InvalidRequest { reason } => return Self::invalid(sentence(reason)),
        };
        base.details(details)
    }
}

fn from_hub(status: u16, code: Option<ErrorCode>, message: &str) -> AppError {
    use ErrorCode as E;
    match (code, status) {
        (Some(E::DeviceNotOnline), _) => {
            AppError::new(Code::DeviceOffline, "The device is not connected, or takes no methods.")
                .hint("Check that it is running, or give it time with a connect timeout.")
        }
        (Some(E::GatewayTimeout), _) | (_, 504) => AppError::new(
            Code::DeviceTimeout,
            "The device took the call and did not answer in time. It may still have acted.",
        )
        .hint("Look at its twin before you call again, or allow a longer response timeout."),
        (Some(E::DeviceNotFound), _) => AppError::new(Code::NotFound, "The hub has no such device.")
            .hint("It may have been deleted; ids are case-sensitive."),
        (Some(E::DeviceAlreadyExists), _) => {
            AppError::new(Code::AlreadyExists, "A device with this id exists already.")
        }
        (_, 401) => AppError::new(
            Code::Unauthorized,
            "The hub refused the key or the rights of this policy.",
        )
        .hint("The key may have been regenerated, or the policy lacks a right. Paste the connection string again."),
        (_, 412) => AppError::new(
            Code::PreconditionFailed,
            "Somebody else has changed this in the meantime; nothing was written.",
        )
        .hint("Look at the newest state and apply your change again."),
        (_, 429) => AppError::new(Code::Throttled, "The hub asks to slow down.").hint("Wait a little and try again."),
        (Some(E::IotHubQuotaExceeded), _) => {
            AppError::new(Code::Throttled, "The hub's daily message quota is used up.")
                .hint("It starts again at midnight UTC, or choose a larger tier.")
        }
        (_, 404) => AppError::new(Code::NotFound, format!("The hub does not have this: {message}")),
        (_, 400 | 413) => AppError::invalid(sentence(message)),
        _ => AppError::new(
            Code::Internal,
            format!("The hub failed with status {status}: {message}"),
        )
        .hint("Try again later."),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let rest = chars.as_str();
    let end = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{end}")
}

impl From<hub_protocol::HubError> for AppError {
    fn from(error: hub_protocol::HubError) -> Self {
        from_hub(error.code.status(), Some(error.code), &error.message).details(error)
    }
}

impl From<hub_protocol::ConnectionStringError> for AppError {
    fn from(error: hub_protocol::ConnectionStringError) -> Self {
        let message = match error.part {
            "connection string" => format!("The connection string is wrong: {}.", error.problem),
            part => format!("The connection string's part {part} is wrong: {}.", error.problem),
        };
        Self::new(Code::InvalidConnectionString, message)
            .hint("Copy the whole string again from the portal's page \"Shared access policies\".")
    }
}

impl From<hub_protocol::InvalidDeviceId> for AppError {
    fn from(error: hub_protocol::InvalidDeviceId) -> Self {
        Self::invalid(sentence(&error.to_string()))
    }
}

impl From<local_hub::StartError> for AppError {
    fn from(error: local_hub::StartError) -> Self {
        use local_hub::StartError as E;
        let text = error.to_string();
        match error {
            E::Port {
                port, purpose, source, ..
            } => {
                let message = if source.kind() == std::io::ErrorKind::AddrInUse {
                    format!("Another program uses port {port}, which the hub needs for {purpose}.")
                } else {
                    sentence(&text)
                };
                Self::new(Code::PortInUse, message)
                    .hint(format!(
                        "Stop the program that uses port {port}, or choose another port."
                    ))
                    .details(text)
            }
            E::DataDirInUse { .. } => {
                Self::new(Code::Storage, sentence(&text)).hint("Stop the other hub, or choose another folder.")
            }
            E::DataDir { .. } | E::Database { .. } => Self::new(Code::Storage, sentence(&text))
                .hint("Check that the disk has room and the folder can be written."),
            E::Certificates(_) => Self::new(Code::Internal, sentence(&text)),
            E::DeviceAuthority { .. } => Self::new(Code::Storage, sentence(&text))
                .hint("Put a certificate in PEM form there, or take the file away."),
            E::Fixture(_) => Self::invalid(sentence(&text)),
        }
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DiskFull, ReadOnly};
        let message = match error.sqlite_error_code() {
            Some(DiskFull) => "The disk is full; nothing was saved.",
            Some(ReadOnly) => "The application's data folder cannot be written; nothing was saved.",
            _ => "The application's database failed.",
        };
        Self::new(Code::Storage, message)
            .hint("Check that the disk has room and the folder can be written.")
            .details(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(status: u16, code: ErrorCode) -> AppError {
        ClientError::Hub {
            status,
            code: Some(code),
            message: "m".into(),
        }
        .into()
    }

    #[test]
    fn offline_and_silent_devices_are_told_apart_and_say_what_to_do() {
        let offline = hub(404, ErrorCode::DeviceNotOnline);
        let silent = hub(504, ErrorCode::GatewayTimeout);
        assert_eq!((offline.code, silent.code), (Code::DeviceOffline, Code::DeviceTimeout));
        assert!(offline.hint.is_some() && silent.hint.is_some());
    }

    #[test]
    fn a_wrong_part_of_a_connection_string_is_named() {
        let error: AppError = hub_protocol::ServiceConnectionString::parse("HostName=h")
            .unwrap_err()
            .into();
        assert!(error.message.contains("SharedAccessKey"), "{}", error.message);
    }
}
