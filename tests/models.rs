//! What each built-in model does when it is asked to, seen from the hub's side only: answers, twins
//! and connections.

use std::time::Duration;

use device_sim::Model;
use futures_util::future::join_all;
use hub_client::IfMatch;
use hub_protocol::{DeviceId, Timestamp, twin::TwinPatch};
use local_hub::{HubEvent, TwinSection};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::support::{
    object,
    update::Packages,
    world::{World, event},
};

/// What is asked of a device of a fresh fleet, and what the hub sees of it.
struct Row {
    model: &'static str,
    asked: Asked,
    /// Status and part of the payload; none for a desired property.
    answer: Option<(u16, Value)>,
    /// Part of what is reported, one after the other. `null` is what is not there, `"<time>"` any time.
    reported: Vec<Value>,
    restarts: bool,
}

enum Asked {
    Method(&'static str, Value),
    Desired(Value),
}

fn method(model: &'static str, name: &'static str, payload: Value, answer: (u16, Value)) -> Row {
    Row {
        model,
        asked: Asked::Method(name, payload),
        answer: Some(answer),
        reported: Vec::new(),
        restarts: false,
    }
}

fn desired(model: &'static str, properties: Value) -> Row {
    Row {
        model,
        asked: Asked::Desired(properties),
        answer: None,
        reported: Vec::new(),
        restarts: false,
    }
}

impl Row {
    fn reports<const N: usize>(self, reported: [Value; N]) -> Self {
        Self {
            reported: reported.into(),
            ..self
        }
    }

    fn restarts(self) -> Self {
        Self { restarts: true, ..self }
    }
}

fn holds(told: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members
            .iter()
            .all(|(name, expected)| holds(told.get(name).unwrap_or(&Value::Null), expected)),
        Value::String(text) if text == "<time>" => told.as_str().is_some_and(|time| Timestamp::parse(time).is_some()),
        expected => told == expected,
    }
}

/// Under `deviceJobs`, as a job of the 2016 preview ends.
fn job(name: &str) -> [Value; 2] {
    let job = |told: Value| json!({ "deviceJobs": { name: told } });
    [
        job(json!({ "status": "running", "startTime": "<time>" })),
        job(json!({ "status": "completed", "startTime": "<time>", "endTime": "<time>" })),
    ]
}

