//! The authorities: which CA may sign, which has signed certificates that still live (R9).

use std::collections::BTreeMap;

use crate::authority::{Announced, Event, State, evolve};
use crate::fact::Record;
use crate::vocabulary::{AuthorityId, JournalId, Timestamp};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorities(BTreeMap<AuthorityId, Authority>);

/// One authority as the view knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// Its state.
    pub state: State,
    /// The version of its stream.
    pub version: u64,
    /// When the last certificate that it signed ends.
    pub last_not_after: Option<Timestamp>,
}

impl Authorities {
    /// An authority by its id.
    pub fn get(&self, id: &AuthorityId) -> Option<&Authority> {
        self.0.get(id)
    }

    /// All authorities, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AuthorityId, &Authority)> {
        self.0.iter()
    }

    /// Those that may have signed what is not recorded here yet: not retired, and of no journal from before a restore.
    pub fn announced(&self) -> impl Iterator<Item = &Announced> {
        self.0.values().filter_map(|authority| match &authority.state {
            State::Announced(announced) => Some(announced),
            State::Unknown | State::Retired(_) => None,
        })
    }

    /// The number of the next authority of a journal.
    pub fn next_generation(&self, journal: &JournalId) -> u32 {
        let of_journal = self.0.values().filter_map(|authority| authority.state.announced());
        let last =
            of_journal.filter(|announced| announced.journal_id == *journal).map(|one| one.generation).max();
        last.unwrap_or(0).saturating_add(1)
    }

    pub(super) fn fold(&mut self, id: AuthorityId, event: &Event, record: &Record) {
        let authority = self.0.entry(id).or_default();
        authority.state = evolve(std::mem::take(&mut authority.state), event);
        authority.version = record.subject_version();
    }

    /// The domain was restored: of the journals that held their keys none is left (R27). No stream gets a version by it.
    pub(super) fn void(&mut self) {
        for authority in self.0.values_mut() {
            authority.state = std::mem::take(&mut authority.state).voided();
        }
    }

    pub(super) fn note_issuance(&mut self, record: &Record) {
        let Some((certificate, ..)) = super::issued(record) else { return };
        if let Some(authority) = self.0.get_mut(&certificate.authority) {
            authority.last_not_after = authority.last_not_after.max(Some(certificate.not_after));
        }
    }
}
