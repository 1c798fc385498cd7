//! `pact journal transfer-leader`: another voter leads.

use clap::Args;
use proto::{outcome::Failure, pb::TransferLeaderRequest};

use super::readable;
use crate::{
    answer::Answer,
    connection::{Journals, members},
};

const EXAMPLES: &str = "\
Examples:
  pact journal transfer-leader j2

Before the present leader is stopped on purpose. To the one that leads already it changes nothing.";

/// Moves the leader.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TransferLeader {
    /// Name of the journal that shall lead
    #[arg(value_name = "JOURNAL_ID")]
    journal_id: String,
}

impl TransferLeader {
    /// Moves the leader.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = TransferLeaderRequest { journal_id: self.journal_id };
        let answer = journals.ask(async |channel| members(channel).transfer_leader(request).await).await?;
        Ok(Answer::Member(Box::new(readable(answer.member)?)))
    }
}
