//! A world in which one node may enroll: for the steps that cost a journal CPU.
//!
//! **Invariant:** what it decides and signs is what a journal would, request and signature included.

use std::time::Duration;

use events::certificate::Terms;
use events::fact::{Fact, Record};
use events::node::{Command, Decision, Enroll, Event, Former, Issue, KeyClaim, Register, State, decide};
use events::stream::StreamVersion;
use events::views::Views;
use events::vocabulary::{
    AppendId, Assurance, AuthorityId, Der, DomainId, HardwareIdentity, JournalId, KeyHash, Labels, LogId,
    NodeId, Principal, Serial, Timestamp,
};
use events::{append::Append, authority, domain};
use journal::authority::{Csr, EphemeralAuthority, Identity};
use journal::domain_ca::OwnRequest;

use crate::history::{name, settled};

/// See the module.
pub struct World {
    /// What is known.
    pub views: Views,
    /// The authority that signs.
    pub authority: EphemeralAuthority,
    /// The node.
    pub node: NodeId,
    /// What the machine presents.
    pub hardware: HardwareIdentity,
    /// A request for a certificate, DER.
    pub request: Vec<u8>,
}

/// The time of everything here.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

impl World {
    /// A domain, an announced authority, a registered node.
    ///
    /// # Panics
    /// If the house does not accept its own examples, like all here.
    pub fn new() -> Self {
        let (domain, journal) = (name::<DomainId>("bench"), name::<JournalId>("j1"));
        let id = AuthorityId::new(NOW, 1);
        let identity = Identity { domain: domain.clone(), journal_id: journal.clone(), generation: 1, id };
        let serial = Serial::from_random([1; 16]);
        let authority = EphemeralAuthority::create(identity, serial, NOW, authority::DEFAULT_LIFETIME);
        let authority = authority.expect("an authority can be made");
        let hardware = HardwareIdentity::registered(&["02:00:00:00:00:01".to_owned()], "SN1", "");
        let hardware = hardware.expect("the hardware is valid");
        let request = OwnRequest::generate().expect("a request can be made").csr;
        let mut world = Self { views: Views::default(), authority, node: name("node-1"), hardware, request };
        let created = domain::Created {
            domain_id: domain.clone(),
            log_id: LogId::new([1; 16]),
            domain_ca: world.authority.announced().der,
            founder: journal,
        };
        world.record(Fact::Domain(domain::Event::Created(created)));
        let announced = world.authority.announced();
        world.record(Fact::Authority(id, authority::Event::Announced(announced)));
        let register = Register {
            domain,
            hardware: world.hardware.clone(),
            labels: Labels::default(),
            macs: world.views.registry.mac_claims(&world.hardware.macs),
            vcluster: None,
        };
        let decided = decide(&world.node, &State::Unknown, Command::Register(register));
        let Ok(Decision::Record(events)) = decided else { panic!("the node may be registered") };
        for event in events {
            world.record(Fact::Node(world.node.clone(), event));
        }
        world
    }

    /// The state of the node.
    pub fn state(&self) -> State {
        self.views.registry.node(&self.node).map(|node| node.state.clone()).unwrap_or_default()
    }

    /// The node's request, read.
    pub fn csr(&self) -> Csr {
        Csr::parse(&self.request).expect("the request is valid")
    }

    /// What the node asks for, with this key.
    pub fn enroll(&self, key: KeyHash) -> Command {
        Command::Enroll(Enroll {
            presented: self.hardware.clone(),
            macs: self.views.registry.mac_claims(&self.hardware.macs),
            key: Some(KeyClaim { key, holder: None }),
            boot_id: None,
            former: Former::Untouchable,
            terms: Terms {
                now: NOW,
                serial: Serial::from_random([7; 16]),
                jitter: 7,
                lifetime: Duration::from_secs(259_200),
                authority: self.authority.id(),
                authority_not_after: self.authority.not_after(),
            },
        })
    }

    /// The issuance that the node is due.
    pub fn issue(&self, key: KeyHash) -> Box<Issue> {
        match decide(&self.node, &self.state(), self.enroll(key)) {
            Ok(Decision::Issue(issue)) => issue,
            decided @ (Ok(
                Decision::Nothing | Decision::Record(_) | Decision::Repeat(_) | Decision::Return { .. },
            )
            | Err(_)) => {
                panic!("a certificate is due: {decided:?}")
            }
        }
    }

    /// The node's certificate.
    pub fn certificate(&self) -> Der {
        let csr = self.csr();
        let verified = csr.verify().expect("the proof of possession holds");
        let profile = self.issue(csr.key()).profile;
        self.authority.sign(&profile, &verified).expect("the profile is the authority's")
    }

    /// The record that an event of the node would become.
    pub fn recorded(&self, event: Event) -> Record {
        self.settled(Fact::Node(self.node.clone(), event))
    }

    fn record(&mut self, fact: Fact) {
        let record = self.settled(fact);
        self.views.fold(&record);
    }

    fn settled(&self, fact: Fact) -> Record {
        let version = |name: &_| self.views.version(name).unwrap_or_default();
        let expects = fact.streams().into_iter().map(|name| StreamVersion { version: version(&name), name });
        let append = Append {
            append_id: AppendId::new([9; 16]),
            decided_at: NOW,
            principal: Principal::Anonymous,
            proposed_by: name("j1"),
            source: None,
            assurance: Some(Assurance::Claimed),
            expects: expects.collect(),
            facts: vec![fact],
            remarks: vec![],
        };
        settled(&append, &self.views, NOW).pop().expect("one fact gives one record")
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
