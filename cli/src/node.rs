//! `pact node …`: what an operator can do with nodes. One file a verb.
//!
//! `main` runs the verb that the command line names.
//!
//! Not here, on purpose: whether a node may be changed so (design §5); the journal decides.
//!
//! **Invariant:** every change answers with the node as it is afterwards, and a batch with what became of each row.

mod assign;
pub mod batch;
mod bind_identity;
mod deactivate;
mod decommission;
mod drain;
mod enroll;
mod inspect;
mod list;
mod r#move;
mod replace_hardware;
mod resolve;
mod revoke;
mod unassign;
mod undrain;

use clap::Subcommand;
use proto::outcome::Failure;

use crate::{answer::Answer, connection::Journals};

const EXAMPLES: &str = "\
Examples:
  pact node enroll compute-042 --mac aa:bb:cc:dd:ee:01 --bmc-serial SN-0042
  pact node enroll --batch nodes.csv --dry-run
  pact node list --state active
  pact node assign compute-042 --vcluster prod
  pact node revoke compute-042 --reason \"stolen from rack r12\"";

/// What to do with nodes.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Permit a machine to enroll under a name, or many of a file
    Enroll(enroll::Enroll),
    /// Show the nodes of the domain
    List(list::List),
    /// Show one node
    Inspect(inspect::Inspect),
    /// Put a node that is in no vCluster into one
    Assign(assign::Assign),
    /// Take a node out of its vCluster: maintenance mode
    Unassign(unassign::Unassign),
    /// Move a node from its vCluster into another one
    Move(r#move::Move),
    /// Mark a node, so that nothing new is placed on it
    Drain(drain::Drain),
    /// Take that mark away
    Undrain(undrain::Undrain),
    /// Revoke a node and its certificates, and cut its connections
    Revoke(revoke::Revoke),
    /// Believe a node gone and take its certificate; it may enroll again
    Deactivate(deactivate::Deactivate),
    /// Take a node out of service for good
    Decommission(decommission::Decommission),
    /// Put another machine in a node's place
    ReplaceHardware(replace_hardware::ReplaceHardware),
    /// Settle which of two machines a contested node is
    Resolve(resolve::Resolve),
    /// Let a workload identity, such as one of SPIRE, prove a node, too
    BindIdentity(bind_identity::BindIdentity),
}

impl Verb {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        match self {
            Self::Enroll(enroll) => enroll.run(journals).await,
            Self::List(list) => list.run(journals).await,
            Self::Inspect(inspect) => inspect.run(journals).await,
            Self::Assign(assign) => assign.run(journals).await,
            Self::Unassign(unassign) => unassign.run(journals).await,
            Self::Move(to) => to.run(journals).await,
            Self::Drain(drain) => drain.run(journals).await,
            Self::Undrain(undrain) => undrain.run(journals).await,
            Self::Revoke(revoke) => revoke.run(journals).await,
            Self::Deactivate(deactivate) => deactivate.run(journals).await,
            Self::Decommission(decommission) => decommission.run(journals).await,
            Self::ReplaceHardware(replace) => replace.run(journals).await,
            Self::Resolve(resolve) => resolve.run(journals).await,
            Self::BindIdentity(bind) => bind.run(journals).await,
        }
    }
}

/// A reason that says nothing.
#[derive(Debug, thiserror::Error)]
#[error("say why, for those who read the log")]
pub(crate) struct NoReason;

/// Reads `--reason`: on the wire an empty one is none.
pub(crate) fn reason(text: &str) -> Result<String, NoReason> {
    if text.trim().is_empty() { Err(NoReason) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        assert_eq!(reason(" stolen ").unwrap(), " stolen ");
        assert!(reason("").is_err() && reason(" \t").is_err());
    }
}
