//! What members of the quorum say to each other about the log: Raft's messages, appends on their way to the leader, the
//! facts that a member lacks, who shall lead. In types of our own, so that another release of openraft understands what this one says.
//!
//! [`super::network`], [`super::quorum`] and [`super::writer`] ask, [`super::inbox`] answers. How the bytes travel is
//! not known here ([`super::network::Peers`]).
//!
//! **Invariant:** variants and fields keep their order; new ones are only ever added, at the end (R26).

use events::append::{Append, Outcome};
use events::codec::{DecodeError, EncodeError, decode, encode};
use events::level::Level;
use events::vocabulary::Timestamp;
use openraft::raft::{AppendEntriesResponse, VoteResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::stored::{StoredMembership, StoredPlace, StoredVote};
use super::types::Blob;

/// The largest message: entries up to [`super::network::PAYLOAD`], one more of the largest kind, and room.
pub(super) const LIMIT: usize = 56 << 20;

/// A question to another member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Raft's AppendEntries, from the leader.
    Append(AppendAsk),
    /// Raft's RequestVote.
    Vote(VoteAsk),
    /// Appends for the leader to record, of one journal, and the overlay that the only one of them sets.
    Record(Vec<Append>, Option<Blob>),
    /// Up to which fact a read must see.
    ReadIndex,
    /// Up to where the asked has the facts: the leader will send what it lacks.
    Tip,
    /// Facts that follow the asked's last one.
    Facts(Facts),
    /// All facts of a snapshot are there: go on behind it.
    Install(InstallAsk),
    /// Stand for election now: the leader steps aside.
    Elect,
    /// Which release the asked is, and what it reads (R26).
    Release,
    /// To the leader: have this voter lead in your place, as an operator ordered at the asker.
    StepAside { to: u64 },
}

/// What can be sent as a question.
pub(super) trait Question: Serialize {}

impl Question for Ask {}

/// [`Ask::Record`] of appends that the asker keeps; the same bytes.
#[derive(Serialize)]
pub(super) struct AskRecord<'a>(u32, &'a [Append], Option<&'a Blob>);

impl Question for AskRecord<'_> {}

impl<'a> AskRecord<'a> {
    /// The place of [`Ask::Record`] among the variants.
    const PLACE: u32 = 2;

    /// Appends, and the overlay that the only one of them sets.
    pub(super) fn new(appends: &'a [Append], overlay: Option<&'a Blob>) -> Self {
        Self(Self::PLACE, appends, overlay)
    }
}

/// See [`Ask::Append`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AppendAsk {
    pub vote: StoredVote,
    pub before: Option<StoredPlace>,
    /// Each as it lies on disk.
    pub entries: Vec<Blob>,
    pub commit: Option<StoredPlace>,
    /// How long ago a quorum last acknowledged the leader (R17), in ms; None: not yet.
    pub proven_ms_ago: Option<u64>,
    /// The asked member's last answer that the leader had before: this was sent after it.
    pub after: Option<Said>,
    /// What lies in the middle of all clocks that the leader knows (R24), at the earliest and at the latest.
    pub median: Option<(Timestamp, Timestamp)>,
}

/// A moment of whoever answers, by its own clock: whoever asks next repeats it, and so proves that it asked later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// Which process of it answered.
    pub incarnation: u64,
    /// When, in ms.
    pub at: u64,
}

/// How it stands with a member, as it tells the leader with each answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vitals {
    /// When it answered, by a clock of its own (R17).
    pub said: Said,
    /// Its clock (R24).
    pub clock: Timestamp,
    /// The last fact that it has applied.
    pub applied_seq: u64,
    /// Whether its reserve of disk is reached (R3).
    pub disk_low: bool,
    /// The release that it runs.
    pub version: String,
}

/// See [`Ask::Vote`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct VoteAsk {
    pub vote: StoredVote,
    pub last: Option<StoredPlace>,
}

/// See [`Ask::Facts`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The first of them.
    pub first_seq: u64,
    /// Each as it lies on disk.
    pub values: Vec<Blob>,
    /// The overlays that they name, as far as they are not of earlier ones.
    pub overlays: Vec<Blob>,
}

/// See [`Ask::Install`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InstallAsk {
    pub vote: StoredVote,
    pub last: Option<StoredPlace>,
    pub membership: StoredMembership,
    pub seq: u64,
    pub chain: [u8; 32],
}

/// An answer. Which one belongs to which question, the names say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// To [`Ask::Append`].
    Appended(Appended, Vitals),
    /// To [`Ask::Vote`].
    Voted { vote: StoredVote, granted: bool, last: Option<StoredPlace> },
    /// To [`Ask::Record`]: one for each, and up to where the leader had applied.
    Recorded(Vec<Recorded>, u64),
    /// To [`Ask::ReadIndex`].
    ReadIndex { seq: u64 },
    /// To [`Ask::Tip`], and to [`Ask::Facts`] when they were taken in.
    Tip { seq: u64, chain: [u8; 32] },
    /// To [`Ask::Install`].
    Installed(StoredVote),
    /// To [`Ask::Elect`].
    Standing,
    /// It does not lead, and this needs the leader.
    NotLeading,
    /// It cannot: why.
    Failed(String),
    /// To [`Ask::Release`].
    Release(Release),
    /// To [`Ask::StepAside`]: the other one leads.
    SteppedAside,
}

/// Which release a member is: what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Up to this format level it reads facts.
    pub reads: Level,
    /// Its version.
    pub version: String,
    /// The last fact that it has applied.
    pub applied_seq: u64,
}

/// What became of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Appended {
    /// They are on its disk.
    All,
    /// Up to this one they are.
    UpTo(Option<StoredPlace>),
    /// It has another entry, or none, where they begin.
    Conflict,
    /// It voted for a later leader.
    HigherVote(StoredVote),
}

/// What became of an append that was sent to the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Recorded {
    /// Raft answered.
    Outcome(Outcome),
    /// The leader was none any more; whether it was recorded is open.
    Open,
    /// Too many members are short of disk (R3): it was not recorded.
    DiskLow,
}

impl From<AppendEntriesResponse<u64>> for Appended {
    fn from(answer: AppendEntriesResponse<u64>) -> Self {
        match answer {
            AppendEntriesResponse::Success => Self::All,
            AppendEntriesResponse::PartialSuccess(place) => Self::UpTo(place.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote((&vote).into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<u64> {
    fn from(answer: Appended) -> Self {
        match answer {
            Appended::All => Self::Success,
            Appended::UpTo(place) => Self::PartialSuccess(place.map(Into::into)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<VoteResponse<u64>> for Told {
    fn from(answer: VoteResponse<u64>) -> Self {
        let VoteResponse { vote, vote_granted, last_log_id } = answer;
        Self::Voted { vote: (&vote).into(), granted: vote_granted, last: last_log_id.map(Into::into) }
    }
}

/// Writes a message.
pub(super) fn write(message: &impl Serialize) -> Result<Vec<u8>, EncodeError> {
    encode::<LIMIT>(message)
}

/// Reads a message.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode::<T, LIMIT>(bytes)
}
