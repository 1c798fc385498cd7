//! Answers the other members' questions ([`super::wire`]): Raft's go to Raft, appends to the writer, facts to the store, the
//! lead to whom an operator wants.
//!
//! The cluster listener calls [`Inbox::answer`], having checked who asks. Not here: TLS, and who is a member.
//!
//! **Invariant:** an append is recorded only if the journal that sends it is the one that proposed it (R1).

use std::sync::Arc;
use std::time::Duration;

use events::append::{Append, Outcome};
use events::codec::{Chain, DecodeError};
use events::level::AboveLevel;
use events::vocabulary::JournalId;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::{ServerState, Snapshot, SnapshotMeta};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::broken::{Broken, in_one_line};
use super::clocks::{Clocks, MAX_SKEW};
use super::errors::AppendError;
use super::folded::Folded;
use super::freshness::Freshness;
use super::network::Peers;
use super::quorum::HEARD;
use super::room::{Room, is_spared};
use super::store::Store;
use super::store::piece::Piece;
use super::store::state_machine::{Machine, Panics};
use super::stored;
use super::transfer::{TransferError, Transfers, may_lead};
use super::types::{Blob, Membership, Place, Position, Raft};
use super::wire::{
    self, AppendAsk, Appended, Ask, Facts, InstallAsk, Recorded, Release, Told, Vitals, VoteAsk,
};
use super::writer::{Clock, Waiting, weigh};
use crate::release::{READS, VERSION};

/// A quorum that does not confirm the leader by then is lost; who asks must ask again.
const READ_INDEX: Duration = Duration::from_secs(2);

/// How often it is looked whether another member was heard.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module. Clones share everything.
#[derive(Clone)]
pub(super) struct Inbox {
    pub raft: Raft,
    pub appends: mpsc::Sender<Waiting>,
    pub folded: Arc<Folded>,
    pub freshness: Arc<Freshness>,
    pub clocks: Arc<Clocks>,
    pub room: Arc<Room>,
    pub machine: Arc<Mutex<Machine>>,
    pub store: Arc<Store>,
    pub clock: Clock,
    pub broken: Arc<Broken>,
    pub peers: Arc<dyn Peers>,
    pub transfers: Transfers,
}

impl Inbox {
    /// Answers a question of another journal. `Err`: the bytes are none.
    pub(super) async fn answer(&self, from: &JournalId, question: &[u8]) -> Result<Vec<u8>, String> {
        let ask: Ask = wire::read(question).map_err(|error| error.to_string())?;
        let told = match ask {
            Ask::Append(ask) => self.append(ask).await,
            Ask::Vote(ask) => self.vote(ask).await,
            Ask::Record(appends, overlay) => self.record(from, appends, overlay).await,
            Ask::ReadIndex => self.read_index().await,
            Ask::Tip => self.tip().await,
            Ask::Facts(facts) => self.take(facts).await,
            Ask::Install(ask) => self.install(ask).await,
            Ask::Elect => self.stand().await,
            Ask::Release => Ok(Told::Release(self.release())),
            Ask::StepAside { to } => self.step_aside(from, to).await,
        };
        wire::write(&told.unwrap_or_else(Told::Failed)).map_err(|error| error.to_string())
    }

