//! How a simulated domain begins: as `pact-journal init` and two journals that joined leave it.

use std::{sync::Arc, time::Duration};

use events::{
    append::Append,
    authority::{self, Announced},
    certificate::Terms,
    domain,
    fact::Fact,
    member, operator,
    stream::StreamVersion,
    vocabulary::{
        AppendId, AuthorityId, CertificateHash, Der, JoinTokenId, LogId, Principal, Role, SecretHash, Serial,
    },
};

use super::{chance::Chance, fault::Fault, log::Entry, names, world::World};

/// Journals at the beginning.
const FOUNDERS: usize = 3;

impl World {
    /// The first facts, known to all.
    pub(super) fn begin(&mut self) -> Result<(), Fault> {
        // Steps are counted from 0, so nobody else draws these numbers.
        let mut chance = Chance::new(self.seed, u64::MAX);
        let created = domain::Created {
            domain_id: self.names.domain.clone(),
            log_id: LogId::new([1; 16]),
            domain_ca: Der::new(vec![1]),
            founder: self.names.journals[0].clone(),
        };
        self.first(&mut chance, vec![Fact::Domain(domain::Event::Created(created))])?;
        let authority = self.first_authority(&mut chance)?;
        self.first_operator(&mut chance, authority)?;
        for at in 1..FOUNDERS {
            self.joined(&mut chance, at)?;
        }
        for at in 0..FOUNDERS {
            self.quorum.voters.push(at);
            self.start(at);
            while self.apply_one(at)? {}
        }
        self.unused = FOUNDERS;
        Ok(())
    }

    /// Records facts that nobody disputes.
    fn first(&mut self, chance: &mut Chance, facts: Vec<Fact>) -> Result<(), Fault> {
        let streams: std::collections::BTreeSet<_> = facts.iter().flat_map(Fact::streams).collect();
        let version = |name| StreamVersion { version: self.log.views().version(&name).unwrap_or(0), name };
        let append = Append {
            append_id: AppendId::new(chance.bytes()),
            decided_at: self.now,
            principal: Principal::Journal(self.names.journals[0].clone()),
            proposed_by: self.names.journals[0].clone(),
            source: None,
            assurance: None,
            expects: streams.into_iter().map(version).collect(),
            facts,
            remarks: vec![],
        };
        let entry = Entry { stamp: self.now, appends: vec![Arc::new(append)] };
        self.commit_entry(&entry)
    }

    fn first_authority(&mut self, chance: &mut Chance) -> Result<AuthorityId, Fault> {
        let (now, der) = (self.now, chance.der());
        let announced = Announced {
            generation: 1,
            journal_id: self.names.journals[0].clone(),
            serial: chance.serial(),
            sha256: CertificateHash::of(der.as_bytes()),
            not_before: now.minus(Duration::from_secs(300)),
            not_after: now.plus(authority::DEFAULT_LIFETIME),
            der,
        };
        let id = AuthorityId::new(now, 1);
        self.first(chance, vec![Fact::Authority(id, authority::Event::Announced(announced))])?;
        Ok(id)
    }

    fn first_operator(&mut self, chance: &mut Chance, authority: AuthorityId) -> Result<(), Fault> {
        let terms = Terms {
            now: self.now,
            serial: Serial::from_random(chance.bytes()),
            jitter: 0,
            lifetime: Duration::from_secs(40 * 86_400),
            authority,
            authority_not_after: self.now.plus(authority::DEFAULT_LIFETIME),
        };
        let id = self.names.operators[0].clone();
        let key = self.log.views().key_claim(chance.key());
        let domain = self.names.domain.clone();
        let command = operator::Command::Create { domain, role: Role::PlatformAdmin, key, name: None, terms };
        let decided = operator::decide(&id, &operator::State::Unknown, command);
        let Ok(operator::Decision::Issue(issue)) = decided else {
            return Err(Fault::new("a_domain_begins", format!("{decided:?}")));
        };
        let event = issue.complete(chance.der());
        self.first(chance, vec![Fact::Operator(id, event)])
    }

    fn joined(&mut self, chance: &mut Chance, at: usize) -> Result<(), Fault> {
        let (now, secret) = (self.now, SecretHash::of(&chance.bytes()));
        let expires_at = now.plus(Duration::from_secs(3600));
        let token_id = JoinTokenId::new(now, at as u128);
        let token = domain::Event::JoinTokenCreated { token_id, secret_sha256: secret, expires_at };
        self.first(chance, vec![Fact::Domain(token)])?;
        let id = self.names.journals[at].clone();
        let (certificate, key) = names::credentials(at);
        let raft_id = self.log.views().members.next_raft_id();
        let endpoints = names::endpoints(at);
        let joining = member::Event::Joining { raft_id, endpoints, certificate, key, token: secret };
        self.first(chance, joining.into_facts(&id))?;
        self.first(chance, vec![Fact::Member(id, member::Event::Joined)])
    }
}
