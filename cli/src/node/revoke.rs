//! `pact node revoke`: ends a node's enrollment because it is not to be trusted any more (R16, R17).

use clap::Args;
use proto::{outcome::Failure, pb::RevokeNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node revoke compute-042 --reason \"stolen from rack r12\"

Revoked is final for this enrollment; `pact node enroll` begins a new one. A second revocation changes nothing and
answers the same.";

/// Revokes a node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Revoke {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,

    /// Why, for those who read the log; may be personal, it can be erased later
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    reason: String,
}

impl Revoke {
    /// Revokes the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = RevokeNodeRequest { node_id: self.node_id, reason: self.reason };
        let answer = journals.ask(async |channel| nodes(channel).revoke_node(request).await).await?;
        Answer::of_node(answer.node)
    }
}
