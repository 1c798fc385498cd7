//! MemberService: the journals of the quorum (contract: `pact journal …`).

use std::time::Duration;

use events::level::Level;
use events::vocabulary::{JournalId, Verb};
use proto::convert::{field, member, moment};
use proto::pb;
use proto::pb::member_service_server::MemberService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::distrust::{Distrust, DistrustError, Step};
use crate::log::Log;
use crate::membership::{Live, Membership, MembershipError, Seen};
use crate::operators::Asker;

use super::access::{Access, Admitted, Call};
use super::current;
use super::deadline::patience;
use super::node::remark;
use super::refusal::{append_failed, broken};

/// The life of a join token: whoever has it gets into the quorum, so at most a day.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
/// If none is asked for.
const USUAL_LIFETIME: Duration = Duration::from_secs(3600);

/// See the module.
pub struct MemberEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// The quorum.
    pub membership: Membership,
    /// Ends what an evicted journal had signed.
    pub distrust: Distrust,
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MemberService for MemberEdge {
    async fn members(&self, request: Request<pb::MembersRequest>) -> Answered<pb::MembersResponse> {
        self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let patience = patience(request.metadata());
        current::reach(&self.log, request.into_inner().min_seq, patience).await?;
        let (seen, seq) = self.membership.members().await;
        Ok(Response::new(pb::MembersResponse { members: seen.iter().map(to_wire).collect(), seq }))
    }

    async fn evict(&self, request: Request<pb::EvictRequest>) -> Answered<pb::EvictResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id: JournalId = field::parsed("journal_id", &wire.journal_id)?;
        let (reason, asker) = (remark("reason", &wire.reason)?, asker(&admitted));
        if wire.revoke_issued {
            self.membership.spares_the_asker(&id, &asker).map_err(status)?;
        }
        let seq = self.membership.evict(&id, reason.as_ref(), &asker).await.map_err(status)?;
        let step = if wire.revoke_issued {
            self.distrust.step(&id, &asker).await.map_err(not_ended)?
        } else {
            Step { ended: 0, left: 0, seated: false }
        };
        let Step { ended: revoked, left, seated } = step;
        Ok(Response::new(pb::EvictResponse { member: self.show(&id).await, seq, revoked, left, seated }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Answered<pb::TransferLeaderResponse> {
        self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let id: JournalId = field::parsed("journal_id", &request.into_inner().journal_id)?;
        let seq = self.membership.transfer_leader(&id).await.map_err(status)?;
        Ok(Response::new(pb::TransferLeaderResponse { member: self.show(&id).await, seq }))
    }

    async fn create_join_token(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Answered<pb::CreateJoinTokenResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let lifetime = request.into_inner().expires_secs.map_or(USUAL_LIFETIME, Duration::from_secs);
        if !LIFETIMES.contains(&lifetime) {
            return Err(field::invalid("expires_secs", "from 1 minute to 24 hours").into());
        }
        let made = self.membership.create_join_token(lifetime, &asker(&admitted)).await.map_err(status)?;
        Ok(Response::new(pb::CreateJoinTokenResponse {
            token: made.token.as_str().to_owned(),
            token_id: made.token_id.to_string(),
            expires_at: Some(moment::to_wire(made.expires_at)),
            seq: made.seq,
        }))
    }
}

impl MemberEdge {
    async fn show(&self, id: &JournalId) -> Option<pb::Member> {
        let (seen, _) = self.membership.members().await;
        seen.iter().find(|seen| seen.journal_id == *id).map(to_wire)
    }
}

fn asker(admitted: &Admitted) -> Asker {
    Asker { principal: admitted.principal(), source: admitted.source.clone() }
}

fn to_wire(seen: &Seen) -> pb::Member {
    let Live { leads, learns, applied_seq, lag, certificate_not_after, last_heard, version, format_level } =
        seen.live.clone();
    let wire = member::to_wire(&seen.journal_id, &seen.state);
    let joining = seen.state.member().is_some_and(|member| !member.votes());
    pb::Member {
        standing: if joining && learns { "learner".to_owned() } else { wire.standing },
        leader: leads,
        applied_seq,
        lag,
        certificate_not_after: certificate_not_after.map(moment::to_wire),
        last_heard_ms: last_heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        version,
        format_level: format_level.map(Level::number),
        ..wire
    }
}

fn status(error: MembershipError) -> Status {
    let told = error.to_string();
    match error {
        MembershipError::Member(rejection) => member::refusal(&rejection).into(),
        MembershipError::AskerGone => Refusal::new(Reason::CertificateRequired, told).into(),
        MembershipError::Contended => Refusal::new(Reason::Overloaded, told).into(),
        MembershipError::NotTransferable { .. } => Refusal::new(Reason::NoLeader, told).into(),
        MembershipError::OwnCertificate { .. } => Refusal::new(Reason::OwnCertificate, told).into(),
        MembershipError::Append(error) => append_failed(error),
        MembershipError::Domain(_) | MembershipError::Random(_) => broken(&error),
    }
}

fn not_ended(error: DistrustError) -> Status {
    match error {
        DistrustError::Node(error) => super::refusal::status(error),
        DistrustError::Operator(error) => super::operator::status(error),
        DistrustError::Unconfirmed(_) => Refusal::new(Reason::NoLeader, error.to_string()).into(),
    }
}
