//! Each source's share of the connections that are accepted and not served yet, and of the handshakes (R21, stage one).
//!
//! `grpc`'s acceptor asks for a [`Doorstep`] after each accept, and for a turn before each handshake. Only sources that
//! hold a place are remembered, about 300 bytes each.
//!
//! What becomes of a connection whose source has its share was weighed. The kernel's backlog is one line for all: to
//! leave a connection there, the acceptor must stop taking any, and those behind it wait, whoever they are. To close it
//! hurts nobody else; but in a storm from one address (NAT) all would be closed and come back, each time with a new
//! connection and a longer wait, and known callers must be paced, not limited (measured on a crowded machine: twice the
//! time for the whole storm). The difference is whether the source's own connections get anywhere. So the acceptor
//! waits for one of them to make room, as it waits when all places are taken: in a storm that is a moment. It closes
//! newcomers of a source at once if most of its last connections were silent or slow until a deadline, or if none made
//! room for [`STALL`] looks. What one source can cost others is that wait, and again only after one of its
//! places has come free.
//!
//! **Invariant:** no source holds more than its share, and the acceptor waits for none that gets nowhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::source::Source;
use super::visitors::share;

/// Looks for a free place, [`LOOK`] apart, before a source counts as stalled: three seconds in all, longer than it takes
/// until an idle connection makes room in the lobby. Counted in looks, not by a clock: a journal that was stopped or
/// starved itself for seconds has not looked, and nobody else is to blame.
const STALL: usize = 30;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Connections of a source that its record speaks of, at most.
const REMEMBERED: u32 = 16;

/// See the module.
#[derive(Debug)]
pub struct Sources {
    pending: usize,
    handshakes: usize,
    stall: usize,
    present: Mutex<HashMap<Source, Arc<Share>>>,
}

/// What one source may hold.
#[derive(Debug)]
struct Share {
    pending: Arc<Semaphore>,
    handshakes: Semaphore,
    stalled: AtomicBool,
    record: Mutex<Record>,
}

/// What became of a source's last connections. Who gave up held no place for long.
#[derive(Debug, Clone, Copy, Default)]
struct Record {
    went_on: u32,
    kept_waiting: u32,
}

impl Record {
    fn add(&mut self, kept_waiting: bool) {
        if self.went_on + self.kept_waiting >= REMEMBERED {
            self.went_on /= 2;
            self.kept_waiting /= 2;
        }
        if kept_waiting {
            self.kept_waiting += 1;
        } else {
            self.went_on += 1;
        }
    }

    fn is_bad(self) -> bool {
        self.kept_waiting > self.went_on
    }
}

/// A source's place for one connection until it is served. Dropping it gives the place back.
#[derive(Debug)]
pub struct Doorstep {
    source: Source,
    share: Arc<Share>,
    sources: Arc<Sources>,
    kept_waiting: AtomicBool,
    _place: OwnedSemaphorePermit,
}

impl Sources {
    /// Of a listener with so many places for connections that are not served yet, and for handshakes.
    pub fn new(pending: usize, handshakes: usize) -> Arc<Self> {
        let (pending, handshakes) = (share(pending), share(handshakes));
        Arc::new(Self { pending, handshakes, stall: STALL, present: Mutex::default() })
    }

    /// A place for one more connection of a source. None: close it.
    pub async fn enter(self: &Arc<Self>, source: Source) -> Option<Doorstep> {
        let share = self.share(source);
        let place = match Arc::clone(&share.pending).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => share.wait(self.stall).await?,
        };
        let kept_waiting = AtomicBool::new(false);
        Some(Doorstep { source, share, sources: Arc::clone(self), kept_waiting, _place: place })
    }

    fn share(&self, source: Source) -> Arc<Share> {
        let new = || {
            Arc::new(Share {
                pending: Arc::new(Semaphore::new(self.pending)),
                handshakes: Semaphore::new(self.handshakes),
                stalled: AtomicBool::new(false),
                record: Mutex::default(),
            })
        };
        Arc::clone(self.present.lock().entry(source).or_insert_with(new))
    }

    /// How many sources hold a place.
    #[cfg(test)]
    fn present(&self) -> usize {
        self.present.lock().len()
    }
}

