//! NodeService: what operators order and see (contract: `pact node …`).

use std::sync::Arc;
use std::time::Duration;

use events::node::{Rejection, RevocationCause, State};
use events::views::Views;
use events::vocabulary::{
    DomainId, HardwareField, HardwareIdentity, NodeId, Remark, SpiffeId, VClusterId, Verb,
};
use futures_util::future::join_all;
use proto::convert::{batch::RowOutcome, field, hardware, node};
use proto::pb;
use proto::pb::node_service_server::NodeService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::actors::{Answer, AskError, Nodes, Order, Request as Ask};
use crate::clock;
use crate::log::Log;
use crate::presence::{Streams, sessions::Sessions};
use crate::random;
use crate::workloads::{self, Workloads};

use super::access::{Access, Admitted, Call};
use super::current;
use super::deadline::patience;
use super::refusal::{BUSY, status};
use super::walk;

/// Rows of one batch: a large machine is sent in parts, so that no call holds much memory or lasts long.
const MAX_ROWS: usize = 1000;

/// A leader that was elected just now knows of all sessions once the others have reported. For one that is cut off nobody
/// waits so long: the operator is told that it is not known.
const COUNTED: Duration = Duration::from_secs(7);
/// Who looks at a node does not wait for it as long.
const GLANCE: Duration = Duration::from_millis(300);

