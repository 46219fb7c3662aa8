//! What each built-in model does, and what faults make of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    download::DownloadError,
    fault::FaultKind,
    recording::{Recording, SHA256, object},
};

const URI: &str = "https://user:word@packages.example/fw-2.bin?sig=secret#part";

#[test]
fn every_built_in_model_is_right_and_has_the_name_of_its_file() {
    for text in BUILT_IN {
        Model::parse(text, &|_| None).unwrap();
    }
    let names: Vec<&str> = Model::built_in().iter().map(|model| model.name()).collect();
    let files = [
        "reboot",
        "lock-door",
        "factory-reset",
        "firmware-a",
        "firmware-b",
        "firmware-c",
        "firmware-l",
        "device-jobs",
        "thermostat",
    ];
    assert_eq!(names, files);
    for model in Model::built_in() {
        assert!(!model.title().is_empty() && !model.about().is_empty(), "{model}");
    }
}

#[test]
fn models_tell_their_schema_their_methods_and_their_plug_and_play_model() {
    let schema = |name: &str| Model::find(name).unwrap().firmware();
    assert_eq!(
        ["firmware-a", "firmware-b", "firmware-c", "firmware-l", "reboot"].map(schema),
        [
            Some(FirmwareSchema::A),
            Some(FirmwareSchema::B),
            Some(FirmwareSchema::C),
            Some(FirmwareSchema::L),
            None
        ]
    );
    let jobs = Model::find("device-jobs").unwrap();
    assert_eq!(
        Vec::from_iter(jobs.methods()),
        [
            "configurationUpdate",
            "factoryReset",
            "firmwareUpdate",
            "readProperties",
            "reboot",
            "writeProperties"
        ]
    );
    let thermostat = Model::find("thermostat").unwrap();
    assert_eq!(thermostat.model_id(), Some("dtmi:com:example:Thermostat;1"));
    assert!((thermostat.messages_per_day() - 17_280.0).abs() < 1e-6);
    assert!(Model::find("toaster").is_none());
}

/// One call on a device that has just started, without what its start reports.
async fn called(device: &Recording, method: &str, payload: Value) -> Vec<String> {
    device.boot(json!({ "$version": 1 }), json!({})).await;
    device.lines();
    device.call(method, payload).await;
    device.lines()
}

async fn done(model: &str, method: &str, payload: Value) -> Vec<String> {
    called(&Recording::built_in(model), method, payload).await
}

