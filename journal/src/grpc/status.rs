//! StatusService: how the domain is (contract: `pact status`, `pact authority list`).

use std::time::Duration;

use events::node::State;
use events::vocabulary::{DomainId, JournalId, Timestamp, Verb};
use proto::convert::operator;
use proto::pb;
use proto::pb::status_service_server::StatusService;
use tonic::{Request, Response, Status};

use crate::clock;
use crate::log::Log;
use crate::release::READS;
use crate::renewal::Outlook;

use super::access::{Access, Admitted, Call};
use super::current;
use super::deadline::patience;
use super::walk;

/// See the module.
pub struct StatusEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// The domain.
    pub domain_id: DomainId,
    /// Until when server certificates last.
    pub outlook: Outlook,
    /// This journal.
    pub journal_id: JournalId,
    /// Who has not used a certificate for longer needs a look.
    pub unconfirmed_alert: Duration,
}

#[tonic::async_trait]
impl StatusService for StatusEdge {
    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        current::reach(&self.log, request.into_inner().min_seq, patience).await?;
        let last_seq = self.log.views().seq;
        let counted = self.count(&admitted, clock::now()).await;
        let (seats, short_of_disk) = (self.log.seats(), self.short_of_disk());
        let views = self.log.views();
        let journals = views.members.members().filter(|(_, member)| member.votes());
        let journals = journals.map(|(id, _)| id.to_string()).collect();
        let leader = seats.leader.and_then(|leader| views.members.by_raft_id(leader));
        let leader = leader.map(|(id, _)| id.to_string()).unwrap_or_default();
        let live = views.authorities.iter().filter(|(_, known)| !retired(&known.state)).count();
        let mut warnings = vec![];
        if counted.stuck > 0 {
            warnings.push(format!(
                "{} nodes have not used their certificate for more than {} s: pact node list --stuck",
                counted.stuck,
                self.unconfirmed_alert.as_secs()
            ));
        }
        if counted.contested > 0 {
            warnings.push(format!(
                "{} nodes are claimed by two machines: pact node list --contested",
                counted.contested
            ));
        }
        if views.level < READS {
            warnings.push(format!(
                "the log is at format level {} of {READS}, because a journal reads no more or does not answer: pact journal members",
                views.level
            ));
        }
        warnings.extend(self.outlook.warnings(clock::now()));
        warnings.extend(short_of_disk);
        if leader.is_empty() {
            warnings.push("no journal leads at the moment: nothing can be recorded".to_owned());
        }
        Ok(Response::new(pb::StatusResponse {
            domain_id: self.domain_id.to_string(),
            leader,
            journals,
            nodes: Some(counted.nodes),
            last_seq,
            authorities: live as u64,
            warnings,
        }))
    }

    async fn list_authorities(
        &self,
        request: Request<pb::ListAuthoritiesRequest>,
    ) -> Result<Response<pb::ListAuthoritiesResponse>, Status> {
        self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        current::reach(&self.log, request.into_inner().min_seq, patience).await?;
        let views = self.log.views();
        let told = views.authorities.iter().filter_map(|(id, known)| {
            let announced = known.state.announced()?;
            Some(operator::authority(*id, announced, retired(&known.state)))
        });
        let authorities = told.collect();
        Ok(Response::new(pb::ListAuthoritiesResponse { authorities, seq: views.seq }))
    }
}

/// The nodes that a caller sees.
#[derive(Default)]
struct Counted {
    nodes: pb::NodeCounts,
    stuck: u64,
    contested: u64,
}

impl StatusEdge {
    /// Where so little disk is left that only revocations and evictions are recorded (R3): here, and as far as this
    /// journal leads, elsewhere.
    fn short_of_disk(&self) -> Vec<String> {
        let told = |journal: &str, left: String| {
            format!(
                "the disk of journal {journal} is nearly full{left}: it records only revocations and evictions"
            )
        };
        let here = self
            .log
            .little_disk()
            .map(|left| told(self.journal_id.as_str(), format!(" ({} MiB are left)", left >> 20)));
        let low =
            |raft_id: u64| self.log.leads() && self.log.heard(raft_id).is_some_and(|word| word.disk_low);
        let views = self.log.views();
        let elsewhere = views.members.members().filter(|(_, member)| low(member.raft_id));
        here.into_iter().chain(elsewhere.map(|(id, _)| told(id.as_str(), String::new()))).collect()
    }

    async fn count(&self, admitted: &Admitted, now: Timestamp) -> Counted {
        let mut counted = Counted::default();
        walk::all_nodes(&self.log, |_, node| {
            if !admitted.sees(node.state.vcluster()) {
                return;
            }
            match &node.state {
                State::Unknown => {}
                State::Registered { .. } => counted.nodes.registered += 1,
                State::Active { .. } => counted.nodes.active += 1,
                State::Inactive { .. } => counted.nodes.inactive += 1,
                State::Revoked { .. } => counted.nodes.revoked += 1,
            }
            counted.stuck += u64::from(node.state.is_stuck(now, self.unconfirmed_alert));
            counted.contested += u64::from(node.state.is_contested());
        })
        .await;
        counted
    }
}

fn retired(state: &events::authority::State) -> bool {
    matches!(state, events::authority::State::Retired(_))
}
