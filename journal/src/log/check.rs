//! The check at start: reads the whole log without changing a byte, and folds the views on the way.
//!
//! [`super::Log::open`] calls it before it opens anything to write, so that a refusal leaves the evidence as it was
//! (R27). Every row of every column family is read, with RocksDB's checksums; the chain is computed again (R6); the Raft
//! log, the facts, the heads of streams and the index of subjects must agree.
//!
//! Not here: whether the history makes sense. That is what `pact-replay verify` is for.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use events::codec::{Chain, StoredValue, decode_body_up_to, keys};
use events::domain;
use events::fact::{Fact, Record};
use events::level::Level;
use events::views::Views;
use events::vocabulary::{CertificateHash, JournalId, OverlayHash, Timestamp};

use super::Founding;
use super::errors::{Damage, OpenError, StoreError};
use super::store::state_machine::Tip;
use super::store::{Head, Store, state};
use super::stored::{self, StoredApplied, StoredFounding, StoredMember, StoredPlace, StoredTaken};
use super::synced::Mark;
use super::types::{FOUNDER, Place, Position};
use crate::release::READS;

/// So many facts are read before they are folded: what their folds look up is read for all of them at once, and they
/// still lie in the processor's cache when their turn comes.
const BATCH: usize = 32;

/// What a sound log holds.
pub(super) struct Checked {
    pub views: Views,
    pub tip: Tip,
    pub raft_id: u64,
    pub founding: Founding,
}

/// Checks the log of a data directory; with a name, also that it is this journal's.
pub(super) fn check(data_dir: &Path, journal: Option<&JournalId>) -> Result<Checked, OpenError> {
    let path = data_dir.join(keys::DIRECTORY);
    match path.metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing { path }),
        Err(error) => return Err(OpenError::Unreadable { path, source: StoreError::Directory(error) }),
    }
    let synced = Mark::read(data_dir).map_err(OpenError::Mark)?;
    let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
    let store = Store::open_read_only(&path).map_err(unreadable)?;
    let pass = Pass { store: &store, unreadable: &unreadable };
    let raft_id = pass.member(journal)?;
    let last = pass.raft_log(synced)?;
    let founding = pass.founding()?;
    let (views, tip, places) = pass.facts(founding)?;
    pass.applied(last, tip.position, raft_id)?;
    pass.heads(&tip, places)?;
    pass.subjects(tip.position.seq)?;
    pass.overlays(&views)?;
    let StoredFounding { log_id, domain_ca_sha256 } = founding;
    let founding = Founding { log_id, domain_ca_sha256 };
    Ok(Checked { views, tip, raft_id, founding })
}

/// Where the Raft log begins and ends.
struct Extent {
    purged: Option<Place>,
    last: Option<Place>,
}

struct Pass<'a, F> {
    store: &'a Store,
    unreadable: &'a F,
}

