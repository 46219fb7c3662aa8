//! The local hub beside mosquitto, in one run and by the same clients: telemetry, direct methods
//! beside a plain request and reply, and the memory of idle connections.
//!
//! ```text
//! cargo build --release -p twindeckctl -p twindeck-load && target/release/twindeck-load
//! ```
//!
//! Linux, as memory and processor time are read from `/proc`. Both servers are processes of their
//! own, on free ports of the loopback, with TLS 1.3 and one cipher suite. Rounds alternate between
//! them; the medians are compared. Clients and server share the machine, so the table also says
//! how much processor time the server itself took for each message.

mod http;
mod idle;
mod methods;
mod mqtt;
mod report;
mod server;
mod telemetry;

use std::{
    collections::BTreeSet,
    error::Error,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use report::{Measurement, Report};
use server::{Kind, Server, Servers};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Before a round counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// For answers that are under way when a round ends.
const DRAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Measure {
    /// QoS 1 messages a second that the server acknowledged
    Telemetry,
    /// Direct methods over HTTPS, beside QoS 0 request and reply over MQTT
    Methods,
    /// Resident memory of connections that do nothing
    Idle,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
enum Trial {
    Telemetry { in_flight: usize },
    Methods,
    Idle,
}

impl Measure {
    fn trials(self, arguments: &Arguments) -> Vec<Trial> {
        match self {
            Self::Telemetry => {
                let telemetry = |in_flight: &usize| Trial::Telemetry { in_flight: *in_flight };
                arguments.in_flight.iter().map(telemetry).collect()
            }
            Self::Methods => vec![Trial::Methods],
            Self::Idle => vec![Trial::Idle],
        }
    }
}

/// The local hub beside mosquitto
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure [default: everything]
    measures: Vec<Measure>,
    /// Rounds for each server; they alternate
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of a round of telemetry or methods
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Devices that send telemetry
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Messages that each of them has unacknowledged; each number is measured
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    in_flight: Vec<usize>,
    /// Bytes of a message
    #[arg(long, default_value_t = 128)]
    body: usize,
    /// Methods, or requests, outstanding; each to another device
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    /// MQTT connections that ask on mosquitto and share the outstanding requests
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// Connections that do nothing
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Threads of the clients
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The hub's program [default: twindeckctl beside this one]
    #[arg(long)]
    twindeckctl: Option<PathBuf>,
    #[arg(long, default_value = "/usr/sbin/mosquitto")]
    mosquitto: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads)
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut measures: BTreeSet<Measure> = arguments.measures.iter().copied().collect();
    if measures.is_empty() {
        measures.extend(Measure::value_variants());
    }
    let wanted = measures.iter().map(|measure| match measure {
        Measure::Telemetry => arguments.connections,
        Measure::Methods => 2 * arguments.outstanding,
        Measure::Idle => arguments.idle,
    });
    let wanted = wanted.max().unwrap_or_default();
    server::check_open_files(wanted)?;
    let servers = Servers::new(arguments.twindeckctl.clone(), arguments.mosquitto.clone())?;
    servers.register(wanted).await?;
    let mut report = Report::new(server::load_average()?);
    for trial in measures.iter().flat_map(|measure| measure.trials(&arguments)) {
        report.add(alternate(trial, &servers, &arguments).await?);
    }
    std::io::stdout().write_all(report.to_string().as_bytes())?;
    Ok(())
}

/// Rounds of one trial: hub, mosquitto, hub, mosquitto, …
async fn alternate(trial: Trial, servers: &Servers, arguments: &Arguments) -> Result<Measurement> {
    let mut rounds = [Vec::new(), Vec::new()];
    let kept = match trial {
        // Memory that the round before gave back would be taken again unseen.
        Trial::Idle => None,
        _ => Some([servers.start(Kind::Hub).await?, servers.start(Kind::Mosquitto).await?]),
    };
    for _ in 0..arguments.rounds {
        for kind in [Kind::Hub, Kind::Mosquitto] {
            let round = match (&kept, trial) {
                (Some(kept), Trial::Telemetry { in_flight }) => {
                    telemetry::round(&kept[kind as usize], arguments, in_flight).await?
                }
                (Some(kept), _) => methods::round(&kept[kind as usize], arguments).await?,
                (None, _) => idle::round(servers.start(kind).await?, arguments).await?,
            };
            let _ = writeln!(std::io::stderr(), "{}", report::progress(trial, kind, &round));
            rounds[kind as usize].push(round);
        }
    }
    // Gone before the next of them wants the same folder.
    for server in kept.into_iter().flatten() {
        server.stop().await?;
    }
    Ok(Measurement { trial, rounds })
}

/// What one round came to.
struct Round {
    /// Messages or round trips a second; for idle connections, KiB each.
    value: f64,
    /// Microseconds of the server's processors for each of them.
    server_cpu: f64,
}

/// What the tasks of a round count, and whether they are to finish.
#[derive(Clone, Default)]
struct Tally {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Tally {
    fn add(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Lets `tasks` run for a round. They end well only with nothing outstanding, so a lost answer
/// fails the round.
async fn clock(server: &Server, tally: &Tally, mut tasks: JoinSet<Result<()>>, length: Duration) -> Result<Round> {
    let counted = async {
        sleep(WARM_UP).await;
        let (from, cpu, done) = (Instant::now(), server.cpu_time()?, tally.done.load(Ordering::Relaxed));
        sleep(length).await;
        let done = tally.done.load(Ordering::Relaxed) - done;
        if done == 0 {
            return Err(format!("{} answered nothing", server.kind.name()).into());
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of a round are far below 2^52")]
        let done = done as f64;
        Result::Ok(Round {
            value: done / from.elapsed().as_secs_f64(),
            server_cpu: (server.cpu_time()? - cpu).as_secs_f64() * 1e6 / done,
        })
    };
    let round = tokio::select! {
        round = counted => round?,
        Some(ended) = tasks.join_next() => {
            ended??;
            return Err("a connection ended before its round did".into());
        }
    };
    tally.stop.store(true, Ordering::Relaxed);
    let drained = async {
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Result::Ok(())
    };
    timeout(DRAIN, drained)
        .await
        .map_err(|_| format!("{} still owes answers", server.kind.name()))??;
    Ok(round)
}
