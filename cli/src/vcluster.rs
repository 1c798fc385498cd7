//! `pact vcluster …`: what nodes are configured by. One file a verb.
//!
//! `main` runs the verb that the command line names.
//!
//! Not here, on purpose: what an overlay means; journals and `pact` carry its bytes and do not look into them. And which
//! node is in which vCluster (`pact node`).
//!
//! **Invariant:** every change answers with the vCluster as it is afterwards.

mod list;
mod overlay;
mod set;
mod set_default;
mod show;

use clap::Subcommand;
use events::vocabulary::VClusterId;
use proto::{convert::field, outcome::Failure};

use crate::{
    answer::{Answer, Output},
    connection::Journals,
};

const EXAMPLES: &str = "\
Examples:
  pact vcluster set prod --overlay prod.tar
  pact vcluster set-default --overlay maintenance.tar
  pact vcluster list
  pact vcluster show prod --out prod.tar

A vCluster exists from its first overlay on. Nodes in no vCluster are configured by the domain's default.
With -o json a vCluster is one object:
  vcluster        its name; null for the domain's default
  revision        the seq of the fact that set the overlay
  overlay_sha256  of the overlay, as pact-agent prints it
  overlay_size    in bytes
  set_at, set_by  when, and the principal who did
  nodes           how many nodes are configured by it";

/// What to do with vClusters.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Set the overlay of a vCluster, which exists from then on
    Set(set::Set),
    /// Show one vCluster, or fetch its overlay
    Show(show::Show),
    /// Show the vClusters of the domain
    List(list::List),
    /// Set the overlay of the nodes that are in no vCluster
    SetDefault(set_default::SetDefault),
}

impl Verb {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If an argument cannot be used, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals, output: Output) -> Result<Answer, Failure> {
        match self {
            Self::Set(set) => set.run(journals).await,
            Self::Show(show) => show.run(journals, output).await,
            Self::List(list) => list.run(journals).await,
            Self::SetDefault(set_default) => set_default.run(journals).await,
        }
    }
}

/// Reads a name as the journal would, before anything is sent: on the wire an empty name is the domain's default.
fn name(text: &str) -> Result<VClusterId, Failure> {
    Ok(field::parsed("vcluster_id", text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_refused_as_the_journal_would() {
        assert_eq!(name("prod").unwrap().as_str(), "prod");
        for text in ["", "Prod", "-a", "a/b", &"a".repeat(44)] {
            let failure = name(text).unwrap_err();
            assert_eq!((failure.reason_text(), failure.exit() as u8), ("FIELD_INVALID", 1), "{text}");
        }
    }
}
