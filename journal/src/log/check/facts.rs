//! Reads all facts of a log and folds them, on two threads: one reads, computes the chain again and decodes, the other folds
//! what the first one found sound. Each takes about half of the time of a start.
//!
//! [`super::check`] calls it. **Invariant:** facts are folded in their order, and none before its chain was checked.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use events::codec::{Chain, keys};
use events::fact::Record;
use events::level::Level;
use events::views::Views;
use events::vocabulary::Timestamp;

use super::super::errors::{Damage, OpenError, StartError, StoreError};
use super::super::store::state_machine::Tip;
use super::super::stored::StoredFounding;
use super::super::types::Position;
use super::{Pass, follow, founds};

/// So many facts are looked at before they are folded: what their folds look up is read for all of them at once.
const BATCH: usize = 32;
/// So many are handed over at once: to wake a thread costs as much as to fold some facts.
const HANDED: usize = 8 * BATCH;
/// So many times [`HANDED`] may wait to be folded; more would only take memory.
const WAITING: usize = 16;

/// What the facts of a log come to.
pub(super) struct Facts {
    /// All of them, folded.
    pub views: Views,
    /// Where they end.
    pub tip: Tip,
    /// In how many streams they lie, counted once for each.
    pub places: u64,
}

/// Facts on their way to the thread that folds.
type Handed = Vec<Box<Record>>;

impl<F: Fn(StoreError) -> OpenError + Sync> Pass<'_, F> {
    /// Reads and folds all facts.
    pub(super) fn facts(&self, founding: StoredFounding) -> Result<Facts, OpenError> {
        let (hand, handed) = sync_channel(WAITING);
        thread::scope(|scope| {
            let folder = thread::Builder::new().name("pact-fold".to_owned());
            let folding = folder.spawn_scoped(scope, move || fold_all(&handed));
            let folding = folding.map_err(|error| OpenError::Start(StartError::Thread(error)))?;
            // The sender goes with the call, and so the other thread ends.
            let read = self.read_facts(founding, hand);
            let views = folding.join().unwrap_or_else(|panic| resume_unwind(panic));
            read.map(|(tip, places)| Facts { views, tip, places })
        })
    }

    fn read_facts(
        &self,
        founding: StoredFounding,
        hand: SyncSender<Handed>,
    ) -> Result<(Tip, u64), OpenError> {
        let chain = Chain::start(founding.log_id, founding.domain_ca_sha256);
        let position = Position { seq: 0, chain };
        let mut tip = Tip { position, recorded_at: Timestamp::default(), level: Level::FIRST };
        let mut places = 0;
        let mut batch = Vec::with_capacity(HANDED);
        self.each(keys::FACTS, |key, value| {
            let record = follow(&mut tip, key, value)?;
            if record.seq == 1 && !founds(&record, &founding) {
                return Err(OpenError::Damaged(Damage::Founding));
            }
            places += record.streams.len() as u64;
            batch.push(record);
            if batch.len() == HANDED {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(HANDED));
                // Nobody takes it only if the other thread panicked, which the caller hears when it joins it.
                hand.send(full).ok();
            }
            Ok(())
        })?;
        hand.send(batch).ok();
        Ok((tip, places))
    }
}

fn fold_all(handed: &Receiver<Handed>) -> Views {
    let mut views = Views::default();
    for facts in handed {
        for batch in facts.chunks(BATCH) {
            views.look_ahead(batch.iter().map(Box::as_ref));
            batch.iter().for_each(|record| views.refold(record));
        }
    }
    views
}
