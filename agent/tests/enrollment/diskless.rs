//! The real agent as the first process of a machine: of a process namespace, quickly; and of a machine without a disk,
//! in QEMU, with three journals.
//!
//! These tests run as root. What they need is installed by `scripts/install-prerequisites.sh`, and
//! `make agent-static` builds two agents for them.

mod guest;
mod guest_life;
mod name_server;
mod namespace;
mod namespace_life;
mod notify;
mod quorum;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{self, Instant};

use super::{agent_process, journal_under_test, spire};

/// An emulated machine on a slow one takes its time.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program of pact: beside the agent that cargo built, unless `PACT_BIN_DIR` says otherwise.
fn binary(name: &str) -> PathBuf {
    let beside =
        || Path::new(env!("CARGO_BIN_EXE_pact-agent")).parent().map(Path::to_owned).unwrap_or_default();
    let path = env::var_os("PACT_BIN_DIR").map_or_else(beside, PathBuf::from).join(name);
    assert!(path.is_file(), "there is no {}: `make build agent-static` puts it there", path.display());
    path
}

/// Waits until something is there.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        time::sleep(LOOK_EVERY).await;
    }
}
