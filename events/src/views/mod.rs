//! Views: folds of the recorded facts (design §1). The journal keeps them in memory and answers from them; `replay`
//! folds them again, up to any fact.
//!
//! **Invariant:** folding the same facts gives equal views, on every journal and at any time; no view reads a clock.

mod authorities;
mod by_name;
mod certificates;
mod changed;
mod ends;
mod join_tokens;
mod keys;
mod members;
mod operators;
mod registry;
mod restoration;
mod revocations;
#[cfg(test)]
mod tests;
mod vclusters;

use std::collections::BTreeSet;

use crate::certificate::Certificate;
use crate::fact::{Fact, Record};
use crate::level::Level;
use crate::member::TokenClaim;
use crate::node::{KeyClaim, KeyHolder};
use crate::stream::StreamName;
use crate::vocabulary::{
    AuthorityId, CertificateHash, JournalId, KeyHash, NodeId, OperatorId, Overlay, Role, SecretHash, Serial,
    SpiffeHash, Timestamp, VClusterId,
};
use crate::{domain, node, operator};

pub use authorities::{Authorities, Authority};
pub use certificates::{Certificates, Holder, Known};
pub use changed::Changed;
use changed::{Change, Listener, Nobody};
pub use join_tokens::{JoinToken, JoinTokens};
pub use keys::{Keys, RELEASED_AFTER};
pub use members::{LastRestore, MemberRow, Members};
pub use operators::{Operator, Operators};
pub use registry::{Census, Identified, Node, Registry};
pub use revocations::{Revocation, Revocations};
pub use vclusters::{Configured, VCluster, VClusters};

/// All views, folded up to one fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Views {
    /// The last fact folded in; 0: none.
    pub seq: u64,
    /// The time of that fact: the only time that views know.
    pub recorded_at: Timestamp,
    /// The domain.
    pub domain: domain::State,
    /// The version of the domain's stream.
    pub domain_version: u64,
    /// The facts that may be written: never falls (R26).
    pub level: Level,
    /// The nodes and their hardware.
    pub registry: Registry,
    /// Who has which public key.
    pub keys: Keys,
    /// The certificates that were issued and are not long over.
    pub certificates: Certificates,
    /// The certificates that were revoked and are not long over.
    pub revocations: Revocations,
    /// The authorities.
    pub authorities: Authorities,
    /// The operators.
    pub operators: Operators,
    /// The vClusters and their overlays.
    pub vclusters: VClusters,
    /// The journals of the quorum.
    pub members: Members,
    /// The tokens by which journals join.
    pub join_tokens: JoinTokens,
}

/// What a node is configured by at its boot, and from then on (design §3 step 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootConfig {
    /// None: maintenance mode, under the domain's default.
    pub vcluster: Option<VClusterId>,
    /// None: there is none.
    pub overlay: Option<Overlay>,
    /// The seq of the fact that set the overlay; 0: there is none.
    pub revision: u64,
    /// Since when the node has this configuration: the last fact that it comes from.
    pub since: u64,
}

/// What a certificate opens, by the issuance fact alone (R10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No fact records it.
    Unknown,
    /// Its validity is over, or the domain was restored since (R27). Whoever holds it may ask for another.
    Expired,
    /// It was revoked or superseded.
    Revoked,
    /// A warm reboot replaced it (R14 c). It opens nothing, and who proves its key shows that there are two machines.
    Replaced {
        /// Whose it was.
        node_id: NodeId,
        /// Which it is.
        serial: Serial,
    },
    /// It proves who its holder is.
    Valid {
        /// Who that is.
        identity: Identity,
        /// Until when.
        until: Timestamp,
    },
}

/// Who is at the other end of a connection, by the issuance fact of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A node.
    Node {
        /// Which.
        node_id: NodeId,
        /// By which certificate.
        serial: Serial,
    },
    /// An operator.
    Operator {
        /// Who.
        operator_id: OperatorId,
        /// What they may do.
        role: Role,
        /// By which certificate.
        serial: Serial,
    },
}

impl Views {
    /// Folds one fact in. Total.
    pub fn fold(&mut self, record: &Record) -> Changed {
        let mut changed = Changed::default();
        self.fold_and_tell(record, &mut changed);
        changed
    }

    /// Folds in a fact of a log that is read again, where nobody waits to hear what it changed. Total.
    pub fn refold(&mut self, record: &Record) {
        self.fold_and_tell(record, &mut Nobody);
    }

