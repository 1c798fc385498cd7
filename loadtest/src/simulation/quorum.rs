//! Who leads, what waits to be recorded, and what becomes of it: the promises of Raft, without its messages.
//!
//! One entry is under way at a time. It is committed while most of the voters run, or its leader is lost before: then the
//! next one may have it and commit it, or not, or it turns up again later, as long as nothing else was committed in its place.
//!
//! **Invariant:** a leader has every entry that was ever committed; it need not have applied it.

use std::sync::Arc;

use events::{
    append::{Append, Outcome},
    codec::{decode_body, encode_body},
    fact::Fact,
    node,
    views::{Standing, Views},
};

use super::{
    chance::Chance,
    fault::Fault,
    log::Entry,
    mistake::Mistake,
    world::{Message, World, short},
};

/// Whose clock is further off does not lead (R24), in milliseconds.
const MAX_SKEW: u64 = 10_000;
/// Appends of one entry.
const MAX_APPENDS: usize = 6;

/// An append at the leader, and who waits for it.
#[derive(Debug, Clone)]
pub struct Queued {
    append: Arc<Append>,
    from: usize,
    incarnation: u64,
    call: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Quorum {
    /// Who leads.
    pub leader: Option<usize>,
    /// Who votes.
    pub voters: Vec<usize>,
    /// Who gets all entries and does not vote yet.
    pub learners: Vec<usize>,
    queue: Vec<Queued>,
    /// The entry under way.
    flight: Option<(Entry, Vec<Queued>)>,
    /// What a lost leader had written, and how many entries were committed before.
    left: Option<(usize, Entry)>,
}

impl Quorum {
    /// Who gets entries.
    pub fn seated(&self) -> Vec<usize> {
        self.voters.iter().chain(&self.learners).copied().collect()
    }

    /// Whether a journal has a seat.
    pub fn has(&self, journal: usize) -> bool {
        self.voters.contains(&journal) || self.learners.contains(&journal)
    }

    /// The leader is lost, and with it whatever waited there.
    pub fn fall(&mut self, committed: usize) {
        self.leader = None;
        self.queue.clear();
        if let Some((entry, _)) = self.flight.take() {
            self.left = Some((committed, entry));
        }
    }
}

impl World {
    /// Whether most of the voters run.
    pub fn most_run(&self) -> bool {
        let voters = &self.quorum.voters;
        voters.iter().filter(|at| self.journals[**at].up).count() * 2 > voters.len()
    }

    /// Whether a leader would confirm to a journal what is committed.
    pub fn quorum_answers(&self, at: usize) -> bool {
        self.quorum.leader.is_some_and(|leader| self.journals[leader].up)
            && self.most_run()
            && self.quorum.has(at)
    }

    /// The leader takes an append, if it leads; from whoever has no seat any more it takes none (R27).
    pub fn receive(
        &mut self,
        chance: &mut Chance,
        (to, from, incarnation): (usize, usize, u64),
        call: usize,
        append: Arc<Append>,
    ) {
        if self.quorum.leader != Some(to) || !self.journals[to].up {
            return;
        }
        let evicted = self.journals[to].views.members.is_evicted(&self.names.journals[from]);
        if evicted && !self.quorum.has(from) {
            self.count("an append of an evicted journal");
            return;
        }
        if self.mistakes.has(Mistake::AnswersBeforeCommit) {
            let first_seq = self.log.views().seq + 1;
            let last_seq = first_seq + append.facts.len() as u64 - 1;
            let (append_id, outcome) = (append.append_id, Outcome::Committed { first_seq, last_seq });
            let told = Message::Told { to: from, incarnation, call, append_id, outcome, seq: last_seq };
            self.send(chance, told);
        }
        self.quorum.queue.push(Queued { append, from, incarnation, call });
    }

