//! Raft's way to the other members: its messages become [`super::wire`]'s, [`Peers`] carries them, the other side's
//! [`super::inbox`] answers.
//!
//! openraft calls it, one [`Peer`] for each other member. A snapshot is no copy of anything: the facts that the member
//! lacks are read from the store and sent in pieces behind its last one, each of which it keeps (R27); after a break
//! the next snapshot goes on there.
//!
//! Not here: connections, TLS, and who may speak (`crate::cluster`).

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use events::codec::{DecodeError, Outline, StoredValue, decode_body, keys, outline};
use events::stream::StreamName;
use events::vocabulary::{Overlay, Timestamp};
use futures_util::FutureExt as _;
use futures_util::stream::{self, TryStreamExt as _};
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, RaftNetwork, RaftNetworkFactory, Snapshot, Vote};

use super::clocks::{Clocks, Worth};
use super::freshness::Freshness;
use super::store::Store;
use super::stored;
use super::types::{Blob, Entry, TypeConfig};
use super::wire::{self, AppendAsk, Appended, Ask, Facts, InstallAsk, Question, Told, VoteAsk};
use super::writer::Clock;
use crate::boottime::Moment;

/// The entries of one message, up to the last that is taken: with the largest kind of entry behind them they stay below
/// [`wire::LIMIT`].
pub(super) const PAYLOAD: usize = 8 << 20;
/// The facts of one message, up to the last that is taken, with their overlays.
const PIECE_BYTES: usize = 4 << 20;
/// A member applies so many in some tens of milliseconds.
const PIECE_FACTS: usize = 4_000;
/// So many are on their way at once: one is folded while the next is written there, the one after it read, and another sent.
const PIECES: usize = 4;
/// A piece is checked, written and folded by then, or the member is given up for now.
const PIECE_DEADLINE: Duration = Duration::from_secs(10);

/// The answer to come of another member.
pub type Exchange = Pin<Box<dyn Future<Output = Result<Vec<u8>, PeerError>> + Send>>;

/// Carries messages to other members. The bytes are this module's business only.
pub trait Peers: Send + Sync + 'static {
    /// Asks the member with this number in Raft. Gives up by itself only when the way there is broken.
    fn exchange(&self, member: u64, question: Vec<u8>) -> Exchange;
}

/// Why another member gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// Where it is, is not known, or nothing answers there.
    #[error("member {member} cannot be reached: {reason}")]
    Unreachable {
        /// Its number in Raft.
        member: u64,
        /// Why.
        reason: String,
    },
    /// The way broke while it was asked; it may have heard the question.
    #[error("the connection to member {member} broke: {reason}")]
    Broken {
        /// Its number in Raft.
        member: u64,
        /// Why.
        reason: String,
    },
}

/// A log that has one member and no way to others.
pub struct NoPeers;

impl Peers for NoPeers {
    fn exchange(&self, member: u64, _: Vec<u8>) -> Exchange {
        let reason = "this log has one member".to_owned();
        Box::pin(async move { Err(PeerError::Unreachable { member, reason }) })
    }
}

/// What a member is asked with.
#[derive(Clone)]
pub(super) struct Network {
    pub peers: Arc<dyn Peers>,
    pub store: Arc<Store>,
    pub freshness: Arc<Freshness>,
    pub clocks: Arc<Clocks>,
    pub clock: Clock,
}

impl Network {
    /// What lies in the middle of all clocks, for the others. None while it is not known what the own clock is worth: the
    /// others would take what two contradicting clocks have between them for an agreement.
    fn median(&self, now: Moment) -> Option<(Timestamp, Timestamp)> {
        let (ours, others) = ((self.clock)(), self.freshness.other_voters());
        let known = self.clocks.worth(&others, ours, now) != Worth::Unknown;
        known.then(|| self.clocks.median(ours, now)).flatten()
    }
}

/// One other member.
pub(super) struct Peer {
    network: Network,
    member: u64,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, member: u64, _: &EmptyNode) -> Peer {
        Peer { network: self.clone(), member }
    }
}

