//! The machines: they boot, ask with one key until they are answered, use what they got, renew it, leave or fall silent.
//!
//! Some present the hardware of another machine.

use events::{
    certificate::Certificate,
    views::Standing,
    vocabulary::{KeyHash, NodeId, Principal},
};

use super::{
    chance::Chance,
    fault::Fault,
    journal::{FRESH_FOR, Stream},
    names::MACHINES,
    orders::{NodeOrder, Order},
    world::{Caller, World},
};

/// A machine.
#[derive(Debug, Default)]
pub struct Machine {
    /// Counts its boots.
    pub boot: u64,
    /// What it is at.
    pub phase: Phase,
    /// The call that it waits for.
    pub call: Option<usize>,
}

/// What a machine is at.
#[derive(Debug, Default)]
pub enum Phase {
    /// It is off.
    #[default]
    Off,
    /// It asks, with this key.
    Asking(KeyHash),
    /// It has a certificate, and maybe asks for the next one with this key.
    Up(Box<Up>),
}

/// A machine with a certificate.
#[derive(Debug)]
pub struct Up {
    node: NodeId,
    certificate: Certificate,
    next: Option<KeyHash>,
}

impl World {
    /// One machine does something.
    pub fn machine(&mut self, chance: &mut Chance) -> Result<(), Fault> {
        let which = chance.below(MACHINES);
        let seated = self.quorum.seated();
        let Some(at) = chance.pick(&seated) else { return Ok(()) };
        let answered = self.machines[which].call.is_none_or(|call| self.calls[call].answered);
        match &self.machines[which].phase {
            Phase::Off if chance.one_in(2) => {
                let key = chance.key();
                let machine = &mut self.machines[which];
                machine.boot += 1;
                machine.phase = Phase::Asking(key);
                self.enroll(chance, which, at, key);
            }
            Phase::Off => {}
            Phase::Asking(_) if chance.one_in(40) => self.turn_off(which, "loses its power"),
            // Whoever is not answered asks another journal, with the same key.
            Phase::Asking(key) if answered || chance.one_in(4) => {
                let key = *key;
                self.enroll(chance, which, at, key);
            }
            Phase::Asking(_) => {}
            Phase::Up(_) => return self.live(chance, which, at, answered),
        }
        Ok(())
    }

    fn enroll(&mut self, chance: &mut Chance, machine: usize, at: usize, key: KeyHash) {
        let by = Caller::Machine(machine, self.machines[machine].boot);
        let order = Order::Enroll { machine, key };
        self.machines[machine].call = self.call(chance, by, order, Principal::Anonymous, at);
    }

    fn live(&mut self, chance: &mut Chance, which: usize, at: usize, answered: bool) -> Result<(), Fault> {
        let machine = &self.machines[which];
        let (boot, Phase::Up(up)) = (machine.boot, &machine.phase) else { return Ok(()) };
        let (node, certificate, next) = (up.node.clone(), up.certificate.clone(), up.next);
        let due = self.now >= certificate.renew_after;
        let renews = if next.is_some() { answered || chance.one_in(4) } else { due || chance.one_in(6) };
        if chance.one_in(30) {
            self.turn_off(which, "loses its power");
            return Ok(());
        }
        if self.now >= certificate.not_after {
            self.turn_off(which, "has no certificate any more");
            return Ok(());
        }
        let by = Caller::Machine(which, boot);
        let principal = Principal::Node(node.clone());
        if chance.one_in(16) && self.lets_in(at, which)? {
            self.call(chance, by, Order::Node(node, NodeOrder::Goodbye(certificate.serial)), principal, at);
            self.turn_off(which, "says goodbye");
            return Ok(());
        }
        if renews && self.lets_in(at, which)? {
            let key = next.unwrap_or_else(|| chance.key());
            let order = Order::Node(node, NodeOrder::Renew(certificate.serial, key));
            let call = self.call(chance, by, order, principal, at);
            let machine = &mut self.machines[which];
            machine.call = call.or(machine.call);
            if let Phase::Up(up) = &mut machine.phase {
                up.next = Some(key);
            }
            return Ok(());
        }
        self.subscribe(chance, which, at)
    }

