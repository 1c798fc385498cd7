//! `pact node undrain`: takes the mark of `pact node drain` away.

use clap::Args;
use proto::{outcome::Failure, pb::UndrainNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node undrain compute-042";

/// Ends the draining of a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Undrain {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,
}

impl Undrain {
    /// Undrains the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = UndrainNodeRequest { node_id: self.node_id };
        let answer = journals.ask(async |channel| nodes(channel).undrain_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
