//! The open connections of a stale journal are cut (R17): it does not hear any more whom it should cut. Spread over ten
//! seconds, so that those who come back elsewhere do not all come at one moment; and the rest stays, if the quorum is heard
//! of meanwhile.
//!
//! Connections without a certificate are left: nothing of theirs can be revoked, they end within a minute by themselves,
//! and each call on them says why it is refused.
//!
//! **Invariant:** nothing is cut while the journal is fresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::boottime::{self, Moment};
use crate::log::Log;

use super::connections::Connections;
use super::serve::stopped;

/// From the first connection to the last.
const SPREAD: Duration = Duration::from_secs(10);
/// How often it is looked; each time a fortieth is cut.
const LOOK: Duration = Duration::from_millis(250);
/// The connections are so many groups of about equal size; finer than [`LOOK`].
const GROUPS: u64 = 1000;

/// How long after its last word from a quorum a journal has certainly cut the streams that it held, if it refuses everything
/// after `stale_after`.
pub fn cut_off(stale_after: Duration) -> Duration {
    stale_after + SPREAD
}

/// Since when a journal is seen to be stale.
#[derive(Debug, Default)]
struct Closing {
    since: Option<Moment>,
}

impl Closing {
    /// Of how many groups the connections are over by now.
    fn due(&mut self, fresh: bool, now: Moment) -> u64 {
        if fresh {
            self.since = None;
            return 0;
        }
        let since = *self.since.get_or_insert(now);
        let (gone, spread) = (now.since(since).as_millis(), SPREAD.as_millis());
        u64::try_from(gone * u128::from(GROUPS) / spread).unwrap_or(GROUPS).min(GROUPS)
    }
}

/// The group of a connection: those that were accepted one after another are far apart.
fn group(connection: u64) -> u64 {
    // Fibonacci hashing.
    (connection.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % GROUPS
}

/// Cuts what is due, until the journal stops.
pub async fn run(log: Log, connections: Arc<Connections>, mut stopping: watch::Receiver<bool>) {
    let mut closing = Closing::default();
    loop {
        let due = closing.due(log.is_fresh(), boottime::now());
        if due > 0 {
            connections.cut_known(|connection| group(connection) < due);
        }
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(50_000 + millis)
    }

    /// How many of 10,000 connections are over.
    fn cut(due: u64) -> usize {
        (0..10_000).filter(|connection| group(*connection) < due).count()
    }

    #[test]
    fn rule_17_a_stale_journals_connections_are_cut_over_ten_seconds() {
        let mut closing = Closing::default();
        assert_eq!(closing.due(true, at(0)), 0);
        assert_eq!(closing.due(false, at(100)), 0, "it is seen just now");
        let mut before = 0;
        for step in 1..=40 {
            let over = cut(closing.due(false, at(100 + step * 250)));
            assert!((200..=300).contains(&(over - before)), "{step}: {before} and then {over}");
            before = over;
        }
        assert_eq!(before, 10_000, "after ten seconds all");
        assert_eq!(cut(closing.due(false, at(1_000_000))), 10_000);
    }

    #[test]
    fn rule_17_a_journal_that_is_fresh_again_cuts_no_more_and_begins_anew() {
        let mut closing = Closing::default();
        closing.due(false, at(0));
        assert!((4_900..=5_100).contains(&cut(closing.due(false, at(5_000)))), "half of them");
        assert_eq!(closing.due(true, at(5_250)), 0);
        assert_eq!(closing.due(false, at(60_000)), 0, "it does not count from the first time");
        assert_eq!(closing.due(false, at(69_999)), GROUPS - 1);
        assert_eq!(closing.due(false, at(70_000)), GROUPS);
    }
}
