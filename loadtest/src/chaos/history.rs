//! What the clients called and what they were told, with times of one clock.
//!
//! The load writes it, the oracles read it afterwards.
//!
//! **Invariant:** a call that was not answered, or refused for a reason of the moment, counts as one that may have happened
//! and may not.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

use events::vocabulary::{OverlayHash, Timestamp};
use proto::{
    outcome::Failure,
    pb::{self, NodeState},
    reason::Reason,
};

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The subject: a node, an operator, a vCluster, a journal; of a token the journal that was asked.
    pub about: String,
    /// What was asked.
    pub what: What,
    /// Of which journal; none: of any.
    pub asked: Option<usize>,
    /// When, since the beginning.
    pub began: Duration,
    /// When it was answered or given up.
    pub ended: Duration,
    /// What came of it.
    pub came: Came,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `RegisterNode`.
    Register,
    /// `Enroll`, by a key of this hash.
    Enroll,
    /// `RenewCert`.
    Renew,
    /// `RevokeNode`.
    Revoke,
    /// `DeactivateNode`.
    Deactivate,
    /// `AssignNode` of a node that is in none, `MoveNode` of one that is in another.
    Place {
        /// Into which vCluster.
        vcluster: String,
    },
    /// A goodbye.
    Goodbye,
    /// `InspectNode`, of at least this fact.
    Inspect {
        /// What `min_seq` said.
        min_seq: u64,
    },
    /// `SetOverlay`.
    SetOverlay {
        /// Of the overlay.
        sha256: OverlayHash,
    },
    /// `CreateOperator`.
    CreateOperator,
    /// `RevokeOperator`.
    RevokeOperator,
    /// `CreateJoinToken`.
    CreateJoinToken,
    /// `Evict`, of a journal.
    Evict,
    /// `TransferLeader`, to a journal. No fact comes of it.
    TransferLeader,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub enum Came {
    /// It was done.
    Done(Told),
    /// It was refused, for good.
    Refused(Reason),
    /// Nobody knows.
    Unknown(String),
}

/// What an answer said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its last fact.
    pub seq: Option<u64>,
    /// Of a certificate.
    pub serial: Option<String>,
    /// How it stands with the node.
    pub node: Option<NodeTold>,
}

/// A node, as an answer shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTold {
    /// As on the wire.
    pub state: NodeState,
    /// Of its stream.
    pub version: u64,
    /// Its current certificate.
    pub serial: Option<String>,
    /// In which vCluster it is.
    pub vcluster: Option<String>,
}

impl From<&pb::Node> for NodeTold {
    fn from(node: &pb::Node) -> Self {
        let serial = node.certificate.as_ref().map(|certificate| certificate.serial.clone());
        Self { state: node.state(), version: node.version, serial, vcluster: node.vcluster_id.clone() }
    }
}

impl Came {
    /// What a failure means for the history.
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Refused(refusal) if is_final(refusal.reason) => Self::Refused(refusal.reason),
            Failure::Refused(_)
            | Failure::ConnectionRefused(_)
            | Failure::Unreachable(_)
            | Failure::NotTrusted(_)
            | Failure::Evicted(_)
            | Failure::Deadline(_)
            | Failure::Usage(_)
            | Failure::Violation(_)
            | Failure::Failed { .. } => Self::Unknown(failure.reason_text().to_owned()),
        }
    }

    /// The last fact of an answer.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Done(told) => told.seq,
            Self::Refused(_) | Self::Unknown(_) => None,
        }
    }
}

/// Whether a refusal says something of the registry, and not of the moment.
fn is_final(reason: Reason) -> bool {
    [
        Reason::NodeAlreadyEnrolled,
        Reason::HardwareIdentityConflict,
        Reason::AlreadyActive,
        Reason::NodeRevoked,
        Reason::NodeNotFound,
        Reason::NodeNotEnrolled,
    ]
    .contains(&reason)
}

/// See the module.
#[derive(Debug)]
pub struct History {
    began: Instant,
    wall: SystemTime,
    calls: Mutex<Vec<Call>>,
    streams: Mutex<Vec<Stream>>,
}

/// A subscription, as its client saw it.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Whose.
    pub node: String,
    /// By which certificate.
    pub serial: String,
    /// At which journal.
    pub journal: usize,
    /// From when on.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            wall: SystemTime::now(),
            calls: Mutex::default(),
            streams: Mutex::default(),
        }
    }
}

impl History {
    /// Since the beginning.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment by the clock that facts have.
    pub fn wall(&self, at: Duration) -> Timestamp {
        let since = (self.wall + at).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// A fact's time, since the beginning.
    pub fn since_beginning(&self, at: Timestamp) -> Duration {
        Duration::from_millis(at.as_millis().saturating_sub(self.wall(Duration::ZERO).as_millis()))
    }

    /// Notes a call that is over.
    pub fn note(&self, about: &str, what: What, asked: Option<usize>, began: Duration, came: Came) {
        let call = Call { about: about.to_owned(), what, asked, began, ended: self.now(), came };
        self.calls.lock().expect("nobody panics while it is held").push(call);
    }

    /// Notes a call by its answer; what came of it.
    pub fn note_answer<A>(
        &self,
        about: &str,
        what: What,
        asked: Option<usize>,
        began: Duration,
        answer: &Result<A, Failure>,
        told: impl FnOnce(&A) -> Told,
    ) -> Came {
        let came = match answer {
            Ok(answer) => Came::Done(told(answer)),
            Err(failure) => Came::of(failure),
        };
        self.note(about, what, asked, began, came.clone());
        came
    }

    /// Notes a subscription that is over.
    pub fn note_stream(&self, stream: Stream) {
        self.streams.lock().expect("nobody panics while it is held").push(stream);
    }

    /// All calls so far, in the order of their ends.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = self.calls.lock().expect("nobody panics while it is held").clone();
        calls.sort_by_key(|call| call.ended);
        calls
    }

    /// All subscriptions that are over.
    pub fn streams(&self) -> Vec<Stream> {
        self.streams.lock().expect("nobody panics while it is held").clone()
    }

    /// The greatest fact that anybody was told of so far.
    pub fn acknowledged(&self) -> u64 {
        let calls = self.calls.lock().expect("nobody panics while it is held");
        calls.iter().filter_map(|call| call.came.seq()).max().unwrap_or_default()
    }

    /// How many calls came to what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for call in self.calls() {
            let (name, count) = match call.came {
                Came::Done(_) => ("done".to_owned(), &mut counts.done),
                Came::Refused(reason) => (reason.as_str().to_owned(), &mut counts.refused),
                Came::Unknown(reason) => (reason, &mut counts.unknown),
            };
            *count += 1;
            *counts.by_reason.entry(name).or_default() += 1;
        }
        counts
    }
}

/// How many calls came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Acknowledged.
    pub done: u64,
    /// Refused for good.
    pub refused: u64,
    /// Which may have happened and may not.
    pub unknown: u64,
    /// By what was said.
    pub by_reason: BTreeMap<String, u64>,
}
