//! The goodbye of an agent that is stopped, whatever it was doing (R19).
//!
//! An open stream says it. Without one, or if that does not work any more, each journal is tried once over a fresh
//! connection ([`crate::round`]): one may be back, or another may serve.
//!
//! Not here, on purpose: patience. If no journal takes it in time, the grace period ends the node's activity.
//!
//! **Invariant:** it never takes longer than [`GOODBYE_WITHIN`].

use std::time::Duration;

use proto::{channel::Connection, outcome::Failure};
use tokio::time::{self, Instant};

use super::GOODBYE_WITHIN;
use crate::{
    answer::Identity,
    journals::{Journals, Preference},
    machine::Machine,
    retry::Patience,
    round::Round,
    subscription::Subscription,
};

/// How much of the time an open stream gets. What is left is for a fresh connection.
const ON_THE_STREAM_WITHIN: Duration = Duration::from_secs(3);

/// What a goodbye over a fresh connection needs.
pub(super) struct Farewell<'a> {
    pub(super) journals: &'a Journals,
    pub(super) machine: &'a Machine,
    pub(super) identity: &'a Identity,
    /// No news are wanted.
    pub(super) from_seq: u64,
}

/// Says goodbye. Answers whether a journal has taken it: it has ended the stream, and without an error.
pub(super) async fn say(open: Option<Subscription>, anew: Option<Farewell<'_>>) -> bool {
    let until = Instant::now() + GOODBYE_WITHIN;
    if let Some(open) = open {
        match open.goodbye(ON_THE_STREAM_WITHIN).await {
            Ok(()) => return true,
            Err(failure) => tell(&failure),
        }
    }
    let Some(anew) = anew else { return false };
    match time::timeout_at(until, anew.anywhere(until)).await {
        Ok(taken) => taken,
        Err(_) => {
            tell(&Failure::Deadline("no journal answered in time".to_owned()));
            false
        }
    }
}

fn tell(failure: &Failure) {
    tracing::warn!(reason = failure.reason_text(), message = %failure, "no journal took the goodbye");
}

impl Farewell<'_> {
    /// At the first journal that takes it.
    async fn anywhere(&self, until: Instant) -> bool {
        let patience = Patience::of(until.saturating_duration_since(Instant::now()));
        match self.somewhere(patience).await {
            Ok(()) => true,
            Err(failure) => {
                tell(&failure);
                false
            }
        }
    }

    async fn somewhere(&self, patience: Patience) -> Result<(), Failure> {
        let credential = Some(&self.identity.credential);
        let mut round = Round::new(self.journals, Preference::Any, credential, patience);
        while let Some(connection) = round.connect().await? {
            match self.over(connection, patience).await {
                Ok(()) => return Ok(()),
                Err(failure) => round.keep(failure)?,
            }
        }
        Err(round.ended())
    }

    async fn over(&self, connection: Connection, patience: Patience) -> Result<(), Failure> {
        let fresh = Subscription::over(connection, self.machine, self.from_seq, patience).await?;
        fresh.goodbye(patience.within(GOODBYE_WITHIN)).await
    }
}
