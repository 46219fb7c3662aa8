//! What can be typed.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use device_sim::Shard;
use hub_protocol::DeviceId;

use crate::{
    connection::Connection,
    jobs::arguments::{Bulk, Jobs},
};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 bad input; nothing was done then.";

/// Azure IoT Hub in the terminal: a hub on this machine, simulated devices, twins, methods, and
/// firmware updates.
#[derive(Debug, Parser)]
#[command(name = "twindeckctl", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON for machines: results on stdout, an error as one object on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The hub on this machine
    #[command(subcommand)]
    Hub(Hub),
    /// The hub's device registry
    #[command(subcommand)]
    Device(Device),
    /// Run simulated devices until stopped; missing ones are created
    Simulate(Simulate),
    /// Call a direct method and print the device's answer
    Invoke(Invoke),
    /// Device twins
    #[command(subcommand)]
    Twin(Twin),
    /// Firmware of many devices
    #[command(subcommand)]
    Firmware(Firmware),
    /// One thing done to many devices, now or later, with a history
    Job(Jobs),
    /// Change, call, disable or delete many devices at once
    Bulk(Bulk),
    /// A hub, 20 devices and a firmware update in this terminal; ends by itself
    Demo,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hub {
    /// Run the hub until stopped; prints one JSON line when it is ready
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Keeps certificates, keys and the database [default: a folder of your own]
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// Where devices connect; 0 takes any free port
    #[arg(long, default_value_t = 8883)]
    pub(crate) mqtt_port: u16,
    /// Where services connect; 0 takes any free port [default: 443, or 8443 if that cannot be had]
    #[arg(long)]
    pub(crate) https_port: Option<u16>,
    /// The name in certificates and connection strings
    #[arg(long, default_value = "localhost")]
    pub(crate) hostname: String,
    /// Keep nothing: a fresh hub in a temporary folder that goes when this ends
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) ephemeral: bool,
    /// Devices and policy keys that are there from the start (JSON; docs/local-hub.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) fixture: Option<PathBuf>,
    /// Keep the rates and the daily quota of so many S1 units, and refuse with 429 like Azure
    #[arg(long, value_name = "UNITS")]
    pub(crate) s1_limits: Option<NonZeroU32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Create devices; the hub makes their keys
    Create {
        #[arg(required = true, value_name = "ID", value_parser = device_id)]
        ids: Vec<DeviceId>,
    },
    /// List all devices
    List,
    /// Delete devices with their twins
    Delete {
        #[arg(required = true, value_name = "ID", value_parser = device_id)]
        ids: Vec<DeviceId>,
    },
    /// Print what a device needs to connect; it holds the device's key
    ConnectionString {
        #[arg(value_parser = device_id)]
        id: DeviceId,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Speed {
    /// Waits take hardly any time
    Fast,
    /// Waits take as long as in Microsoft's tutorials
    Tutorial,
}

impl Speed {
    /// What a model's waits are multiplied with.
    pub(crate) fn time_scale(self) -> f64 {
        match self {
            Self::Fast => 0.01,
            Self::Tutorial => 1.0,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The fleet to run (TOML; docs/simulate.md)
    #[arg(long, value_name = "FILE", required_unless_present = "model", conflicts_with_all = ["count", "model", "prefix", "speed"])]
    pub(crate) fleet: Option<PathBuf>,
    /// Run one part of the fleet only, such as 2/4; the parts together are the whole
    #[arg(long, value_name = "I/N", requires = "fleet", conflicts_with = "model")]
    pub(crate) shard: Option<Shard>,
    #[arg(long, requires = "model", required_unless_present_any = ["fleet", "check"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: Option<u32>,
    /// A built-in model's name, or a file
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Devices are called PREFIX-0001, PREFIX-0002, … [default: the model's name]
    #[arg(long, value_parser = device_id)]
    pub(crate) prefix: Option<DeviceId>,
    #[arg(long, default_value = "tutorial")]
    pub(crate) speed: Speed,
    /// Where the hub takes MQTT over TLS
    #[arg(long, default_value_t = 8883)]
    pub(crate) mqtt_port: u16,
    /// How fast devices connect; a small hub in Azure allows 100 [default: the fleet's, or 50]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connects_per_second: Option<u32>,
    /// Keep what devices remember in this file, from one run to the next
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Run against a hub in Azure, whatever that costs there
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only check the fleet or the model; needs no hub
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Invoke {
    #[arg(value_parser = device_id)]
    pub(crate) device: DeviceId,
    #[command(flatten)]
    pub(crate) call: Call,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// JSON of at most 128 KiB, or - to read it from standard input
    #[arg(long, default_value = "null")]
    pub(crate) payload: String,
    /// Seconds the device has for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=300))]
    pub(crate) response_timeout: u32,
    /// Seconds to wait for a device that is offline
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub(crate) connect_timeout: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Twin {
    /// Print the whole twin
    Show {
        #[arg(value_parser = device_id)]
        device: DeviceId,
    },
    /// Merge tags and desired properties; null removes a key
    Update {
        #[arg(value_parser = device_id)]
        device: DeviceId,
        /// {"tags": {…}, "properties": {"desired": {…}}}, or - to read it from standard input
        patch: String,
    },
    /// Print a line for each change until stopped; what comes and goes between two looks is not seen
    Watch {
        #[arg(value_parser = device_id)]
        device: DeviceId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Firmware {
    /// Update devices and follow them to the end
    Update(Update),
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) package: Package,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Package {
    /// Serve this file to devices on this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) package: Option<PathBuf>,
    /// Where devices download the package
    #[arg(long)]
    pub(crate) uri: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Targets {
    /// A device; may be repeated
    #[arg(long = "device", value_name = "ID", num_args = 1.., value_parser = device_id)]
    pub(crate) devices: Vec<DeviceId>,
    /// A condition such as "tags.hall = 'B'", or a whole query over devices
    #[arg(long)]
    pub(crate) query: Option<String>,
}

pub(crate) fn device_id(text: &str) -> Result<DeviceId, hub_protocol::InvalidDeviceId> {
    DeviceId::new(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("twindeckctl").chain(arguments.split(' ')))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_are_taken_before_and_after_the_command() {
        for text in [
            "--json --ca-file ca.pem device list",
            "device list --ca-file ca.pem --json",
        ] {
            let arguments = parse(text).unwrap();
            assert!(arguments.json && arguments.connection.ca_file.is_some(), "{text}");
        }
    }

    #[test]
    fn an_update_needs_one_package_and_one_choice_of_devices() {
        assert!(parse("firmware update --package f --device a --device b").is_ok());
        assert!(parse("firmware update --uri u --query q").is_ok());
        assert!(parse("firmware update --package f --uri u --query q").is_err());
        assert!(parse("firmware update --package f").is_err());
        assert!(parse("firmware update --uri u --query q --device a").is_err());
        assert!(parse("firmware update --device a").is_err());
    }

    #[test]
    fn ids_and_timeouts_out_of_bounds_are_refused() {
        for text in [
            "device create a+b",
            "device delete",
            "invoke a m --response-timeout 4",
            "invoke a m --connect-timeout 301",
            "simulate --count 0 --model reboot",
            "simulate --count 1",
            "simulate --model reboot",
            "simulate --count 1 --model reboot --shard 1/2",
            "simulate --fleet f --shard 3/2",
            "simulate --fleet f --model reboot",
            "simulate --check",
            "hub serve --mqtt-port 65536",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_needs_one_choice_of_devices_and_only_a_hub_s_job_may_be_left_alone() {
        for text in [
            "job run invoke lockDoor --query c --on-hub --detach",
            "job run twin {} --all --at 2030-01-01T00:00:00Z",
            "job run firmware-update --uri u --firmware-version 2 --device a",
            "job run delete --devices-file f --yes",
            "bulk twin {} --query c --dry-run",
            "job list --state failed --device a",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "job run reboot",
            "job run reboot --all --query c",
            "job run reboot --all --on-hub",
            "job run invoke lockDoor --all --detach",
            "bulk invoke lockDoor --all --on-hub",
            "job run reboot --all --max-minutes 0",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_simulation_is_a_fleet_file_or_so_many_of_a_model() {
        for text in [
            "simulate --fleet f --shard 1/2 --state s --yes",
            "simulate --count 1 --model reboot --speed fast",
            "simulate --check --fleet f",
            "simulate --check --model m.toml",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }
}
