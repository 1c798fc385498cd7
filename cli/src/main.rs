//! `pact`: the operator's tool. Asks a journal for one thing, prints the answer, and ends.
//!
//! Operators and their scripts call it. Exit codes and failures are those of [`proto::outcome`].
//!
//! Not here, on purpose: decisions. What is asked goes to the journal as it was given, and the journal says no: a rule
//! that two programs knew would be two rules one day.
//!
//! **Invariant:** stdout holds the answer, and nothing else.

mod answer;
mod args;
mod connection;
mod duration;
mod node;
mod table;

use std::process::ExitCode;

use clap::Parser;
use proto::{
    logging,
    outcome::{Exit, Failure},
};
use tokio::runtime;

use crate::{
    answer::Output,
    args::{Args, Noun},
};

fn main() -> ExitCode {
    let args = Args::parse();
    let output = args.global.output;
    match run(args) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => failure.report(output == Output::Json).into(),
    }
}

fn run(args: Args) -> Result<(), Failure> {
    logging::init(args.global.log_format)?;
    let journals = args.global.journals()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime did not start: {error}")))?;
    let answer = match args.noun {
        Noun::Node(verb) => runtime.block_on(verb.run(&journals)),
    };
    // A look-up of a name runs on a thread of its own that cannot be stopped: waiting for it would outlive --timeout.
    runtime.shutdown_background();
    answer?.print(args.global.output)
}
