//! Ends what an evicted journal's authorities had signed (design §7, `pact journal evict --revoke-issued`).
//!
//! In steps: each looks for what is left and ends a bounded part of it, so that whoever asks again, of whatever journal,
//! goes on where it broke off. `events::node` decides about each node, on the node's own stream; an operator whose
//! certificate ends is revoked, for only the certificate makes an operator.
//!
//! Not here: evicting ([`crate::membership`]), and that authorities are retired ([`crate::succession`]).
//!
//! What the journal had sent to the leader before it lost its seat may be committed and not known here yet: so once the seat
//! is gone, everything that is committed is waited for before anything is looked for.
//!
//! **Invariant:** [`Step::left`] is 0 only if no certificate of those authorities opened anything when it was looked for;
//! and once the journal is not [`Step::seated`] any more, none comes to be.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::node::distrusted;
use events::operator;
use events::vocabulary::{AuthorityId, JournalId, NodeId, OperatorId, Timestamp};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::actors::{AskError, Nodes, Order, Request};
use crate::clock;
use crate::log::{KNOWN, Log, QuorumError};
use crate::operators::{Asker, OperatorError, Operators};

/// Nodes of one step: a second of work at most, far within any caller's patience.
const NODES: usize = 2048;
/// Orders under way at once; their facts share Raft entries.
const ORDERS: usize = 512;
/// Nodes that are looked at while the views are held: half a millisecond.
const AT_ONCE: usize = 1000;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Distrust {
    /// The log and its views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Those who command.
    pub operators: Operators,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Nodes and operators whose certificates ended.
    pub ended: u64,
    /// Those that are left.
    pub left: u64,
    /// Whether the journal still has its seat in Raft, and may have issued something that is not known here.
    pub seated: bool,
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DistrustError {
    /// Of no node's certificates a fact could be recorded.
    #[error(transparent)]
    Node(#[from] AskError),
    /// Of no operator's.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Nobody confirmed that all that it issued is known here.
    #[error(
        "the journal is evicted, but whether all that it had signed is known here could not be confirmed: {0}; run the same \
         command again"
    )]
    Unconfirmed(#[from] QuorumError),
}

/// Whose certificates end.
#[derive(Default)]
struct Found {
    nodes: Vec<NodeId>,
    operators: Vec<OperatorId>,
    all: u64,
}

impl Distrust {
    /// Takes one step.
    ///
    /// # Errors
    /// If nothing could be ended although something is left, or nobody confirms that all of it is known here.
    pub async fn step(&self, journal: &JournalId, asker: &Asker) -> Result<Step, DistrustError> {
        // Before it is looked for: what it still issues afterwards is found by the next step.
        let seated = self.is_seated(journal);
        if !seated {
            self.log.read_index(KNOWN).await?;
        }
        let authorities = Arc::new(self.log.views().authorities_of(journal));
        let found = self.find(&authorities, clock::now()).await;
        let (mut ended, mut failed) = (0, None);
        for operator in &found.operators {
            match self.operators.revoke(operator, None, asker).await {
                Ok(_) => ended += 1,
                Err(error) => failed = Some(DistrustError::from(error)),
            }
        }
        for some in found.nodes.chunks(ORDERS) {
            let orders = some.iter().map(|node| self.end(node, &authorities, asker));
            let mut answers: FuturesUnordered<_> = orders.collect();
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(()) => ended += 1,
                    Err(error) => failed = Some(error.into()),
                }
            }
        }
        match failed {
            Some(error) if ended == 0 => Err(error),
            Some(_) | None => Ok(Step { ended, left: found.all - ended, seated }),
        }
    }

    async fn end(
        &self,
        node: &NodeId,
        authorities: &Arc<BTreeSet<AuthorityId>>,
        asker: &Asker,
    ) -> Result<(), AskError> {
        let order = Order::Distrust { authorities: Arc::clone(authorities) };
        let request = Request { order, principal: asker.principal.clone(), source: asker.source.clone() };
        self.nodes.ask(node, request).await.map(drop)
    }

    fn is_seated(&self, journal: &JournalId) -> bool {
        let raft_id = self.log.views().members.get(journal).and_then(|row| row.state.raft_id());
        let seats = self.log.seats();
        !seats.applied || raft_id.is_some_and(|raft_id| seats.has(raft_id))
    }

    async fn find(&self, authorities: &BTreeSet<AuthorityId>, now: Timestamp) -> Found {
        let mut found = Found { operators: self.operators_of(authorities, now), ..Found::default() };
        found.all = found.operators.len() as u64;
        let mut last: Option<NodeId> = None;
        loop {
            let mut looked_at = 0;
            {
                let views = self.log.views();
                for (id, node) in views.registry.nodes_after(last.clone().as_ref()).take(AT_ONCE) {
                    looked_at += 1;
                    if looked_at == AT_ONCE {
                        last = Some(id.clone());
                    }
                    if distrusted(&node.state, authorities, now).is_empty() {
                        continue;
                    }
                    found.all += 1;
                    if found.nodes.len() < NODES {
                        found.nodes.push(id.clone());
                    }
                }
            }
            if looked_at < AT_ONCE {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Operators whose current certificate they signed. A former one lives for minutes, and only because its holder got the
    /// present one from another journal.
    fn operators_of(&self, authorities: &BTreeSet<AuthorityId>, now: Timestamp) -> Vec<OperatorId> {
        let views = self.log.views();
        let signed = |state: &operator::State| match state {
            operator::State::Active { current, .. } => {
                authorities.contains(&current.authority) && current.not_after > now
            }
            operator::State::Unknown | operator::State::Revoked { .. } | operator::State::Kept { .. } => {
                false
            }
        };
        let theirs = views.operators.iter().filter(|(_, known)| signed(&known.state));
        theirs.map(|(id, _)| id.clone()).collect()
    }
}