    async fn append(&self, ask: AppendAsk) -> Result<Told, String> {
        let AppendAsk { vote, before, entries, commit, proven_ms_ago, after, median } = ask;
        let entries = entries.iter().map(|entry| stored::read_entry(&entry.0));
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.illegible(&error))?;
        let commit = commit.map(Place::from);
        let request = AppendEntriesRequest {
            vote: vote.into(),
            prev_log_id: before.map(Into::into),
            entries,
            leader_commit: commit,
        };
        let answer = self.raft.append_entries(request).await.map_err(|error| error.to_string())?;
        let appended = Appended::from(answer);
        // Only a leader that this member follows can prove anything to it, and only from when it certainly spoke.
        let follows = !matches!(appended, Appended::HigherVote(_));
        if let (true, Some(sent)) = (follows, after.and_then(|after| self.freshness.moment_of(after))) {
            if let Some(median) = median {
                self.clocks.told(median, sent, self.freshness.now());
            }
            if let (Appended::All, Some(commit), Some(ago)) = (appended, commit, proven_ms_ago) {
                let applied = self.raft.metrics().borrow().last_applied.map_or(0, |place| place.index);
                self.freshness.told(commit.index, applied, sent, ago);
            }
        }
        Ok(Told::Appended(appended, self.vitals()))
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            said: self.freshness.said(),
            clock: (self.clock)(),
            applied_seq: self.folded.position().seq,
            disk_low: self.room.is_low(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Stands for election, as a leader asked that steps aside. Not with a wrong clock (R24).
    async fn stand(&self) -> Result<Told, String> {
        if self.clocks.skew(false, (self.clock)(), self.freshness.now()) > MAX_SKEW {
            return Err("its clock is wrong".to_owned());
        }
        self.raft.trigger().elect().await.map(|()| Told::Standing).map_err(|error| error.to_string())
    }

    /// Steps aside for another voter, if this member leads and has heard of that one just now, with a right clock: nothing is
    /// written while one that is away is waited for.
    pub(super) async fn transfer(&self, to: u64) -> Result<(), TransferError> {
        let is_fit = || {
            if self.freshness.heard(to).is_none_or(|(_, ago)| ago >= HEARD) {
                return Err(TransferError::Silent);
            }
            let skew = self.clocks.skew_of(to, (self.clock)(), self.freshness.now());
            skew.filter(|skew| *skew <= MAX_SKEW).map(drop).ok_or(TransferError::WrongClock)
        };
        // A leader that was just elected hears of the others in a moment.
        let deadline = tokio::time::Instant::now() + HEARD;
        loop {
            may_lead(&self.raft.metrics().borrow(), to)?;
            let Err(why) = is_fit() else { break };
            if tokio::time::Instant::now() >= deadline {
                return Err(why);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.transfers.step_aside(&self.raft, &*self.peers, to).await
    }

    /// Has another voter lead, as an operator ordered at the member that asks: that decided whether he may.
    async fn step_aside(&self, from: &JournalId, to: u64) -> Result<Told, String> {
        if self.is_cast_out(from) {
            return Err("the journal that was asked is evicted".to_owned());
        }
        self.transfer(to).await.map(|()| Told::SteppedAside).map_err(|error| error.to_string())
    }

    /// Takes a reading of the disk, and of what the others told of theirs (R3).
    pub(super) fn look_at_the_disk(&self) {
        self.room.look();
        let raft = self.raft.metrics();
        let raft = raft.borrow();
        if raft.state != ServerState::Leader {
            return self.room.count(0, 0);
        }
        let voters: Vec<u64> = raft.membership_config.membership().voter_ids().collect();
        let low = |member: &&u64| {
            if **member == raft.id {
                return self.room.is_low();
            }
            self.freshness.heard(**member).is_some_and(|(vitals, _)| vitals.disk_low)
        };
        self.room.count(voters.iter().filter(low).count(), voters.len());
    }

    /// Entries came as the leader wrote them; a type that is not known is one of a later release. None of them was stored,
    /// so that an upgrade finds all that there was (R26).
    fn illegible(&self, error: &DecodeError) -> String {
        let line = in_one_line(error);
        if error.needs_upgrade() {
            self.broken.report_upgrade(format!("the leader is of a later release: {line}"));
        }
        line
    }

    /// What this journal is, as others ask.
    pub(super) fn release(&self) -> Release {
        let applied_seq = self.folded.position().seq;
        Release { reads: READS, version: VERSION.to_owned(), applied_seq }
    }

    async fn vote(&self, ask: VoteAsk) -> Result<Told, String> {
        let request = VoteRequest::new(ask.vote.into(), ask.last.map(Into::into));
        self.raft.vote(request).await.map(Told::from).map_err(|error| error.to_string())
    }

    fn leads(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }

    /// Whether a journal was evicted and has no seat any more: what it sends, or had sent before, is not recorded (R27).
    pub(super) fn is_cast_out(&self, journal: &JournalId) -> bool {
        let raft_id = {
            let views = self.folded.views();
            let row = views.members.get(journal).filter(|_| views.members.is_evicted(journal));
            row.and_then(|row| row.state.raft_id())
        };
        let Some(raft_id) = raft_id else { return false };
        let raft = self.raft.metrics();
        raft.borrow().membership_config.membership().get_node(&raft_id).is_none()
    }

    async fn record(
        &self,
        from: &JournalId,
        appends: Vec<Append>,
        overlay: Option<Blob>,
    ) -> Result<Told, String> {
        // Whoever is cast out may have had the same recorded before: nothing is said of that.
        if !self.leads() || self.is_cast_out(from) {
            return Ok(Told::NotLeading);
        }
        let (mut overlay, mut awaited) = (overlay, Vec::with_capacity(appends.len()));
        let low = self.room.quorum_is_low();
        for append in appends {
            if let Err(above) = self.folded.admits(&append) {
                let AboveLevel { needs, level } = above;
                awaited.push(Err(Recorded::Outcome(Outcome::AboveLevel { needs, level })));
                continue;
            }
            if low && !is_spared(&append) {
                awaited.push(Err(Recorded::DiskLow));
                continue;
            }
            let bytes = match weigh(&append) {
                Ok(bytes) if append.proposed_by == *from => bytes,
                Ok(_) | Err(_) => {
                    awaited.push(Err(Recorded::Outcome(Outcome::Malformed)));
                    continue;
                }
            };
            let (answer, answered) = oneshot::channel();
            let sets = append.facts.iter().any(|fact| fact.overlay().is_some());
            let overlay = if sets { overlay.take() } else { None };
            let waiting = Waiting { append, overlay, bytes, answer, forwarded: true };
            match self.appends.send(waiting).await {
                Ok(()) => awaited.push(Ok(answered)),
                Err(_) => awaited.push(Err(Recorded::Open)),
            }
        }
        let mut recorded = Vec::with_capacity(awaited.len());
        for one in awaited {
            recorded.push(match one {
                Ok(answered) => answered.await.map_or(Recorded::Open, told),
                Err(recorded) => recorded,
            });
        }
        Ok(Told::Recorded(recorded, self.folded.position().seq))
    }

    /// Confirms that this member leads, and says up to which fact a read must see then.
    pub(super) async fn read_index(&self) -> Result<Told, String> {
        let confirmed = tokio::time::timeout(READ_INDEX, self.raft.ensure_linearizable()).await;
        match confirmed {
            Ok(Ok(_)) => Ok(Told::ReadIndex { seq: self.folded.position().seq }),
            Ok(Err(_)) | Err(_) => Ok(Told::NotLeading),
        }
    }

    /// Takes facts over, beside the thread that answers the others: a piece takes a while, a heartbeat must not.
    async fn take(&self, facts: Facts) -> Result<Told, String> {
        let (machine, store) = (Arc::clone(&self.machine), Arc::clone(&self.store));
        let panics = Panics(Arc::clone(&self.broken));
        let taken = tokio::task::spawn_blocking(move || {
            // One piece is read while the one before it is written, and the one before that is folded.
            let piece = Piece::read(&store, facts);
            let taken = Machine::take(&machine, piece);
            drop(panics);
            taken
        });
        match taken.await {
            Ok(Ok(())) => {
                let Position { seq, chain } = self.folded.position();
                Ok(Told::Tip { seq, chain: *chain.as_bytes() })
            }
            Ok(Err(error)) => Err(in_one_line(&error)),
            // The log has heard of it.
            Err(_) => Err("taking facts over failed unexpectedly".to_owned()),
        }
    }

    /// The last fact that is here, behind which the next piece goes; beside the thread that answers the others, for a piece may be
    /// under way.
    async fn tip(&self) -> Result<Told, String> {
        let machine = Arc::clone(&self.machine);
        let position = tokio::task::spawn_blocking(move || machine.lock().position()).await;
        let Position { seq, chain } = position.map_err(|_| "the log is stopping".to_owned())?;
        Ok(Told::Tip { seq, chain: *chain.as_bytes() })
    }

    async fn install(&self, ask: InstallAsk) -> Result<Told, String> {
        let InstallAsk { vote, last, membership, seq, chain } = ask;
        let position = Position { seq, chain: Chain::from_bytes(chain) };
        let meta = SnapshotMeta {
            last_log_id: last.map(Into::into),
            last_membership: Membership::from(membership),
            snapshot_id: seq.to_string(),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(position) };
        let installed = self.raft.install_full_snapshot(vote.into(), snapshot).await;
        installed.map(|answer| Told::Installed((&answer.vote).into())).map_err(|error| error.to_string())
    }
}

fn told(answer: super::writer::Answer) -> Recorded {
    match answer {
        Ok(committed) => Recorded::Outcome(Outcome::Committed {
            first_seq: committed.first_seq,
            last_seq: committed.last_seq,
        }),
        Err(AppendError::Conflict { stream, expected, found }) => {
            Recorded::Outcome(Outcome::Conflict { stream, expected, found })
        }
        Err(AppendError::Skewed) => Recorded::Outcome(Outcome::Skewed),
        Err(AppendError::AboveLevel { needs, level }) => {
            Recorded::Outcome(Outcome::AboveLevel { needs, level })
        }
        Err(AppendError::DiskLow) => Recorded::DiskLow,
        Err(AppendError::Malformed | AppendError::TooLarge { .. }) => Recorded::Outcome(Outcome::Malformed),
        Err(AppendError::NoLeader | AppendError::Stopped { .. }) => Recorded::Open,
    }
}
