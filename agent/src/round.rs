//! One round of journals: connects to one after another, and beside one that stalls to the next (R19).
//!
//! [`crate::enroll`] and [`crate::run`] go through a round, make one call over each connection that they are given, and say
//! what came of it. A journal that is black-holed, or stands still, costs a second and not the time that a connection may
//! take. A journal that is only busy is stalled too: it drops who has gone before any cryptography, so that trying another
//! beside it costs it little.
//!
//! Not here, on purpose: what is called. **Only connections are made side by side**; whoever has got one makes one call
//! at a time, so that no Enroll, RenewCert or goodbye is under way twice.
//!
//! **Invariant:** at most [`AT_ONCE`] connections are being made; one that is not the first to stand is dropped.

use std::{collections::VecDeque, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pem_file::Credential,
};
use tokio::time::{self, Instant};

use crate::{
    journals::{Journals, Preference},
    retry::{Patience, ends_the_round, most_telling},
};

/// How long one connection may take: in a storm it waits in the kernel's backlog (R21).
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection that does not stand by then has stalled: TCP and TLS take milliseconds, an idle journal microseconds (R19).
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// A quorum of five serves while two of it are lost: one of three journals serves.
const AT_ONCE: usize = 3;

/// See the module.
pub(crate) struct Round<'a> {
    journals: &'a Journals,
    credential: Option<&'a Credential>,
    patience: Patience,
    /// Those that did not answer yet.
    waiting: VecDeque<JournalAddress>,
    kept: Option<Failure>,
}

impl<'a> Round<'a> {
    /// Of all journals, each once. Without a credential no certificate is shown.
    pub(crate) fn new(
        journals: &'a Journals,
        preference: Preference<'_>,
        credential: Option<&'a Credential>,
        patience: Patience,
    ) -> Self {
        Self { journals, credential, patience, waiting: journals.in_order(preference), kept: None }
    }

    /// Connects to the next journal that lets itself be connected to. `None`: each was tried.
    ///
    /// # Errors
    /// With a failure that ends the round.
    pub(crate) async fn connect(&mut self) -> Result<Option<Connection>, Failure> {
        let Self { journals, credential, patience, .. } = *self;
        let open = |address: JournalAddress| async move {
            let within = patience.within(CONNECT_WITHIN);
            let opened = Connection::open(&address, &journals.trust, credential, within).await;
            opened.map_err(Failure::from)
        };
        first_to_stand(&mut self.waiting, &mut self.kept, open).await
    }

    /// What came of a connection.
    ///
    /// # Errors
    /// With the failure, if it ends the round.
    pub(crate) fn keep(&mut self, failure: Failure) -> Result<(), Failure> {
        if ends_the_round(&failure) {
            return Err(failure);
        }
        self.kept = Some(most_telling(self.kept.take(), failure));
        Ok(())
    }

    /// What is told of a round in which no journal served.
    pub(crate) fn ended(self) -> Failure {
        self.kept.unwrap_or_else(|| Failure::Usage("no journal is given".to_owned()))
    }
}

/// When the next journal is tried: at once if no try is under way, else when all that are have stalled. `None`: not
/// before one of them has failed.
fn next_try(under_way: usize, last_began: Option<Instant>, now: Instant) -> Option<Instant> {
    match last_began {
        Some(last_began) if under_way > 0 => (under_way < AT_ONCE).then(|| last_began + STALLED_AFTER),
        Some(_) | None => Some(now),
    }
}

/// The first connection that stands. The others that were being made are dropped, and their journals come last in what
/// waits; those that failed are not tried again.
async fn first_to_stand<A, T, F>(
    waiting: &mut VecDeque<A>,
    kept: &mut Option<Failure>,
    open: impl Fn(A) -> F,
) -> Result<Option<T>, Failure>
where
    A: Clone + PartialEq,
    F: Future<Output = Result<T, Failure>>,
{
    let mut tries = FuturesUnordered::new();
    let mut under_way: Vec<(A, Instant)> = Vec::new();
    let first = loop {
        let (now, last_began) = (Instant::now(), under_way.iter().map(|(_, began)| *began).max());
        let next = next_try(under_way.len(), last_began, now).filter(|_| !waiting.is_empty());
        tokio::select! {
            biased;
            Some((address, opened)) = tries.next() => {
                under_way.retain(|(other, _)| *other != address);
                match opened {
                    Ok(opened) => break Ok(Some(opened)),
                    Err(failure) if ends_the_round(&failure) => break Err(failure),
                    Err(failure) => *kept = Some(most_telling(kept.take(), failure)),
                }
            }
            () = time::sleep_until(next.unwrap_or(now)), if next.is_some() => {
                if let Some(address) = waiting.pop_front() {
                    under_way.push((address.clone(), Instant::now()));
                    let opened = open(address.clone());
                    tries.push(async move { (address, opened.await) });
                }
            }
            else => break Ok(None),
        }
    };
    waiting.extend(under_way.into_iter().map(|(stalled, _)| stalled));
    first
}

#[cfg(test)]
mod tests;
