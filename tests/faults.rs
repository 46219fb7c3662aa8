//! What each model does with each fault, seen from the hub's side only: its methods, its twin and
//! its connections.

use std::{collections::BTreeMap, time::Duration};

use device_sim::{Fault, FaultKind, Fleet, Model, SimulatedDevice, Time};
use hub_client::IfMatch;
use hub_protocol::{DeviceId, Timestamp, merge::Object, method::MethodRequest, twin::TwinPatch};
use local_hub::{HubEvent, TwinSection};
use serde_json::{Value, json};
use tokio::{sync::broadcast::Receiver, time::Instant};
use twindeck_app::firmware::Firmware;

use crate::support::{
    object, soon,
    update::Packages,
    world::{World, connection, event, simulated, start_all},
};

/// How each firmware schema is ordered to update, and how it tells the end.
const UPDATED: [&str; 5] = ["firmware-a", "firmware-b", "firmware-c", "firmware-l", "device-jobs"];

/// A call that each model answers.
const CALLED: [(&str, &str); 9] = [
    ("reboot", "rebootDevice"),
    ("lock-door", "lockDoor"),
    ("factory-reset", "factoryReset"),
    ("firmware-a", "rebootDevice"),
    ("firmware-b", "reboot"),
    ("firmware-c", "reboot"),
    ("firmware-l", "reboot"),
    ("device-jobs", "reboot"),
    ("thermostat", "getMaxMinReport"),
];

fn milliseconds(count: u64) -> Time {
    Duration::from_millis(count).into()
}

async fn with_fault(world: &World, name: &str, model: &str, fault: Option<FaultKind>) -> SimulatedDevice {
    let created = hub_protocol::identity::DeviceIdentity::new(crate::support::id(name));
    let created = world.client.create_device(&created).await.unwrap();
    SimulatedDevice {
        faults: fault.map(Fault::from).into_iter().collect(),
        ..simulated(connection(&created), model)
    }
}

/// Started and connected; the device ids in the order given.
async fn run(fleet: &Fleet, devices: Vec<SimulatedDevice>) -> Vec<DeviceId> {
    let ids = devices
        .iter()
        .map(|device| device.connection.device_id.clone())
        .collect();
    start_all(fleet, devices).await;
    ids
}

async fn call(world: &World, device: &DeviceId, method: &str, payload: Value) -> (u16, Value) {
    let mut request = MethodRequest::new(method, payload);
    request.response_timeout_in_seconds = 5;
    request.connect_timeout_in_seconds = 5;
    match world.client.invoke_method(device, &request).await {
        Ok(answer) => (u16::try_from(answer.status).unwrap(), answer.payload),
        Err(hub_client::ClientError::Hub { status, .. }) => (status, Value::Null),
        Err(error) => panic!("{device}: {error}"),
    }
}

/// Tells a device to become version 2.0.0.
async fn order(world: &World, device: &DeviceId, model: &str, firmware: &Firmware) {
    let (uri, sha256) = (&firmware.uri, &firmware.sha256);
    let payload = match model {
        "firmware-c" => {
            let desired = json!({
                "firmware": { "fwVersion": "2.0.0", "fwPackageURI": uri, "fwPackageCheckValue": sha256 },
            });
            let patch = TwinPatch::desired(object(desired));
            world.client.update_twin(device, &patch, IfMatch::Any).await.unwrap();
            return;
        }
        "firmware-l" => json!({ "packageUri": uri, "sha256": sha256, "version": "2.0.0" }),
        "device-jobs" => json!({ "packageUri": uri, "sha256": sha256, "version": "2.0.0" }),
        _ => json!({ "fwPackageUri": uri, "sha256": sha256, "fwVersion": "2.0.0" }),
    };
    loop {
        match call(world, device, "firmwareUpdate", payload.clone()).await.0 {
            200 | 202 => return,
            // Its connection went between the call and the answer. The update may be under way, or
            // be over already.
            504 | 404 if end(model, &world.twin(device).await.properties.reported.values).is_none() => {}
            504 | 404 | 409 => return,
            status => panic!("{device}: {status}"),
        }
    }
}

