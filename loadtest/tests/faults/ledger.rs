//! What the machines of a storm were told: which certificate each holds. Compared with what the journal says.
//!
//! A machine keeps its key until it has a certificate, as an agent does within one boot, and asks again with it.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use agent::{
    answer::Identity, enroll, enroll::Enrolled, journals::Journals, key::NodeKey, machine::Machine,
    retry::Patience,
};
use futures_util::{StreamExt, stream};
use loadtest::{fleet, journal_process::JournalProcess, preparation::Operator};
use proto::{
    channel::{Connection, JournalAddress},
    pb::{
        AgentMessage, ListNodesRequest, Node, NodeState,
        agent_message::{Hello, Message},
        boot_config_service_client::BootConfigServiceClient,
        node_service_client::NodeServiceClient,
    },
    pem_file::Trust,
};
use tokio::task::JoinSet;
use tonic::Code;

/// A machine whose journal died gives up after this; one that was only slow asks again later.
pub const UNTIL_IT_DIES: Duration = Duration::from_secs(1);
/// A journal that serves answers within this, on a machine that has other things to do.
pub const SERVED: Duration = Duration::from_secs(60);
/// A machine that was turned away connects again after this.
const AGAIN: Duration = Duration::from_millis(20);
/// A thousand nodes take half a megabyte.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A machine, and the certificate that it was given.
pub struct Asker {
    number: u32,
    machine: Machine,
    key: NodeKey,
    /// What it was told; a reply that was lost was not told.
    told: Option<Identity>,
}

/// All machines of a storm.
pub struct Ledger(BTreeMap<u32, Asker>);

/// Whom to ask, for how long, and when machines were told.
#[derive(Clone)]
pub struct Place {
    journals: Journals,
    patience: Duration,
    pub told_at: Arc<Mutex<Vec<Instant>>>,
}

impl Place {
    /// Machines ask any of these journals; in a storm for so long.
    pub fn of(journals: &[&JournalProcess], patience: Duration) -> Self {
        let trust = journals[0].trust().expect("init or join made it");
        let agents = journals.iter().map(|journal| journal.agents.clone()).collect();
        Self::at(trust, agents, patience)
    }

    /// The same of journals that listen there.
    pub fn at(trust: Trust, agents: Vec<JournalAddress>, patience: Duration) -> Self {
        Self { journals: Journals::new(trust, agents).unwrap(), patience, told_at: Arc::default() }
    }
}

impl Ledger {
    pub fn of(machines: Range<u32>) -> Self {
        let asker = |number| {
            let machine = Machine::just_booted(fleet::hardware(number));
            (number, Asker { number, machine, key: NodeKey::generate().unwrap(), told: None })
        };
        Self(machines.map(asker).collect())
    }

