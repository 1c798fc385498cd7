//! Has it recorded when two machines claim to be one node (R14).
//!
//! `grpc::enrollment` tells of every machine that was refused because its node is active with another key. If the node's
//! stream stands here, it is watched ([`super::suspicions`]); once it shows that a machine is behind it, the other's proof
//! of possession is checked (R12: a request that proves nothing changes nothing), and the node's actor decides.
//!
//! If the stream stands at another journal, that one is told and does the same. Only the leader knows which it is: it hears
//! of all streams ([`super::elsewhere`]), and a follower asks it. If it knows of none, it says how long the node has left
//! until it is given up (R19), which the machine is told.
//!
//! Not here, on purpose: the answer to the machine that asked. And nothing is kept of what could not be told to another
//! journal: the machine asks again, and so it comes up again.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::node::{Contest, next_due};
use events::vocabulary::{BootId, HardwareIdentity, JournalId, NodeId, Principal};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::actors::{Nodes, Order, Request};
use crate::authority::{Csr, Pool};
use crate::clock;
use crate::log::Log;
use crate::source_remark;

use super::suspicions::{Suspicion, Suspicions};
use super::timers::leads;
use super::{Streams, Whereabouts};

/// How often the streams are looked at while there are suspicions.
const LOOK: Duration = Duration::from_millis(500);
/// What other journals are told at once, 8 KB each at most. The machines of a cluster that was switched off and on are
/// more; they are told the end of the certificate, and ask again.
const TELLING: usize = 64;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Contests {
    log: Log,
    streams: Streams,
    grace: Duration,
    way: Arc<dyn ToMembers>,
    shared: Arc<Shared>,
}

struct Shared {
    suspicions: Mutex<Suspicions<Rival>>,
    /// Told when there is a first one.
    some: Notify,
    telling: Arc<Semaphore>,
}

/// A machine with a node's hardware and another key.
#[derive(Debug, Clone)]
pub struct Rival {
    /// Its request: DER, read already.
    pub request: Vec<u8>,
    /// What it presented.
    pub presented: HardwareIdentity,
    /// Which boot of it asked.
    pub boot_id: Option<BootId>,
    /// From where.
    pub from: Option<IpAddr>,
}

/// What one journal tells another of such a machine.
#[derive(Debug, Clone)]
pub struct Told {
    /// The node that it claims to be.
    pub node: NodeId,
    /// The machine.
    pub rival: Rival,
    /// By the leader, to the journal that holds the stream.
    pub passed_on: bool,
}

/// The answer: how long until the node is given up, if no journal holds its stream. `Err`: it did not get there.
pub type Heard = Pin<Box<dyn Future<Output = Result<Option<Duration>, String>> + Send>>;

/// The way to other journals.
pub trait ToMembers: Send + Sync + 'static {
    /// Tells the member with this number in Raft.
    fn suspect(&self, member: u64, told: Told) -> Heard;
}

/// Who knows of a node's stream.
enum Knows {
    /// It is here, and what watches it has begun.
    Watched,
    /// Another member holds it.
    Holder(u64),
    /// No member holds it: how long the node has left.
    Nobody(Option<Duration>),
    /// This journal does not lead; this one does.
    Leader(u64),
    /// Nobody leads.
    Unknown,
}

impl Contests {
    /// Watches these streams. `grace`: how long a node may be away.
    pub fn new(log: Log, streams: Streams, grace: Duration, way: Arc<dyn ToMembers>) -> Self {
        let (suspicions, some) = (Mutex::default(), Notify::new());
        let shared = Shared { suspicions, some, telling: Arc::new(Semaphore::new(TELLING)) };
        Self { log, streams, grace, way, shared: Arc::new(shared) }
    }

    /// A machine was refused because its node is active with another key. Answers how long it takes until the node is given
    /// up, if it is known that no journal holds its stream.
    pub async fn suspect(&self, node: &NodeId, rival: impl FnOnce() -> Option<Rival>) -> Option<Duration> {
        let rival = rival()?;
        match self.knows(node, &rival) {
            Knows::Watched | Knows::Unknown => None,
            Knows::Nobody(left) => left,
            Knows::Holder(member) => {
                self.pass_on(member, node, rival);
                None
            }
            Knows::Leader(leader) => {
                let _place = self.shared.telling.try_acquire().ok()?;
                let told = Told { node: node.clone(), rival, passed_on: false };
                match self.way.suspect(leader, told).await {
                    Ok(left) => left,
                    Err(error) => {
                        tracing::debug!(%node, error, "the leader was not told of a second machine");
                        None
                    }
                }
            }
        }
    }

