//! VClusterService: what nodes are configured by, as operators set and see it (contract: `pact vcluster …`).

use std::collections::BTreeMap;

use events::views::Configured;
use events::vocabulary::{VClusterId, Verb};
use proto::convert::{field, vcluster};
use proto::pb;
use proto::pb::v_cluster_service_server::VClusterService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::log::Log;
use crate::overlays::{Overlays, SetError};

use super::access::{Access, Admitted, Call};
use super::current;
use super::deadline::patience;
use super::refusal::{append_failed, broken};
use super::walk;

/// See the module.
pub struct VClusterEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// Sets and shows overlays.
    pub overlays: Overlays,
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl VClusterService for VClusterEdge {
    async fn set_overlay(&self, request: Request<pb::SetOverlayRequest>) -> Answered<pb::SetOverlayResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let wire = request.into_inner();
        let id: VClusterId = field::parsed("vcluster_id", &wire.vcluster_id)?;
        let (vcluster, seq) = self.set(Some(&id), wire.overlay, &admitted).await?;
        Ok(Response::new(pb::SetOverlayResponse { vcluster, seq }))
    }

    async fn get_v_cluster(
        &self,
        request: Request<pb::GetVClusterRequest>,
    ) -> Answered<pb::GetVClusterResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        let id = wire.vcluster_id;
        let id: Option<VClusterId> =
            if id.is_empty() { None } else { Some(field::parsed("vcluster_id", &id)?) };
        current::reach(&self.log, wire.min_seq, patience).await?;
        let visible = admitted.sees(id.as_ref());
        if visible && self.log.views().vclusters.configured(id.as_ref()).is_none() {
            current::catch_up(&self.log).await;
        }
        let nodes = walk::count_by_vcluster(&self.log).await;
        let (configured, seq) = {
            let views = self.log.views();
            (views.vclusters.configured(id.as_ref()).cloned(), views.seq)
        };
        let Some(configured) = configured.filter(|_| visible) else {
            return Err(Refusal::new(Reason::VclusterNotFound, absent(id.as_ref())).into());
        };
        let overlay = self.overlays.show(&configured.overlay.sha256).map_err(|error| broken(&error))?;
        let vcluster = Some(shown(id.as_ref(), &configured, &nodes));
        Ok(Response::new(pb::GetVClusterResponse { vcluster, overlay: overlay.to_vec(), seq }))
    }

    async fn list_v_clusters(
        &self,
        request: Request<pb::ListVClustersRequest>,
    ) -> Answered<pb::ListVClustersResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Read))?;
        let patience = patience(request.metadata());
        current::reach(&self.log, request.into_inner().min_seq, patience).await?;
        let nodes = walk::count_by_vcluster(&self.log).await;
        let views = self.log.views();
        let visible = views.vclusters.iter().filter(|(id, _)| admitted.sees(Some(id)));
        let vclusters = visible.map(|(id, one)| shown(Some(id), &one.configured, &nodes)).collect();
        let default = views.vclusters.domain_default().filter(|_| admitted.sees(None));
        let domain_default = default.map(|configured| shown(None, configured, &nodes));
        Ok(Response::new(pb::ListVClustersResponse { vclusters, domain_default, seq: views.seq }))
    }

    async fn set_domain_default(
        &self,
        request: Request<pb::SetDomainDefaultRequest>,
    ) -> Answered<pb::SetDomainDefaultResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Configure))?;
        let (domain_default, seq) = self.set(None, request.into_inner().overlay, &admitted).await?;
        Ok(Response::new(pb::SetDomainDefaultResponse { domain_default, seq }))
    }
}

impl VClusterEdge {
    async fn set(
        &self,
        id: Option<&VClusterId>,
        overlay: Vec<u8>,
        admitted: &Admitted,
    ) -> Result<(Option<pb::VCluster>, u64), Status> {
        admitted.configures(id)?;
        let (principal, source) = (admitted.principal(), admitted.source.as_ref());
        let seq = self.overlays.set(id, overlay, &principal, source).await.map_err(not_set)?;
        let nodes = walk::count_by_vcluster(&self.log).await;
        let views = self.log.views();
        Ok((views.vclusters.configured(id).map(|configured| shown(id, configured, &nodes)), seq))
    }
}

fn shown(
    id: Option<&VClusterId>,
    configured: &Configured,
    nodes: &BTreeMap<Option<VClusterId>, u64>,
) -> pb::VCluster {
    vcluster::to_wire(id, configured, nodes.get(&id.cloned()).copied().unwrap_or(0))
}

fn absent(id: Option<&VClusterId>) -> String {
    match id {
        Some(id) => format!("no vCluster is called {id}"),
        None => "the domain has no default overlay; set one with `pact vcluster set-default`".to_owned(),
    }
}

fn not_set(error: SetError) -> Status {
    match error {
        SetError::TooLarge(error) => Refusal::new(Reason::OverlayTooLarge, error.to_string()).into(),
        SetError::Contended => Refusal::new(Reason::Overloaded, error.to_string()).into(),
        SetError::AskerGone => Refusal::new(Reason::CertificateRequired, error.to_string()).into(),
        SetError::Append(error) => append_failed(error),
        SetError::Rejected(_) | SetError::Random(_) => broken(&error),
    }
}
