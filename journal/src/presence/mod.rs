//! Which nodes are here: their open subscriptions, and when each node was last heard of (R19).
//!
//! The edge holds a [`Stream`] for each open subscription; [`timers`] gives up nodes that are away for too long;
//! [`updates`] tells the streams of nodes whose boot configuration changed; [`contests`] finds nodes that two machines claim
//! to be; [`soundings`] find out whether anybody is at the other end of a stream; [`sessions`] knows how many run on a node. [`elsewhere`] is what other journals report to the leader, [`reports`]
//! what this one does. All of it is in this process's memory and no fact (R5): after a start, and after an election,
//! everybody active gets a full grace period.
//!
//! Not here: what follows from it (`events::node::due`), and the wire.
//!
//! **Invariant:** a node counts as present from before its subscription is answered until its stream is dropped, however
//! that comes.

pub mod contests;
mod deadlines;
pub mod elsewhere;
mod outbox;
mod pulse;
pub mod reports;
pub mod sessions;
pub mod soundings;
mod suspicions;
pub mod timers;
pub mod updates;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use events::node::Presence;
use events::vocabulary::{JournalId, NodeId, Serial, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock;
use crate::log::Log;

use elsewhere::{Elsewhere, Report, Seen};

pub use outbox::{Outbox, Told};
pub use pulse::Pulse;

/// The open subscriptions of all nodes. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    nodes: Mutex<HashMap<NodeId, Node>>,
    /// Nodes of which something changed that time may depend on.
    changed: Mutex<Vec<NodeId>>,
    /// Told when `changed` has something.
    to_look: Notify,
    next: AtomicU64,
    open: AtomicU64,
    /// Connected to other journals, if this one leads.
    elsewhere: Mutex<Elsewhere>,
    /// Nobody who is active is missed before this moment and the grace period, in ms.
    grace_from: AtomicU64,
    /// This journal leads, and others report to it since `grace_from`.
    collects: AtomicBool,
}

/// What is known of a node's streams.
#[derive(Default)]
struct Node {
    /// The newest last. A node has one, for a moment two while it renews.
    open: Vec<Open>,
    /// When the last one ended.
    left_at: Option<Timestamp>,
}

struct Open {
    number: u64,
    serial: Serial,
    outbox: Arc<Outbox>,
    pulse: Pulse,
    /// So many run on the node, as it said on this stream.
    sessions: u32,
}

/// Where a node's stream stands. Only a leader knows of other journals.
enum Whereabouts {
    /// Here: by which certificate, and the pulse of its connection.
    Here(Serial, Pulse),
    /// At another journal.
    At(JournalId),
    /// Nowhere that is known of.
    Nowhere,
}

/// An open subscription. Dropping it ends the node's presence, unless there is another.
pub struct Stream {
    streams: Streams,
    node: NodeId,
    serial: Serial,
    number: u64,
    outbox: Arc<Outbox>,
}

