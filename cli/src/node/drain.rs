//! `pact node drain`: marks a node, so that nothing new is placed on it.

use clap::Args;
use proto::{outcome::Failure, pb::DrainNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node drain compute-042
  pact node inspect compute-042 -o json | jq .draining

A mark for those who place work, and nothing else: the journal itself starts and ends nothing. The node keeps its certificate,
its vCluster and its sessions, and stays marked while it is away, boots anew or moves, until `pact node undrain` or its end.";

/// Drains a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Drain {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Drain {
    /// Drains the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = DrainNodeRequest { node_id: self.node_id };
        let answer = journals.ask(async |channel| nodes(channel).drain_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
