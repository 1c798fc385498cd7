//! `pact vcluster set-default`: gives the nodes that are in no vCluster their overlay.

use std::path::PathBuf;

use clap::Args;
use proto::{outcome::Failure, pb::SetDomainDefaultRequest};

use super::overlay;
use crate::{
    answer::Answer,
    connection::{Journals, vclusters},
};

const EXAMPLES: &str = "\
Examples:
  pact vcluster set-default --overlay maintenance.tar
  pact vcluster set-default --overlay - < maintenance.tar
  pact vcluster show --default

An overlay is at most 10 MiB (10485760 bytes) of anything, also nothing.";

/// Sets the overlay of the nodes that are in no vCluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SetDefault {
    /// File with the overlay; `-` is stdin
    #[arg(long, value_name = "FILE")]
    overlay: PathBuf,
}

impl SetDefault {
    /// Sets the overlay.
    ///
    /// # Errors
    /// If the overlay cannot be read or is too large, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = SetDomainDefaultRequest { overlay: overlay::read(&self.overlay)? };
        let answer =
            journals.ask(async |channel| vclusters(channel).set_domain_default(request).await).await?;
        Answer::of_vcluster(answer.domain_default)
    }
}
