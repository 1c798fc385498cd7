//! `pact-loadtest`: starts and stops. What it does is [`loadtest::storm`].

use std::process::ExitCode;

use clap::Parser;
use loadtest::{
    arguments::{Arguments, Command, StormArguments},
    storm,
};
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
    // One thread: the machines have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(async {
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
