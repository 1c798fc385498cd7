//! One simulated journal: what its process knows and has under way, and what is left of it after a crash.
//!
//! **Invariant:** what it knows of the domain comes from committed entries alone, in their order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use events::{
    append::Append,
    authority::Announced,
    certificate::Certificate,
    stream::StreamName,
    views::{Standing, Views},
    vocabulary::{AuthorityId, CertificateHash, KeyHash, NodeId, Serial, Timestamp},
};

use super::{
    fault::Fault,
    log::Log,
    mistake::{Mistake, Mistakes},
};

/// Orders under way at one journal, at most: the rest hears that it is overloaded.
pub const MAX_WORK: usize = 8;
/// A journal that has heard nothing for longer serves nobody (R17).
pub const FRESH_FOR: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub struct Journal {
    /// Whether its process runs.
    pub up: bool,
    /// Whether it was told that it is evicted: it never comes back.
    pub over: bool,
    /// Counts its processes.
    pub incarnation: u64,
    /// How far its clock is from the true time, in milliseconds.
    pub clock_off: i64,
    /// Folded from the entries that it has applied.
    pub views: Views,
    /// How often each key was claimed, by the same entries.
    pub keys: HashMap<KeyHash, u64>,
    /// How many entries it has applied.
    pub applied: usize,
    /// When what it knows was last known to be all there is.
    pub fresh_at: Option<Timestamp>,
    /// Whom it believes to lead.
    pub leader: Option<usize>,
    /// The authority that its process signs with.
    pub authority: Option<Own>,
    /// The next one, on its way.
    pub next_authority: Option<Own>,
    /// When it last announced an authority and has not heard what became of that: it may still be recorded. Outlives a crash.
    pub open_announcement: Option<Timestamp>,
    /// Since when this process knows of authorities that nobody signs with any more.
    pub idle: BTreeMap<AuthorityId, Timestamp>,
    /// Orders under way.
    pub work: Vec<Work>,
    /// Open streams of nodes.
    pub streams: Vec<Stream>,
}

/// An authority whose key is in the process.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its name.
    pub id: AuthorityId,
    /// What is announced of it.
    pub announced: Announced,
}

/// An open stream of a machine.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Whose.
    pub machine: usize,
    /// Of which node, by the fact.
    pub node: NodeId,
    /// By which certificate.
    pub serial: Serial,
    /// The hash of its bytes.
    pub certificate: CertificateHash,
    /// Until when.
    pub until: Timestamp,
}

/// An order under way.
#[derive(Debug)]
pub struct Work {
    /// The call that brought it.
    pub call: usize,
    /// The node whose actor is busy with it.
    pub node: Option<NodeId>,
    /// How often it was decided.
    pub attempts: u8,
    /// Whether all that was recorded elsewhere is known here (R22).
    pub confirmed: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far an order is.
#[derive(Debug)]
pub enum Stage {
    /// To be decided on what is known now.
    Decide,
    /// To be decided once so many entries are applied (R22).
    Confirm(usize),
    /// Sent to the leader, and again, until somebody answers or it is given up.
    Sent {
        /// The same bytes each time.
        append: Arc<Append>,
        /// The certificate that the answer brings.
        issued: Option<(NodeId, Certificate)>,
        /// From then on it is given up.
        give_up: Timestamp,
    },
    /// Recorded; answered once this fact is applied here (R10).
    Recorded {
        /// The same as before: if this journal falls too far behind it is sent again.
        append: Arc<Append>,
        /// The certificate that the answer brings.
        issued: Option<(NodeId, Certificate)>,
        /// The last fact.
        seq: u64,
    },
    /// Somebody else was first: decided again once this fact is applied here (R7).
    Again(u64),
}

impl Journal {
    /// Its clock.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        let off = Duration::from_millis(self.clock_off.unsigned_abs());
        if self.clock_off < 0 { now.minus(off) } else { now.plus(off) }
    }

    /// Whether it may serve (R17).
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.fresh_at.is_some_and(|at| now.since(at) <= FRESH_FOR)
    }

    /// Whether its actor of a node is busy.
    pub fn is_busy(&self, node: &NodeId) -> bool {
        self.work.iter().any(|work| work.node.as_ref() == Some(node))
    }

    /// What a crash leaves: what is on its disk, and its clock.
    pub fn crash(&mut self) {
        self.up = false;
        self.fresh_at = None;
        self.leader = None;
        self.authority = None;
        self.next_authority = None;
        self.idle.clear();
        self.work.clear();
        self.streams.clear();
    }

    /// Applies the next entry, if there is one.
    ///
    /// # Errors
    /// If a stream is still open whose certificate is not good any more.
    pub fn apply(&mut self, log: &Log, now: Timestamp, mistakes: Mistakes) -> Result<bool, Fault> {
        let Some(entry) = log.entries.get(self.applied) else { return Ok(false) };
        self.applied += 1;
        let mut told = vec![];
        for record in &log.records[entry.records.clone()] {
            if mistakes.has(Mistake::SkipsAFact) && record.seq % 97 == 0 {
                continue;
            }
            for at in &record.streams {
                if let StreamName::Key(key) = &at.name {
                    self.keys.insert(*key, at.version);
                }
            }
            told.extend(self.views.fold(record).certificates);
        }
        if mistakes.has(Mistake::LeavesStreamsOpen) {
            told.clear();
        }
        let at = self.clock(now).max(self.views.recorded_at);
        self.look_at_streams(&told, at)?;
        Ok(true)
    }

    /// As the journal does: looks again at those of whom the fold told, and ends those whose time is over.
    fn look_at_streams(&mut self, told: &[CertificateHash], at: Timestamp) -> Result<(), Fault> {
        let views = &self.views;
        let until = |stream: &Stream| match views.standing(&stream.certificate, at) {
            Standing::Valid { until, .. } => Some(until),
            Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. } => None,
        };
        self.streams.retain_mut(|stream| {
            if told.contains(&stream.certificate) {
                match until(stream) {
                    Some(until) => stream.until = until,
                    None => return false,
                }
            }
            stream.until > at
        });
        match self.streams.iter().find(|stream| until(stream) != Some(stream.until)) {
            None => Ok(()),
            Some(open) => Err(Fault::new(
                "streams_end_with_their_certificates",
                format!("the stream of {} by {} is open and not good any more", open.node, open.serial),
            )),
        }
    }
}