/// How an update ended, as the schema says it: `done`, or the error's code.
fn end(model: &str, reported: &Object) -> Option<String> {
    let error = |value: &Value| Some(value["code"].as_str()?.to_owned());
    let of = |name: &str| reported.get(name).cloned().unwrap_or_default();
    let done = Some("done".to_owned());
    match model {
        "firmware-a" => match of("firmwareStatus").as_str()? {
            "completed" => done,
            "failed" => error(&of("firmwareError")),
            _ => None,
        },
        "firmware-b" => {
            let update = of("iothubDM")["firmwareUpdate"].clone();
            match update["status"].as_str()? {
                "applyComplete" => done,
                "downloadFailed" | "applyFailed" => error(&update["error"]),
                _ => None,
            }
        }
        "firmware-c" => {
            let firmware = of("firmware");
            match firmware["fwUpdateStatus"].as_str()? {
                "current" if firmware["currentFwVersion"] == "2.0.0" => done,
                "error" | "rolledback" => {
                    let text = firmware["fwUpdateSubstatus"].as_str()?;
                    Some(text.split(':').next()?.to_owned())
                }
                _ => None,
            }
        }
        "firmware-l" => {
            let firmware = of("firmware");
            match firmware["result"].as_u64()? {
                0 => None,
                1 => done.filter(|_| firmware["version"] == "2.0.0"),
                _ => error(&firmware["error"]),
            }
        }
        _ => {
            let job = of("deviceJobs")["firmwareUpdate"].clone();
            match job["status"].as_str()? {
                "completed" => done,
                "failed" => error(&job["error"]),
                _ => None,
            }
        }
    }
}

/// Waits for the end of every update.
async fn ends(events: &mut Receiver<HubEvent>, devices: &BTreeMap<DeviceId, &str>) -> BTreeMap<DeviceId, String> {
    let mut ended = BTreeMap::new();
    while ended.len() < devices.len() {
        let (device, how) = event(events, "the end of an update", |event| match event {
            HubEvent::TwinChanged {
                section: TwinSection::Reported,
                twin,
                ..
            } if !ended.contains_key(&twin.device_id) => {
                let model = devices.get(&twin.device_id)?;
                Some((twin.device_id.clone(), end(model, &twin.properties.reported.values)?))
            }
            _ => None,
        })
        .await;
        ended.insert(device, how);
    }
    ended
}

#[tokio::test]
async fn every_fault_of_an_update_ends_it_as_the_schema_says() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let firmware = packages.firmware();
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let faults = [
        ("none", None, "done"),
        ("sum", Some(FaultKind::WrongChecksum), "checksumMismatch"),
        ("space", Some(FaultKind::NoSpace), "noSpace"),
        ("apply", Some(FaultKind::ApplyFails), "applyFailed"),
        ("back", Some(FaultKind::RollsBack), "rolledBack"),
        ("loop", Some(FaultKind::BootLoop { times: 2 }), "bootLoop"),
        ("cut", Some(FaultKind::CutDownload { after_bytes: 1000 }), "cutShort"),
        (
            "slow",
            Some(FaultKind::SlowDownload {
                bytes_per_second: 1_000_000,
            }),
            "done",
        ),
        ("again", Some(FaultKind::TwinRegression), "done"),
        ("clock", Some(FaultKind::ClockSkew { seconds: 3600 }), "done"),
        (
            "away",
            Some(FaultKind::Offline {
                after: milliseconds(100),
                lasts: milliseconds(300),
            }),
            "done",
        ),
        (
            "flap",
            Some(FaultKind::Flapping {
                every: milliseconds(400),
                lasts: milliseconds(50),
            }),
            "done",
        ),
        ("late", Some(FaultKind::LateAnswer { by: milliseconds(500) }), "done"),
    ];
    let mut devices = Vec::new();
    let mut models = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for model in UPDATED {
        for (name, fault, ends) in &faults {
            let device = with_fault(&world, &format!("{model}-{name}"), model, fault.clone()).await;
            models.insert(device.connection.device_id.clone(), model);
            expected.insert(device.connection.device_id.clone(), (*ends).to_owned());
            devices.push(device);
        }
    }
    let ids = run(&fleet, devices).await;
    let orders = ids
        .iter()
        .map(|device| order(&world, device, models[device], &firmware));
    let (ended, _) = tokio::join!(ends(&mut events, &models), futures_util::future::join_all(orders));
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn every_fault_of_answers_strikes_every_model() {
    let world = World::start().await;
    let fleet = world.fleet();
    let faults = [
        ("none", None),
        ("late", Some(FaultKind::LateAnswer { by: milliseconds(1500) })),
        ("wrong", Some(FaultKind::WrongAnswer { status: 418 })),
        ("never", Some(FaultKind::NoAnswer)),
        ("silent", Some(FaultKind::Silent)),
    ];
    let mut devices = Vec::new();
    let mut calls = Vec::new();
    for (model, method) in CALLED {
        for (name, fault) in &faults {
            devices.push(with_fault(&world, &format!("{model}-{name}"), model, fault.clone()).await);
            calls.push((*name, method));
        }
    }
    assert_eq!(Model::built_in().len(), CALLED.len(), "a model is missing here");
    let ids = run(&fleet, devices).await;
    let answers = ids.iter().zip(&calls).map(async |(device, (_, method))| {
        let began = Instant::now();
        let (status, _) = call(&world, device, method, Value::Null).await;
        (status, began.elapsed())
    });
    let answers = futures_util::future::join_all(answers).await;
    for ((device, (fault, _)), (status, took)) in ids.iter().zip(&calls).zip(answers) {
        match *fault {
            "wrong" => assert_eq!(status, 418, "{device}"),
            "never" | "silent" => assert_eq!(status, 504, "{device}"),
            "late" => assert!(
                status < 300 && took >= Duration::from_millis(1500),
                "{device}: {status} {took:?}"
            ),
            _ => assert!(status < 300, "{device}: {status}"),
        }
    }
}

