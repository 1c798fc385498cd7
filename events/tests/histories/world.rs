//! The model of a journal: it decides on views, appends, settles, folds.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use events::append::{Append, Last, Outcome, settle};
use events::authority;
use events::certificate::Terms;
use events::domain;
use events::fact::{Fact, Record};
use events::node::{
    self, Bind, Command, Contest, Enroll, Former, KeyClaim, MacClaims, RefusalReason, RefusedAttempts,
    Register, Renew,
};
use events::operator;
use events::stream::{StreamName, StreamVersion};
use events::views::{Identified, Views};
use events::vocabulary::{
    AppendId, Assurance, AuthorityId, BootId, CertificateHash, Der, HardwareIdentity, JournalId, KeyHash,
    Labels, LogId, Mac, NodeId, OperatorId, Principal, Role, Serial, SpiffeId, Timestamp,
};

use super::step::{Action, MACS, Step};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who decides, with what he knows and what his clock says.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) views: Views,
    versions: BTreeMap<StreamName, u64>,
    pub(super) now: Timestamp,
}

/// See the module.
pub struct World {
    /// The log.
    pub records: Vec<Record>,
    /// Folded to its end.
    pub views: Views,
    /// The leader's clock.
    pub now: Timestamp,
    /// All certificates.
    pub issued: Vec<CertificateHash>,
    /// How often what became of a command.
    pub outcomes: BTreeMap<String, u64>,
    versions: BTreeMap<StreamName, u64>,
    /// The certificates that each node was given, the newest last.
    given: BTreeMap<NodeId, Vec<Serial>>,
    old: Option<(Views, BTreeMap<StreamName, u64>)>,
    last: Option<Append>,
    drawn: u64,
}

impl World {
    /// A domain with one authority.
    pub fn new() -> Self {
        let mut world = Self {
            records: vec![],
            views: Views::default(),
            now: Timestamp::from_millis(1_767_225_600_000),
            issued: vec![],
            outcomes: BTreeMap::new(),
            versions: BTreeMap::new(),
            given: BTreeMap::new(),
            old: None,
            last: None,
            drawn: 0,
        };
        let created = domain::Command::Create(domain::Created {
            domain_id: domain_id(),
            log_id: LogId::new([1; 16]),
            domain_ca: Der::new(vec![1]),
            founder: journal(),
        });
        let event = domain::decide(&world.views.domain, created).expect("the log is empty");
        let desk = world.desk(false, 0);
        world.append(&desk, false, vec![Fact::Domain(event)], &[]);
        world.announce(&desk, false);
        world
    }

