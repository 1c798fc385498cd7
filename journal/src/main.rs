//! `pact-journal`: starts and stops. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use journal::args::Args;
use journal::commands;
use proto::outcome::{Exit, Failure};
use proto::{processor, throughput};

/// Measured in a storm: a tenth of the journal's CPU (design §9).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match start(&args) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => failure.report(commands::wants_json(&args)).into(),
    }
}

fn start(args: &Args) -> Result<(), Failure> {
    processor::check().map_err(Failure::other)?;
    proto::logging::init(args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(throughput::prefer_if_possible)
        .build()
        .map_err(|error| Failure::other(error.to_string()))?;
    runtime.block_on(commands::run(args))
}
