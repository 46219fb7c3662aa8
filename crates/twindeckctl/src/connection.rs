//! Which hub, with which key, and whom to trust.

use std::path::PathBuf;

use clap::Args;
use hub_client::HubClient;
use hub_protocol::ServiceConnectionString;
use rustls::ClientConfig;
use twindeck_app::{AppError, Code, trust};

use crate::failure::{Failure, Result};

const VARIABLE: &str = "IOTHUB_CONNECTION_STRING";

/// The connection string itself is never an argument: other programs could read it there.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Trust only the certificate authority in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Read the hub's connection string from this file instead of IOTHUB_CONNECTION_STRING
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) connection_string_file: Option<PathBuf>,
}

/// A hub to talk to.
pub(crate) struct Target {
    pub(crate) client: HubClient,
    pub(crate) connection: ServiceConnectionString,
    pub(crate) tls: ClientConfig,
}

impl Connection {
    /// Reads and checks everything; nothing is sent.
    pub(crate) fn open(&self) -> Result<Target> {
        let connection = ServiceConnectionString::parse(&self.text()?).map_err(|error| Failure::Usage(error.into()))?;
        let tls = match &self.ca_file {
            Some(file) => trust::only(file).map_err(Failure::Usage)?,
            None => trust::system()?,
        };
        let client = HubClient::new(connection.clone(), tls.clone())?;
        Ok(Target {
            client,
            connection,
            tls,
        })
    }

    fn text(&self) -> Result<String> {
        if let Some(file) = &self.connection_string_file {
            return std::fs::read_to_string(file).map_err(|error| {
                let text = format!("The file {} cannot be read: {error}.", file.display());
                Failure::usage(text, "It holds the hub's connection string and nothing else.")
            });
        }
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(text),
            Err(_) => {
                let error = AppError::new(Code::InvalidConnectionString, "No connection string was given.");
                let hint = format!("Set {VARIABLE}, or name a file with --connection-string-file.");
                Err(Failure::Usage(error.hint(hint)))
            }
        }
    }
}

impl Target {
    /// Whether the hub is on this machine, where asking it often costs nothing.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        let host = self.connection.host();
        host.eq_ignore_ascii_case("localhost") || host.starts_with("127.")
    }
}
