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
mod config;
mod connection;
mod duration;
mod events;
mod journal;
mod node;
mod operator;
mod spread;
mod status;
mod table;
mod usage;
mod vcluster;

use std::process::ExitCode;

use proto::logging;
use proto::outcome::{Exit, Failure};

use crate::{answer::Output, args::Args, config::UserConfig};

fn main() -> ExitCode {
    let args = match usage::parse() {
        Ok(args) => args,
        Err(exit) => return exit.into(),
    };
    let config = match args.command.config() {
        Ok(config) => config,
        Err(failure) => return failure.report(args.global.output == Some(Output::Json)).into(),
    };
    let output = args.global.output(&config);
    match run(args, &config) {
        Ok(None) => Exit::Done.into(),
        // The answer is printed: stdout holds nothing besides.
        Ok(Some(failure)) => failure.report(false).into(),
        Err(failure) => failure.report(output == Output::Json).into(),
    }
}

/// Prints the answer. What is wrong although there is one comes back.
fn run(args: Args, config: &UserConfig) -> Result<Option<Failure>, Failure> {
    logging::init(args.global.log_format)?;
    let output = args.global.output(config);
    let answer = args.command.run(&args.global, config)?;
    answer.warn();
    answer.print(output)?;
    Ok(answer.failure())
}
