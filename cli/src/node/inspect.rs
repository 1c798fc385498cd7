//! `pact node inspect`: one node, all that the journal tells of it.

use clap::Args;
use proto::{outcome::Failure, pb::InspectNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node inspect compute-042
  pact node inspect compute-042 -o json | jq -r .certificate.not_after";

/// Shows one node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Inspect {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Inspect {
    /// Asks for the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = InspectNodeRequest { node_id: self.node_id, min_seq: None };
        let answer = journals.ask(async |channel| nodes(channel).inspect_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
