//! What can happen to a node. **Stored**: variants and fields are frozen with the format's version (R6); new variants
//! are only ever added at the end.

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::vocabulary::{BootId, Der, HardwareIdentity, Labels, Mac, RemarkHash, Serial, VClusterId};

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

/// Why an enrollment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationCause {
    /// The node leaves the domain in peace.
    Decommissioned,
    /// The node is not to be trusted any more.
    Revoked,
}
