//! What is seen of the journals from outside: whether they are ready, who leads, the term, the last fact; read again and
//! again from their probes.
//!
//! [`crate::chaos`] runs [`Watch::run`] beside the load. The oracles look at what is kept: the terms.
//!
//! **Invariant:** what one answer says is of one moment of one process.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time;

use super::{history::History, member::Member};
use crate::journal_metrics;

/// A journal is asked so often.
const EVERY: Duration = Duration::from_millis(150);
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A journal's word of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it was asked.
    pub at: Duration,
    /// The process, told apart from the journal's other lives.
    pub pid: u32,
    /// Raft's term.
    pub term: u64,
    /// Whether it leads.
    pub leads: bool,
    /// Its last fact.
    pub last_seq: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    journals: Vec<Mutex<Vec<Seen>>>,
}

impl Watch {
    /// Of these journals.
    pub fn of(members: &[Arc<Member>]) -> Self {
        Self { journals: members.iter().map(|_| Mutex::default()).collect() }
    }

    /// Asks one journal for ever.
    pub async fn run(self: Arc<Self>, nth: usize, member: Arc<Member>, history: Arc<History>) {
        loop {
            let (at, pid) = (history.now(), member.pid());
            if let Some(pid) = pid
                && let Some(seen) = ask(member.http, at, pid).await
                && member.pid() == Some(pid)
            {
                let mut all = self.journals[nth].lock().expect("nobody panics while it is held");
                // Only what is new: a run has thousands of looks.
                let same = |last: &Seen| (last.pid, last.term, last.leads) == (pid, seen.term, seen.leads);
                match all.last_mut().filter(|last| same(last)) {
                    Some(last) => (last.last_seq, last.at) = (seen.last_seq, seen.at),
                    None => all.push(seen),
                }
            }
            time::sleep(EVERY).await;
        }
    }

    /// Who leads, as far as is known: of those who say so the one in the latest term.
    pub fn leader(&self) -> Option<usize> {
        let last = |nth: usize| {
            self.seen(nth).last().copied().filter(|seen| seen.leads).map(|seen| (seen.term, nth))
        };
        (0..self.journals.len()).filter_map(last).max().map(|(_, nth)| nth)
    }

    /// All that a journal said, without repetitions.
    pub fn seen(&self, nth: usize) -> Vec<Seen> {
        self.journals[nth].lock().expect("nobody panics while it is held").clone()
    }
}

async fn ask(http: SocketAddr, at: Duration, pid: u32) -> Option<Seen> {
    let text = time::timeout(ANSWERED_WITHIN, journal_metrics::text(http)).await.ok()?.ok()?;
    let value = |name| journal_metrics::value(&text, name);
    Some(Seen {
        at,
        pid,
        term: value("pact_raft_term")?,
        leads: value("pact_raft_is_leader")? > 0,
        last_seq: value("pact_log_last_seq")?,
    })
}

/// Whether a journal says that it is ready.
pub async fn is_ready(http: SocketAddr) -> bool {
    matches!(time::timeout(ANSWERED_WITHIN, journal_metrics::readiness(http)).await, Ok(Ok(true)))
}

/// A journal's last fact.
pub async fn last_seq(http: SocketAddr) -> Option<u64> {
    let text = time::timeout(ANSWERED_WITHIN, journal_metrics::text(http)).await.ok()?.ok()?;
    journal_metrics::value(&text, "pact_log_last_seq")
}
