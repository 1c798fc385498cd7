//! `pact journal members`: who votes, who leads, who lags.

use clap::Args;
use proto::{outcome::Failure, pb::MembersRequest};

use super::readable;
use crate::{
    answer::Answer,
    connection::{Journals, members},
};

const EXAMPLES: &str = "\
Examples:
  pact journal members
  pact journal members -o json | jq -r '.members[] | select(.leader) | .journal_id'

Standings: joining and learner do not vote yet, voter does, evicted never will again. A dash: the journal that answers does
not know.";

/// Shows the journals.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Members {}

impl Members {
    /// Asks for the journals.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = MembersRequest { min_seq: None };
        let answer = journals.ask(async |channel| members(channel).members(request).await).await?;
        let read = |wire| readable(Some(wire));
        let members = answer.members.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Answer::Members { members, seq: answer.seq })
    }
}