/// See the module.
pub struct NodeEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Which nodes are here.
    pub streams: Streams,
    /// How many sessions run on them.
    pub sessions: Sessions,
    /// The domain.
    pub domain_id: DomainId,
    /// Who has not used a certificate for longer needs a look.
    pub unconfirmed_alert: Duration,
    /// Whose workload identities may be bound to nodes; none: nobody's.
    pub workloads: Option<Arc<Workloads>>,
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl NodeService for NodeEdge {
    async fn register_node(
        &self,
        request: Request<pb::RegisterNodeRequest>,
    ) -> Answered<pb::RegisterNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let (id, order) = registration(wire)?;
        let hardware = order.hardware().cloned();
        let seq = self.order(&id, order, admitted).await?;
        let warnings = self.warnings(&id, hardware.as_ref());
        Ok(Response::new(pb::RegisterNodeResponse { node: self.show(&id), seq, warnings }))
    }

    async fn batch_register_nodes(
        &self,
        request: Request<pb::BatchRegisterNodesRequest>,
    ) -> Answered<pb::BatchRegisterNodesResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        if wire.rows.len() > MAX_ROWS {
            let told = format!("{} are too many; send at most {MAX_ROWS} in a call", wire.rows.len());
            return Err(field::invalid("rows", told).into());
        }
        let dry_run = wire.dry_run;
        let rows = wire.rows.into_iter().map(|row| self.register_row(row, &admitted, dry_run));
        // All at once: they share Raft entries. The actors put those of one node into an order.
        let rows = join_all(rows).await;
        Ok(Response::new(pb::BatchRegisterNodesResponse { rows, seq: self.log.views().seq }))
    }

    async fn list_nodes(&self, request: Request<pb::ListNodesRequest>) -> Answered<pb::ListNodesResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        let filter = pb::NodeState::try_from(wire.state).map_err(|error| field::invalid("state", error))?;
        current::reach(&self.log, wire.min_seq, patience).await?;
        let group = Some(wire.vcluster_id.as_str()).filter(|id| !id.is_empty());
        let group: Option<VClusterId> = group.map(|id| field::parsed("vcluster_id", id)).transpose()?;
        if group.is_some() && wire.unassigned {
            return Err(field::invalid(
                "unassigned",
                "a node of a vCluster is assigned: ask for one of both",
            )
            .into());
        }
        let seq = self.log.views().seq;
        let (mut nodes, now) = (Vec::new(), clock::now());
        let wanted = |state: &State| {
            let vcluster = state.vcluster();
            node::passes(filter, state)
                && (group.is_none() || vcluster == group.as_ref())
                && !(wire.unassigned && vcluster.is_some())
                && (!wire.stuck || state.is_stuck(now, self.unconfirmed_alert))
                && (!wire.contested || state.is_contested())
        };
        walk::all_nodes(&self.log, |id, one| {
            if admitted.sees(one.state.vcluster()) && wanted(&one.state) {
                let last_seen = self.streams.last_seen(id, now);
                nodes.push(node::to_wire(&self.domain_id, id, one, last_seen));
            }
        })
        .await;
        Ok(Response::new(pb::ListNodesResponse { nodes, seq }))
    }

    async fn inspect_node(
        &self,
        request: Request<pb::InspectNodeRequest>,
    ) -> Answered<pb::InspectNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        current::reach(&self.log, wire.min_seq, patience).await?;
        let seen =
            |views: &Views| views.registry.node(&id).is_some_and(|node| admitted.sees(node.state.vcluster()));
        let mut visible = seen(&self.log.views());
        if !visible {
            current::catch_up(&self.log).await;
            visible = seen(&self.log.views());
        }
        let node = self.show(&id).filter(|_| visible);
        let seq = self.log.views().seq;
        match node {
            Some(node) if node.state() == pb::NodeState::Active => {
                let sessions = self.sessions.count(&id, GLANCE.min(patience)).await;
                let node = pb::Node { sessions: sessions.filter(|count| *count > 0), ..node };
                Ok(Response::new(pb::InspectNodeResponse { node: Some(node), seq }))
            }
            Some(node) => Ok(Response::new(pb::InspectNodeResponse { node: Some(node), seq })),
            None => Err(Refusal::new(Reason::NodeNotFound, format!("no node is called {id}")).into()),
        }
    }

    async fn revoke_node(&self, request: Request<pb::RevokeNodeRequest>) -> Answered<pb::RevokeNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let reason = remark("reason", &wire.reason)?;
        let order = Order::Revoke { cause: RevocationCause::Revoked, reason, sessions: 0 };
        let seq = self.order(&id, order, admitted).await?;
        Ok(Response::new(pb::RevokeNodeResponse { node: self.show(&id), seq }))
    }

    async fn deactivate_node(
        &self,
        request: Request<pb::DeactivateNodeRequest>,
    ) -> Answered<pb::DeactivateNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let id = field::node_id(&request.into_inner().node_id)?;
        let seq = self.order(&id, Order::Deactivate, admitted).await?;
        Ok(Response::new(pb::DeactivateNodeResponse { node: self.show(&id), seq }))
    }

    async fn decommission_node(
        &self,
        request: Request<pb::DecommissionNodeRequest>,
    ) -> Answered<pb::DecommissionNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let reason = remark("reason", &wire.reason)?;
        let sessions = if wire.force { 0 } else { self.running(&id, patience).await? };
        let order = Order::Revoke { cause: RevocationCause::Decommissioned, reason, sessions };
        let seq = self.order(&id, order, admitted).await?;
        Ok(Response::new(pb::DecommissionNodeResponse { node: self.show(&id), seq }))
    }

    async fn replace_hardware(
        &self,
        request: Request<pb::ReplaceHardwareRequest>,
    ) -> Answered<pb::ReplaceHardwareResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let hardware = hardware::registered(wire.hardware_identity.as_ref())?;
        let order = Order::ReplaceHardware { hardware: hardware.clone() };
        let seq = self.order(&id, order, admitted).await?;
        let warnings = self.warnings(&id, Some(&hardware));
        Ok(Response::new(pb::ReplaceHardwareResponse { node: self.show(&id), seq, warnings }))
    }

    async fn assign_node(&self, request: Request<pb::AssignNodeRequest>) -> Answered<pb::AssignNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let (vcluster, asker) = (own_group("vcluster_id", &wire.vcluster_id, &admitted)?, admitted.role()?);
        let seq = self.order(&id, Order::Assign { vcluster, asker }, admitted).await?;
        Ok(Response::new(pb::AssignNodeResponse { node: self.show(&id), seq }))
    }

    async fn unassign_node(
        &self,
        request: Request<pb::UnassignNodeRequest>,
    ) -> Answered<pb::UnassignNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let id = field::node_id(&request.into_inner().node_id)?;
        let asker = admitted.role()?;
        let seq = self.order(&id, Order::Unassign { asker }, admitted).await?;
        // An operator of the vCluster that it left sees it for the last time: every change shows its node.
        Ok(Response::new(pb::UnassignNodeResponse { node: self.show(&id), seq }))
    }

    async fn move_node(&self, request: Request<pb::MoveNodeRequest>) -> Answered<pb::MoveNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let to = own_group("to_vcluster_id", &wire.to_vcluster_id, &admitted)?;
        let asker = admitted.role()?;
        let seq = self.order(&id, Order::Move { to, asker }, admitted).await?;
        Ok(Response::new(pb::MoveNodeResponse { node: self.show(&id), seq }))
    }

    async fn drain_node(&self, request: Request<pb::DrainNodeRequest>) -> Answered<pb::DrainNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let id = field::node_id(&request.into_inner().node_id)?;
        let seq = self.drain(&id, true, admitted).await?;
        Ok(Response::new(pb::DrainNodeResponse { node: self.show(&id), seq }))
    }

    async fn undrain_node(
        &self,
        request: Request<pb::UndrainNodeRequest>,
    ) -> Answered<pb::UndrainNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let id = field::node_id(&request.into_inner().node_id)?;
        let seq = self.drain(&id, false, admitted).await?;
        Ok(Response::new(pb::UndrainNodeResponse { node: self.show(&id), seq }))
    }

    async fn resolve_node(
        &self,
        request: Request<pb::ResolveNodeRequest>,
    ) -> Answered<pb::ResolveNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let id = field::node_id(&request.into_inner().node_id)?;
        let seq = self.order(&id, Order::Resolve, admitted).await?;
        Ok(Response::new(pb::ResolveNodeResponse { node: self.show(&id), seq }))
    }

    async fn bind_node_identity(
        &self,
        request: Request<pb::BindNodeIdentityRequest>,
    ) -> Answered<pb::BindNodeIdentityResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let spiffe_id: SpiffeId = field::parsed("spiffe_id", &wire.spiffe_id)?;
        workloads::check_trusted(self.workloads.as_deref(), &spiffe_id)?;
        let seq = self.order(&id, Order::Bind { spiffe_id, over: None }, admitted).await?;
        Ok(Response::new(pb::BindNodeIdentityResponse { node: self.show(&id), seq }))
    }
}

