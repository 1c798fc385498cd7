//! `pact-journal-planted`: `pact-journal` with a bug that is planted ([`journal::planted`]). For tests only: it needs the
//! feature `planted-bugs`.

use std::process::ExitCode;

use clap::Parser;
use journal::args::Args;
use journal::commands;
use proto::outcome::{Exit, Failure};

fn main() -> ExitCode {
    let args = Args::parse();
    match start(&args) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => failure.report(commands::wants_json(&args)).into(),
    }
}

fn start(args: &Args) -> Result<(), Failure> {
    proto::logging::init(args.log_format)?;
    journal::planted::confess();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::other(error.to_string()))?.block_on(commands::run(args))
}