    /// Tries one thing.
    #[expect(clippy::too_many_lines, reason = "a line or two for each thing that can be tried")]
    pub fn take(&mut self, step: &Step) {
        let stale = step.on_old_view && self.old.is_some();
        let desk = self.desk(stale, step.skew);
        match &step.action {
            Action::Register { node, macs, chassis } => {
                self.register(&desk, stale, &node_id(*node), hardware(*macs, *chassis));
            }
            Action::Enroll { like, macs, chassis, key } => {
                let registered = like.and_then(|node| desk.registered(&node_id(node)));
                let presented = registered.unwrap_or_else(|| hardware(*macs, *chassis));
                self.enroll(&desk, stale, presented, *key, (None, Former::Untouchable));
            }
            Action::Reboot { node, key, boot, silent } => {
                self.reboot(&desk, stale, &node_id(*node), *key, (*boot, *silent));
            }
            Action::ProveFormer { node, back } => {
                let id = node_id(*node);
                let given = self.given.get(&id).and_then(|given| given.iter().rev().nth(usize::from(*back)));
                if let Some(serial) = given.copied() {
                    self.command(&desk, stale, &id, Command::ProveFormer { serial, now: desk.now }, &[]);
                }
            }
            Action::Renew { node, former, key } => {
                let id = node_id(*node);
                if let Some(serial) = self.certificate_of(&id, *former) {
                    self.renew(&desk, stale, &id, serial, *key);
                }
            }
            Action::Confirm { node, former } => {
                let id = node_id(*node);
                if let Some(serial) = self.certificate_of(&id, *former) {
                    self.command(&desk, stale, &id, Command::Confirm { serial, now: desk.now }, &[]);
                }
            }
            Action::Goodbye { node, former } => {
                let id = node_id(*node);
                if let Some(serial) = self.certificate_of(&id, *former) {
                    self.command(&desk, stale, &id, Command::Goodbye { serial }, &[]);
                }
            }
            Action::Deactivate { node, cause } => {
                let command = Command::Deactivate { cause: *cause, now: desk.now };
                self.command(&desk, stale, &node_id(*node), command, &[]);
            }
            Action::Revoke { node, cause } => {
                let command = Command::Revoke { cause: *cause, reason: None, sessions: 0, now: desk.now };
                self.command(&desk, stale, &node_id(*node), command, &[]);
            }
            Action::Contest { node, former, key } => {
                self.contest(&desk, stale, &node_id(*node), *former, *key);
            }
            Action::Resolve { node } => self.command(&desk, stale, &node_id(*node), Command::Resolve, &[]),
            Action::NoteRefused { node } => self.note_refused(&desk, stale, &node_id(*node)),
            Action::Distrust { node } => self.distrust(&desk, stale, *node),
            Action::Bind { node, workload, over } => {
                self.bind(&desk, stale, &node_id(*node), *workload, *over);
            }
            Action::Assign { .. }
            | Action::Move { .. }
            | Action::Drain { .. }
            | Action::SetOverlay { .. }
            | Action::Replace { .. } => self.take_of_operators(&desk, stale, &step.action),
            Action::Announce => self.announce(&desk, stale),
            Action::Retire { which } => self.retire(&desk, stale, *which),
            Action::CreateOperator { operator, key } => {
                self.create_operator(&desk, stale, &operator_id(*operator), *key);
            }
            Action::RenewOperator { operator, key } => {
                self.renew_operator(&desk, stale, &operator_id(*operator), *key);
            }
            Action::RevokeOperator { operator } => self.revoke_operator(&desk, stale, *operator),
            Action::CreateJoinToken { .. }
            | Action::Join { .. }
            | Action::ConfirmJournal { .. }
            | Action::AnnounceJournal { .. }
            | Action::EvictJournal { .. }
            | Action::RaiseLevel { .. }
            | Action::SetDefault { .. }
            | Action::Restore { .. } => self.take_of_journals(&desk, stale, &step.action),
            Action::Wait { secs } => self.now = self.now.plus(Duration::from_secs(*secs)),
            Action::Look => self.old = Some((self.views.clone(), self.versions.clone())),
            Action::Repeat => self.repeat(),
        }
    }

    fn distrust(&mut self, desk: &Desk, stale: bool, node: u8) {
        let authorities = desk.views.authorities_of_evicted();
        self.command(desk, stale, &node_id(node), Command::Distrust { authorities, now: desk.now }, &[]);
    }

    fn bind(&mut self, desk: &Desk, stale: bool, id: &NodeId, workload: u8, over: Option<bool>) {
        let over = match over.map(|former| self.certificate_of(id, former)) {
            Some(None) => return,
            Some(over) => over,
            None => None,
        };
        let text = format!("spiffe://example.org/{workload}");
        let spiffe_id: SpiffeId = text.parse().expect("a SPIFFE ID");
        let holder = desk.views.registry.workload_owner(&spiffe_id.hash()).cloned();
        let command = Command::Bind(Bind { spiffe_id, holder, over, now: desk.now });
        self.command(desk, stale, id, command, &[]);
    }

    fn revoke_operator(&mut self, desk: &Desk, stale: bool, operator: u8) {
        let command = operator::Command::Revoke { reason: None, another_admin: true };
        self.operator_command(desk, stale, &operator_id(operator), command);
    }