fn rows(uri: &str, sha256: &str) -> Vec<Row> {
    let running = || (202, json!({ "status": "running" }));
    let flat = || json!({ "fwPackageUri": uri, "sha256": sha256, "fwVersion": "2.0.0" });
    let preview = || json!({ "packageUri": uri, "sha256": sha256, "version": "2.0.0" });
    let b = |told: Value| json!({ "iothubDM": { "firmwareUpdate": told } });
    let firmware = |told: Value| json!({ "firmware": told });
    let target = |ac: u16, value: Value| json!({ "targetTemperature": { "value": value, "ac": ac, "av": 2 } });
    let rebooted = || (200, json!({ "Response": "This is the response from the device" }));
    vec![
        // The four tutorials.
        method("reboot", "rebootDevice", json!({ "method_number": "42" }), rebooted())
            .reports([json!({ "rebootTime": "<time>" })]),
        method(
            "lock-door",
            "lockDoor",
            json!({ "lockTime": "10m" }),
            (200, json!({ "Response": "Door locked" })),
        )
        .reports([json!({ "lock": { "state": "locked", "lockTime": "10m", "lockedAt": "<time>" } })]),
        method(
            "factory-reset",
            "factoryReset",
            Value::Null,
            (200, json!({ "Response": "Factory reset started" })),
        )
        .reports([json!({ "factoryResetTime": "<time>" })])
        .restarts(),
        method(
            "firmware-a",
            "firmwareUpdate",
            flat(),
            (200, json!({ "Response": "Firmware update started" })),
        )
        .reports([
            json!({ "firmwareStatus": "standBy", "logTime": "<time>" }),
            json!({ "firmwareStatus": "downloading" }),
            json!({ "downloadComplete": "<time>", "firmwarePackage": { "sha256": sha256 } }),
            json!({ "firmwareStatus": "applying", "startedApplyingImage": "<time>" }),
            json!({ "firmwareStatus": "completed", "lastFirmwareUpdate": "<time>" }),
        ])
        .restarts(),
        method("firmware-a", "rebootDevice", Value::Null, rebooted()).reports([json!({ "rebootTime": "<time>" })]),
        method(
            "firmware-a",
            "factoryReset",
            Value::Null,
            (200, json!({ "Response": "Factory reset started" })),
        )
        .reports([json!({ "factoryResetTime": "<time>" })])
        .restarts(),
        // The schemas of firmware.
        method(
            "firmware-b",
            "firmwareUpdate",
            flat(),
            (200, json!("Firmware update started")),
        )
        .reports([
            b(json!({ "status": "waiting", "startedWaitingTime": "<time>" })),
            b(json!({ "status": "downloading", "startedDownloadingTime": "<time>" })),
            b(json!({ "status": "downloadComplete", "downloadCompleteTime": "<time>" })),
            b(json!({ "status": "applying", "startedApplyingImage": "<time>" })),
            b(json!({ "status": "applyComplete", "lastFirmwareUpdate": "<time>" })),
        ])
        .restarts(),
        method("firmware-b", "reboot", Value::Null, (200, json!("Reboot started")))
            .reports([
                json!({ "iothubDM": { "reboot": { "startedRebootTime": "<time>" } } }),
                json!({ "iothubDM": { "reboot": { "lastReboot": "<time>" } } }),
            ])
            .restarts(),
        method(
            "firmware-b",
            "factoryReset",
            Value::Null,
            (200, json!("Factory reset started")),
        )
        .reports([json!({ "iothubDM": { "factoryReset": { "lastFactoryReset": "<time>" } } })])
        .restarts(),
        desired(
            "firmware-c",
            firmware(json!({ "fwVersion": "2.0.0", "fwPackageURI": uri, "fwPackageCheckValue": sha256 })),
        )
        .reports([
            firmware(json!({ "fwUpdateStatus": "current", "currentFwVersion": "1.0.0" })),
            firmware(json!({ "fwUpdateStatus": "downloading", "pendingFwVersion": "2.0.0" })),
            firmware(json!({ "fwUpdateStatus": "verifying" })),
            firmware(json!({ "fwUpdateStatus": "applying" })),
            firmware(json!({ "fwUpdateStatus": "rebooting" })),
            firmware(json!({ "fwUpdateStatus": "current", "currentFwVersion": "2.0.0", "pendingFwVersion": "" })),
        ])
        .restarts(),
        method("firmware-c", "reboot", Value::Null, (200, json!("Reboot started"))).restarts(),
        method(
            "firmware-l",
            "firmwareUpdate",
            preview(),
            (200, json!({ "state": 0, "result": 0 })),
        )
        .reports([
            firmware(json!({ "state": 0, "version": "1.0.0" })),
            firmware(json!({ "state": 1, "result": 0, "startTime": "<time>" })),
            firmware(json!({ "state": 2, "package": { "sha256": sha256 } })),
            firmware(json!({ "state": 3 })),
            firmware(json!({ "state": 0, "result": 1, "version": "2.0.0", "endTime": "<time>" })),
        ])
        .restarts(),
        method("firmware-l", "reboot", Value::Null, (200, json!("Reboot started"))).restarts(),
        // The six device jobs of the 2016 preview.
        method("device-jobs", "firmwareUpdate", preview(), running())
            .reports([
                firmware(json!({ "state": 1, "version": "1.0.0" })),
                firmware(json!({ "state": 2, "result": 0 })),
                firmware(json!({ "state": 3, "package": { "sha256": sha256 } })),
                firmware(json!({ "state": 1, "result": 1, "version": "2.0.0" })),
            ])
            .restarts(),
        method("device-jobs", "reboot", Value::Null, running())
            .reports(job("reboot"))
            .restarts(),
        method("device-jobs", "factoryReset", Value::Null, running())
            .reports(job("factoryReset"))
            .restarts(),
        method(
            "device-jobs",
            "configurationUpdate",
            json!({ "name": "reportingInterval", "value": 5 }),
            (
                200,
                json!({ "status": "completed", "name": "reportingInterval", "value": 5 }),
            ),
        )
        .reports([json!({ "configuration": { "reportingInterval": 5 } })]),
        method(
            "device-jobs",
            "readProperties",
            json!({ "names": ["BatteryLevel", "Manufacturer"] }),
            (
                200,
                json!({ "properties": { "BatteryLevel": 87, "Manufacturer": "Contoso", "Timezone": null } }),
            ),
        ),
        method(
            "device-jobs",
            "writeProperties",
            json!({ "properties": { "Timezone": "Europe/Rome" } }),
            (
                200,
                json!({ "status": "completed", "properties": { "Timezone": "Europe/Rome" } }),
            ),
        )
        .reports([json!({ "properties": { "Timezone": "Europe/Rome", "Manufacturer": "Contoso" } })]),
        // The thermostat of IoT Plug and Play.
        desired("thermostat", json!({ "targetTemperature": 23.5 })).reports([
            json!({ "maxTempSinceLastReboot": 21.5 }),
            target(202, json!(23.5)),
            target(200, json!(23.5)),
        ]),
        desired("thermostat", json!({ "targetTemperature": 900 })).reports([target(400, json!(900))]),
        method(
            "thermostat",
            "getMaxMinReport",
            json!("2026-01-01T00:00:00Z"),
            (
                200,
                json!({ "startTime": "2026-01-01T00:00:00Z", "endTime": "<time>", "maxTemp": 21.5 }),
            ),
        ),
        // What does not fit is refused, and nothing changes.
        method("device-jobs", "readProperties", json!({ "names": 7 }), (400, json!({}))),
        method(
            "device-jobs",
            "configurationUpdate",
            json!({ "value": 5 }),
            (400, json!({})),
        ),
        method(
            "firmware-a",
            "firmwareUpdate",
            json!({ "fwPackageUri": "no address" }),
            (400, json!({})),
        ),
        method("lock-door", "unlockDoor", Value::Null, (404, json!({}))),
    ]
}

