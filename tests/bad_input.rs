//! What goes wrong around a hub: ports, folders, hosts. A clear message, and nothing half done.

use std::net::TcpListener;

use hub_client::ClientError;
use hub_protocol::ServiceConnectionString;
use local_hub::{HttpsPort, LocalHub, LocalHubConfig};
use serde_json::{Value, json};
use twindeck_app::{AppError, Code};

use crate::support::{
    process::{run, text},
    world::World,
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
