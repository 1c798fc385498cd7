//! `pact-replay`: starts and stops; all else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use replay::command::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.log_to_stderr();
    arguments.run()
}
