//! Waits for a place among the connections without a certificate, and gives it back: the shell around [`Visitors`].
//!
//! `grpc`'s acceptor enters each such connection after its handshake, and holds the [`Visit`] as long as it is open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::source::Source;
use super::visitors::{Activity, IDLE, Visitors};

/// A newcomer waits so long for a place. In an honest storm from one address places come free by the hundred a second;
/// to wait costs less than another handshake. It keeps its source's place among the connections that are not served
/// yet ([`super::sources`]), nobody else's.
const WAIT: Duration = Duration::from_secs(5);
/// How often it looks whether somebody has become idle: that tells nobody.
const LOOK: Duration = Duration::from_millis(500);

/// See the module. `H` ends a connection.
#[derive(Debug)]
pub struct Lobby<H> {
    visitors: Mutex<Visitors<H>>,
    left: Notify,
}

/// The place of one connection. Dropping it gives the place back.
#[derive(Debug)]
pub struct Visit<H> {
    lobby: Arc<Lobby<H>>,
    id: u64,
    activity: Arc<Activity>,
}

impl<H: Clone> Lobby<H> {
    /// So many places, all free.
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { visitors: Mutex::new(Visitors::new(places)), left: Notify::new() })
    }

    /// A place, and the leash of the connection that must end for it. None: there was none in time.
    pub async fn enter(self: &Arc<Self>, source: Source, leash: H) -> Option<(Visit<H>, Option<H>)> {
        let activity = Arc::new(Activity::new(Instant::now()));
        let deadline = Instant::now() + WAIT;
        loop {
            // Before the look, so that nobody who leaves meanwhile is missed.
            let left = self.left.notified();
            let now = Instant::now();
            if let Ok((id, ends)) = self.visitors.lock().enter(source, &activity, leash.clone(), now) {
                return Some((Visit { lobby: Arc::clone(self), id, activity }, ends));
            }
            if now >= deadline {
                return None;
            }
            tokio::time::timeout(LOOK, left).await.ok();
        }
    }
}

impl<H> Visit<H> {
    /// What the connection is doing.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// How long until it ends, if nothing happens on it.
    pub fn left(&self) -> Duration {
        IDLE.saturating_sub(self.activity.idle_for(Instant::now()))
    }
}

impl<H> Drop for Visit<H> {
    fn drop(&mut self) {
        self.lobby.visitors.lock().leave(self.id);
        self.lobby.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rule_21_who_waits_gets_the_place_of_one_that_leaves() {
        let (lobby, source) = (Lobby::new(1), Source::V4([10, 0, 0, 1]));
        let (visit, ends) = lobby.enter(source, 1).await.unwrap();
        assert_eq!(ends, None);
        visit.activity().begin();
        let second = tokio::spawn({
            let lobby = Arc::clone(&lobby);
            async move { lobby.enter(source, 2).await.map(|(_, ends)| ends) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(visit);
        assert_eq!(second.await.unwrap(), Some(None));
        assert!(lobby.enter(source, 3).await.is_some(), "the second has left, too");
    }
}
