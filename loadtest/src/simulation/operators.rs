//! What operators order, what journals do by themselves, and what callers hear.

use std::time::Duration;

use events::{
    append,
    authority::{self, Announced},
    fact::{Fact, Record},
    level::Level,
    member,
    node::{self, DeactivationCause, Presence, RevocationCause, distrusted},
    operator,
    vocabulary::{AppendId, AuthorityId, CertificateHash, NodeId, OperatorId, Principal, SecretHash, Serial},
};

use super::{
    chance::Chance,
    fault::Fault,
    journal::Own,
    names::{HARDWARE, JOURNALS, NODES, OPERATORS},
    orders::{AuthorityOrder, DomainOrder, MemberOrder, NodeOrder, OperatorOrder, Order},
    world::{Call, Caller, Message, Reply, World},
};

/// What was signed by an authority before it fell idle is recorded before the log's time is so much later, or never: the log
/// takes nothing that was decided more than 60 s from its stamp, and two clocks here may each be 150 s off.
const SETTLED: Duration = Duration::from_secs(400);
/// Journals with a seat, at most.
const MAX_SEATS: usize = 5;

impl World {
    /// An operator orders something of some journal.
    pub fn operate(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let asker = if chance.one_in(2) { 0 } else { chance.below(OPERATORS) };
        let principal = Principal::Operator(self.names.operators[asker].clone());
        let seated = self.quorum.seated();
        let Some(at) = chance.pick(&seated) else { return Ok(()) };
        if chance.one_in(8) {
            self.distrust(chance, at, &principal);
            return Ok(());
        }
        let node = self.names.nodes[chance.below(NODES)].clone();
        let machine = chance.below(HARDWARE);
        let about = |order| Order::Node(node.clone(), order);
        let order = match chance.below(20) {
            0..6 => about(NodeOrder::Register(machine)),
            6 => about(NodeOrder::Revoke(RevocationCause::Decommissioned)),
            7 | 8 => about(NodeOrder::Revoke(RevocationCause::Revoked)),
            9 => about(NodeOrder::Deactivate),
            10 => about(NodeOrder::Resolve),
            11 | 12 => about(NodeOrder::Replace(machine)),
            13..16 => {
                let id = self.names.operators[chance.below(OPERATORS)].clone();
                let order = self.operator_order(chance, at, &id);
                Order::Operator(id, order)
            }
            16 | 17 => Order::Domain(DomainOrder::CreateToken(SecretHash::of(&chance.bytes()))),
            18 => Order::Domain(DomainOrder::SetDefault(u8::try_from(chance.below(3)).unwrap_or(0))),
            _ => {
                let Some(journal) = chance.pick(&self.quorum.voters) else { return Ok(()) };
                if !chance.one_in(if self.quorum.voters.len() < 3 { 16 } else { 2 }) {
                    return Ok(());
                }
                Order::Member(journal, MemberOrder::Evict)
            }
        };
        self.call(chance, Caller::Operator, order, principal, at);
        Ok(())
    }

    fn operator_order(&self, chance: &mut Chance, at: usize, id: &OperatorId) -> OperatorOrder {
        let known = self.journals[at].views.operators.get(id).map(|operator| &operator.state);
        match known {
            Some(operator::State::Active { current, former, .. }) if chance.one_in(2) => {
                let former =
                    former.as_ref().filter(|_| chance.one_in(4)).map(|former| former.certificate.serial);
                OperatorOrder::Renew(former.unwrap_or(current.serial), chance.key())
            }
            Some(operator::State::Active { .. }) if chance.one_in(3) => OperatorOrder::Revoke,
            Some(_) | None => OperatorOrder::Create(chance.key()),
        }
    }

    /// A step of `pact journal evict --revoke-issued`: once the evicted journal has no seat any more and this journal knows
    /// all that is committed, it ends what is left; if nothing is, nothing may come to be.
    fn distrust(&mut self, chance: &mut Chance, at: usize, principal: &Principal) {
        let Some(evicted) = self.to_distrust.first().copied() else { return };
        let knows_all = self.quorum_answers(at) && self.journals[at].applied == self.log.entries.len();
        if self.quorum.has(evicted) || !self.journals[at].up || !knows_all {
            return;
        }
        let id = self.names.journals[evicted].clone();
        let views = &self.journals[at].views;
        let authorities = views.authorities_of(&id);
        let now = self.journals[at].clock(self.now);
        let left = |state: &node::State| !distrusted(state, &authorities, now).is_empty();
        let nodes: Vec<NodeId> =
            views.registry.nodes().filter(|(_, node)| left(&node.state)).map(|(id, _)| id.clone()).collect();
        if nodes.is_empty() {
            self.count("nothing is left of an evicted journal");
            self.say(format_args!("{}: nothing is left that {id} had signed", self.names.journals[at]));
            self.to_distrust.remove(&evicted);
            self.distrusted.insert(evicted);
        }
        for node in nodes {
            let order = Order::Node(node, NodeOrder::Distrust(id.clone()));
            self.call(chance, Caller::Operator, order, principal.clone(), at);
        }
    }