/// Asks a member something, within a time.
pub(super) async fn ask(
    peers: &dyn Peers,
    member: u64,
    question: &impl Question,
    within: Duration,
) -> Result<Told, PeerError> {
    let broken = |reason: String| PeerError::Broken { member, reason };
    let question = wire::write(question).map_err(|error| broken(error.to_string()))?;
    let answer = tokio::time::timeout(within, peers.exchange(member, question)).await;
    let answer = answer.map_err(|_| broken(format!("no answer within {} ms", within.as_millis())))??;
    let told = wire::read(&answer).map_err(|error| broken(error.to_string()))?;
    if let Told::Failed(reason) = told { Err(broken(reason)) } else { Ok(told) }
}

type RpcError = RPCError<u64, EmptyNode, RaftError<u64>>;

fn rpc(error: &PeerError) -> RpcError {
    match error {
        PeerError::Unreachable { .. } => RPCError::Unreachable(Unreachable::new(error)),
        PeerError::Broken { .. } => RPCError::Network(NetworkError::new(error)),
    }
}

/// An answer to another question than was asked.
fn odd(member: u64) -> PeerError {
    PeerError::Broken { member, reason: "it answered another question".to_owned() }
}

impl Peer {
    async fn ask(&self, question: &Ask, within: Duration) -> Result<Told, PeerError> {
        ask(&*self.network.peers, self.member, question, within).await
    }

    /// Sends all facts up to the snapshot's that the member lacks. While it takes one piece in, the next comes to it. One that
    /// went further meanwhile, by entries, refuses what it has, and is asked anew where it is.
    async fn send_facts(&self, last: u64) -> Result<(), PeerError> {
        let tip = self.tip(self.ask(&Ask::Tip, PIECE_DEADLINE).await?)?;
        let pieces = stream::try_unfold(tip, move |sent| self.next_piece(sent, last).boxed());
        let taken = pieces.map_ok(move |piece| self.give(piece).boxed());
        taken.try_buffered(PIECES).try_collect::<()>().boxed().await
    }

    async fn next_piece(&self, sent: u64, last: u64) -> Result<Option<(Facts, u64)>, PeerError> {
        if sent >= last {
            return Ok(None);
        }
        let piece = self.read(sent + 1, last).await?;
        let behind = sent + piece.values.len() as u64;
        Ok(Some((piece, behind)))
    }

    async fn give(&self, piece: Facts) -> Result<(), PeerError> {
        let expected = piece.first_seq + piece.values.len() as u64;
        let tip = self.tip(self.ask(&Ask::Facts(piece), PIECE_DEADLINE).await?)?;
        if tip + 1 < expected {
            return Err(self.broken(format!("it did not take the facts before {expected}")));
        }
        Ok(())
    }

    /// Reads a piece, beside the thread of the log: appends do not wait for it.
    async fn read(&self, first_seq: u64, last: u64) -> Result<Facts, PeerError> {
        let store = Arc::clone(&self.network.store);
        let read = tokio::task::spawn_blocking(move || piece(&store, first_seq, last)).await;
        let read = read.map_err(|_| self.broken("the facts could not be read: a panic".to_owned()))?;
        read.map_err(|reason| self.broken(reason))
    }

    async fn install(&self, vote: Vote<u64>, snapshot: &Snapshot<TypeConfig>) -> Result<Told, PeerError> {
        self.send_facts(snapshot.snapshot.seq).await?;
        let install = InstallAsk {
            vote: (&vote).into(),
            last: snapshot.meta.last_log_id.map(Into::into),
            membership: (&snapshot.meta.last_membership).into(),
            seq: snapshot.snapshot.seq,
            chain: *snapshot.snapshot.chain.as_bytes(),
        };
        self.ask(&Ask::Install(install), PIECE_DEADLINE).await
    }

    fn tip(&self, told: Told) -> Result<u64, PeerError> {
        if let Told::Tip { seq, .. } = told { Ok(seq) } else { Err(odd(self.member)) }
    }

    fn broken(&self, reason: String) -> PeerError {
        PeerError::Broken { member: self.member, reason }
    }
}

