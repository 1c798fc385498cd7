//! Facts, with the envelope under which the log keeps them (design §8).

use serde::{Deserialize, Serialize};

use crate::stream::{StreamName, StreamVersion};
use crate::vocabulary::{
    AppendId, Assurance, AuthorityId, JournalId, NodeId, OperatorId, Overlay, Principal, RemarkHash,
    Timestamp, VClusterId,
};
use crate::{authority, domain, member, node, operator, vcluster};

/// What happened, to whom. **Stored** (R6): variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// To the domain.
    Domain(domain::Event),
    /// To a node.
    Node(NodeId, node::Event),
    /// To an authority.
    Authority(AuthorityId, authority::Event),
    /// To an operator.
    Operator(OperatorId, operator::Event),
    /// To a vCluster.
    VCluster(VClusterId, vcluster::Event),
    /// To a journal, as a member of the quorum.
    Member(JournalId, member::Event),
}

impl Fact {
    /// The streams in which the fact shall lie, its subject's first (R2). A stored fact names its streams itself.
    pub fn streams(&self) -> Vec<StreamName> {
        let mut streams = vec![];
        self.each_stream(|stream| streams.push(stream));
        streams
    }

    /// Names the streams in which the fact shall lie, its subject's first, one after another: whoever looks at years of
    /// facts takes no memory for each.
    pub(crate) fn each_stream(&self, mut tell: impl FnMut(StreamName)) {
        tell(self.subject());
        match self {
            Self::Domain(
                domain::Event::JoinTokenCreated { secret_sha256, .. }
                | domain::Event::JoinTokenConsumed { secret_sha256, .. },
            ) => {
                tell(StreamName::Join(*secret_sha256));
            }
            Self::Operator(
                _,
                operator::Event::Created { certificate, .. } | operator::Event::Renewed { certificate, .. },
            )
            | Self::Node(_, node::Event::CertificateIssued { certificate, .. }) => {
                tell(StreamName::Key(certificate.spki_sha256));
            }
            Self::Node(_, node::Event::Registered { hardware, .. }) => {
                hardware.macs.iter().copied().map(StreamName::Mac).for_each(tell);
            }
            Self::Node(_, node::Event::HardwareReplaced { hardware, released, .. }) => {
                released.iter().chain(&hardware.macs).copied().map(StreamName::Mac).for_each(tell);
            }
            Self::Node(_, node::Event::Revoked { macs, .. }) => {
                macs.iter().copied().map(StreamName::Mac).for_each(tell);
            }
            Self::Node(_, node::Event::IdentityBound { spiffe_id, .. }) => {
                tell(StreamName::Spiffe(spiffe_id.hash()));
            }
            Self::Domain(
                domain::Event::Created(_)
                | domain::Event::RemarkErased { .. }
                | domain::Event::DefaultSet { .. }
                | domain::Event::LevelRaised { .. }
                | domain::Event::Restored(_),
            )
            | Self::Authority(..)
            | Self::Operator(_, operator::Event::Revoked { .. })
            | Self::Node(
                _,
                node::Event::EnrollmentConfirmed { .. }
                | node::Event::Deactivated { .. }
                | node::Event::Reactivated { .. }
                | node::Event::Assigned { .. }
                | node::Event::Contested { .. }
                | node::Event::Resolved {}
                | node::Event::AttemptsRefused(_)
                | node::Event::CertificateRevoked { .. }
                | node::Event::Unassigned { .. }
                | node::Event::Moved { .. }
                | node::Event::Drained {}
                | node::Event::Undrained {},
            )
            | Self::VCluster(_, vcluster::Event::OverlaySet { .. })
            | Self::Member(..) => {}
        }
    }

    /// The stream of the fact's subject.
    pub fn subject(&self) -> StreamName {
        match self {
            Self::Domain(_) => StreamName::Domain,
            Self::Node(id, _) => StreamName::Node(id.clone()),
            Self::Authority(id, _) => StreamName::Authority(*id),
            Self::Operator(id, _) => StreamName::Operator(id.clone()),
            Self::VCluster(id, _) => StreamName::VCluster(id.clone()),
            Self::Member(id, _) => StreamName::Journal(id.clone()),
        }
    }