impl Streams {
    /// No streams yet. Nobody who is active is missed before this moment and the grace period.
    pub fn new(started_at: Timestamp) -> Self {
        let shared = Shared {
            nodes: Mutex::default(),
            changed: Mutex::default(),
            to_look: Notify::new(),
            next: AtomicU64::new(1),
            open: AtomicU64::new(0),
            elsewhere: Mutex::default(),
            grace_from: AtomicU64::new(started_at.as_millis()),
            collects: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A node opens a subscription with this certificate, over a connection with this pulse.
    pub fn open(&self, node: &NodeId, serial: Serial, pulse: Pulse) -> Stream {
        let (number, outbox) =
            (self.shared.next.fetch_add(1, Ordering::Relaxed), Arc::new(Outbox::default()));
        let open = Open { number, serial, outbox: Arc::clone(&outbox), pulse, sessions: 0 };
        self.shared.nodes.lock().entry(node.clone()).or_default().open.push(open);
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        self.look_at([node]);
        Stream { streams: self.clone(), node: node.clone(), serial, number, outbox }
    }

    /// Whether a node is here. `active_since`: when it got its present certificate, or came back.
    pub fn presence(&self, node: &NodeId, active_since: Timestamp) -> Presence {
        let nodes = self.shared.nodes.lock();
        let known = nodes.get(node);
        match known.and_then(|known| known.open.last()) {
            Some(open) => Presence::Connected { serial: open.serial },
            None => {
                if let Some(serial) = self.shared.elsewhere.lock().find(node) {
                    return Presence::Connected { serial };
                }
                let left_at = known.and_then(|known| known.left_at).unwrap_or_default();
                let grace_from = Timestamp::from_millis(self.shared.grace_from.load(Ordering::Relaxed));
                Presence::Absent { since: left_at.max(active_since).max(grace_from) }
            }
        }
    }

    /// This journal leads from now on: who is where is to be reported anew, and nobody is missed before that (R19).
    pub fn lead_from(&self, now: Timestamp) {
        self.shared.elsewhere.lock().forget();
        self.shared.grace_from.store(now.as_millis(), Ordering::Relaxed);
        self.shared.collects.store(true, Ordering::Release);
    }

    /// This journal leads no more, and hears of nobody's streams but its own.
    pub fn follow_from_now_on(&self) {
        self.shared.collects.store(false, Ordering::Release);
    }

    /// Whether these journals, all others of the quorum, have said whom they hold since this one leads, or were silent for so
    /// long that they hold nobody: longer than `cut_off`, after which a journal that hears of no quorum has cut its streams
    /// itself (R17). Not known is not nowhere (R14).
    pub fn knows_of(&self, others: &[JournalId], cut_off: Duration, now: Timestamp) -> bool {
        if !self.shared.collects.load(Ordering::Acquire) {
            return false;
        }
        let since = Timestamp::from_millis(self.shared.grace_from.load(Ordering::Relaxed));
        let elsewhere = self.shared.elsewhere.lock();
        others.iter().all(|journal| {
            let heard_at = elsewhere.heard_at(journal).map_or(since, |heard_at| heard_at.max(since));
            elsewhere.has_heard(journal) || now.since(heard_at) > cut_off
        })
    }

    /// Since when a node that has no stream is away: not before this process began, or began to lead.
    fn away_since(&self, node: &NodeId, active_since: Timestamp) -> Timestamp {
        let left_at = self.shared.nodes.lock().get(node).and_then(|known| known.left_at).unwrap_or_default();
        let grace_from = Timestamp::from_millis(self.shared.grace_from.load(Ordering::Relaxed));
        left_at.max(active_since).max(grace_from)
    }

    /// The other journals that hold a stream of a node, as far as is known here.
    fn holders(&self, node: &NodeId) -> Vec<JournalId> {
        self.shared.elsewhere.lock().holders(node)
    }

    /// The connections of a node's open streams, the newest last.
    fn pulses(&self, node: &NodeId) -> Vec<Pulse> {
        let nodes = self.shared.nodes.lock();
        let open = nodes.get(node).map(|known| known.open.as_slice()).unwrap_or_default();
        open.iter().map(|open| open.pulse.clone()).collect()
    }

    /// How many sessions run on a node, as it said on its open streams, here or at journals that report to this one. While it
    /// renews it has two streams, and may have said it on one of them.
    pub fn sessions(&self, node: &NodeId) -> u32 {
        self.sessions_here(node).max(self.shared.elsewhere.lock().sessions(node))
    }

    /// The same, on streams that are here.
    fn sessions_here(&self, node: &NodeId) -> u32 {
        self.shared.nodes.lock().get(node).and_then(Node::sessions).unwrap_or(0)
    }

    /// Another journal reports. Whether it follows what is known of it.
    pub fn reported(&self, from: &JournalId, report: Report, now: Timestamp) -> bool {
        let Some(moved) = self.shared.elsewhere.lock().take(from, report, now) else { return false };
        self.left(&moved.lost, now);
        self.look_at(&moved.gained);
        true
    }

    /// Gives up journals that do not report any more.
    fn miss_silent(&self, now: Timestamp) {
        let silenced = self.shared.elsewhere.lock().silenced(now);
        for (since, nodes) in silenced {
            self.left(&nodes, since);
        }
    }

    fn left(&self, nodes: &[NodeId], at: Timestamp) {
        {
            let mut known = self.shared.nodes.lock();
            for node in nodes {
                let known = known.entry(node.clone()).or_default();
                known.left_at = known.left_at.max(Some(at));
            }
        }
        self.look_at(nodes);
    }

    /// Who is connected here, by which certificate.
    fn here(&self) -> HashMap<NodeId, Seen> {
        let nodes = self.shared.nodes.lock();
        let open = |(id, known): (&NodeId, &Node)| {
            let seen = Seen { serial: known.open.last()?.serial, sessions: known.sessions()? };
            Some((id.clone(), seen))
        };
        nodes.iter().filter_map(open).collect()
    }

    /// Where a node's stream stands, as far as is known here.
    fn whereabouts(&self, node: &NodeId) -> Whereabouts {
        match self.pulse(node) {
            Some((serial, pulse)) => Whereabouts::Here(serial, pulse),
            None => match self.shared.elsewhere.lock().holder(node) {
                Some(journal) => Whereabouts::At(journal.clone()),
                None => Whereabouts::Nowhere,
            },
        }
    }

    /// The newest open stream of a node: by which certificate, and the pulse of its connection.
    fn pulse(&self, node: &NodeId) -> Option<(Serial, Pulse)> {
        let nodes = self.shared.nodes.lock();
        let open = nodes.get(node)?.open.last()?;
        Some((open.serial, open.pulse.clone()))
    }

    /// When a node was last heard of: now, if its stream is open. None: not since this process started.
    pub fn last_seen(&self, node: &NodeId, now: Timestamp) -> Option<Timestamp> {
        let nodes = self.shared.nodes.lock();
        let known = nodes.get(node);
        if known.is_some_and(|known| !known.open.is_empty())
            || self.shared.elsewhere.lock().find(node).is_some()
        {
            return Some(now);
        }
        known?.left_at
    }

    /// How many subscriptions are open.
    pub fn count(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Notes that something changed of these nodes that time may depend on.
    pub fn look_at<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) {
        let mut changed = self.shared.changed.lock();
        let before = changed.len();
        changed.extend(nodes.into_iter().cloned());
        if changed.len() > before {
            self.shared.to_look.notify_one();
        }
    }

    /// Waits until something changed, and takes it.
    async fn changed(&self) -> Vec<NodeId> {
        loop {
            let changed = std::mem::take(&mut *self.shared.changed.lock());
            if !changed.is_empty() {
                return changed;
            }
            self.shared.to_look.notified().await;
        }
    }

    /// The open subscriptions, each with its node.
    fn all(&self) -> Vec<(NodeId, Arc<Outbox>)> {
        let nodes = self.shared.nodes.lock();
        let of_node = |(node, known): (&NodeId, &Node)| {
            let outboxes: Vec<_> = known.open.iter().map(|open| Arc::clone(&open.outbox)).collect();
            outboxes.into_iter().map({
                let node = node.clone();
                move |outbox| (node.clone(), outbox)
            })
        };
        nodes.iter().flat_map(of_node).collect()
    }

    fn close(&self, node: &NodeId, closes: impl Fn(&Open) -> bool) {
        let closed = {
            let mut nodes = self.shared.nodes.lock();
            let Some(known) = nodes.get_mut(node) else { return };
            let before = known.open.len();
            known.open.retain(|open| !closes(open));
            let closed = before - known.open.len();
            if closed == 0 {
                return;
            }
            known.open.shrink_to_fit();
            known.left_at = Some(clock::now());
            closed as u64
        };
        self.shared.open.fetch_sub(closed, Ordering::Relaxed);
        self.look_at([node]);
    }
}

/// Whether a leader knows of all streams at the other journals ([`Streams::knows_of`]).
fn have_all_reported(log: &Log, streams: &Streams, own: &JournalId, cut_off: Duration) -> bool {
    let others: Vec<JournalId> = {
        let views = log.views();
        let members = views.members.members().map(|(id, _)| id);
        members.filter(|id| *id != own).cloned().collect()
    };
    streams.knows_of(&others, cut_off, clock::now())
}

impl Node {
    /// None: no stream is open.
    fn sessions(&self) -> Option<u32> {
        self.open.iter().map(|open| open.sessions).max()
    }
}

impl Stream {
    /// The node says how many sessions run on it. Forgotten when the stream ends.
    pub fn say_sessions(&self, count: u32) {
        let mut nodes = self.streams.shared.nodes.lock();
        let known = nodes.get_mut(&self.node);
        if let Some(open) =
            known.and_then(|known| known.open.iter_mut().find(|open| open.number == self.number))
        {
            open.sessions = count;
        }
    }

    /// What the node is to be told on it.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The node said goodbye: it is away from here on, also while its streams still stand. Another that the same
    /// certificate opened is one whose end was not noticed yet.
    pub fn leave(&self) {
        self.streams.close(&self.node, |open| open.serial == self.serial);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.close(&self.node, |open| open.number == self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn node() -> NodeId {
        "n1".parse().unwrap()
    }

    fn serial(number: u8) -> Serial {
        Serial::from_random([number; 16])
    }

    #[test]
    fn rule_19_a_node_is_here_from_its_stream_on_until_the_last_one_is_dropped() {
        let streams = Streams::new(START);
        let (issued, absent) =
            (START.minus(std::time::Duration::from_secs(9)), |since| Presence::Absent { since });
        assert_eq!(streams.presence(&node(), issued), absent(START));
        assert_eq!(streams.last_seen(&node(), START), None);
        let old = streams.open(&node(), serial(1), Pulse::default());
        let new = streams.open(&node(), serial(2), Pulse::default());
        assert_eq!(streams.presence(&node(), issued), Presence::Connected { serial: serial(2) });
        assert_eq!((streams.count(), streams.last_seen(&node(), START)), (2, Some(START)));
        drop(new);
        assert_eq!(streams.presence(&node(), issued), Presence::Connected { serial: serial(1) });
        old.leave();
        let Presence::Absent { since } = streams.presence(&node(), issued) else { panic!("it left") };
        assert!(since > START && streams.last_seen(&node(), START) == Some(since));
        drop(old);
        assert_eq!(streams.count(), 0, "it is counted once, though it left and was dropped");
    }

    #[test]
    fn rule_19_a_goodbye_also_ends_a_stream_whose_end_was_not_noticed() {
        let streams = Streams::new(START);
        let (stale, fresh) = (
            streams.open(&node(), serial(1), Pulse::default()),
            streams.open(&node(), serial(1), Pulse::default()),
        );
        fresh.leave();
        assert!(matches!(streams.presence(&node(), START), Presence::Absent { .. }));
        drop((stale, fresh));
        assert_eq!(streams.count(), 0);
    }

    #[test]
    fn rule_05_sessions_are_those_of_open_streams_and_are_forgotten_with_them() {
        let streams = Streams::new(START);
        assert_eq!(streams.sessions(&node()), 0);
        let old = streams.open(&node(), serial(1), Pulse::default());
        old.say_sessions(3);
        let new = streams.open(&node(), serial(2), Pulse::default());
        assert_eq!(streams.sessions(&node()), 3, "the new stream has said nothing yet");
        new.say_sessions(1);
        drop(old);
        assert_eq!(streams.sessions(&node()), 1);
        assert_eq!(streams.here()[&node()], Seen { serial: serial(2), sessions: 1 });
        new.leave();
        new.say_sessions(5);
        assert_eq!(streams.sessions(&node()), 0, "who said goodbye says no more");
        drop(new);
        assert_eq!(streams.sessions(&node()), 0);
    }

    #[test]
    fn rule_14_a_new_leader_knows_once_all_have_reported_or_must_have_cut_their_streams() {
        let (streams, others) = (Streams::new(START), ["j2".parse().unwrap(), "j3".parse().unwrap()]);
        let after = |millis| START.plus(Duration::from_millis(millis));
        let knows = |millis| streams.knows_of(&others, Duration::from_secs(40), after(millis));
        let report = |number| Report { incarnation: 1, number, full: number == 1, ..Report::default() };
        assert!(!knows(60_000), "it does not lead");
        streams.lead_from(START);
        assert!(!knows(0));
        streams.reported(&others[0], report(1), after(1));
        assert!(!knows(2) && !knows(40_000) && knows(40_001), "one has not reported");
        streams.reported(&others[1], report(1), after(3));
        assert!(knows(3));
        // One is cut off: it goes on to serve its nodes until it is stale.
        streams.reported(&others[0], report(2), after(9000));
        streams.miss_silent(after(9000));
        assert!(!knows(9000) && !knows(40_003) && knows(40_004));
        streams.follow_from_now_on();
        assert!(!knows(90_000));
        streams.lead_from(after(90_000));
        assert!(!knows(90_001), "they report anew");
    }

    #[test]
    fn rule_14_who_left_is_known_to_have_left_unless_that_was_before_this_journal_led() {
        let (streams, after) = (Streams::new(START), |secs| START.plus(Duration::from_secs(secs)));
        assert_eq!(streams.away_since(&node(), START), START);
        assert_eq!(streams.away_since(&node(), after(3)), after(3), "it has enrolled since");
        let stream = streams.open(&node(), serial(1), Pulse::default());
        assert_eq!(streams.pulses(&node()).len(), 1);
        drop(stream);
        let left_at = streams.away_since(&node(), START);
        assert!(left_at > START && streams.pulses(&node()).is_empty());
        let elected = left_at.plus(Duration::from_secs(1));
        streams.lead_from(elected);
        assert_eq!(streams.away_since(&node(), START), elected);
    }

    #[test]
    fn rule_19_grace_begins_at_the_issuance_if_that_was_later() {
        let issued = START.plus(std::time::Duration::from_secs(9));
        assert_eq!(Streams::new(START).presence(&node(), issued), Presence::Absent { since: issued });
    }

    #[tokio::test]
    async fn what_changed_is_taken_once() {
        let streams = Streams::new(START);
        drop(streams.open(&node(), serial(1), Pulse::default()));
        assert_eq!(streams.changed().await, [node(), node()]);
        streams.look_at([&"n2".parse().unwrap()]);
        assert_eq!(streams.changed().await, ["n2".parse().unwrap()]);
    }
}
