//! `pact-agent-planted`: `pact-agent`, in which each task panics once when it is asked to (`agent::panics`). For tests only: it needs the feature `planted-panics`.

use std::process::ExitCode;

#[path = "main.rs"]
mod shipped;

fn main() -> ExitCode {
    shipped::main()
}
