//! `pact-replay`: starts and stops; all else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use replay::command::Arguments;

/// A fact takes memory for its parts, and years of facts are read. The other binaries have the same (design §9).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.log_to_stderr();
    arguments.run()
}
