//! The history of a domain, as long as one likes: nodes are registered, boot, renew, say goodbye, and boot again days
//! later.
//!
//! Every append is what `events` decides about it and expects what the journal would expect; keys, serial numbers and ids
//! are all different and spread like random ones, but the same in every run. Of the certificates one is signed: the
//! others have its bytes but for the last, which make them different. Whoever looks at signatures needs another history.
//!
//! The benches fold it in memory ([`History::records`]) or write it into a log ([`crate::written_log`]).

use std::convert::Infallible;
use std::time::Duration;

use events::append::{Append, Last, settle};
use events::certificate::Terms;
use events::fact::{Fact, Record};
use events::node::{Command, Decision, Enroll, Event, Former, Register, Renew, decide};
use events::stream::{StreamName, StreamVersion};
use events::views::Views;
use events::vocabulary::{
    AppendId, Assurance, AuthorityId, Der, Digest, DomainId, HardwareIdentity, JournalId, KeyHash, Labels,
    LogId, NodeId, Principal, Remark, Serial, Timestamp,
};
use events::{authority, domain};
use journal::authority::{EphemeralAuthority, Identity};

use crate::world::World;

/// When it begins.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Nodes that do the same at about the same time, one append each: a storm's concurrency.
pub const BLOCK: u32 = 1000;

/// A domain has fewer nodes than this.
const MOST_NODES: u32 = 1_000_000;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a node does, or what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An operator registers it.
    Register,
    /// It boots and gets a certificate.
    Enroll,
    /// It uses its certificate for the first time.
    Confirm,
    /// It gets the next certificate.
    Renew,
    /// It is switched off in good order.
    Goodbye,
}

/// One thing that happens to the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The domain is made.
    Domain,
    /// A journal starts: it announces its authority.
    Authority,
    /// Time passes.
    Wait(Duration),
    /// Up to [`BLOCK`] nodes take a step, from this one on.
    Block(Step, u32),
}

/// What happens to so many nodes: their registration and then, again and again, a boot, a renewal two days later, a
/// goodbye. One fact a node, and five more with each lap of three days.
pub fn plan(nodes: u32, laps: u32) -> impl Iterator<Item = Happening> {
    let all = move |steps: &'static [Step]| {
        let blocks = (0..nodes.div_ceil(BLOCK)).map(|block| block * BLOCK);
        blocks.flat_map(move |first| {
            let second = [Happening::Wait(Duration::from_secs(1))];
            steps.iter().map(move |step| Happening::Block(*step, first)).chain(second)
        })
    };
    let lap = move |_| {
        [Happening::Authority]
            .into_iter()
            .chain(all(&[Step::Enroll, Step::Confirm]))
            .chain([Happening::Wait(2 * DAY)])
            .chain(all(&[Step::Renew, Step::Confirm]))
            .chain(all(&[Step::Goodbye]))
            .chain([Happening::Wait(DAY)])
    };
    [Happening::Domain].into_iter().chain(all(&[Step::Register])).chain((0..laps).flat_map(lap))
}

/// A domain to which things happen.
pub struct History {
    domain: DomainId,
    journal: JournalId,
    nodes: u32,
    now: Timestamp,
    authority: EphemeralAuthority,
    /// A certificate without its last bytes.
    der: Vec<u8>,
    drawn: u64,
}

impl History {
    /// A domain with nothing in it yet.
    ///
    /// # Panics
    /// If the house does not accept its own examples, like all here.
    pub fn new(nodes: u32) -> Self {
        assert!(nodes < MOST_NODES, "nodes have six digits");
        let mut der = World::new().certificate().as_bytes().to_vec();
        der.truncate(der.len() - 32);
        let (domain, journal) = (name::<DomainId>("bench"), name::<JournalId>("j1"));
        let authority = make_authority(&domain, &journal, 1, BEGIN, [1; 32]);
        Self { domain, journal, nodes, now: BEGIN, authority, der, drawn: 0 }
    }

    /// The identity of its log.
    pub fn log_id() -> LogId {
        LogId::new([1; 16])
    }

    /// The certificate of its domain CA, or what counts as such here.
    pub fn domain_ca() -> Der {
        Der::new(vec![0x30; 500])
    }

    /// Who writes it.
    pub fn journal(&self) -> &JournalId {
        &self.journal
    }