    /// Nobody decides any more on what was known before.
    pub(super) fn forget_what_is_under_way(&mut self) {
        (self.old, self.last) = (None, None);
    }

    pub(super) fn desk(&self, stale: bool, skew: i64) -> Desk {
        let away = Duration::from_millis(skew.unsigned_abs());
        let now = if skew < 0 { self.now.minus(away) } else { self.now.plus(away) };
        let old = self.old.clone().filter(|_| stale);
        let (views, versions) = old.unwrap_or_else(|| (self.views.clone(), self.versions.clone()));
        Desk { views, versions, now }
    }

    fn certificate_of(&self, id: &NodeId, former: bool) -> Option<Serial> {
        self.given.get(id)?.iter().rev().nth(usize::from(former)).copied()
    }

    fn contest(&mut self, desk: &Desk, stale: bool, id: &NodeId, former: bool, key: u8) {
        if let (Some(serial), Some(presented)) = (self.certificate_of(id, former), desk.registered(id)) {
            let contest = Contest { serial, key: KeyHash::of(&[key]), presented, boot_id: None };
            self.command(desk, stale, id, Command::Contest(contest), &[]);
        }
    }

    fn note_refused(&mut self, desk: &Desk, stale: bool, id: &NodeId) {
        let attempts = RefusedAttempts {
            reason: RefusalReason::AlreadyActive,
            first: desk.now.minus(Duration::from_secs(9)),
            last: desk.now,
            count: 3,
            differing: vec![],
        };
        self.command(desk, stale, id, Command::NoteRefused(attempts), &[]);
    }

    fn create_operator(&mut self, desk: &Desk, stale: bool, id: &OperatorId, key: u8) {
        let Some(terms) = self.terms(desk) else { return };
        let (key, name, role) = (desk.claim(key), None, Role::PlatformAdmin);
        let command = operator::Command::Create { domain: domain_id(), role, key, name, terms };
        self.operator_command(desk, stale, id, command);
    }

    fn renew_operator(&mut self, desk: &Desk, stale: bool, id: &OperatorId, key: u8) {
        let Some(terms) = self.terms(desk) else { return };
        let state = desk.views.operators.get(id).map(|operator| &operator.state);
        let Some(operator::State::Active { current, .. }) = state else { return };
        let presented = current.serial;
        let command = operator::Command::Renew { presented, key: desk.claim(key), terms };
        self.operator_command(desk, stale, id, command);
    }

    fn register(&mut self, desk: &Desk, stale: bool, id: &NodeId, hardware: HardwareIdentity) {
        if hardware.macs.is_empty() {
            return;
        }
        let macs = desk.views.registry.mac_claims(&hardware.macs);
        let labels = Labels::default();
        let command =
            Command::Register(Register { domain: domain_id(), hardware, labels, macs, vcluster: None });
        self.command(desk, stale, id, command, &[]);
    }

    fn reboot(&mut self, desk: &Desk, stale: bool, id: &NodeId, key: u8, (boot, silent): (u8, bool)) {
        let Some(presented) = desk.registered(id) else { return };
        let current = desk.views.registry.node(id).and_then(|node| node.state.current());
        let former = match current.filter(|_| silent) {
            Some(held) => Former::Silent { serial: held.certificate.serial },
            None => Former::NotAsked,
        };
        let boot = format!("boot-{boot}").parse().expect("letters and digits");
        self.enroll(desk, stale, presented, Some(key), (Some(boot), former));
    }

