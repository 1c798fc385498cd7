//! `pact node revoke`: ends a node's enrollment because it is not to be trusted any more (R16, R17).

use std::time::Instant;

use clap::Args;
use proto::{outcome::Failure, pb::RevokeNodeRequest};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
    spread,
};

const EXAMPLES: &str = "\
Examples:
  pact node revoke compute-042 --reason \"stolen from rack r12\"
  pact node revoke compute-042 --reason \"stolen from rack r12\" --wait --timeout 30s

Revoked is final for this enrollment; `pact node enroll` begins a new one. A second revocation changes nothing and
answers the same.

Once it is answered, the journal that was asked has cut the node's connections, and the others do so as soon as they
learn of it. --wait asks each of them, at its operators' listener, and says who has applied it and who lags. If somebody
lags when the time is over, the exit code is 3; the revocation stands, and who lags learns of it before it serves again.";

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

    /// End only when every journal has applied it, at the latest after --timeout; says who has, and who lags
    #[arg(long)]
    wait: bool,
}

impl Revoke {
    /// Revokes the node.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached. Journals that lag are no error here: the answer names them.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let until = Instant::now() + journals.timeout();
        let request = RevokeNodeRequest { node_id: self.node_id, reason: self.reason };
        let answer = journals.ask(async |channel| nodes(channel).revoke_node(request).await).await?;
        if !self.wait {
            return Answer::of_node(answer.node);
        }
        let spread = spread::wait(journals, answer.seq, until).await;
        Answer::of_spread_node(answer.node, spread)
    }
}
