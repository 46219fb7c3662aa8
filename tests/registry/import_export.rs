//! The registry as files.

use std::{path::PathBuf, process::Command};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::primary_key;
use crate::support::{
    rest::{Answer, code},
    soon,
    world::World,
};

const CONTAINER: &str = "https://account.blob.core.windows.net/files?sig=secret";

impl World {
    /// Where [`CONTAINER`] lies.
    fn container(&self) -> PathBuf {
        self.hub
            .data_dir()
            .join("containers/account.blob.core.windows.net/files")
    }

    fn blob(&self, name: &str) -> String {
        std::fs::read_to_string(self.container().join(name)).unwrap()
    }

    fn write_blob(&self, name: &str, lines: &[String]) {
        std::fs::create_dir_all(self.container()).unwrap();
        std::fs::write(self.container().join(name), lines.join("\n")).unwrap();
    }

    async fn create_job(&self, body: Value) -> Answer {
        self.call(Method::POST, "/jobs/create", &[], body.to_string()).await
    }

    async fn export(&self, exclude_keys: bool) -> Value {
        let body =
            json!({ "type": "export", "outputBlobContainerUri": CONTAINER, "excludeKeysInExport": exclude_keys });
        self.finished(&self.create_job(body).await).await
    }

    async fn import(&self) -> Value {
        self.finished(&self.create_job(import()).await).await
    }

    /// The job once it is over.
    async fn finished(&self, created: &Answer) -> Value {
        assert_eq!(
            (created.status, &created.body["status"]),
            (200, &json!("enqueued")),
            "{}",
            created.body
        );
        let path = format!("/jobs/{}", created.body["jobId"].as_str().unwrap());
        soon("the job to end", async {
            loop {
                let job = self.get(&path).await.body;
                match job["status"].as_str().unwrap() {
                    "enqueued" | "running" => tokio::task::yield_now().await,
                    _ => return job,
                }
            }
        })
        .await
    }
}

