//! `pact vcluster set`: gives a vCluster its overlay, and makes it if there is none of that name.

use std::path::PathBuf;

use clap::Args;
use proto::{outcome::Failure, pb::SetOverlayRequest};

use super::{name, overlay};
use crate::{
    answer::Answer,
    connection::{Journals, vclusters},
};

const EXAMPLES: &str = "\
Examples:
  pact vcluster set prod --overlay prod.tar
  tar -c etc | pact vcluster set prod --overlay -
  pact vcluster set prod --overlay prod.tar -o json | jq -r .revision

An overlay is at most 10 MiB (10485760 bytes) of anything, also nothing. Nodes of the vCluster that are up are told at
once. The overlay that it has already changes nothing.";

/// Sets the overlay of a vCluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Set {
    /// Name of the vCluster
    #[arg(value_name = "NAME")]
    name: String,

    /// File with the overlay; `-` is stdin
    #[arg(long, value_name = "FILE")]
    overlay: PathBuf,
}

impl Set {
    /// Sets the overlay.
    ///
    /// # Errors
    /// If the name is none, the overlay cannot be read or is too large, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let vcluster_id = name(&self.name)?.to_string();
        let request = SetOverlayRequest { vcluster_id, overlay: overlay::read(&self.overlay)? };
        let answer = journals.ask(async |channel| vclusters(channel).set_overlay(request).await).await?;
        Answer::of_vcluster(answer.vcluster)
    }
}
