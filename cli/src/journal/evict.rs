//! `pact journal evict`: takes a journal out for good (§7).

use clap::Args;
use proto::{outcome::Failure, pb::EvictRequest};

use super::readable;
use crate::{
    answer::Answer,
    connection::{Journals, members},
};

const EXAMPLES: &str = "\
Examples:
  pact journal evict j3
  pact journal evict j3 --reason \"disk lost\"

A journal that was evicted never comes back, not even with its data: its name and its number are not given again. A second
eviction changes nothing. The last journal that votes is not evicted: nobody could decide anything then.";

/// Evicts a journal.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Evict {
    /// Name of the journal
    #[arg(value_name = "JOURNAL_ID")]
    journal_id: String,

    /// Why, for those who read the log; may be personal, it can be erased later
    #[arg(long, value_name = "TEXT", value_parser = crate::node::reason)]
    reason: Option<String>,
}

impl Evict {
    /// Evicts the journal.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = EvictRequest {
            journal_id: self.journal_id,
            revoke_issued: false,
            reason: self.reason.unwrap_or_default(),
        };
        let answer = journals.ask(async |channel| members(channel).evict(request).await).await?;
        Ok(Answer::Member(Box::new(readable(answer.member)?)))
    }
}
