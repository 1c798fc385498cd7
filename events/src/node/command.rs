//! What can be asked about a node. Time, chance and what other subjects hold arrive as data.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificate::Terms;
use crate::vocabulary::{
    AuthorityId, BootId, DomainId, HardwareIdentity, KeyHash, Labels, Mac, NodeId, RemarkHash, Role, Serial,
    SpiffeId, Timestamp, VClusterId,
};

use super::event::{DeactivationCause, RefusedAttempts, RevocationCause};

/// An order or a request about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An operator permits the node to exist.
    Register(Register),
    /// A machine that says it is the node asks for a certificate.
    Enroll(Enroll),
    /// The node asks for its next certificate, over the present one.
    Renew(Renew),
    /// The node made an authenticated call.
    Confirm {
        /// With this certificate.
        serial: Serial,
        /// At this time.
        now: Timestamp,
    },
    /// The node said goodbye on the stream that it opened with this certificate.
    Goodbye {
        /// The certificate.
        serial: Serial,
    },
    /// A timer or an operator found the node gone.
    Deactivate {
        /// Why. Expiry is a no-op while the current certificate lives.
        cause: DeactivationCause,
        /// At this time.
        now: Timestamp,
    },
    /// An operator ends the enrollment.
    Revoke {
        /// Planned or not.
        cause: RevocationCause,
        /// What the operator said.
        reason: Option<RemarkHash>,
        /// Sessions that run on the node and hinder it; 0 if it is ordered all the same.
        sessions: u32,
        /// At this time.
        now: Timestamp,
    },
    /// An operator puts the node, which is in no vCluster, into one.
    Assign {
        /// Which.
        to: Group,
        /// What the operator may do and see.
        asker: Role,
    },
    /// An operator takes the node out of its vCluster: maintenance mode.
    Unassign {
        /// What the operator may do and see.
        asker: Role,
    },
    /// An operator moves the node from its vCluster into another one.
    Move {
        /// Into which.
        to: Group,
        /// What the operator may do and see.
        asker: Role,
    },
    /// An operator wants nothing new to be placed on the node, or that it takes work again.
    Drain {
        /// Whether it shall drain.
        draining: bool,
        /// What the operator may do and see.
        asker: Role,
    },
    /// The node's stream answered after a machine with the same hardware and another key had asked to be it.
    Contest(Contest),
    /// A machine proved that it holds the key of this certificate, which may be one that a warm reboot replaced (R14 c).
    ProveFormer {
        /// The certificate.
        serial: Serial,
        /// At this time.
        now: Timestamp,
    },
    /// An operator knows which machine is the node.
    Resolve,
    /// An operator put another machine in the node's place.
    ReplaceHardware {
        /// What it must present.
        hardware: HardwareIdentity,
        /// Who has its addresses now.
        macs: MacClaims,
        /// At this time.
        now: Timestamp,
    },
    /// Machines that asked to be the node were refused.
    NoteRefused(RefusedAttempts),
    /// A workload identity of others shall prove the node, too (R11).
    Bind(Bind),
    /// What these authorities signed shall open nothing any more.
    Distrust {
        /// Those of an evicted journal.
        authorities: BTreeSet<AuthorityId>,
        /// At this time.
        now: Timestamp,
    },
}

/// See [`Command::Contest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contest {
    /// The certificate of the stream that answered.
    pub serial: Serial,
    /// The key of the machine that asked, which it has proved to hold.
    pub key: KeyHash,
    /// What that machine presented.
    pub presented: HardwareIdentity,
    /// Which boot of it asked.
    pub boot_id: Option<BootId>,
}

/// See [`Command::Register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The domain, whose name must fit into one common name with the node's.
    pub domain: DomainId,
    /// What the machine must present.
    pub hardware: HardwareIdentity,
    /// The operator's notes.
    pub labels: Labels,
    /// Who has the addresses now.
    pub macs: MacClaims,
    /// The vCluster that it shall be in; none: maintenance mode.
    pub vcluster: Option<Group>,
}

/// A vCluster that an order names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub id: VClusterId,
    /// Whether it exists.
    pub exists: bool,
}

/// See [`Command::Enroll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enroll {
    /// What the machine presents.
    pub presented: HardwareIdentity,
    /// Who has the presented addresses now.
    pub macs: MacClaims,
    /// The key in the request, or none if the request cannot be read: then the state still answers first (design §6).
    pub key: Option<KeyClaim>,
    /// Which boot of the machine asks.
    pub boot_id: Option<BootId>,
    /// What is known of the machine that the node was until now.
    pub former: Former,
    /// The world's part of a certificate.
    pub terms: Terms,
}

/// What is known of the machine that an active node was until now, when another boot asks to be it (R14 c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// Nobody is let in while a node is active: the setting is off.
    Untouchable,
    /// Nobody has asked yet whether it answers.
    NotAsked,
    /// It answers nobody: no journal has a stream of it, or whoever has one got no answer to its ping for 5 s.
    Silent {
        /// The node's current certificate when that was found.
        serial: Serial,
    },
}

/// See [`Command::Renew`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renew {
    /// The certificate of the connection.
    pub presented: Serial,
    /// The certificate that the request names.
    pub named: Serial,
    /// The key in the request, or none if the request cannot be read.
    pub key: Option<KeyClaim>,
    /// The world's part of a certificate.
    pub terms: Terms,
}

/// See [`Command::Bind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The workload's name.
    pub spiffe_id: SpiffeId,
    /// The node that it proves now, if it proves one.
    pub holder: Option<NodeId>,
    /// The certificate over which the node asks; none: an operator orders it.
    pub over: Option<Serial>,
    /// At this time.
    pub now: Timestamp,
}

/// Who has each of some addresses; absent: nobody (R2).
pub type MacClaims = BTreeMap<Mac, NodeId>;

/// A public key and who has it (R8: a key belongs to one node and epoch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key.
    pub key: KeyHash,
    /// Who has it; none: it is free.
    pub holder: Option<KeyHolder>,
}

/// Who has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHolder {
    /// A node, in one epoch.
    Node(NodeId, u32),
    /// An operator.
    Operator,
}
