//! A log in memory, which gives the facts of a test their envelopes.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::append::{Append, Last, settle};
use crate::fact::{Fact, Record};
use crate::stream::{StreamName, StreamVersion};
use crate::views::Views;

use super::*;

/// A log in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    secs: u64,
    versions: BTreeMap<StreamName, u64>,
    appends: u8,
}

impl Log {
    /// The domain, its first authority and its first operator, who has the certificate 50.
    pub(crate) fn new() -> Self {
        let mut log = Self::default();
        log.append(vec![
            domain_created(),
            Fact::Authority(authority_id(1), announced(1, 0)),
            Fact::Operator(admin(), operator_created(50, 0)),
        ]);
        log
    }

    /// Also the node n1 with the addresses 1 and 2, active with the certificate 1, and n2 with 3, registered.
    pub(crate) fn enrolled() -> Self {
        let mut log = Self::new();
        log.of("n1", registered(1, &[1, 2])).of("n2", registered(1, &[3]));
        log.of("n1", enrolled(1, 0, &[1, 2])).of("n1", confirmed(1));
        log
    }

    /// A history in which each fact of the node, operator, authority and member tables happens.
    pub(crate) fn whole_life() -> Self {
        let mut log = Self::enrolled();
        log.wait(DAY).of("n1", renewed(2, DAY, &[supersedes(1, 300)])).of("n1", confirmed(2));
        log.wait(60).of("n1", renewed(3, DAY + 60, &[supersedes(2, 300), supersedes(1, 0)]));
        log.of("n1", contested(3, 9, &[1, 2])).of("n1", Event::Resolved {});
        let attempts = refused(RefusalReason::HardwareMismatch, DAY, 7);
        log.of("n1", goodbye()).of("n1", Event::AttemptsRefused(attempts)).of("n1", reactivated(3));
        log.of("n2", replaced(&[3, 7], &[], &[])).wait(4 * DAY);
        let now = 5 * DAY + 60;
        log.append(vec![
            Fact::Node(node("n1"), deactivated(DeactivationCause::Expiry)),
            Fact::Node(node("n1"), re_enrolled(4, now, &[supersedes(3, 0)], &[1])),
        ]);
        log.of("n1", put_away(4)).of("n1", re_enrolled(5, now, &[], &[2])).of("n1", revoked(&[5], &[1, 2]));
        log.of("n1", registered(2, &[1])).of("n2", revoked(&[], &[3, 7])).of("n3", registered(1, &[2, 3]));
        log.of("n3", replaced(&[2, 8], &[3], &[]));
        log.append(vec![Fact::Authority(authority_id(2), announced(2, now))]);
        let next = Certificate { authority: authority_id(2), ..certificate(6, now) };
        log.of("n1", issued(Cause::Enrolled, 2, next, &[], Some(hardware(&[1]))));
        let next = Certificate { authority: authority_id(2), ..certificate(51, now) };
        let renewal = operator::Event::Renewed { certificate: next, der: der(51), supersedes: serial(50) };
        log.append(vec![Fact::Operator(admin(), renewal)]);
        log.append(vec![Fact::Operator(admin(), operator_revoked(51))]);
        log.append(vec![join_token()]).wait(4 * DAY);
        log.append(vec![Fact::Authority(authority_id(1), authority::Event::Retired {})]);
        log.append(vec![announced_at("j1", "h1")]);
        log.append(vec![token_consumed("j2"), joining("j2", 2)]).append(vec![joined("j2")]);
        log.append(vec![evicted("j1")]).append(vec![level_raised(2)]).append(vec![default_set(b"1")]);
        log.of("n1", distrusted(&[6]));
        log.append(vec![overlay_set("prod", b"1"), overlay_set("test", b"2")]);
        log.of("n1", assigned("prod")).of("n1", moved("prod", "test")).of("n1", unassigned("test"));
        log.of("n1", Event::Drained {}).of("n1", Event::Undrained {});
        log.of("n1", bound("a")).of("n2", registered(2, &[3])).of("n1", bound("b")).of("n2", bound("a"));
        log
    }

    /// A journal joins by a token that is made for it.
    pub(crate) fn joins(&mut self, name: &str, raft_id: u8) -> &mut Self {
        let secret_sha256 = SecretHash::of(name.as_bytes());
        let token_id = JoinTokenId::new(START, raft_id.into());
        let expires_at = at(365 * DAY);
        let created = domain::Event::JoinTokenCreated { token_id, secret_sha256, expires_at };
        self.append(vec![Fact::Domain(created)]);
        let Fact::Member(id, mut event) = joining(name, raft_id) else { unreachable!("it is a member's") };
        if let member::Event::Joining { token, .. } = &mut event {
            *token = secret_sha256;
        }
        self.append(event.into_facts(&id))
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, secs: u64) -> &mut Self {
        self.secs += secs;
        self
    }

    /// Records one fact about a node.
    pub(crate) fn of(&mut self, name: &str, event: Event) -> &mut Self {
        self.append(vec![Fact::Node(node(name), event)])
    }

    /// Records facts in one append.
    pub(crate) fn append(&mut self, facts: Vec<Fact>) -> &mut Self {
        let records = self.settled(facts);
        self.appends += 1;
        for at in records.iter().flat_map(|record| &record.streams) {
            self.versions.insert(at.name.clone(), at.version);
        }
        self.records.extend(records);
        self
    }

    /// What a fact would be recorded as, now.
    pub(crate) fn next(&self, fact: Fact) -> Record {
        self.settled(vec![fact]).remove(0)
    }

    /// What a fact above the log's level would be recorded as, now, by somebody who does not ask for it.
    pub(crate) fn planted(&self, fact: Fact) -> Record {
        let mut raised = self.clone();
        raised.append(vec![level_raised(fact.level().number())]);
        let mut planted = raised.next(fact);
        planted.seq -= 1;
        planted.streams[0].version -= 1;
        planted
    }

    /// What a fact about a node would be recorded as, now.
    pub(crate) fn next_of(&self, name: &str, event: Event) -> Record {
        self.next(Fact::Node(node(name), event))
    }

    /// The log and then these records.
    pub(crate) fn then(mut self, records: impl IntoIterator<Item = Record>) -> Self {
        self.records.extend(records);
        self
    }

    pub(crate) fn views(&self) -> Views {
        let mut views = Views::default();
        for record in &self.records {
            views.fold(record);
        }
        views
    }

    fn settled(&self, facts: Vec<Fact>) -> Vec<Record> {
        let version = |name: &StreamName| self.versions.get(name).copied().unwrap_or(0);
        let names: std::collections::BTreeSet<StreamName> = facts.iter().flat_map(Fact::streams).collect();
        let expects = names.into_iter().map(|name| StreamVersion { version: version(&name), name }).collect();
        let append = Append {
            append_id: AppendId::new([self.appends; 16]),
            decided_at: at(self.secs),
            principal: Principal::Operator(admin()),
            proposed_by: "j1".parse().unwrap(),
            source: Some(remark("192.0.2.7").hash()),
            assurance: Some(Assurance::Claimed),
            expects,
            facts,
            remarks: vec![],
        };
        let last = self.records.iter().fold(Last::default(), Last::behind);
        settle::<Infallible>(&append, last, at(self.secs), |name| Ok(version(name))).unwrap().unwrap()
    }
}
