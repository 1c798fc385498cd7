//! Why the journal says no to an order about a node. Nothing is broken: the caller is told, nothing changes.

use super::event::RefusalReason;
use crate::vocabulary::{NodeId, Serial, Timestamp, VClusterId};

/// A refusal; each is one reason of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// `NODE_NOT_ENROLLED`
    #[error("no enrolled node has this hardware identity; an operator enrolls it with `pact node enroll`")]
    NotEnrolled,
    /// `NODE_NOT_FOUND`
    #[error("no such node")]
    NotFound,
    /// `NODE_ALREADY_ENROLLED`
    #[error("the node is enrolled already{}", if *.equally { "" } else { ", with other hardware or another vCluster" })]
    AlreadyEnrolled {
        /// With the same hardware, vCluster and labels.
        equally: bool,
    },
    /// `VCLUSTER_NOT_FOUND`
    #[error("there is no vCluster {vcluster}; an operator makes one with `pact vcluster set`")]
    VClusterNotFound {
        /// The name.
        vcluster: VClusterId,
    },
    /// `NODE_ASSIGNED`
    #[error("the node is in the vCluster {vcluster}; move it with `pact node move`, or take it out first")]
    Assigned {
        /// In which it is.
        vcluster: VClusterId,
    },
    /// `NODE_UNASSIGNED`
    #[error("the node is in no vCluster; put it into one with `pact node assign`")]
    Unassigned,
    /// `ACTIVE_SESSIONS`
    #[error(
        "{count} session{} on the node; drain it and wait until none is left, or order it with --force",
        if *.count == 1 { " runs" } else { "s run" }
    )]
    ActiveSessions {
        /// How many.
        count: u32,
    },
    /// `HARDWARE_IDENTITY_CONFLICT`
    #[error("a MAC address belongs to the node {owner}")]
    HardwareConflict {
        /// Who has it.
        owner: NodeId,
    },
    /// `HARDWARE_INVALID`
    #[error(
        "the old and the new hardware have {addresses} MAC addresses together, and at most {} can change at once; replace the hardware in two steps",
        crate::node::MAX_MACS_CHANGED
    )]
    TooManyMacs {
        /// How many.
        addresses: usize,
    },
    /// `HARDWARE_MISMATCH`; names no field to the caller (R13).
    #[error("the hardware identity does not match what is registered")]
    HardwareMismatch,
    /// `NODE_ID_INVALID`
    #[error("the node id and the domain have more than 44 characters together")]
    NameTooLong,
    /// `ALREADY_ACTIVE`
    #[error(
        "the node is active with another key; it can enroll again after a goodbye, after the grace period without a stream, \
         or when its certificate expires"
    )]
    AlreadyActive {
        /// When its certificate expires, or the node is given up, if that is known to come before.
        until: Timestamp,
    },
    /// `ALREADY_ACTIVE` as well, unless the machine that the node was until now answers nobody: then ask again and say so
    /// ([`super::Former`]).
    #[error(
        "the node is active in another boot of its machine; it is asked whether that is still there, and this one is let in if \
         nobody answers"
    )]
    PerhapsRebooted {
        /// The node's current certificate.
        serial: Serial,
        /// As in [`AlreadyActive`](Self::AlreadyActive).
        until: Timestamp,
    },
    /// `NODE_REVOKED`
    #[error("the node's enrollment was revoked; an operator begins a new one with `pact node enroll`")]
    Revoked,
    /// `KEY_REUSED`
    #[error("the public key was used by another node or in an earlier enrollment; make a new key")]
    KeyReused,
    /// `CSR_INVALID`
    #[error("the certificate request cannot be read")]
    CsrInvalid,
    /// `WORKLOAD_IDENTITY_CONFLICT`; names the node that it proves to operators only ([`super::Bind::over`]).
    #[error("the workload identity proves {}", match .owner { Some(node) => format!("the node {node}"), None => "another node".to_owned() })]
    IdentityConflict {
        /// Which, if the asker may know.
        owner: Option<NodeId>,
    },
    /// `SERIAL_SUPERSEDED`
    #[error("the certificate is not the node's current one")]
    SerialSuperseded,
}

impl Rejection {
    /// As what it is noted when a machine asked to be a node (R5). None: it is of other orders, or of a node that there is not.
    pub fn noted(&self) -> Option<RefusalReason> {
        match self {
            Self::HardwareMismatch => Some(RefusalReason::HardwareMismatch),
            Self::AlreadyActive { .. } => Some(RefusalReason::AlreadyActive),
            Self::Revoked => Some(RefusalReason::NodeRevoked),
            Self::KeyReused => Some(RefusalReason::KeyReused),
            Self::CsrInvalid => Some(RefusalReason::CsrInvalid),
            // Nothing is decided yet.
            Self::PerhapsRebooted { .. }
            | Self::NotEnrolled
            | Self::NotFound
            | Self::AlreadyEnrolled { .. }
            | Self::VClusterNotFound { .. }
            | Self::Assigned { .. }
            | Self::Unassigned
            | Self::ActiveSessions { .. }
            | Self::HardwareConflict { .. }
            | Self::TooManyMacs { .. }
            | Self::NameTooLong
            | Self::IdentityConflict { .. }
            | Self::SerialSuperseded => None,
        }
    }
}
