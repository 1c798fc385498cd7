//! `pact node bind-identity`: lets a workload identity of others prove a node, too.

use clap::Args;
use proto::{outcome::Failure, pb::BindNodeIdentityRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node bind-identity compute-042 --spiffe-id spiffe://site.example/pact/compute-042

Agents bind theirs by themselves once they have one, until the node enrolls again; this lasts for the node's whole enrollment.
The identity opens what the node's current certificate opens, and nothing while it has none. It takes the place of one that was
bound before, and proves one node at a time. The journals must have the workload_trust_domain that stands in it.";

/// Binds a workload identity to a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BindIdentity {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
    /// The identity: spiffe://TRUST-DOMAIN/PATH
    #[arg(long, value_name = "URI")]
    spiffe_id: String,
}

impl BindIdentity {
    /// Binds it.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = BindNodeIdentityRequest { node_id: self.node_id, spiffe_id: self.spiffe_id };
        let bind = async |channel| nodes(channel).bind_node_identity(request).await;
        Answer::of_node(journals.ask(bind).await?.node)
    }
}
