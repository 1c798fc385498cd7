//! Who has which public key: a key belongs to one node and epoch, or to one operator (R8), and is released 24 hours
//! after its last certificate's notAfter (R2).

use std::hint::black_box;
use std::time::Duration;

use crate::fact::Record;
use crate::node::KeyHolder;
use crate::stream::StreamName;
use crate::table::Table;
use crate::vocabulary::{KeyHash, Timestamp};

use super::ends::Ends;

/// How long after a certificate's notAfter its key, and its place in the views, are kept.
pub const RELEASED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The keys that are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    held: Table<32, Held>,
    /// A key that got another certificate meanwhile stands here more than once: its last end counts.
    ends: Ends<KeyHash>,
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
        self.held.get(key.as_bytes()).map(|held| &held.holder)
    }

    /// The version of a held key's claim stream. None for a free key: only the log knows whether it ever was claimed.
    pub fn version(&self, key: &KeyHash) -> Option<u64> {
        self.held.get(key.as_bytes()).map(|held| held.version)
    }

    /// See [`super::Views::look_ahead`].
    pub(super) fn touch(&self, key: &KeyHash) {
        black_box(self.held.touch(key.as_bytes()));
    }

    pub(super) fn fold(&mut self, record: &Record) {
        let Some((certificate, receiver)) = super::issued(record) else { return };
        let (key, holder) = (certificate.spki_sha256, receiver.key_holder());
        let end = certificate.not_after.plus(RELEASED_AFTER);
        let version = record.version_of(&StreamName::Key(key)).unwrap_or_default();
        match self.held.get_mut(key.as_bytes()) {
            Some(held) => {
                let until = held.until.max(end);
                if until != held.until {
                    self.ends.insert(until, key);
                }
                *held = Held { holder, until, version };
            }
            None => {
                self.ends.insert(end, key);
                self.held.insert(*key.as_bytes(), Held { holder, until: end, version });
            }
        }
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((end, keys)) = self.ends.take(now) {
            keys.iter().for_each(|key| self.touch(key));
            for key in &keys {
                black_box(self.held.touch_entry(key.as_bytes()).map(|held| held.until));
            }
            for key in keys {
                if self.held.get(key.as_bytes()).is_some_and(|held| held.until == end) {
                    self.held.remove(key.as_bytes());
                }
            }
        }
    }
}
