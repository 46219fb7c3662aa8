//! What can be typed after `job` and `bulk`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hub_protocol::DeviceId;
use twindeck_app::view::{JobKind, JobState};

use crate::arguments::{Call, Package, device_id};

#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

#[derive(Debug, Args)]
pub(crate) struct Bulk {
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(subcommand)]
    pub(crate) work: BulkWork,
}

#[derive(Debug, Args)]
pub(crate) struct Store {
    /// Where jobs are kept [default: the application's own data folder, so that its window shows them]
    #[arg(long, global = true, value_name = "FOLDER", env = "TWINDECK_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep to the rates of an S1 hub, as with every hub in Azure; for one on this machine that has limits
    #[arg(long, global = true)]
    pub(crate) s1_limits: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Do something to many devices, and follow it to its end
    #[command(subcommand)]
    Run(Work),
    /// Go on with jobs that were cut off
    Resume,
    /// List jobs, the newest first; also those the hub runs
    List {
        #[arg(long)]
        state: Option<State>,
        /// Jobs that this device was in
        #[arg(long, value_parser = device_id)]
        device: Option<DeviceId>,
        /// In the id, the title, the query or the reason
        #[arg(long)]
        text: Option<String>,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Print a job and what became of its devices
    Show {
        id: String,
        /// Devices in this state only
        #[arg(long)]
        state: Option<State>,
    },
    /// What has not begun does not begin; what has, ends by itself
    Cancel { id: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Call a direct method
    Invoke {
        #[command(flatten)]
        call: Call,
        #[command(flatten)]
        order: Order,
        #[command(flatten)]
        on_hub: OnHub,
    },
    /// Merge tags and desired properties; null removes a key
    Twin {
        /// {"tags": {…}, "properties": {"desired": {…}}}, or - to read it from standard input
        patch: String,
        #[command(flatten)]
        order: Order,
        #[command(flatten)]
        on_hub: OnHub,
    },
    /// Update firmware: method firmwareUpdate, followed in the twin
    FirmwareUpdate {
        #[command(flatten)]
        package: Package,
        /// What it is called once installed
        #[arg(long = "firmware-version", value_name = "VERSION")]
        version: Option<String>,
        #[command(flatten)]
        order: Order,
    },
    /// Reboot: method reboot, followed in the twin
    Reboot {
        #[command(flatten)]
        order: Order,
    },
    /// Factory reset: method factoryReset, followed in the twin
    FactoryReset {
        #[command(flatten)]
        order: Order,
    },
    /// Set one setting: method configurationUpdate
    ConfigurationUpdate {
        name: String,
        /// JSON
        value: String,
        #[command(flatten)]
        order: Order,
    },
    /// Method readProperties
    ReadProperties {
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        order: Order,
    },
    /// Method writeProperties
    WriteProperties {
        /// A JSON object, or - to read it from standard input
        properties: String,
        #[command(flatten)]
        order: Order,
    },
    #[command(flatten)]
    Registry(Registry),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Let devices connect
    Enable {
        #[command(flatten)]
        order: Order,
    },
    /// Shut devices out
    Disable {
        #[command(flatten)]
        order: Order,
    },
    /// Delete devices with their twins
    Delete {
        #[command(flatten)]
        order: Order,
    },
}

/// As a job that this program runs.
#[derive(Debug, Subcommand)]
pub(crate) enum BulkWork {
    /// Call a direct method
    Invoke {
        #[command(flatten)]
        call: Call,
        #[command(flatten)]
        order: Order,
    },
    /// Merge tags and desired properties; null removes a key
    Twin {
        /// {"tags": {…}, "properties": {"desired": {…}}}, or - to read it from standard input
        patch: String,
        #[command(flatten)]
        order: Order,
    },
    #[command(flatten)]
    Registry(Registry),
}

#[derive(Debug, Args)]
pub(crate) struct OnHub {
    /// Let the hub run it: it goes on when this program ends
    #[arg(long)]
    pub(crate) on_hub: bool,
    /// Do not wait for the end of a hub's job
    #[arg(long, requires = "on_hub")]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Order {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// When to start, such as 2026-01-31T14:30:00Z; at most 168 hours ahead
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Minutes from its start; devices that are not done by then count as failed
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub(crate) max_minutes: u32,
    /// Say what it would do, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Reset, disable or delete without asking again
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Targets {
    /// A device; may be repeated
    #[arg(long = "device", value_name = "ID", num_args = 1.., value_parser = device_id)]
    pub(crate) devices: Vec<DeviceId>,
    /// A file of device ids: one a line, or the first column of a CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) devices_file: Option<PathBuf>,
    /// What comes after WHERE, such as "tags.hall = 'B'"
    #[arg(long, value_name = "CONDITION")]
    pub(crate) query: Option<String>,
    /// Every device of the hub
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    Unknown,
    Scheduled,
    Enqueued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Scheduled => Self::Scheduled,
            State::Enqueued => Self::Enqueued,
            State::Running => Self::Running,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// What is done without asking again only with `--yes`.
pub(crate) fn deed(kind: JobKind) -> Option<&'static str> {
    match kind {
        JobKind::FactoryReset => Some("resets"),
        JobKind::Disable => Some("shuts out"),
        JobKind::Delete => Some("deletes"),
        _ => None,
    }
}