/// Connects and goodbyes of a device, in order, until there are so many.
async fn connections(events: &mut Receiver<HubEvent>, device: &DeviceId, count: usize) -> Vec<bool> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(
            event(events, "a connection or its end", |event| match event {
                HubEvent::ConnectionChanged { id, connected, .. } if id.device_id == *device => Some(*connected),
                _ => None,
            })
            .await,
        );
    }
    seen
}

#[tokio::test]
async fn a_device_with_windows_goes_offline_and_comes_back() {
    let world = World::start().await;
    let fleet = world.fleet();
    for (name, fault, seen) in [
        (
            "offline",
            FaultKind::Offline {
                after: milliseconds(100),
                lasts: milliseconds(200),
            },
            vec![true, false, true],
        ),
        (
            "flapping",
            FaultKind::Flapping {
                every: milliseconds(200),
                lasts: milliseconds(50),
            },
            vec![true, false, true, false, true],
        ),
    ] {
        let mut events = world.hub.subscribe();
        let device = with_fault(&world, name, "reboot", Some(fault)).await;
        let id = device.connection.device_id.clone();
        fleet.start(vec![device]);
        assert_eq!(connections(&mut events, &id, seen.len()).await, seen, "{name}");
        fleet.stop(&[id]).await;
    }
    assert!(fleet.counters().kept_offline >= 3);
}

#[tokio::test]
async fn faults_are_given_to_a_running_device_and_taken_from_it() {
    let world = World::start().await;
    let fleet = world.fleet();
    let door = with_fault(&world, "door", "lock-door", None).await;
    let device = run(&fleet, vec![door]).await.remove(0);
    let locks = || call(&world, &device, "lockDoor", Value::Null);
    assert_eq!(locks().await.0, 200);

    let wrong: Fault = FaultKind::WrongAnswer { status: 500 }.into();
    fleet.set_faults(&device, vec![wrong.clone()]).unwrap();
    assert_eq!(fleet.faults(&device), Some(vec![wrong]));
    assert_eq!(locks().await.0, 500);

    let mut events = world.hub.subscribe();
    let away = FaultKind::Offline {
        after: Time::ZERO,
        lasts: milliseconds(1_000_000),
    };
    fleet.set_faults(&device, vec![away.into()]).unwrap();
    assert_eq!(connections(&mut events, &device, 1).await, [false]);
    fleet.set_faults(&device, Vec::new()).unwrap();
    assert_eq!(connections(&mut events, &device, 1).await, [true]);
    assert_eq!(locks().await.0, 200);

    let nonsense = Fault {
        chance: 2.0,
        ..FaultKind::Silent.into()
    };
    assert!(fleet.set_faults(&device, vec![nonsense]).is_err());
    assert!(fleet.set_faults(&crate::support::id("nobody"), Vec::new()).is_err());
}