impl NodeEdge {
    async fn order(&self, id: &NodeId, order: Order, admitted: Admitted) -> Result<u64, Status> {
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source };
        match self.nodes.ask(id, ask).await.map_err(status)? {
            Answer::Settled { seq } => Ok(seq),
            Answer::Issued(_) => Err(Status::internal("an operator's order ended with a certificate")),
        }
    }

    /// How many sessions run on a node. Where that is not known, nobody is told that none do.
    async fn running(&self, id: &NodeId, patience: Duration) -> Result<u32, Refusal> {
        let within = (patience * 9 / 10).min(COUNTED);
        self.sessions.count(id, within).await.ok_or_else(|| {
            let message =
                "it is not known yet whether sessions run on the node; ask again, or order it with --force";
            Refusal::new(Reason::NoLeader, message).retry_after(BUSY)
        })
    }

    async fn drain(&self, id: &NodeId, draining: bool, admitted: Admitted) -> Result<u64, Status> {
        let asker = admitted.role()?;
        self.order(id, Order::Drain { draining, asker }, admitted).await
    }

    async fn register_row(
        &self,
        row: pb::RegisterNodeRequest,
        admitted: &Admitted,
        dry_run: bool,
    ) -> pb::BatchRow {
        let (id, order) = match registration(row) {
            Ok(parsed) => parsed,
            Err(refusal) => return RowOutcome::from(refusal).into(),
        };
        let hardware = order.hardware().cloned();
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source.clone() };
        let answered = if dry_run { self.nodes.rehearse(&id, &ask) } else { self.nodes.ask(&id, ask).await };
        match answered {
            Ok(_) => {
                let warnings = self.warnings(&id, hardware.as_ref());
                RowOutcome::Registered { warnings }.into()
            }
            Err(AskError::Rejected { rejection: Rejection::AlreadyEnrolled { equally: true }, .. }) => {
                RowOutcome::Unchanged.into()
            }
            Err(error) => {
                let status = status(error);
                // What broke has no reason of its own; the journal's log has.
                let refusal = Refusal::from_status(&status);
                refusal.map_or_else(|| broke(&status), |refusal| RowOutcome::from(refusal).into())
            }
        }
    }

    /// What is unusual about a node's hardware and allowed (R2): it is matched all the same.
    fn warnings(&self, id: &NodeId, hardware: Option<&HardwareIdentity>) -> Vec<String> {
        let Some(hardware) = hardware else { return vec![] };
        let shared = self.log.views().registry.sharing(id, hardware);
        shared.into_iter().filter_map(|(field, other)| warning(field, &other)).collect()
    }

    fn show(&self, id: &NodeId) -> Option<pb::Node> {
        let views = self.log.views();
        let last_seen = self.streams.last_seen(id, clock::now());
        views.registry.node(id).map(|one| node::to_wire(&self.domain_id, id, one, last_seen))
    }
}

fn registration(wire: pb::RegisterNodeRequest) -> Result<(NodeId, Order), Refusal> {
    let id = field::node_id(&wire.node_id)?;
    let hardware = hardware::registered(wire.hardware_identity.as_ref())?;
    let labels = field::labels(wire.labels)?;
    let vcluster = wire.vcluster_id.filter(|id| !id.is_empty());
    let vcluster = vcluster.map(|id| field::parsed("vcluster_id", &id)).transpose()?;
    Ok((id, Order::Register { hardware, labels, vcluster }))
}

/// The vCluster that a node shall come into, which the caller may change.
fn own_group(name: &str, id: &str, admitted: &Admitted) -> Result<VClusterId, Refusal> {
    let group = field::parsed(name, id)?;
    admitted.configures(Some(&group))?;
    Ok(group)
}

/// A field that most machines have alone is another node's too.
fn warning(field: HardwareField, other: &NodeId) -> Option<String> {
    let shared = match field {
        HardwareField::BmcSerial => "BMC serial",
        HardwareField::Uuid => "system UUID",
        HardwareField::Macs | HardwareField::ForeignMac => return None,
    };
    Some(format!(
        "the node {other} has the same {shared}: right for blades that share it, else one of both is mistyped"
    ))
}

fn broke(status: &Status) -> pb::BatchRow {
    let (reason, message) = ("FAILED".to_owned(), status.message().to_owned());
    RowOutcome::Failed { reason, message }.into()
}

/// Salts what an operator said, so that it can be erased (R4). None: nothing was said.
pub(super) fn remark(name: &str, text: &str) -> Result<Option<Remark>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let salt = random::bytes().map_err(|_| Status::internal("the system gives no random numbers"))?;
    Ok(Some(Remark::new(salt, text).map_err(|error| field::invalid(name, error))?))
}
