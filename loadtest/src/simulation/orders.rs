//! What is ordered of a journal, and how it is decided: the views are put beside the order, `events` decides.
//!
//! What a decision depends on is the same here as in the journal's actors, operators and membership.
//!
//! **Invariant:** the versions that a decision expects are those of the very views that it saw (R1).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use events::{
    authority::{self, Announced},
    certificate::{Certificate, Terms},
    domain,
    fact::Fact,
    level::Level,
    member,
    node::{
        self, Command, Contest, DeactivationCause, Enroll, Former, Presence, RefusedAttempts, Register,
        Renew, RevocationCause,
    },
    operator,
    stream::{StreamName, StreamVersion},
    views::{Identified, Views},
    vocabulary::{
        AuthorityId, Der, JoinTokenId, JournalId, KeyHash, Labels, NodeId, OperatorId, Overlay, Principal,
        Role, SecretHash, Serial, Timestamp,
    },
};

use super::names::{self, Names};

/// How long a node may be away (R19).
const GRACE: Duration = Duration::from_secs(300);
/// How long a join token lasts.
const TOKEN_LASTS: Duration = Duration::from_secs(3600);

/// One order. Time and chance are added when it is decided.
#[derive(Debug, Clone)]
pub enum Order {
    /// A machine asks for a certificate by its hardware.
    Enroll {
        /// Which.
        machine: usize,
        /// Its new key.
        key: KeyHash,
    },
    /// About a node.
    Node(NodeId, NodeOrder),
    /// About an operator.
    Operator(OperatorId, OperatorOrder),
    /// About the domain.
    Domain(DomainOrder),
    /// About a journal.
    Member(usize, MemberOrder),
    /// About an authority.
    Authority(AuthorityId, AuthorityOrder),
}

/// About a node.
#[derive(Debug, Clone)]
pub enum NodeOrder {
    /// Permit it to exist, with the hardware of this machine.
    Register(usize),
    /// Give it its next certificate.
    Renew(Serial, KeyHash),
    /// It made an authenticated call.
    Confirm(Serial),
    /// It goes down on purpose.
    Goodbye(Serial),
    /// Do what time orders.
    Due(Presence),
    /// Take its certificate away.
    Deactivate,
    /// End its enrollment.
    Revoke(RevocationCause),
    /// Two machines claim to be it.
    Contest(Contest),
    /// Settle which it is.
    Resolve,
    /// Put this machine in its place.
    Replace(usize),
    /// Note what was refused.
    NoteRefused(RefusedAttempts),
    /// End what this journal's authorities signed.
    Distrust(JournalId),
}

/// About an operator.
#[derive(Debug, Clone)]
pub enum OperatorOrder {
    /// Give a role and a certificate.
    Create(KeyHash),
    /// Give the next certificate.
    Renew(Serial, KeyHash),
    /// End it.
    Revoke,
}

/// About the domain.
#[derive(Debug, Clone)]
pub enum DomainOrder {
    /// Make a token by which a journal joins.
    CreateToken(SecretHash),
    /// Let facts of the newest level be written.
    RaiseLevel,
    /// Set what nodes are configured by.
    SetDefault(u8),
}

/// About a journal.
#[derive(Debug, Clone)]
pub enum MemberOrder {
    /// It asks to join.
    Join(SecretHash),
    /// It has caught up.
    Confirm,
    /// Take it out for good.
    Evict,
    /// Take it out if it never came.
    GiveUp,
}

/// About an authority.
#[derive(Debug, Clone)]
pub enum AuthorityOrder {
    /// Announce it.
    Announce(Box<Announced>),
    /// Retire it.
    Retire,
}

/// A decision.
#[derive(Debug)]
pub enum Decided {
    /// It is so already.
    Nothing,
    /// Answer with the certificate that there is (R14 a, R15).
    Again(Certificate),
    /// Record these facts if those versions hold.
    Record(Vec<Fact>, Vec<StreamVersion>),
}

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// About a node.
    Node(node::Rejection),
    /// About an operator.
    Operator(operator::Rejection),
    /// About a journal.
    Member(member::Rejection),
    /// About the domain.
    Domain(domain::Rejection),
    /// About an authority.
    Authority(authority::Rejection),
    /// Whoever asks was revoked.
    AskerGone,
    /// The journal has no authority yet.
    NoAuthority,
}

