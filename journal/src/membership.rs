//! The journals of the quorum, as operators see and order them: tokens, evictions, who is where.
//!
//! The edge calls it (`grpc::member`). `events::member` decides; what no fact tells is [`Live`].
//!
//! Not here: who may do so (`grpc::access`), and Raft's own membership, which follows the facts.
//!
//! **Invariant:** the secret of a join token is in the answer to who asked for it, and nowhere else (R23).

use std::time::Duration;

use events::append::Append;
use events::domain;
use events::fact::Fact;
use events::level::Level;
use events::member::{self, Command, Rejection, State};
use events::operator;
use events::stream::{StreamName, StreamVersion};
use events::views::Views;
use events::vocabulary::{CertificateHash, JoinTokenId, JournalId, Principal, Remark, Timestamp};
use futures_util::future::join_all;
use proto::join_token::{self, JoinSecret};
use zeroize::Zeroizing;

use crate::clock;
use crate::log::{AppendError, Committed, KNOWN, Log, TransferError};
use crate::operators::Asker;
use crate::random::{self, RandomError};
use crate::renewal::Outlook;

/// A conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Membership {
    /// The log and its views.
    pub log: Log,
    /// This journal.
    pub journal_id: JournalId,
    /// Until when server certificates last.
    pub outlook: Outlook,
}

/// A join token that was made.
pub struct JoinToken {
    /// `SECRET:PIN`: the second half is the joiner's only anchor (§7).
    pub token: Zeroizing<String>,
    /// How people name it.
    pub token_id: JoinTokenId,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
    /// The fact of it.
    pub seq: u64,
}

/// A journal as this one sees it.
pub struct Seen {
    /// Its name.
    pub journal_id: JournalId,
    /// What facts tell of it.
    pub state: State,
    /// What they do not tell.
    pub live: Live,
}

/// What no fact tells of a journal, as far as this one knows at the moment; all unknown by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether it leads.
    pub leads: bool,
    /// Whether it is a learner of Raft by now.
    pub learns: bool,
    /// The last fact that it has applied.
    pub applied_seq: Option<u64>,
    /// How many entries of Raft it is behind the leader.
    pub lag: Option<u64>,
    /// Until when its server certificate is valid.
    pub certificate_not_after: Option<Timestamp>,
    /// How long ago it was heard of.
    pub last_heard: Option<Duration>,
    /// The release that it runs.
    pub version: Option<String>,
    /// The format level up to which it reads facts (R26).
    pub format_level: Option<Level>,
}

