//! The simulated domain: the log, journals, machines and operators, and the messages between them.
//!
//! One step does one small thing, chosen by the seed and the step's place alone. Others go on in their own files:
//! [`super::calls`] (what journals do with orders), [`super::quorum`], [`super::machines`], [`super::operators`].
//!
//! **Invariant:** the same seed and the same steps give the same history.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Arguments,
    sync::Arc,
    time::Duration,
};

use events::{
    append::{Append, Outcome},
    certificate::Certificate,
    vocabulary::{AppendId, CertificateHash, NodeId, Principal, Serial, Timestamp},
};

use super::{
    chance::Chance,
    fault::Fault,
    journal::Journal,
    log::Log,
    machines::Machine,
    mistake::Mistakes,
    names::{JOURNALS, MACHINES, Names},
    orders::{Order, Refused},
    quorum::Quorum,
};

/// Messages on their way, at most: of more, one is lost.
const MAX_MESSAGES: usize = 40;

/// Where a message goes, and what it says.
#[derive(Debug, Clone)]
pub enum Message {
    /// To a journal that is believed to lead: record this.
    Record {
        /// To.
        to: usize,
        /// From.
        from: usize,
        /// The process that sent it.
        incarnation: u64,
        /// The call that it belongs to.
        call: usize,
        /// The append.
        append: Arc<Append>,
    },
    /// From the leader: what became of it, and up to which fact to look.
    Told {
        /// To.
        to: usize,
        /// The process that asked.
        incarnation: u64,
        /// The call that it belongs to.
        call: usize,
        /// The append.
        append_id: AppendId,
        /// What became of it.
        outcome: Outcome,
        /// The last fact then.
        seq: u64,
    },
    /// To whoever called.
    Reply {
        /// The call.
        call: usize,
        /// What is answered.
        reply: Reply,
    },
}

/// What a caller is told.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It is so, by this fact at the latest. The append, if it took one.
    Done {
        /// The last fact.
        seq: u64,
        /// The append that did it.
        append: Option<AppendId>,
        /// The certificate that it brings.
        issued: Option<(NodeId, Certificate)>,
    },
    /// No.
    Refused(Refused),
    /// Nobody knows: ask again.
    Failed(&'static str),
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A machine, in its so manieth boot.
    Machine(usize, u64),
    /// An operator.
    Operator,
    /// A journal itself, in its so manieth process.
    Journal(usize, u64),
}

/// One call of a journal.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub by: Caller,
    /// What is ordered.
    pub order: Order,
    /// Who is answerable.
    pub principal: Principal,
    /// Which journal.
    pub at: usize,
    /// The facts of it, once an append of it is committed.
    pub recorded: Option<u64>,
    /// Whether the caller has heard.
    pub answered: bool,
}

/// See the module.
pub struct World {
    /// The seed.
    pub seed: u64,
    /// The step that is taken.
    pub step: u64,
    /// The true time.
    pub now: Timestamp,
    /// The names.
    pub names: Arc<Names>,
    /// What is committed.
    pub log: Log,
    /// Who leads, and what is not committed yet.
    pub quorum: Quorum,
    /// All that are or may once be.
    pub journals: Vec<Journal>,
    /// The machines.
    pub machines: Vec<Machine>,
    /// Messages on their way.
    pub messages: Vec<Message>,
    /// All calls.
    pub calls: Vec<Call>,
    /// The call that each append belongs to.
    pub appends: HashMap<AppendId, usize>,
    /// All certificates of nodes: the fact of each.
    pub issued: HashMap<CertificateHash, u64>,
    /// By node, the newest last.
    pub issued_to: BTreeMap<NodeId, Vec<(CertificateHash, Serial, u64)>>,
    /// Certificates of which somebody was told that they have ended: by which fact, and when it was told.
    pub ended: HashMap<Serial, (u64, Timestamp)>,
    /// Evicted journals whose certificates shall end.
    pub to_distrust: BTreeSet<usize>,
    /// Those of which it was said that nothing they signed is left.
    pub distrusted: BTreeSet<usize>,
    /// Names of journals that were never used.
    pub unused: usize,
    /// Mistakes that are made on purpose.
    pub mistakes: Mistakes,
    /// How often what happened.
    pub tally: BTreeMap<&'static str, u64>,
    /// What happened, if it is written down.
    pub history: RefCell<Option<Vec<String>>>,
}

