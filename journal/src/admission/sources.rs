//! Each source's share of the connections that are accepted and not served yet, and of the handshakes (R21, stage one).
//!
//! `grpc`'s acceptor asks for a [`Doorstep`] after each accept, and for a turn before each handshake. Only sources that
//! hold a place are remembered, about 300 bytes each.
//!
//! What becomes of a connection whose source has its share was weighed. The kernel's backlog is one line for all: to
//! leave a connection there, the acceptor must stop taking any, and those behind it wait, whoever they are. To close it
//! hurts nobody else; but in a storm from one address (NAT) all would be closed and come back, each time with a new
//! connection, and known callers must be paced, not limited. The difference is whether the source's own connections
//! make progress. So the acceptor waits for one of them, as it waits when all places are taken: in a storm that takes
//! less than a millisecond. Where nothing moves for [`STALL`] they are silent or slow: from then on newcomers of that
//! source are closed at once, until one of its places is free again. What a source can cost others is a [`STALL`] for
//! each of its places that comes free by a deadline of seconds.
//!
//! **Invariant:** no source holds more than its share, and for no source the acceptor waits longer than [`STALL`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::source::Source;
use super::visitors::share;

/// Long for a source whose handshakes go on, and short for those behind it.
pub const STALL: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Sources {
    pending: usize,
    handshakes: usize,
    present: Mutex<HashMap<Source, Arc<Share>>>,
}

/// What one source may hold.
#[derive(Debug)]
struct Share {
    pending: Arc<Semaphore>,
    handshakes: Semaphore,
    stalled: AtomicBool,
}

/// A source's place for one connection until it is served. Dropping it gives the place back.
#[derive(Debug)]
pub struct Doorstep {
    source: Source,
    share: Arc<Share>,
    sources: Arc<Sources>,
    _place: OwnedSemaphorePermit,
}

impl Sources {
    /// Of a listener with so many places for connections that are not served yet, and for handshakes.
    pub fn new(pending: usize, handshakes: usize) -> Arc<Self> {
        let (pending, handshakes) = (share(pending), share(handshakes));
        Arc::new(Self { pending, handshakes, present: Mutex::default() })
    }

    /// A place for one more connection of a source. None: close it.
    pub async fn enter(self: &Arc<Self>, source: Source) -> Option<Doorstep> {
        let share = self.share(source);
        let place = match Arc::clone(&share.pending).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) if share.stalled.load(Ordering::Acquire) => None,
            Err(_) => {
                let freed = tokio::time::timeout(STALL, Arc::clone(&share.pending).acquire_owned()).await;
                let freed = freed.ok().and_then(Result::ok);
                share.stalled.store(freed.is_none(), Ordering::Release);
                freed
            }
        }?;
        Some(Doorstep { source, share, sources: Arc::clone(self), _place: place })
    }

    fn share(&self, source: Source) -> Arc<Share> {
        let new = || {
            Arc::new(Share {
                pending: Arc::new(Semaphore::new(self.pending)),
                handshakes: Semaphore::new(self.handshakes),
                stalled: AtomicBool::new(false),
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

impl Doorstep {
    /// Where the connection comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Waits until fewer handshakes of the source are under way than it may have. None: the listener is closed.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.share.handshakes.acquire().await.ok()
    }
}

impl Drop for Doorstep {
    fn drop(&mut self) {
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
    async fn rule_21_a_source_that_does_not_move_leaves_the_rest_to_others() {
        let sources = Sources::new(8, 4);
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