impl<F: Fn(StoreError) -> OpenError> Pass<'_, F> {
    fn state<T: serde::de::DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, OpenError> {
        self.store.state(key).map_err(self.unreadable)
    }

    fn each(
        &self,
        column: &str,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let mut rows = self.store.walk(column);
        while let Some((key, value)) = rows.next().map_err(self.unreadable)? {
            take(key, value)?;
        }
        Ok(())
    }

    fn member(&self, journal: Option<&JournalId>) -> Result<u64, OpenError> {
        let member: StoredMember = self.state(state::MEMBER)?.ok_or(absent("whose log it is"))?;
        match journal {
            Some(journal) if member.journal != *journal => {
                Err(OpenError::OtherJournal { expected: journal.clone(), found: member.journal })
            }
            Some(_) | None => Ok(member.raft_id),
        }
    }

    fn raft_log(&self, synced: Option<Place>) -> Result<Extent, OpenError> {
        let purged = self.state::<StoredPlace>(state::PURGED)?.map(Place::from);
        let applied = self.state::<StoredApplied>(state::APPLIED)?.map(|applied| applied.place());
        let mut last = purged;
        self.each(keys::RAFT_LOG, |key, value| {
            let expected = last.map_or(0, |place| place.index + 1);
            if *key != expected.to_be_bytes() {
                return Err(OpenError::Damaged(Damage::EntryMissing { expected }));
            }
            let damaged = |source| OpenError::from(Damage::Entry { index: expected, source });
            let place = stored::read_place(value).map_err(|error| damaged(Some(error)))?;
            if place.index != expected || last.is_some_and(|last| place < last) {
                return Err(damaged(None));
            }
            // What is applied is not read again; what is not yet must be readable.
            if Some(place) > applied {
                stored::read_entry(value).map_err(|error| damaged(Some(error)))?;
            }
            last = Some(place);
            Ok(())
        })?;
        if last < synced {
            return Err(OpenError::Shortened { found: shown(last), synced: shown(synced) });
        }
        Ok(Extent { purged, last })
    }

    fn founding(&self) -> Result<StoredFounding, OpenError> {
        self.state(state::FOUNDING)?.ok_or(absent("the log's founding"))
    }

    /// Reads all facts. Answers also in how many streams they lie, counted once for each.
    fn facts(&self, founding: StoredFounding) -> Result<(Views, Tip, u64), OpenError> {
        let chain = Chain::start(founding.log_id, founding.domain_ca_sha256);
        let position = Position { seq: 0, chain };
        let mut tip = Tip { position, recorded_at: Timestamp::default(), level: Level::FIRST };
        let (mut views, mut places) = (Views::default(), 0);
        let mut batch = Vec::with_capacity(BATCH);
        self.each(keys::FACTS, |key, value| {
            let record = follow(&mut tip, key, value)?;
            if record.seq == 1 && !founds(&record, &founding) {
                return Err(OpenError::Damaged(Damage::Founding));
            }
            places += record.streams.len() as u64;
            batch.push(record);
            if batch.len() == BATCH {
                fold(&mut views, &batch);
                batch.clear();
            }
            Ok(())
        })?;
        fold(&mut views, &batch);
        Ok((views, tip, places))
    }

    fn applied(&self, extent: Extent, tip: Position, raft_id: u64) -> Result<(), OpenError> {
        let Extent { purged, last } = extent;
        let applied: Option<StoredApplied> = self.state(state::APPLIED)?;
        let place = applied.map(|applied| applied.place());
        if place > last || place < purged {
            let (applied, purged, last) = (shown(place), shown(purged), shown(last));
            return Err(OpenError::Damaged(Damage::Applied { applied, purged, last }));
        }
        let applied = applied.map(|applied| (applied.seq(), applied.chain()));
        // Facts that were taken over from another member may be ahead of what is applied.
        let taken: Option<StoredTaken> = self.state(state::TAKEN)?;
        let taken = taken.map(|taken| (taken.seq(), taken.chain()));
        let end = [applied, taken].into_iter().flatten().max_by_key(|(seq, _)| *seq);
        let expected = end.map_or(0, |(seq, _)| seq);
        if tip.seq != expected {
            return Err(OpenError::Damaged(Damage::End { found: tip.seq, expected }));
        }
        if end.is_some_and(|(_, chain)| chain != tip.chain) {
            return Err(OpenError::Damaged(Damage::Chain { seq: tip.seq }));
        }
        // Facts that are not there yet may still come out of the Raft log, or from another member.
        let founder = raft_id == FOUNDER;
        if tip.seq == 0 && place == last && founder { Err(OpenError::NoDomain) } else { Ok(()) }
    }

    /// Each fact gave each of its streams one version more: so the versions add up to the places.
    fn heads(&self, tip: &Tip, places: u64) -> Result<(), OpenError> {
        let wrong = |stream: Option<&[u8]>| {
            let stream = stream.map(|name| String::from_utf8_lossy(name).into_owned());
            OpenError::Damaged(Damage::Heads { stream })
        };
        let (mut sum, mut newest) = (0_u64, 0);
        self.each(keys::HEADS, |key, value| {
            let head = Head::parse(value).ok_or_else(|| wrong(Some(key)))?;
            if head.version == 0 || head.seq > tip.position.seq {
                return Err(wrong(Some(key)));
            }
            sum = sum.saturating_add(head.version);
            newest = newest.max(head.seq);
            Ok(())
        })?;
        if sum != places || newest != tip.position.seq {
            return Err(wrong(None));
        }
        let last = self.store.record(tip.position.seq).map_err(self.unreadable)?;
        for at in last.map(|(record, ..)| record.streams).unwrap_or_default() {
            let head = self.store.head(&at.name).map_err(self.unreadable)?;
            if (head.version, head.seq) != (at.version, tip.position.seq) {
                return Err(wrong(Some(&keys::head(&at.name))));
            }
        }
        Ok(())
    }

    /// Each fact lies in its subject's stream once: so the index holds every place once.
    fn subjects(&self, last: u64) -> Result<(), OpenError> {
        let (mut count, mut sum) = (0_u64, 0_u128);
        self.each(keys::SUBJECTS, |_, value| {
            let seq = keys::seq(value).ok_or(OpenError::Damaged(Damage::Subjects))?;
            count += 1;
            sum += u128::from(seq);
            Ok(())
        })?;
        let expected = u128::from(last) * (u128::from(last) + 1) / 2;
        if count == last && sum == expected { Ok(()) } else { Err(OpenError::Damaged(Damage::Subjects)) }
    }

    /// Each overlay lies under its own hash, and what nodes are configured by is there.
    fn overlays(&self, views: &Views) -> Result<(), OpenError> {
        let damaged = |key: &[u8]| {
            let sha256 = <[u8; 32]>::try_from(key)
                .map_or_else(|_| "without a hash".to_owned(), |hash| OverlayHash::new(hash).to_string());
            OpenError::Damaged(Damage::Overlay { sha256 })
        };
        let mut present = BTreeSet::new();
        self.each(keys::OVERLAYS, |key, bytes| {
            let sha256 = OverlayHash::of(bytes);
            if sha256.as_bytes() != key {
                return Err(damaged(key));
            }
            present.insert(sha256);
            Ok(())
        })?;
        let named = views.vclusters.iter().map(|(_, vcluster)| &vcluster.configured);
        let mut named = named.chain(views.vclusters.domain_default()).map(|set| set.overlay.sha256);
        named
            .find(|sha256| !present.contains(sha256))
            .map_or(Ok(()), |sha256| Err(damaged(sha256.as_bytes())))
    }
}