    /// Connects with the certificate, and stays connected; the first such call is the confirmation.
    fn subscribe(&mut self, chance: &mut Chance, which: usize, at: usize) -> Result<(), Fault> {
        let machine = &self.machines[which];
        let (boot, Phase::Up(up)) = (machine.boot, &machine.phase) else { return Ok(()) };
        let (node, serial, certificate) = (up.node.clone(), up.certificate.serial, up.certificate.sha256);
        if !self.lets_in(at, which)? {
            return Ok(());
        }
        let journal = &self.journals[at];
        let standing = journal.views.standing(&certificate, journal.clock(self.now));
        let Standing::Valid { until, .. } = standing else { return Ok(()) };
        for journal in &mut self.journals {
            journal.streams.retain(|stream| stream.machine != which);
        }
        let stream = Stream { machine: which, node: node.clone(), serial, certificate, until };
        self.journals[at].streams.push(stream);
        self.count("stream opened");
        self.say(format_args!("machine {which} has a stream of {node} at {}", self.names.journals[at]));
        let principal = Principal::Node(node.clone());
        let order = Order::Node(node, NodeOrder::Confirm(serial));
        self.call(chance, Caller::Machine(which, boot), order, principal, at);
        Ok(())
    }

    /// Whether a journal lets a machine in by its certificate (R10, R17); whoever is refused for good turns itself off.
    fn lets_in(&mut self, at: usize, which: usize) -> Result<bool, Fault> {
        let Phase::Up(up) = &self.machines[which].phase else { return Ok(false) };
        let (serial, hash) = (up.certificate.serial, up.certificate.sha256);
        if !self.journals[at].up || !self.serves(at) {
            return Ok(false);
        }
        let journal = &self.journals[at];
        match journal.views.standing(&hash, journal.clock(self.now)) {
            Standing::Valid { .. } => {}
            // Its fact may be on its way.
            Standing::Unknown => return Ok(false),
            Standing::Expired | Standing::Revoked | Standing::Replaced { .. } => {
                self.count("certificate refused");
                self.turn_off(which, "is refused");
                return Ok(false);
            }
        }
        let Some((seq, told_at)) = self.ended.get(&serial).copied() else { return Ok(true) };
        let knows = self.journals[at].views.seq >= seq;
        if knows || self.now.since(told_at) > FRESH_FOR {
            let message = format!(
                "{} lets machine {which} in by {serial}, which ended with fact {seq}; somebody was told so {} s ago",
                self.names.journals[at],
                self.now.since(told_at).as_secs()
            );
            return Err(Fault::new("what_ended_opens_nothing", message));
        }
        self.count("let in before the journal knew better");
        Ok(true)
    }

    fn turn_off(&mut self, which: usize, why: &str) {
        let machine = &mut self.machines[which];
        machine.phase = Phase::Off;
        machine.call = None;
        for journal in &mut self.journals {
            journal.streams.retain(|stream| stream.machine != which);
        }
        self.say(format_args!("machine {which} {why}"));
    }

    /// A machine got a certificate.
    pub fn given(&mut self, which: usize, boot: u64, node: NodeId, certificate: Certificate) {
        let machine = &mut self.machines[which];
        if machine.boot != boot {
            return;
        }
        let wanted = match &machine.phase {
            Phase::Off => None,
            Phase::Asking(key) => Some(*key),
            Phase::Up(up) => up.next,
        };
        // An answer that comes late is not for this question.
        if wanted == Some(certificate.spki_sha256) {
            machine.phase = Phase::Up(Box::new(Up { node, certificate, next: None }));
            machine.call = None;
        }
    }

    /// A machine's renewal was refused: its certificate is not the node's any more.
    pub fn refused(&mut self, which: usize, boot: u64) {
        let machine = &self.machines[which];
        if machine.boot == boot && matches!(machine.phase, Phase::Up(_)) {
            self.turn_off(which, "begins again");
        }
    }
}
