//! The journals of the quorum, by name: who votes, who learns, who was evicted (design §7).
//!
//! **Invariant:** nobody is ever forgotten: names and Raft ids are not given twice (R27).

use std::collections::BTreeMap;

use crate::fact::Record;
use crate::member::{Endpoints, Event, FOUNDER_RAFT_ID, Member, State, evolve};
use crate::vocabulary::{CertificateHash, JournalId, KeyHash, Timestamp};

/// The last server certificates of a journal that are remembered: one lives 30 days and is renewed some days before, so
/// that the others are over by far.
const CERTIFICATES: usize = 8;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    rows: BTreeMap<JournalId, MemberRow>,
    restored: Option<LastRestore>,
}

/// When the domain was last restored (R27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRestore {
    /// The fact.
    pub seq: u64,
    /// Its time.
    pub at: Timestamp,
}

/// One journal as the view knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberRow {
    /// Its state.
    pub state: State,
    /// The version of its stream; 0 of a founder of whom no other fact tells.
    pub version: u64,
    /// Its last server certificates, the newest last.
    certificates: Vec<CertificateHash>,
    /// Where it last said that it listens, also when it was evicted since.
    endpoints: Option<Endpoints>,
}

impl Members {
    /// A journal by its name.
    pub fn get(&self, id: &JournalId) -> Option<&MemberRow> {
        self.rows.get(id)
    }

    /// All journals that ever were members, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&JournalId, &MemberRow)> {
        self.rows.iter()
    }

    /// The members, by name.
    pub fn members(&self) -> impl Iterator<Item = (&JournalId, &Member)> {
        self.iter().filter_map(|(id, row)| Some((id, row.state.member()?)))
    }

    /// The member with this number in Raft.
    pub fn by_raft_id(&self, raft_id: u64) -> Option<(&JournalId, &Member)> {
        self.members().find(|(_, member)| member.raft_id == raft_id)
    }

    /// Where a journal with this number in Raft listens, also an evicted one: Raft takes its seat away by the votes of all
    /// who have one.
    pub fn whereabouts(&self, raft_id: u64) -> Option<(&JournalId, &Endpoints)> {
        let (id, row) = self.iter().find(|(_, row)| row.state.raft_id() == Some(raft_id))?;
        Some((id, row.endpoints.as_ref()?))
    }

    /// Whether it was a member and is none any more.
    pub fn is_evicted(&self, id: &JournalId) -> bool {
        self.get(id).is_some_and(|row| matches!(row.state, State::Evicted { .. }))
    }

    /// Whether it votes and nobody else does.
    pub fn is_last_voter(&self, id: &JournalId) -> bool {
        let mut voters = self.members().filter(|(_, member)| member.votes()).map(|(voter, _)| voter);
        voters.next() == Some(id) && voters.next().is_none()
    }

    /// The Raft id of the next journal: no journal has or had it (R27).
    pub fn next_raft_id(&self) -> u64 {
        let greatest = self.rows.values().filter_map(|row| row.state.raft_id()).max();
        greatest.map_or(FOUNDER_RAFT_ID, |raft_id| raft_id.saturating_add(1))
    }

    /// The member that joined with this key.
    pub fn by_key(&self, key: KeyHash) -> Option<&JournalId> {
        self.members().find(|(_, member)| member.key == Some(key)).map(|(id, _)| id)
    }

    /// A name for the next journal, if it has none of its own: j and its Raft id, or the next number that is free. Raft ids
    /// stay above those of before a restore, of whose journals not all may be known (R27), and so do these names.
    pub fn next_name(&self) -> JournalId {
        let name = |number: u64| -> JournalId {
            format!("j{number}").parse().expect("a letter and digits are a name")
        };
        let mut names = (self.next_raft_id()..).map(name);
        names.find(|name| !self.rows.contains_key(name)).expect("there are more numbers than journals")
    }

    /// Where the members listen for agents, in the order of their names.
    pub fn endpoints(&self) -> Vec<String> {
        let announced = self.members().filter_map(|(_, member)| member.endpoints.as_ref());
        announced.map(|endpoints: &Endpoints| endpoints.agent.clone()).collect()
    }

    /// The server certificates of evicted journals: nobody shall trust them any more (§7).
    pub fn evicted_certificates(&self) -> Vec<CertificateHash> {
        let evicted = self.rows.values().filter(|row| matches!(row.state, State::Evicted { .. }));
        evicted.flat_map(|row| row.certificates.iter().copied()).collect()
    }

    /// When the domain was last restored (R27): journals that belonged to it before, known here or not, never do again.
    pub fn restored(&self) -> Option<LastRestore> {
        self.restored
    }

    /// The first fact of a log names the first member.
    pub(super) fn found(&mut self, founder: &JournalId) {
        self.rows.entry(founder.clone()).or_default().state = State::founder(FOUNDER_RAFT_ID);
    }

    /// The domain was restored: one journal is left, and nobody of before comes back (R27). No stream gets a version by it.
    pub(super) fn restore(&mut self, founder: &JournalId, raft_id: u64, at: LastRestore) {
        for row in self.rows.values_mut() {
            row.state = std::mem::take(&mut row.state).ended();
        }
        // No sound log names one that was a member before; the auditor says so.
        let row = self.rows.entry(founder.clone()).or_default();
        if matches!(row.state, State::Unknown) {
            row.state = State::founder(raft_id);
        }
        self.restored = Some(at);
    }

    pub(super) fn fold(&mut self, id: &JournalId, event: &Event, record: &Record) {
        let row = self.rows.entry(id.clone()).or_default();
        row.state = evolve(std::mem::take(&mut row.state), event, record.recorded_at);
        row.version = record.subject_version();
        match event {
            Event::Joining { certificate, endpoints, .. } | Event::Announced { certificate, endpoints } => {
                row.remember(*certificate);
                row.endpoints = Some(endpoints.clone());
            }
            Event::Joined | Event::Evicted { .. } => {}
        }
    }
}

