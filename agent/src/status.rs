//! How it is with the running agent: what `pact-agent status` asks over a Unix socket, and is told.
//!
//! [`crate::run`] keeps the [`Snapshot`] up to date, `desk` answers with it, [`ask`] is the other side.
//!
//! Not here, on purpose: anything that changes the agent. Who asks sends nothing: what is told is one JSON document.
//!
//! **Invariant:** only root and the agent's own user are answered, and nothing that is told shows a key.

mod desk;

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use events::vocabulary::{Digest, DomainId, NodeId, Serial, SpiffeId, Timestamp, VClusterId};
use proto::outcome::Failure;
use serde::{Deserialize, Serialize};

pub(crate) use self::desk::Desk;
use crate::{arguments::StatusArguments, life::Phase, report::Report, services::Standing};

/// Where an agent without a state directory answers.
const RUN_DIRECTORY: &str = "/run/pact";
/// The socket's name.
const NAME: &str = "agent.sock";
/// An agent answers at once, or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// No answer is longer: 64 services, each with its last failure.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// How it is. The fields are stable: users script against them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where the node stands.
    pub phase: Phase,
    /// Null before the first enrollment; of an earlier process if this one goes by what that had.
    pub node_id: Option<NodeId>,
    /// As `node_id`.
    pub domain_id: Option<DomainId>,
    /// By what the node proves who it is: its certificate, or a workload identity of others that is bound to it (R11). Null
    /// without any.
    pub identity: Option<Proof>,
    /// Of the workload identity. Null without one.
    pub spiffe_id: Option<SpiffeId>,
    /// Until when that is valid. Null without one.
    pub spiffe_not_after: Option<Timestamp>,
    /// Of the newest certificate. Null without one.
    pub serial: Option<Serial>,
    /// When it ends.
    pub not_after: Option<Timestamp>,
    /// When it is renewed.
    pub renew_after: Option<Timestamp>,
    /// Null in maintenance mode, or if the node goes by nothing yet.
    pub vcluster: Option<VClusterId>,
    /// Of what the node goes by. Null without an overlay.
    pub overlay_sha256: Option<Digest>,
    /// The journal that answered last.
    pub journal: Option<String>,
    /// In the order of their start.
    pub services: Vec<Standing>,
    /// What failed last, even if it is mended by now.
    pub last_failure: Option<LastFailure>,
}

/// By what a node proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By the key of its certificate.
    Certificate,
    /// By a workload identity of others.
    Workload,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// For programs.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Snapshot {
    /// Before anything has happened.
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Probing,
            node_id: None,
            domain_id: None,
            identity: None,
            spiffe_id: None,
            spiffe_not_after: None,
            serial: None,
            not_after: None,
            renew_after: None,
            vcluster: None,
            overlay_sha256: None,
            journal: None,
            services: Vec::new(),
            last_failure: None,
        }
    }

    fn proof(&self, proof: Proof) -> String {
        match (proof, &self.spiffe_id, self.spiffe_not_after) {
            (Proof::Workload, Some(id), Some(end)) => format!("{id} until {end}"),
            (Proof::Certificate | Proof::Workload, _, _) => "its certificate".to_owned(),
        }
    }

    /// For people.
    pub fn lines(&self) -> String {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let phase = serde_json::to_value(self.phase).ok();
        let mut rows = vec![
            ("phase", phase.and_then(|phase| phase.as_str().map(str::to_owned))),
            ("node", self.node_id.as_ref().map(ToString::to_string)),
            ("domain", self.domain_id.as_ref().map(ToString::to_string)),
            ("vcluster", self.vcluster.as_ref().map(ToString::to_string)),
            ("overlay", self.overlay_sha256.map(|sha256| sha256.to_string())),
            ("certificate", self.serial.map(|serial| serial.to_string())),
            ("renewed after", self.renew_after.map(|time| time.to_string())),
            ("ends", self.not_after.map(|time| time.to_string())),
            ("journal", self.journal.clone()),
            ("identity", self.identity.map(|proof| self.proof(proof))),
        ];
        if let Some(LastFailure { reason, message }) = &self.last_failure {
            rows.push(("last failure", Some(format!("{reason}: {message}"))));
        }
        let mut lines: Vec<String> =
            rows.into_iter().map(|(name, told)| format!("{name:<14} {}", or_none(told))).collect();
        for Standing { name, state, pid, restarts, last_exit } in &self.services {
            let pid = or_none(pid.map(|pid| pid.to_string()));
            let exit = or_none(last_exit.as_ref().map(ToString::to_string));
            lines.push(format!(
                "service        {name}: {state}, process {pid}, restarted {restarts} times, last end {exit}"
            ));
        }
        lines.join("\n")
    }
}

/// The socket of an agent with this state directory.
pub fn socket(state_dir: Option<&Path>) -> PathBuf {
    state_dir.unwrap_or(Path::new(RUN_DIRECTORY)).join(NAME)
}

/// `pact-agent status`.
///
/// # Errors
/// As [`ask`].
pub fn show(arguments: &StatusArguments) -> Result<(), Failure> {
    let told = ask(&socket(arguments.state_dir.as_deref()))?;
    Report::new(arguments.output).status(&told);
    Ok(())
}

/// Asks the running agent.
///
/// # Errors
/// If none answers.
pub fn ask(socket: &Path) -> Result<Snapshot, Failure> {
    let silent =
        |error: io::Error| Failure::Unreachable(format!("no agent answers at {}: {error}", socket.display()));
    let mut stream = UnixStream::connect(socket).map_err(silent)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(silent)?;
    let mut answer = Vec::new();
    (&mut stream).take(ANSWER_BYTES).read_to_end(&mut answer).map_err(silent)?;
    if answer.is_empty() {
        let refused = "it answers only root and its own user";
        return Err(Failure::Unreachable(format!("no agent answers at {}: {refused}", socket.display())));
    }
    serde_json::from_slice(&answer).map_err(|error| {
        Failure::other(format!("what the agent at {} told cannot be read: {error}", socket.display()))
    })
}

#[cfg(test)]
mod tests;
