//! Which certificates a fact names. Called by `history --serial` and `explain`.
//!
//! **Invariant:** a fact that begins, confirms, replaces, brings back or ends a certificate names it.

use events::certificate::Certificate;
use events::fact::Fact;
use events::node::Supersession;
use events::vocabulary::{CertificateHash, Der, JournalId, NodeId, OperatorId, Serial, Timestamp};
use events::{authority, node, operator};

/// A certificate, by the fact that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance<'a> {
    /// Its serial number.
    pub serial: Serial,
    /// The hash of its bytes.
    pub sha256: CertificateHash,
    /// Whose it is.
    pub holder: Holder<'a>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Its bytes.
    pub der: &'a Der,
}

/// Whose a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A node's.
    Node(&'a NodeId),
    /// An operator's.
    Operator(&'a OperatorId),
    /// An authority's: it signs, and opens nothing itself.
    Authority(&'a JournalId),
}

impl<'a> Issuance<'a> {
    /// The certificate that a fact carries.
    pub fn of(fact: &'a Fact) -> Option<Self> {
        match fact {
            Fact::Node(id, node::Event::CertificateIssued { certificate, der, .. }) => {
                Some(Self::new(certificate, Holder::Node(id), der))
            }
            Fact::Operator(
                id,
                operator::Event::Created { certificate, der, .. }
                | operator::Event::Renewed { certificate, der, .. },
            ) => Some(Self::new(certificate, Holder::Operator(id), der)),
            Fact::Authority(_, authority::Event::Announced(announced)) => Some(Self {
                serial: announced.serial,
                sha256: announced.sha256,
                holder: Holder::Authority(&announced.journal_id),
                not_before: announced.not_before,
                not_after: announced.not_after,
                der: &announced.der,
            }),
            Fact::Node(..)
            | Fact::Operator(_, operator::Event::Revoked { .. })
            | Fact::Authority(_, authority::Event::Retired {})
            | Fact::Domain(_)
            | Fact::VCluster(..)
            | Fact::Member(..) => None,
        }
    }

    fn new(certificate: &Certificate, holder: Holder<'a>, der: &'a Der) -> Self {
        Self {
            serial: certificate.serial,
            sha256: certificate.sha256,
            holder,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            der,
        }
    }
}

/// The certificates that a fact replaces.
pub fn superseded(fact: &Fact) -> Vec<Supersession> {
    match fact {
        Fact::Node(_, node::Event::CertificateIssued { supersedes, .. }) => supersedes.clone(),
        Fact::Operator(_, operator::Event::Renewed { supersedes, .. }) => {
            vec![Supersession { serial: *supersedes, overlap_secs: 0 }]
        }
        Fact::Node(..)
        | Fact::Operator(..)
        | Fact::Authority(..)
        | Fact::Domain(_)
        | Fact::VCluster(..)
        | Fact::Member(..) => vec![],
    }
}

/// All certificates that a fact names, its own first.
pub fn serials(fact: &Fact) -> Vec<Serial> {
    let own = Issuance::of(fact).map(|issued| issued.serial);
    let replaced = superseded(fact).into_iter().map(|over| over.serial);
    own.into_iter().chain(replaced).chain(touched(fact)).collect()
}

/// Certificates that a fact neither begins nor replaces.
fn touched(fact: &Fact) -> Vec<Serial> {
    match fact {
        Fact::Node(_, event) => match event {
            node::Event::EnrollmentConfirmed { serial }
            | node::Event::Reactivated { serial }
            | node::Event::Contested { serial, .. } => vec![*serial],
            node::Event::IdentityBound { over, .. } => over.iter().copied().collect(),
            node::Event::Deactivated { supersedes, .. } => supersedes.iter().copied().collect(),
            node::Event::Revoked { serials, .. }
            | node::Event::HardwareReplaced { serials, .. }
            | node::Event::CertificateRevoked { serials, .. } => serials.clone(),
            node::Event::Registered { .. }
            | node::Event::CertificateIssued { .. }
            | node::Event::Assigned { .. }
            | node::Event::Unassigned { .. }
            | node::Event::Moved { .. }
            | node::Event::Drained {}
            | node::Event::Undrained {}
            | node::Event::Resolved {}
            | node::Event::AttemptsRefused(_) => vec![],
        },
        Fact::Operator(_, operator::Event::Revoked { serial, .. }) => vec![*serial],
        Fact::Operator(_, operator::Event::Created { .. } | operator::Event::Renewed { .. })
        | Fact::Authority(..)
        | Fact::Domain(_)
        | Fact::VCluster(..)
        | Fact::Member(..) => vec![],
    }
}
