//! Fleets: what repeats, what is kept, and what is not lost.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use device_sim::{
    ConsoleKind, DeviceState, Fault, FaultKind, FleetEvent, FleetFile, Member, News, SimError, SimulatedDevice, Time,
};
use futures_util::future::join_all;
use hub_protocol::{DeviceId, message::SystemProperty, method::MethodRequest};
use local_hub::{EventLog, HubEvent, MessageSource, Start, TwinSection};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::support::{
    object, soon,
    update::Packages,
    world::{World, create_devices, event, reported, simulated, start_all},
};

/// Each group has the faults of one kind, so that what is compared hangs on no race: updates fail
/// or not, doors answer or not, meters come and go.
const MIXED: &str = r#"
name = "mixed"
seed = 7

[[devices]]
count = 12
id = "pump-{number:4}"
model = "firmware-a"
timeScale = 0.005
faults = [
  { kind = "wrongChecksum", devices = 0.2 },
  { kind = "noSpace", devices = 0.2 },
  { kind = "applyFails", devices = 0.2, chance = 0.5 },
  { kind = "rollsBack", devices = 0.2 },
  { kind = "bootLoop", times = 2, devices = 0.2 },
  { kind = "cutDownload", afterBytes = 200000, devices = 0.5, chance = 0.7 },
]

[[devices]]
count = 6
id = "door-{number:4}"
model = "lock-door"
timeScale = 0.005
faults = [
  { kind = "wrongAnswer", status = 500, chance = 0.4 },
  { kind = "lateAnswer", by = "20ms", devices = 0.5 },
]

[[devices]]
count = 4
id = "meter-{number:4}"
model = "thermostat"
faults = [
  { kind = "offline", after = "400ms", lasts = "50ms", devices = 0.5 },
  { kind = "flapping", every = "1s", lasts = "50ms" },
]
"#;

/// One device's story, without times.
type Story = BTreeMap<DeviceId, Vec<String>>;

fn device(
    member: Member,
    connections: &mut HashMap<DeviceId, hub_protocol::DeviceConnectionString>,
) -> SimulatedDevice {
    SimulatedDevice {
        connection: connections.remove(&member.id).unwrap(),
        model: member.model,
        time_scale: member.time_scale,
        seed: member.seed,
        memory: object(json!({})),
        faults: member.faults,
    }
}

fn state(state: &DeviceState) -> String {
    match state {
        DeviceState::Connecting => "connecting".into(),
        DeviceState::Connected => "connected".into(),
        DeviceState::Waiting { reason, .. } => format!("waiting: {reason}"),
        DeviceState::Refused { reason, .. } => format!("refused: {reason}"),
        DeviceState::Stopped => "stopped".into(),
    }
}

/// States that were told, by device.
fn states(news: &mut Receiver<FleetEvent>) -> Story {
    let mut story = Story::new();
    while let Ok(event) = news.try_recv() {
        if let News::State(told) = event.news {
            story.entry(event.device_id).or_default().push(state(&told));
        }
    }
    story
}

