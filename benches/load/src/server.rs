//! The two servers, each a process of its own that ends with this one.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hub_protocol::{
    connection_string::{Credential, ServiceConnectionString},
    identity::MAX_BULK,
    sas::{self, SasKey},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

use crate::{Result, http::Https, mqtt::Login};

const START: Duration = Duration::from_secs(30);
/// What Linux counts processor time in, on every architecture we know.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hub,
    Mosquitto,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Mosquitto => "mosquitto",
        }
    }
}

/// Where servers keep their files, and what devices log in with.
pub(crate) struct Servers {
    folder: TempDir,
    twindeckctl: PathBuf,
    mosquitto: PathBuf,
    /// One for all devices: its check costs the same.
    device_key: SasKey,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) mqtt_port: u16,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) login: Login,
    pub(crate) service: Option<Service>,
    /// Killed when dropped.
    child: Child,
}

/// How to call the hub's REST API.
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) token: String,
}

impl Servers {
    pub(crate) fn new(twindeckctl: Option<PathBuf>, mosquitto: PathBuf) -> Result<Self> {
        let twindeckctl = match twindeckctl {
            Some(path) => path,
            None => std::env::current_exe()?.with_file_name("twindeckctl"),
        };
        for program in [&twindeckctl, &mosquitto] {
            if !program.exists() {
                return Err(format!("{} is missing; build or install it", program.display()).into());
            }
        }
        let mut key = vec![0; 32];
        getrandom::fill(&mut key).map_err(|error| error.to_string())?;
        Ok(Self {
            folder: tempfile::Builder::new().prefix("twindeck-load-").tempdir()?,
            twindeckctl,
            mosquitto,
            device_key: SasKey::from_bytes(key)?,
        })
    }

    /// Makes the hub's identities; they stay in its data folder.
    pub(crate) async fn register(&self, count: usize) -> Result<()> {
        let hub = self.start(Kind::Hub).await?;
        let mut service = Https::open(&hub).await?;
        let key = self.device_key.to_base64();
        let ids: Vec<String> = (0..count).map(device_id).collect();
        for ids in ids.chunks(MAX_BULK) {
            let item = |id: &String| {
                let keys = json!({ "primaryKey": key.expose(), "secondaryKey": key.expose() });
                json!({ "id": id, "importMode": "create", "authentication": { "type": "sas", "symmetricKey": keys } })
            };
            let body: Vec<Value> = ids.iter().map(item).collect();
            let request = service.request("POST", "/devices", &json!(body));
            let (status, body) = service.call(&request).await?;
            if status != 200 {
                return Err(format!("the hub made no devices: {status} {}", String::from_utf8_lossy(&body)).into());
            }
        }
        hub.stop().await
    }

    pub(crate) async fn start(&self, kind: Kind) -> Result<Server> {
        timeout(START, async {
            match kind {
                Kind::Hub => self.start_hub().await,
                Kind::Mosquitto => self.start_mosquitto().await,
            }
        })
        .await
        .map_err(|_| format!("{} did not start", kind.name()))?
    }

    async fn start_hub(&self) -> Result<Server> {
        let mut child = Command::new(&self.twindeckctl)
            .args(["hub", "serve", "--mqtt-port", "0", "--https-port", "0", "--data-dir"])
            .arg(self.folder.path().join("hub"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = lines(child.stdout.take())?;
        let ready = said.next_line().await?.ok_or("the hub ended at its start")?;
        let ready: Value = serde_json::from_str(&ready)?;
        let port = |name: &str| {
            let port = ready[name].as_u64().and_then(|port| u16::try_from(port).ok());
            port.ok_or_else(|| format!("the hub names no {name}"))
        };
        let text = |name: &str| ready[name].as_str().ok_or_else(|| format!("the hub names no {name}"));
        let owner = ServiceConnectionString::parse(text("serviceConnectionString")?)?;
        let Credential::Key(key) = &owner.credential else {
            return Err("the hub gave no key".into());
        };
        let expiry = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 86_400;
        Ok(Server {
            kind: Kind::Hub,
            mqtt_port: port("mqttPort")?,
            tls: trust(Path::new(text("caFile")?))?,
            login: Login::Device {
                key: self.device_key.clone(),
                expiry,
            },
            service: Some(Service {
                port: port("httpsPort")?,
                token: sas::sign("localhost", key, expiry, Some(&owner.policy))
                    .expose()
                    .to_owned(),
            }),
            child,
        })
    }

    async fn start_mosquitto(&self) -> Result<Server> {
        let file = |name: &str| self.folder.path().join(name);
        let (certificate, key, config) = (file("server.pem"), file("server-key.pem"), file("mosquitto.conf"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        // `user` counts only when started as root, which would otherwise not read its own files.
        let text = format!(
            "listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\nallow_anonymous true\npersistence false\n\
             set_tcp_nodelay true\nconnection_messages false\nuser root\n\
             log_dest stderr\nlog_type error\nlog_type warning\nlog_type information\n",
            certificate.display(),
            key.display()
        );
        fs::write(&config, text)?;
        let mut child = Command::new(&self.mosquitto)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = lines(child.stderr.take())?;
        loop {
            let line = said.next_line().await?.ok_or("mosquitto ended at its start")?;
            if line.ends_with(" running") {
                break;
            }
        }
        // What it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Ok(Server {
            kind: Kind::Mosquitto,
            mqtt_port: port,
            tls: trust(&certificate)?,
            login: Login::Anonymous,
            service: None,
            child,
        })
    }
}

impl Server {
    fn proc(&self, file: &str) -> Result<String> {
        let id = self
            .child
            .id()
            .ok_or_else(|| format!("{} has ended", self.kind.name()))?;
        Ok(fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        Ok(number.ok_or("/proc tells no VmRSS")?.parse()?)
    }

    /// Processor time of all its threads, in user and kernel.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The program's name, in brackets, may hold spaces.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        Ok(Duration::from_secs_f64(ticks.iter().sum::<f64>() / TICKS_PER_SECOND))
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// How many tasks ran or waited to, over the last minute.
pub(crate) fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// Servers inherit this program's limit.
pub(crate) fn check_open_files(connections: usize) -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let wanted = connections + 200;
    match limit.parse::<usize>() {
        Ok(limit) if limit < wanted => Err(format!(
            "{limit} files may be open here, and {connections} connections take more: `ulimit -n {wanted}`"
        )
        .into()),
        _ => Ok(()),
    }
}

/// The devices of a run, on both servers.
pub(crate) fn device_id(index: usize) -> String {
    format!("load-{index:05}")
}

fn lines<R: AsyncRead + Unpin>(output: Option<R>) -> Result<Lines<BufReader<R>>> {
    Ok(BufReader::new(output.ok_or("a server has no output")?).lines())
}

/// TLS 1.3 with one suite, so that both servers encrypt alike, and no resumption.
fn trust(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_256_GCM_SHA384],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
