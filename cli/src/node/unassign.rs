//! `pact node unassign`: takes a node out of its vCluster.

use clap::Args;
use proto::{outcome::Failure, pb::UnassignNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node unassign compute-042
  pact node list --unassigned

The node is in maintenance mode from here on: the domain's default overlay configures it, and it hears of that within a
second. Its certificate and its connection stay. Who operates only the vCluster that it left does not see it any more.";

/// Takes a node out of its vCluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Unassign {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Unassign {
    /// Unassigns the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = UnassignNodeRequest { node_id: self.node_id };
        let answer = journals.ask(async |channel| nodes(channel).unassign_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
