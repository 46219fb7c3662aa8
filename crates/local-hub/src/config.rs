//! Where a hub lives and where it listens.

use std::{
    fs::{File, OpenOptions, TryLockError},
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use crate::{error::StartError, fixture::Fixture, limits::Limits, log::Retention};

/// How a hub is started. [`LocalHubConfig::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct LocalHubConfig {
    /// Certificates, keys and the database; made when missing, readable by its owner alone.
    pub data_dir: PathBuf,
    /// Loopback unless told otherwise; IPv6's loopback comes with IPv4's.
    pub bind: IpAddr,
    /// 8883 is where SDKs look; 0 takes any free port.
    pub mqtt_port: u16,
    pub https_port: HttpsPort,
    /// What connection strings call this hub.
    pub host_name: String,
    /// How long past its expiry a token is still taken, for clocks that differ. Microsoft's
    /// shared token code says five minutes.
    pub token_skew: Duration,
    /// How much of the event log is kept.
    pub retention: Retention,
    /// A real unit's rates and quota; none unless asked for.
    pub limits: Option<Limits>,
    /// Devices and policy keys that are there from the start.
    pub fixture: Option<Fixture>,
    /// PEM files of authorities that vouch for devices, besides every `*.pem` in the folder
    /// `device-ca` of the data folder. Read at the start.
    pub device_authorities: Vec<PathBuf>,
    /// How long a message to a device, or a batch of feedback, is its receiver's alone before
    /// it is delivered again: 60 seconds in the cloud, at most 300. Shorter where somebody waits
    /// for the second delivery, as in tests.
    pub message_lock: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpsPort {
    /// 443, where SDKs look; 8443, said plainly, where 443 cannot be had.
    Preferred,
    /// This one or none; 0 takes any free port.
    Exactly(u16),
}

impl LocalHubConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            mqtt_port: 8883,
            https_port: HttpsPort::Preferred,
            host_name: "localhost".into(),
            token_skew: Duration::from_secs(300),
            retention: Retention::default(),
            limits: None,
            fixture: None,
            device_authorities: Vec::new(),
            message_lock: Duration::from_secs(60),
        }
    }

    /// Free ports, for tests and demonstrations that run beside anything.
    pub fn on_free_ports(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            mqtt_port: 0,
            https_port: HttpsPort::Exactly(0),
            ..Self::new(data_dir)
        }
    }

    /// Below it lie the files of import and export jobs.
    pub(crate) fn containers_dir(&self) -> PathBuf {
        self.data_dir.join("containers")
    }

    pub(crate) fn database_file(&self) -> PathBuf {
        self.data_dir.join("hub.db")
    }

    /// Every name a client may know this hub by.
    pub(crate) fn names(&self) -> Vec<String> {
        let machine = gethostname::gethostname().to_string_lossy().into_owned();
        let mut names = vec![
            self.host_name.clone(),
            "localhost".into(),
            "127.0.0.1".into(),
            "::1".into(),
            machine,
        ];
        if !self.bind.is_unspecified() {
            names.push(self.bind.to_string());
        }
        names.sort();
        names.dedup();
        names.retain(|name| !name.is_empty());
        names
    }

    pub(crate) fn lock_data_dir(&self) -> Result<File, StartError> {
        let failed = |source| StartError::DataDir {
            path: self.data_dir.clone(),
            source,
        };
        make_private_dir(&self.data_dir).map_err(failed)?;
        let path = self.data_dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StartError::DataDirInUse {
                path: self.data_dir.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

pub(crate) fn make_private_dir(path: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
