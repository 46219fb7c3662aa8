//! A fleet file from the command line: checked, split into shards, kept over two runs, and not
//! started against a hub in Azure by mistake.

use std::path::Path;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::support::{
    process::{ServedHub, binary, command, error, finish, run, serve, terminate, text},
    soon,
};

const MANIFEST: &str = include_str!("../packaging/kubernetes/simulate.yaml");

const FLEET: &str = r#"
name = "plant"
seed = 7
[connect]
perSecond = 1000
[[devices]]
count = 20
id = "pump-{number:2}"
model = "firmware-c"
timeScale = 0.005
[devices.tags]
site = { cycle = ["north", "south"] }
"#;

fn write(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    async fn start(hub: &ServedHub, fleet: &str, more: &[&str]) -> Self {
        let port = hub.mqtt_port().to_string();
        let arguments = [&["--json", "simulate", "--fleet", fleet, "--mqtt-port", &port], more].concat();
        let mut process = hub.control(&arguments).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next object that has this name in it.
    async fn told(&mut self, name: &str) -> Value {
        soon(name, async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("it ended");
                let value: Value = serde_json::from_str(&line).unwrap();
                if value.get(name).is_some() {
                    return value;
                }
            }
        })
        .await
    }

    async fn stop(mut self) -> Value {
        terminate(self.process.id().unwrap());
        let totals = self.told("stopped").await;
        assert_eq!(soon("the end", self.process.wait()).await.unwrap().code(), Some(0));
        totals
    }
}

#[tokio::test]
async fn two_shards_side_by_side_connect_every_device_exactly_once() {
    let (dir, hub) = serve().await;
    let fleet = write(dir.path(), "fleet.toml", FLEET);
    let mut shards = Vec::new();
    for shard in ["1/2", "2/2"] {
        shards.push(Running::start(&hub, &fleet, &["--shard", shard]).await);
    }
    let mut connected = Vec::new();
    for shard in &mut shards {
        connected.push(shard.told("ready").await["connected"].as_u64().unwrap());
    }
    assert_eq!(connected.iter().sum::<u64>(), 20, "{connected:?}");
    assert!(connected.iter().all(|count| *count > 0), "{connected:?}");
    assert_eq!(hub.client.connected_count().await.unwrap(), 20);
    let twin = hub.json(&["twin", "show", "pump-02"]).await;
    assert_eq!(
        (&twin["tags"]["site"], &twin["connectionState"]),
        (&json!("south"), &json!("Connected"))
    );
    // Two connections of one device would push each other out.
    let mut connects = 0;
    for shard in shards {
        let totals = shard.stop().await;
        connects += totals["connects"].as_u64().unwrap();
        assert_eq!(totals["connectionsLost"], 0, "{totals}");
    }
    assert_eq!(connects, 20);
}

#[tokio::test]
async fn what_devices_remember_is_kept_from_one_run_to_the_next() {
    let (dir, hub) = serve().await;
    let fleet = write(dir.path(), "fleet.toml", &FLEET.replace("count = 20", "count = 1"));
    let state = dir.path().join("state.json");
    let state = state.to_str().unwrap();
    let kept = || {
        let text = std::fs::read_to_string(state).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["devices"]["pump-01"].clone()
    };
    let mut first = Running::start(&hub, &fleet, &["--state", state]).await;
    first.told("ready").await;
    first.stop().await;
    let boot = kept()["lastBoot"].clone();
    assert!(boot.is_string(), "{boot}");

    let mut memory = kept();
    memory["firmwareVersion"] = json!("3.1.4");
    std::fs::write(state, json!({ "devices": { "pump-01": memory } }).to_string()).unwrap();
    let mut second = Running::start(&hub, &fleet, &["--state", state]).await;
    second.told("ready").await;
    soon("the version", async {
        loop {
            let twin = hub.json(&["twin", "show", "pump-01"]).await;
            if twin["properties"]["reported"]["firmware"]["currentFwVersion"] == "3.1.4" {
                return;
            }
        }
    })
    .await;
    second.stop().await;
    assert_ne!(kept()["lastBoot"], boot);
    assert_eq!(kept()["firmwareVersion"], "3.1.4");
}

