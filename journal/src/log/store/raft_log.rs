//! The Raft log and the vote on RocksDB: on disk before Raft hears of it.
//!
//! openraft calls it. Not here: what entries mean ([`super::state_machine`]).
//!
//! **Invariant:** an entry, a vote or a purge is synced before it is reported done, and nothing is purged that is not
//! applied.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use events::codec::{DecodeError, keys};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{ErrorSubject, ErrorVerb, LogState, RaftLogReader, Vote};
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use tokio::time::Instant;

use super::super::errors::StoreError;
use super::super::network::PAYLOAD;
use super::super::stored::{self, StoredApplied, StoredPlace, StoredVote};
use super::super::synced::Mark;
use super::super::types::{Entry, Failure, Place, TypeConfig};
use super::{Store, state};

/// The facts of a snapshot are there before it is installed: it takes one small write.
const INSTALLED: Duration = Duration::from_secs(10);

/// See the module. Clones share everything.
#[derive(Clone)]
pub(in crate::log) struct RaftLog {
    store: Arc<Store>,
    mark: Arc<Mutex<Mark>>,
}

impl RaftLog {
    pub(in crate::log) fn new(store: Arc<Store>, mark: Mark) -> Self {
        Self { store, mark: Arc::new(Mutex::new(mark)) }
    }

    /// The entries of a range; with a limit, up to the one with which they have so many bytes.
    fn entries(&self, range: impl RangeBounds<u64>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        for row in self.store.scan(keys::RAFT_LOG, &from.to_be_bytes()) {
            let (key, value) = row?;
            if bytes >= limit || !keys::seq(&key).is_some_and(|index| range.contains(&index)) {
                break;
            }
            bytes += value.len();
            entries.push(stored::read_entry(&value).map_err(unread)?);
        }
        Ok(entries)
    }

    fn write_entries(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        let mut last = None;
        for entry in entries {
            last = Some(entry.log_id);
            let key = entry.log_id.index.to_be_bytes();
            let value = stored::write_entry(entry)
                .map_err(|source| StoreError::Encode { what: "an entry of the Raft log", source })?;
            batch.put_cf(self.store.column(keys::RAFT_LOG), key, value);
        }
        self.store.write_synced(batch)?;
        match last {
            Some(last) => self.mark.lock().advance(last).map_err(StoreError::Mark),
            None => Ok(()),
        }
    }

    fn write_vote(&self, vote: &Vote<u64>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        self.store.put_state(&mut batch, state::VOTE, &StoredVote::from(vote))?;
        self.store.write_synced(batch)
    }

    fn state(&self) -> Result<LogState<TypeConfig>, StoreError> {
        let last_purged_log_id = self.store.state::<StoredPlace>(state::PURGED)?.map(Place::from);
        let last = self.store.last(keys::RAFT_LOG)?;
        let last = last.map(|(_, value)| stored::read_place(&value)).transpose().map_err(unread)?;
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    /// Removes the entries from one on: another leader's log has others there.
    fn cut(&self, from: u64) -> Result<(), StoreError> {
        let kept = from.checked_sub(1).map(|index| self.entries(index..from, usize::MAX)).transpose()?;
        let purged = self.store.state::<StoredPlace>(state::PURGED)?.map(Place::from);
        let last = kept.and_then(|mut kept| kept.pop()).map(|entry| entry.log_id).or(purged);
        self.mark.lock().retreat(last).map_err(StoreError::Mark)?;
        let mut batch = WriteBatch::default();
        let column = self.store.column(keys::RAFT_LOG);
        batch.delete_range_cf(column, from.to_be_bytes(), u64::MAX.to_be_bytes());
        self.store.write_synced(batch)
    }

    fn is_applied(&self, upto: Place) -> Result<bool, StoreError> {
        let applied = self.store.state::<StoredApplied>(state::APPLIED)?;
        Ok(applied.is_some_and(|applied| applied.place() >= upto))
    }

    /// Forgets the entries up to one. The sync that makes their removal last takes with it all that lies before it in
    /// the write-ahead log: the facts that they brought, and the applied index (R27).
    fn forget(&self, upto: Place) -> Result<(), StoreError> {
        if !self.is_applied(upto)? {
            return Err(StoreError::Absent { what: "the fact of an entry that shall be purged" });
        }
        let mut batch = WriteBatch::default();
        let column = self.store.column(keys::RAFT_LOG);
        batch.delete_range_cf(column, 0_u64.to_be_bytes(), (upto.index + 1).to_be_bytes());
        self.store.put_state(&mut batch, state::PURGED, &StoredPlace::from(upto))?;
        self.store.write_synced(batch)
    }

    fn failed(&self, verb: ErrorVerb) -> impl Fn(StoreError) -> Failure {
        move |error| self.store.fail(ErrorSubject::Logs, verb, &error)
    }
}

fn unread(source: DecodeError) -> StoreError {
    StoreError::Decode { what: "an entry of the Raft log", source }
}

impl RaftLogReader<TypeConfig> for RaftLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, Failure> {
        self.entries(range, usize::MAX).map_err(self.failed(ErrorVerb::Read))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, Failure> {
        self.entries(start..end, PAYLOAD).map_err(self.failed(ErrorVerb::Read))
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, Failure> {
        self.state().map_err(self.failed(ErrorVerb::Read))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Failure> {
        self.write_vote(vote).map_err(|error| self.store.fail(ErrorSubject::Vote, ErrorVerb::Write, &error))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Failure> {
        let vote = self.store.state::<StoredVote>(state::VOTE);
        vote.map(|vote| vote.map(Vote::from)).map_err(self.failed(ErrorVerb::Read))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        self.write_entries(entries).map_err(self.failed(ErrorVerb::Write))?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: Place) -> Result<(), Failure> {
        self.cut(from.index).map_err(self.failed(ErrorVerb::Delete))
    }

    /// Behind a snapshot openraft purges while the state machine still installs it: waits for that.
    async fn purge(&mut self, upto: Place) -> Result<(), Failure> {
        let give_up = Instant::now() + INSTALLED;
        while !self.is_applied(upto).map_err(self.failed(ErrorVerb::Read))? && Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.forget(upto).map_err(self.failed(ErrorVerb::Delete))
    }
}
