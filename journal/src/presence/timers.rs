//! The timers of nodes: has each be looked at when `events::node::next_due` says so, and orders what `events::node::due`
//! says then (R19).
//!
//! Of several journals the leader does it, who hears of all streams ([`super::elsewhere`]).
//!
//! Looks again at a node whenever a fact told of it or a stream of it opened or ended. So nothing is lost by an order
//! that failed or came too early: the next look sees what is.
//!
//! Not here: the decision. The order goes to the node's actor, which decides on the presence of that moment.

use std::time::Duration;

use events::node::next_due;
use events::vocabulary::{JournalId, NodeId, Principal, Timestamp};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::actors::{Nodes, Order, Request};
use crate::clock;
use crate::log::Log;

use super::Streams;
use super::deadlines::Deadlines;

/// Changes gather for so long before they are looked at: in a storm each node changes four times within a second.
const GATHER: Duration = Duration::from_millis(200);
/// Nodes that are looked at while the views are held.
const AT_ONCE: usize = 256;
/// Orders under way at once; their facts share Raft entries.
const ORDERS: usize = 512;
/// A node whose order came to nothing is looked at again no sooner: whatever hinders it lasts.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a member of several looks who leads, and who is silent.
const LOOK_AT_OTHERS: Duration = Duration::from_millis(500);
/// A leader that no quorum acknowledged for so long may have been replaced, and hears no reports. Shorter than
/// [`super::elsewhere::SILENT`]: who stood still, or was cut off, must not take that for the silence of the others.
const PROVEN: Duration = Duration::from_secs(3);
/// The clock may be set: no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// See the module.
pub struct Timers {
    /// The log's views.
    pub log: Log,
    /// Who is here.
    pub streams: Streams,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// In whose name time orders.
    pub journal_id: JournalId,
    /// How long a node may be away before it is believed gone.
    pub grace: Duration,
}

/// Whether this journal leads, is known to, and has the time: by a clock that was set forward everybody would have been
/// silent for long (R19, R24).
pub(super) fn leads(log: &Log) -> bool {
    log.leads() && log.age().is_some_and(|age| age < PROVEN) && log.has_right_clock()
}

impl Timers {
    /// Watches over all nodes, for as long as the journal runs.
    pub async fn run(self) {
        let mut deadlines = Deadlines::default();
        self.look_at_all();
        let mut led = self.log.is_alone();
        if led {
            self.streams.lead_from(clock::now());
        }
        loop {
            let leads = leads(&self.log);
            if leads && !led {
                // Who is where is not known yet: everybody gets a full grace period (R19).
                self.streams.lead_from(clock::now());
                self.look_at_all();
            }
            if !leads {
                self.streams.follow_from_now_on();
            }
            led = leads;
            let longest = if self.log.is_alone() { LONGEST_WAIT } else { LOOK_AT_OTHERS };
            let wait = deadlines.next().map_or(longest, |next| next.since(clock::now()).min(longest));
            tokio::select! {
                changed = self.streams.changed() => {
                    self.set(&mut deadlines, changed, Timestamp::default()).await;
                    tokio::time::sleep(GATHER).await;
                }
                () = tokio::time::sleep(wait) => {}
            }
            self.streams.miss_silent(clock::now());
            // Only the leader hears of all streams; what is due stays due. Also for one that was elected since, and has
            // given nobody a grace period yet.
            if !(leads && self::leads(&self.log)) {
                tokio::time::sleep(LOOK_AT_OTHERS).await;
                continue;
            }
            loop {
                let due = deadlines.take(clock::now(), ORDERS);
                // Looked at behind the clock: it may have been set just now.
                if due.is_empty() || !self::leads(&self.log) {
                    due.into_iter().for_each(|node| deadlines.set(&node, Some(clock::now())));
                    break;
                }
                self.order(&due).await;
                let again = clock::now().plus(AGAIN);
                self.set(&mut deadlines, due, again).await;
            }
        }
    }

    /// What was before this process: every node gets its moment.
    fn look_at_all(&self) {
        let views = self.log.views();
        self.streams.look_at(views.registry.nodes().map(|(id, _)| id));
    }

    async fn set(&self, deadlines: &mut Deadlines, nodes: Vec<NodeId>, not_before: Timestamp) {
        for some in nodes.chunks(AT_ONCE) {
            {
                let views = self.log.views();
                for id in some {
                    let moment = views.registry.node(id).and_then(|node| {
                        next_due(&node.state, self.streams.presence(id, node.active_since), self.grace)
                    });
                    deadlines.set(id, moment.map(|moment| moment.max(not_before)));
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn order(&self, due: &[NodeId]) {
        let mut orders: FuturesUnordered<_> = due.iter().map(|node| self.order_one(node)).collect();
        while orders.next().await.is_some() {}
    }

    async fn order_one(&self, node: &NodeId) {
        let order = Order::Due { streams: self.streams.clone(), grace: self.grace };
        let principal = Principal::Journal(self.journal_id.clone());
        if let Err(error) = self.nodes.ask(node, Request { order, principal, source: None }).await {
            tracing::warn!(%node, %error, "what time orders about the node was not carried out");
        }
    }
}
