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
    let done = Command::new(siblings::find("pact-replay")?)
        .arg("verify")
        .arg(data_dir)
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