    fn enroll(
        &mut self,
        desk: &Desk,
        stale: bool,
        presented: HardwareIdentity,
        key: Option<u8>,
        (boot_id, former): (Option<BootId>, Former),
    ) {
        let id = match desk.views.registry.identify(&presented) {
            Identified::Node(id) | Identified::Mismatch { candidate: id } => id,
            Identified::Nobody => return self.note("nobody"),
        };
        let Some(terms) = self.terms(desk) else { return };
        let macs: MacClaims = desk.views.registry.mac_claims(&presented.macs);
        let read: Vec<StreamName> = presented
            .macs
            .iter()
            .map(|mac| StreamName::Mac(*mac))
            .chain([StreamName::Authority(terms.authority)])
            .collect();
        let key = key.map(|key| desk.claim(key));
        let command = Command::Enroll(Enroll { presented, macs, key, boot_id, former, terms });
        self.command(desk, stale, &id, command, &read);
    }

    fn renew(&mut self, desk: &Desk, stale: bool, id: &NodeId, serial: Serial, key: Option<u8>) {
        let Some(terms) = self.terms(desk) else { return };
        let read = [StreamName::Authority(terms.authority)];
        let key = key.map(|key| desk.claim(key));
        let command = Command::Renew(Renew { presented: serial, named: serial, key, terms });
        self.command(desk, stale, id, command, &read);
    }

    /// The newest authority signs, if it may at this time; its process makes another in time, so here nobody waits.
    fn terms(&mut self, desk: &Desk) -> Option<Terms> {
        let newest = newest(&desk.views)?;
        let authority = desk.views.authorities.get(&newest)?;
        let announced = authority.state.announced().filter(|_| authority.state.may_sign(desk.now))?;
        let authority_not_after = announced.not_after;
        let drawn = self.draw();
        Some(Terms {
            now: desk.now,
            serial: Serial::from_random(drawn.to_be_bytes()),
            jitter: u16::try_from(drawn % 65_536).expect("less than 2^16"),
            lifetime: 3 * DAY,
            authority: newest,
            authority_not_after,
        })
    }

    pub(super) fn command(
        &mut self,
        desk: &Desk,
        stale: bool,
        id: &NodeId,
        command: Command,
        read: &[StreamName],
    ) {
        let unknown = node::State::Unknown;
        let state = desk.views.registry.node(id).map_or(&unknown, |node| &node.state);
        let events = match node::decide(id, state, command) {
            Ok(node::Decision::Nothing) => return self.note("nothing"),
            Ok(node::Decision::Repeat(certificate)) => {
                assert!(state.usable_until(certificate.serial).is_some_and(|until| until > desk.now));
                return self.note("the same certificate again");
            }
            Ok(node::Decision::Record(events)) => events,
            Ok(node::Decision::Return { events, certificate }) => {
                assert!(certificate.not_after > desk.now);
                self.note("a former key in a request");
                events
            }
            Ok(node::Decision::Issue(issue)) => {
                assert!(issue.profile.not_after > desk.now, "a certificate is not dead at birth");
                let der = self.signed();
                issue.complete(der)
            }
            Err(rejection) => {
                let name = format!("{rejection:?}");
                return self.note(&format!("refused: {}", name.split(' ').next().unwrap_or_default()));
            }
        };
        let facts = events.into_iter().map(|event| Fact::Node(id.clone(), event)).collect();
        self.append(desk, stale, facts, read);
    }

    fn operator_command(&mut self, desk: &Desk, stale: bool, id: &OperatorId, command: operator::Command) {
        let unknown = operator::State::Unknown;
        let state = desk.views.operators.get(id).map_or(&unknown, |operator| &operator.state);
        let event = match operator::decide(id, state, command) {
            Ok(operator::Decision::Nothing) => return self.note("nothing"),
            Ok(operator::Decision::Record(event)) => *event,
            Ok(operator::Decision::Issue(issue)) => {
                let der = self.signed();
                issue.complete(der)
            }
            Err(_) => return self.note("operator refused"),
        };
        let read: Vec<StreamName> = newest(&desk.views).into_iter().map(StreamName::Authority).collect();
        self.append(desk, stale, vec![Fact::Operator(id.clone(), event)], &read);
    }

