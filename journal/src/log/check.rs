//! The check at start: reads the whole log without changing a byte, and folds the views on the way, on three threads
//! ([`facts`]; the heads of streams and the index of subjects are read beside them).
//!
//! [`super::Log::open`] calls it before it opens anything to write, so that a refusal leaves the evidence as it was
//! (R27). Every row of every column family is read, with RocksDB's checksums; the chain is computed again (R6); the Raft
//! log, the facts, the heads of streams and the index of subjects must agree.
//!
//! Not here: whether the history makes sense. That is what `pact-replay verify` is for.

mod facts;

use std::collections::BTreeSet;
use std::io;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use events::codec::{StoredValue, decode_body_up_to, keys};
use events::domain;
use events::fact::{Fact, Record};
use events::views::Views;
use events::vocabulary::{CertificateHash, JournalId, OverlayHash};

use super::Founding;
use super::errors::{Damage, OpenError, StartError, StoreError};
use super::store::state_machine::Tip;
use super::store::{Head, Store, state};
use super::stored::{self, StoredApplied, StoredFounding, StoredMember, StoredPlace, StoredTaken};
use super::synced::Mark;
use super::types::{FOUNDER, Place, Position};
use crate::release::READS;
use facts::Facts;

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
    let (facts, indexes) = pass.facts_and_indexes(founding)?;
    let Facts { views, tip, places } = facts;
    pass.applied(last, tip.position, raft_id)?;
    let Indexes { heads, subjects } = indexes?;
    pass.heads(heads, &tip, places)?;
    subjects.hold(tip.position.seq)?;
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

/// What follows from the facts and lies beside them, added up.
struct Indexes {
    heads: Heads,
    subjects: Subjects,
}

/// The heads of streams.
#[derive(Default)]
struct Heads {
    /// Of all versions.
    sum: u64,
    /// The last fact that one of them names, and the stream's key.
    newest: (u64, Vec<u8>),
}

/// The index of subjects.
#[derive(Default)]
struct Subjects {
    count: u64,
    /// Of all places.
    sum: u128,
}

impl Subjects {
    /// Each fact lies in its subject's stream once: so the index holds every place once.
    fn hold(&self, last: u64) -> Result<(), OpenError> {
        let expected = u128::from(last) * (u128::from(last) + 1) / 2;
        let held = self.count == last && self.sum == expected;
        if held { Ok(()) } else { Err(OpenError::Damaged(Damage::Subjects)) }
    }
}

impl<F: Fn(StoreError) -> OpenError + Sync> Pass<'_, F> {
    /// Reads the facts, and beside them what follows from them: together as long as the longest of it takes, given the
    /// processors. What is wrong with the facts comes first.
    fn facts_and_indexes(
        &self,
        founding: StoredFounding,
    ) -> Result<(Facts, Result<Indexes, OpenError>), OpenError> {
        thread::scope(|scope| {
            let beside = thread::Builder::new().name("pact-indexes".to_owned());
            let indexes = beside.spawn_scoped(scope, || self.indexes());
            let indexes = indexes.map_err(|error| OpenError::Start(StartError::Thread(error)))?;
            let facts = self.facts(founding);
            let indexes = indexes.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok((facts?, indexes))
        })
    }

    fn indexes(&self) -> Result<Indexes, OpenError> {
        Ok(Indexes { heads: self.read_heads()?, subjects: self.read_subjects()? })
    }
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

    fn read_heads(&self) -> Result<Heads, OpenError> {
        let mut heads = Heads::default();
        self.each(keys::HEADS, |key, value| {
            let head = Head::parse(value).filter(|head| head.version > 0);
            let head = head.ok_or_else(|| wrong_head(Some(key)))?;
            heads.sum = heads.sum.saturating_add(head.version);
            if head.seq > heads.newest.0 {
                heads.newest = (head.seq, key.to_vec());
            }
            Ok(())
        })?;
        Ok(heads)
    }

    /// Each fact gave each of its streams one version more: so the versions add up to the places.
    fn heads(&self, heads: Heads, tip: &Tip, places: u64) -> Result<(), OpenError> {
        let Heads { sum, newest: (newest, stream) } = heads;
        if newest > tip.position.seq {
            return Err(wrong_head(Some(&stream)));
        }
        if sum != places || newest != tip.position.seq {
            return Err(wrong_head(None));
        }
        let last = self.store.record(tip.position.seq).map_err(self.unreadable)?;
        for at in last.map(|(record, ..)| record.streams).unwrap_or_default() {
            let head = self.store.head(&at.name).map_err(self.unreadable)?;
            if (head.version, head.seq) != (at.version, tip.position.seq) {
                return Err(wrong_head(Some(&keys::head(&at.name))));
            }
        }
        Ok(())
    }

    fn read_subjects(&self) -> Result<Subjects, OpenError> {
        let mut subjects = Subjects::default();
        self.each(keys::SUBJECTS, |_, value| {
            let seq = keys::seq(value).ok_or(OpenError::Damaged(Damage::Subjects))?;
            subjects.count += 1;
            subjects.sum += u128::from(seq);
            Ok(())
        })?;
        Ok(subjects)
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

fn wrong_head(stream: Option<&[u8]>) -> OpenError {
    let stream = stream.map(|name| String::from_utf8_lossy(name).into_owned());
    OpenError::Damaged(Damage::Heads { stream })
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
    let record = read_fact(expected, &value)?;
    if record.recorded_at < tip.recorded_at {
        return Err(Damage::Order { seq: expected });
    }
    *tip = tip.behind(&record, chain);
    Ok(record)
}

/// Reads a fact with this number whose chain was checked.
pub(super) fn read_fact(seq: u64, value: &StoredValue<'_>) -> Result<Box<Record>, Damage> {
    let unread = |source| Damage::Fact { seq, source };
    let record = decode_body_up_to(value.body, READS).map_err(unread)?;
    if record.seq != seq {
        return Err(Damage::Order { seq });
    }
    let held = [record.fact.remark(), record.source];
    if value.remark_hashes().map_err(unread)?.any(|hash| !held.contains(&Some(hash))) {
        return Err(Damage::Remark { seq });
    }
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