/// Waits until the twin went through all that is expected, and the connection too.
async fn follow(mut events: Receiver<HubEvent>, device: &DeviceId, row: &Row) {
    let mut reported = row.reported.iter();
    let mut next = reported.next();
    // Gone, then back.
    let mut connections = [false, true].iter().filter(|_| row.restarts);
    let mut connection = connections.next();
    while next.is_some() || connection.is_some() {
        let what = format!("{device}: {next:?}, connection {connection:?}");
        event(&mut events, &what, |event| match event {
            HubEvent::TwinChanged {
                section: TwinSection::Reported,
                twin,
                ..
            } if twin.device_id == *device => {
                let told = Value::Object(twin.properties.reported.values.clone());
                // One report may tell two things.
                while next.is_some_and(|expected| holds(&told, expected)) {
                    next = reported.next();
                }
                Some(())
            }
            HubEvent::ConnectionChanged { id, connected, .. } if id.device_id == *device => {
                if connection == Some(connected) {
                    connection = connections.next();
                }
                Some(())
            }
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn every_model_does_what_it_says_when_it_is_asked() {
    let world = World::start().await;
    let packages = Packages::serve(world.dir.path().join("packages")).await;
    let firmware = packages.firmware();
    let fleet = world.fleet();
    let rows = rows(&firmware.uri, firmware.sha256.as_deref().unwrap());
    for model in Model::built_in() {
        assert!(
            rows.iter().any(|row| row.model == model.name()),
            "{} is missing",
            model.name()
        );
    }
    let done = rows.iter().enumerate().map(async |(number, row)| {
        let events = world.hub.subscribe();
        let device = world
            .running(&fleet, &format!("row-{number:02}"), 1, row.model)
            .await
            .remove(0);
        let ask = async {
            match &row.asked {
                Asked::Method(name, payload) => {
                    let (status, told) = world.invoke(&device, name, payload.clone()).await;
                    let (expected, part) = row.answer.as_ref().unwrap();
                    assert_eq!(status, i32::from(*expected), "{} {name}: {told}", row.model);
                    assert!(holds(&told, part), "{} {name}: {told}", row.model);
                }
                Asked::Desired(properties) => {
                    let patch = TwinPatch::desired(object(properties.clone()));
                    world.client.update_twin(&device, &patch, IfMatch::Any).await.unwrap();
                }
            }
        };
        tokio::join!(ask, follow(events, &device, row));
    });
    join_all(done).await;
}

#[tokio::test]
async fn a_factory_reset_brings_back_what_a_device_job_wrote_over() {
    let world = World::start().await;
    let fleet = world.fleet();
    let device = world.running(&fleet, "preview", 1, "device-jobs").await.remove(0);
    let names = json!({ "names": ["Timezone"] });
    let read = || world.invoke(&device, "readProperties", names.clone());
    let write = json!({ "properties": { "Timezone": "Europe/Rome" } });
    assert_eq!(world.invoke(&device, "writeProperties", write).await.0, 200);
    assert_eq!(read().await.1["properties"]["Timezone"], "Europe/Rome");

    let events = world.hub.subscribe();
    let reset = method("device-jobs", "factoryReset", Value::Null, (202, json!({})))
        .reports(job("factoryReset"))
        .restarts();
    let ask = world.invoke(&device, "factoryReset", Value::Null);
    let ((status, _), ()) = tokio::join!(ask, follow(events, &device, &reset));
    assert_eq!(status, 202);
    let answered = tokio::time::timeout(Duration::from_secs(10), read()).await;
    assert_eq!(answered.unwrap().1["properties"]["Timezone"], "UTC");
}