/// Why an order about the quorum was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// A refusal about a journal.
    #[error(transparent)]
    Member(#[from] Rejection),
    /// A refusal about the domain.
    #[error(transparent)]
    Domain(#[from] domain::Rejection),
    /// The asker was revoked meanwhile.
    #[error("the operator who asks was revoked meanwhile")]
    AskerGone,
    /// Others changed the same three times (R7).
    #[error("others changed the same meanwhile, three times")]
    Contended,
    /// Who asks would be cut off half way.
    #[error(
        "your own certificate was signed by {journal_id} and would end with the others: renew it at another journal first \
         (pact operator renew --endpoint https://HOST:PORT --out FILE), then ask with the new one"
    )]
    OwnCertificate {
        /// The journal to be evicted.
        journal_id: JournalId,
    },
    /// The leader cannot be moved.
    #[error("the leader was not moved to {journal_id}: {why}")]
    NotTransferable {
        /// Where it should be.
        journal_id: JournalId,
        /// Why.
        why: TransferError,
    },
    /// The fact could not be recorded.
    #[error("the fact could not be recorded")]
    Append(#[from] AppendError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// What was decided, on the views of one moment.
struct Decided {
    facts: Vec<Fact>,
    expects: Vec<StreamVersion>,
    at: Timestamp,
}

impl Membership {
    /// Makes a token by which one journal may join within `lifetime`.
    pub async fn create_join_token(
        &self,
        lifetime: Duration,
        asker: &Asker,
    ) -> Result<JoinToken, MembershipError> {
        for _ in 0..ATTEMPTS {
            let secret = JoinSecret::new(random::bytes()?);
            let secret_sha256 = secret.hash();
            let now = clock::now();
            let (token_id, expires_at) = (random::join_token_id(now)?, now.plus(lifetime));
            let command = domain::Command::CreateJoinToken { token_id, secret_sha256, expires_at, now };
            let (decided, pin) = {
                let views = self.log.views();
                let event = domain::decide(&views.domain, command)?;
                let pin = pin(&views).ok_or(domain::Rejection::NotCreated)?;
                let reads = [StreamName::Domain, StreamName::Join(secret_sha256)];
                (decided(&views, vec![Fact::Domain(event)], reads.into(), asker, now)?, pin)
            };
            if let Some(committed) = self.append(decided, None, asker).await? {
                let token = join_token::JoinToken { secret, domain_ca: pin }.to_text();
                return Ok(JoinToken { token, token_id, expires_at, seq: committed.last_seq });
            }
        }
        Err(MembershipError::Contended)
    }

    /// Takes a journal out for good; answers the last fact that the answer rests on. Raft's membership follows.
    pub async fn evict(
        &self,
        id: &JournalId,
        reason: Option<&Remark>,
        asker: &Asker,
    ) -> Result<u64, MembershipError> {
        self.look_for(id).await;
        for _ in 0..ATTEMPTS {
            let decided = {
                let views = self.log.views();
                let state = views.members.get(id).map_or(State::Unknown, |row| row.state.clone());
                let last = views.members.is_last_voter(id);
                let command = Command::Evict { reason: reason.map(Remark::hash), last };
                let Some(event) = member::decide(id, &state, command)? else { return Ok(views.seq) };
                // Two orders at once must not evict the last two voters: each depends on all journals.
                let mut reads: Vec<StreamName> =
                    views.members.iter().map(|(id, _)| StreamName::Journal(id.clone())).collect();
                reads.push(StreamName::Domain);
                decided(&views, event.into_facts(id), reads, asker, clock::now())?
            };
            if let Some(committed) = self.append(decided, reason, asker).await? {
                return Ok(committed.last_seq);
            }
        }
        Err(MembershipError::Contended)
    }

    /// Refuses an order that would end the asker's own certificate before it is carried out.
    ///
    /// # Errors
    /// If the journal signed it.
    pub fn spares_the_asker(&self, journal: &JournalId, asker: &Asker) -> Result<(), MembershipError> {
        let Principal::Operator(id) = &asker.principal else { return Ok(()) };
        let views = self.log.views();
        let state = views.operators.get(id).map(|operator| &operator.state);
        let Some(operator::State::Active { current, .. }) = state else { return Ok(()) };
        // The last one that votes stays anyway, which is the better reason.
        let stays = views.members.is_last_voter(journal);
        if !stays && views.authorities_of(journal).contains(&current.authority) {
            return Err(MembershipError::OwnCertificate { journal_id: journal.clone() });
        }
        Ok(())
    }

    /// Makes another voter the leader, whichever journal leads now.
    ///
    /// # Errors
    /// If it is no voter, or the leader cannot be moved there.
    pub async fn transfer_leader(&self, id: &JournalId) -> Result<u64, MembershipError> {
        self.look_for(id).await;
        {
            let views = self.log.views();
            let state = views.members.get(id).map_or(&State::Unknown, |row| &row.state);
            match state {
                State::Unknown => return Err(Rejection::NotFound.into()),
                State::Evicted { .. } => return Err(Rejection::Evicted.into()),
                State::Member(_) => {}
            }
        }
        let not = |why| MembershipError::NotTransferable { journal_id: id.clone(), why };
        let raft_id = self.log.views().members.get(id).and_then(|row| row.state.raft_id());
        let raft_id = raft_id.ok_or_else(|| not(TransferError::NoVoter))?;
        self.log.hand_over(raft_id).await.map_err(not)?;
        Ok(self.log.views().seq)
    }

    /// A journal that is not known here may have joined elsewhere (R22).
    async fn look_for(&self, id: &JournalId) {
        let known = self.log.views().members.get(id).is_some();
        if !known {
            // Without a leader it is refused as it is known.
            self.log.read_index(KNOWN).await.ok();
        }
    }

    /// All journals that are or were members, by name, and the last fact that this shows. The others are asked which release
    /// they are; who does not answer within a second stays unknown.
    pub async fn members(&self) -> (Vec<Seen>, u64) {
        let (rows, seq) = {
            let views = self.log.views();
            let rows: Vec<_> =
                views.members.iter().map(|(id, row)| (id.clone(), row.state.clone())).collect();
            (rows, views.seq)
        };
        let seen = async |(journal_id, state): (JournalId, State)| {
            let live = self.live(&journal_id, &state).await;
            Seen { journal_id, state, live }
        };
        (join_all(rows.into_iter().map(seen)).await, seq)
    }

    /// What is known of a journal at the moment: what it says itself, and what Raft knows, if this one leads.
    async fn live(&self, id: &JournalId, state: &State) -> Live {
        let Some(member) = state.member() else { return Live::default() };
        let seats = self.log.seats();
        let leads = seats.leader == Some(member.raft_id);
        let learns = seats.learners.contains(&member.raft_id);
        let release = self.log.release(member.raft_id).await;
        let lag = if *id == self.journal_id {
            leads.then_some(0)
        } else {
            let known = self.log.members().into_iter().find(|known| known.raft_id == member.raft_id);
            known.map(|known| known.lag)
        };
        Live {
            leads,
            learns,
            lag,
            certificate_not_after: self.outlook.not_after(id),
            last_heard: release.as_ref().map(|_| Duration::ZERO),
            applied_seq: release.as_ref().map(|release| release.applied_seq),
            format_level: release.as_ref().map(|release| release.reads),
            version: release.map(|release| release.version),
        }
    }

    /// None: a stream changed since the decision (R1).
    async fn append(
        &self,
        decided: Decided,
        reason: Option<&Remark>,
        asker: &Asker,
    ) -> Result<Option<Committed>, MembershipError> {
        let append = Append {
            append_id: random::append_id()?,
            decided_at: decided.at,
            principal: asker.principal.clone(),
            proposed_by: self.journal_id.clone(),
            source: asker.source.as_ref().map(Remark::hash),
            assurance: None,
            expects: decided.expects,
            facts: decided.facts,
            remarks: asker.source.iter().chain(reason).cloned().collect(),
        };
        match self.log.append(append).await {
            Ok(committed) => Ok(Some(committed)),
            Err(AppendError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The hash of the domain CA certificate.
fn pin(views: &Views) -> Option<CertificateHash> {
    views.domain.created().map(|created| CertificateHash::of(created.domain_ca.as_bytes()))
}

/// With the versions of all that was looked at, the asker's own stream too (R1).
fn decided(
    views: &Views,
    facts: Vec<Fact>,
    mut reads: Vec<StreamName>,
    asker: &Asker,
    at: Timestamp,
) -> Result<Decided, MembershipError> {
    if let Principal::Operator(asker) = &asker.principal {
        let known = views.operators.get(asker).and_then(|operator| operator.state.role());
        known.ok_or(MembershipError::AskerGone)?;
        reads.push(StreamName::Operator(asker.clone()));
    }
    reads.sort();
    reads.dedup();
    let version = |name: &StreamName| views.version(name).unwrap_or(0);
    let expects = reads.into_iter().map(|name| StreamVersion { version: version(&name), name }).collect();
    Ok(Decided { facts, expects, at })
}