    fn fold_and_tell(&mut self, record: &Record, listener: &mut impl Listener) {
        self.seq = record.seq;
        self.recorded_at = record.recorded_at;
        match &record.fact {
            Fact::Domain(event) => {
                self.domain = domain::evolve(std::mem::take(&mut self.domain), event);
                self.domain_version = record.subject_version();
                if self.vclusters.fold(record) {
                    listener.hear(Change::Configurations);
                }
                self.join_tokens.fold(event, record);
                match event {
                    domain::Event::Created(created) => {
                        self.members.found(&created.founder);
                        listener.hear(Change::Members);
                    }
                    domain::Event::LevelRaised { level } => self.level = self.level.max(*level),
                    domain::Event::Restored(restored) => self.restore(restored, record).tell(listener),
                    domain::Event::JoinTokenCreated { .. }
                    | domain::Event::JoinTokenConsumed { .. }
                    | domain::Event::RemarkErased { .. }
                    | domain::Event::DefaultSet { .. } => {}
                }
            }
            Fact::Member(id, event) => {
                self.members.fold(id, event, record);
                listener.hear(Change::Members);
            }
            Fact::VCluster(..) => {
                if self.vclusters.fold(record) {
                    listener.hear(Change::Configurations);
                }
            }
            Fact::Authority(id, event) => self.authorities.fold(*id, event, record),
            Fact::Operator(id, event) => {
                self.fold_certificate(record);
                self.operators.fold(id, event, record, listener);
            }
            Fact::Node(id, event) => {
                self.fold_certificate(record);
                self.registry.fold(id, event, record, listener);
                listener.hear(Change::Node(id));
                if matches!(
                    event,
                    node::Event::Assigned { .. } | node::Event::Unassigned { .. } | node::Event::Moved { .. }
                ) {
                    listener.hear(Change::Configurations);
                }
            }
        }
        self.certificates.forget(record.recorded_at);
        self.keys.forget(record.recorded_at);
        self.revocations.forget(record.recorded_at);
    }

    fn fold_certificate(&mut self, record: &Record) {
        self.keys.fold(record);
        self.certificates.fold(record);
        self.revocations.fold(record, &self.certificates);
        self.authorities.note_issuance(record);
    }