    /// What journals do by themselves.
    pub fn tend(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let seated = self.quorum.seated();
        let Some(at) = chance.pick(&seated) else { return Ok(()) };
        if !self.journals[at].up {
            if chance.one_in(2) {
                self.start(at);
                if chance.one_in(8) {
                    return self.check_views(at);
                }
            }
            return Ok(());
        }
        if self.tend_authority(chance, at) || self.quorum.leader != Some(at) {
            return Ok(());
        }
        match chance.below(6) {
            0 => self.tend_seats(chance, at),
            1 => {
                let own = (Caller::Journal(at, self.journals[at].incarnation), self.journal_principal(at));
                if self.journals[at].views.level < Level::NEWEST && chance.one_in(4) {
                    self.call(chance, own.0, Order::Domain(DomainOrder::RaiseLevel), own.1, at);
                }
            }
            _ => self.tend_nodes(chance, at),
        }
        Ok(())
    }

    fn journal_principal(&self, at: usize) -> Principal {
        Principal::Journal(self.names.journals[at].clone())
    }

    /// A new authority at every start and in time; old ones are retired. Whether something was done.
    fn tend_authority(&mut self, chance: &mut Chance, at: usize) -> bool {
        let journal = &self.journals[at];
        let now = journal.clock(self.now);
        let own = (Caller::Journal(at, journal.incarnation), self.journal_principal(at));
        let due = journal
            .authority
            .as_ref()
            .is_none_or(|own| authority::is_due_for_replacement(&own.announced, now));
        let open = journal
            .open_announcement
            .is_some_and(|at| journal.views.recorded_at.since(at) <= append::MAX_SKEW);
        // What it announced before is known here by now, or was never recorded.
        let knows = journal.is_fresh(self.now) && !open;
        if due && knows && journal.next_authority.is_none() && journal.leader.is_some() {
            let der = chance.der();
            let announced = Announced {
                generation: journal.views.authorities.next_generation(&self.names.journals[at]),
                journal_id: self.names.journals[at].clone(),
                serial: chance.serial(),
                sha256: CertificateHash::of(der.as_bytes()),
                not_before: now.minus(Duration::from_secs(300)),
                not_after: now.plus(authority::DEFAULT_LIFETIME),
                der,
            };
            let id = AuthorityId::new(now, u128::from_be_bytes(chance.bytes()) >> 48);
            self.journals[at].next_authority = Some(Own { id, announced: announced.clone() });
            let order = Order::Authority(id, AuthorityOrder::Announce(Box::new(announced)));
            self.call(chance, own.0, order, own.1, at);
            return true;
        }
        let kept = [&journal.authority, &journal.next_authority].map(|own| own.as_ref().map(|own| own.id));
        let leads = self.quorum.leader == Some(at);
        if !journal.is_fresh(self.now) {
            return false;
        }
        let over = journal.views.authorities.iter().filter(|(id, known)| {
            let authority::State::Announced(announced) = &known.state else { return false };
            let mine = announced.journal_id == self.names.journals[at];
            let evicted = journal.views.members.is_evicted(&announced.journal_id)
                && self.names.journal(&announced.journal_id).is_none_or(|other| !self.quorum.has(other));
            let idle = mine || (leads && evicted);
            idle && !kept.contains(&Some(**id)) && known.last_not_after.is_none_or(|end| end <= now)
        });
        let over: Vec<AuthorityId> = over.map(|(id, _)| *id).collect();
        let log_time = self.journals[at].views.recorded_at;
        let idle = &mut self.journals[at].idle;
        idle.retain(|id, _| over.contains(id));
        let settled =
            |id: &AuthorityId| log_time.since(*idle.entry(*id).or_insert(now.max(log_time))) > SETTLED;
        let Some(id) = over.into_iter().find(settled).filter(|_| chance.one_in(4)) else { return false };
        self.call(chance, own.0, Order::Authority(id, AuthorityOrder::Retire), own.1, at);
        true
    }