    /// What happens at the leader: an election, an entry, its commit.
    pub fn lead(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let leader = self.quorum.leader.filter(|leader| self.journals[*leader].up);
        let Some(leader) = leader else {
            self.quorum.fall(self.log.entries.len());
            return self.elect(chance);
        };
        if self.quorum.flight.is_some() {
            if !self.most_run() || chance.one_in(5) {
                return Ok(());
            }
            let Some((entry, asked)) = self.quorum.flight.take() else { return Ok(()) };
            return self.commit(chance, leader, &entry, asked);
        }
        if self.quorum.queue.is_empty() {
            return Ok(());
        }
        let many = (1 + chance.below(MAX_APPENDS)).min(self.quorum.queue.len());
        let asked: Vec<Queued> = self.quorum.queue.drain(..many).collect();
        let appends = asked.iter().map(|queued| Arc::clone(&queued.append)).collect();
        let stamp = self.journals[leader].clock(self.now);
        if self.is_told() {
            let ids: Vec<String> = asked.iter().map(|queued| short(&queued.append.append_id)).collect();
            self.say(format_args!("{} writes an entry of {ids:?} at {stamp}", self.names.journals[leader]));
        }
        self.quorum.flight = Some((Entry { stamp, appends }, asked));
        Ok(())
    }

    fn elect(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let fit = |at: &usize| {
            let journal = &self.journals[*at];
            journal.up && journal.clock_off.unsigned_abs() <= MAX_SKEW
        };
        let fit: Vec<usize> = self.quorum.voters.iter().copied().filter(fit).collect();
        let Some(leader) = chance.pick(&fit).filter(|_| self.most_run()) else { return Ok(()) };
        self.quorum.leader = Some(leader);
        self.journals[leader].leader = Some(leader);
        self.count("leader elected");
        self.say(format_args!(
            "{} leads, having applied {} of {} entries",
            self.names.journals[leader],
            self.journals[leader].applied,
            self.log.entries.len()
        ));
        let Some((before, entry)) = self.quorum.left.take() else { return Ok(()) };
        if before != self.log.entries.len() {
            return Ok(());
        }
        match chance.below(4) {
            0 | 1 => {
                self.count("entry survives its leader");
                self.commit_entry(&entry)
            }
            2 => {
                self.quorum.left = Some((before, entry));
                Ok(())
            }
            _ => {
                self.count("entry lost with its leader");
                self.say(format_args!("the entry of the lost leader is lost"));
                Ok(())
            }
        }
    }

    fn commit(
        &mut self,
        chance: &mut Chance,
        leader: usize,
        entry: &Entry,
        asked: Vec<Queued>,
    ) -> Result<(), Fault> {
        self.commit_entry(entry)?;
        while self.journals[leader].applied < self.log.entries.len() {
            if !self.apply_one(leader)? {
                break;
            }
        }
        let outcomes = self.log.entries.last().map(|applied| applied.outcomes.clone()).unwrap_or_default();
        let seq = self.log.views().seq;
        for (queued, outcome) in asked.into_iter().zip(outcomes) {
            let Queued { append, from, incarnation, call } = queued;
            let append_id = append.append_id;
            if from == leader {
                self.told(chance, (from, incarnation), call, append_id, &outcome, seq)?;
            } else {
                self.send(chance, Message::Told { to: from, incarnation, call, append_id, outcome, seq });
            }
        }
        Ok(())
    }

    /// Commits an entry, and looks at all that it brings.
    pub fn commit_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        let before = self.log.records.len();
        let fault = self.log.commit(entry, self.mistakes).into_iter().next();
        if self.is_told() {
            let outcomes = self.log.entries.last().map(|applied| format!("{:?}", applied.outcomes));
            self.say(format_args!("an entry is committed: {}", outcomes.unwrap_or_default()));
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        let mut last = None;
        for at in before..self.log.records.len() {
            let id = self.log.records[at].append_id;
            if last != Some(id) {
                self.note_recorded(at)?;
            }
            last = Some(id);
            self.note_issued(at)?;
        }
        Ok(())
    }

    /// Whatever a call wants is recorded once (R7).
    fn note_recorded(&mut self, at: usize) -> Result<(), Fault> {
        let (id, seq) = (self.log.records[at].append_id, self.log.records[at].seq);
        let Some(call) = self.appends.get(&id).copied() else { return Ok(()) };
        self.count("append recorded");
        if let Some(first) = self.calls[call].recorded.replace(seq) {
            let message = format!("call {call} is recorded as fact {first} and as fact {seq}");
            return Err(Fault::new("a_call_is_recorded_once", message));
        }
        Ok(())
    }