    /// How many hold a certificate.
    pub fn told(&self) -> usize {
        self.0.values().filter(|asker| asker.told.is_some()).count()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All who have no certificate ask for one, so many at one moment, and use it at once; until there is none left or
    /// the journal is dead. Whoever is up stays up until the end.
    pub async fn storm(&mut self, place: &Place, at_once: u32, dead: &Arc<AtomicBool>) {
        let waiting: Vec<Asker> = std::mem::take(&mut self.0).into_values().collect();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut lanes = JoinSet::new();
        for _ in 0..at_once {
            lanes.spawn(lane(place.clone(), Arc::clone(&waiting), Arc::clone(dead)));
        }
        let lanes = lanes.join_all().await;
        let asked = lanes.into_iter().flatten().map(|(asker, _)| asker);
        let waiting = std::mem::take(&mut *waiting.lock().unwrap());
        self.0 = asked.chain(waiting).map(|asker| (asker.number, asker)).collect();
    }

    /// What was told is so: the certificate is the node's current one, and nobody has two.
    pub async fn nothing_is_lost(&self, operator: &Operator) {
        let nodes = nodes(operator).await;
        for asker in self.0.values() {
            let node = nodes.get(&fleet::node_id(asker.number)).expect("it was registered");
            let current = node.certificate.as_ref().map(|certificate| certificate.serial.clone());
            if let Some(told) = &asker.told {
                assert_eq!(current, Some(told.serial.to_string()), "{} lost its certificate", node.node_id);
                assert_eq!(node.state(), NodeState::Active, "{}", node.node_id);
            }
            // Registered, certified, confirmed: each once. A second certificate would be one fact more.
            let facts = 1 + u64::from(current.is_some()) + u64::from(node.confirmed);
            assert_eq!(node.version, facts, "{} was certified twice", node.node_id);
        }
    }

    /// Everybody asks again with the same key: who had a certificate is given the identical one (R14), who had none
    /// gets one.
    pub async fn ask_again(&mut self, place: &Place, at_once: usize) {
        stream::iter(self.0.values_mut())
            .for_each_concurrent(at_once, async |asker| {
                let before = asker.told.take();
                asker.ask(place, SERVED).await;
                let after = asker.told.as_ref().expect("the journal serves");
                if let Some(before) = before {
                    assert_eq!(after.certificate, before.certificate, "rule 14: the identical certificate");
                }
            })
            .await;
    }

    /// Everybody who holds a certificate is let in with it.
    pub async fn every_certificate_opens(&self, place: &Place, at_once: usize) {
        let never = AtomicBool::new(false);
        stream::iter(self.0.values().filter(|asker| asker.told.is_some()))
            .for_each_concurrent(at_once, async |asker| {
                assert!(asker.use_it(place, &never).await.is_some(), "{} is kept out", asker.number);
            })
            .await;
    }
}

async fn lane(
    place: Place,
    waiting: Arc<Mutex<Vec<Asker>>>,
    dead: Arc<AtomicBool>,
) -> Vec<(Asker, Option<impl Send>)> {
    let mut asked = vec![];
    while !dead.load(Ordering::Relaxed) {
        let Some(mut asker) = waiting.lock().unwrap().pop() else { break };
        asker.ask(&place, place.patience).await;
        let open = asker.use_it(&place, &dead).await;
        asked.push((asker, open));
    }
    asked
}

impl Asker {
    async fn ask(&mut self, place: &Place, within: Duration) {
        let asked = enroll::enroll(&place.journals, &self.machine, &self.key, Patience::of(within)).await;
        if let Ok(Enrolled { identity, .. }) = asked {
            self.told = Some(identity);
            place.told_at.lock().unwrap().push(Instant::now());
        }
    }

    /// Connects with the certificate and subscribes, if it has one and a journal still lives: the confirmation.
    async fn use_it(&self, place: &Place, dead: &AtomicBool) -> Option<impl Send + use<>> {
        let until = Instant::now() + place.patience;
        loop {
            for agents in place.journals.shuffled() {
                let open = self.subscribe(&agents, &place.journals.trust).await;
                if open.is_some() {
                    return open;
                }
            }
            if self.told.is_none() || Instant::now() >= until || dead.load(Ordering::Relaxed) {
                return None;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn subscribe(&self, agents: &JournalAddress, trust: &Trust) -> Option<impl Send + use<>> {
        let credential = &self.told.as_ref()?.credential;
        let connection = Connection::open(agents, trust, Some(credential), UNTIL_IT_DIES).await.ok()?;
        let hello = Hello { boot_id: self.machine.boot_id.to_string(), ..Default::default() };
        let hello = AgentMessage { message: Some(Message::Hello(hello)) };
        let messages = stream::iter([hello]).chain(stream::pending());
        let mut client = BootConfigServiceClient::new(connection.channel());
        let subscribed = client.subscribe_config_updates(messages);
        let subscribed = tokio::time::timeout(UNTIL_IT_DIES, subscribed).await.ok()?.ok()?;
        Some((connection, subscribed))
    }
}

async fn nodes(operator: &Operator) -> BTreeMap<String, Node> {
    let mut client =
        NodeServiceClient::new(operator.connection().channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
    let deadline = Instant::now() + SERVED;
    let answer = loop {
        match client.list_nodes(ListNodesRequest::default()).await {
            Ok(answer) => break answer,
            // One that was just started has not heard of its quorum yet.
            Err(status) if status.code() == Code::Unavailable && Instant::now() < deadline => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(status) => panic!("the journal does not serve: {status}"),
        }
    };
    answer.into_inner().nodes.into_iter().map(|node| (node.node_id.clone(), node)).collect()
}
