//! `pact operator revoke`: ends an operator and their connections (R17).

use clap::Args;
use proto::{outcome::Failure, pb::RevokeOperatorRequest};

use super::readable;
use crate::{
    answer::Answer,
    connection::{Journals, operators},
};

const EXAMPLES: &str = "\
Examples:
  pact operator revoke alice --reason \"left the company\"

A second revocation changes nothing. The last administrator is not revoked: nobody could command the domain then.";

/// Revokes an operator.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Revoke {
    /// Name of the operator
    #[arg(value_name = "NAME")]
    name: String,

    /// Why, for those who read the log; may be personal, it can be erased later
    #[arg(long, value_name = "TEXT", value_parser = crate::node::reason)]
    reason: Option<String>,
}

impl Revoke {
    /// Revokes the operator.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request =
            RevokeOperatorRequest { operator_id: self.name, reason: self.reason.unwrap_or_default() };
        let answer = journals.ask(async |channel| operators(channel).revoke_operator(request).await).await?;
        Ok(Answer::Operator(Box::new(readable(answer.operator)?)))
    }
}