fn fold(views: &mut Views, batch: &[Box<Record>]) {
    views.look_ahead(batch.iter().map(Box::as_ref));
    batch.iter().for_each(|record| views.refold(record));
}

/// Takes the fact that follows `tip`, and makes it the tip.
pub(super) fn follow(tip: &mut Tip, key: &[u8], value: &[u8]) -> Result<Box<Record>, Damage> {
    let expected = tip.position.seq + 1;
    if key != keys::fact(expected) {
        return Err(Damage::FactMissing { expected });
    }
    let unread = |source| Damage::Fact { seq: expected, source };
    let value = StoredValue::parse(value).map_err(unread)?;
    let chain = tip.position.chain.next(value.body);
    if chain != value.chain {
        return Err(Damage::Chain { seq: expected });
    }
    let record = decode_body_up_to(value.body, READS).map_err(unread)?;
    if record.seq != expected || record.recorded_at < tip.recorded_at {
        return Err(Damage::Order { seq: expected });
    }
    let held = [record.fact.remark(), record.source];
    if value.remark_hashes().map_err(unread)?.any(|hash| !held.contains(&Some(hash))) {
        return Err(Damage::Remark { seq: expected });
    }
    *tip = tip.behind(&record, chain);
    Ok(record)
}

fn founds(record: &Record, founding: &StoredFounding) -> bool {
    match &record.fact {
        Fact::Domain(domain::Event::Created(created)) => {
            created.log_id == founding.log_id
                && CertificateHash::of(created.domain_ca.as_bytes()) == founding.domain_ca_sha256
        }
        Fact::Domain(
            domain::Event::JoinTokenCreated { .. }
            | domain::Event::RemarkErased { .. }
            | domain::Event::DefaultSet { .. }
            | domain::Event::JoinTokenConsumed { .. }
            | domain::Event::LevelRaised { .. }
            | domain::Event::Restored(_),
        )
        | Fact::Authority(..)
        | Fact::Operator(..)
        | Fact::Node(..)
        | Fact::VCluster(..)
        | Fact::Member(..) => false,
    }
}

fn absent(what: &'static str) -> OpenError {
    OpenError::Damaged(Damage::Absent { what })
}

fn shown(place: Option<Place>) -> String {
    place.map_or_else(|| "none".to_owned(), |place| place.to_string())
}
