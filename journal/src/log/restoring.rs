//! Goes on with the log of a domain whose journals are lost for the most part (R27): a new store with all its facts, and a
//! new journal as its only member.
//!
//! `crate::restore` calls it: [`Log::take_over`], then it decides on the views, then [`Restoration::found`]. What the other
//! log had in its Raft log and did not apply is applied first: a majority may have acknowledged it, and of the journals that
//! know none is left. Recording what was never acknowledged opens nothing, for all certificates are void afterwards.
//!
//! Not here: which facts say so (`events::domain::restore`), and the files beside the log.
//!
//! **Invariant:** nothing of the other log is changed, and it is read while nobody serves it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::codec::{Chain, keys};
use events::level::Level;
use events::views::Views;
use events::vocabulary::{JournalId, Timestamp};
use openraft::{CommittedLeaderId, EntryPayload};
use rocksdb::WriteBatch;

use super::broken::Broken;
use super::check::check;
use super::errors::{CreateError, OpenError, StoreError};
use super::exported::{ExportError, Exported};
use super::folded::Folded;
use super::founding::{Founding, lay_down_facts};
use super::store::continuation::{Continuation, ContinueError};
use super::store::state_machine::Tip;
use super::store::{Store, state};
use super::stored::{self, StoredApplied, StoredMember, StoredMembership, StoredPlace};
use super::synced::Mark;
use super::thread::Prepared;
use super::types::{Membership, Place, Position};
use super::{Log, Settings};