fn package() -> String {
    format!(r#"{{"uri":"https://packages.example/fw-2.bin","size":3,"sha256":"{SHA256}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_reboot_is_answered_after_its_time_is_reported() {
    for model in ["reboot", "firmware-a"] {
        assert_eq!(
            done(model, "rebootDevice", Value::Null).await,
            [
                r#"20 report {"rebootTime":NOW}"#,
                r#"20 respond 200 {"Response":"This is the response from the device"}"#,
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_s_lock_is_reported_with_its_time() {
    for (payload, time) in [
        (json!({ "lockTime": "10m" }), r#""10m""#),
        (json!(r#"{ "lockTime": "10m" }"#), r#""10m""#),
        (json!({ "lockTime": 600 }), "600"),
        (json!({}), "null"),
        (Value::Null, "null"),
    ] {
        assert_eq!(
            done("lock-door", "lockDoor", payload).await,
            [
                format!(r#"0 report {{"lock":{{"state":"locked","lockTime":{time},"lockedAt":NOW}}}}"#),
                r#"0 respond 200 {"Response":"Door locked"}"#.to_owned(),
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_factory_reset_removes_what_was_reported_from_the_twin() {
    for model in ["factory-reset", "firmware-a"] {
        let device = Recording::built_in(model);
        device.boot(json!({}), json!({ "a": 1, "b": { "c": 2 } })).await;
        device.call("factoryReset", Value::Null).await;
        assert_eq!(
            device.lines(),
            [
                r#"0 respond 200 {"Response":"Factory reset started"}"#,
                r#"0 report {"a":null,"b":null,"factoryResetTime":NOW}"#,
                "0 restart",
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_model_remembers_its_last_boot() {
    for model in Model::built_in() {
        let device = Recording::of(Arc::clone(model));
        device.boot(json!({}), json!({})).await;
        let memory = device.behaviour.memory(&device);
        assert_eq!(memory["lastBoot"], "0001-01-01T00:00:00Z", "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn firmware_a_goes_through_the_tutorial_s_stages() {
    let device = Recording::built_in("firmware-a");
    let order = json!({ "fwPackageUri": URI, "fwVersion": "2.0.0", "sha256": SHA256.to_uppercase() });
    let expected = [
        r#"0 respond 200 {"Response":"Firmware update started"}"#.to_owned(),
        r#"0 report {"firmwareStatus":"standBy","logTime":NOW,"firmwareError":null}"#.to_owned(),
        r#"5 report {"firmwareStatus":"downloading"}"#.to_owned(),
        format!(
            r#"25 report {{"downloadComplete":NOW,"firmwarePackage":{}}}"#,
            package()
        ),
        r#"25 report {"firmwareStatus":"applying","startedApplyingImage":NOW}"#.to_owned(),
        "45 restart".to_owned(),
        r#"50 report {"firmwareStatus":"completed","lastFirmwareUpdate":NOW}"#.to_owned(),
    ];
    assert_eq!(called(&device, "firmwareUpdate", order).await, expected);
    assert_eq!(device.behaviour.memory(&device)["firmwareVersion"], "2.0.0");
    let text = json!({ "fwPackageUri": URI }).to_string();
    let as_text = done("firmware-a", "firmwareUpdate", Value::String(text)).await;
    assert_eq!(
        as_text, expected,
        "an order sent as text is understood, and needs neither hash nor version"
    );
}

#[tokio::test(start_paused = true)]
async fn firmware_b_reports_under_iothub_dm() {
    let update = |inner: &str| format!(r#"report {{"iothubDM":{{"firmwareUpdate":{{{inner}}}}}}}"#);
    assert_eq!(
        done("firmware-b", "firmwareUpdate", json!({ "fwPackageUri": URI })).await,
        [
            r#"0 respond 200 "Firmware update started""#.to_owned(),
            format!(
                "0 {}",
                update(r#""status":"waiting","startedWaitingTime":NOW,"error":null"#)
            ),
            format!("5 {}", update(r#""status":"downloading","startedDownloadingTime":NOW"#)),
            format!(
                "25 {}",
                update(
                    r#""status":"downloadComplete","downloadCompleteTime":NOW,"fwPackageUri":"https://packages.example/fw-2.bin""#
                )
            ),
            format!("25 {}", update(r#""status":"applying","startedApplyingImage":NOW"#)),
            "45 restart".to_owned(),
            format!("50 {}", update(r#""status":"applyComplete","lastFirmwareUpdate":NOW"#)),
        ]
    );
    assert_eq!(
        done("firmware-b", "reboot", Value::Null).await,
        [
            r#"0 respond 200 "Reboot started""#,
            r#"0 report {"iothubDM":{"reboot":{"startedRebootTime":NOW}}}"#,
            "0 restart",
            r#"5 report {"iothubDM":{"reboot":{"lastReboot":NOW}}}"#,
        ]
    );
    assert_eq!(
        done("firmware-b", "factoryReset", Value::Null).await,
        [
            r#"0 respond 200 "Factory reset started""#,
            r#"0 report {"iothubDM":{"factoryReset":{"lastFactoryReset":NOW}}}"#,
            "0 restart",
        ]
    );
}

const C_CURRENT: &str = r#"report {"firmware":{"currentFwVersion":"1.0.0","pendingFwVersion":"","fwUpdateStatus":"current","fwUpdateSubstatus":""}}"#;

fn c_order(version: &str) -> Value {
    json!({ "$version": 2, "firmware": { "fwVersion": version, "fwPackageURI": URI, "fwPackageCheckValue": SHA256 } })
}

#[tokio::test(start_paused = true)]
async fn firmware_c_does_what_the_desired_property_says_and_only_once() {
    let device = Recording::built_in("firmware-c");
    device.boot(json!({ "$version": 1 }), json!({})).await;
    assert_eq!(device.lines(), [format!("0 {C_CURRENT}")]);
    device.desire(c_order("2.0.0")).await;
    let firmware = |inner: &str| format!(r#"report {{"firmware":{{{inner}}}}}"#);
    let current = firmware(
        r#""currentFwVersion":"2.0.0","pendingFwVersion":"","fwUpdateStatus":"current","fwUpdateSubstatus":"""#,
    );
    assert_eq!(
        device.lines(),
        [
            format!(
                "0 {}",
                firmware(
                    r#""fwUpdateStatus":"downloading","fwUpdateSubstatus":"","pendingFwVersion":"2.0.0","lastFwUpdateStartTime":NOW,"lastFwUpdateEndTime":null"#
                )
            ),
            format!("20 {}", firmware(r#""fwUpdateStatus":"verifying""#)),
            format!("22 {}", firmware(r#""fwUpdateStatus":"applying""#)),
            format!("42 {}", firmware(r#""fwUpdateStatus":"rebooting""#)),
            "42 restart".to_owned(),
            format!("47 {current}"),
            format!(
                "47 {},\"lastFwUpdateEndTime\":NOW}}}}",
                current.strip_suffix("}}").unwrap()
            ),
        ]
    );
    // The same again, and after a reconnect: it has that version already.
    device.desire(c_order("2.0.0")).await;
    device
        .behaviour
        .connected(&device, object(c_order("2.0.0")), object(json!({})), false)
        .await;
    assert_eq!(device.lines(), [""; 0]);
    device.boot(c_order("2.0.0"), json!({})).await;
    assert_eq!(device.lines(), [format!("47 {current}")]);
}

#[tokio::test(start_paused = true)]
async fn firmware_c_refuses_an_order_that_makes_no_sense() {
    for (firmware, code) in [
        (json!({ "fwVersion": "2.0.0", "fwPackageURI": "fw.bin" }), "invalidUri"),
        (json!({ "fwPackageURI": URI }), "invalidVersion"),
        (
            json!({ "fwVersion": "2.0.0", "fwPackageURI": URI, "fwPackageCheckValue": "0" }),
            "checksumMismatch",
        ),
    ] {
        let device = Recording::built_in("firmware-c");
        device.desire(json!({ "$version": 2, "firmware": firmware })).await;
        let lines = device.lines();
        let last = lines.last().unwrap();
        assert!(
            last.contains(r#""fwUpdateStatus":"error""#) && last.contains(code),
            "{last}"
        );
        assert!(!lines.iter().any(|line| line.contains("applying")));
    }
}

#[tokio::test(start_paused = true)]
async fn firmware_l_counts_states_and_results_as_lwm2m_s_final_standard() {
    let firmware = |inner: &str| format!(r#"report {{"firmware":{{{inner}}}}}"#);
    let order = json!({ "packageUri": URI, "sha256": SHA256, "version": "2.0.0" });
    assert_eq!(
        done("firmware-l", "firmwareUpdate", order).await,
        [
            r#"0 respond 200 {"state":0,"result":0}"#.to_owned(),
            format!(
                "0 {}",
                firmware(r#""state":1,"result":0,"startTime":NOW,"endTime":null,"error":null"#)
            ),
            format!("20 {}", firmware(&format!(r#""state":2,"package":{}"#, package()))),
            format!("25 {}", firmware(r#""state":3"#)),
            "45 restart".to_owned(),
            format!("50 {}", firmware(r#""state":0,"version":"2.0.0""#)),
            format!(
                "50 {}",
                firmware(r#""state":0,"result":1,"version":"2.0.0","endTime":NOW"#)
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_six_device_jobs_are_done() {
    let jobs = |method, payload| done("device-jobs", method, payload);
    let report = r#"report {"deviceJobs""#;
    let boot = |version: &str| {
        format!(
            r#"report {{"firmware":{{"state":1,"version":"{version}"}},"configuration":{{"reportingInterval":60}},"properties":{{"Manufacturer":"Contoso","ModelNumber":"DM-2016","HardwareVersion":"2","BatteryLevel":87,"MemoryFree":20480,"Timezone":"UTC","UtcOffset":"+00:00"}}}}"#
        )
    };
    let running = r#"0 respond 202 {"status":"running"}"#.to_owned();
    assert_eq!(
        jobs("firmwareUpdate", json!({ "packageUri": URI, "version": "2.0.0" })).await,
        [
            running.clone(),
            format!(
                r#"0 {report}:{{"firmwareUpdate":{{"status":"running","startTime":NOW,"endTime":null,"error":null}}}},"firmware":{{"state":2,"result":0}}}}"#
            ),
            format!(r#"20 report {{"firmware":{{"state":3,"package":{}}}}}"#, package()),
            "40 restart".to_owned(),
            format!("45 {}", boot("2.0.0")),
            format!(
                r#"45 {report}:{{"firmwareUpdate":{{"status":"completed","endTime":NOW}}}},"firmware":{{"state":1,"result":1,"version":"2.0.0"}}}}"#
            ),
        ]
    );
    assert_eq!(
        jobs("reboot", Value::Null).await,
        [
            running.clone(),
            format!(r#"0 {report}:{{"reboot":{{"status":"running","startTime":NOW,"endTime":null}}}}}}"#),
            "0 restart".to_owned(),
            format!("5 {}", boot("1.0.0")),
            format!(r#"5 {report}:{{"reboot":{{"status":"completed","endTime":NOW}}}}}}"#),
        ]
    );
    assert_eq!(
        jobs("factoryReset", Value::Null).await,
        [
            running,
            r#"0 report {"firmware":null,"configuration":null,"properties":null,"deviceJobs":{"factoryReset":{"status":"running","startTime":NOW}}}"#.to_owned(),
            "0 restart".to_owned(),
            format!("5 {}", boot("1.0.0")),
            format!(r#"5 {report}:{{"factoryReset":{{"status":"completed","endTime":NOW}}}}}}"#),
        ]
    );
    assert_eq!(
        jobs(
            "configurationUpdate",
            json!({ "name": "mode", "value": { "eco": true } })
        )
        .await,
        [
            r#"0 report {"configuration":{"mode":{"eco":true}}}"#,
            r#"0 respond 200 {"status":"completed","name":"mode","value":{"eco":true}}"#,
        ]
    );
    assert_eq!(
        jobs(
            "readProperties",
            json!({ "names": ["BatteryLevel", "Timezone", "Gone"] })
        )
        .await,
        [r#"0 respond 200 {"status":"completed","properties":{"BatteryLevel":87,"Timezone":"UTC"}}"#]
    );
    assert_eq!(
        jobs("writeProperties", json!({ "properties": { "Timezone": "CET" } })).await,
        [
            r#"0 report {"properties":{"Timezone":"CET"}}"#,
            r#"0 respond 200 {"status":"completed","properties":{"Timezone":"CET"}}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_device_job_wrote_is_read_again_until_a_factory_reset() {
    let device = Recording::built_in("device-jobs");
    let properties = json!({ "Timezone": "CET", "BatteryLevel": 12 });
    device
        .call("writeProperties", json!({ "properties": properties }))
        .await;
    device
        .call("readProperties", json!({ "names": ["Timezone", "Manufacturer"] }))
        .await;
    let read = |lines: Vec<String>| lines.last().cloned().unwrap();
    assert!(read(device.lines()).ends_with(r#"{"Timezone":"CET","Manufacturer":"Contoso"}}"#));
    device.call("factoryReset", Value::Null).await;
    device.call("readProperties", json!({ "names": ["Timezone"] })).await;
    assert!(read(device.lines()).ends_with(r#"{"Timezone":"UTC"}}"#));
}

#[tokio::test(start_paused = true)]
async fn a_thermostat_acknowledges_its_target_and_answers_its_command() {
    let device = Recording::built_in("thermostat");
    device
        .boot(json!({ "$version": 4, "targetTemperature": 23 }), json!({}))
        .await;
    assert_eq!(
        device.lines(),
        [
            r#"0 report {"maxTempSinceLastReboot":21.5}"#,
            r#"0 report {"targetTemperature":{"value":23,"ac":202,"av":4,"ad":"heating or cooling"}}"#,
            r#"5 report {"targetTemperature":{"value":23,"ac":200,"av":4,"ad":"done"}}"#,
        ]
    );
    device.desire(json!({ "$version": 5, "targetTemperature": 900 })).await;
    assert_eq!(
        device.lines(),
        [
            r#"5 report {"targetTemperature":{"value":900,"ac":400,"av":5,"ad":"desired.targetTemperature must be at most 150"}}"#
        ]
    );
    device.call("getMaxMinReport", json!("2026-01-01T00:00:00Z")).await;
    assert_eq!(
        device.lines(),
        [
            r#"5 respond 200 {"maxTemp":21.5,"minTemp":18.2,"avgTemp":20.1,"startTime":"2026-01-01T00:00:00Z","endTime":NOW}"#
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_that_does_not_fit_is_refused_at_once_with_the_member_s_name() {
    let hash = json!({ "fwPackageUri": URI, "packageUri": URI, "sha256": "short" });
    let cases = [
        ("firmware-a", "firmwareUpdate", json!(null), "fwPackageUri"),
        ("firmware-a", "firmwareUpdate", json!({}), "fwPackageUri"),
        (
            "firmware-a",
            "firmwareUpdate",
            json!({ "fwPackageUri": "fw.bin" }),
            "fwPackageUri",
        ),
        (
            "firmware-a",
            "firmwareUpdate",
            json!({ "fwPackageUri": "file:///etc/passwd" }),
            "fwPackageUri",
        ),
        ("firmware-a", "firmwareUpdate", hash.clone(), "sha256"),
        ("firmware-b", "firmwareUpdate", hash.clone(), "sha256"),
        ("firmware-l", "firmwareUpdate", hash.clone(), "sha256"),
        ("device-jobs", "firmwareUpdate", hash, "sha256"),
        ("device-jobs", "configurationUpdate", json!({ "value": 1 }), "name"),
        ("device-jobs", "readProperties", json!({ "names": "one" }), "names"),
        (
            "device-jobs",
            "writeProperties",
            json!({ "properties": [] }),
            "properties",
        ),
        (
            "lock-door",
            "lockDoor",
            json!({ "lockTime": "x".repeat(65) }),
            "lockTime",
        ),
    ];
    for (model, method, payload, member) in cases {
        let lines = done(model, method, payload).await;
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(
            line.starts_with(&format!(r#"0 respond 400 {{"message":"{member} "#)),
            "{line}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_method_is_answered_with_404() {
    assert_eq!(
        done("lock-door", "firmwareUpdate", Value::Null).await,
        [r#"0 respond 404 {"message":"this device has no method \"firmwareUpdate\""}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_update_is_refused_while_one_runs_and_may_begin_once_it_is_over_or_dropped() {
    let device = Recording::built_in("firmware-a");
    let order = || device.call("firmwareUpdate", json!({ "fwPackageUri": URI }));
    tokio::join!(order(), order());
    let lines = device.lines();
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("respond 409"), count("completed")), (1, 1));
    assert!(
        lines
            .iter()
            .any(|line| line.contains("firmwareUpdate is running already"))
    );
    assert!(tokio::time::timeout(Duration::from_secs(10), order()).await.is_err());
    device.lines();
    order().await;
    assert!(device.lines().last().unwrap().contains("completed"));
}

/// Runs an update of the model to its end, and gives back what was done.
async fn update(device: &Recording) -> Vec<String> {
    match device.behaviour.model().name() {
        "firmware-c" => {
            device.desire(c_order("2.0.0")).await;
            device.lines()
        }
        "firmware-l" | "device-jobs" => {
            let order = json!({ "packageUri": URI, "sha256": SHA256, "version": "2.0.0" });
            called(device, "firmwareUpdate", order).await
        }
        _ => {
            let order = json!({ "fwPackageUri": URI, "sha256": SHA256, "fwVersion": "2.0.0" });
            called(device, "firmwareUpdate", order).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_an_update_ends_as_the_schema_says_and_keeps_the_version_before() {
    use FaultKind::{ApplyFails, BootLoop, NoSpace, RollsBack, WrongChecksum};
    let boot_loop = BootLoop { times: 3 };
    // Model, fault, restarts, and the parts the last report has.
    let cases: [(&str, &FaultKind, usize, [&str; 2]); 25] = [
        (
            "firmware-a",
            &NoSpace,
            0,
            [r#""firmwareStatus":"failed""#, r#""code":"noSpace""#],
        ),
        (
            "firmware-a",
            &WrongChecksum,
            0,
            [r#""firmwareStatus":"failed""#, r#""code":"checksumMismatch""#],
        ),
        (
            "firmware-a",
            &ApplyFails,
            0,
            [r#""firmwareStatus":"failed""#, r#""code":"applyFailed""#],
        ),
        (
            "firmware-a",
            &RollsBack,
            2,
            [r#""firmwareStatus":"failed""#, r#""code":"rolledBack""#],
        ),
        (
            "firmware-a",
            &boot_loop,
            4,
            [r#""firmwareStatus":"failed""#, r#""code":"bootLoop""#],
        ),
        (
            "firmware-b",
            &NoSpace,
            0,
            [r#""status":"downloadFailed""#, r#""code":"noSpace""#],
        ),
        (
            "firmware-b",
            &WrongChecksum,
            0,
            [r#""status":"downloadFailed""#, r#""code":"checksumMismatch""#],
        ),
        (
            "firmware-b",
            &ApplyFails,
            0,
            [r#""status":"applyFailed""#, r#""code":"applyFailed""#],
        ),
        (
            "firmware-b",
            &RollsBack,
            2,
            [r#""status":"applyFailed""#, r#""code":"rolledBack""#],
        ),
        (
            "firmware-b",
            &boot_loop,
            4,
            [r#""status":"applyFailed""#, r#""code":"bootLoop""#],
        ),
        (
            "firmware-c",
            &NoSpace,
            0,
            [r#""fwUpdateStatus":"error""#, r#""fwUpdateSubstatus":"noSpace: "#],
        ),
        (
            "firmware-c",
            &WrongChecksum,
            0,
            [
                r#""fwUpdateStatus":"error""#,
                r#""fwUpdateSubstatus":"checksumMismatch: "#,
            ],
        ),
        (
            "firmware-c",
            &ApplyFails,
            0,
            [r#""fwUpdateStatus":"error""#, r#""fwUpdateSubstatus":"applyFailed: "#],
        ),
        (
            "firmware-c",
            &RollsBack,
            2,
            [r#""fwUpdateStatus":"rolledback""#, r#""currentFwVersion":"1.0.0""#],
        ),
        (
            "firmware-c",
            &boot_loop,
            4,
            [r#""fwUpdateStatus":"rolledback""#, r#""fwUpdateSubstatus":"bootLoop: "#],
        ),
        (
            "firmware-l",
            &NoSpace,
            0,
            [r#""state":0,"result":2"#, r#""code":"noSpace""#],
        ),
        (
            "firmware-l",
            &WrongChecksum,
            0,
            [r#""state":0,"result":5"#, r#""code":"checksumMismatch""#],
        ),
        (
            "firmware-l",
            &ApplyFails,
            0,
            [r#""state":2,"result":8"#, r#""code":"applyFailed""#],
        ),
        (
            "firmware-l",
            &RollsBack,
            2,
            [r#""state":0,"result":8,"version":"1.0.0""#, r#""code":"rolledBack""#],
        ),
        (
            "firmware-l",
            &boot_loop,
            4,
            [r#""state":0,"result":8"#, r#""code":"bootLoop""#],
        ),
        (
            "device-jobs",
            &NoSpace,
            0,
            [r#""status":"failed""#, r#""state":1,"result":2"#],
        ),
        (
            "device-jobs",
            &WrongChecksum,
            0,
            [r#""status":"failed""#, r#""state":1,"result":5"#],
        ),
        (
            "device-jobs",
            &ApplyFails,
            0,
            [r#""status":"failed""#, r#""state":1,"result":8"#],
        ),
        (
            "device-jobs",
            &RollsBack,
            2,
            [r#""status":"failed""#, r#""code":"rolledBack""#],
        ),
        (
            "device-jobs",
            &boot_loop,
            4,
            [r#""status":"failed""#, r#""code":"bootLoop""#],
        ),
    ];
    for (model, fault, restarts, parts) in cases {
        let device = Recording::built_in(model).with([fault.clone()]);
        let lines = update(&device).await;
        let last = lines.last().unwrap();
        assert!(
            parts.iter().all(|part| last.contains(part)),
            "{model} {fault:?}: {last}"
        );
        let restarted = lines.iter().filter(|line| line.ends_with(" restart")).count();
        assert_eq!(restarted, restarts, "{model} {fault:?}: {lines:?}");
        let memory = device.behaviour.memory(&device);
        assert_eq!(memory["firmwareVersion"], "1.0.0", "{model} {fault:?}");
        if matches!(fault, NoSpace | WrongChecksum) {
            assert!(
                !lines.iter().any(|line| line.contains("pplying")),
                "{model} {fault:?}: {lines:?}"
            );
        }
        // Once the fault is gone, the next update succeeds.
        let device = device.with([]);
        update(&device).await;
        assert_eq!(
            device.behaviour.memory(&device)["firmwareVersion"],
            "2.0.0",
            "{model} {fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_download_ends_in_failed_with_its_reason() {
    for (error, code, number) in [
        (DownloadError::HttpStatus(404), "notFound", 7),
        (DownloadError::HttpStatus(500), "httpStatus", 7),
        (DownloadError::Unreachable, "unreachable", 4),
        (DownloadError::TimedOut, "timedOut", 4),
        (
            DownloadError::CutShort {
                received: 1,
                announced: Some(3),
            },
            "cutShort",
            4,
        ),
        (DownloadError::Empty, "empty", 6),
        (DownloadError::TooLarge, "tooLarge", 6),
    ] {
        let message = error.to_string();
        let failing = |model: &str| Recording::built_in(model).without_package(error.clone());
        let lines = update(&failing("firmware-a")).await;
        assert_eq!(
            lines.last().unwrap(),
            &format!(
                r#"5 report {{"firmwareStatus":"failed","firmwareError":{{"code":"{code}","message":"{message}"}}}}"#
            )
        );
        let lines = update(&failing("firmware-l")).await;
        assert!(
            lines.last().unwrap().contains(&format!(r#""result":{number},"#)),
            "{lines:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_regresses_reports_an_earlier_phase_and_still_ends_right() {
    let device = Recording::built_in("firmware-a").with([FaultKind::TwinRegression]);
    let lines = update(&device).await;
    let stages: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(r#""firmwareStatus":""#)?.1.split('"').next())
        .collect();
    assert_eq!(
        stages,
        [
            "standBy",
            "downloading",
            "standBy",
            "downloading",
            "applying",
            "completed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_answers_touches_only_the_answer() {
    let by = "40s".parse().unwrap();
    for (fault, answer, place) in [
        (FaultKind::NoAnswer, None, 0),
        (FaultKind::WrongAnswer { status: 503 }, Some("0 respond 503 "), 0),
        (FaultKind::LateAnswer { by }, Some("40 respond 200 "), 4),
    ] {
        let whole = update(&Recording::built_in("firmware-a")).await;
        let mut lines = update(&Recording::built_in("firmware-a").with([fault.clone()])).await;
        if let Some(answer) = answer {
            let line = lines.remove(place);
            assert!(line.starts_with(answer), "{fault:?}: {line}");
        }
        assert_eq!(lines, whole[1..], "{fault:?}: the work goes on as it would");
    }
    let late = Recording::built_in("lock-door").with([FaultKind::LateAnswer { by }]);
    let refused = called(&late, "unlock", Value::Null).await;
    assert!(refused[0].starts_with("40 respond 404"), "{refused:?}");
}
