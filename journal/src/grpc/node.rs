//! NodeService: what operators order and see (contract: `pact node …`).

use events::node::RevocationCause;
use events::vocabulary::{DomainId, NodeId, Remark, Verb};
use proto::convert::{field, hardware, node};
use proto::pb;
use proto::pb::node_service_server::NodeService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::actors::{Answer, Nodes, Order, Request as Ask};
use crate::log::Log;
use crate::random;

use super::access::{Access, Admitted, Call};
use super::refusal::status;

/// See the module.
pub struct NodeEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// The domain.
    pub domain_id: DomainId,
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
        let id = field::node_id(&wire.node_id)?;
        let hardware = hardware::registered(wire.hardware_identity.as_ref())?;
        let labels = field::labels(wire.labels)?;
        let seq = self.order(&id, Order::Register { hardware, labels }, admitted).await?;
        Ok(Response::new(pb::RegisterNodeResponse { node: self.show(&id), seq }))
    }

    async fn batch_register_nodes(
        &self,
        _: Request<pb::BatchRegisterNodesRequest>,
    ) -> Answered<pb::BatchRegisterNodesResponse> {
        Err(Status::unimplemented("under construction"))
    }

    async fn list_nodes(&self, request: Request<pb::ListNodesRequest>) -> Answered<pb::ListNodesResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let wire = request.into_inner();
        let filter = pb::NodeState::try_from(wire.state).map_err(|error| field::invalid("state", error))?;
        self.check_seq(wire.min_seq)?;
        let views = self.log.views();
        // No node is in a vCluster yet: to whom only a vCluster is visible, none is.
        let visible = views.registry.nodes().filter(|_| admitted.sees(None));
        let shown = visible.filter(|(_, one)| node::passes(filter, &one.state));
        let nodes = shown.map(|(id, one)| node::to_wire(&self.domain_id, id, one, None)).collect();
        Ok(Response::new(pb::ListNodesResponse { nodes, seq: views.seq }))
    }

    async fn inspect_node(
        &self,
        request: Request<pb::InspectNodeRequest>,
    ) -> Answered<pb::InspectNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        self.check_seq(wire.min_seq)?;
        let node = self.show(&id).filter(|_| admitted.sees(None));
        let seq = self.log.views().seq;
        match node {
            Some(node) => Ok(Response::new(pb::InspectNodeResponse { node: Some(node), seq })),
            None => Err(Refusal::new(Reason::NodeNotFound, format!("no node is called {id}")).into()),
        }
    }

    async fn revoke_node(&self, request: Request<pb::RevokeNodeRequest>) -> Answered<pb::RevokeNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let order =
            Order::Revoke { cause: RevocationCause::Revoked, reason: remark("reason", &wire.reason)? };
        let seq = self.order(&id, order, admitted).await?;
        Ok(Response::new(pb::RevokeNodeResponse { node: self.show(&id), seq }))
    }

    async fn decommission_node(
        &self,
        request: Request<pb::DecommissionNodeRequest>,
    ) -> Answered<pb::DecommissionNodeResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id = field::node_id(&wire.node_id)?;
        let order =
            Order::Revoke { cause: RevocationCause::Decommissioned, reason: remark("reason", &wire.reason)? };
        let seq = self.order(&id, order, admitted).await?;
        Ok(Response::new(pb::DecommissionNodeResponse { node: self.show(&id), seq }))
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

    fn show(&self, id: &NodeId) -> Option<pb::Node> {
        let views = self.log.views();
        views.registry.node(id).map(|one| node::to_wire(&self.domain_id, id, one, None))
    }

    /// With one journal the views show every fact that was ever answered; a later seq is a mistake of the caller.
    fn check_seq(&self, min_seq: Option<u64>) -> Result<(), Refusal> {
        let seq = self.log.views().seq;
        match min_seq {
            Some(wanted) if wanted > seq => {
                Err(field::invalid("min_seq", format!("{wanted} is beyond the last fact, {seq}")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn remark(name: &str, text: &str) -> Result<Option<Remark>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let salt = random::bytes().map_err(|_| Status::internal("the system gives no random numbers"))?;
    Ok(Some(Remark::new(salt, text).map_err(|error| field::invalid(name, error))?))
}