/// Why a log was not gone on with. What was made lies in the new directory only.
#[derive(Debug, thiserror::Error)]
pub enum RestoringError {
    /// The other log is not sound, or cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One of its facts is not.
    #[error(transparent)]
    Continue(#[from] ContinueError),
    /// It is an exported file, and none that can be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The other log could not be read to its end.
    #[error("the log could not be read to its end")]
    Read(#[source] StoreError),
    /// The new one could not be made.
    #[error("the log could not be made")]
    Create(#[from] CreateError),
}

impl RestoringError {
    /// Whether the other log is sound, and a later release wrote to it (R26).
    pub fn needs_upgrade(&self) -> bool {
        match self {
            Self::Open(OpenError::Later(_)) => true,
            Self::Continue(ContinueError::Damaged(damage)) => damage.needs_upgrade(),
            Self::Open(_) | Self::Continue(_) | Self::Export(_) | Self::Read(_) | Self::Create(_) => false,
        }
    }
}

/// A store with all facts of another log, which belongs to nobody yet.
pub struct Restoration {
    lies_in: PathBuf,
    store: Store,
    mark: Mark,
    tip: Tip,
    views: Views,
    founding: Founding,
}

impl Log {
    /// Copies the log of another data directory into a new one, having checked all of it. Blocks while it reads.
    ///
    /// # Errors
    /// If the other log is not sound, or the new one cannot be written. Then the new directory is of no use.
    pub fn take_over(from: &Path, into: &Path) -> Result<Restoration, RestoringError> {
        let founding = check(from, None)?.founding;
        let path = from.join(keys::DIRECTORY);
        let source = Store::open_read_only(&path).map_err(|source| OpenError::Unreadable { path, source })?;
        let (store, mark) = lay_down_facts(into, founding, Arc::new(Broken::new()))?;
        let mut continuation = Continuation::new(&store, beginning(founding));
        for row in source.scan(keys::FACTS, &[]) {
            let (key, value) = row.map_err(RestoringError::Read)?;
            continuation.take(&key, &value, |sha256| source.overlay(sha256))?;
        }
        apply_the_rest(&source, &mut continuation)?;
        let (tip, auditor) = continuation.finish()?;
        Ok(Restoration {
            lies_in: into.to_owned(),
            tip,
            views: auditor.views().clone(),
            store,
            mark,
            founding,
        })
    }
}

impl Log {
    /// [`Log::take_over`] from an exported file, with the bytes of the overlays that its facts name. It has no Raft log: what
    /// was not exported is lost.
    ///
    /// # Errors
    /// As [`Log::take_over`].
    pub fn take_over_export(
        from: &Path,
        overlays: Vec<Vec<u8>>,
        into: &Path,
    ) -> Result<Restoration, RestoringError> {
        let mut export = Exported::open(from, overlays)?;
        let founding = export.founding();
        let (store, mark) = lay_down_facts(into, founding, Arc::new(Broken::new()))?;
        let mut continuation = Continuation::new(&store, beginning(founding));
        while let Some((seq, value)) = export.next()? {
            continuation.take(&keys::fact(seq), &value, |sha256| Ok(export.overlay(sha256)))?;
        }
        let (tip, auditor) = continuation.finish()?;
        Ok(Restoration {
            lies_in: into.to_owned(),
            tip,
            views: auditor.views().clone(),
            store,
            mark,
            founding,
        })
    }
}

fn beginning(founding: Founding) -> Tip {
    let chain = Chain::start(founding.log_id, founding.domain_ca_sha256);
    let position = Position { seq: 0, chain };
    Tip { position, recorded_at: Timestamp::default(), level: Level::FIRST }
}

/// The entries that are on disk behind the last applied one.
fn apply_the_rest(source: &Store, into: &mut Continuation<'_>) -> Result<(), RestoringError> {
    let applied: Option<StoredApplied> = source.state(state::APPLIED).map_err(RestoringError::Read)?;
    let applied: Option<Place> = applied.map(|applied| applied.place());
    let from = applied.map_or(0, |place| place.index + 1);
    for row in source.scan(keys::RAFT_LOG, &from.to_be_bytes()) {
        let (_, value) = row.map_err(RestoringError::Read)?;
        let unread = |source| StoreError::Decode { what: "an entry of the Raft log", source };
        let entry = stored::read_entry(&value).map_err(unread).map_err(RestoringError::Read)?;
        match entry.payload {
            EntryPayload::Normal(batch) => into.apply(&batch)?,
            // Who counted then is lost.
            EntryPayload::Blank | EntryPayload::Membership(_) => {}
        }
    }
    Ok(())
}

impl Restoration {
    /// The views of all facts.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The link of the chain behind the last fact.
    pub fn head(&self) -> Chain {
        self.tip.position.chain
    }

    /// Where the chain begins.
    pub fn founding(&self) -> Founding {
        self.founding
    }

    /// Makes a journal the only member, under a Raft id that nobody had, and opens the log.
    ///
    /// All facts so far lie below the first entry of its Raft log, as if that had been purged: who joins gets them as facts, and
    /// then the entries.
    ///
    /// # Errors
    /// If it cannot be written, or Raft does not start.
    pub async fn found(self, journal: JournalId, raft_id: u64) -> Result<Log, CreateError> {
        let Self { lies_in, mut store, mark, tip, views, founding: _ } = self;
        let prepare = move |broken: Arc<Broken>| {
            store.reports_to(broken);
            own(&store, journal, raft_id, tip.position).map_err(CreateError::Store)?;
            let folded = Arc::new(Folded::new(views, tip.position.chain));
            Ok(Prepared { store: Arc::new(store), mark, folded, tip, raft_id, new: false })
        };
        Log::start(&lies_in, prepare, CreateError::Start, Settings::default()).await
    }
}

/// Says whose the store is, who counts, and that its entries begin behind these facts.
fn own(store: &Store, journal: JournalId, raft_id: u64, end: Position) -> Result<(), StoreError> {
    // As the entry that makes a founder the only member.
    let first = Place::new(CommittedLeaderId::new(0, 0), 0);
    let alone = BTreeSet::from([raft_id]);
    let membership = Membership::new(Some(first), openraft::Membership::new(vec![alone.clone()], alone));
    let mut batch = WriteBatch::default();
    store.put_state(&mut batch, state::MEMBER, &StoredMember { journal, raft_id })?;
    store.put_state(&mut batch, state::MEMBERSHIP, &StoredMembership::from(&membership))?;
    store.put_state(&mut batch, state::PURGED, &StoredPlace::from(first))?;
    store.put_state(&mut batch, state::APPLIED, &StoredApplied::new(first, end.seq, end.chain))?;
    store.write_synced(batch)
}
