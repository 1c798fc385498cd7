//! What it bears: `pact-loadtest` boots thousands of made-up machines at once, over real TLS, with the agent's own code.
//!
//! `main` starts and stops; [`storm`] has the steps. Results go to stdout, progress to stderr.
//!
//! Not here, on purpose: a second client. Whatever the agent does wrong under load must show here.

mod arguments;
mod fleet;
mod journal_process;
mod log_check;
mod measure;
mod open_files;
mod progress;
mod registration;
mod siblings;
mod storm;
mod summary;

use std::process::ExitCode;

use arguments::{Arguments, Command, StormArguments};
use clap::Parser;
use proto::{
    logging,
    outcome::{Exit, Failure},
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Command::Storm(storm) = arguments.command;
    match logging::init(arguments.log_format).map_err(Failure::from).and_then(|()| start(&storm)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(storm.output.is_json()),
    }
    .into()
}

fn start(arguments: &StormArguments) -> Result<Exit, Failure> {
    let broken = |error| Failure::other(format!("the runtime did not start: {error}"));
    tokio::runtime::Runtime::new().map_err(broken)?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        tokio::select! {
            // What it leaves behind when a signal drops it, it cleans up itself.
            summary = storm::run(arguments) => Ok(summary?.print(arguments.output)),
            _ = terminate.recv() => Err(Failure::named("INTERRUPTED", "stopped by SIGTERM")),
            _ = interrupt.recv() => Err(Failure::named("INTERRUPTED", "stopped by SIGINT")),
        }
    })
}