/// Facts from one on, with the overlays that they name. It ends with a whole append: an entry that is applied again must
/// find all of an append or nothing of it (R7). Facts go as they lie: whoever gets them checks them.
fn piece(store: &Store, first_seq: u64, last: u64) -> Result<Facts, String> {
    let mut piece = Facts { first_seq, values: vec![], overlays: vec![] };
    let (mut bytes, mut expected, mut append) = (0, first_seq, None);
    let mut rows = store.walk_from(keys::FACTS, &keys::fact(first_seq));
    while let Some((key, value)) = rows.next().map_err(|error| error.to_string())? {
        if expected > last {
            break;
        }
        if *key != keys::fact(expected) {
            return Err(format!("the fact {expected} is not there"));
        }
        let body = StoredValue::parse(value).map_err(|error| error.to_string())?.body;
        let outline = outline(body).map_err(|error| error.to_string())?;
        let full = bytes >= PIECE_BYTES || piece.values.len() >= PIECE_FACTS;
        if full && append != Some(outline.append_id) {
            break;
        }
        append = Some(outline.append_id);
        if let Some(overlay) = overlay_of(&outline, body).map_err(|error| error.to_string())? {
            let overlay = store.overlay(&overlay.sha256).map_err(|error| error.to_string())?.map(Blob);
            bytes += overlay.as_ref().map_or(0, |overlay| overlay.0.len());
            piece.overlays.extend(overlay);
        }
        bytes += value.len();
        expected += 1;
        piece.values.push(Blob(value.to_vec()));
    }
    if piece.values.is_empty() {
        return Err(format!("there are no facts behind {}", first_seq - 1));
    }
    Ok(piece)
}

/// The overlay that a fact names. Most facts tell of nodes, and need not be read for that.
fn overlay_of(outline: &Outline, body: &[u8]) -> Result<Option<Overlay>, DecodeError> {
    match outline.streams.first().map(|subject| &subject.name) {
        None | Some(StreamName::Domain | StreamName::VCluster(_)) => {
            decode_body(body).map(|record| record.overlay())
        }
        Some(
            StreamName::Node(_)
            | StreamName::Authority(_)
            | StreamName::Operator(_)
            | StreamName::Mac(_)
            | StreamName::Key(_)
            | StreamName::Join(_)
            | StreamName::Spiffe(_)
            | StreamName::Journal(_),
        ) => Ok(None),
    }
}

fn written(entries: &[Entry]) -> Result<Vec<Blob>, events::codec::EncodeError> {
    entries.iter().map(|entry| stored::write_entry(entry).map(Blob)).collect()
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        let entries = written(&request.entries).map_err(|error| rpc(&self.broken(error.to_string())))?;
        let Network { freshness, clocks, .. } = &self.network;
        let term = request.vote.leader_id.term;
        let sent = freshness.now();
        let question = Ask::Append(AppendAsk {
            vote: (&request.vote).into(),
            before: request.prev_log_id.map(Into::into),
            entries,
            commit: request.leader_commit.map(Into::into),
            // First what was heard, then how old the proof is: were it the other way round and this process stopped in
            // between, the member would take the proof for younger than it is.
            after: freshness.last_said(self.member),
            proven_ms_ago: freshness.proven_ms_ago(),
            median: self.network.median(sent),
        });
        let told = self.ask(&question, option.hard_ttl()).await.map_err(|error| rpc(&error))?;
        let Told::Appended(appended, vitals) = told else { return Err(rpc(&odd(self.member))) };
        clocks.heard(self.member, vitals.clock, sent, freshness.now());
        let follows = !matches!(appended, Appended::HigherVote(_));
        freshness.answered(self.member, follows.then_some((term, sent)), vitals);
        Ok(appended.into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError> {
        let last = request.last_log_id.map(Into::into);
        let question = Ask::Vote(VoteAsk { vote: (&request.vote).into(), last });
        let told = self.ask(&question, option.hard_ttl()).await.map_err(|error| rpc(&error))?;
        let Told::Voted { vote, granted, last } = told else { return Err(rpc(&odd(self.member))) };
        let vote: Vote<u64> = vote.into();
        Ok(VoteResponse::new(vote, last.map(Into::into), granted))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let mut cancel = pin!(cancel);
        let installed = tokio::select! {
            closed = &mut cancel => return Err(StreamingError::Closed(closed)),
            installed = self.install(vote, &snapshot) => installed,
        };
        match installed {
            Ok(Told::Installed(vote)) => Ok(SnapshotResponse::new(vote.into())),
            Ok(_) => Err(StreamingError::Network(NetworkError::new(&odd(self.member)))),
            Err(error @ PeerError::Unreachable { .. }) => {
                Err(StreamingError::Unreachable(Unreachable::new(&error)))
            }
            Err(error @ PeerError::Broken { .. }) => Err(StreamingError::Network(NetworkError::new(&error))),
        }
    }
}
