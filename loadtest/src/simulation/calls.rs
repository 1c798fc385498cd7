//! What simulated journals do with the orders that they get: decide, send to the leader, again and again, answer.
//!
//! The rules are those of the journal's executor and writer: the same bytes are sent until somebody answers (R7), a conflict
//! is decided again once it is known here, three times at most, and nobody is answered before this journal has applied the
//! fact itself (R3, R10).

use std::{sync::Arc, time::Duration};

use events::{
    append::{Append, Outcome},
    certificate::{Certificate, Terms},
    fact::Fact,
    node::{self, Contest, RefusedAttempts, Rejection},
    stream::StreamVersion,
    vocabulary::{AppendId, Assurance, NodeId, Principal},
};

use super::{
    chance::Chance,
    fault::Fault,
    journal::{Journal, MAX_WORK, Stage, Work},
    mistake::Mistake,
    orders::{AuthorityOrder, Decided, Desk, NodeOrder, Order, Refused},
    world::{Call, Caller, Message, Reply, World, brief, say_reply, short},
};

/// A real conflict is decided again this often (R7).
const ATTEMPTS: u8 = 3;
/// An append that nobody recorded for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(8);
/// How long a node's certificate lives.
const LIFETIME: Duration = Duration::from_secs(3 * 86_400);

impl World {
    /// Calls a journal. None: it does not answer.
    pub fn call(
        &mut self,
        chance: &mut Chance,
        by: Caller,
        order: Order,
        principal: Principal,
        at: usize,
    ) -> Option<usize> {
        if !self.journals[at].up {
            return None;
        }
        let own = matches!(by, Caller::Journal(..));
        if !own && !self.serves(at) {
            self.count("refused: stale");
            return None;
        }
        if self.journals[at].work.len() >= MAX_WORK && !own {
            self.count("refused: overloaded");
            return None;
        }
        let call = self.calls.len();
        self.say(format_args!("call {call} of {by:?} at {}: {order:?}", self.names.journals[at]));
        let node = self.desk(chance, at).subject(&order);
        self.calls.push(Call { by, order, principal, at, recorded: None, answered: false });
        let work = Work { call, node, attempts: 0, confirmed: own, stage: Stage::Decide };
        self.journals[at].work.push(work);
        Some(call)
    }

    /// Whether a journal lets anybody in (R17).
    pub fn serves(&self, at: usize) -> bool {
        self.journals[at].is_fresh(self.now)
    }

