//! The made-up machines of a run: each is registered, enrolls with the agent's own code, holds its stream, renews, leaves,
//! comes again, is revoked; always new ones, on a few lanes beside each other.
//!
//! Now and then two operators want the same hardware at the same moment, or two keys the same node: at most one may have it.
//!
//! Not here, on purpose: an agent's patience. A try that is not answered in seconds is noted as one of which nobody knows,
//! and the next one is a call of its own.
//!
//! **Invariant:** a certificate goes to the probes only after its end was acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent::{
    answer::Identity, enroll, journals::Journals, key::NodeKey, machine::Machine, renew, retry::Patience,
    subscription::Subscription,
};
use fastrand::Rng;
use proto::{outcome::Failure, reason::Reason};
use tokio::{task::JoinSet, time};

use super::{
    Stop,
    history::{Came, Stream, Told, What},
    orders::{self, Orders},
    probes::{Probes, Retired},
    quorum::Quorum,
};
use crate::fleet;

/// A machine waits so long for one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// What was not answered is asked again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// A machine that comes to nothing is left after so many tries.
const TRIES: u32 = 200;
/// A machine that is refused because another key is the node is put out by an operator after so many.
const PATIENT_TRIES: u32 = 5;
/// So many machines stay to the end with an open stream.
const RESIDENTS: u32 = 24;
/// A goodbye is an append.
const GOODBYE_WITHIN: Duration = Duration::from_secs(10);

/// What all lanes share.
#[derive(Debug)]
pub struct Machines {
    quorum: Arc<Quorum>,
    probes: Arc<Probes>,
    next: AtomicU32,
    residents: AtomicU32,
    stop: Stop,
}

/// A lane's hands: its draws, its connections.
struct Lane {
    shared: Arc<Machines>,
    rng: Rng,
    orders: Orders,
}

/// A machine that is up.
struct Up {
    number: u32,
    machine: Machine,
    identity: Identity,
    /// Since when it has that.
    since: Duration,
    stream: Option<Open>,
}

/// Its open stream.
struct Open {
    subscription: Subscription,
    journal: usize,
    from: Duration,
}

impl Machines {
    /// Nothing yet.
    pub fn new(quorum: Arc<Quorum>, probes: Arc<Probes>, stop: Stop) -> Arc<Self> {
        let (next, residents) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { quorum, probes, next, residents, stop })
    }

    /// So many lanes, until it is told to stop.
    pub async fn run(self: Arc<Self>, lanes: u64, seed: u64) {
        let mut all = JoinSet::new();
        for nth in 0..lanes {
            let (shared, orders) = (Arc::clone(&self), Orders::new(&self.quorum));
            let lane =
                Lane { shared, orders, rng: Rng::with_seed(seed ^ (nth + 1).wrapping_mul(0x9e37_79b9)) };
            all.spawn(lane.run());
        }
        while all.join_next().await.is_some() {}
    }

    fn journals(&self) -> Result<Journals, Failure> {
        Journals::new(self.quorum.trust.clone(), self.quorum.agents())
    }

    fn now(&self) -> Duration {
        self.quorum.history.now()
    }
}

impl Lane {
    async fn run(mut self) {
        let mut residents = JoinSet::new();
        while !self.shared.stop.is_told() {
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            if let Some(up) = Box::pin(self.live(number)).await {
                residents.spawn(reside(Arc::clone(&self.shared), up));
            }
        }
        while residents.join_next().await.is_some() {}
    }

    /// A machine's life. Answers it if it shall stay.
    async fn live(&mut self, number: u32) -> Option<Up> {
        Box::pin(self.register(number)).await?;
        let mut up = self.enroll(number).await?;
        for _ in 0..self.rng.u32(0..4) {
            if !up.subscribe(&self.shared, &mut self.rng).await {
                break;
            }
            up.hold(Duration::from_millis(self.rng.u64(20..700))).await;
            up = match self.rng.u32(0..10) {
                0..=4 => {
                    up.renew(&self.shared, &mut self.rng).await;
                    up
                }
                5..=6 => self.leave(up).await?,
                7 => self.put_out(up).await?,
                8 => {
                    let vcluster = format!("group-{}", self.rng.u64(0..orders::VCLUSTERS));
                    let nth = self.orders.any(&mut self.rng);
                    self.orders.place(nth, &fleet::node_id(number), &vcluster).await;
                    up
                }
                _ => {
                    let nth = self.orders.any(&mut self.rng);
                    self.orders.inspect(nth, &fleet::node_id(number)).await;
                    up
                }
            };
        }
        let shared = Arc::clone(&self.shared);
        if self.rng.u32(0..3) == 0 && shared.residents.fetch_add(1, Ordering::Relaxed) < RESIDENTS {
            return Some(up);
        }
        self.revoke(up).await;
        None
    }