    /// The leader brings Raft's members into line with the facts.
    fn tend_seats(&mut self, chance: &mut Chance, leader: usize) {
        let rows: Vec<(usize, member::State)> = (0..JOURNALS)
            .filter_map(|at| {
                let row = self.journals[leader].views.members.get(&self.names.journals[at])?;
                Some((at, row.state.clone()))
            })
            .collect();
        let now = self.journals[leader].clock(self.now);
        let own =
            (Caller::Journal(leader, self.journals[leader].incarnation), self.journal_principal(leader));
        for (at, state) in rows {
            let name = self.names.journals[at].clone();
            match state {
                member::State::Unknown => {}
                member::State::Evicted { .. } if self.quorum.has(at) => {
                    self.quorum.voters.retain(|voter| *voter != at);
                    self.quorum.learners.retain(|learner| *learner != at);
                    self.count("seat taken");
                    self.say(format_args!("{name} has no seat any more"));
                    if at == leader {
                        self.quorum.fall(self.log.entries.len());
                        return;
                    }
                }
                member::State::Evicted { .. } => {}
                member::State::Member(known) if known.votes() || self.quorum.voters.contains(&at) => {
                    if !known.votes() {
                        let order = Order::Member(at, MemberOrder::Confirm);
                        self.call(chance, own.0, order, own.1.clone(), leader);
                    }
                }
                member::State::Member(known) if known.is_overdue(now) => {
                    let order = Order::Member(at, MemberOrder::GiveUp);
                    self.call(chance, own.0, order, own.1.clone(), leader);
                }
                member::State::Member(_) if !self.quorum.learners.contains(&at) => {
                    self.quorum.learners.push(at);
                    self.start(at);
                    self.say(format_args!("{name} learns"));
                }
                member::State::Member(_) => {
                    if self.journals[at].applied + 2 >= self.log.entries.len() {
                        self.quorum.learners.retain(|learner| *learner != at);
                        self.quorum.voters.push(at);
                        self.say(format_args!("{name} votes"));
                    }
                }
            }
        }
    }

    /// The leader gives silent nodes up, and takes back those that are here after all (R19). What it knows of streams may
    /// be old.
    fn tend_nodes(&mut self, chance: &mut Chance, leader: usize) {
        let node = self.names.nodes[chance.below(NODES)].clone();
        let streams = self.journals.iter().flat_map(|journal| &journal.streams);
        let here = streams.filter(|stream| stream.node == node).map(|stream| stream.serial).next_back();
        let away = Duration::from_secs(chance.below(700) as u64);
        let since = self.journals[leader].clock(self.now).minus(away);
        let presence = match here {
            Some(serial) if !chance.one_in(8) => Presence::Connected { serial },
            Some(_) | None => Presence::Absent { since },
        };
        let own = Caller::Journal(leader, self.journals[leader].incarnation);
        let principal = self.journal_principal(leader);
        self.call(chance, own, Order::Node(node, NodeOrder::Due(presence)), principal, leader);
    }

    /// An answer that was lost: an operator asks again, maybe elsewhere.
    pub fn missed(&mut self, chance: &mut Chance, message: Message) -> Result<(), Fault> {
        if let Message::Reply { call, .. } = message
            && chance.one_in(2)
        {
            self.ask_again(chance, call);
        }
        Ok(())
    }

    fn ask_again(&mut self, chance: &mut Chance, call: usize) {
        let Call { by: Caller::Operator, order, principal, answered: false, .. } = &self.calls[call] else {
            return;
        };
        let (order, principal) = (order.clone(), principal.clone());
        let seated = self.quorum.seated();
        if let Some(at) = chance.pick(&seated) {
            self.call(chance, Caller::Operator, order, principal, at);
        }
    }