/// What a journal decides with, at one moment.
pub struct Desk<'a> {
    /// The names.
    pub names: &'a Names,
    /// What it knows.
    pub views: &'a Views,
    /// How often each key was claimed, as far as it knows: the views forget that.
    pub keys: &'a HashMap<KeyHash, u64>,
    /// Its clock.
    pub now: Timestamp,
    /// What it would sign with.
    pub terms: Option<Terms>,
    /// What it would sign.
    pub der: Der,
    /// Whether the asker's stream is left out: a planted mistake.
    pub forgets_the_asker: bool,
}

/// The facts of a decision and the streams that it read. None: there is nothing to record.
type Proposed = Option<(Vec<Fact>, BTreeSet<StreamName>)>;

impl Desk<'_> {
    /// The node that an order is about, if it is about one.
    pub fn subject(&self, order: &Order) -> Option<NodeId> {
        match order {
            Order::Enroll { machine, .. } => {
                match self.views.registry.identify(&self.names.hardware[*machine]) {
                    Identified::Node(node) | Identified::Mismatch { candidate: node } => Some(node),
                    Identified::Nobody => None,
                }
            }
            Order::Node(node, _) => Some(node.clone()),
            Order::Operator(..) | Order::Domain(_) | Order::Member(..) | Order::Authority(..) => None,
        }
    }

    /// Decides.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn decide(&self, order: &Order, principal: &Principal) -> Result<Decided, Refused> {
        if let Principal::Operator(id) = principal
            && self.views.operators.get(id).and_then(|operator| operator.state.role()).is_none()
        {
            return Err(Refused::AskerGone);
        }
        let proposed = match order {
            Order::Enroll { machine, key } => {
                let node = self.subject(order).ok_or(Refused::Node(node::Rejection::NotEnrolled))?;
                let (command, reads) = self.enrollment(&node, *machine, *key)?;
                match self.about_node(&node, command, reads)? {
                    Ok(proposed) => proposed,
                    Err(certificate) => return Ok(Decided::Again(certificate)),
                }
            }
            Order::Node(node, order) => match self.node_command(node, order)? {
                Some((command, reads)) => match self.about_node(node, command, reads)? {
                    Ok(proposed) => proposed,
                    Err(certificate) => return Ok(Decided::Again(certificate)),
                },
                None => None,
            },
            Order::Operator(id, order) => self.about_operator(id, order)?,
            Order::Domain(order) => self
                .about_domain(order)?
                .map(|event| (vec![Fact::Domain(event)], BTreeSet::from([StreamName::Domain]))),
            Order::Member(journal, order) => self.about_member(*journal, order)?,
            Order::Authority(id, order) => self.about_authority(*id, order)?,
        };
        let Some((facts, mut reads)) = proposed else { return Ok(Decided::Nothing) };
        if let (Principal::Operator(id), false) = (principal, self.forgets_the_asker) {
            reads.insert(StreamName::Operator(id.clone()));
        }
        reads.extend(facts.iter().flat_map(Fact::streams));
        Ok(Decided::Record(facts, reads.into_iter().map(|name| self.version(name)).collect()))
    }

    fn version(&self, name: StreamName) -> StreamVersion {
        let known = match &name {
            StreamName::Key(key) => self.keys.get(key).copied(),
            StreamName::Domain
            | StreamName::Node(_)
            | StreamName::Authority(_)
            | StreamName::Operator(_)
            | StreamName::Mac(_)
            | StreamName::Join(_)
            | StreamName::VCluster(_)
            | StreamName::Journal(_)
            | StreamName::Spiffe(_) => self.views.version(&name),
        };
        StreamVersion { version: known.unwrap_or(0), name }
    }

    /// What an issuance is signed by, and what it depends on therefore.
    fn signed(&self, key: KeyHash, reads: &mut BTreeSet<StreamName>) -> Result<Terms, Refused> {
        let terms = self.terms.clone().ok_or(Refused::NoAuthority)?;
        reads.extend([StreamName::Key(key), StreamName::Authority(terms.authority), StreamName::Domain]);
        Ok(terms)
    }

    fn enrollment(
        &self,
        node: &NodeId,
        machine: usize,
        key: KeyHash,
    ) -> Result<(Command, BTreeSet<StreamName>), Refused> {
        let presented = self.names.hardware[machine].clone();
        let mut reads = BTreeSet::from([StreamName::Node(node.clone())]);
        reads.extend(presented.macs.iter().copied().map(StreamName::Mac));
        let terms = self.signed(key, &mut reads)?;
        let macs = self.views.registry.mac_claims(&presented.macs);
        let key = Some(self.views.key_claim(key));
        Ok((
            Command::Enroll(Enroll {
                presented,
                macs,
                key,
                boot_id: None,
                former: Former::Untouchable,
                terms,
            }),
            reads,
        ))
    }

    /// None: time orders nothing.
    fn node_command(
        &self,
        id: &NodeId,
        order: &NodeOrder,
    ) -> Result<Option<(Command, BTreeSet<StreamName>)>, Refused> {
        let (views, now) = (self.views, self.now);
        let mut reads = BTreeSet::from([StreamName::Node(id.clone())]);
        let command = match order {
            NodeOrder::Register(machine) => {
                let hardware = self.names.hardware[*machine].clone();
                reads.extend(hardware.macs.iter().copied().map(StreamName::Mac));
                reads.insert(StreamName::Domain);
                let macs = views.registry.mac_claims(&hardware.macs);
                let (domain, labels) = (self.names.domain.clone(), Labels::default());
                Command::Register(Register { domain, hardware, labels, macs, vcluster: None })
            }
            NodeOrder::Renew(serial, key) => {
                let terms = self.signed(*key, &mut reads)?;
                let key = Some(views.key_claim(*key));
                Command::Renew(Renew { presented: *serial, named: *serial, key, terms })
            }
            NodeOrder::Confirm(serial) => Command::Confirm { serial: *serial, now },
            NodeOrder::Goodbye(serial) => Command::Goodbye { serial: *serial },
            NodeOrder::Due(presence) => {
                let Some(node) = views.registry.node(id) else { return Ok(None) };
                match node::due(&node.state, *presence, GRACE, now) {
                    Some(command) => command,
                    None => return Ok(None),
                }
            }
            NodeOrder::Deactivate => Command::Deactivate { cause: DeactivationCause::Operator, now },
            NodeOrder::Revoke(cause) => Command::Revoke { cause: *cause, reason: None, sessions: 0, now },
            NodeOrder::Contest(contest) => Command::Contest(contest.clone()),
            NodeOrder::Resolve => Command::Resolve,
            NodeOrder::Replace(machine) => {
                let hardware = self.names.hardware[*machine].clone();
                reads.extend(hardware.macs.iter().copied().map(StreamName::Mac));
                let macs = views.registry.mac_claims(&hardware.macs);
                Command::ReplaceHardware { hardware, macs, now }
            }
            NodeOrder::NoteRefused(attempts) => Command::NoteRefused(attempts.clone()),
            NodeOrder::Distrust(journal) => {
                Command::Distrust { authorities: views.authorities_of(journal), now }
            }
        };
        Ok(Some((command, reads)))
    }

    /// `Err` inside: the certificate that there is.
    fn about_node(
        &self,
        id: &NodeId,
        command: Command,
        reads: BTreeSet<StreamName>,
    ) -> Result<Result<Proposed, Certificate>, Refused> {
        let known = self.views.registry.node(id);
        let state = known.map_or(&node::State::Unknown, |node| &node.state);
        let events = match node::decide(id, state, command).map_err(Refused::Node)? {
            node::Decision::Nothing => return Ok(Ok(None)),
            node::Decision::Repeat(certificate) => return Ok(Err(certificate)),
            node::Decision::Record(events) | node::Decision::Return { events, .. } => events,
            node::Decision::Issue(issue) => issue.complete(self.der.clone()),
        };
        let facts = events.into_iter().map(|event| Fact::Node(id.clone(), event)).collect();
        Ok(Ok(Some((facts, reads))))
    }

    fn about_operator(&self, id: &OperatorId, order: &OperatorOrder) -> Result<Proposed, Refused> {
        let mut reads = BTreeSet::from([StreamName::Operator(id.clone()), StreamName::Domain]);
        let command = match order {
            OperatorOrder::Create(key) => {
                let terms = self.signed(*key, &mut reads)?;
                let (domain, key) = (self.names.domain.clone(), self.views.key_claim(*key));
                operator::Command::Create { domain, role: Role::PlatformAdmin, key, name: None, terms }
            }
            OperatorOrder::Renew(presented, key) => {
                let terms = self.signed(*key, &mut reads)?;
                let key = self.views.key_claim(*key);
                operator::Command::Renew { presented: *presented, key, terms }
            }
            OperatorOrder::Revoke => {
                let others = self.other_admins(id);
                let another_admin = !others.is_empty();
                reads.extend(others.into_iter().map(StreamName::Operator));
                operator::Command::Revoke { reason: None, another_admin }
            }
        };
        let known = self.views.operators.get(id);
        let state = known.map_or(&operator::State::Unknown, |operator| &operator.state);
        let event = match operator::decide(id, state, command).map_err(Refused::Operator)? {
            operator::Decision::Nothing => return Ok(None),
            operator::Decision::Record(event) => *event,
            operator::Decision::Issue(issue) => issue.complete(self.der.clone()),
        };
        Ok(Some((vec![Fact::Operator(id.clone(), event)], reads)))
    }

    /// Who else could command the domain now.
    fn other_admins(&self, id: &OperatorId) -> Vec<OperatorId> {
        let could = |state: &operator::State| match state {
            operator::State::Active { role: Role::PlatformAdmin, current, .. } => {
                current.not_after > self.now
            }
            operator::State::Active { role: Role::Ops(_) | Role::Viewer(_), .. }
            | operator::State::Unknown
            | operator::State::Kept { .. }
            | operator::State::Revoked { .. } => false,
        };
        let others = self.views.operators.iter().filter(|(other, known)| *other != id && could(&known.state));
        others.map(|(other, _)| other.clone()).collect()
    }

    fn about_domain(&self, order: &DomainOrder) -> Result<Option<domain::Event>, Refused> {
        let views = self.views;
        match order {
            DomainOrder::RaiseLevel => domain::raise_level(&views.domain, views.level, Level::NEWEST),
            DomainOrder::SetDefault(overlay) => {
                let Ok(overlay) = Overlay::of(&[*overlay]) else { return Ok(None) };
                let present = views.vclusters.domain_default().map(|set| set.overlay);
                domain::set_default(&views.domain, present, overlay)
            }
            // Secrets are random: none comes again but when its answer was lost.
            DomainOrder::CreateToken(secret) if views.join_tokens.get(secret).is_some() => Ok(None),
            DomainOrder::CreateToken(secret) => {
                let (now, bytes) = (self.now, secret.as_bytes());
                let random = bytes.iter().take(10).fold(0, |random, byte| random << 8 | u128::from(*byte));
                let (token_id, expires_at) = (JoinTokenId::new(now, random), now.plus(TOKEN_LASTS));
                let command =
                    domain::Command::CreateJoinToken { token_id, secret_sha256: *secret, expires_at, now };
                domain::decide(&views.domain, command).map(Some)
            }
        }
        .map_err(Refused::Domain)
    }

    fn about_member(&self, journal: usize, order: &MemberOrder) -> Result<Proposed, Refused> {
        let (views, now, id) = (self.views, self.now, &self.names.journals[journal]);
        let mut reads = BTreeSet::from([StreamName::Domain, StreamName::Journal(id.clone())]);
        let command = match order {
            MemberOrder::Join(secret) => {
                let (certificate, key) = names::credentials(journal);
                let (endpoints, token) = (names::endpoints(journal), views.token_claim(*secret));
                let raft_id = views.members.next_raft_id();
                member::Command::Join { endpoints, certificate, key, token, raft_id, now }
            }
            MemberOrder::Confirm => member::Command::Confirm,
            MemberOrder::GiveUp => member::Command::GiveUp { now },
            MemberOrder::Evict => {
                // Two orders at once must not evict the last two voters.
                reads.extend(views.members.iter().map(|(id, _)| StreamName::Journal(id.clone())));
                member::Command::Evict { reason: None, last: views.members.is_last_voter(id) }
            }
        };
        let state = views.members.get(id).map_or(&member::State::Unknown, |row| &row.state);
        let event = member::decide(id, state, command).map_err(Refused::Member)?;
        Ok(event.map(|event| (event.into_facts(id), reads)))
    }

    fn about_authority(&self, id: AuthorityId, order: &AuthorityOrder) -> Result<Proposed, Refused> {
        let known = self.views.authorities.get(&id);
        let state = known.map_or(&authority::State::Unknown, |known| &known.state);
        let command = match order {
            AuthorityOrder::Announce(announced) => authority::Command::Announce((**announced).clone()),
            AuthorityOrder::Retire => {
                let last_not_after = known.and_then(|known| known.last_not_after);
                authority::Command::Retire { last_not_after, in_use: false, now: self.now }
            }
        };
        let events = authority::decide(state, command).map_err(Refused::Authority)?;
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some((events.into_iter().map(|event| Fact::Authority(id, event)).collect(), BTreeSet::new())))
    }
}
