//! Applying committed entries: facts, heads, index, applied index and membership of an entry in one write, then the
//! fold, then the answers (R3).
//!
//! openraft calls it, entry after entry. Its writes are not synced: the Raft log is, and after a power cut the entries
//! whose facts were lost are applied again ([`super`]).
//!
//! Not here: how facts come from another member ([`super::takeover`]).

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use parking_lot::{Condvar, Mutex};
use rocksdb::WriteBatch;

use super::super::broken::Broken;
use super::super::errors::StoreError;
use super::super::folded::Folded;
use super::super::freshness::Freshness;
use super::super::stored::{StoredApplied, StoredMembership};
use super::super::types::{Batch, Entry, Failure, Membership, Place, Position, Reply, TypeConfig};
use super::draft::Draft;
pub(in crate::log) use super::draft::Tip;
use super::{Store, state};

/// What is applied, and the way to apply more. Shared with those who take facts over from another member.
pub(in crate::log) struct Machine {
    pub(super) store: Arc<Store>,
    pub(super) folded: Arc<Folded>,
    pub(super) freshness: Arc<Freshness>,
    pub(super) tip: Tip,
    pub(super) applied: Option<Place>,
    pub(super) membership: Membership,
    /// Whether many facts are being taken over.
    pub(super) takes_much: bool,
    /// Told when the last fact became another one by a piece that was taken over.
    pub(super) moved: Arc<Condvar>,
}

impl Machine {
    /// Goes on behind `tip`, up to which `folded` is folded.
    pub(in crate::log) fn new(
        store: Arc<Store>,
        folded: Arc<Folded>,
        freshness: Arc<Freshness>,
        tip: Tip,
    ) -> Result<Self, StoreError> {
        let applied = store.state::<StoredApplied>(state::APPLIED)?.map(|applied| applied.place());
        let membership = store.state::<StoredMembership>(state::MEMBERSHIP)?;
        let membership = membership.map(Membership::from).unwrap_or_default();
        Ok(Self {
            store,
            folded,
            freshness,
            tip,
            applied,
            membership,
            takes_much: false,
            moved: Arc::default(),
        })
    }

    /// The last fact that is here. Of a piece that was just taken over it may not be folded yet.
    pub(in crate::log) fn position(&self) -> Position {
        self.tip.position
    }

    /// Whether the applied membership has other members than this one.
    pub(in crate::log) fn names_others(&self, own: u64) -> bool {
        self.membership.membership().nodes().any(|(id, _)| *id != own)
    }

    /// Whether the applied membership has this member.
    pub(in crate::log) fn names(&self, own: u64) -> bool {
        self.membership.membership().nodes().any(|(id, _)| *id == own)
    }

    /// No more is taken over: entries come, or all that was to come is here. Waits until it is folded.
    pub(super) fn expect_little(&mut self) {
        drop(self.folded.turn());
        if std::mem::take(&mut self.takes_much) {
            self.store.expect_much(false);
        }
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<Reply, StoreError> {
        // A takeover that broke off is not gone on with.
        self.expect_little();
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
        self.freshness.applied(entry.log_id.index);
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
        #[cfg(feature = "planted-bugs")]
        let records = match crate::planted::is(crate::planted::Bug::DropRevocation) && !self.freshness.leads()
        {
            true => crate::planted::unrevoked(&records),
            false => records,
        };
        self.folded.turn().fold(&records, tip.position);
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
}

/// See the module.
pub(in crate::log) struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    snapshot: Option<Snapshot<TypeConfig>>,
}

impl StateMachine {
    /// The side of a machine that Raft knows.
    pub(in crate::log) fn new(machine: Arc<Mutex<Machine>>) -> Self {
        Self { machine, snapshot: None }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<Place>, Membership), Failure> {
        let machine = self.machine.lock();
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, Failure>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut machine = self.machine.lock();
        let guard = Panics(Arc::clone(&machine.store.broken));
        let mut replies = Vec::new();
        for entry in entries {
            let place = entry.log_id;
            let reply = machine.apply_entry(entry);
            replies.push(
                reply.map_err(|error| {
                    machine.store.fail(ErrorSubject::Apply(place), ErrorVerb::Write, &error)
                })?,
            );
        }
        drop(guard);
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let machine = self.machine.lock();
        let meta = SnapshotMeta {
            last_log_id: machine.applied,
            last_membership: machine.membership.clone(),
            snapshot_id: machine.tip.position.seq.to_string(),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(machine.tip.position) };
        drop(machine);
        self.snapshot = Some(snapshot.clone());
        Builder(snapshot)
    }

    /// Nothing is received in openraft's way: facts come by themselves ([`super::takeover`]).
    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Position>, Failure> {
        Ok(Box::new(self.machine.lock().tip.position))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, openraft::EmptyNode>,
        position: Box<Position>,
    ) -> Result<(), Failure> {
        let mut machine = self.machine.lock();
        let finished = machine.finish(meta.last_log_id, meta.last_membership.clone(), *position);
        finished.map_err(|error| machine.store.fail_to_take_over(&error))?;
        drop(machine);
        self.snapshot = Some(Snapshot { meta: meta.clone(), snapshot: position });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, Failure> {
        Ok(self.snapshot.clone())
    }
}

/// A snapshot is no copy: it says up to where the facts go, which stay where they are.
pub(in crate::log) struct Builder(Snapshot<TypeConfig>);

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, Failure> {
        Ok(self.0.clone())
    }
}

/// Nobody notices by itself that a state machine panicked: openraft waits for its answer, and the lock lets the next one in to
/// what may be half done. The log must end.
pub(in crate::log) struct Panics(pub(in crate::log) Arc<Broken>);

impl Drop for Panics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report("applying entries or taking facts over failed unexpectedly".to_owned());
        }
    }
}
