//! Whether the journal is ready, and if not, why: the one line that `/readyz` says.
//!
//! [`crate::journal`] turns it, [`super`] reads it, without waiting for anything.
//!
//! **Invariant:** what has ended does not become ready again, and the first reason for the end stays.

use std::sync::Arc;

use tokio::sync::watch;

use crate::log::Fitness;

/// How it stands with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It reads its log, or is not listening yet.
    Starting,
    /// It serves.
    Ready,
    /// It was asked to stop.
    Stopping,
    /// It cannot record anything any more (R3).
    LogUnwritable,
    /// A later release wrote what comes next in its log (R26).
    UpgradeNeeded,
    /// Nobody replaces its authority any more.
    AuthorityStuck,
    /// Nobody watches over its nodes any more.
    PresenceStuck,
    /// The quorum goes on without it.
    Evicted,
    /// It would serve, but was not proven up to date for too long (R17).
    Stale,
    /// It would serve, but its clock is the wrong one (R24).
    ClockSkewed,
}

impl Condition {
    /// In a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::LogUnwritable => "log unwritable",
            Self::UpgradeNeeded => "upgrade needed",
            Self::AuthorityStuck => "authority stuck",
            Self::PresenceStuck => "presence stuck",
            Self::Evicted => "evicted",
            Self::Stale => "stale: not heard of its quorum for too long",
            Self::ClockSkewed => "clock skew: more than 10 s from the other journals",
        }
    }

    /// The same, in view of what the quorum says of it at this moment.
    pub fn amid(self, fitness: Fitness) -> Self {
        match (self, fitness) {
            (Self::Ready, Fitness::Stale) => Self::Stale,
            // Why it does not get ready.
            (Self::Ready | Self::Starting, Fitness::Skewed) => Self::ClockSkewed,
            (
                Self::Ready
                | Self::Starting
                | Self::Stopping
                | Self::LogUnwritable
                | Self::UpgradeNeeded
                | Self::AuthorityStuck
                | Self::PresenceStuck
                | Self::Evicted
                | Self::Stale
                | Self::ClockSkewed,
                Fitness::Fit | Fitness::Stale | Fitness::Skewed,
            ) => self,
        }
    }

    fn is_the_end(self) -> bool {
        match self {
            Self::Starting | Self::Ready | Self::Stale | Self::ClockSkewed => false,
            Self::Stopping
            | Self::LogUnwritable
            | Self::UpgradeNeeded
            | Self::AuthorityStuck
            | Self::PresenceStuck
            | Self::Evicted => true,
        }
    }
}

/// See the module. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<Condition>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Condition::Starting)))
    }
}

impl Readiness {
    /// How it stands.
    pub fn condition(&self) -> Condition {
        *self.0.borrow()
    }

    /// It stands otherwise from now on.
    pub fn turn(&self, to: Condition) {
        self.0.send_if_modified(|condition| {
            let goes_on = !condition.is_the_end();
            if goes_on {
                *condition = to;
            }
            goes_on
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_17_a_stale_journal_is_not_ready_and_neither_is_one_with_a_wrong_clock() {
        use Condition::{ClockSkewed, Ready, Stale, Starting, Stopping};
        for (condition, fitness, told) in [
            (Ready, Fitness::Fit, Ready),
            (Ready, Fitness::Stale, Stale),
            (Ready, Fitness::Skewed, ClockSkewed),
            (Starting, Fitness::Stale, Starting),
            (Starting, Fitness::Skewed, ClockSkewed),
            (Stopping, Fitness::Stale, Stopping),
        ] {
            assert_eq!(condition.amid(fitness), told, "{condition:?} {fitness:?}");
        }
    }

    #[test]
    fn a_journal_that_ends_says_the_first_reason_and_is_never_ready_again() {
        let readiness = Readiness::default();
        assert_eq!(readiness.condition(), Condition::Starting);
        readiness.turn(Condition::Ready);
        assert_eq!(readiness.condition(), Condition::Ready);
        for later in [Condition::LogUnwritable, Condition::Stopping, Condition::Ready] {
            readiness.turn(later);
            assert_eq!(readiness.condition(), Condition::LogUnwritable);
        }
    }
}