    /// The time that it is.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// It is another time: where the clock is the machine's, nobody waits for days.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The appends that a happening brings; none of them depends on another.
    pub fn appends(&mut self, happening: Happening, views: &Views) -> Vec<Append> {
        match happening {
            Happening::Wait(time) => {
                self.now = self.now.plus(time);
                vec![]
            }
            Happening::Domain => {
                let created = domain::Created {
                    domain_id: self.domain.clone(),
                    log_id: Self::log_id(),
                    domain_ca: Self::domain_ca(),
                    founder: self.journal.clone(),
                };
                vec![self.own(Fact::Domain(domain::Event::Created(created)), views)]
            }
            Happening::Authority => {
                let generation = views.authorities.next_generation(&self.journal);
                let random = self.draw();
                self.authority = make_authority(&self.domain, &self.journal, generation, self.now, random);
                let announced = authority::Event::Announced(self.authority.announced());
                vec![self.own(Fact::Authority(self.authority.id(), announced), views)]
            }
            Happening::Block(step, first) => {
                let block = first..self.nodes.min(first.saturating_add(BLOCK));
                block.map(|number| self.step(step, number, views)).collect()
            }
        }
    }

    /// All records of a plan.
    pub fn records(nodes: u32, laps: u32) -> Vec<Record> {
        let (mut history, mut views, mut records) = (Self::new(nodes), Views::default(), vec![]);
        for happening in plan(nodes, laps) {
            for append in history.appends(happening, &views) {
                for record in settled(&append, &views, history.now) {
                    views.fold(&record);
                    records.push(record);
                }
            }
        }
        records
    }

    fn step(&mut self, step: Step, number: u32, views: &Views) -> Append {
        let node = node(number);
        let known = views.registry.node(&node);
        let state = known.map(|node| node.state.clone()).unwrap_or_default();
        let serial = state.current().map(|held| held.certificate.serial);
        let serial = || serial.expect("the node has a certificate");
        let hardware = hardware(number);
        let macs = || views.registry.mac_claims(&hardware.macs);
        let mut reads = vec![StreamName::Node(node.clone())];
        if matches!(step, Step::Enroll | Step::Renew) {
            reads.extend([StreamName::Authority(self.authority.id()), StreamName::Domain]);
        }
        if matches!(step, Step::Register | Step::Enroll) {
            reads.extend(hardware.macs.iter().copied().map(StreamName::Mac));
        }
        let command = match step {
            Step::Register => Command::Register(Register {
                domain: self.domain.clone(),
                hardware: hardware.clone(),
                labels: Labels::default(),
                macs: macs(),
                vcluster: None,
            }),
            Step::Enroll => {
                let key = Some(views.key_claim(KeyHash::new(self.draw())));
                let (presented, terms) = (hardware.clone(), self.terms());
                let boot_id = format!("{:032x}", self.drawn).parse().ok();
                Command::Enroll(Enroll {
                    presented,
                    macs: macs(),
                    key,
                    boot_id,
                    former: Former::Untouchable,
                    terms,
                })
            }
            Step::Renew => {
                let key = Some(views.key_claim(KeyHash::new(self.draw())));
                Command::Renew(Renew { presented: serial(), named: serial(), key, terms: self.terms() })
            }
            Step::Confirm => Command::Confirm { serial: serial(), now: self.now },
            Step::Goodbye => Command::Goodbye { serial: serial() },
        };
        let events = match decide(&node, &state, command) {
            Ok(Decision::Record(events)) => events,
            Ok(Decision::Issue(issue)) => issue.complete(self.certificate()),
            decided @ (Ok(Decision::Nothing | Decision::Repeat(_) | Decision::Return { .. }) | Err(_)) => {
                panic!("{step:?} of {node} was expected to be recorded: {decided:?}")
            }
        };
        let principal = match step {
            Step::Register => Principal::Operator(name("admin")),
            Step::Enroll => Principal::Anonymous,
            Step::Confirm | Step::Renew | Step::Goodbye => Principal::Node(node.clone()),
        };
        self.append(&node, events, reads, principal, views)
    }

