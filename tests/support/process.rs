//! The built command line as a process.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use hub_client::{HubClient, RetryPolicy};
use hub_protocol::ServiceConnectionString;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use twindeck_app::trust;

use super::soon;

/// The binary beside this test's own, built when it is missing or older than its sources.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("TWINDECKCTL") {
            return given.into();
        }
        let own = std::env::current_exe().unwrap();
        let profile = own.ancestors().nth(2).unwrap();
        let binary = profile.join(format!("twindeckctl{}", std::env::consts::EXE_SUFFIX));
        if !is_fresh(&binary) {
            build(profile.parent().unwrap());
        }
        binary
    })
}

/// Cargo lists beside a binary what it was made of.
fn is_fresh(binary: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let built: Option<SystemTime> = changed(binary);
    let sources = std::fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let mut sources = sources.split_whitespace().skip(1).map(Path::new).peekable();
    built.is_some() && sources.peek().is_some() && sources.all(|source| changed(source) <= built)
}

fn build(target: &Path) {
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "twindeckctl", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the command line could not be built");
}

/// A command with nothing of the caller's hub in its environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_remove("IOTHUB_CONNECTION_STRING")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(arguments: &[&str]) -> Output {
    finish(&mut command(arguments)).await
}

pub(crate) async fn finish(command: &mut Command) -> Output {
    soon("the command to end", command.output()).await.unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The object a failed command leaves on stderr.
pub(crate) fn error(output: &Output) -> Value {
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    let value: Value = serde_json::from_str(told.trim()).unwrap_or_else(|_| panic!("not one JSON object: {told}"));
    value["error"].clone()
}

/// A hub in a folder that lasts as long as the first of the two.
pub(crate) async fn serve() -> (tempfile::TempDir, ServedHub) {
    let dir = tempfile::tempdir().unwrap();
    let hub = ServedHub::start(dir.path()).await;
    (dir, hub)
}

/// A running `twindeckctl hub serve`.
pub(crate) struct ServedHub {
    pub(crate) process: Child,
    pub(crate) stdout: Lines<BufReader<ChildStdout>>,
    pub(crate) ready: Value,
    pub(crate) client: HubClient,
    pub(crate) tls: Arc<ClientConfig>,
}

impl ServedHub {
    pub(crate) async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[]).await
    }

    /// With more in its environment.
    pub(crate) async fn start_with(data_dir: &Path, environment: &[(&str, &OsStr)]) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let mut process = command(&[
            "hub",
            "serve",
            "--data-dir",
            data_dir,
            "--mqtt-port",
            "0",
            "--https-port",
            "0",
        ])
        .envs(environment.iter().copied())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = soon("the ready line", stdout.next_line()).await.unwrap();
        let ready: Value = serde_json::from_str(&line.expect("the hub ended before it was ready")).unwrap();
        let tls = trust::only(Path::new(ready["caFile"].as_str().unwrap())).unwrap();
        let text = ready["serviceConnectionString"].as_str().unwrap();
        let connection = ServiceConnectionString::parse(text).unwrap();
        let client = HubClient::with_retries(connection, tls.clone(), RetryPolicy::NEVER).unwrap();
        Self {
            process,
            stdout,
            ready,
            client,
            tls: Arc::new(tls),
        }
    }

    pub(crate) fn mqtt_port(&self) -> u16 {
        self.ready["mqttPort"].as_u64().unwrap().try_into().unwrap()
    }

    pub(crate) fn connection_string(&self) -> &str {
        self.ready["serviceConnectionString"].as_str().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// A command against this hub.
    pub(crate) fn control(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["--ca-file", self.ready["caFile"].as_str().unwrap()];
        all.extend(arguments);
        let mut command = command(&all);
        command.env("IOTHUB_CONNECTION_STRING", self.connection_string());
        command
    }

    /// Runs it to its end, which must be success, and gives its JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let output = finish(self.control(arguments).arg("--json")).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The signal that asks a process to end; returns its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        terminate(self.pid());
        soon("the hub to end", self.process.wait()).await.unwrap().code()
    }
}

pub(crate) fn terminate(pid: u32) {
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