    pub(super) fn announce(&mut self, desk: &Desk, stale: bool) {
        if stale {
            return; // A process announces its own authority, on views that hold all of its former ones.
        }
        let drawn = self.draw();
        let der = self.signed();
        let announced = authority::Announced {
            generation: desk.views.authorities.next_generation(&journal()),
            journal_id: journal(),
            serial: Serial::from_random(drawn.to_be_bytes()),
            sha256: CertificateHash::of(der.as_bytes()),
            not_before: desk.now.minus(Duration::from_secs(300)),
            not_after: desk.now.plus(45 * DAY),
            der,
        };
        let id = AuthorityId::new(desk.now, drawn);
        let command = authority::Command::Announce(announced);
        let events = authority::decide(&authority::State::Unknown, command).expect("the id is new");
        self.append(desk, stale, events.into_iter().map(|event| Fact::Authority(id, event)).collect(), &[]);
    }

    fn retire(&mut self, desk: &Desk, stale: bool, which: u8) {
        let Some((id, authority)) = desk.views.authorities.iter().nth(which.into()) else { return };
        let in_use = newest(&self.views) == Some(*id) || newest(&desk.views) == Some(*id);
        // Nobody retires what a decision under way may still sign with.
        let under_way = self.old.as_ref().is_some_and(|(views, _)| newest(views) == Some(*id));
        let command = authority::Command::Retire {
            last_not_after: authority.last_not_after,
            in_use: in_use || under_way,
            now: desk.now,
        };
        let (id, decided) = (*id, authority::decide(&authority.state, command));
        match decided {
            Ok(events) if events.is_empty() => self.note("nothing"),
            Ok(events) => {
                let facts = events.into_iter().map(|event| Fact::Authority(id, event)).collect();
                self.append(desk, stale, facts, &[]);
            }
            Err(_) => self.note("authority still needed"),
        }
    }

    pub(super) fn append(&mut self, desk: &Desk, stale: bool, facts: Vec<Fact>, read: &[StreamName]) {
        let mut names: Vec<StreamName> = facts.iter().flat_map(Fact::streams).chain(read.to_vec()).collect();
        names.sort();
        names.dedup();
        let version = |name: &StreamName| desk.versions.get(name).copied().unwrap_or(0);
        let append = Append {
            append_id: AppendId::new(self.draw().to_be_bytes()),
            decided_at: desk.now,
            principal: principal(&facts),
            proposed_by: journal(),
            source: None,
            assurance: Some(Assurance::Claimed),
            expects: names.into_iter().map(|name| StreamVersion { version: version(&name), name }).collect(),
            facts,
            remarks: vec![],
        };
        let outcome = self.settle(&append);
        match outcome {
            Ok(()) => self.note("committed"),
            Err(Outcome::Conflict { .. }) if stale => self.note("conflict on an old view"),
            Err(Outcome::Skewed) if self.is_skewed(desk.now) => self.note("skewed"),
            Err(Outcome::AboveLevel { level, .. }) if level == self.views.level => {
                self.note("above the level");
            }
            Err(outcome) => panic!("{outcome:?} for {append:#?}"),
        }
        self.last = Some(append);
    }

    /// Away from the stamp, or from the last fact if that is later (R24).
    fn is_skewed(&self, decided_at: Timestamp) -> bool {
        let last = self.records.last().map(|record| record.recorded_at).unwrap_or_default();
        let away = |from: Timestamp| decided_at.distance(from) > Duration::from_secs(60);
        away(self.stamp()) || away(self.stamp().max(last))
    }

    fn repeat(&mut self) {
        let Some(append) = self.last.clone() else { return };
        let was_recorded = self.records.iter().any(|record| record.append_id == append.append_id);
        if was_recorded {
            let outcome = self.settle(&append);
            assert!(matches!(outcome, Err(Outcome::Conflict { .. } | Outcome::Skewed)), "{outcome:?}");
            self.note("repetition refused");
        }
    }

