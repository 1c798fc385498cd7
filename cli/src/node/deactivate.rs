//! `pact node deactivate`: believes a node gone, and takes its certificate.

use clap::Args;
use proto::{outcome::Failure, pb::DeactivateNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node deactivate compute-042

Its connections are cut and its certificate opens nothing any more; it may enroll again at once, with any key. For a node
that hangs, was lost with its key in memory, or shall boot anew before its grace period is over.";

/// Deactivates a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Deactivate {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Deactivate {
    /// Deactivates the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = DeactivateNodeRequest { node_id: self.node_id };
        let answer = journals.ask(async |channel| nodes(channel).deactivate_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
