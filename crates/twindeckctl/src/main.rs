//! Twindeck for the terminal and for scripts.
//!
//! A command is a thin file: it reads its input, calls the product's crates and prints. Input is
//! checked whole before anything is done; [`failure`] tells the two apart by the exit code.

mod arguments;
mod connection;
mod demo;
mod device;
mod failure;
mod firmware;
mod hub;
mod input;
mod invoke;
mod jobs;
mod output;
mod progress;
mod simulate;
mod stop;
mod twin;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::{Failure, Result};
use output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(&error, std::env::args_os()),
    };
    let output = Output::new(arguments.json);
    log();
    twindeck_app::trust::install_cryptography();
    twindeck_app::open_files::raise();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("The runtime could not start: {error}.")))
        .and_then(|runtime| {
            let done = runtime.block_on(run(arguments, output));
            // A command that reads its standard input has a thread that nothing can interrupt.
            runtime.shutdown_background();
            done
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

async fn run(arguments: Arguments, output: Output) -> Result<()> {
    let connection = arguments.connection;
    match arguments.command {
        Command::Hub(command) => Box::pin(hub::run(command, output)).await,
        Command::Device(command) => Box::pin(device::run(command, &connection.open()?, output)).await,
        Command::Simulate(command) => Box::pin(simulate::run(command, &connection, output)).await,
        Command::Invoke(command) => Box::pin(invoke::run(command, &connection, output)).await,
        Command::Twin(command) => Box::pin(twin::run(command, &connection, output)).await,
        Command::Firmware(command) => Box::pin(firmware::run(command, &connection, output)).await,
        Command::Job(command) => Box::pin(jobs::run(command, &connection, output)).await,
        Command::Bulk(command) => Box::pin(jobs::bulk(command, &connection, output)).await,
        Command::Demo => Box::pin(demo::run(output)).await,
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