    /// What `apply` does: all or nothing.
    fn settle(&mut self, append: &Append) -> Result<(), Outcome> {
        let version = |name: &StreamName| Ok::<_, Infallible>(self.versions.get(name).copied().unwrap_or(0));
        let Views { seq, recorded_at, level, .. } = self.views;
        let Ok(settled) = settle(append, Last { seq, recorded_at, level }, self.stamp(), version);
        for record in settled? {
            for at in &record.streams {
                self.versions.insert(at.name.clone(), at.version);
            }
            self.views.fold(&record);
            self.note_certificate(&record);
            self.records.push(record);
        }
        Ok(())
    }

    fn note_certificate(&mut self, record: &Record) {
        if let Fact::Node(id, node::Event::CertificateIssued { certificate, .. }) = &record.fact {
            self.given.entry(id.clone()).or_default().push(certificate.serial);
            self.issued.push(certificate.sha256);
        }
        if let Fact::Operator(
            _,
            operator::Event::Created { certificate, .. } | operator::Event::Renewed { certificate, .. },
        ) = &record.fact
        {
            self.issued.push(certificate.sha256);
        }
    }

    /// The leader's clock; leaders change, and the next one's may be up to 8 s behind.
    fn stamp(&self) -> Timestamp {
        self.now.minus(Duration::from_secs(self.drawn % 3 * 4))
    }

    pub(super) fn draw(&mut self) -> u128 {
        self.drawn += 1;
        self.drawn.into()
    }

    /// Bytes of a new certificate.
    fn signed(&mut self) -> Der {
        Der::new(self.draw().to_be_bytes().to_vec())
    }

    pub(super) fn note(&mut self, what: &str) {
        *self.outcomes.entry(what.to_owned()).or_default() += 1;
    }
}

impl Desk {
    /// What the node is registered with, as this desk sees it.
    fn registered(&self, id: &NodeId) -> Option<HardwareIdentity> {
        let state = &self.views.registry.node(id)?.state;
        state.enrollment().map(|enrollment| enrollment.hardware.clone())
    }

    fn claim(&self, key: u8) -> KeyClaim {
        self.views.key_claim(KeyHash::of(&[key]))
    }
}

/// Who may say so; most may be said by anybody.
fn principal(facts: &[Fact]) -> Principal {
    match facts {
        [Fact::Node(id, node::Event::IdentityBound { over: Some(_), .. })] => Principal::Node(id.clone()),
        [Fact::Node(_, node::Event::IdentityBound { over: None, .. })] => Principal::Operator(operator_id(0)),
        _ => Principal::Journal(journal()),
    }
}

fn newest(views: &Views) -> Option<AuthorityId> {
    let generation = |announced: &authority::Announced| announced.generation;
    let known = views.authorities.iter();
    known.max_by_key(|(_, authority)| authority.state.announced().map(generation)).map(|(id, _)| *id)
}

pub(super) fn hardware(bits: u8, chassis: Option<u8>) -> HardwareIdentity {
    let mac = |bit| Mac::new([2, 0, 0, 0, 0, bit]).expect("a local unicast address");
    HardwareIdentity {
        macs: (0..MACS).filter(|bit| bits & (1 << bit) != 0).map(mac).collect(),
        bmc_serial: chassis.map(|number| format!("CHASSIS-{number}").parse().expect("a serial")),
        uuid: None,
    }
}

pub(super) fn node_id(number: u8) -> NodeId {
    format!("n{number}").parse().expect("a node id")
}

pub(super) fn operator_id(number: u8) -> OperatorId {
    format!("o{number}").parse().expect("an operator id")
}

fn domain_id() -> events::vocabulary::DomainId {
    "hpc".parse().expect("a domain")
}

fn journal() -> JournalId {
    "j1".parse().expect("a journal id")
}