impl Share {
    /// The place of another connection of the source, if that makes room.
    async fn wait(&self, looks: usize) -> Option<OwnedSemaphorePermit> {
        for _ in 0..looks {
            if self.stalled.load(Ordering::Acquire) || self.record.lock().is_bad() {
                return None;
            }
            let freed = tokio::time::timeout(LOOK, Arc::clone(&self.pending).acquire_owned()).await;
            if let Ok(freed) = freed {
                return freed.ok();
            }
        }
        self.stalled.store(true, Ordering::Release);
        None
    }
}

impl Doorstep {
    /// Where the connection comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Waits until fewer handshakes of the source are under way than it may have. None: the listener is closed.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.share.handshakes.acquire().await.ok()
    }

    /// The connection was silent or slow until a deadline: that goes on its source's record.
    pub fn kept_waiting(&self) {
        self.kept_waiting.store(true, Ordering::Release);
    }
}

impl Drop for Doorstep {
    fn drop(&mut self) {
        self.share.record.lock().add(self.kept_waiting.load(Ordering::Acquire));
        self.share.stalled.store(false, Ordering::Release);
        let mut present = self.sources.present.lock();
        // The table's and this one: nobody else of the source is here, or about to be.
        if Arc::strong_count(&self.share) == 2 {
            present.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Source = Source::V4([10, 0, 0, 1]);
    const B: Source = Source::V4([10, 0, 0, 2]);

    #[tokio::test]
    async fn rule_21_a_source_that_makes_no_room_leaves_the_rest_to_others() {
        let sources = Arc::new(Sources { pending: 6, handshakes: 3, stall: 2, present: Mutex::default() });
        let mut held = vec![];
        for _ in 0..6 {
            held.push(sources.enter(A).await.unwrap());
        }
        assert!(sources.enter(A).await.is_none(), "after a stall");
        assert!(sources.share(A).stalled.load(Ordering::Acquire), "the next is closed at once");
        assert!(sources.enter(B).await.is_some());

        held.pop();
        assert!(sources.enter(A).await.is_some(), "one of its places is free");
    }

    #[tokio::test]
    async fn rule_21_a_source_whose_connections_keep_the_journal_waiting_is_not_waited_for() {
        let sources = Sources::new(2, 2);
        let _one = sources.enter(A).await.unwrap();
        sources.enter(A).await.unwrap().kept_waiting();
        let _other = sources.enter(A).await.unwrap();
        let waited = tokio::time::timeout(LOOK / 2, sources.enter(A)).await;
        assert!(waited.expect("at once").is_none());
        assert!(!sources.share(A).stalled.load(Ordering::Acquire));
    }

    #[test]
    fn rule_21_a_record_speaks_of_the_last_connections() {
        let mut record = Record::default();
        assert!(!record.is_bad(), "nothing is known");
        (0..1000).for_each(|_| record.add(false));
        (0..2 * REMEMBERED).for_each(|_| record.add(true));
        assert!(record.is_bad());
        (0..2 * REMEMBERED).for_each(|_| record.add(false));
        assert!(!record.is_bad());
    }

    #[tokio::test]
    async fn rule_21_a_source_that_moves_is_waited_for() {
        let sources = Sources::new(1, 1);
        let first = sources.enter(A).await.unwrap();
        let second = tokio::spawn({
            let sources = Arc::clone(&sources);
            async move { sources.enter(A).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn rule_21_slow_handshakes_of_one_source_leave_turns_to_others() {
        let sources = Sources::new(100, 4);
        let (a, b) = (sources.enter(A).await.unwrap(), sources.enter(B).await.unwrap());
        let taken: Vec<_> = (0..3).map(|_| a.share.handshakes.try_acquire().unwrap()).collect();
        assert!(a.share.handshakes.try_acquire().is_err());
        assert!(b.turn().await.is_some());
        drop(taken);
        assert!(a.turn().await.is_some());
    }

    #[tokio::test]
    async fn rule_21_only_sources_that_hold_a_place_are_remembered() {
        let sources = Sources::new(2, 2);
        for number in 0..=255 {
            let source = Source::V4([10, 0, 1, number]);
            let (one, two) = (sources.enter(source).await, sources.enter(source).await);
            assert!(one.is_some() && two.is_some());
            assert_eq!(sources.present(), 1);
            drop(one);
            assert_eq!(sources.present(), 1);
            assert!(sources.enter(source).await.is_some());
        }
        assert_eq!(sources.present(), 0);
    }
}
