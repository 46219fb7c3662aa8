//! `demo`: the whole product in one terminal, on nothing but this machine.

use std::{path::Path, sync::Arc};

use device_sim::{DeviceState, Fleet, FleetOptions, Member};
use hub_client::HubClient;
use hub_protocol::DeviceId;
use local_hub::{LocalHub, LocalHubConfig};
use twindeck_app::{AppError, packages, trust, watch::Source};

use crate::{
    arguments::Speed,
    connection::Target,
    failure::{Failure, Result},
    firmware::{Update, serve, temporary_dir},
    output::Output,
    simulate::{plan, prepare},
    stop::Stop,
};

const DEVICES: u32 = 20;

pub(crate) async fn run(output: Output) -> Result<()> {
    let mut stop = Stop::listen()?;
    let dir = temporary_dir()?;
    let hub = LocalHub::start(LocalHubConfig::on_free_ports(dir.path().join("hub")))
        .await
        .map_err(AppError::from)?;
    let addresses = hub.addresses();
    let (https, mqtt) = (addresses.https_port, addresses.mqtt_port);
    output.progress(&format!(
        "A hub runs on this machine: HTTPS on port {https}, MQTT over TLS on port {mqtt}."
    ));
    let done = update(&hub, &mut stop, output).await;
    hub.shutdown().await;
    done
}

async fn update(hub: &LocalHub, stop: &mut Stop, output: Output) -> Result<()> {
    let events = hub.subscribe();
    let connection = hub.service_connection_string();
    let tls = trust::only(&hub.addresses().ca_file)?;
    let target = Target {
        client: HubClient::new(connection.clone(), tls.clone())?,
        connection,
        tls,
    };
    let prefix = DeviceId::new("demo").map_err(|error| Failure::Usage(error.into()))?;
    let members = plan::uniform(&prefix, DEVICES, "firmware-a", Speed::Fast.time_scale(), Path::new(""))?;
    let members: Vec<Member> = members.members().collect();
    let ids = members.iter().map(|member| member.id.clone()).collect();
    let fleet = tokio::select! {
        () = stop.requested() => return Err(stopped()),
        fleet = connect(hub, &target, members, output) => fleet?,
    };
    output.progress(&format!("{DEVICES} simulated devices are created and connected."));

    let dir = temporary_dir()?;
    let package = packages::import_sample(dir.path()).await?;
    let (_server, firmware) = serve(&dir, &package).await?;
    output.progress(&format!("They update to {} ({} bytes):", package.name, package.size));
    let update = Update {
        target: &target,
        source: Source::Events(events),
        firmware,
        ids,
    };
    let done = update.run(stop, output).await;
    let downloaded = fleet.counters().bytes_downloaded;
    fleet.stop_all().await;
    output.progress(&format!(
        "Together they downloaded {downloaded} bytes. The hub and its devices are gone again."
    ));
    done
}

fn stopped() -> Failure {
    Failure::internal("Stopped before the update began.")
}

async fn connect(hub: &LocalHub, target: &Target, members: Vec<Member>, output: Output) -> Result<Fleet> {
    let devices = prepare(target, members, None, output).await?;
    let fleet = Fleet::new(FleetOptions {
        mqtt_port: hub.addresses().mqtt_port,
        ..FleetOptions::new(Arc::new(target.tls.clone()), target.tls.clone())
    })
    .map_err(|error| Failure::internal(error.to_string()))?;
    let mut events = fleet.subscribe();
    fleet.start(devices);
    while fleet.states().iter().any(|(_, state)| *state != DeviceState::Connected) {
        // Falling behind is no matter: the states are looked at afresh.
        let _ = events.recv().await;
    }
    Ok(fleet)
}