/// What a step does, and how often beside the others.
const KINDS: [(Kind, usize); 10] = [
    (Kind::Deliver, 40),
    (Kind::Work, 32),
    (Kind::Lead, 24),
    (Kind::Apply, 16),
    (Kind::Hear, 10),
    (Kind::Machine, 22),
    (Kind::Operator, 7),
    (Kind::Tend, 8),
    (Kind::Time, 2),
    (Kind::Trouble, 1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deliver,
    Work,
    Lead,
    Apply,
    Hear,
    Machine,
    Operator,
    Tend,
    Time,
    Trouble,
}

impl World {
    /// A domain with three journals and one operator.
    ///
    /// # Errors
    /// If it cannot begin.
    pub fn new(seed: u64, names: Arc<Names>, mistakes: Mistakes) -> Result<Self, Fault> {
        let mut world = Self {
            seed,
            step: 0,
            now: Timestamp::from_millis(1_767_225_600_000),
            names,
            log: Log::default(),
            quorum: Quorum::default(),
            journals: (0..JOURNALS).map(|_| Journal::default()).collect(),
            machines: (0..MACHINES).map(|_| Machine::default()).collect(),
            messages: vec![],
            calls: vec![],
            appends: HashMap::new(),
            issued: HashMap::new(),
            issued_to: BTreeMap::new(),
            ended: HashMap::new(),
            to_distrust: BTreeSet::new(),
            distrusted: BTreeSet::new(),
            unused: 0,
            mistakes,
            tally: BTreeMap::new(),
            history: RefCell::new(None),
        };
        world.begin()?;
        Ok(world)
    }

    /// Takes one step.
    ///
    /// # Errors
    /// What must not be.
    pub fn take(&mut self, step: u64) -> Result<(), Fault> {
        self.step = step;
        let mut chance = Chance::new(self.seed, step);
        let mut at = chance.below(KINDS.iter().map(|(_, weight)| weight).sum());
        let mut kinds = KINDS.iter();
        let kind = kinds.find(|(_, weight)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        match kind.map_or(Kind::Work, |(kind, _)| *kind) {
            Kind::Deliver => self.deliver(&mut chance),
            Kind::Work => self.work(&mut chance),
            Kind::Lead => self.lead(&mut chance),
            Kind::Apply => self.apply_some(&mut chance),
            Kind::Hear => {
                self.hear(&mut chance);
                Ok(())
            }
            Kind::Machine => self.machine(&mut chance),
            Kind::Operator => self.operate(&mut chance),
            Kind::Tend => self.tend(&mut chance),
            Kind::Time => {
                self.pass_time(&mut chance);
                Ok(())
            }
            Kind::Trouble => {
                self.trouble(&mut chance);
                Ok(())
            }
        }
    }

    fn pass_time(&mut self, chance: &mut Chance) {
        let secs = match chance.below(200) {
            0..130 => chance.below(4),
            130..190 => 10 + chance.below(400),
            190..197 => 6 * 3600 + chance.below(3600),
            197..199 => 86_400 + chance.below(86_400),
            _ => 10 * 86_400,
        };
        self.now = self.now.plus(Duration::from_millis(secs as u64 * 1000 + chance.below(1000) as u64));
        self.say(format_args!("{secs} s pass: {}", self.now));
    }

    /// Puts a message on its way.
    pub fn send(&mut self, chance: &mut Chance, message: Message) {
        if self.messages.len() >= MAX_MESSAGES {
            let lost = chance.below(self.messages.len());
            self.messages.swap_remove(lost);
            self.count("message lost");
        }
        self.messages.push(message);
    }

    /// One message arrives: any of them, maybe once more later, or never.
    fn deliver(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        if self.messages.is_empty() {
            return self.work(chance);
        }
        let at = chance.below(self.messages.len());
        let message = if chance.one_in(10) {
            self.count("message twice");
            self.messages[at].clone()
        } else {
            self.messages.swap_remove(at)
        };
        if chance.one_in(12) {
            self.count("message lost");
            self.say(format_args!("lost: {}", brief(&message)));
            return self.missed(chance, message);
        }
        match message {
            Message::Record { to, from, incarnation, call, append } => {
                self.receive(chance, (to, from, incarnation), call, append);
                Ok(())
            }
            Message::Told { to, incarnation, call, append_id, outcome, seq } => {
                self.told(chance, (to, incarnation), call, append_id, &outcome, seq)
            }
            Message::Reply { call, reply } => self.replied(chance, call, reply),
        }
    }

    /// Applies what is committed at one of the journals.
    fn apply_some(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let seated = self.quorum.seated();
        let Some(at) = chance.pick(&seated) else { return Ok(()) };
        let most = if chance.one_in(3) { 64 } else { 2 };
        for _ in 0..most {
            if !self.apply_one(at)? {
                break;
            }
        }
        Ok(())
    }

    /// Applies the next entry at a journal, if it runs and there is one.
    pub fn apply_one(&mut self, at: usize) -> Result<bool, Fault> {
        let journal = &mut self.journals[at];
        if !journal.up || !journal.apply(&self.log, self.now, self.mistakes)? {
            return Ok(false);
        }
        self.say(format_args!(
            "{} has applied up to fact {}",
            self.names.journals[at], self.journals[at].views.seq
        ));
        let evicted = self.journals[at].views.members.is_evicted(&self.names.journals[at]);
        if evicted {
            self.journals[at].crash();
            self.journals[at].over = true;
            self.count("an evicted journal stopped");
            self.say(format_args!("{} knows that it is evicted, and stops", self.names.journals[at]));
        }
        Ok(!evicted)
    }

    /// Counts.
    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Writes down what happens, if somebody wants to read it.
    pub fn say(&self, what: Arguments<'_>) {
        if let Some(history) = self.history.borrow_mut().as_mut() {
            history.push(format!("step {}: {what}", self.step));
        }
    }

    /// Whether anybody reads what happens.
    pub fn is_told(&self) -> bool {
        self.history.borrow().is_some()
    }
}

/// A message in few words.
pub fn brief(message: &Message) -> String {
    match message {
        Message::Record { to, from, append, .. } => {
            format!("append {} from journal {from} to journal {to}", short(&append.append_id))
        }
        Message::Told { to, append_id, outcome, .. } => {
            format!("to journal {to}: append {} {outcome:?}", short(append_id))
        }
        Message::Reply { call, reply } => format!("reply to call {call}: {}", say_reply(reply)),
    }
}

/// The beginning of an id.
pub fn short(id: &AppendId) -> String {
    id.to_string().chars().take(6).collect()
}

/// A reply in few words.
pub fn say_reply(reply: &Reply) -> String {
    match reply {
        Reply::Done { seq, issued: None, .. } => format!("done by fact {seq}"),
        Reply::Done { seq, issued: Some((node, certificate)), .. } => {
            format!("certificate {} for {node} by fact {seq}", certificate.serial)
        }
        Reply::Refused(refused) => format!("{refused:?}"),
        Reply::Failed(why) => (*why).to_owned(),
    }
}
