//! `simulate`: devices that live as long as this program.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use device_sim::{DeviceState, Fleet, FleetOptions, SimulatedDevice};
use hub_client::HubClient;
use hub_protocol::{
    DeviceConnectionString, DeviceId, ErrorCode,
    identity::{Authentication, ExportImportDevice, ImportMode, MAX_BULK, SymmetricKey},
    merge::Object,
    sas::SasKey,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::task::JoinSet;
use twindeck_app::{AppError, Code, trust};

use crate::{
    arguments::Simulate,
    connection::Target,
    device::device_connection,
    failure::{Failure, Result},
    output::Output,
    stop::Stop,
};

/// Reads under way at once.
const READS: usize = 16;

pub(crate) async fn run(arguments: Simulate, target: &Target, output: Output) -> Result<()> {
    let model = arguments.model;
    let prefix = arguments.prefix.as_ref().map_or(model.name(), DeviceId::as_str);
    let ids = names(prefix, arguments.count)?;
    let mut stop = Stop::listen()?;
    let connections = tokio::select! {
        () = stop.requested() => return Ok(()),
        connections = registered(&target.client, target.connection.host(), &ids) => connections?,
    };
    let fleet = Fleet::new(FleetOptions {
        mqtt_port: arguments.mqtt_port,
        connects_per_second: arguments.connects_per_second,
        ..FleetOptions::new(
            Arc::new(target.tls.clone()),
            // Packages may come from anywhere, also where the hub's own authority says nothing.
            trust::system().unwrap_or_else(|_| target.tls.clone()),
        )
    })
    .map_err(|error| Failure::internal(error.to_string()))?;
    let devices = connections
        .into_iter()
        .enumerate()
        .map(|(seed, connection)| SimulatedDevice {
            connection,
            model: Arc::clone(&model),
            time_scale: arguments.speed.time_scale(),
            seed: seed as u64,
            memory: Object::new(),
            faults: Vec::new(),
        });
    fleet.start(devices.collect());
    let followed = tokio::select! {
        () = stop.requested() => Ok(()),
        followed = follow(&fleet, ids.len(), output) => followed,
    };
    fleet.stop_all().await;
    followed
}

/// `pump-0001`, `pump-0002`, …
pub(crate) fn names(prefix: &str, count: u32) -> Result<Vec<DeviceId>> {
    let name = |number| DeviceId::new(format!("{prefix}-{number:04}")).map_err(|error| Failure::Usage(error.into()));
    (1..=count).map(name).collect()
}

/// Creates missing devices with keys made here; those that exist keep theirs.
pub(crate) async fn registered(
    client: &HubClient,
    host: &str,
    ids: &[DeviceId],
) -> Result<Vec<DeviceConnectionString>> {
    let mut connections = HashMap::new();
    for chunk in ids.chunks(MAX_BULK) {
        let mut items = Vec::new();
        for id in chunk {
            let key = new_key()?;
            items.push(new_device(id, &key)?);
            let connection = DeviceConnectionString {
                host_name: host.to_owned(),
                device_id: id.clone(),
                key,
                gateway_host_name: None,
            };
            connections.insert(id.clone(), connection);
        }
        let result = client.bulk(&items).await?;
        let mut existing = BTreeSet::new();
        for error in result.errors {
            let exists = ErrorCode::DeviceAlreadyExists;
            let is_about_existence =
                error.error_code == json!(exists.name()) || error.error_code == json!(exists.number());
            match DeviceId::new(&error.device_id) {
                Ok(id) if is_about_existence => existing.insert(id),
                _ => return Err(not_created(&error.device_id, &error.error_code, &error.error_status)),
            };
        }
        connections.extend(read(client, host, existing).await?);
    }
    Ok(ids.iter().filter_map(|id| connections.remove(id)).collect())
}

fn not_created(id: &str, code: &serde_json::Value, status: &str) -> Failure {
    AppError::new(Code::Internal, format!("{id} could not be created: {status} ({code})."))
        .hint("Devices created before it stay.")
        .into()
}

async fn read(
    client: &HubClient,
    host: &str,
    ids: BTreeSet<DeviceId>,
) -> Result<Vec<(DeviceId, DeviceConnectionString)>> {
    let mut ids = ids.into_iter();
    let mut reads = JoinSet::new();
    let mut connections = Vec::new();
    loop {
        while reads.len() < READS
            && let Some(id) = ids.next()
        {
            let client = client.clone();
            reads.spawn(async move { client.device(&id).await });
        }
        let Some(read) = reads.join_next().await else {
            return Ok(connections);
        };
        let device = read.map_err(|error| Failure::internal(error.to_string()))??;
        connections.push((device.device_id.clone(), device_connection(&device, host)?));
    }
}

fn new_key() -> Result<SasKey> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(format!("No key can be made: {error}.")))?;
    SasKey::from_bytes(bytes).map_err(|error| Failure::internal(error.to_string()))
}