fn import() -> Value {
    json!({ "type": "Import", "inputBlobContainerUri": CONTAINER, "outputBlobContainerUri": CONTAINER })
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A gateway, a leaf below it whose id sorts before it, and a module, all with twins.
async fn furnished() -> World {
    let world = World::start().await;
    let gateway = world
        .put("gw", None, json!({ "capabilities": { "iotEdge": true } }))
        .await;
    let leaf = json!({ "deviceScope": gateway.body["deviceScope"], "status": "disabled", "statusReason": "spare" });
    world.put("a-leaf", None, leaf).await;
    world.put("gw/m", None, json!({ "managedBy": "me" })).await;
    let patch = json!({ "tags": { "hall": "B" }, "properties": { "desired": { "n": 1 } } }).to_string();
    for twin in ["/twins/a-leaf", "/twins/gw/modules/m"] {
        assert_eq!(world.call(Method::PATCH, twin, &[], patch.clone()).await.status, 200);
    }
    world
}

#[tokio::test]
async fn ie_01_an_export_writes_a_line_for_each_device_and_module() {
    let world = furnished().await;
    let job = world.export(false).await;
    assert_eq!(
        (&job["status"], &job["progress"], &job["failureReason"]),
        (&json!("completed"), &json!(100), &Value::Null)
    );
    assert_eq!(job["type"], "export");
    assert!(job["endTimeUtc"].as_str().unwrap() >= job["startTimeUtc"].as_str().unwrap());
    assert!(!job.to_string().contains("secret"), "container URIs are not echoed");
    let exported = lines(&world.blob("devices.txt"));
    let ids: Vec<_> = exported
        .iter()
        .map(|line| (line["id"].as_str().unwrap(), line["moduleId"].as_str()))
        .collect();
    assert_eq!(
        ids,
        [
            ("a-leaf", None),
            ("gw", None),
            ("gw", Some("$edgeAgent")),
            ("gw", Some("$edgeHub")),
            ("gw", Some("m"))
        ]
    );
    let (leaf, module) = (&exported[0], &exported[4]);
    let device = world.get("/devices/a-leaf").await.body;
    assert_eq!(leaf["eTag"], device["etag"]);
    assert_eq!(leaf["authentication"], device["authentication"]);
    assert_eq!(
        (&leaf["status"], &leaf["statusReason"]),
        (&json!("disabled"), &json!("spare"))
    );
    assert_eq!(
        (&leaf["tags"], &leaf["properties"]["desired"]["n"]),
        (&json!({ "hall": "B" }), &json!(1))
    );
    assert_eq!(leaf["parentScopes"], device["parentScopes"]);
    assert_eq!(module["managedBy"], "me");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(world.container().join("devices.txt"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "keys are for the owner alone");
    }
    assert_eq!(world.get("/jobs").await.body, json!([job]));
    assert_eq!(code(&world.get("/jobs/none").await), (404, "JobNotFound"));
    assert_eq!(code(&world.delete("/jobs/none", None).await), (404, "JobNotFound"));
}

#[tokio::test]
async fn ie_01_an_export_without_keys_begins_with_a_warning_and_holds_none() {
    let world = furnished().await;
    let key = primary_key(&world.get("/devices/gw").await);
    world.export(true).await;
    let text = world.blob("devices.txt");
    let (warning, rest) = text.split_once('\n').unwrap();
    assert!(
        warning.contains("no keys") && serde_json::from_str::<Value>(warning).is_err(),
        "{warning}"
    );
    assert_eq!(lines(rest).len(), 5);
    assert!(!text.contains(&key));
    assert_eq!(
        lines(rest)[1]["authentication"]["symmetricKey"]["primaryKey"],
        Value::Null
    );
}

#[tokio::test]
async fn ie_01_an_import_brings_an_export_back_with_keys_twins_and_parents() {
    let before = furnished().await;
    before.export(false).await;
    let after = World::start().await;
    std::fs::create_dir_all(after.container()).unwrap();
    std::fs::copy(
        before.container().join("devices.txt"),
        after.container().join("devices.txt"),
    )
    .unwrap();
    let job = after.import().await;
    assert_eq!(
        (&job["status"], &job["failureReason"]),
        (&json!("completed"), &Value::Null)
    );
    assert!(!after.container().join("importErrors.log").exists());
    for path in [
        "/devices/a-leaf",
        "/devices/gw",
        "/devices/gw/modules/m",
        "/devices/gw/modules/$edgeAgent",
    ] {
        let (before, after) = (before.get(path).await.body, after.get(path).await.body);
        for field in [
            "authentication",
            "status",
            "statusReason",
            "managedBy",
            "capabilities",
            "deviceScope",
            "parentScopes",
        ] {
            assert_eq!(after[field], before[field], "{path} {field}");
        }
    }
    for path in ["/twins/a-leaf", "/twins/gw/modules/m"] {
        let twin = after.get(path).await.body;
        assert_eq!(
            (&twin["tags"], &twin["properties"]["desired"]["n"]),
            (&json!({ "hall": "B" }), &json!(1)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn ie_01_bad_lines_are_told_in_a_file_and_the_job_still_completes() {
    let world = World::start().await;
    let taken = world.put("taken", None, json!({})).await;
    world.write_blob(
        "devices.txt",
        &[
            json!({ "id": "good", "status": "enabled" }).to_string(),
            json!({ "id": "no-status" }).to_string(),
            "{ not json".into(),
            json!({ "id": "taken", "status": "enabled", "eTag": "MTIz" }).to_string(),
            json!({ "id": "b a d", "status": "enabled" }).to_string(),
            json!({ "id": "lost", "status": "enabled", "deviceScope": "ms-azure-iot-edge://gone-1" }).to_string(),
            String::new(),
            json!({ "id": "nobody", "moduleId": "m" }).to_string(),
            json!({ "id": "gone", "importMode": "delete" }).to_string(),
        ],
    );
    let job = world.import().await;
    assert_eq!(
        (&job["status"], &job["failureReason"]),
        (&json!("completed"), &Value::Null)
    );
    assert_eq!(world.get("/devices/good").await.status, 200);
    assert_eq!(world.get("/devices/taken").await.body, taken.body);
    let told = lines(&world.blob("importErrors.log"));
    let mut told: Vec<_> = told
        .iter()
        .map(|line| (line["deviceId"].as_str().unwrap(), line["errorCode"].as_str().unwrap()))
        .collect();
    told.sort_unstable();
    let expected = [
        ("", "IotHubFormatError"),
        ("b a d", "ArgumentInvalid"),
        ("gone", "DeviceNotFound"),
        ("lost", "InvalidDeviceScope"),
        ("no-status", "ArgumentInvalid"),
        ("nobody", "DeviceNotFound"),
        ("taken", "PreconditionFailed"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_job_writes_nowhere_but_in_the_hub_s_own_folder() {
    let world = World::start().await;
    let outside = world.dir.path().join("outside");
    for uri in [
        format!("file://{}", outside.display()),
        "https://host/..".into(),
        "https://host/%2e%2e".into(),
        "elsewhere".into(),
    ] {
        let job = world
            .create_job(json!({ "type": "export", "outputBlobContainerUri": uri }))
            .await;
        assert_eq!(code(&job), (400, "BlobContainerValidationError"), "{uri}");
    }
    for name in ["../devices.txt", "a/b", ".hidden"] {
        let body = json!({ "type": "export", "outputBlobContainerUri": CONTAINER, "outputBlobName": name });
        assert_eq!(
            code(&world.create_job(body).await),
            (400, "BlobContainerValidationError"),
            "{name}"
        );
    }
    let missing = world.create_job(import()).await;
    assert_eq!(
        code(&missing),
        (400, "BlobContainerValidationError"),
        "there is nothing to import"
    );
    assert_eq!(
        code(&world.create_job(json!({ "type": "export" })).await),
        (400, "ArgumentNull")
    );
    assert_eq!(
        code(&world.create_job(json!({ "type": "wash" })).await),
        (400, "ArgumentInvalid")
    );
    world.export(false).await;
}

/// An import that goes on until the pipe it reads from is closed.
async fn endless_import(world: &World) -> (Answer, tokio::net::unix::pipe::Sender) {
    let pipe = world.container().join("devices.txt");
    std::fs::create_dir_all(world.container()).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = tokio::net::unix::pipe::OpenOptions::new()
        .read_write(true)
        .open_sender(&pipe)
        .unwrap();
    (world.create_job(import()).await, writer)
}

#[tokio::test]
async fn ie_01_a_second_job_is_refused_while_one_runs_and_a_cancelled_one_makes_room() {
    let world = World::start().await;
    let (running, mut pipe) = endless_import(&world).await;
    let export = json!({ "type": "export", "outputBlobContainerUri": CONTAINER, "outputBlobName": "out.txt" });
    assert_eq!(code(&world.create_job(export.clone()).await), (403, "JobQuotaExceeded"));
    let path = format!("/jobs/{}", running.body["jobId"].as_str().unwrap());
    assert_eq!(world.delete(&path, None).await.status, 204);
    assert_eq!(world.get(&path).await.body["status"], "cancelled");
    assert_eq!(
        world.delete(&path, None).await.status,
        204,
        "one that is over stays as it is"
    );
    let done = world.finished(&world.create_job(export).await).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(world.get(&path).await.body["status"], "cancelled");
    pipe.write_all(b"\n").await.unwrap();
}

#[tokio::test]
async fn a_job_that_a_stopping_hub_left_has_failed_and_makes_room() {
    let world = World::start().await;
    let (running, mut pipe) = endless_import(&world).await;
    let path = format!("/jobs/{}", running.body["jobId"].as_str().unwrap());
    let world = world.restart().await;
    let job = world.get(&path).await.body;
    assert_eq!(job["status"], "failed");
    assert!(job["failureReason"].as_str().unwrap().contains("stopped"), "{job}");
    pipe.write_all(b"\n").await.unwrap();
    drop(pipe);
    std::fs::remove_file(world.container().join("devices.txt")).unwrap();
    world.export(false).await;
}