    fn append(
        &mut self,
        node: &NodeId,
        events: Vec<Event>,
        reads: Vec<StreamName>,
        principal: Principal,
        views: &Views,
    ) -> Append {
        let issued = events.iter().any(|event| matches!(event, Event::CertificateIssued { .. }));
        let facts: Vec<Fact> = events.into_iter().map(|event| Fact::Node(node.clone(), event)).collect();
        let salt = first_half(self.draw());
        let source = Remark::new(salt, "10.20.30.40").expect("an address is a remark");
        Append {
            append_id: AppendId::new(first_half(self.draw())),
            decided_at: self.now,
            principal,
            proposed_by: self.journal.clone(),
            source: Some(source.hash()),
            assurance: issued.then_some(Assurance::Claimed),
            expects: expects(&facts, reads, views),
            facts,
            remarks: vec![source],
        }
    }

    fn own(&mut self, fact: Fact, views: &Views) -> Append {
        let facts = vec![fact];
        Append {
            append_id: AppendId::new(first_half(self.draw())),
            decided_at: self.now,
            principal: Principal::Journal(self.journal.clone()),
            proposed_by: self.journal.clone(),
            source: None,
            assurance: None,
            expects: expects(&facts, vec![], views),
            facts,
            remarks: vec![],
        }
    }

    fn terms(&mut self) -> Terms {
        Terms {
            now: self.now,
            serial: Serial::from_random(first_half(self.draw())),
            jitter: 7,
            lifetime: 3 * DAY,
            authority: self.authority.id(),
            authority_not_after: self.authority.not_after(),
        }
    }

    fn certificate(&mut self) -> Der {
        let last = self.draw();
        Der::new([self.der.as_slice(), &last].concat())
    }

    /// What comes instead of chance.
    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *Digest::of(&self.drawn.to_be_bytes()).as_bytes()
    }
}

/// The records that an append becomes.
///
/// # Panics
/// If it does not fit the views.
pub fn settled(append: &Append, views: &Views, now: Timestamp) -> Vec<Record> {
    let last = Last { seq: views.seq, recorded_at: views.recorded_at, level: views.level };
    let version = |name: &StreamName| Ok::<_, Infallible>(views.version(name).unwrap_or_default());
    match settle(append, last, now, version) {
        Ok(Ok(records)) => records,
        Ok(Err(outcome)) => panic!("the append does not fit: {outcome:?}"),
        Err(never) => match never {},
    }
}

fn expects(facts: &[Fact], mut reads: Vec<StreamName>, views: &Views) -> Vec<StreamVersion> {
    reads.extend(facts.iter().flat_map(Fact::streams));
    reads.sort();
    reads.dedup();
    let version = |name: &StreamName| views.version(name).unwrap_or_default();
    reads.into_iter().map(|name| StreamVersion { version: version(&name), name }).collect()
}

fn make_authority(
    domain: &DomainId,
    journal: &JournalId,
    generation: u32,
    now: Timestamp,
    random: [u8; 32],
) -> EphemeralAuthority {
    let id = AuthorityId::new(now, u128::from_be_bytes(first_half(random)));
    let identity = Identity { domain: domain.clone(), journal_id: journal.clone(), generation, id };
    let serial = Serial::from_random(first_half(random));
    EphemeralAuthority::create(identity, serial, now, authority::DEFAULT_LIFETIME)
        .expect("an authority can be made")
}

/// Numbers are spread over the names and addresses, so that nodes boot in no order of either.
fn node(number: u32) -> NodeId {
    name(&format!("compute-{:06}", spread(number)))
}

fn hardware(number: u32) -> HardwareIdentity {
    let spread = spread(number);
    let [_, a, b, c] = spread.to_be_bytes();
    // Not those of a storm, which may come on top.
    let mac = format!("02:42:00:{a:02x}:{b:02x}:{c:02x}");
    let uuid = format!("4c4c4544-0042-3010-8050-{spread:012x}");
    HardwareIdentity::registered(&[mac], &format!("SN{spread:08}"), &uuid).expect("the hardware is valid")
}

/// Different for numbers below [`MOST_NODES`]: the factor has no prime in common with it.
fn spread(number: u32) -> u32 {
    u32::try_from(u64::from(number) * 619_067 % u64::from(MOST_NODES)).expect("the remainder is a u32")
}

fn first_half(bytes: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&bytes[..16]);
    half
}

pub(crate) fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("the name is valid")
}
