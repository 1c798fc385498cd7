//! What a node is to be told on its open subscription: a place for each kind of message, no queue.
//!
//! A later configuration replaces an earlier one that was not sent yet, so that a node that does not read holds no
//! memory. The edge takes what is there and puts it on the wire. Where the journals are is looked up when it is sent.
//!
//! **Invariant:** a node is told of every configuration, and of every change of the journals, that is newer than what it
//! has, and of none twice.

use std::task::Waker;

use events::views::BootConfig;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    told: Mutex<Waiting>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The node has its configuration up to this fact; none before it says so.
    known: Option<u64>,
    changed: Option<Changed>,
    /// The node knows the journals as of this edition.
    knows_journals: u64,
    /// There is a later one.
    journals: bool,
}

/// A change of the boot configuration, as the node is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What it is now.
    pub config: BootConfig,
    /// The last fact of the views that say so.
    pub seq: u64,
}

/// What the node is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Its boot configuration is another one now.
    Changed(Changed),
    /// The journals are others now, or elsewhere.
    Journals,
}

impl Outbox {
    /// The node says what it has: everything after this fact is news.
    pub fn knows(&self, seq: u64) {
        self.told.lock().known = Some(seq);
    }

    /// Shows what the node is configured by now; it is told if that is news. Before the node said what it has, nothing is:
    /// the look that follows then sees it all.
    pub fn show(&self, config: BootConfig, seq: u64) {
        {
            let mut waiting = self.told.lock();
            let Some(known) = waiting.known.filter(|known| config.since > *known) else { return };
            waiting.known = Some(known.max(config.since));
            waiting.changed = Some(Changed { config, seq });
        }
        self.waker.wake();
    }

    /// The node was told of the journals as of this edition.
    pub fn knows_journals(&self, edition: u64) {
        let mut waiting = self.told.lock();
        if edition >= waiting.knows_journals {
            (waiting.knows_journals, waiting.journals) = (edition, false);
        }
    }

    /// Shows of which edition the journals are now; the node is told if that is news.
    pub fn show_journals(&self, edition: u64) {
        {
            let mut waiting = self.told.lock();
            if edition <= waiting.knows_journals {
                return;
            }
            (waiting.knows_journals, waiting.journals) = (edition, true);
        }
        self.waker.wake();
    }

    /// Takes what the node is to be told next.
    pub fn take(&self) -> Option<Told> {
        let mut waiting = self.told.lock();
        if std::mem::take(&mut waiting.journals) {
            return Some(Told::Journals);
        }
        waiting.changed.take().map(Told::Changed)
    }

    /// Whom to wake when there is something.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(since: u64) -> BootConfig {
        BootConfig { vcluster: None, overlay: None, revision: since, since }
    }

    fn news(since: u64, seq: u64) -> Option<Told> {
        Some(Told::Changed(Changed { config: config(since), seq }))
    }

    #[test]
    fn what_changed_after_what_the_node_has_is_told_and_once() {
        let outbox = Outbox::default();
        outbox.knows(10);
        outbox.show(config(10), 30);
        assert_eq!(outbox.take(), None);
        outbox.show(config(11), 30);
        outbox.show(config(11), 31);
        assert_eq!(outbox.take(), news(11, 30));
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn nothing_is_told_before_the_node_says_what_it_has() {
        let outbox = Outbox::default();
        outbox.show(config(11), 30);
        assert_eq!(outbox.take(), None);
        outbox.knows(0);
        outbox.show(config(11), 30);
        assert_eq!(outbox.take(), news(11, 30));
    }

    #[test]
    fn a_change_of_the_journals_is_told_once_and_before_the_configuration() {
        let outbox = Outbox::default();
        // Its hello was read before its first message was made.
        outbox.show_journals(3);
        outbox.knows_journals(3);
        outbox.show_journals(3);
        assert_eq!(outbox.take(), None);
        outbox.knows(0);
        outbox.show(config(5), 5);
        outbox.show_journals(4);
        outbox.show_journals(5);
        outbox.show_journals(4);
        assert_eq!(outbox.take(), Some(Told::Journals));
        assert_eq!(outbox.take(), news(5, 5));
        outbox.show_journals(5);
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn a_later_change_takes_the_place_of_one_that_was_not_sent() {
        let outbox = Outbox::default();
        outbox.knows(0);
        outbox.show(config(5), 5);
        outbox.show(config(7), 8);
        assert_eq!(outbox.take(), news(7, 8));
        assert_eq!(outbox.take(), None);
    }
}
