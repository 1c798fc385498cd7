//! `pact node decommission`: takes a node out of service for good, in peace.

use clap::Args;
use proto::{outcome::Failure, pb::DecommissionNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node decommission compute-042
  pact node decommission compute-042 --reason \"row 3 is sold\"
  pact node drain compute-042 && pact node inspect compute-042 -o json | jq .sessions
  pact node decommission compute-042 --force

While sessions run on the node, by its own word, it is refused as ACTIVE_SESSIONS: drain it, and wait until none is left.
--force does not ask how many there are; the node's connections are cut in any case.";

/// Takes a node out of service.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Decommission {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,

    /// Also while sessions run on the node
    #[arg(long)]
    force: bool,

    /// Why, for those who read the log; may be personal, it can be erased later
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    reason: Option<String>,
}

impl Decommission {
    /// Decommissions the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let reason = self.reason.unwrap_or_default();
        let request = DecommissionNodeRequest { node_id: self.node_id, force: self.force, reason };
        let answer = journals.ask(async |channel| nodes(channel).decommission_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
