//! The views of the facts recorded so far, in memory, and who wants to hear what a fold changed.
//!
//! The state machine folds, everybody else reads. **Invariant:** what is folded in is in the store.

use std::borrow::Borrow;
use std::future::Future;

use events::append::Append;
use events::codec::Chain;
use events::fact::Record;
use events::level::{self, AboveLevel, Level};
use events::stream::{StreamName, StreamVersion};
use events::views::{Changed, Views};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use tokio::sync::watch;

use super::types::Position;
use crate::release::READS;

/// What the folds of so many facts look up is read for all of them at once, so that memory answers several questions in the
/// time of one.
const AHEAD: usize = 32;

/// Called with what a fold changed. May look into the views, may not listen anew.
pub(super) type Listener = Box<dyn Fn(&Changed) + Send + Sync>;

/// See the module.
pub(super) struct Folded {
    views: RwLock<Views>,
    /// Who folds now.
    turn: Mutex<()>,
    position: Mutex<Position>,
    listeners: RwLock<Vec<Listener>>,
    /// The last fact that is folded, for those who wait for one.
    reached: watch::Sender<u64>,
}

impl Folded {
    pub(super) fn new(views: Views, chain: Chain) -> Self {
        let position = Mutex::new(Position { seq: views.seq, chain });
        let reached = watch::Sender::new(views.seq);
        Self {
            views: RwLock::new(views),
            turn: Mutex::default(),
            position,
            listeners: RwLock::default(),
            reached,
        }
    }

    pub(super) fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.views.read()
    }

    /// Whether all members can read the facts of an append, as far as is known here: a level never falls, so what was
    /// admitted once stays so (R26).
    pub(super) fn admits(&self, append: &Append) -> Result<(), AboveLevel> {
        // What every release reads is most of what comes, and need not wait for the views.
        if append.facts.iter().all(|fact| fact.level() == Level::FIRST) {
            return Ok(());
        }
        append.facts.iter().try_for_each(|fact| level::legible(fact, READS))?;
        level::after_all(self.views().level, &append.facts).map(drop)
    }

    /// The append of this journal, which now also depends on what the journal knows of itself: whoever leads, and whatever
    /// that one knows yet, nothing is recorded of a journal that was evicted meanwhile (R1, R27). None: it was evicted.
    pub(super) fn vouched(&self, mut append: Append) -> Option<Append> {
        let name = StreamName::Journal(append.proposed_by.clone());
        let version = {
            let views = self.views();
            if views.members.is_evicted(&append.proposed_by) {
                return None;
            }
            views.members.get(&append.proposed_by).map_or(0, |row| row.version)
        };
        // Behind all others: a conflict in what was decided about is the one to be told.
        if append.expects.iter().all(|at| at.name != name) {
            append.expects.push(StreamVersion { name, version });
        }
        Some(append)
    }

    pub(super) fn position(&self) -> Position {
        *self.position.lock()
    }

    pub(super) fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// The next to fold, as soon as nobody else does. Whoever takes it while it has the state machine's lock may let go of that
    /// and still folds in the order of the facts.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn { folded: self, _of_order: self.turn.lock() }
    }

    /// Resolves when a fact is folded, and the listeners have heard of it.
    pub(super) fn reaches(&self, seq: u64) -> impl Future<Output = ()> + Send + 'static {
        let mut reached = self.reached.subscribe();
        async move {
            // It goes on as long as its sender, which the caller holds.
            let _ = reached.wait_for(|last| *last >= seq).await;
        }
    }
}

/// The right to fold, of which there is one.
pub(super) struct Turn<'a> {
    folded: &'a Folded,
    _of_order: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Folds the facts of one entry or piece, then tells the listeners. Readers see all of it or nothing.
    pub(super) fn fold<R: Borrow<Record>>(&self, records: &[R], position: Position) {
        let mut changed = Changed::default();
        {
            let mut views = self.folded.views.write();
            for batch in records.chunks(AHEAD) {
                views.look_ahead(batch.iter().map(Borrow::borrow));
                for record in batch {
                    changed.add(views.fold(record.borrow()));
                }
            }
            *self.folded.position.lock() = position;
        }
        // Behind the lock: a listener may look into the views.
        if changed != Changed::default() {
            self.folded.listeners.read().iter().for_each(|listener| listener(&changed));
        }
        self.folded.reached.send_replace(position.seq);
    }
}
