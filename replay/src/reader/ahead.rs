//! Facts read on a thread of their own, ahead of whoever checks them: reading, the chain and decoding are about as much work
//! as folding and the invariants, and so a log takes half of the time where there are two processors.
//!
//! [`crate::verify`] calls it. Not here, on purpose: what is looked at in a fact ([`super::Facts`]).
//!
//! **Invariant:** facts come in their order and each once; at most [`WAITING`] + 2 times [`HANDED`] of them wait, and of large
//! ones as many MiB; what was given back is used before new memory is taken.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::{Entry, LogError, ReadError, Reader};

/// So many facts are handed over at once: to wake a thread costs as much as to check some facts.
const HANDED: usize = 256;
/// So many times as many may wait; more would only take memory.
const WAITING: usize = 8;

/// The next facts, and why there are no more of them, if reading failed behind them.
type Handed = (Vec<Entry>, Result<(), ReadError>);

/// The facts of a log, as they come from the thread that reads them.
pub(crate) struct Ahead {
    handed: Receiver<Handed>,
    checked: Sender<Vec<Entry>>,
}

impl Ahead {
    /// The next facts, and why there are no more of them, if reading failed behind them. None: those were the last.
    pub(crate) fn next(&self) -> Option<Handed> {
        self.handed.recv().ok()
    }

    /// Gives facts back to the thread that made them: there their memory is freed for less, and used again.
    pub(crate) fn give_back(&self, facts: Vec<Entry>) {
        // Nobody takes them once all are read.
        self.checked.send(facts).ok();
    }
}

impl Reader {
    /// Reads all facts on another thread, of remarks the hashes only, and gives them to `check`. Ends when both have.
    ///
    /// # Errors
    /// If no thread can be had.
    pub(crate) fn read_ahead<T>(&self, check: impl FnOnce(&Ahead) -> T) -> Result<T, LogError> {
        thread::scope(|scope| {
            let ((hand, handed), (checked, used)) = (sync_channel(WAITING), channel());
            let ahead = Ahead { handed, checked };
            let reading = thread::Builder::new().name("pact-read".to_owned());
            let reading = reading.spawn_scoped(scope, move || self.hand_all(&hand, &used));
            let reading = reading.map_err(LogError::Thread)?;
            let checked = check(&ahead);
            // Who still reads finds nobody there.
            drop(ahead);
            reading.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok(checked)
        })
    }

    fn hand_all(&self, hand: &SyncSender<Handed>, used: &Receiver<Vec<Entry>>) {
        let mut facts = self.facts().without_texts();
        loop {
            let mut batch = used.try_recv().unwrap_or_else(|_| Vec::with_capacity(HANDED));
            let read = facts.next_batch(&mut batch, HANDED);
            let is_last = !matches!(read, Ok(true));
            if hand.send((batch, read.map(|_| ()))).is_err() || is_last {
                return;
            }
        }
    }
}