#[tokio::test]
async fn a_silent_device_stays_connected_and_goes_on_once_the_fault_is_gone() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let fleet = world.fleet();
    let silent = with_fault(&world, "pump", "firmware-a", Some(FaultKind::Silent)).await;
    let device = run(&fleet, vec![silent]).await.remove(0);
    let mut events = world.hub.subscribe();
    let firmware = packages.firmware();
    let payload = json!({ "fwPackageUri": firmware.uri });
    assert_eq!(call(&world, &device, "firmwareUpdate", payload).await.0, 504);
    let twin = world.twin(&device).await;
    assert_eq!(
        twin.connection_state,
        hub_protocol::identity::ConnectionState::Connected
    );
    assert!(twin.properties.reported.values.is_empty(), "it reported nothing");

    fleet.set_faults(&device, Vec::new()).unwrap();
    let models = BTreeMap::from([(device.clone(), "firmware-a")]);
    assert_eq!(ends(&mut events, &models).await[&device], "done");
}

#[tokio::test]
async fn a_wrong_clock_shows_in_reported_times_and_one_far_behind_keeps_a_device_out() {
    let world = World::start().await;
    let fleet = world.fleet();
    let ahead = with_fault(
        &world,
        "ahead",
        "lock-door",
        Some(FaultKind::ClockSkew { seconds: 7200 }),
    )
    .await;
    let device = run(&fleet, vec![ahead]).await.remove(0);
    call(&world, &device, "lockDoor", Value::Null).await;
    let told = world.twin(&device).await.properties.reported.values["lock"]["lockedAt"].clone();
    let told = Timestamp::parse(told.as_str().unwrap()).unwrap();
    let ahead = told.unix_seconds() - i64::try_from(crate::support::unix_now()).unwrap();
    assert!((7100..7300).contains(&ahead), "{ahead}");

    // Its tokens have ended before they are sent.
    let behind = with_fault(
        &world,
        "behind",
        "lock-door",
        Some(FaultKind::ClockSkew { seconds: -7200 }),
    )
    .await;
    let mut news = fleet.subscribe();
    fleet.start(vec![behind]);
    soon("a refusal", async {
        use device_sim::{DeviceState::Refused, News::State};
        while !matches!(news.recv().await.unwrap().news, State(Refused { .. })) {}
    })
    .await;
}

#[tokio::test]
async fn a_twin_regression_is_seen_as_an_earlier_phase_that_comes_again() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let pump = with_fault(&world, "pump", "firmware-a", Some(FaultKind::TwinRegression)).await;
    let ids = run(&fleet, vec![pump]).await;
    order(&world, &ids[0], "firmware-a", &packages.firmware()).await;
    let stages = crate::support::world::reported_until(&mut events, &ids, "firmwareStatus", "completed").await;
    let order = ["standBy", "downloading", "applying", "completed"];
    let places: Vec<_> = stages[&ids[0]]
        .iter()
        .map(|stage| order.iter().position(|known| known == stage))
        .collect();
    assert!(!places.is_sorted(), "{stages:?}");
}

#[tokio::test]
async fn a_slow_download_takes_its_time() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let fleet = world.fleet();
    let mut events = world.hub.subscribe();
    let pace = packages.imported.size;
    let slow = FaultKind::SlowDownload { bytes_per_second: pace };
    let pump = with_fault(&world, "pump", "firmware-a", Some(slow)).await;
    let ids = run(&fleet, vec![pump]).await;
    let began = Instant::now();
    order(&world, &ids[0], "firmware-a", &packages.firmware()).await;
    ends(&mut events, &BTreeMap::from([(ids[0].clone(), "firmware-a")])).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_fault_with_a_chance_strikes_some_occasions_the_same_in_every_run() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = World::start().await;
        let fleet = world.fleet();
        let fault = Fault {
            chance: 0.5,
            ..FaultKind::WrongAnswer { status: 500 }.into()
        };
        let device = with_fault(&world, "door", "lock-door", None).await;
        let device = SimulatedDevice {
            faults: vec![fault],
            ..device
        };
        let device = run(&fleet, vec![device]).await.remove(0);
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(call(&world, &device, "lockDoor", Value::Null).await.0);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&500) && runs[0].contains(&200), "{:?}", runs[0]);
}
