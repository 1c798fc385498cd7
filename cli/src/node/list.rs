//! `pact node list`: the nodes that the caller may see.

use clap::{Args, ValueEnum};
use proto::{
    outcome::Failure,
    pb::{ListNodesRequest, NodeState},
};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node list
  pact node list --state registered
  pact node list --vcluster prod
  pact node list --stuck
  pact node list --contested
  pact node list -o json | jq -r '.nodes[] | select(.confirmed | not) | .node_id'";

/// Shows the nodes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    /// Only nodes in this state
    #[arg(long, value_enum)]
    state: Option<State>,

    /// Only nodes of this vCluster
    #[arg(long, value_name = "VCLUSTER", conflicts_with = "unassigned")]
    vcluster: Option<String>,

    /// Only nodes in no vCluster
    #[arg(long)]
    unassigned: bool,

    /// Only nodes that got a certificate and have not used it for unconfirmed_alert_secs of journal.toml, 10 minutes
    #[arg(long)]
    stuck: bool,

    /// Only nodes that two machines claim to be
    #[arg(long)]
    contested: bool,
}

/// The states of a node (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// May enroll, and has not yet
    Registered,
    /// Has a current certificate
    Active,
    /// Was active, and is gone
    Inactive,
    /// May not come back under this enrollment
    Revoked,
}

impl List {
    /// Asks for the nodes.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = self.request();
        let answer = journals.ask(async |channel| nodes(channel).list_nodes(request).await).await?;
        Answer::of_nodes(answer.nodes, answer.seq)
    }

    fn request(self) -> ListNodesRequest {
        let state = self.state.map_or(NodeState::Unspecified, NodeState::from);
        ListNodesRequest {
            state: state.into(),
            min_seq: None,
            vcluster_id: self.vcluster.unwrap_or_default(),
            unassigned: self.unassigned,
            stuck: self.stuck,
            contested: self.contested,
        }
    }
}

impl From<State> for NodeState {
    fn from(state: State) -> Self {
        match state {
            State::Registered => Self::Registered,
            State::Active => Self::Active,
            State::Inactive => Self::Inactive,
            State::Revoked => Self::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_the_state_and_without_it_all_are_asked_for() {
        let list = |state| List { state, vcluster: None, unassigned: false, stuck: false, contested: false };
        assert_eq!(list(None).request().state(), NodeState::Unspecified);
        for (name, asked) in [
            ("registered", NodeState::Registered),
            ("active", NodeState::Active),
            ("inactive", NodeState::Inactive),
            ("revoked", NodeState::Revoked),
        ] {
            let state = State::from_str(name, false).unwrap();
            assert_eq!(list(Some(state)).request().state(), asked);
        }
    }
}
