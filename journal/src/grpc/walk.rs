//! Looking at very many nodes for an operator, without keeping the log from recording meanwhile: the views are held for a
//! thousand nodes at a time.
//!
//! So a long answer is no picture of one moment. It shows at least every fact up to the seq that it names, which was the
//! last one when the walk began.

use std::collections::BTreeMap;

use events::views::Node;
use events::vocabulary::{NodeId, VClusterId};

use crate::log::Log;

/// Nodes that are looked at while the views are held: half a millisecond.
const AT_ONCE: usize = 1000;

/// Shows every node to `look`, in the order of their names.
pub async fn all_nodes(log: &Log, mut look: impl FnMut(&NodeId, &Node)) {
    let mut last: Option<NodeId> = None;
    loop {
        let mut seen = 0;
        {
            let views = log.views();
            for (id, node) in views.registry.nodes_after(last.clone().as_ref()).take(AT_ONCE) {
                look(id, node);
                seen += 1;
                if seen == AT_ONCE {
                    last = Some(id.clone());
                }
            }
        }
        if seen < AT_ONCE {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// How many nodes are in each vCluster; under `None`: in maintenance mode. Revoked nodes do not count.
pub async fn count_by_vcluster(log: &Log) -> BTreeMap<Option<VClusterId>, u64> {
    let mut counts = BTreeMap::new();
    let count = |_: &NodeId, node: &Node| {
        if !matches!(node.state, events::node::State::Revoked { .. }) {
            *counts.entry(node.state.vcluster().cloned()).or_default() += 1;
        }
    };
    all_nodes(log, count).await;
    counts
}
