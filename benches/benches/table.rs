//! Prints what pact must bear beside what the benches before this one measured, storms, revocations, and an agent: one after
//! the other, for each takes the whole machine.
//!
//! `make bench` runs it last. `PACT_BIN_DIR` says where the binaries are, `NODES` how many boot in a storm.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::table::agent_run::AgentRun;
use benches::table::caught_up::CaughtUp;
use benches::table::estimates::Estimates;
use benches::table::revocations::Revocations;
use benches::table::storm::Storm;
use benches::table::{Measured, machine, page};

/// Nodes of a storm if nothing else is said.
const NODES: u64 = 10_000;

fn main() -> ExitCode {
    // Cargo's directory for temporary files lies in the one for all that it builds.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = temporary.parent().unwrap_or(temporary);
    let binaries = env::var_os("PACT_BIN_DIR").map_or_else(|| built.join("release"), PathBuf::from);
    let nodes = env::var("NODES").ok().and_then(|nodes| nodes.parse().ok()).unwrap_or(NODES);
    let measured = Measured {
        estimates: Estimates::read(&built.join("criterion")),
        agent: AgentRun::measure(&binaries),
        storm: Storm::run(&binaries, nodes, &[]),
        trio: Storm::run(&binaries, nodes, &["--journals", "3"]),
        overload: Storm::run(&binaries, nodes, &["--overload", "10"]),
        revocations: Revocations::run(&binaries),
        caught_up: CaughtUp::read(temporary),
    };
    print(&page(&measured, &machine::describe(temporary)));
    print(&format!(
        "commands: make bench; pact-loadtest storm --nodes {nodes} -o json, also with --journals 3 or --overload 10; \
         pact-loadtest revoke -o json\n"
    ));
    let Measured { storm, trio, overload, revocations, .. } = &measured;
    if storm.is_some() && trio.is_some() && overload.is_some() && revocations.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print(text: &str) {
    use std::io::Write as _;
    // Nobody is left to tell if stdout is closed.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
