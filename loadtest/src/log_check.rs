//! Has the log of a stopped journal checked by `pact-replay verify`, which has its own reader.

use std::{path::Path, process::Stdio};

use proto::outcome::Failure;
use serde::Deserialize;
use tokio::process::Command;

use crate::siblings;

/// What `pact-replay verify` found in a sound log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many facts it holds.
    pub facts: u64,
}

#[derive(Deserialize)]
struct Told {
    ok: bool,
    facts: u64,
}

/// Verifies the log in a data directory.
///
/// # Errors
/// If the log violates a rule, or could not be checked.
pub async fn verify(data_dir: &Path) -> Result<Verified, Failure> {
    run(|command| command.arg("verify").arg(data_dir)).await
}

/// Verifies the log in a data directory, also against another journal's: byte for byte the same as far as both go.
///
/// # Errors
/// As [`verify`], and if they part.
pub async fn verify_against(data_dir: &Path, other: &Path) -> Result<Verified, Failure> {
    run(|command| command.arg("verify").arg(data_dir).arg("--against").arg(other)).await
}

async fn run(what: impl FnOnce(&mut Command) -> &mut Command) -> Result<Verified, Failure> {
    let mut command = Command::new(siblings::find("pact-replay")?);
    let done = what(&mut command)
        .args(["-o", "json"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Failure::other(format!("pact-replay cannot be started: {error}")))?;
    let told = String::from_utf8_lossy(&done.stdout);
    match serde_json::from_str(&told) {
        Ok(Told { ok: true, facts }) if done.status.success() => Ok(Verified { facts }),
        Ok(Told { ok: false, .. }) => {
            Err(Failure::Violation(format!("the log is not sound: {}", told.trim())))
        }
        Ok(Told { ok: true, .. }) | Err(_) => {
            let words = String::from_utf8_lossy(&done.stderr);
            Err(Failure::other(format!("pact-replay verify ended with {}: {}", done.status, words.trim())))
        }
    }
}