#[tokio::test]
async fn a_fleet_is_checked_without_a_hub() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.toml", FLEET);
    let checked = run(&["--json", "simulate", "--check", "--fleet", &good]).await;
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        (&told["valid"], &told["devices"], &told["tier"]),
        (&json!(true), &json!(20), &json!("F1"))
    );

    let bad = write(dir.path(), "bad.toml", &FLEET.replace("firmware-c", "toaster"));
    let refused = run(&["--json", "simulate", "--check", "--fleet", &bad]).await;
    assert_eq!(refused.status.code(), Some(2));
    let message = error(&refused)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("bad.toml: line 6") && message.contains("no model \"toaster\""),
        "{message}"
    );

    let model = run(&["--json", "simulate", "--check", "--model", "lock-door"]).await;
    let told: Value = serde_json::from_slice(&model.stdout).unwrap();
    assert_eq!(told["methods"], json!(["lockDoor"]));
}

#[tokio::test]
async fn a_fleet_is_not_started_against_azure_before_its_cost_was_told_and_taken() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = write(dir.path(), "fleet.toml", &FLEET.replace("count = 20", "count = 2000"));
    let azure = "HostName=nobody.azure-devices.invalid;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0";
    let mut simulate = command(&["--json", "simulate", "--fleet", &fleet]);
    let refused = finish(simulate.env("IOTHUB_CONNECTION_STRING", azure)).await;
    assert_eq!(refused.status.code(), Some(2));
    let told = error(&refused);
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("2000 devices") && message.contains("messages a day") && message.contains("tier S1"),
        "{message}"
    );
    assert!(told["hint"].as_str().unwrap().contains("--yes"));
}

/// The manifest's documents.
fn manifest() -> (Value, Value) {
    let mut documents = serde_saphyr::from_multiple::<Value>(MANIFEST).unwrap().into_iter();
    (documents.next().unwrap(), documents.next().unwrap())
}

#[test]
fn the_kubernetes_job_runs_each_shard_once_and_takes_the_key_from_a_secret() {
    let (fleet, job) = manifest();
    assert_eq!(
        (fleet["kind"].as_str(), job["kind"].as_str()),
        (Some("ConfigMap"), Some("Job"))
    );
    let spec = &job["spec"];
    assert_eq!(
        (&spec["completionMode"], &spec["completions"]),
        (&json!("Indexed"), &spec["parallelism"])
    );
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    let variable = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        variables
            .iter()
            .find(|variable| variable["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(variable("SHARDS")["value"], spec["completions"].to_string());
    let key = &variable("IOTHUB_CONNECTION_STRING")["valueFrom"]["secretKeyRef"];
    assert_eq!(
        (&key["name"], &key["key"]),
        (&json!("twindeck-hub"), &json!("connection-string"))
    );
    assert_eq!(container["volumeMounts"][0]["name"], pod["volumes"][0]["name"]);
    assert_eq!(pod["volumes"][0]["configMap"]["name"], fleet["metadata"]["name"]);
}

/// What a pod runs, run here: every index must be a shard the program takes.
#[cfg(unix)]
#[tokio::test]
async fn what_the_kubernetes_job_runs_is_understood() {
    let (fleet, job) = manifest();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "fleet.toml", fleet["data"]["fleet.toml"].as_str().unwrap());
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["/bin/sh", "-c"]));
    let script = container["args"][0].as_str().unwrap();
    assert!(script.contains("/fleet/fleet.toml"), "{script}");
    let script = script.replace("/fleet/", &format!("{}/", dir.path().display())) + " --check";
    let shards = job["spec"]["completions"].as_u64().unwrap();
    for index in 0..=shards {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &script])
            .env("PATH", binary().parent().unwrap())
            .env("JOB_COMPLETION_INDEX", index.to_string())
            .env("SHARDS", shards.to_string());
        let checked = finish(&mut shell).await;
        let expected = if index < shards { Some(0) } else { Some(2) };
        assert_eq!(checked.status.code(), expected, "{index}: {}", text(&checked.stderr));
    }
}
