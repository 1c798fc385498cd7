//! When something is to be forgotten: a queue in the order of time.
//!
//! The views of certificates, keys and revocations look into it after every fact; mostly nothing is due.

use std::collections::BTreeMap;

use crate::vocabulary::Timestamp;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends<T> {
    /// Certificates of one second end together.
    by_time: BTreeMap<Timestamp, Vec<T>>,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Self { by_time: BTreeMap::new() }
    }
}

impl<T> Ends<T> {
    /// Notes that something ends then.
    pub(super) fn insert(&mut self, end: Timestamp, what: T) {
        self.by_time.entry(end).or_default().push(what);
    }

    /// Takes out all that ended at one moment, not after `now`, and that moment.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(Timestamp, Vec<T>)> {
        let first = self.by_time.first_entry().filter(|first| *first.key() <= now)?;
        Some(first.remove_entry())
    }
}
