//! Why a command did not succeed, and which exit code says so.

use std::process::ExitCode;

use hub_client::ClientError;
use twindeck_app::{AppError, Code};

#[derive(Debug)]
pub(crate) enum Failure {
    /// Found wrong before anything was done: exit code 2.
    Usage(AppError),
    /// Exit code 1.
    Failed(AppError),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage(AppError::invalid(message).hint(hint))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Failed(AppError::new(Code::Internal, message))
    }

    pub(crate) fn error(&self) -> &AppError {
        match self {
            Self::Usage(error) | Self::Failed(error) => error,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        })
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::InvalidRequest { .. } => Self::Usage(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_sent_is_a_usage_error_and_what_the_hub_refused_is_not() {
        let unsent: Failure = ClientError::InvalidRequest { reason: "r".into() }.into();
        let refused: Failure = ClientError::Hub {
            status: 400,
            code: None,
            message: "m".into(),
        }
        .into();
        assert!(matches!(unsent, Failure::Usage(_)));
        assert!(matches!(refused, Failure::Failed(_)));
    }
}
