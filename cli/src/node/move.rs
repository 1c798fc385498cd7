//! `pact node move`: moves a node from its vCluster into another one.

use clap::Args;
use proto::{outcome::Failure, pb::MoveNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node move compute-042 --to-vcluster prod

At no moment the node is in none or in both. It hears of it within a second and fetches the overlay; its certificate and its
connection stay. A node that is in no vCluster is refused: assign it.";

/// Moves a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Move {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,

    /// vCluster that it comes into; it has an overlay
    #[arg(long, value_name = "VCLUSTER")]
    to_vcluster: String,
}

impl Move {
    /// Moves it there.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = MoveNodeRequest { node_id: self.node_id, to_vcluster_id: self.to_vcluster };
        let answer = journals.ask(async |channel| nodes(channel).move_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
