//! The built command line, as a shell sees it.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{
    process::{error, finish, run, serve, terminate, text},
    soon,
};

#[tokio::test]
async fn a_hub_prints_one_line_when_ready_and_ends_cleanly_when_asked() {
    let (_dir, mut hub) = serve().await;
    let ready = hub.ready.as_object().unwrap();
    let keys: Vec<_> = ready.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "ready",
            "hostName",
            "mqttPort",
            "httpsPort",
            "caFile",
            "serviceConnectionString"
        ]
    );
    assert_eq!(
        (&ready["ready"], &ready["hostName"]),
        (&json!(true), &json!("localhost"))
    );
    assert!(hub.mqtt_port() > 0);
    hub.client.count("").await.unwrap();
    assert_eq!(hub.terminate().await, Some(0));
    assert_eq!(
        soon("the end of stdout", hub.stdout.next_line()).await.unwrap(),
        None,
        "exactly one line"
    );
}

#[tokio::test]
async fn an_interrupt_ends_a_hub_as_well() {
    let (_dir, mut hub) = serve().await;
    let sent = std::process::Command::new("kill")
        .args(["-INT", &hub.pid().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(
        soon("the hub to end", hub.process.wait()).await.unwrap().code(),
        Some(0)
    );
}

#[tokio::test]
async fn devices_are_created_listed_and_deleted() {
    let (_dir, hub) = serve().await;
    hub.json(&["device", "create", "pump-1", "pump-2"]).await;
    let list = hub.json(&["device", "list"]).await;
    let ids: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|device| &device["deviceId"])
        .collect();
    assert_eq!(ids, ["pump-1", "pump-2"]);
    let again = finish(&mut hub.control(&["--json", "device", "create", "pump-3", "pump-1"])).await;
    assert_eq!(
        (again.status.code(), &error(&again)["code"]),
        (Some(1), &json!("AlreadyExists"))
    );
    hub.json(&["device", "delete", "pump-1", "pump-3"]).await;
    let shown = finish(&mut hub.control(&["device", "list"])).await;
    assert_eq!(
        text(&shown.stdout),
        "DEVICE  STATUS    CONNECTION\npump-2  enabled   disconnected\n"
    );
    let string = finish(&mut hub.control(&["device", "connection-string", "pump-2"])).await;
    assert!(text(&string.stdout).starts_with("HostName=localhost;DeviceId=pump-2;SharedAccessKey="));
}

#[tokio::test]
async fn simulated_devices_answer_methods_until_stopped() {
    let (_dir, hub) = serve().await;
    hub.json(&["device", "create", "sim-0001"]).await;
    let port = hub.mqtt_port().to_string();
    let arguments = [
        "--json",
        "simulate",
        "--count",
        "3",
        "--model",
        "reboot",
        "--prefix",
        "sim",
        "--speed",
        "fast",
        "--mqtt-port",
        &port,
    ];
    let mut fleet = hub.control(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(fleet.stdout.take().unwrap()).lines();
    let line = soon("the devices", lines.next_line()).await.unwrap().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({ "ready": true, "connected": 3 })
    );

    let answer = hub
        .json(&["invoke", "sim-0001", "rebootDevice", "--payload", "{\"a\":1}"])
        .await;
    assert_eq!(answer["status"], 200);
    assert!(answer["payload"]["Response"].is_string() && answer["durationMs"].as_u64().unwrap() >= 200);
    let twin = hub.json(&["twin", "show", "sim-0001"]).await;
    assert!(twin["properties"]["reported"]["rebootTime"].is_string());

    terminate(fleet.id().unwrap());
    assert_eq!(soon("the devices to stop", fleet.wait()).await.unwrap().code(), Some(0));
    // Their goodbyes are read by another process; no event of this one tells when.
    soon("the goodbyes", async {
        while hub.client.connected_count().await.unwrap() > 0 {}
    })
    .await;
}

#[tokio::test]
async fn a_twin_is_updated_from_an_argument_or_standard_input_and_watched() {
    let (_dir, hub) = serve().await;
    hub.json(&["device", "create", "d"]).await;
    let mut watch = hub.control(&["twin", "watch", "d"]).spawn().unwrap();
    let mut announced = BufReader::new(watch.stderr.take().unwrap()).lines();
    let first = soon("the watch", announced.next_line()).await.unwrap().unwrap();
    assert!(first.starts_with("Watching d."), "{first}");

    let twin = hub.json(&["twin", "update", "d", "{\"tags\":{\"hall\":\"B\"}}"]).await;
    assert_eq!(twin["tags"], json!({ "hall": "B" }));
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let seen = soon("the change", lines.next_line()).await.unwrap().unwrap();
    assert_eq!(seen, "tags.hall = \"B\"");
    terminate(watch.id().unwrap());
    assert_eq!(soon("the watch to end", watch.wait()).await.unwrap().code(), Some(0));

    let mut update = hub.control(&["--json", "twin", "update", "d", "-"]);
    let mut update = update.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = update.stdin.take().unwrap();
    input
        .write_all(b"{\"properties\":{\"desired\":{\"n\":7}}}")
        .await
        .unwrap();
    drop(input);
    let output = soon("the update", update.wait_with_output()).await.unwrap();
    let twin: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(twin["properties"]["desired"]["n"], 7);
}

#[tokio::test]
async fn firmware_is_updated_by_query_and_by_name_and_a_failure_is_told() {
    let (dir, hub) = serve().await;
    let port = hub.mqtt_port().to_string();
    let arguments = [
        "--json",
        "simulate",
        "--count",
        "4",
        "--model",
        "firmware-a",
        "--speed",
        "fast",
        "--mqtt-port",
        &port,
    ];
    let mut fleet = hub.control(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(fleet.stdout.take().unwrap()).lines();
    soon("the devices", lines.next_line()).await.unwrap().unwrap();
    let package = dir.path().join("fw.bin");
    std::fs::write(&package, b"firmware").unwrap();
    let package = package.to_str().unwrap();

    let query = "STARTSWITH(deviceId, 'firmware-a-')";
    let result = hub
        .json(&["firmware", "update", "--package", package, "--query", query])
        .await;
    assert_eq!(
        (&result["succeeded"], &result["total"]),
        (&json!(4), &json!(4)),
        "{result}"
    );

    let bad = "http://127.0.0.1:9/fw.bin";
    let arguments = [
        "firmware",
        "update",
        "--uri",
        bad,
        "--device",
        "firmware-a-0001",
        "--device",
        "firmware-a-0002",
    ];
    let failed = finish(&mut hub.control(&arguments)).await;
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
    let told = text(&failed.stdout);
    assert!(
        told.contains("firmware-a-0001: failed: ") && told.ends_with("0 of 2 devices updated, 2 failed.\n"),
        "{told}"
    );

    let unknown = [
        "--json",
        "firmware",
        "update",
        "--package",
        package,
        "--device",
        "nobody",
    ];
    let unknown = finish(&mut hub.control(&unknown)).await;
    assert_eq!(
        (unknown.status.code(), &error(&unknown)["code"]),
        (Some(1), &json!("NotFound"))
    );
    terminate(fleet.id().unwrap());
    fleet.wait().await.unwrap();
}

#[tokio::test]
async fn the_demo_updates_twenty_devices_and_ends_by_itself() {
    let shown = run(&["demo"]).await;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert_eq!(text(&shown.stdout), "20 of 20 devices updated.\n");
    let machine = run(&["demo", "--json"]).await;
    let result: Value = serde_json::from_slice(&machine.stdout).unwrap();
    assert_eq!(
        (machine.status.code(), &result["succeeded"], text(&machine.stderr)),
        (Some(0), &json!(20), String::new())
    );
}

#[tokio::test]
async fn the_connection_string_may_come_from_a_file() {
    let (dir, hub) = serve().await;
    let file = dir.path().join("connection");
    std::fs::write(&file, format!("{}\n", hub.connection_string())).unwrap();
    let ca = hub.ready["caFile"].as_str().unwrap();
    let arguments = [
        "--ca-file",
        ca,
        "--connection-string-file",
        file.to_str().unwrap(),
        "device",
        "list",
        "--json",
    ];
    let output = run(&arguments).await;
    assert_eq!((output.status.code(), text(&output.stdout).trim()), (Some(0), "[]"));
}

#[tokio::test]
async fn a_bulk_action_is_shown_before_it_is_done_and_kept_in_the_history_after() {
    let (dir, hub) = serve().await;
    let jobs = dir.path().join("jobs");
    let data = ["--data-dir", jobs.to_str().unwrap()];
    hub.json(&["device", "create", "pump-1", "pump-2", "pump-3"]).await;
    let patch = r#"{"tags":{"ring":2}}"#;
    let bulk = |more: &[&'static str]| [&["bulk", "twin", patch, "--device", "pump-1", "pump-2"], more, &data].concat();
    let told = hub.json(&bulk(&["--dry-run"])).await;
    assert_eq!((&told["count"], &told["unchanged"]), (&json!(2), &json!(0)));
    assert_eq!(
        told["differences"][0]["lines"][0],
        json!({ "path": "tags.ring", "before": null, "after": 2 })
    );
    assert_eq!(
        hub.client.count("tags.ring = 2").await.unwrap(),
        0,
        "a dry run does nothing"
    );
    assert_eq!(
        hub.json(&bulk(&[])).await["statusMessage"],
        "Devices: 2; Succeeded: 2; Failed: 0"
    );
    assert_eq!(hub.client.count("tags.ring = 2").await.unwrap(), 2);

    // What cannot be undone is not done by the way.
    let delete = [&["bulk", "delete", "--query", "tags.ring = 2"][..], &data].concat();
    let refused = finish(hub.control(&delete).arg("--json")).await;
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(error(&refused)["message"], "This deletes 2 devices.");
    hub.json(&[&delete[..], &["--yes"]].concat()).await;
    assert_eq!(hub.client.count("").await.unwrap(), 1);

    // A device that is not there is a failure, with its reason and exit code 1.
    let gone = [&["bulk", "enable", "--device", "pump-1"][..], &data].concat();
    let failed = finish(hub.control(&gone).arg("--json")).await;
    assert_eq!(failed.status.code(), Some(1));
    let job: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&job["state"], &job["failed"]), (&json!("failed"), &json!(1)));

    let list = hub
        .json(&[&["job", "list", "--device", "pump-1"][..], &data].concat())
        .await;
    let titles: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Enable", "Delete", "Change tags ring"]);
}
