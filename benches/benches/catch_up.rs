//! Prints how long a journal with 1,000,000 facts takes until it serves, and new journals behind it until they vote, in a storm.
//!
//! `make bench` runs it before the table, which shows what was measured. `PACT_BIN_DIR` says where the binaries are; `CATCH_UP_STORM=0` measures without a storm,
//! `CATCH_UP_NODES` with another log (11 facts a node).

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::catch_up::{CatchUp, Size, Took, measure};
use benches::table::caught_up::CaughtUp;
use benches::table::{LONG_LOG_LAPS, LONG_LOG_NODES};

/// The journal's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Nodes of the storm: it lasts longer than both journals take.
const STORM: u32 = 15_000;

fn number(variable: &str, usual: u32) -> u32 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn main() -> ExitCode {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = temporary.parent().unwrap_or(temporary);
    let binaries = env::var_os("PACT_BIN_DIR").map_or_else(|| built.join("release"), PathBuf::from);
    let size = Size {
        nodes: number("CATCH_UP_NODES", LONG_LOG_NODES),
        laps: LONG_LOG_LAPS,
        storm: number("CATCH_UP_STORM", STORM),
    };
    match measure(&binaries, temporary, size) {
        Ok(measured) => {
            let told = CaughtUp::of(&measured, size).write(temporary);
            let CatchUp { facts, started, joined } = measured;
            let one = |one: &Took| format!("{:.1} s ({:.1} s of CPU)", one.seconds, one.cpu_seconds);
            let (starts, storm) = (one(&started), size.storm);
            let votes: Vec<String> = joined.iter().map(one).collect();
            let votes = votes.join(" and ");
            print(&format!(
                "{facts} facts: a journal with them serves after {starts}; with {storm} nodes booting, new journals vote \
                 after {votes}\n"
            ));
            if let Err(error) = told {
                print(&format!("the table cannot be told: {error}\n"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&format!("catch-up could not be measured: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) {
    use std::io::Write as _;
    // Nobody is left to tell if stdout is closed.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