    /// A caller hears. What is acknowledged is in the log.
    pub fn replied(&mut self, chance: &mut Chance, call: usize, reply: Reply) -> Result<(), Fault> {
        if let Reply::Done { seq, append, issued } = &reply {
            self.check_acknowledged(call, *seq, *append)?;
            if let Some((node, certificate)) = issued
                && !self.issued.contains_key(&certificate.sha256)
            {
                let message =
                    format!("call {call}: {node} has {}, of which no fact tells", certificate.serial);
                return Err(Fault::new("acknowledged_facts_stay", message));
            }
        }
        if std::mem::replace(&mut self.calls[call].answered, true) {
            return Ok(());
        }
        if let Reply::Done { append: Some(id), seq, .. } = &reply {
            self.note_ended(*id, *seq);
        }
        let (by, order) = (self.calls[call].by, self.calls[call].order.clone());
        match (by, reply) {
            (Caller::Machine(which, boot), Reply::Done { issued: Some((node, certificate)), .. }) => {
                self.given(which, boot, node, certificate);
            }
            (Caller::Machine(which, boot), Reply::Refused(_)) => {
                if let Order::Node(_, NodeOrder::Renew(..)) = order {
                    self.refused(which, boot);
                }
            }
            (Caller::Machine(..), Reply::Done { .. } | Reply::Failed(_)) => {}
            (Caller::Operator, Reply::Done { .. }) => self.go_on(chance, call, &order),
            (Caller::Operator, Reply::Failed(_)) => {
                if chance.one_in(2) {
                    self.calls[call].answered = false;
                    self.ask_again(chance, call);
                    self.calls[call].answered = true;
                }
            }
            (Caller::Operator, Reply::Refused(_)) => {}
            (Caller::Journal(at, incarnation), reply) => {
                let journal = &mut self.journals[at];
                let Order::Authority(id, AuthorityOrder::Announce(_)) = order else { return Ok(()) };
                if journal.incarnation != incarnation
                    || journal.next_authority.as_ref().map(|own| own.id) != Some(id)
                {
                    return Ok(());
                }
                let own = journal.next_authority.take();
                if matches!(reply, Reply::Done { .. }) {
                    journal.authority = own;
                    journal.open_announcement = None;
                    self.count("authority taken up");
                }
            }
        }
        Ok(())
    }

    fn check_acknowledged(&self, call: usize, seq: u64, append: Option<AppendId>) -> Result<(), Fault> {
        let place = usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1));
        let record = place.and_then(|at| self.log.records.get(at));
        let stands = match (record, append) {
            (Some(record), Some(id)) => record.append_id == id,
            (Some(_), None) => true,
            (None, _) => seq == 0,
        };
        if stands {
            return Ok(());
        }
        let message = format!("call {call} is acknowledged by fact {seq}, and that is not there or another");
        Err(Fault::new("acknowledged_facts_stay", message))
    }

    /// Somebody was told that certificates have ended: from now on they open nothing.
    fn note_ended(&mut self, id: AppendId, last: u64) {
        let end = usize::try_from(last).unwrap_or(0).min(self.log.records.len());
        let of_append = self.log.records[..end].iter().rev().take_while(|record| record.append_id == id);
        let serials: Vec<Serial> = of_append.flat_map(ended_by).collect();
        let now = self.now;
        for serial in serials {
            self.ended.entry(serial).or_insert((last, now));
        }
    }

    /// What an operator does next.
    fn go_on(&mut self, chance: &mut Chance, call: usize, order: &Order) {
        match order {
            Order::Domain(DomainOrder::CreateToken(secret)) => {
                if self.quorum.seated().len() >= MAX_SEATS || self.unused >= JOURNALS {
                    return;
                }
                let (at, principal) = (self.calls[call].at, self.journal_principal(self.unused));
                let order = Order::Member(self.unused, MemberOrder::Join(*secret));
                if self.call(chance, Caller::Operator, order, principal, at).is_some() {
                    self.unused += 1;
                }
            }
            Order::Member(journal, MemberOrder::Evict) => {
                self.to_distrust.insert(*journal);
            }
            Order::Member(..)
            | Order::Domain(_)
            | Order::Node(..)
            | Order::Operator(..)
            | Order::Authority(..)
            | Order::Enroll { .. } => {}
        }
    }
}

/// The certificates that a fact ends at once.
fn ended_by(record: &Record) -> Vec<Serial> {
    match &record.fact {
        Fact::Node(
            _,
            node::Event::Revoked { serials, .. }
            | node::Event::HardwareReplaced { serials, .. }
            | node::Event::CertificateRevoked { serials, .. },
        ) => serials.clone(),
        Fact::Node(_, node::Event::Deactivated { cause: DeactivationCause::Operator, supersedes }) => {
            supersedes.iter().copied().collect()
        }
        Fact::Operator(_, operator::Event::Revoked { serial, .. }) => vec![*serial],
        Fact::Node(..)
        | Fact::Operator(..)
        | Fact::Domain(_)
        | Fact::Authority(..)
        | Fact::VCluster(..)
        | Fact::Member(..) => vec![],
    }
}
