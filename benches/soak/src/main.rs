//! A thousand unruly devices for an hour against the local hub: they lose their connections, renew
//! short tokens, and the hub itself is killed once. In the end every one must answer, memory must
//! not have grown, and every reconnect must have come when its device had announced it.
//!
//! ```text
//! cargo build --release -p twindeckctl -p twindeck-soak && target/release/twindeck-soak
//! ```
//!
//! Linux, as memory is read from `/proc`. Ends with code 1 when a device was lost, a reconnect did
//! not keep its time, or memory grew.

mod hub;
mod memory;
mod report;
mod watch;

use std::{
    error::Error,
    fs,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::Parser;
use device_sim::{Counters, Fleet, FleetEvent, FleetFile, FleetOptions, Member, News, Shard, SimulatedDevice};
use hub::Hub;
use hub_client::HubClient;
use hub_protocol::{DeviceId, merge::Object, method::MethodRequest};
use memory::{Sample, Trend};
use report::Report;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use watch::Watch;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FLEET: &str = include_str!("../fleet.toml");
const MODEL: &str = include_str!("../model.toml");
const SAMPLE: Duration = Duration::from_secs(10);
/// How long the hub is gone.
const OUTAGE: Duration = Duration::from_secs(10);
/// How far the moments may be off at which events are read, on a busy machine.
const SLACK: Duration = Duration::from_millis(250);
const CALLS_AT_ONCE: usize = 64;
/// A device may go offline between a call and its answer.
const CALLS: u32 = 3;

#[derive(Debug, Parser)]
#[command(about = "A thousand unruly devices for an hour against the local hub")]
struct Arguments {
    /// How long they run
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// A part of the fleet only, such as 1/5
    #[arg(long, default_value = "1/1")]
    shard: Shard,
    /// Growth of memory that fails the run, in percent an hour
    #[arg(long, default_value_t = 5.0)]
    growth: f64,
    /// The hub's program [default: twindeckctl beside this one]
    #[arg(long)]
    twindeckctl: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

async fn run(arguments: Arguments) -> Result<bool> {
    let file = FleetFile::parse(FLEET, &|name| (name == "model.toml").then(|| MODEL.to_owned()))?;
    let members: Vec<Member> = file.shard(arguments.shard).collect();
    let ids: Vec<DeviceId> = members.iter().map(|member| member.id.clone()).collect();
    let folder = tempfile::Builder::new().prefix("twindeck-soak-").tempdir()?;
    let program = match arguments.twindeckctl {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("twindeckctl"),
    };
    let mut hub = Hub::start(program, folder.path().join("hub")).await?;
    let connections = hub.register(&members).await?;
    let fleet = Fleet::new(FleetOptions {
        mqtt_port: hub.mqtt_port,
        connects_per_second: file.connect.per_second,
        token_lifetime: file.connect.token_lifetime.get(),
        ..FleetOptions::new(Arc::clone(&hub.tls), ClientConfig::clone(&hub.tls))
    })?;
    // With everyone waiting for a turn at once, the last one waits so long.
    let turn = Duration::from_secs_f64(f64::from(u32::try_from(ids.len())?) / f64::from(file.connect.per_second));
    let watch = Arc::new(Mutex::new(Watch::new(turn, SLACK)));
    tokio::spawn(follow(fleet.subscribe(), Arc::clone(&watch)));
    let devices = members
        .into_iter()
        .zip(connections)
        .map(|(member, connection)| SimulatedDevice {
            connection,
            model: member.model,
            time_scale: member.time_scale,
            seed: member.seed,
            memory: Object::new(),
            faults: member.faults,
        });
    fleet.start(devices.collect());

    let length = Duration::from_secs(arguments.minutes * 60);
    let samples = live(&fleet, &mut hub, &watch, length).await?;
    let report = Report {
        devices: ids.len(),
        length,
        token_lifetime: file.connect.token_lifetime.get(),
        lost: unanswered(&hub.client, &ids).await?,
        counters: fleet.counters(),
        tally: lock(&watch).tally(Instant::now()),
        allowed: turn + SLACK,
        hub: Trend::of(&samples, length / 4, |sample| sample.hub),
        fleet: Trend::of(&samples, length / 4, |sample| sample.fleet),
    };
    fleet.stop_all().await;
    write!(std::io::stdout(), "\n{report}")?;
    Ok(report.is_good(arguments.growth))
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(mut events: Receiver<FleetEvent>, watch: Arc<Mutex<Watch>>) {
    loop {
        let event = events.recv().await;
        let mut watch = lock(&watch);
        match event {
            Ok(FleetEvent {
                device_id,
                news: News::State(state),
            }) => watch.saw(&device_id, &state, Instant::now()),
            Ok(_) => {}
            Err(RecvError::Lagged(events)) => watch.missed(events),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Lets the fleet run, kills the hub once, and says each minute how things are.
async fn live(fleet: &Fleet, hub: &mut Hub, watch: &Mutex<Watch>, length: Duration) -> Result<Vec<Sample>> {
    say("| minute | connected | connects | renewals | messages | hub, MiB | fleet, MiB |")?;
    say("|---|---|---|---|---|---|---|")?;
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut before = fleet.counters();
    let mut minute = 0;
    // Early, so that what the hub keeps in memory has filled up again before memory is judged.
    let mut outage = Some(length / 12);
    let mut tick = interval(SAMPLE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let at = began.elapsed();
        let sample = Sample {
            at,
            hub: resident(hub.pid()?)?,
            fleet: resident(std::process::id())?,
        };
        samples.push(sample);
        if at.as_secs() / 60 > minute {
            minute = at.as_secs() / 60;
            let connected = lock(watch).connected();
            let now = fleet.counters();
            say(&row(minute, connected, &before, &now, &sample))?;
            before = now;
        }
        if at >= length {
            return Ok(samples);
        }
        if outage.is_some_and(|outage| at >= outage) {
            outage = None;
            hub.kill().await?;
            sleep(OUTAGE).await;
            hub.start_again().await?;
            let (from, seconds) = (at.as_secs(), (began.elapsed() - at).as_secs());
            let was_gone = format!("| the hub was killed at {from} s and back after {seconds} s |");
            say(&was_gone)?;
        }
    }
}

fn row(minute: u64, connected: usize, before: &Counters, now: &Counters, sample: &Sample) -> String {
    format!(
        "| {minute} | {connected} | {} | {} | {} | {} | {} |",
        now.connects - before.connects,
        now.tokens_renewed - before.tokens_renewed,
        now.messages_sent - before.messages_sent,
        sample.hub / 1024,
        sample.fleet / 1024,
    )
}

/// Calls every device; those that did not answer, and why.
async fn unanswered(client: &HubClient, ids: &[DeviceId]) -> Result<Vec<(DeviceId, String)>> {
    let mut missing = Vec::new();
    for ids in ids.chunks(CALLS_AT_ONCE) {
        let mut calls = JoinSet::new();
        for id in ids {
            let (client, id) = (client.clone(), id.clone());
            calls.spawn(async move { answer(&client, &id).await.err().map(|why| (id, why)) });
        }
        while let Some(call) = calls.join_next().await {
            missing.extend(call?);
        }
    }
    Ok(missing)
}

async fn answer(client: &HubClient, id: &DeviceId) -> std::result::Result<(), String> {
    let request = MethodRequest {
        response_timeout_in_seconds: 90,
        connect_timeout_in_seconds: 60,
        ..MethodRequest::new("ping", Value::Null)
    };
    let mut why = String::new();
    for _ in 0..CALLS {
        why = match client.invoke_method(id, &request).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("it answered {}", answer.status),
            Err(error) => error.to_string(),
        };
    }
    Err(why)
}

/// Memory a process holds now, in KiB.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or("/proc tells no VmRSS")?.parse()?)
}
