//! What can happen to a node. **Stored**: variants and fields are frozen with the format's version (R6); new variants
//! are only ever added at the end.

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::vocabulary::{
    BootId, Der, HardwareField, HardwareIdentity, KeyHash, Labels, Mac, RemarkHash, Serial, SpiffeId,
    Timestamp, VClusterId,
};

/// A fact about one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An operator permitted the node to exist.
    #[serde(rename = "NodeRegistered")]
    Registered {
        /// 1, or one more after each revocation (R16).
        epoch: u32,
        /// What the machine must present.
        hardware: HardwareIdentity,
        /// The operator's notes.
        labels: Labels,
    },
    /// The node got a certificate; with it, it is active (R12).
    CertificateIssued {
        /// On what occasion.
        cause: Cause,
        /// The epoch of the enrollment it belongs to.
        epoch: u32,
        /// What the certificate says.
        certificate: Certificate,
        /// The whole certificate.
        der: Der,
        /// The older certificates that it replaces (R15).
        supersedes: Vec<Supersession>,
        /// What the machine presented, also beyond what is registered (R13). None for a renewal.
        presented: Option<HardwareIdentity>,
        /// Which boot of the machine asked.
        boot_id: Option<BootId>,
    },
    /// The node used the certificate for the first time.
    EnrollmentConfirmed {
        /// The certificate.
        serial: Serial,
    },
    /// The node is believed gone.
    #[serde(rename = "NodeDeactivated")]
    Deactivated {
        /// Why.
        cause: DeactivationCause,
        /// The certificate that ended with it: an operator's deactivation only.
        supersedes: Option<Serial>,
    },
    /// The node came back with its unexpired certificate.
    #[serde(rename = "NodeReactivated")]
    Reactivated {
        /// The certificate.
        serial: Serial,
    },
    /// The enrollment is over, for good (R16).
    #[serde(rename = "NodeRevoked")]
    Revoked {
        /// Planned or not.
        cause: RevocationCause,
        /// The certificates that ended with it.
        serials: Vec<Serial>,
        /// The addresses that are free again (R2).
        macs: Vec<Mac>,
        /// What the operator said.
        reason: Option<RemarkHash>,
    },
    /// The node is in this vCluster from here on, and in no other.
    #[serde(rename = "NodeAssigned")]
    Assigned {
        /// Which.
        vcluster: VClusterId,
    },
    /// A machine with the node's hardware and another key asked to be it, while the machine with this certificate was
    /// there and answered (R14).
    #[serde(rename = "EnrollmentContested")]
    Contested {
        /// The certificate of the one that was there. It stands.
        serial: Serial,
        /// The key of the other.
        rival_spki_sha256: KeyHash,
        /// What the other presented, also beyond what is registered.
        presented: HardwareIdentity,
        /// Which boot of the other asked.
        boot_id: Option<BootId>,
    },
    /// An operator knows which machine is the node (R14).
    #[serde(rename = "EnrollmentResolved")]
    Resolved {},
    /// Another machine is the node from here on, in the same epoch.
    HardwareReplaced {
        /// What it must present.
        hardware: HardwareIdentity,
        /// The former addresses that it does not have: they are free again (R2).
        released: Vec<Mac>,
        /// The certificates of the former machine, which ended with it.
        serials: Vec<Serial>,
    },
    /// Machines that asked to be the node were refused, several at once (R5).
    AttemptsRefused(RefusedAttempts),
    /// Certificates of the node ended, its enrollment did not: a node without a current one is inactive and enrolls again.
    CertificateRevoked {
        /// Why nobody trusts them any more.
        cause: DistrustCause,
        /// The certificates that ended.
        serials: Vec<Serial>,
    },
    /// The node is in no vCluster from here on: maintenance mode.
    #[serde(rename = "NodeUnassigned")]
    Unassigned {
        /// In which it was.
        vcluster: VClusterId,
    },
    /// The node left one vCluster for another, at once.
    #[serde(rename = "NodeMoved")]
    Moved {
        /// In which it was.
        from: VClusterId,
        /// In which it is from here on.
        to: VClusterId,
    },
    /// Nothing new is to be placed on the node.
    #[serde(rename = "NodeDrained")]
    Drained {},
    /// The node takes work again.
    #[serde(rename = "NodeUndrained")]
    Undrained {},
    /// A workload identity of others proves the node, too, in place of the one that did before (R11).
    IdentityBound {
        /// The name that the other authority gave to it.
        spiffe_id: SpiffeId,
        /// The node's certificate over which it said so itself: it counts until the node enrolls anew. None: an operator
        /// said so, for the rest of the epoch.
        over: Option<Serial>,
    },
}

/// Refused requests for one node with one reason, added up (R5). **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAttempts {
    /// Why.
    pub reason: RefusalReason,
    /// When the first one asked.
    pub first: Timestamp,
    /// When the last one did.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
    /// What did not match, of any of them; of a mismatch only (R13).
    pub differing: Vec<HardwareField>,
}

/// Why a machine that asked to be a node was refused: a reason of the contract. **Stored** (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalReason {
    /// Its hardware resembles the node's and is not the node's.
    HardwareMismatch,
    /// The node is active with another key.
    AlreadyActive,
    /// The node's enrollment is over.
    NodeRevoked,
    /// Its key belongs to somebody else, or to an earlier epoch.
    KeyReused,
    /// Its certificate request is not acceptable.
    CsrInvalid,
}

impl RefusalReason {
    /// As the contract names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HardwareMismatch => "HARDWARE_MISMATCH",
            Self::AlreadyActive => "ALREADY_ACTIVE",
            Self::NodeRevoked => "NODE_REVOKED",
            Self::KeyReused => "KEY_REUSED",
            Self::CsrInvalid => "CSR_INVALID",
        }
    }
}

/// On what occasion a certificate was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The node's first in this epoch.
    Enrolled,
    /// After the node had been inactive.
    ReEnrolled,
    /// Over the node's former certificate.
    Renewed,
    /// In another boot of its machine, while the node was still believed present and the former boot answered nobody (R14 c).
    WarmReboot,
}

/// An older certificate that an issuance replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supersession {
    /// The older certificate.
    pub serial: Serial,
    /// How long it lives on after the new one's first use, in seconds; 0: not at all (R15).
    pub overlap_secs: u32,
}

/// Why a node is believed gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeactivationCause {
    /// Its stream ended and the grace period is over (R19).
    Silence,
    /// It said so.
    Goodbye,
    /// Its certificate expired.
    Expiry,
    /// An operator said so.
    Operator,
}

/// Why certificates ended before their enrollment did. **Stored** (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistrustCause {
    /// The journal whose authority signed one of them was evicted, and all that it had signed was to end (design §7).
    JournalEvicted,
    /// A warm reboot had brought them, and then the key that it replaced was proved: there are two machines (R14 c).
    FormerKeyProved,
}

/// Why an enrollment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationCause {
    /// The node leaves the domain in peace.
    Decommissioned,
    /// The node is not to be trusted any more.
    Revoked,
}
