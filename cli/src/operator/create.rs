//! `pact operator create`: a role and a certificate for a person.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use events::vocabulary::Role;
use proto::{outcome::Failure, pb::CreateOperatorRequest};

use super::{credential_file::Draft, readable};
use crate::{
    answer::Answer,
    connection::{Journals, operators},
    duration,
};

const EXAMPLES: &str = "\
Examples:
  pact operator create alice --role pact-platform-admin --out alice.pem
  pact operator create carol --role pact-viewer-prod --expires 7d --out carol.pem

The key is made here and stands in FILE (0600) with the certificate; hand FILE over by a safe way. Names are never given
twice. A certificate never lives longer than the authority that signs it: 30 to 45 days.";

/// Creates an operator.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Create {
    /// Name of the operator
    #[arg(value_name = "NAME")]
    name: String,

    /// pact-platform-admin, pact-ops-VCLUSTER or pact-viewer-VCLUSTER
    #[arg(long, value_name = "ROLE")]
    role: Role,

    /// How long the certificate shall live, as 12h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration::parse)]
    expires: Duration,

    /// Where certificate and key are written; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Create {
    /// Creates the operator.
    ///
    /// # Errors
    /// If the file exists or cannot be written, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let draft = Draft::new(&self.out, None)?;
        let request = CreateOperatorRequest {
            operator_id: self.name,
            role: self.role.to_string(),
            csr: draft.csr().to_vec(),
            lifetime_secs: Some(self.expires.as_secs()),
        };
        let answer = journals.ask(async |channel| operators(channel).create_operator(request).await).await?;
        draft.settle(&answer.certificate, &answer.ca_chain)?;
        Ok(Answer::Operator(Box::new(readable(answer.operator)?)))
    }
}
