//! Applying committed entries: facts, heads, index, applied index and membership of an entry in one write, then the
//! fold, then the answers (R3).
//!
//! openraft calls it, entry after entry. Its writes are not synced: the Raft log is, and after a power cut the entries
//! whose facts were lost are applied again ([`super`]).
//!
//! Not here: snapshots from another member. A log with one member has nobody to send one.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use rocksdb::WriteBatch;

use super::super::broken::Broken;
use super::super::errors::StoreError;
use super::super::folded::Folded;
use super::super::stored::{StoredApplied, StoredMembership};
use super::super::types::{Batch, Entry, Failure, Membership, Place, Position, Reply, TypeConfig};
use super::draft::Draft;
pub(in crate::log) use super::draft::Tip;
use super::{Store, state};

/// See the module.
pub(in crate::log) struct StateMachine {
    store: Arc<Store>,
    folded: Arc<Folded>,
    tip: Tip,
    applied: Option<Place>,
    membership: Membership,
    snapshot: Option<SnapshotMeta<u64, openraft::EmptyNode>>,
}

impl StateMachine {
    /// Goes on behind `tip`, up to which `folded` is folded.
    pub(in crate::log) fn new(store: Arc<Store>, folded: Arc<Folded>, tip: Tip) -> Result<Self, StoreError> {
        let applied = store.state::<StoredApplied>(state::APPLIED)?.map(|applied| applied.place());
        let membership = store.state::<StoredMembership>(state::MEMBERSHIP)?;
        let membership = membership.map(Membership::from).unwrap_or_default();
        Ok(Self { store, folded, tip, applied, membership, snapshot: None })
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<Reply, StoreError> {
        let reply = match entry.payload {
            EntryPayload::Blank => self.apply_nothing(entry.log_id, WriteBatch::default())?,
            EntryPayload::Membership(members) => {
                let membership = Membership::new(Some(entry.log_id), members);
                let mut batch = WriteBatch::default();
                self.store.put_state(&mut batch, state::MEMBERSHIP, &StoredMembership::from(&membership))?;
                let reply = self.apply_nothing(entry.log_id, batch)?;
                self.membership = membership;
                reply
            }
            EntryPayload::Normal(batch) => self.apply_batch(entry.log_id, &batch)?,
        };
        self.applied = Some(entry.log_id);
        Ok(reply)
    }

    fn apply_nothing(&self, place: Place, mut batch: WriteBatch) -> Result<Reply, StoreError> {
        self.put_applied(&mut batch, place, self.tip.position)?;
        self.store.write(batch)?;
        Ok(Reply(vec![]))
    }

    fn apply_batch(&mut self, place: Place, entry: &Batch) -> Result<Reply, StoreError> {
        let mut draft = Draft::new(&self.store, self.tip, &entry.overlays);
        let outcomes = entry.appends.iter().map(|append| draft.append(append, entry.stamp));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        let mut batch = draft.batch();
        let (records, tip) = draft.finish();
        self.put_applied(&mut batch, place, tip.position)?;
        self.store.write(batch)?;
        self.tip = tip;
        self.folded.fold(&records, tip.position);
        Ok(Reply(outcomes))
    }

    fn put_applied(
        &self,
        batch: &mut WriteBatch,
        place: Place,
        position: Position,
    ) -> Result<(), StoreError> {
        let applied = StoredApplied::new(place, position.seq, position.chain);
        self.store.put_state(batch, state::APPLIED, &applied)
    }

    fn absent(&self) -> Failure {
        let what = "the way to take the log over from another member";
        self.store.fail(ErrorSubject::Snapshot(None), ErrorVerb::Write, &StoreError::Absent { what })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<Place>, Membership), Failure> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, Failure>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let guard = Panics(Arc::clone(&self.store.broken));
        let mut replies = Vec::new();
        for entry in entries {
            let place = entry.log_id;
            let reply = self.apply_entry(entry);
            replies
                .push(reply.map_err(|error| {
                    self.store.fail(ErrorSubject::Apply(place), ErrorVerb::Write, &error)
                })?);
        }
        drop(guard);
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{}", self.tip.position.seq),
        };
        self.snapshot = Some(meta.clone());
        Builder { meta, position: self.tip.position }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Position>, Failure> {
        Err(self.absent())
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, openraft::EmptyNode>,
        _: Box<Position>,
    ) -> Result<(), Failure> {
        Err(self.absent())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, Failure> {
        let position = self.tip.position;
        Ok(self.snapshot.clone().map(|meta| Snapshot { meta, snapshot: Box::new(position) }))
    }
}

/// A snapshot is no copy: it says up to where the facts go, which stay where they are.
pub(in crate::log) struct Builder {
    meta: SnapshotMeta<u64, openraft::EmptyNode>,
    position: Position,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, Failure> {
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(self.position) })
    }
}

/// openraft does not notice that its state machine panicked while an answer is awaited; the log must.
struct Panics(Arc<Broken>);

impl Drop for Panics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report("applying an entry failed unexpectedly".to_owned());
        }
    }
}
