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
mod events;
mod node;
mod operator;
mod status;
mod table;
mod usage;
mod vcluster;

use std::process::ExitCode;

use proto::{
    logging,
    outcome::{Exit, Failure},
};
use tokio::runtime;

use crate::{answer::Output, args::Args};

fn main() -> ExitCode {
    let args = match usage::parse() {
        Ok(args) => args,
        Err(exit) => return exit.into(),
    };
    let output = args.global.output;
    match run(args) {
        Ok(None) => Exit::Done.into(),
        // The answer is printed: stdout holds nothing besides.
        Ok(Some(failure)) => failure.report(false).into(),
        Err(failure) => failure.report(output == Output::Json).into(),
    }
}

/// Prints the answer. What is wrong although there is one comes back.
fn run(args: Args) -> Result<Option<Failure>, Failure> {
    logging::init(args.global.log_format)?;
    let journals = args.global.journals()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime did not start: {error}")))?;
    let answer = runtime.block_on(args.noun.run(&journals, args.global.output));
    // A look-up of a name runs on a thread of its own that cannot be stopped: waiting for it would outlive --timeout.
    runtime.shutdown_background();
    let answer = answer?;
    answer.print(args.global.output)?;
    Ok(answer.failure())
}
