//! When to ask for the boot configuration again: the answer that a node holds, and what it was told since. Pure.
//!
//! [`crate::life`] tells it what the journal says and what comes of every fetch, and asks it whether the next is due.
//!
//! Nothing is missed between the answer and the subscription, in whichever order they come: a subscription begins at
//! the seq of the answer that the node holds (0: none), and what changed after it is told at once. What the answer shows
//! already is not asked for again.
//!
//! Not here, on purpose: the connection. A fetch is lost with it, and begins again over the next.
//!
//! **Invariant:** at most one fetch is under way, and after a failed or an overtaken one the next waits.

use std::time::Duration;

use proto::{outcome::Failure, pb::journal_message::Changed};

use super::BootConfig;
use crate::retry::{Backoff, Verdict, verdict};

/// The boot configuration that a node holds, and when it asks for the next. Times count from the begin of the life.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    held: Held,
    is_under_way: bool,
    backoff: Backoff,
    /// When to ask, if there is something to ask for.
    not_before: Option<Duration>,
}

/// What came of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The node is configured by something else than before.
    Another(BootConfig),
    /// The node is configured as before.
    Same,
    /// There will be another fetch.
    NotYet(Failure),
}

impl Refresh {
    /// What the node holds.
    pub(crate) fn held(&self) -> Option<&BootConfig> {
        self.held.config.as_ref()
    }

    /// A journal says that the configuration is another one.
    pub(crate) fn hear(&mut self, changed: &Changed) {
        self.held.hear(changed);
    }

    /// The connection is lost or replaced, and with it the fetch over it, which would keep it open.
    pub(crate) fn lost(&mut self) {
        self.is_under_way = false;
    }

    /// Begins a fetch, if there is something to ask for by now.
    pub(crate) fn begin(&mut self, now: Duration) -> bool {
        let begins = self.begins_at().is_some_and(|at| at <= now);
        self.is_under_way |= begins;
        begins
    }

    /// When the next fetch begins over an open connection.
    pub(crate) fn begins_at(&self) -> Option<Duration> {
        let is_due = !self.is_under_way && self.held.is_due();
        is_due.then(|| self.not_before.unwrap_or_default())
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// With a failure that asking again does not mend.
    pub(crate) fn take(
        &mut self,
        answer: Result<BootConfig, Failure>,
        now: Duration,
        random: u64,
    ) -> Result<Taken, Failure> {
        self.is_under_way = false;
        let (told, taken) = match answer {
            Ok(config) => {
                let taken = if self.held.take(config.clone()) { Taken::Another(config) } else { Taken::Same };
                (None, taken)
            }
            Err(failure) => {
                let Verdict::Again(told) = verdict(&failure) else { return Err(failure) };
                (told, Taken::NotYet(failure))
            }
        };
        if self.held.is_due() {
            self.not_before = Some(now + self.backoff.drawn(told, random));
        } else {
            (self.backoff, self.not_before) = (Backoff::default(), None);
        }
        Ok(taken)
    }
}

/// The rules, without time.
#[derive(Debug, Default)]
struct Held {
    config: Option<BootConfig>,
    /// An answer must show all facts up to this one.
    wanted: u64,
}

impl Held {
    /// Whether there is something to ask for.
    fn is_due(&self) -> bool {
        self.config.as_ref().is_none_or(|config| config.seq < self.wanted)
    }

    fn hear(&mut self, changed: &Changed) {
        match &mut self.config {
            // It went away and came back, or was told of twice: an overlay's revision never belongs to another.
            Some(config) if is_of(config, &changed.vcluster_id, changed.revision) => {
                config.seq = config.seq.max(changed.seq);
            }
            Some(_) | None => self.wanted = self.wanted.max(changed.seq),
        }
    }

    /// Whether the node is configured by something else than before. An answer that is older than what was heard since
    /// counts for nothing.
    fn take(&mut self, config: BootConfig) -> bool {
        let name = config.vcluster.as_ref().map_or("", |vcluster| vcluster.as_str());
        let same = match &self.config {
            Some(held) if config.seq < held.seq => return false,
            Some(held) => is_of(held, name, config.revision),
            None => false,
        };
        self.config = Some(config);
        !same
    }
}

fn is_of(config: &BootConfig, vcluster_id: &str, revision: u64) -> bool {
    config.revision == revision && config.vcluster.as_ref().map_or("", |own| own.as_str()) == vcluster_id
}

#[cfg(test)]
mod tests;
