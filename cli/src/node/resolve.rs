//! `pact node resolve`: settles which machine a contested node is.

use clap::Args;
use proto::{outcome::Failure, pb::ResolveNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node list --contested
  pact events tail --node compute-042 -o json | jq 'select(.type == \"EnrollmentContested\")'
  pact node resolve compute-042

Find the second machine first: the fact tells from which address it came and what it presented. This only takes the mark
away. The certificate that the node has stays; where it is the wrong machine's, deactivate or revoke the node.";

/// Resolves a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Resolve {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Resolve {
    /// Resolves the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = ResolveNodeRequest { node_id: self.node_id };
        let answer = journals.ask(async |channel| nodes(channel).resolve_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
