//! What nodes are configured by: set by operators, fetched at boot, told of when it changes.

mod batch;
mod changes;
pub mod groups;
mod overlays;

use proto::pb;
use proto::pb::boot_config_service_client::BootConfigServiceClient;
use proto::pb::config_chunk::{Chunk, Complete, Overlay};
use proto::pb::v_cluster_service_client::VClusterServiceClient;

use crate::calls::{Agent, Answer, Operator, answer, credential};
use crate::journal_process::Journal;
use crate::request::Machine;

/// What a node was sent, whole.
#[derive(Debug, PartialEq)]
pub struct Fetched {
    pub overlay: Option<Vec<u8>>,
    pub complete: Complete,
}

impl Operator {
    pub async fn set_overlay(&self, vcluster: &str, overlay: &[u8]) -> Answer<pb::SetOverlayResponse> {
        let request = pb::SetOverlayRequest { vcluster_id: vcluster.to_owned(), overlay: overlay.to_vec() };
        answer(&self.0, VClusterServiceClient::new(self.0.channel()).set_overlay(request).await)
    }

    pub async fn set_default(&self, overlay: &[u8]) -> Answer<pb::SetDomainDefaultResponse> {
        let request = pb::SetDomainDefaultRequest { overlay: overlay.to_vec() };
        answer(&self.0, VClusterServiceClient::new(self.0.channel()).set_domain_default(request).await)
    }

    pub async fn vcluster(&self, vcluster: &str) -> Answer<pb::GetVClusterResponse> {
        let request = pb::GetVClusterRequest { vcluster_id: vcluster.to_owned(), min_seq: None };
        let mut client = VClusterServiceClient::new(self.0.channel()).max_decoding_message_size(16 << 20);
        answer(&self.0, client.get_v_cluster(request).await)
    }

    pub async fn vclusters(&self) -> Answer<pb::ListVClustersResponse> {
        let mut client = VClusterServiceClient::new(self.0.channel());
        answer(&self.0, client.list_v_clusters(pb::ListVClustersRequest::default()).await)
    }

    pub async fn register_in(&self, machine: &Machine, vcluster: &str) -> Answer<pb::Node> {
        let request = pb::RegisterNodeRequest {
            node_id: machine.node_id.clone(),
            hardware_identity: Some(machine.hardware.clone()),
            vcluster_id: Some(vcluster.to_owned()),
            ..Default::default()
        };
        let mut client = pb::node_service_client::NodeServiceClient::new(self.0.channel());
        Ok(answer(&self.0, client.register_node(request).await)?.node.expect("it is shown"))
    }
}

impl Agent {
    /// StreamBootConfig, put together as an agent does.
    pub async fn boot_config(&self, known_revision: u64) -> Answer<Fetched> {
        let mut client = BootConfigServiceClient::new(self.0.channel());
        let request = pb::BootConfigRequest { known_revision };
        let mut stream = answer(&self.0, client.stream_boot_config(request).await)?;
        let (mut parts, mut complete) = (Vec::<Overlay>::new(), None);
        while let Some(message) = stream.message().await.map_err(|status| self.0.failure(&status))? {
            match message.chunk.expect("no empty message") {
                Chunk::Overlay(part) => {
                    assert_eq!((part.index as usize, complete.is_none()), (parts.len(), true));
                    assert!(part.data.len() <= 64 << 10);
                    parts.push(part);
                }
                Chunk::Complete(told) => assert!(complete.replace(told).is_none(), "told once"),
            }
        }
        let complete = complete.expect("the last message");
        let Some(first) = parts.first() else { return Ok(Fetched { overlay: None, complete }) };
        assert_eq!(first.total as usize, parts.len());
        let same = |part: &Overlay| {
            (&part.sha256, part.revision, &part.vcluster_id)
                == (&first.sha256, complete.revision, &complete.vcluster_id)
        };
        assert!(parts.iter().all(same), "{complete:?}");
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.data.clone()).collect();
        assert_eq!(first.sha256, events::vocabulary::OverlayHash::of(&whole).as_bytes());
        Ok(Fetched { overlay: Some(whole), complete })
    }
}

/// Enrolls a registered machine; the connection that its certificate opens.
pub async fn booted(journal: &Journal, machine: &Machine) -> Agent {
    let anonymous = journal.agent(None).await.unwrap();
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap()
}