impl MemberRow {
    fn remember(&mut self, certificate: CertificateHash) {
        self.certificates.retain(|known| *known != certificate);
        self.certificates.push(certificate);
        let over = self.certificates.len().saturating_sub(CERTIFICATES);
        self.certificates.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Log, announced_at, evicted, joined, journal};

    fn hash(of: &str) -> CertificateHash {
        CertificateHash::of(of.as_bytes())
    }

    #[test]
    fn the_founder_votes_from_the_first_fact_on() {
        let members = Log::new().views().members;
        let row = members.get(&journal("j1")).unwrap();
        assert_eq!((row.state.clone(), row.version), (State::founder(FOUNDER_RAFT_ID), 0));
        assert!(members.is_last_voter(&journal("j1")));
        assert_eq!(members.by_raft_id(1).map(|(id, _)| id.clone()), Some(journal("j1")));
        assert_eq!(members.endpoints(), [""; 0]);
    }

    #[test]
    fn rule_27_a_raft_id_is_never_given_again() {
        let mut log = Log::new();
        assert_eq!(log.views().members.next_raft_id(), 2);
        log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j2")]);
        let members = log.views().members;
        assert_eq!(members.next_raft_id(), 3);
        assert_eq!(members.by_raft_id(2), None);
        // Raft still has to reach it, to take its seat away.
        assert_eq!(members.whereabouts(2).map(|(id, _)| id.clone()), Some(journal("j2")));
        assert!(members.is_evicted(&journal("j2")) && !members.is_evicted(&journal("j1")));
        assert_eq!(members.members().count(), 1);
        assert_eq!(Members::default().next_raft_id(), 1);
    }

    #[test]
    fn rule_27_a_name_that_is_chosen_is_none_that_any_journal_has_or_had() {
        let mut log = Log::new();
        assert_eq!(log.views().members.next_name(), journal("j2"));
        log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j2")]);
        assert_eq!(log.views().members.next_name(), journal("j3"));
        // Somebody chose that one by hand.
        log.joins("j4", 3);
        assert_eq!(log.views().members.next_name(), journal("j5"));
        log.joins("other", 4);
        assert_eq!(log.views().members.next_name(), journal("j5"));
    }

    #[test]
    fn a_member_is_found_by_the_key_with_which_it_joined() {
        let mut log = Log::new();
        log.joins("j2", 2);
        let members = log.views().members;
        let key = members.get(&journal("j2")).and_then(|row| row.state.member()?.key).unwrap();
        assert_eq!(members.by_key(key), Some(&journal("j2")));
        log.append(vec![evicted("j2")]);
        assert_eq!(log.views().members.by_key(key), None, "an evicted one has no place to go on to");
    }

    #[test]
    fn a_journal_that_joins_does_not_vote_yet() {
        let mut log = Log::new();
        log.joins("j2", 2);
        assert!(log.views().members.is_last_voter(&journal("j1")));
        assert!(!log.views().members.is_last_voter(&journal("j2")));
        log.append(vec![joined("j2")]);
        assert!(!log.views().members.is_last_voter(&journal("j1")));
    }

    #[test]
    fn where_members_listen_is_what_they_said_last() {
        let mut log = Log::new();
        log.joins("j2", 2).append(vec![announced_at("j1", "h1")]);
        assert_eq!(log.views().members.endpoints(), ["https://h1:9443", "https://j2:9443"]);
        log.append(vec![announced_at("j2", "h2")]);
        assert_eq!(log.views().members.endpoints(), ["https://h1:9443", "https://h2:9443"]);
        log.append(vec![evicted("j2")]);
        assert_eq!(log.views().members.endpoints(), ["https://h1:9443"]);
    }

    #[test]
    fn of_an_evicted_journal_the_last_certificates_are_told() {
        let mut log = Log::new();
        log.joins("j2", 2).append(vec![announced_at("j1", "h1")]);
        assert_eq!(log.views().members.evicted_certificates(), []);
        for host in ["a", "b", "a"] {
            log.append(vec![announced_at("j2", host)]);
        }
        log.append(vec![evicted("j2")]);
        let joined_with = CertificateHash::of(&[2]);
        assert_eq!(log.views().members.evicted_certificates(), [joined_with, hash("b"), hash("a")]);
    }

    #[test]
    fn no_more_than_the_last_8_certificates_are_kept() {
        let mut log = Log::new();
        log.joins("j2", 2);
        for number in 0..9 {
            log.append(vec![announced_at("j2", &format!("h{number}"))]);
        }
        log.append(vec![evicted("j2")]);
        let kept: Vec<CertificateHash> = (1..9).map(|number| hash(&format!("h{number}"))).collect();
        assert_eq!(log.views().members.evicted_certificates(), kept);
    }

    #[test]
    fn a_consumed_token_stays_consumed() {
        use crate::member::TokenState;
        use crate::stream::StreamName;
        use crate::vocabulary::SecretHash;
        let mut log = Log::new();
        let secret = SecretHash::of(b"j2");
        assert_eq!(log.views().token_claim(secret).state, TokenState::Unknown);
        assert_eq!(log.views().version(&StreamName::Join(secret)), Some(0));
        log.joins("j2", 2);
        let token = log.views().join_tokens.get(&secret).unwrap().clone();
        assert_eq!((token.consumed_by, token.version), (Some(journal("j2")), 2));
        assert_eq!(log.views().version(&StreamName::Join(secret)), Some(2));
        assert_eq!(log.views().version(&StreamName::Journal(journal("j2"))), Some(1));
    }
}