async fn run_mixed() -> Story {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let file = FleetFile::parse(MIXED, &|_| None).unwrap();
    let mut connections = HashMap::new();
    for (prefix, count) in [("pump", 12), ("door", 6), ("meter", 4)] {
        let created = create_devices(&world.client, prefix, count).await;
        connections.extend(created.into_iter().map(|device| (device.device_id.clone(), device)));
    }
    let fleet = world.fleet();
    let mut news = fleet.subscribe();
    let mut events = world.hub.subscribe();
    let devices: Vec<_> = file.members().map(|member| device(member, &mut connections)).collect();
    let ids: Vec<DeviceId> = devices
        .iter()
        .map(|device| device.connection.device_id.clone())
        .collect();
    let of = |prefix: &str| {
        ids.iter()
            .filter(|id| id.as_str().starts_with(prefix))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (pumps, doors, meters) = (of("pump"), of("door"), of("meter"));
    fleet.start(devices);
    soon("the pumps and doors", async {
        let reached = |id: &DeviceId| fleet.state(id) == Some(DeviceState::Connected);
        let mut changes = fleet.subscribe();
        while !pumps.iter().chain(&doors).all(reached) {
            let _ = changes.recv().await;
        }
    })
    .await;

    let mut story = Story::new();
    let firmware = packages.firmware();
    for pump in &pumps {
        let order = json!({ "fwPackageUri": firmware.uri, "sha256": firmware.sha256, "fwVersion": "2.0.0" });
        let request = MethodRequest::new("firmwareUpdate", order);
        assert_eq!(world.client.invoke_method(pump, &request).await.unwrap().status, 200);
    }
    for door in &doors {
        for _ in 0..8 {
            let answer = world
                .client
                .invoke_method(door, &MethodRequest::new("lockDoor", Value::Null))
                .await;
            let answered = format!("answered {}", answer.unwrap().status);
            story.entry(door.clone()).or_default().push(answered);
        }
    }
    // To the end of each update: what was reported, in order.
    let mut running = pumps.len();
    while running > 0 {
        let (pump, status, error) = event(&mut events, "an update to end", |event| match event {
            HubEvent::TwinChanged {
                section: TwinSection::Reported,
                patch,
                twin,
                ..
            } => {
                let status = patch.get("firmwareStatus")?.as_str()?.to_owned();
                let error = patch.get("firmwareError").map(|error| error["code"].to_string());
                Some((twin.device_id.clone(), status, error))
            }
            _ => None,
        })
        .await;
        running -= usize::from(matches!(status.as_str(), "completed" | "failed"));
        story.entry(pump).or_default().push(format!("{status} {error:?}"));
    }
    // Meters until each was away three times.
    let mut away: BTreeMap<DeviceId, usize> = meters.iter().map(|meter| (meter.clone(), 0)).collect();
    let mut told = states(&mut news);
    soon("the meters to come and go", async {
        loop {
            for (meter, count) in &mut away {
                *count = told
                    .get(meter)
                    .map_or(0, |states| states.iter().filter(|s| s.contains("fault")).count());
            }
            if away.values().all(|count| *count >= 3) {
                return;
            }
            if let Ok(FleetEvent {
                device_id,
                news: News::State(now),
            }) = news.recv().await
            {
                told.entry(device_id).or_default().push(state(&now));
            }
        }
    })
    .await;
    for (id, mut states) in told {
        if id.as_str().starts_with("meter") {
            // How far each got when the last was away the third time is a matter of time.
            states.truncate(7);
        }
        story.entry(id).or_default().extend(states);
    }
    // What pumps remember, but for when they booted.
    for pump in &pumps {
        let mut memory = fleet.memory(pump).unwrap();
        memory.remove("lastBoot");
        story
            .entry(pump.clone())
            .or_default()
            .push(Value::from(memory).to_string());
    }
    fleet.stop_all().await;
    story
}

#[tokio::test]
async fn a_fleet_file_with_mixed_faults_gives_the_same_states_in_three_runs() {
    let first = run_mixed().await;
    let whole = format!("{first:?}");
    for seen in [
        "completed",
        "failed",
        "rolledBack",
        "checksumMismatch",
        "noSpace",
        "answered 500",
        "kept offline",
    ] {
        assert!(whole.contains(seen), "{seen} did not happen: {whole}");
    }
    for _ in 0..2 {
        assert_eq!(run_mixed().await, first);
    }
}

#[tokio::test]
async fn what_a_device_remembers_survives_a_restart_of_its_fleet() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let pump = world.device("pump").await;
    let id = pump.device_id.clone();
    let fleet = world.fleet();
    let mut news = fleet.subscribe();
    start_all(&fleet, vec![simulated(pump.clone(), "firmware-c")]).await;
    let firmware = packages.firmware();
    let desired = json!({ "firmware": { "fwVersion": "2.0.0", "fwPackageURI": firmware.uri } });
    let patch = hub_protocol::twin::TwinPatch::desired(object(desired));
    world
        .client
        .update_twin(&id, &patch, hub_client::IfMatch::Any)
        .await
        .unwrap();
    let kept = soon("the new version", async {
        let mut memory = object(json!({}));
        // The last it remembers is that the desired version was handled.
        while !memory.contains_key("$handled") {
            if let News::Memory(told) = news.recv().await.unwrap().news {
                memory = told;
            }
        }
        memory
    })
    .await;
    assert_eq!(kept["firmwareVersion"], "2.0.0");
    assert_eq!(fleet.memory(&id), Some(kept.clone()));
    fleet.stop_all().await;
    assert_eq!(fleet.memory(&id), None);

    let mut events = world.hub.subscribe();
    let fleet = world.fleet();
    let again = SimulatedDevice {
        memory: kept,
        ..simulated(pump, "firmware-c")
    };
    start_all(&fleet, vec![again]).await;
    let firmware = reported(&mut events, &id, "firmware").await;
    assert_eq!(
        (&firmware["currentFwVersion"], &firmware["fwUpdateStatus"]),
        (&json!("2.0.0"), &json!("current"))
    );
    assert_eq!(
        fleet.counters().bytes_downloaded,
        0,
        "the version is not installed again"
    );
}