    /// What a journal decides with now.
    pub fn desk(&self, chance: &mut Chance, at: usize) -> Desk<'_> {
        let journal = &self.journals[at];
        let now = journal.clock(self.now);
        let early =
            journal.next_authority.as_ref().filter(|_| self.mistakes.has(Mistake::SignsBeforeAnnouncement));
        let own = early.or(journal.authority.as_ref());
        let own = own.filter(|own| own.announced.not_before <= now && now < own.announced.not_after);
        let terms = own.map(|own| Terms {
            now,
            serial: chance.serial(),
            jitter: u16::try_from(chance.below(65_536)).unwrap_or(0),
            lifetime: LIFETIME,
            authority: own.id,
            authority_not_after: own.announced.not_after,
        });
        Desk {
            names: &self.names,
            views: &journal.views,
            keys: &journal.keys,
            now,
            terms,
            der: chance.der(),
            forgets_the_asker: self.mistakes.has(Mistake::ForgetsTheAsker),
        }
    }

    /// Takes one order at one journal a stage further.
    pub fn work(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let busy = |journal: &Journal| journal.up && !journal.work.is_empty();
        let busy: Vec<usize> = (0..self.journals.len()).filter(|at| busy(&self.journals[*at])).collect();
        let Some(at) = chance.pick(&busy) else { return self.machine(chance) };
        let which = chance.below(self.journals[at].work.len());
        let work = &self.journals[at].work;
        // One order of a node at a time.
        let waits =
            work[which].node.is_some() && work[..which].iter().any(|other| other.node == work[which].node);
        if waits {
            return Ok(());
        }
        let mut work = self.journals[at].work.remove(which);
        if self.advance(chance, at, &mut work)? && self.journals[at].up {
            let which = which.min(self.journals[at].work.len());
            self.journals[at].work.insert(which, work);
        }
        Ok(())
    }

    /// Whether it goes on.
    fn advance(&mut self, chance: &mut Chance, at: usize, work: &mut Work) -> Result<bool, Fault> {
        let (applied, seq) = (self.journals[at].applied, self.journals[at].views.seq);
        match &work.stage {
            Stage::Decide => return self.decide(chance, at, work),
            Stage::Confirm(entries) => {
                if applied >= *entries {
                    work.stage = Stage::Decide;
                }
            }
            Stage::Sent { give_up, .. } if self.now >= *give_up || chance.one_in(48) => {
                self.reply(chance, at, work, Reply::Failed("NO_LEADER"))?;
                return Ok(false);
            }
            Stage::Sent { .. } if !chance.one_in(3) => {}
            Stage::Sent { append, issued, give_up } => {
                let (mut append, issued, give_up) = (Arc::clone(append), issued.clone(), *give_up);
                if self.mistakes.has(Mistake::ForgetsAppendId) {
                    append = Arc::new(Append { append_id: chance.append_id(), ..(*append).clone() });
                    self.appends.insert(append.append_id, work.call);
                }
                work.stage = Stage::Sent { append: Arc::clone(&append), issued, give_up };
                self.count("append sent again");
                self.submit(chance, at, work.call, append);
            }
            Stage::Recorded { append, issued, seq: last } => {
                if seq >= *last {
                    let (append, issued, seq) = (Some(append.append_id), issued.clone(), *last);
                    self.reply(chance, at, work, Reply::Done { seq, append, issued })?;
                    return Ok(false);
                }
                if chance.one_in(24) {
                    let (append, issued) = (Arc::clone(append), issued.clone());
                    work.stage = Stage::Sent { append, issued, give_up: self.now.plus(GIVE_UP) };
                }
            }
            Stage::Again(last) => {
                if work.attempts >= ATTEMPTS {
                    self.reply(chance, at, work, Reply::Failed("CONTENDED"))?;
                    return Ok(false);
                }
                if seq >= *last {
                    work.stage = Stage::Decide;
                }
            }
        }
        Ok(true)
    }

    /// Decides an order. What rests on what is known here alone is said only once all that was recorded elsewhere is known
    /// here, too (R22); if nobody confirms that, it stands.
    fn decide(&mut self, chance: &mut Chance, at: usize, work: &mut Work) -> Result<bool, Fault> {
        let Call { order, principal, .. } = &self.calls[work.call];
        let (order, principal) = (order.clone(), principal.clone());
        let desk = self.desk(chance, at);
        let now = desk.now;
        let decided = desk.decide(&order, &principal);
        if matches!(decided, Ok(Decided::Nothing) | Err(_)) && !work.confirmed && self.quorum_answers(at) {
            work.confirmed = true;
            work.stage = Stage::Confirm(self.log.entries.len());
            return Ok(true);
        }
        let seq = self.journals[at].views.seq;
        let reply = match decided {
            Ok(Decided::Record(facts, expects)) => {
                work.attempts += 1;
                self.propose(chance, at, work, (facts, expects), now);
                return Ok(true);
            }
            Ok(Decided::Nothing) => Reply::Done { seq, append: None, issued: None },
            Ok(Decided::Again(certificate)) => {
                self.count("the same certificate again");
                let issued = work.node.clone().map(|node| (node, certificate));
                Reply::Done { seq, append: None, issued }
            }
            Err(refused) => Reply::Refused(refused),
        };
        self.reply(chance, at, work, reply)?;
        Ok(false)
    }

    fn propose(
        &mut self,
        chance: &mut Chance,
        at: usize,
        work: &mut Work,
        (facts, expects): (Vec<Fact>, Vec<StreamVersion>),
        decided_at: events::vocabulary::Timestamp,
    ) {
        let issued = facts.iter().find_map(brought);
        let append = Arc::new(Append {
            append_id: chance.append_id(),
            decided_at,
            principal: self.calls[work.call].principal.clone(),
            proposed_by: self.names.journals[at].clone(),
            source: None,
            assurance: issued.as_ref().map(|_| Assurance::Claimed),
            expects,
            facts,
            remarks: vec![],
        });
        self.appends.insert(append.append_id, work.call);
        if let Order::Authority(_, AuthorityOrder::Announce(_)) = &self.calls[work.call].order {
            self.journals[at].open_announcement = Some(decided_at);
        }
        if self.is_told() {
            let (id, facts) = (short(&append.append_id), &append.facts);
            let facts: Vec<String> = facts.iter().map(in_words).collect();
            self.say(format_args!("call {}: append {id} is decided: {}", work.call, facts.join(", ")));
        }
        work.stage = Stage::Sent { append: Arc::clone(&append), issued, give_up: self.now.plus(GIVE_UP) };
        self.submit(chance, at, work.call, append);
    }

    /// Sends an append to whom this journal believes to lead.
    fn submit(&mut self, chance: &mut Chance, at: usize, call: usize, append: Arc<Append>) {
        let Some(to) = self.journals[at].leader else { return };
        let incarnation = self.journals[at].incarnation;
        if to == at {
            self.receive(chance, (at, at, incarnation), call, append);
        } else {
            self.send(chance, Message::Record { to, from: at, incarnation, call, append });
        }
    }

    /// The leader's answer arrives at the journal that had asked.
    pub fn told(
        &mut self,
        chance: &mut Chance,
        (to, incarnation): (usize, u64),
        call: usize,
        append_id: AppendId,
        outcome: &Outcome,
        seq: u64,
    ) -> Result<(), Fault> {
        let journal = &mut self.journals[to];
        if !journal.up || journal.incarnation != incarnation {
            return Ok(());
        }
        let Some(which) = journal.work.iter().position(|work| work.call == call) else { return Ok(()) };
        let Stage::Sent { append, issued, .. } = &journal.work[which].stage else { return Ok(()) };
        if append.append_id != append_id {
            return Ok(());
        }
        let stage = match outcome {
            Outcome::Committed { last_seq, .. } => {
                Stage::Recorded { append: Arc::clone(append), issued: issued.clone(), seq: *last_seq }
            }
            Outcome::Conflict { .. } => Stage::Again(seq),
            Outcome::Skewed | Outcome::AboveLevel { .. } => {
                let work = journal.work.remove(which);
                self.count(if matches!(outcome, Outcome::Skewed) { "skewed" } else { "above the level" });
                return self.reply(chance, to, &work, Reply::Failed("NOT_RECORDED"));
            }
            Outcome::Malformed => {
                return Err(Fault::new("appends_are_well_formed", format!("{append:?}")));
            }
        };
        journal.work[which].stage = stage;
        if matches!(outcome, Outcome::Conflict { .. }) {
            self.count("conflict");
        }
        self.say(format_args!(
            "{} is told of append {}: {outcome:?}",
            self.names.journals[to],
            short(&append_id)
        ));
        Ok(())
    }

    /// Answers whoever called.
    fn reply(&mut self, chance: &mut Chance, at: usize, work: &Work, reply: Reply) -> Result<(), Fault> {
        let (by, recorded) = (self.calls[work.call].by, self.calls[work.call].recorded);
        if let (Reply::Refused(refused), Some(seq)) = (&reply, recorded) {
            let message = format!("call {} is refused ({refused:?}) and recorded as fact {seq}", work.call);
            return Err(Fault::new("what_is_recorded_is_not_refused", message));
        }
        self.count(match &reply {
            Reply::Done { issued: Some(_), .. } => "answer: certificate",
            Reply::Done { append: Some(_), .. } => "answer: recorded",
            Reply::Done { .. } => "answer: it is so already",
            Reply::Refused(_) => "answer: refused",
            Reply::Failed(_) => "answer: nobody knows",
        });
        self.say(format_args!(
            "{} answers call {}: {}",
            self.names.journals[at],
            work.call,
            say_reply(&reply)
        ));
        let own = matches!(by, Caller::Journal(..));
        if let (Reply::Refused(Refused::Node(rejection)), Some(node), false) = (&reply, &work.node, own) {
            self.note_refusal(chance, at, work.call, &node.clone(), rejection);
        }
        if own {
            return self.replied(chance, work.call, reply);
        }
        let message = Message::Reply { call: work.call, reply };
        self.say(format_args!("on its way: {}", brief(&message)));
        self.send(chance, message);
        Ok(())
    }

    /// What a journal does by itself about a refusal: it tells of it now and then (R5), and of two machines that claim to be
    /// one node, once the stream of the first one answers (R14).
    fn note_refusal(
        &mut self,
        chance: &mut Chance,
        at: usize,
        call: usize,
        node: &NodeId,
        rejection: &Rejection,
    ) {
        let Order::Enroll { machine, key } = self.calls[call].order else { return };
        let (own, now) =
            (Caller::Journal(at, self.journals[at].incarnation), self.journals[at].clock(self.now));
        let principal = Principal::Journal(self.names.journals[at].clone());
        let stream = self.journals[at].streams.iter().find(|stream| stream.node == *node);
        if let (Rejection::AlreadyActive { .. }, Some(stream)) = (rejection, stream) {
            let presented = self.names.hardware[machine].clone();
            let contest = Contest { serial: stream.serial, key, presented, boot_id: None };
            let order = Order::Node(node.clone(), NodeOrder::Contest(contest));
            self.call(chance, own, order, principal.clone(), at);
        }
        let Some(reason) = rejection.noted() else { return };
        if chance.one_in(4) {
            let first = now.minus(Duration::from_secs(59));
            let attempts = RefusedAttempts { reason, first, last: now, count: 3, differing: vec![] };
            let order = Order::Node(node.clone(), NodeOrder::NoteRefused(attempts));
            self.call(chance, own, order, principal, at);
        }
    }
}

/// The certificate that a fact brings to a node.
fn brought(fact: &Fact) -> Option<(NodeId, Certificate)> {
    if let Fact::Node(id, node::Event::CertificateIssued { certificate, .. }) = fact {
        return Some((id.clone(), certificate.clone()));
    }
    None
}

/// A fact in few words.
pub fn in_words(fact: &Fact) -> String {
    let told = format!("{:?}", fact);
    told.chars().take(160).collect()
}
