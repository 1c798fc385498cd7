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
use super::recent::Recent;
use super::{Store, state};

/// The facts of a snapshot are there before it is installed: it takes one small write.
const INSTALLED: Duration = Duration::from_secs(10);

/// See the module. Clones share everything.
#[derive(Clone)]
pub(in crate::log) struct RaftLog {
    store: Arc<Store>,
    mark: Arc<Mutex<Mark>>,
    recent: Arc<Mutex<Recent>>,
}

impl RaftLog {
    pub(in crate::log) fn new(store: Arc<Store>, mark: Mark) -> Self {
        Self { store, mark: Arc::new(Mutex::new(mark)), recent: Arc::default() }
    }

    /// The entries of a range; with a limit, up to the one with which they have so many bytes.
    fn entries(&self, range: impl RangeBounds<u64>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        if let Some(recent) = self.recent.lock().from(from) {
            for (entry, size) in recent.take_while(|(entry, _)| range.contains(&entry.log_id.index)) {
                if bytes >= limit {
                    break;
                }
                bytes += size;
                entries.push(entry.clone());
            }
            return Ok(entries);
        }
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
        let mut written = Vec::new();
        for entry in entries {
            let key = entry.log_id.index.to_be_bytes();
            let value = stored::write_entry(&entry)
                .map_err(|source| StoreError::Encode { what: "an entry of the Raft log", source })?;
            batch.put_cf(self.store.column(keys::RAFT_LOG), key, &value);
            written.push((entry, value.len()));
        }
        self.store.write_synced(batch)?;
        let Some(last) = written.last().map(|(entry, _)| entry.log_id) else { return Ok(()) };
        let mut recent = self.recent.lock();
        written.into_iter().for_each(|(entry, bytes)| recent.push(entry, bytes));
        self.mark.lock().advance(last).map_err(StoreError::Mark)
    }

    fn write_vote(&self, vote: &Vote<u64>) -> Result<(), StoreError> {
        #[cfg(feature = "planted-bugs")]
        if !vote.committed && crate::planted::is(crate::planted::Bug::ForgetVote) {
            return Ok(());
        }
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
        self.recent.lock().cut(from);
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
        self.recent.lock().forget(upto.index);
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

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::path::Path;

    use openraft::{CommittedLeaderId, EntryPayload};

    use super::super::super::broken::Broken;
    use super::*;

    fn blank(term: u64, index: u64) -> Entry {
        let log_id = Place::new(CommittedLeaderId::new(term, 1), index);
        Entry { log_id, payload: EntryPayload::Blank }
    }

    fn raft_log(dir: &Path) -> RaftLog {
        Mark::create(dir).unwrap();
        let store = Store::create(&dir.join("log"), Arc::new(Broken::new())).unwrap();
        RaftLog::new(Arc::new(store), Mark::open(dir).unwrap())
    }

    impl RaftLog {
        /// The same store as a process sees it that wrote nothing yet.
        fn started_again(&self) -> Self {
            Self { recent: Arc::default(), ..self.clone() }
        }

        fn write(&self, term: u64, indices: RangeInclusive<u64>) {
            self.write_entries(indices.map(|index| blank(term, index))).unwrap();
        }
    }

    #[test]
    fn what_was_written_last_is_read_from_memory_as_it_is_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        let log = raft_log(dir.path());
        log.write(1, 0..=5);
        log.write(1, 6..=9);
        log.cut(8).unwrap();
        log.write(2, 8..=8);
        let disk = log.started_again();
        for first in 0..=10 {
            for end in first..=10 {
                for limit in [1, 26, 27, usize::MAX] {
                    let read = |log: &RaftLog| log.entries(first..end, limit).unwrap();
                    assert_eq!(read(&log), read(&disk), "{first}..{end}, {limit} bytes");
                }
            }
        }
        assert_eq!(log.entries(7..9, usize::MAX).unwrap(), [blank(1, 7), blank(2, 8)]);
    }
}