    /// Another journal tells of such a machine. A leader answers as [`suspect`](Self::suspect) does.
    pub fn hear(&self, told: Told) -> Option<Duration> {
        let Told { node, rival, passed_on } = told;
        match self.knows(&node, &rival) {
            Knows::Nobody(left) if !passed_on => left,
            Knows::Holder(member) if !passed_on => {
                self.pass_on(member, &node, rival);
                None
            }
            Knows::Watched | Knows::Nobody(_) | Knows::Holder(_) | Knows::Leader(_) | Knows::Unknown => None,
        }
    }

    /// Begins to watch if the stream is here.
    fn knows(&self, node: &NodeId, rival: &Rival) -> Knows {
        match self.streams.whereabouts(node) {
            Whereabouts::Here(serial, pulse) => {
                let contested = |node: &events::views::Node| node.state.is_contested();
                if !self.log.views().registry.node(node).is_some_and(contested) {
                    let (rival, now) = (rival.clone(), Instant::now());
                    self.shared.suspicions.lock().begin(node, (serial, pulse), rival, now);
                    self.shared.some.notify_one();
                }
                Knows::Watched
            }
            Whereabouts::At(_) | Whereabouts::Nowhere if !leads(&self.log) => {
                let seats = self.log.seats();
                let leader = seats.leader.filter(|leader| *leader != seats.own);
                leader.map_or(Knows::Unknown, Knows::Leader)
            }
            Whereabouts::At(journal) => {
                let views = self.log.views();
                let holder = views.members.get(&journal).and_then(|row| row.state.raft_id());
                holder.map_or(Knows::Unknown, Knows::Holder)
            }
            Whereabouts::Nowhere => Knows::Nobody(self.left(node)),
        }
    }

    /// How long until a node without a stream is given up (R19).
    fn left(&self, node: &NodeId) -> Option<Duration> {
        let views = self.log.views();
        let known = views.registry.node(node)?;
        let presence = self.streams.presence(node, known.active_since);
        Some(next_due(&known.state, presence, self.grace)?.since(clock::now()))
    }

    /// Tells the journal that holds the stream, unless too much is being told.
    fn pass_on(&self, member: u64, node: &NodeId, rival: Rival) {
        let Ok(place) = Arc::clone(&self.shared.telling).try_acquire_owned() else { return };
        let told = Told { node: node.clone(), rival, passed_on: true };
        let telling = self.way.suspect(member, told);
        tokio::spawn(async move {
            if let Err(error) = telling.await {
                tracing::debug!(member, error, "a journal was not told of a second machine");
            }
            drop(place);
        });
    }

    /// Watches, for as long as the journal runs.
    pub async fn run(self, nodes: Nodes, pool: Pool, journal_id: JournalId) {
        loop {
            if self.shared.suspicions.lock().is_empty() {
                self.shared.some.notified().await;
            }
            tokio::time::sleep(LOOK).await;
            let shown = self.shared.suspicions.lock().take(Instant::now());
            for (node, suspicion) in shown {
                // What was heard may have been its farewell.
                if self.streams.pulse(&node).is_some_and(|(open, _)| open == suspicion.serial) {
                    contest(&node, suspicion, &nodes, &pool, &journal_id).await;
                }
            }
        }
    }
}

/// Has a contest decided, if the machine holds the key that it asked with.
async fn contest(
    node: &NodeId,
    suspicion: Suspicion<Rival>,
    nodes: &Nodes,
    pool: &Pool,
    journal_id: &JournalId,
) {
    let Suspicion { serial, rival: Rival { request, presented, boot_id, from }, .. } = suspicion;
    let Ok(csr) = Csr::parse(&request) else { return };
    let key = csr.key();
    if pool.verify(csr).await.is_err() {
        return;
    }
    let order = Order::Contest(Contest { serial, key, presented, boot_id });
    let principal = Principal::Journal(journal_id.clone());
    let source = from.and_then(source_remark::of);
    match nodes.ask(node, Request { order, principal, source }).await {
        Ok(_) => tracing::warn!(%node, "two machines claim to be the node"),
        // The machine asks again, and so it comes up again.
        Err(error) => tracing::warn!(%node, %error, "a contest was not recorded"),
    }
}