fn new_device(id: &DeviceId, primary: &SasKey) -> Result<ExportImportDevice> {
    let secondary = new_key()?;
    Ok(ExportImportDevice {
        import_mode: Some(ImportMode::Create),
        authentication: Some(Authentication {
            symmetric_key: SymmetricKey::from_keys(primary, &secondary),
            ..Authentication::default()
        }),
        ..ExportImportDevice::new(id.clone())
    })
}

/// Tells how the fleet is, without end.
async fn follow(fleet: &Fleet, count: usize, output: Output) -> Result<()> {
    let mut events = fleet.subscribe();
    let status = if output.is_json() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new_spinner()
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        status.set_style(style);
    }
    let mut announced = false;
    loop {
        let states: Vec<DeviceState> = fleet.states().into_iter().map(|(_, state)| state).collect();
        status.set_message(sentence(&states));
        status.tick();
        let connected = states.iter().filter(|state| **state == DeviceState::Connected).count();
        if connected == count && !announced {
            announced = true;
            let text = || format!("{count} devices are connected. Stop with Ctrl+C.");
            status.suspend(|| output.result(text, &json!({ "ready": true, "connected": connected })))?;
        }
        // The next change, and what comes with it.
        let _ = events.recv().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        events = events.resubscribe();
    }
}

fn sentence(states: &[DeviceState]) -> String {
    let mut connected = 0;
    let mut waiting = 0;
    let mut refused = 0;
    let mut reason = None;
    for state in states {
        match state {
            DeviceState::Connected => connected += 1,
            DeviceState::Waiting { reason: why, .. } => {
                waiting += 1;
                reason = reason.or(Some(why));
            }
            DeviceState::Refused { reason: why, .. } => {
                refused += 1;
                reason = reason.or(Some(why));
            }
            DeviceState::Connecting | DeviceState::Stopped => {}
        }
    }
    let mut text = format!("{connected} of {} connected", states.len());
    for (number, word) in [(waiting, "waiting"), (refused, "refused")] {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_numbered_after_their_prefix() {
        let ids = names("pump", 2).unwrap();
        assert_eq!(
            ids.iter().map(DeviceId::as_str).collect::<Vec<_>>(),
            ["pump-0001", "pump-0002"]
        );
        assert!(matches!(names(&"x".repeat(127), 1), Err(Failure::Usage(_))));
    }

    #[test]
    fn the_status_line_counts_and_names_a_reason() {
        let refused = DeviceState::Refused {
            reason: "wrong key".into(),
            retry_in: Duration::ZERO,
        };
        let states = [DeviceState::Connected, DeviceState::Connecting, refused];
        assert_eq!(sentence(&states), "1 of 3 connected, 1 refused: wrong key");
    }

    #[test]
    fn a_new_device_brings_two_keys_that_differ() {
        let id = DeviceId::new("d").unwrap();
        let device = new_device(&id, &new_key().unwrap()).unwrap();
        let (primary, secondary) = device.authentication.unwrap().symmetric_key.keys().unwrap().unwrap();
        assert_ne!(primary, secondary);
    }
}
