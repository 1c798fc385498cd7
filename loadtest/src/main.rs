//! `pact-loadtest`: starts and stops. What it does is in the library.

use std::process::ExitCode;

use agent::report;
use clap::{CommandFactory, Parser};
use loadtest::{
    arguments::{Arguments, Command},
    chaos, renewals, revocations, simulation, storm,
};
use proto::{
    logging, manual,
    outcome::{Exit, Failure},
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.command.output().is_json();
    match logging::init(arguments.log_format).map_err(Failure::from).and_then(|()| start(arguments.command)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(json),
    }
    .into()
}

fn start(command: Command) -> Result<Exit, Failure> {
    let broken = |error| Failure::other(format!("the runtime did not start: {error}"));
    // One thread: the machines have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        tokio::select! {
            // What it leaves behind when a signal drops it, it cleans up itself.
            exit = run(command) => exit,
            _ = terminate.recv() => Err(Failure::named("INTERRUPTED", "stopped by SIGTERM")),
            _ = interrupt.recv() => Err(Failure::named("INTERRUPTED", "stopped by SIGINT")),
        }
    })
}

async fn run(command: Command) -> Result<Exit, Failure> {
    let document = |bytes: &[u8]| report::document(bytes).map(|()| Exit::Done);
    match command {
        Command::Storm(arguments) => Ok(storm::run(&arguments).await?.print(arguments.output)),
        Command::Renew(arguments) => Ok(renewals::run(&arguments).await?.print(arguments.output)),
        Command::Revoke(arguments) => Ok(revocations::run(&arguments).await?.print(arguments.output)),
        Command::Chaos(arguments) => Ok(chaos::run(&arguments).await?.print(arguments.output)),
        Command::Simulate(arguments) => Ok(simulation::run(&arguments).print(arguments.output)),
        Command::Completion(completion) => document(&completion.script(Arguments::command())),
        Command::Man {} => document(&manual::page(Arguments::command())),
    }
}
