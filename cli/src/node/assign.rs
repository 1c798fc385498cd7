//! `pact node assign`: puts a node that is in no vCluster into one.

use clap::Args;
use proto::{outcome::Failure, pb::AssignNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node assign compute-042 --vcluster prod
  pact node list --unassigned

The node hears of it within a second and fetches the vCluster's overlay. Its certificate and its connection stay. A node that
is in another vCluster is refused: move it.";

/// Puts a node into a vCluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Assign {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,

    /// vCluster that it comes into; it has an overlay
    #[arg(long, value_name = "VCLUSTER")]
    vcluster: String,
}

impl Assign {
    /// Puts it there.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = AssignNodeRequest { node_id: self.node_id, vcluster_id: self.vcluster };
        let answer = journals.ask(async |channel| nodes(channel).assign_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
