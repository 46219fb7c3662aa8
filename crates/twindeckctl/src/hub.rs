//! `hub serve`: the local hub without a window.

use std::path::PathBuf;

use local_hub::{Fixture, HttpsPort, Limits, LocalHub, LocalHubConfig};
use serde_json::json;

use crate::{
    arguments::{Hub, Serve},
    failure::{Failure, Result},
    output::{self, Output},
    stop::Stop,
};

pub(crate) async fn run(command: Hub, output: Output) -> Result<()> {
    let Hub::Serve(arguments) = command;
    // Goes, with all that is in it, when this function ends.
    let temporary = arguments.ephemeral.then(tempfile::tempdir).transpose();
    let temporary = temporary.map_err(|error| {
        Failure::usage(
            format!("No temporary folder can be made: {error}."),
            "Name a folder with --data-dir instead.",
        )
    })?;
    let config = config(arguments, temporary.as_ref().map(|folder| folder.path().to_owned()))?;
    let mut stop = Stop::listen()?;
    let hub = LocalHub::start(config).await.map_err(twindeck_app::AppError::from)?;
    let addresses = hub.addresses();
    if let Some(note) = &addresses.note {
        output::note(&format!("note: {note}"));
    }
    // Whoever started this needs the key to use the hub; it is the hub's own, made here.
    let ready = json!({
        "ready": true,
        "hostName": addresses.host_name,
        "mqttPort": addresses.mqtt_port,
        "httpsPort": addresses.https_port,
        "caFile": addresses.ca_file,
        "serviceConnectionString": hub.service_connection_string().to_secret().expose(),
    });
    let printed = output.json_line(&ready);
    if printed.is_ok() {
        stop.requested().await;
    }
    hub.shutdown().await;
    printed
}

fn config(arguments: Serve, temporary: Option<PathBuf>) -> Result<LocalHubConfig> {
    let data_dir = temporary
        .or(arguments.data_dir)
        .or_else(default_data_dir)
        .ok_or_else(|| {
            Failure::usage(
                "There is no home folder to keep the hub in.",
                "Name a folder with --data-dir.",
            )
        })?;
    let data_dir = std::path::absolute(data_dir)
        .map_err(|error| Failure::usage(format!("The data folder cannot be used: {error}."), "Name another one."))?;
    let fixture = arguments.fixture.as_deref().map(Fixture::read).transpose();
    let fixture = fixture.map_err(|error| {
        Failure::usage(
            format!("{error}."),
            "docs/local-hub.md shows what a fixture looks like.",
        )
    })?;
    Ok(LocalHubConfig {
        bind: arguments.bind,
        mqtt_port: arguments.mqtt_port,
        https_port: arguments.https_port.map_or(HttpsPort::Preferred, HttpsPort::Exactly),
        host_name: arguments.hostname,
        fixture,
        limits: arguments.s1_limits.map(Limits::s1),
        ..LocalHubConfig::new(data_dir)
    })
}

/// Not the window's folder: both may run a hub of their own.
fn default_data_dir() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("twindeckctl").join("hub"))
}
