//! Who has which public key: a key belongs to one node and epoch, or to one operator (R8), and is released 24 hours
//! after its last certificate's notAfter (R2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fact::Record;
use crate::node::KeyHolder;
use crate::stream::StreamName;
use crate::vocabulary::{KeyHash, Timestamp};

/// How long after a certificate's notAfter its key, and its place in the views, are kept.
pub const RELEASED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The keys that are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    held: BTreeMap<KeyHash, Held>,
    by_end: BTreeSet<(Timestamp, KeyHash)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    holder: KeyHolder,
    until: Timestamp,
    version: u64,
}

impl Keys {
    /// Who has a key; none: it is free, or was released.
    pub fn holder(&self, key: &KeyHash) -> Option<&KeyHolder> {
        self.held.get(key).map(|held| &held.holder)
    }

    /// The version of a held key's claim stream. None for a free key: only the log knows whether it ever was claimed.
    pub fn version(&self, key: &KeyHash) -> Option<u64> {
        self.held.get(key).map(|held| held.version)
    }

    pub(super) fn fold(&mut self, record: &Record) {
        let Some((certificate, _, holder)) = super::issued(record) else { return };
        let key = certificate.spki_sha256;
        let end = certificate.not_after.plus(RELEASED_AFTER);
        let earlier = self.held.get(&key).map(|held| held.until);
        let until = earlier.map_or(end, |earlier| earlier.max(end));
        if let Some(earlier) = earlier {
            self.by_end.remove(&(earlier, key));
        }
        let version = record.version_of(&StreamName::Key(key)).unwrap_or_default();
        self.held.insert(key, Held { holder, until, version });
        self.by_end.insert((until, key));
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((until, key)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) {
            self.by_end.remove(&(until, key));
            self.held.remove(&key);
        }
    }
}
