//! What can be asked of a node's actor, and what it answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::certificate::Certificate;
use events::node::{Contest, Former, RefusedAttempts, Rejection, RevocationCause};
use events::vocabulary::{
    AuthorityId, BootId, Der, HardwareIdentity, Labels, NodeId, Principal, Remark, Role, Serial, SpiffeId,
    Timestamp, VClusterId,
};

use crate::authority::{Csr, CsrError, IssueError};
use crate::log::{AppendError, ReadError};
use crate::presence::Streams;

/// An order with who asks, and from where.
#[derive(Clone)]
pub struct Request {
    /// What is asked.
    pub order: Order,
    /// Who is answerable: by the issuance fact of their certificate (R10).
    pub principal: Principal,
    /// From where, as an erasable remark (R4).
    pub source: Option<Remark>,
}

/// What can be asked about one node. Parsed already; time and chance are added by the executor.
#[derive(Clone)]
pub enum Order {
    /// Permit the node to exist.
    Register {
        /// What the machine must present.
        hardware: HardwareIdentity,
        /// The operator's notes.
        labels: Labels,
        /// The vCluster that it shall be in; none: maintenance mode.
        vcluster: Option<VClusterId>,
    },
    /// Give a machine a certificate.
    Enroll {
        /// What the machine presents.
        presented: HardwareIdentity,
        /// Its request; an unreadable one still gets the state's answer first.
        csr: Arc<Result<Csr, CsrError>>,
        /// Which boot of the machine asks.
        boot_id: Option<BootId>,
        /// What is known of the machine that the node was until now.
        former: Former,
    },
    /// Give the node its next certificate.
    Renew {
        /// The certificate of the connection.
        presented: Serial,
        /// The certificate that the request names.
        named: Serial,
        /// Its request.
        csr: Arc<Result<Csr, CsrError>>,
    },
    /// The node made an authenticated call.
    Confirm {
        /// With this certificate.
        serial: Serial,
    },
    /// The node goes down on purpose.
    Goodbye {
        /// On the stream of this certificate.
        serial: Serial,
    },
    /// Do what time orders, if it orders anything when the node's turn comes.
    Due {
        /// Who is here then.
        streams: Streams,
        /// How long a node may be away.
        grace: Duration,
    },
    /// Take the node's certificate and believe it gone, until it enrolls again.
    Deactivate,
    /// End the enrollment.
    Revoke {
        /// In peace or not.
        cause: RevocationCause,
        /// What the operator said.
        reason: Option<Remark>,
        /// Sessions that run on the node and hinder it; 0 if it is ordered all the same.
        sessions: u32,
    },
    /// Put the node into a vCluster.
    Assign {
        /// Which.
        vcluster: VClusterId,
        /// What the operator may do and see.
        asker: Role,
    },
    /// Take the node out of its vCluster.
    Unassign {
        /// What the operator may do and see.
        asker: Role,
    },
    /// Move the node from its vCluster into another one.
    Move {
        /// Into which.
        to: VClusterId,
        /// What the operator may do and see.
        asker: Role,
    },
    /// Have nothing new placed on the node, or work again.
    Drain {
        /// Whether it shall drain.
        draining: bool,
        /// What the operator may do and see.
        asker: Role,
    },
    /// The node's stream answered after another machine, whose key is proved, had asked to be it.
    Contest(Contest),
    /// A machine proved that it holds the key of this certificate.
    ProveFormer {
        /// The certificate.
        serial: Serial,
    },
    /// Settle which machine it is.
    Resolve,
    /// Let a workload identity of others prove it, too (R11).
    Bind {
        /// Which.
        spiffe_id: SpiffeId,
        /// The certificate over which the node asks; none: an operator does.
        over: Option<Serial>,
    },
    /// Put another machine in its place.
    ReplaceHardware {
        /// What that must present.
        hardware: HardwareIdentity,
    },
    /// Note what was refused to machines that asked to be it.
    NoteRefused(RefusedAttempts),
    /// End its certificates that these authorities signed; it may enroll again.
    Distrust {
        /// Those of an evicted journal.
        authorities: Arc<BTreeSet<AuthorityId>>,
    },
}

impl Order {
    /// The hardware that it registers.
    pub fn hardware(&self) -> Option<&HardwareIdentity> {
        match self {
            Self::Register { hardware, .. } | Self::ReplaceHardware { hardware } => Some(hardware),
            Self::Enroll { .. }
            | Self::Renew { .. }
            | Self::Confirm { .. }
            | Self::Goodbye { .. }
            | Self::Due { .. }
            | Self::Deactivate
            | Self::Revoke { .. }
            | Self::Assign { .. }
            | Self::Unassign { .. }
            | Self::Move { .. }
            | Self::Drain { .. }
            | Self::Contest(_)
            | Self::ProveFormer { .. }
            | Self::Resolve
            | Self::Bind { .. }
            | Self::NoteRefused(_)
            | Self::Distrust { .. } => None,
        }
    }

    /// Whether it is one of those that metrics tell of.
    pub fn is_enrollment(&self) -> bool {
        matches!(self, Self::Enroll { .. })
    }
}

/// What became of an order that was not refused.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A certificate, new or the same as before.
    Issued(Box<IssuedCertificate>),
    /// Recorded; or nothing to record, because it is so already. The view shows at least this fact.
    Settled {
        /// The last fact of it.
        seq: u64,
    },
}

/// A certificate that may leave the process: its fact is committed and applied here (R3).
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// Whose it is.
    pub node_id: NodeId,
    /// What it says.
    pub certificate: Certificate,
    /// The whole of it.
    pub der: Der,
    /// The certificate of the authority that signed it.
    pub authority: Der,
    /// The vCluster of the node; none: maintenance mode.
    pub vcluster: Option<VClusterId>,
}

/// Why an order got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The journal says no.
    #[error("{rejection}")]
    Rejected {
        /// Why.
        rejection: Rejection,
        /// When: some refusals say how long to wait.
        at: Timestamp,
    },
    /// The certificate request is not acceptable.
    #[error("{0}")]
    Csr(CsrError),
    /// The node's mailbox is full: somebody asks faster than its orders are decided.
    #[error("too many requests for this node are waiting")]
    Overloaded,
    /// Other orders for the node came first, three times (R7).
    #[error("the node changed while its order was decided, three times")]
    Contended,
    /// The node's actor ended before it answered.
    #[error("the order was interrupted")]
    Interrupted,
    /// The certificate could not be signed.
    #[error("the certificate could not be signed")]
    Sign(#[source] IssueError),
    /// The facts could not be recorded.
    #[error("the facts could not be recorded")]
    Append(#[source] AppendError),
    /// The log could not be read.
    #[error("the log could not be read")]
    Read(#[source] ReadError),
    /// A fact that the views speak of is not in the log.
    #[error("the fact {seq} is missing in the log")]
    Missing {
        /// Its place.
        seq: u64,
    },
    /// No random numbers could be had.
    #[error("the system gives no random numbers")]
    Random,
    /// No authority is ready to sign.
    #[error("no authority is ready to sign")]
    NoAuthority,
    /// Who asks was revoked since (R1).
    #[error("the operator who asks was revoked meanwhile")]
    AskerGone,
}