    /// Has it registered, or tries in vain.
    async fn register(&mut self, number: u32) -> Option<()> {
        let (node, hardware) = (fleet::node_id(number), fleet::hardware(number));
        if self.rng.u32(0..4) == 0 {
            // Another operator gives the same hardware another name, at the same moment.
            let mut rival = Orders::new(&self.shared.quorum);
            let (one, other) = (self.orders.any(&mut self.rng), rival.any(&mut self.rng));
            let name = format!("rival-{number:06}");
            let (first, second) = tokio::join!(
                self.orders.register(one, &node, &hardware),
                rival.register(other, &name, &hardware)
            );
            if matches!(second, Came::Done(_)) && !matches!(first, Came::Done(_)) {
                return None;
            }
            if matches!(first, Came::Done(_)) {
                return Some(());
            }
        }
        for _ in 0..TRIES {
            let nth = self.orders.any(&mut self.rng);
            match self.orders.register(nth, &node, &hardware).await {
                Came::Done(_) | Came::Refused(Reason::NodeAlreadyEnrolled) => return Some(()),
                Came::Refused(_) => return None,
                Came::Unknown(_) if self.shared.stop.is_told() => return None,
                Came::Unknown(_) => time::sleep(AGAIN).await,
            }
        }
        None
    }

    /// Has it enrolled with a new key.
    async fn enroll(&mut self, number: u32) -> Option<Up> {
        let machine = Machine::just_booted(fleet::hardware(number));
        let (node, key) = (fleet::node_id(number), NodeKey::generate().ok()?);
        if self.rng.u32(0..4) == 0 {
            let rival = NodeKey::generate().ok()?;
            let (one, other) = tokio::join!(
                self.shared.ask_to_enroll(&node, &machine, &key),
                self.shared.ask_to_enroll(&node, &machine, &rival)
            );
            if let Ok(identity) = one.or(other) {
                return Some(Up { number, machine, identity, since: self.shared.now(), stream: None });
            }
        }
        for tried in 1..=TRIES {
            let came = match self.shared.ask_to_enroll(&node, &machine, &key).await {
                Ok(identity) => {
                    return Some(Up { number, machine, identity, since: self.shared.now(), stream: None });
                }
                Err(came) => came,
            };
            if self.shared.stop.is_told() {
                return None;
            }
            if matches!(came, Came::Refused(Reason::AlreadyActive)) && tried % PATIENT_TRIES == 0 {
                // The answer to the other key was lost, and the key with it: only an operator helps.
                let nth = self.orders.any(&mut self.rng);
                self.orders.deactivate(nth, &node).await;
            }
            time::sleep(AGAIN).await;
        }
        None
    }

    /// Says goodbye and comes again with another key: its former certificate is superseded then.
    async fn leave(&mut self, mut up: Up) -> Option<Up> {
        let history = Arc::clone(&self.shared.quorum.history);
        let Some(open) = up.stream.take() else { return Some(up) };
        let (began, nth, node) = (history.now(), open.journal, fleet::node_id(up.number));
        up.note(&self.shared, nth, open.from);
        let came = match open.subscription.goodbye(GOODBYE_WITHIN).await {
            Ok(()) => Came::Done(Told::default()),
            Err(failure) => Came::of(&failure),
        };
        let is_away = matches!(came, Came::Done(_));
        history.note(&node, What::Goodbye, Some(nth), began, came);
        if is_away { self.come_again(up).await } else { Some(up) }
    }

    /// An operator deactivates it, and it comes again.
    async fn put_out(&mut self, mut up: Up) -> Option<Up> {
        let (nth, node) = (self.orders.any(&mut self.rng), fleet::node_id(up.number));
        let came = self.orders.deactivate(nth, &node).await;
        up.close(&self.shared);
        // Of a node that was inactive already nothing ends.
        let ended =
            |came: &Came| matches!(came, Came::Done(Told { node: Some(node), .. }) if node.serial.is_none());
        if ended(&came) {
            self.retire(&up);
        }
        self.come_again(up).await
    }

    async fn come_again(&mut self, up: Up) -> Option<Up> {
        let again = self.enroll(up.number).await?;
        if again.identity.serial != up.identity.serial {
            self.retire(&up);
        }
        Some(again)
    }

    async fn revoke(&mut self, mut up: Up) {
        let node = fleet::node_id(up.number);
        for _ in 0..TRIES {
            let nth = self.orders.any(&mut self.rng);
            if let Came::Done(_) = self.orders.revoke(nth, &node).await {
                self.retire(&up);
                break;
            }
            if self.shared.stop.is_told() {
                break;
            }
            time::sleep(AGAIN).await;
        }
        up.close(&self.shared);
    }