    /// Reads what the folds of the next facts will look up, before they do: memory answers many questions at once, but
    /// one by one it keeps whoever asks waiting. Changes nothing. For whoever folds a whole log.
    pub fn look_ahead<'a>(&self, next: impl Iterator<Item = &'a Record> + Clone) {
        for record in next.clone() {
            self.registry.touch(&record.fact);
            if let Some((certificate, ..)) = issued(record) {
                self.keys.touch(&certificate.spki_sha256);
                self.certificates.touch(certificate);
            }
        }
        next.for_each(|record| self.registry.touch_entries(&record.fact));
    }

    /// What a certificate opens at a moment (R10, R15). A clock that was set back behind the last fact brings nothing
    /// back to life.
    pub fn standing(&self, certificate: &CertificateHash, now: Timestamp) -> Standing {
        let now = now.max(self.recorded_at);
        let Some(known) = self.certificates.get(certificate) else { return Standing::Unknown };
        if known.not_after <= now {
            return Standing::Expired;
        }
        let serial = known.serial;
        let before_restore = self.members.restored().is_some_and(|last| known.seq < last.seq);
        if let Holder::Node(id) = &known.holder
            && !before_restore
            && self.registry.node(id).is_some_and(|node| node.state.replaced(serial, now).is_some())
        {
            return Standing::Replaced { node_id: id.clone(), serial };
        }
        let (until, identity) = match &known.holder {
            // A running machine hears that it must enroll again, as when the time of its certificate is over.
            Holder::Node(id) if before_restore && !self.registry.is_revoked(id) => return Standing::Expired,
            Holder::Node(id) => (
                self.registry.node(id).and_then(|node| node.state.usable_until(serial)),
                Some(Identity::Node { node_id: id.clone(), serial }),
            ),
            Holder::Operator(id) => {
                let state = self.operators.get(id).map(|operator| &operator.state);
                let role = state.and_then(|state| state.role()).cloned();
                (
                    state.and_then(|state| state.usable_until(serial)),
                    role.map(|role| Identity::Operator { operator_id: id.clone(), role, serial }),
                )
            }
        };
        match (until, identity) {
            (Some(until), Some(identity)) if until > now => Standing::Valid { identity, until },
            _ => Standing::Revoked,
        }
    }

    /// What a workload identity of others opens at a moment: what the current certificate of the node does that it is bound
    /// to (R11). How far the identity itself may be believed is for whoever checked it.
    pub fn workload_standing(&self, id: &SpiffeHash, now: Timestamp) -> Standing {
        let now = now.max(self.recorded_at);
        let Some((node_id, node)) = self.registry.workload(id) else { return Standing::Unknown };
        let Some(current) = node.state.current() else { return Standing::Revoked };
        let until = current.certificate.not_after;
        if until <= now {
            return Standing::Expired;
        }
        let identity = Identity::Node { node_id: node_id.clone(), serial: current.certificate.serial };
        Standing::Valid { identity, until }
    }

    /// What a node is configured by. None: there is no such node.
    pub fn boot_config(&self, id: &NodeId) -> Option<BootConfig> {
        let node = self.registry.node(id)?;
        let vcluster = node.state.vcluster();
        let configured = self.vclusters.configured(vcluster);
        let revision = configured.map_or(0, |configured| configured.revision);
        Some(BootConfig {
            vcluster: vcluster.cloned(),
            overlay: configured.map(|configured| configured.overlay),
            revision,
            since: revision.max(node.grouped_seq),
        })
    }

    /// Who has a public key (R8).
    pub fn key_claim(&self, key: KeyHash) -> KeyClaim {
        KeyClaim { key, holder: self.keys.holder(&key).cloned() }
    }

    /// What is known of a join token by the hash of its secret (§7).
    pub fn token_claim(&self, secret_sha256: SecretHash) -> TokenClaim {
        TokenClaim { secret_sha256, state: self.join_tokens.state(&secret_sha256) }
    }

    /// The authorities of a journal, retired or not.
    pub fn authorities_of(&self, journal: &JournalId) -> BTreeSet<AuthorityId> {
        self.authorities_where(|of| of == journal)
    }

    /// The authorities of all journals that were evicted, retired or not.
    pub fn authorities_of_evicted(&self) -> BTreeSet<AuthorityId> {
        self.authorities_where(|of| self.members.is_evicted(of))
    }

    fn authorities_where(&self, belongs: impl Fn(&JournalId) -> bool) -> BTreeSet<AuthorityId> {
        let known = self.authorities.iter();
        let theirs = known.filter(|(_, known)| {
            known.state.announced().is_some_and(|announced| belongs(&announced.journal_id))
        });
        theirs.map(|(id, _)| *id).collect()
    }

    /// The version of a stream, as far as views know it: claims to keys that were released are known to the log only.
    pub fn version(&self, stream: &StreamName) -> Option<u64> {
        match stream {
            StreamName::Domain => Some(self.domain_version),
            StreamName::Node(id) => Some(self.registry.node(id).map_or(0, |node| node.version)),
            StreamName::Authority(id) => {
                Some(self.authorities.get(id).map_or(0, |authority| authority.version))
            }
            StreamName::Operator(id) => Some(self.operators.get(id).map_or(0, |operator| operator.version)),
            StreamName::Mac(mac) => Some(self.registry.mac_version(mac)),
            StreamName::Key(key) => self.keys.version(key),
            StreamName::VCluster(id) => Some(self.vclusters.get(id).map_or(0, |vcluster| vcluster.version)),
            StreamName::Join(secret) => Some(self.join_tokens.get(secret).map_or(0, |token| token.version)),
            StreamName::Spiffe(id) => Some(self.registry.workload_version(id)),
            StreamName::Journal(id) => Some(self.members.get(id).map_or(0, |member| member.version)),
        }
    }
}

/// To whom a fact gives a certificate.
#[derive(Clone, Copy)]
enum Receiver<'a> {
    /// A node, in this epoch.
    Node(&'a NodeId, u32),
    /// An operator.
    Operator(&'a OperatorId),
}

impl Receiver<'_> {
    fn holder(self) -> Holder {
        match self {
            Self::Node(id, _) => Holder::Node(id.clone()),
            Self::Operator(id) => Holder::Operator(id.clone()),
        }
    }

    fn key_holder(self) -> KeyHolder {
        match self {
            Self::Node(id, epoch) => KeyHolder::Node(id.clone(), epoch),
            Self::Operator(_) => KeyHolder::Operator,
        }
    }
}

/// The certificate that a fact tells of and its holder: of nodes and operators alike.
fn issued(record: &Record) -> Option<(&Certificate, Receiver<'_>)> {
    match &record.fact {
        Fact::Node(id, node::Event::CertificateIssued { certificate, epoch, .. }) => {
            Some((certificate, Receiver::Node(id, *epoch)))
        }
        Fact::Operator(
            id,
            operator::Event::Created { certificate, .. } | operator::Event::Renewed { certificate, .. },
        ) => Some((certificate, Receiver::Operator(id))),
        Fact::Operator(_, operator::Event::Revoked { .. })
        | Fact::Node(
            _,
            node::Event::Registered { .. }
            | node::Event::EnrollmentConfirmed { .. }
            | node::Event::Deactivated { .. }
            | node::Event::Reactivated { .. }
            | node::Event::Revoked { .. }
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
        )
        | Fact::Domain(_)
        | Fact::VCluster(..)
        | Fact::Member(..)
        | Fact::Authority(..) => None,
    }
}
