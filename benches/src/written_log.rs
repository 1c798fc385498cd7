//! A [`History`] in a real log: written by the journal's own [`Log`] through Raft, synced, on a real disk.
//!
//! The benches append to it, verify it and start a journal on it. It is closed in good order, like a journal that was
//! stopped.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::append::Append;
use events::vocabulary::{CertificateHash, Timestamp};
use futures_util::future::join_all;
use journal::log::{Founding, Log, Settings};

use crate::history::{BEGIN, Happening, History, plan};

/// A log under construction.
pub struct WrittenLog {
    /// The log.
    pub log: Log,
    /// What happens in it.
    pub history: History,
    clock: Arc<AtomicU64>,
}

impl WrittenLog {
    /// A new log in an empty directory, for so many nodes.
    ///
    /// # Panics
    /// If the log cannot be written, like all here.
    pub async fn create(data_dir: &Path, nodes: u32) -> Self {
        let (history, clock) = (History::new(nodes), Arc::new(AtomicU64::new(BEGIN.as_millis())));
        let domain_ca_sha256 = CertificateHash::of(History::domain_ca().as_bytes());
        let founding = Founding { log_id: History::log_id(), domain_ca_sha256 };
        let shown = Arc::clone(&clock);
        let clock_of_log = Arc::new(move || Timestamp::from_millis(shown.load(Ordering::Relaxed)));
        let settings = Settings { clock: clock_of_log, ..Settings::default() };
        let log = Log::create_with(data_dir, history.journal().clone(), founding, settings).await;
        Self { log: log.expect("the log can be made"), history, clock }
    }

    /// Lets something happen.
    pub async fn happen(&mut self, happening: Happening) {
        let appends = self.prepare(happening);
        self.append(appends).await;
    }

    /// What would be appended if something happened.
    pub fn prepare(&mut self, happening: Happening) -> Vec<Append> {
        let appends = self.history.appends(happening, &self.log.views());
        self.clock.store(self.history.now().as_millis(), Ordering::Relaxed);
        appends
    }

    /// Appends all of them at once, and waits until they are committed.
    pub async fn append(&self, appends: Vec<Append>) {
        for committed in join_all(appends.into_iter().map(|append| self.log.append(append))).await {
            committed.expect("the append is committed");
        }
    }

    /// Writes a whole [`plan`] and closes the log; answers how many facts it has.
    pub async fn write(data_dir: &Path, nodes: u32, laps: u32) -> u64 {
        let mut written = Self::create(data_dir, nodes).await;
        for happening in plan(nodes, laps) {
            written.happen(happening).await;
        }
        let (facts, _) = written.log.chain_head();
        written.log.stop().await;
        facts
    }
}
