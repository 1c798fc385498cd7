//! `pact operator list`: those who command the domain.

use clap::Args;
use proto::{outcome::Failure, pb::ListOperatorsRequest};

use super::readable;
use crate::{
    answer::Answer,
    connection::{Journals, operators},
};

const EXAMPLES: &str = "\
Examples:
  pact operator list
  pact operator list -o json | jq -r '.operators[] | select(.state == \"active\") | .operator_id'";

/// Shows the operators.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {}

impl List {
    /// Asks for the operators.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = ListOperatorsRequest { min_seq: None };
        let answer = journals.ask(async |channel| operators(channel).list_operators(request).await).await?;
        let read = |wire| readable(Some(wire));
        let operators = answer.operators.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Answer::Operators { operators, seq: answer.seq })
    }
}
