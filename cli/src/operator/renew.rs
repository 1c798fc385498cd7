//! `pact operator renew`: the next certificate over the present one.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use proto::{outcome::Failure, pb::RenewOperatorRequest};

use super::{credential_file::Draft, readable};
use crate::{
    answer::Answer,
    connection::{Journals, operators},
    duration,
};

const EXAMPLES: &str = "\
Examples:
  pact operator renew --out alice.pem
  pact operator renew --credential alice.pem --expires 7d --out alice-next.pem

A new key is made. The present certificate lives on for 5 minutes: if the answer is lost, ask again with it. FILE may be the
file of the present credential: it is replaced at once, as a whole.";

/// Renews the credential that asks.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Renew {
    /// Where certificate and key are written; must not exist, unless it is the present credential
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// How long the certificate shall live, as 12h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration::parse)]
    expires: Duration,
}

impl Renew {
    /// Renews.
    ///
    /// # Errors
    /// If the file cannot be written, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let draft = Draft::new(&self.out, journals.credential_file())?;
        let request =
            RenewOperatorRequest { csr: draft.csr().to_vec(), lifetime_secs: Some(self.expires.as_secs()) };
        let answer = journals.ask(async |channel| operators(channel).renew_operator(request).await).await?;
        draft.settle(&answer.certificate, &answer.ca_chain)?;
        Ok(Answer::Operator(Box::new(readable(answer.operator)?)))
    }
}
