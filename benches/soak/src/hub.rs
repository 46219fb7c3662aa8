//! The local hub, a process of its own that can be killed and started again.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use device_sim::Member;
use hub_client::{HubClient, tls};
use hub_protocol::{
    DeviceConnectionString, ServiceConnectionString,
    identity::{Authentication, ExportImportDevice, ImportMode, MAX_BULK, SymmetricKey},
    sas::SasKey,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::Result;

const START: Duration = Duration::from_secs(30);

pub(crate) struct Hub {
    pub(crate) client: HubClient,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) mqtt_port: u16,
    https_port: u16,
    program: PathBuf,
    folder: PathBuf,
    /// Killed when dropped.
    process: Child,
}

impl Hub {
    /// A hub on free ports that keeps its data in `folder`.
    pub(crate) async fn start(program: PathBuf, folder: PathBuf) -> Result<Self> {
        let (process, ready) = serve(&program, &folder, [0, 0]).await?;
        let port = |name: &str| {
            let port = ready[name].as_u64().and_then(|port| u16::try_from(port).ok());
            port.ok_or_else(|| format!("the hub names no {name}"))
        };
        let text = |name: &str| ready[name].as_str().ok_or_else(|| format!("the hub names no {name}"));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(text("caFile")?)?)?;
        let tls = tls::trusting(roots)?;
        let owner = ServiceConnectionString::parse(text("serviceConnectionString")?)?;
        Ok(Self {
            client: HubClient::new(owner, tls.clone())?,
            tls: Arc::new(tls),
            mqtt_port: port("mqttPort")?,
            https_port: port("httpsPort")?,
            program,
            folder,
            process,
        })
    }

    /// As a power cut would end it.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// After `kill`: the same data on the same ports.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        let ports = [self.mqtt_port, self.https_port];
        (self.process, _) = serve(&self.program, &self.folder, ports).await?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.process.id().ok_or("the hub has ended")?)
    }

    /// Makes the members' identities; what they connect with comes in the same order.
    pub(crate) async fn register(&self, members: &[Member]) -> Result<Vec<DeviceConnectionString>> {
        let mut connections = Vec::with_capacity(members.len());
        for members in members.chunks(MAX_BULK) {
            let mut items = Vec::with_capacity(members.len());
            for member in members {
                let (primary, secondary) = (new_key()?, new_key()?);
                items.push(ExportImportDevice {
                    import_mode: Some(ImportMode::Create),
                    authentication: Some(Authentication {
                        symmetric_key: SymmetricKey::from_keys(&primary, &secondary),
                        ..Authentication::default()
                    }),
                    ..ExportImportDevice::new(member.id.clone())
                });
                connections.push(DeviceConnectionString {
                    host_name: "localhost".into(),
                    device_id: member.id.clone(),
                    key: primary,
                    gateway_host_name: None,
                });
            }
            let outcome = self.client.bulk(&items).await?;
            if !outcome.is_successful {
                return Err(format!("the hub made not all devices: {:?}", outcome.errors).into());
            }
        }
        Ok(connections)
    }
}

fn new_key() -> Result<SasKey> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no key can be made: {error}"))?;
    Ok(SasKey::from_bytes(bytes)?)
}

/// The process, and what it says when it is ready.
async fn serve(program: &Path, folder: &Path, [mqtt, https]: [u16; 2]) -> Result<(Child, Value)> {
    let mut process = Command::new(program)
        .args(["hub", "serve", "--mqtt-port", &mqtt.to_string()])
        .args(["--https-port", &https.to_string(), "--data-dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    let output = process.stdout.take().ok_or("the hub has no output")?;
    let mut lines = BufReader::new(output).lines();
    let line = timeout(START, lines.next_line()).await;
    let line = line.map_err(|_| "the hub was not ready in time")??;
    let ready = serde_json::from_str(&line.ok_or("the hub ended at its start")?)?;
    Ok((process, ready))
}
