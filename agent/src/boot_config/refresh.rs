//! When to ask for the boot configuration again: the answer that a node holds, and what it was told since.
//!
//! [`crate::run`] tells it what the journal says and waits for its answers beside all else that may happen.
//!
//! Nothing is missed between the answer and the subscription, in whichever order they come: a subscription begins at
//! the seq of the answer that the node holds (0: none), and what changed after it is told at once. What the answer shows
//! already is not asked for again.
//!
//! Not here, on purpose: the connection. A fetch is lost with it, and begins again over the next.
//!
//! **Invariant:** at most one fetch is under way, and after a failed or an overtaken one the next waits.

use std::{fmt, future, pin::Pin};

use proto::{channel::Connection, outcome::Failure, pb::journal_message::Changed};
use tokio::time::{self, Instant};

use super::{BootConfig, fetch};
use crate::retry::{Backoff, Patience, Verdict, verdict};

type Fetch = Pin<Box<dyn Future<Output = Result<BootConfig, Failure>> + Send>>;

/// The boot configuration that a node holds, and how it gets the next.
#[derive(Default)]
pub struct Refresh {
    held: Held,
    under_way: Option<Fetch>,
    backoff: Backoff,
    /// When to ask, if there is something to ask for.
    not_before: Option<Instant>,
}

impl Refresh {
    /// What the node holds.
    pub fn held(&self) -> Option<&BootConfig> {
        self.held.config.as_ref()
    }

    /// A journal says that the configuration is another one.
    pub fn hear(&mut self, changed: &Changed) {
        self.held.hear(changed);
    }

    /// The connection is lost or replaced, and with it the fetch over it, which would keep it open.
    pub fn lost(&mut self) {
        self.under_way = None;
    }

    /// The next answer, as soon as there is something to ask for. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// As [`fetch`].
    pub async fn answer(&mut self, connection: &Connection) -> Result<BootConfig, Failure> {
        let under_way = match &mut self.under_way {
            Some(under_way) => under_way,
            none @ None => {
                if !self.held.is_due() {
                    future::pending::<()>().await;
                }
                if let Some(not_before) = self.not_before {
                    time::sleep_until(not_before).await;
                }
                let (connection, held) = (connection.clone(), self.held.config.clone());
                none.insert(Box::pin(
                    async move { fetch(&connection, held.as_ref(), Patience::ENDLESS).await },
                ))
            }
        };
        let answer = under_way.await;
        self.under_way = None;
        answer
    }

    /// Takes an answer. Gives it back if the node is configured by something else than before.
    ///
    /// # Errors
    /// With a failure that asking again does not mend.
    pub fn take(&mut self, answer: Result<BootConfig, Failure>) -> Result<Option<&BootConfig>, Failure> {
        let (told, another) = match answer {
            Ok(config) => (None, self.held.take(config)),
            Err(failure) => {
                let Verdict::Again(told) = verdict(&failure) else { return Err(failure) };
                let reason = failure.reason_text();
                tracing::warn!(reason, message = %failure, "no boot configuration yet");
                (told, false)
            }
        };
        if self.held.is_due() {
            self.not_before = Some(Instant::now() + self.backoff.after(told));
        } else {
            (self.backoff, self.not_before) = (Backoff::default(), None);
        }
        Ok(self.held.config.as_ref().filter(|_| another))
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("held", &self.held).finish_non_exhaustive()
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