#[tokio::test]
async fn a_power_cut_ends_what_runs_and_the_device_boots_with_its_memory() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let pump = world.device("pump").await;
    let id = pump.device_id.clone();
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let slow = FaultKind::SlowDownload { bytes_per_second: 1000 };
    let device = SimulatedDevice {
        faults: vec![slow.into()],
        ..simulated(pump, "firmware-l")
    };
    start_all(&fleet, vec![device]).await;
    let order = json!({ "packageUri": packages.firmware().uri, "version": "2.0.0" });
    world
        .client
        .invoke_method(&id, &MethodRequest::new("firmwareUpdate", order.clone()))
        .await
        .unwrap();
    let state = async |events: &mut _, wanted: u64| loop {
        if reported(events, &id, "firmware").await["state"] == wanted {
            return;
        }
    };
    state(&mut events, 1).await;
    fleet.restart(&id).await.unwrap();
    state(&mut events, 0).await;
    assert_eq!(fleet.counters().restarts, 1);
    // The update that was cut off holds nothing up.
    fleet.set_faults(&id, Vec::new()).unwrap();
    let mut request = MethodRequest::new("firmwareUpdate", order);
    request.connect_timeout_in_seconds = 10;
    assert_eq!(world.client.invoke_method(&id, &request).await.unwrap().status, 200);
    soon("the update", async {
        while fleet.memory(&id).unwrap().get("firmwareVersion") != Some(&json!("2.0.0")) {
            reported(&mut events, &id, "firmware").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_download_that_breaks_off_is_resumed_and_no_byte_comes_twice() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let pump = world.device("pump").await;
    let id = pump.device_id.clone();
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let cut = FaultKind::CutDownload {
        after_bytes: packages.imported.size / 3,
    };
    let device = SimulatedDevice {
        faults: vec![cut.into()],
        ..simulated(pump, "firmware-a")
    };
    start_all(&fleet, vec![device]).await;
    let firmware = packages.firmware();
    let order = json!({ "fwPackageUri": firmware.uri, "sha256": firmware.sha256 });
    world
        .client
        .invoke_method(&id, &MethodRequest::new("firmwareUpdate", order))
        .await
        .unwrap();
    let ids = [id.clone()];
    crate::support::world::reported_until(&mut events, &ids, "firmwareStatus", "completed").await;
    assert_eq!(fleet.counters().bytes_downloaded, packages.imported.size);
    let (lines, _) = fleet.console(&id).unwrap();
    assert!(lines.iter().any(|line| line.text.contains("broke off")), "{lines:?}");
}

fn offline() -> Fault {
    let away = FaultKind::Offline {
        after: Time::ZERO,
        lasts: Duration::from_secs(1000).into(),
    };
    away.into()
}

#[tokio::test]
async fn telemetry_of_a_device_offline_is_delivered_later_but_for_the_oldest() {
    let world = World::start().await;
    let fleet = world.fleet();
    let pump = world.device("pump").await;
    let id = pump.device_id.clone();
    start_all(&fleet, vec![simulated(pump, "reboot")]).await;
    let mut news = fleet.subscribe();
    fleet.set_faults(&id, vec![offline()]).unwrap();
    soon("the device to go", async {
        while !matches!(
            news.recv().await.unwrap().news,
            News::State(DeviceState::Waiting { .. })
        ) {}
    })
    .await;
    let mut reader = world
        .hub
        .log()
        .reader(EventLog::partition_of(id.as_str()), Start::Newest);
    let bodies: Vec<Value> = (0..205).map(|number| json!({ "n": number })).collect();
    let sending = join_all(bodies.iter().map(|body| fleet.send_telemetry(&id, body)));
    let heard = async {
        soon("the oldest to go", async {
            while fleet.counters().messages_dropped < 5 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        fleet.set_faults(&id, Vec::new()).unwrap();
        let mut heard = Vec::new();
        while heard.len() < 200 {
            for event in soon("telemetry", reader.next(50)).await {
                if event.source == MessageSource::Telemetry {
                    heard.push(event);
                }
            }
        }
        heard
    };
    let (sent, heard) = tokio::join!(sending, heard);
    assert!(
        sent[..5].iter().all(|sent| *sent == Err(SimError::Dropped)),
        "{:?}",
        &sent[..6]
    );
    assert!(sent[5..].iter().all(Result::is_ok));
    let numbers: Vec<u64> = heard
        .iter()
        .map(|event| {
            serde_json::from_slice::<Value>(&event.body).unwrap()["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers, (5..205).collect::<Vec<_>>());
    assert!(
        heard
            .iter()
            .all(|event| event.properties.system.contains_key(&SystemProperty::CreationTime))
    );
    assert_eq!(fleet.counters().messages_sent, 200);
}

#[tokio::test]
async fn a_model_s_telemetry_is_heard_and_its_plug_and_play_model_told() {
    let world = World::start().await;
    let fleet = world.fleet();
    let model = r#"
        name = "meter"
        title = "Meter"
        about = "Counts"
        modelId = "dtmi:com:example:Meter;1"
        [telemetry.reading]
        every = "100ms"
        [telemetry.reading.values]
        site = { constant = "north" }
        level = { csv = { rows = [1, 2, 3] } }
    "#;
    let model = device_sim::Model::parse(model, &|_| None).unwrap();
    let meter = world.device("meter").await;
    let id = meter.device_id.clone();
    let mut reader = world
        .hub
        .log()
        .reader(EventLog::partition_of(id.as_str()), Start::Newest);
    let device = SimulatedDevice {
        model: model.into(),
        ..simulated(meter, "reboot")
    };
    start_all(&fleet, vec![device]).await;
    let mut levels = Vec::new();
    while levels.len() < 4 {
        for event in soon("telemetry", reader.next(1)).await {
            if event.source == MessageSource::Telemetry {
                let body: Value = serde_json::from_slice(&event.body).unwrap();
                assert_eq!(body["site"], "north");
                levels.push(body["level"].as_u64().unwrap());
            }
        }
    }
    assert_eq!(levels, [1, 2, 3, 1]);
    assert_eq!(world.twin(&id).await.model_id, "dtmi:com:example:Meter;1");
}

#[tokio::test]
async fn a_console_tells_what_a_device_received_sent_and_did() {
    let world = World::start().await;
    let fleet = world.fleet();
    let door = world.device("door").await;
    let id = door.device_id.clone();
    start_all(&fleet, vec![simulated(door, "lock-door")]).await;
    let (before, mut lines) = fleet.console(&id).unwrap();
    assert!(before.iter().any(|line| line.text == "is connected"), "{before:?}");
    let request = MethodRequest::new("lockDoor", json!({ "lockTime": "10m" }));
    world.client.invoke_method(&id, &request).await.unwrap();
    let mut next = async || soon("a line", lines.recv()).await.unwrap();
    let (called, reported, answered) = (next().await, next().await, next().await);
    assert_eq!(
        (called.kind, called.text.as_str()),
        (ConsoleKind::Received, "method lockDoor")
    );
    assert_eq!(called.detail.as_deref(), Some("{\"lockTime\":\"10m\"}"));
    assert_eq!(
        (reported.kind, reported.text.as_str()),
        (ConsoleKind::Sent, "reported lock")
    );
    assert_eq!(
        (answered.kind, answered.text.as_str()),
        (ConsoleKind::Sent, "answered lockDoor with 200")
    );
    assert_eq!(answered.sequence, called.sequence + 2);
}

#[tokio::test]
async fn a_change_of_desired_properties_while_a_device_is_away_is_learnt_when_it_is_back() {
    let world = World::start().await;
    let fleet = world.fleet();
    let meter = world.device("meter").await;
    let id = meter.device_id.clone();
    start_all(&fleet, vec![simulated(meter, "thermostat")]).await;
    let mut events = world.hub.subscribe();
    fleet.set_faults(&id, vec![offline()]).unwrap();
    event(&mut events, "the device to go", |event| match event {
        HubEvent::ConnectionChanged { connected: false, .. } => Some(()),
        _ => None,
    })
    .await;
    for target in [20, 25] {
        let patch = hub_protocol::twin::TwinPatch::desired(object(json!({ "targetTemperature": target })));
        world
            .client
            .update_twin(&id, &patch, hub_client::IfMatch::Any)
            .await
            .unwrap();
    }
    fleet.set_faults(&id, Vec::new()).unwrap();
    soon("the acknowledgement", async {
        loop {
            let told = reported(&mut events, &id, "targetTemperature").await;
            assert_eq!(told["value"], 25, "only the last is handled");
            if told["ac"] == 200 {
                return;
            }
        }
    })
    .await;
}
