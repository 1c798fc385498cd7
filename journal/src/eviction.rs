//! An evicted journal notices that it was, and ends (design §7, R27): it must not go on with what it knew.
//!
//! By its own log, once its seat in Raft is gone; or by another journal's word, for whoever has no seat is told nothing of
//! the log any more. As long as it has its seat it stays: the others may need its vote to take that away.
//!
//! Not here: the end itself ([`crate::journal`]), and what others tell it (`crate::cluster`).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use events::vocabulary::JournalId;
use futures_util::FutureExt;
use futures_util::future::Shared;

use crate::cluster::{Cluster, Dialer};
use crate::log::Log;

/// What is said of it.
pub const EVICTED: &str = "this journal was evicted from the quorum, and an evicted journal never comes back: let another one \
                           join, under another name and with a new data directory, and destroy this one";

/// How often it looks: it is one look into two maps.
const TICK: Duration = Duration::from_millis(500);

/// See the module.
pub struct Eviction {
    log: Log,
    journal_id: JournalId,
    dialer: Dialer,
    cast_out: Shared<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Eviction {
    /// Of this journal; others tell it over the cluster.
    pub fn new(log: Log, journal_id: JournalId, cluster: &Cluster) -> Self {
        let cast_out: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(cluster.cast_out());
        Self { log, journal_id, dialer: cluster.dialer(), cast_out: cast_out.shared() }
    }

    /// Asks the others for anything: whoever has no seat hears that instead. A journal that waits for its quorum may have no
    /// other reason to speak to them.
    pub async fn ask(&self) {
        let others: Vec<u64> = {
            let views = self.log.views();
            let others = views.members.members().filter(|(id, _)| **id != self.journal_id);
            others.map(|(_, member)| member.raft_id).collect()
        };
        for raft_id in others {
            // What counts is heard by the dialler.
            self.dialer.ask_certificate(raft_id).await.ok();
        }
    }

    /// Resolves when it has come. Can be waited for again.
    pub async fn comes(&self) {
        let seen = async {
            while !self.is_seen() {
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            () = seen => {}
            () = self.cast_out.clone() => {}
        }
    }

    fn is_seen(&self) -> bool {
        let evicted = self.log.views().members.is_evicted(&self.journal_id);
        let seats = self.log.seats();
        evicted && !seats.voters.contains(&seats.own) && !seats.learners.contains(&seats.own)
    }
}
