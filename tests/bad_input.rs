//! What goes wrong around a hub: ports, folders, disks, hosts. A clear message, and nothing half
//! done.

#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use hub_client::{ClientError, HubClient, IfMatch, RetryPolicy};
use hub_protocol::{ServiceConnectionString, twin::TwinPatch};
use local_hub::{HttpsPort, LocalHub, LocalHubConfig};
use serde_json::{Value, json};
use twindeck_app::{AppError, Code, trust};

use crate::support::{
    object,
    process::{run, text},
    world::{World, create_devices},
};

async fn refusal(config: LocalHubConfig) -> AppError {
    match LocalHub::start(config).await {
        Ok(_) => panic!("the hub should not have started"),
        Err(error) => error.into(),
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_and_leaves_the_folder_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let free = || LocalHubConfig::on_free_ports(dir.path());
    let mqtt = refusal(LocalHubConfig {
        mqtt_port: port,
        ..free()
    })
    .await;
    let https = refusal(LocalHubConfig {
        https_port: HttpsPort::Exactly(port),
        ..free()
    })
    .await;
    for error in [mqtt, https] {
        assert_eq!(error.code, Code::PortInUse);
        assert!(error.message.contains(&port.to_string()), "{}", error.message);
        assert!(error.hint.unwrap().contains("another port"));
    }
    LocalHub::start(free()).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_second_hub_on_the_same_folder_is_refused() {
    let world = World::start().await;
    let error = refusal(LocalHubConfig::on_free_ports(world.hub.data_dir())).await;
    assert_eq!(error.code, Code::Storage);
    assert!(
        error.message.contains("already using the data folder"),
        "{}",
        error.message
    );
    world.client.count("").await.unwrap();
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refusal(LocalHubConfig::on_free_ports(file.join("hub"))).await;
    assert_eq!(error.code, Code::Storage);
    assert!(error.message.contains(&*file.to_string_lossy()), "{}", error.message);
}

#[tokio::test]
async fn a_data_folder_that_is_not_a_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.db");
    let content = "this is somebody's diary, long enough to be mistaken for a database".repeat(100);
    std::fs::write(&file, &content).unwrap();
    let error = refusal(LocalHubConfig::on_free_ports(dir.path())).await;
    assert_eq!(error.code, Code::Storage);
    assert!(error.message.contains("hub.db"), "{}", error.message);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
}

#[tokio::test]
async fn the_command_line_says_that_a_port_is_in_use_and_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let arguments = [
        "hub",
        "serve",
        "--json",
        "--data-dir",
        data_dir,
        "--https-port",
        "0",
        "--mqtt-port",
        &port,
    ];
    let output = run(&arguments).await;
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), &told["error"]["code"]),
        (Some(1), &json!("PortInUse"))
    );
    assert_eq!(text(&output.stdout), "");
}

#[tokio::test]
async fn an_unknown_host_and_a_closed_port_are_told_apart() {
    let world = World::start().await;
    let to = |host_name: &str| {
        world.client_as(ServiceConnectionString {
            host_name: host_name.into(),
            ..world.hub.service_connection_string()
        })
    };
    let unknown = to("hub.invalid").count("").await.unwrap_err();
    assert!(matches!(unknown, ClientError::UnknownHost { .. }), "{unknown}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = to(&format!("localhost:{}", closed.port())).count("").await.unwrap_err();
    assert!(matches!(unreachable, ClientError::Unreachable { .. }), "{unreachable}");
}

/// A file system of its own, as small or as stubborn as a test needs; only root may make one.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let disk = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        if disk.command("mount", &["-t", "tmpfs", "-o", options, "tmpfs"]) {
            return Some(disk);
        }
        eprintln!("skipped: this user may not mount a file system");
        None
    }

    fn command(&self, program: &str, arguments: &[&str]) -> bool {
        let done = Command::new(program).args(arguments).arg(self.dir.path()).output();
        done.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.command("umount", &["-l"]);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_plainly_and_the_hub_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        return;
    };
    let hub = LocalHub::start(LocalHubConfig::on_free_ports(disk.path().join("hub")))
        .await
        .unwrap();
    let tls = trust::only(&hub.addresses().ca_file).unwrap();
    let client = HubClient::with_retries(hub.service_connection_string(), tls, RetryPolicy::NEVER).unwrap();
    let device = create_devices(&client, "d", 1).await.remove(0).device_id;
    let filler = disk.fill();

    let mut kept = 0;
    let patch = |n: u64| TwinPatch::desired(object(json!({ "n": n, "ballast": "x".repeat(4000) })));
    // What SQLite already has room for in its log may still go through.
    let error = loop {
        match client.update_twin(&device, &patch(kept + 1), IfMatch::None).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "the disk is not full");
    };
    assert_eq!(error.status(), Some(503));
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let twin = client.twin(&device).await.unwrap();
    assert_eq!(
        twin.properties
            .desired
            .values
            .get("n")
            .and_then(Value::as_u64)
            .unwrap_or(0),
        kept,
        "readable, and whole"
    );

    std::fs::remove_file(filler).unwrap();
    client
        .update_twin(&device, &patch(kept + 1), IfMatch::None)
        .await
        .unwrap();
    hub.shutdown().await;
}

#[tokio::test]
async fn a_disk_without_room_for_a_hub_is_refused_with_what_to_do() {
    let Some(disk) = SmallDisk::mount("size=1m") else {
        return;
    };
    disk.fill();
    let error = refusal(LocalHubConfig::on_free_ports(disk.path().join("hub"))).await;
    assert_eq!(error.code, Code::Storage, "{error:?}");
    assert!(error.hint.unwrap().contains("room"));
}

#[tokio::test]
async fn a_read_only_disk_is_refused_with_what_to_do() {
    let Some(disk) = SmallDisk::mount("size=4m") else {
        return;
    };
    let config = || LocalHubConfig::on_free_ports(disk.path().join("hub"));
    LocalHub::start(config()).await.unwrap().shutdown().await;
    assert!(disk.command("mount", &["-o", "remount,ro"]));
    let error = refusal(config()).await;
    assert_eq!(error.code, Code::Storage, "{error:?}");
    assert!(error.hint.unwrap().contains("written"));
}