    fn note_issued(&mut self, at: usize) -> Result<(), Fault> {
        let record = &self.log.records[at];
        let Fact::Node(id, node::Event::CertificateIssued { certificate, .. }) = &record.fact else {
            return Ok(());
        };
        let (certificate, id, seq) = (certificate.clone(), id.clone(), record.seq);
        self.count("certificate issued");
        self.issued.insert(certificate.sha256, seq);
        let views = self.log.views();
        let signer = views.authorities.get(&certificate.authority).and_then(|known| known.state.announced());
        let signer = signer.and_then(|announced| self.names.journal(&announced.journal_id));
        if signer.is_some_and(|journal| self.distrusted.contains(&journal)) {
            let message = format!("fact {seq} is signed by an evicted journal of which nothing was left");
            return Err(Fault::new("evicted_journals_sign_no_more", message));
        }
        let issued = self.issued_to.entry(id.clone()).or_default();
        issued.push((certificate.sha256, certificate.serial, seq));
        let valid = |hash| matches!(self.log.views().standing(hash, self.now), Standing::Valid { .. });
        let valid = issued.iter().rev().take(6).filter(|(hash, ..)| valid(hash)).count();
        if valid > 2 {
            let message = format!("{valid} certificates of {id} are good after fact {seq}");
            return Err(Fault::new("two_certificates_at_most", message));
        }
        Ok(())
    }

    /// Some journals hear of their leader, and whether they know all there is (R17).
    pub fn hear(&mut self, chance: &mut Chance) {
        for at in self.quorum.seated() {
            if chance.one_in(3) || !self.journals[at].up || !self.quorum_answers(at) {
                continue;
            }
            let journal = &mut self.journals[at];
            journal.leader = self.quorum.leader;
            if journal.applied == self.log.entries.len() {
                journal.fresh_at = Some(self.now);
            }
        }
    }

    /// Crashes, starts, lost leaders and wrong clocks.
    pub fn trouble(&mut self, chance: &mut Chance) {
        let seated = self.quorum.seated();
        let Some(at) = chance.pick(&seated) else { return };
        match chance.below(8) {
            0..3 => {
                if self.journals[at].up {
                    self.count("journal crashed");
                    self.say(format_args!("{} crashes", self.names.journals[at]));
                    self.journals[at].crash();
                    if self.quorum.leader == Some(at) {
                        self.quorum.fall(self.log.entries.len());
                    }
                }
            }
            3..6 => {
                self.count("leader lost");
                self.say(format_args!("nobody leads any more"));
                self.quorum.fall(self.log.entries.len());
            }
            _ => {
                let most: usize = if chance.one_in(4) { 150_000 } else { 6000 };
                let off = chance.below(2 * most + 1) as i64 - most as i64;
                self.journals[at].clock_off = off;
                self.count("clock set");
                self.say(format_args!("the clock of {} is {off} ms off", self.names.journals[at]));
            }
        }
    }

    /// Starts a journal that is down, with what it had on disk.
    pub fn start(&mut self, at: usize) {
        let journal = &mut self.journals[at];
        if journal.up || journal.over {
            return;
        }
        journal.up = true;
        journal.incarnation += 1;
        self.count("journal started");
        self.say(format_args!("{} starts", self.names.journals[at]));
    }

    /// The views of a journal are a fold of the stored bytes, from the first fact on.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_views(&self, at: usize) -> Result<(), Fault> {
        let journal = &self.journals[at];
        let entries = self.log.entries[..journal.applied].last();
        let records = &self.log.records[..entries.map_or(0, |entry| entry.records.end)];
        let mut folded = Views::default();
        for record in records {
            let read = encode_body(record).ok().and_then(|body| decode_body(&body).ok());
            match read {
                Some(read) if read == *record => folded.refold(&read),
                Some(_) | None => {
                    return Err(Fault::new(
                        "stored_bytes_suffice",
                        format!("fact {} is not read back", record.seq),
                    ));
                }
            }
        }
        if folded == journal.views {
            return Ok(());
        }
        let message =
            format!("the views of {} are no fold of its {} facts", self.names.journals[at], records.len());
        Err(Fault::new("views_are_folds", message))
    }
}