    /// Its certificate is over, and that was acknowledged.
    fn retire(&self, up: &Up) {
        let (node, serial) = (fleet::node_id(up.number), up.identity.serial.to_string());
        let (credential, hardware) = (up.identity.credential.clone(), fleet::hardware(up.number));
        self.shared.probes.add(Retired::node(&node, &serial, credential, hardware, self.shared.now()));
    }
}

impl Machines {
    async fn ask_to_enroll(&self, node: &str, machine: &Machine, key: &NodeKey) -> Result<Identity, Came> {
        let began = self.now();
        let asked = match self.journals() {
            Ok(journals) => enroll::enroll(&journals, machine, key, Patience::of(PATIENCE)).await,
            Err(failure) => Err(failure),
        };
        let told = |enrolled: &enroll::Enrolled| of_certificate(&enrolled.identity);
        let came = self.quorum.history.note_answer(node, What::Enroll, None, began, &asked, told);
        asked.map(|enrolled| enrolled.identity).map_err(|_| came)
    }
}

fn of_certificate(identity: &Identity) -> Told {
    Told { serial: Some(identity.serial.to_string()), ..Told::default() }
}

impl Up {
    /// Opens a stream at any journal, unless there is one.
    async fn subscribe(&mut self, shared: &Machines, rng: &mut Rng) -> bool {
        if self.stream.is_some() {
            return true;
        }
        let Ok(journals) = shared.journals() else { return false };
        let mut seated = shared.quorum.seated();
        rng.shuffle(&mut seated);
        for nth in seated {
            let address = &shared.quorum.members[nth].agents;
            let (identity, machine) = (&self.identity, &self.machine);
            let opened =
                Subscription::open(&journals, address, identity, machine, None, Patience::of(PATIENCE)).await;
            if let Ok((subscription, _)) = opened {
                self.stream = Some(Open { subscription, journal: nth, from: shared.now() });
                return true;
            }
        }
        false
    }

    /// Renews over the stream's connection, and takes up the new certificate.
    async fn renew(&mut self, shared: &Machines, rng: &mut Rng) {
        let (Some(open), Ok(next)) = (&self.stream, NodeKey::generate()) else { return };
        let (began, nth) = (shared.now(), open.journal);
        let renewed = renew::renew(open.subscription.connection(), &self.identity, &next).await;
        let node = fleet::node_id(self.number);
        let told = |renewed: &(Identity, _)| of_certificate(&renewed.0);
        shared.quorum.history.note_answer(&node, What::Renew, Some(nth), began, &renewed, told);
        if let Ok((identity, _)) = renewed {
            self.close(shared);
            (self.identity, self.since) = (identity, shared.now());
            // The former one lives on for a while after this.
            self.subscribe(shared, rng).await;
        }
    }

    /// Lets time pass while it listens.
    async fn hold(&mut self, time: Duration) {
        let Some(open) = &mut self.stream else { return time::sleep(time).await };
        let listen = async { while open.subscription.next().await.is_ok() {} };
        time::timeout(time, listen).await.ok();
    }

    /// Its stream ends here, without a goodbye.
    fn close(&mut self, shared: &Machines) {
        if let Some(Open { journal, from, .. }) = self.stream.take() {
            self.note(shared, journal, from);
        }
    }

    fn note(&self, shared: &Machines, journal: usize, from: Duration) {
        let (node, serial) = (fleet::node_id(self.number), self.identity.serial.to_string());
        shared.quorum.history.note_stream(Stream { node, serial, journal, from, to: shared.now() });
    }
}

/// Holds its stream, opens it again at another journal, until it is told to stop.
async fn reside(shared: Arc<Machines>, mut up: Up) {
    let mut rng = Rng::with_seed(u64::from(up.number));
    while !shared.stop.is_told() {
        if !up.subscribe(&shared, &mut rng).await {
            time::sleep(AGAIN).await;
            continue;
        }
        let due = (up.since + up.identity.renew_in).saturating_sub(shared.now());
        let Some(open) = &mut up.stream else { continue };
        let is_due = tokio::select! {
            () = async { while open.subscription.next().await.is_ok() {} } => {
                up.close(&shared);
                false
            }
            () = time::sleep(due) => true,
            () = shared.stop.told() => false,
        };
        if is_due {
            up.renew(&shared, &mut rng).await;
            // A journal that does not renew now is asked again soon; time that is over brings the next stream's refusal.
            time::sleep(AGAIN).await;
        }
        if shared.now().saturating_sub(up.since) > up.identity.expires_in {
            break;
        }
    }
    up.close(&shared);
}