    /// Whether the stream is that of its subject.
    pub(crate) fn is_about(&self, stream: &StreamName) -> bool {
        match (self, stream) {
            (Self::Node(id, _), StreamName::Node(name)) => id == name,
            (
                Self::Domain(_)
                | Self::Node(..)
                | Self::Authority(..)
                | Self::Operator(..)
                | Self::VCluster(..)
                | Self::Member(..),
                _,
            ) => self.subject() == *stream,
        }
    }

    /// The overlay that it sets, if it sets one.
    pub fn overlay(&self) -> Option<Overlay> {
        match self {
            Self::Domain(domain::Event::DefaultSet { overlay })
            | Self::VCluster(_, vcluster::Event::OverlaySet { overlay }) => Some(*overlay),
            Self::Domain(
                domain::Event::Created(_)
                | domain::Event::JoinTokenCreated { .. }
                | domain::Event::RemarkErased { .. }
                | domain::Event::JoinTokenConsumed { .. }
                | domain::Event::LevelRaised { .. }
                | domain::Event::Restored(_),
            )
            | Self::Node(..)
            | Self::Authority(..)
            | Self::Operator(..)
            | Self::Member(..) => None,
        }
    }

    /// The hash of the personal remark that the fact itself holds (R4).
    pub fn remark(&self) -> Option<RemarkHash> {
        match self {
            Self::Node(_, node::Event::Revoked { reason, .. }) => *reason,
            Self::Operator(_, operator::Event::Created { name, .. }) => *name,
            Self::Operator(_, operator::Event::Revoked { reason, .. })
            | Self::Member(_, member::Event::Evicted { reason }) => *reason,
            Self::Operator(_, operator::Event::Renewed { .. })
            | Self::Domain(_)
            | Self::Authority(..)
            | Self::VCluster(..)
            | Self::Member(
                _,
                member::Event::Joining { .. } | member::Event::Joined | member::Event::Announced { .. },
            )
            | Self::Node(
                _,
                node::Event::Registered { .. }
                | node::Event::CertificateIssued { .. }
                | node::Event::EnrollmentConfirmed { .. }
                | node::Event::Deactivated { .. }
                | node::Event::Reactivated { .. }
                | node::Event::Assigned { .. }
                | node::Event::Contested { .. }
                | node::Event::Resolved {}
                | node::Event::HardwareReplaced { .. }
                | node::Event::AttemptsRefused(_)
                | node::Event::CertificateRevoked { .. }
                | node::Event::Unassigned { .. }
                | node::Event::Moved { .. }
                | node::Event::Drained {}
                | node::Event::Undrained {}
                | node::Event::IdentityBound { .. },
            ) => None,
        }
    }
}

/// A committed fact in its envelope. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the log, from 1, with no gaps.
    pub seq: u64,
    /// Where it lies: 1–32 streams, its subject first.
    pub streams: Vec<StreamVersion>,
    /// The append that brought it (R7).
    pub append_id: AppendId,
    /// When its proposer decided (R24).
    pub decided_at: Timestamp,
    /// When the leader took it; never earlier than the fact before (R24). Folds know no other time.
    pub recorded_at: Timestamp,
    /// Who is answerable.
    pub principal: Principal,
    /// The journal that decided.
    pub proposed_by: JournalId,
    /// From where it was asked: the hash of an erasable remark.
    pub source: Option<RemarkHash>,
    /// How sure the journal was of a node's identity (R13).
    pub assurance: Option<Assurance>,
    /// What happened.
    pub fact: Fact,
}

impl Record {
    /// The overlay that the fact sets, if it sets one: its bytes lie beside the facts (design §8).
    pub fn overlay(&self) -> Option<Overlay> {
        self.fact.overlay()
    }

    /// The version that the fact gave to a stream.
    pub fn version_of(&self, name: &StreamName) -> Option<u64> {
        self.streams.iter().find(|at| at.name == *name).map(|at| at.version)
    }

    /// The version that the fact gave to its subject's stream.
    pub fn subject_version(&self) -> u64 {
        self.streams.first().map_or(0, |at| at.version)
    }
}
