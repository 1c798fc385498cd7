//! `pact vcluster list`: the vClusters that the caller may see, and the domain's default.

use clap::Args;
use proto::{outcome::Failure, pb::ListVClustersRequest};

use crate::{
    answer::Answer,
    connection::{Journals, vclusters},
};

const EXAMPLES: &str = "\
Examples:
  pact vcluster list
  pact vcluster list -o json | jq -r '.vclusters[] | [.vcluster, .nodes] | @tsv'

With -o json: {\"vclusters\":[…],\"domain_default\":{…} or null,\"seq\":N}; `pact vcluster --help` tells an item's fields.";

/// Shows the vClusters.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {}

impl List {
    /// Asks for the vClusters.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = ListVClustersRequest { min_seq: None };
        let answer = journals.ask(async |channel| vclusters(channel).list_v_clusters(request).await).await?;
        Answer::of_vclusters(answer)
    }
}
