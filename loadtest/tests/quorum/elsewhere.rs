//! Where agents go when their journal is lost, stands still, or is evicted (R14, R19): the agent's own code, and the real
//! binary.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use agent::{enroll, journals::Journals, key::NodeKey, machine::Machine, retry::Patience};
use loadtest::{fleet, preparation::Operator, progress::Counter, siblings};
use proto::{
    channel::JournalAddress,
    pb::{
        EvictRequest, InspectNodeRequest, Node, NodeState, member_service_client::MemberServiceClient,
        node_service_client::NodeServiceClient,
    },
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command},
    sync::Notify,
    time,
};

use crate::trio::{IN_TIME, Trio};

const LOOK: Duration = Duration::from_millis(20);

async fn inspect(operator: &Operator, number: u32) -> Node {
    let mut client = NodeServiceClient::new(operator.connection().channel());
    let request = InspectNodeRequest { node_id: fleet::node_id(number), min_seq: None };
    client.inspect_node(request).await.unwrap().into_inner().node.unwrap()
}

/// Waits until a node is as it should be.
async fn becomes(operator: &Operator, number: u32, wanted: impl Fn(&Node) -> bool) -> Node {
    let until = Instant::now() + IN_TIME;
    loop {
        let node = inspect(operator, number).await;
        if wanted(&node) {
            return node;
        }
        assert!(Instant::now() < until, "it does not come to that: {node:?}");
        time::sleep(LOOK).await;
    }
}

/// Stands before a journal. Of the first request that comes to any of them, no answer passes.
struct Door {
    address: JournalAddress,
}

#[derive(Default)]
struct Silence {
    /// The member that was asked.
    asked: OnceLock<usize>,
    told: Notify,
}

impl Door {
    async fn before(nth: usize, journal: &JournalAddress, silence: &Arc<Silence>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (host, port, silence) = (journal.host().to_owned(), journal.port(), Arc::clone(silence));
        tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                let outer = TcpStream::connect((host.as_str(), port)).await;
                let Ok(outer) = outer else { continue };
                tokio::spawn(carry(nth, inner, outer, Arc::clone(&silence)));
            }
        });
        Self { address }
    }
}

/// Carries bytes both ways. A client's second flight holds its request: TLS 1.3 needs one before it.
async fn carry(nth: usize, client: TcpStream, journal: TcpStream, silence: Arc<Silence>) {
    let ((mut asks, mut hears), (mut answers, mut takes)) = (client.into_split(), journal.into_split());
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let up = tokio::spawn(async move {
        let (mut buffer, mut flights) = (vec![0; 64 << 10], 0);
        while let Ok(read @ 1..) = asks.read(&mut buffer).await {
            flights += 1;
            if flights == 2 && silence.asked.set(nth).is_ok() {
                silent.store(true, Ordering::SeqCst);
                silence.told.notify_one();
            }
            if takes.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = answers.read(&mut buffer).await {
        if !is_silent.load(Ordering::SeqCst) && hears.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // The journal has ended: so does the client's connection.
    up.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_an_answer_that_is_lost_with_its_journal_is_given_by_another_and_no_second_certificate() {
    // given: the answer of whichever member is asked first does not arrive
    let mut trio = Trio::start().await;
    trio.operator(0).await.register(0..1, &Counter::default()).await.unwrap();
    let silence = Arc::new(Silence::default());
    let mut doors = Vec::new();
    for (nth, journal) in trio.all().into_iter().enumerate() {
        doors.push(Door::before(nth, &journal.agents, &silence).await);
    }
    let trust = trio.journal(0).trust().unwrap();
    let known = doors.iter().map(|door| door.address.clone()).collect();
    let journals = Journals::new(trust, known).unwrap();
    let (machine, key) = (Machine::just_booted(fleet::hardware(0)), NodeKey::generate().unwrap());
    let enrolling = tokio::spawn({
        let journals = journals.clone();
        async move { enroll::enroll(&journals, &machine, &key, Patience::of(IN_TIME)).await }
    });
    time::timeout(IN_TIME, silence.told.notified()).await.unwrap();
    let asked = *silence.asked.get().unwrap();

    // when: it is committed, and the member that was asked dies before its answer arrives
    let issued = becomes(&trio.operator(asked).await, 0, |node| node.state() == NodeState::Active).await;
    assert!(!enrolling.is_finished());
    trio.kill(asked).await;

    // then
    let serial = issued.certificate.map(|certificate| certificate.serial);
    let told = enrolling.await.unwrap().unwrap();
    assert_eq!(Some(told.identity.serial.to_string()), serial, "the same certificate");
    assert_ne!(told.journal, doors[asked].address);
    trio.start_again(asked).await;
    trio.level(&[0, 1, 2]).await;
    let node = inspect(&trio.operator(1).await, 0).await;
    assert_eq!(node.certificate.map(|certificate| certificate.serial), serial);
    assert_eq!(node.version, 2, "registered and issued, once each");
    trio.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_19_a_follower_that_stands_still_costs_an_enrollment_little_more_than_a_second() {
    let nodes = 12;
    let trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let operator = trio.operator(leader).await;
    operator.register(0..nodes, &Counter::default()).await.unwrap();
    let still = trio.journal((leader + 1) % 3);
    let known = trio.all().map(|journal| journal.agents.clone()).to_vec();
    let journals = Journals::new(still.trust().unwrap(), known).unwrap();
    still.signal(Signal::STOP).unwrap();

    for number in 0..nodes {
        let (machine, key) = (Machine::just_booted(fleet::hardware(number)), NodeKey::generate().unwrap());
        let began = Instant::now();
        let enrolled = enroll::enroll(&journals, &machine, &key, Patience::of(IN_TIME)).await.unwrap();
        // The machine has other things to do; one that waits for the stopped member takes ten.
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert_ne!(enrolled.journal, still.agents);
    }

    still.signal(Signal::CONT).unwrap();
    trio.level(&[0, 1, 2]).await;
    trio.verify().await;
}

/// A `pact-agent run` for one machine.
struct RunningAgent {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl RunningAgent {
    /// It knows one journal; of the others it is told.
    async fn start(place: &Path, trio: &Trio, number: u32) -> Self {
        let hardware = place.join(format!("{number}.json"));
        let machine = fleet::hardware(number);
        std::fs::write(&hardware, serde_json::to_string(&machine).unwrap()).unwrap();
        let journal = trio.journal(number as usize % 3);
        let mut process = Command::new(siblings::find("pact-agent").unwrap())
            .args(["run", "-o", "json", "--journal", &journal.agents.to_string(), "--ca"])
            .arg(trio.journal(0).data_dir().join("bootstrap/domain-ca.pem"))
            .arg("--hardware")
            .arg(&hardware)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { lines, _process: process }
    }

    /// Waits until it has told a change. Answers it.
    async fn tells(&mut self, change: &str) -> serde_json::Value {
        let told = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the agent runs");
                let told: serde_json::Value = serde_json::from_str(&line).unwrap();
                if told["change"] == change {
                    return told;
                }
            }
        };
        time::timeout(IN_TIME, told).await.unwrap_or_else(|_| panic!("it never told: {change}"))
    }
}

const AGENTS: u32 = 9;

/// So many agents, a third of them at each member, all of them confirmed.
async fn agents(place: &Path, trio: &Trio) -> Vec<RunningAgent> {
    let operator = trio.operator(0).await;
    operator.register(0..AGENTS, &Counter::default()).await.unwrap();
    trio.level(&[0, 1, 2]).await;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let mut agent = RunningAgent::start(place, trio, number).await;
        agent.tells("configured").await;
        agents.push(agent);
    }
    for number in 0..AGENTS {
        becomes(&operator, number, |node| node.confirmed).await;
    }
    agents
}

/// Each is active with its first certificate, and not one fact more came to it.
async fn nothing_is_lost(operator: &Operator) {
    for number in 0..AGENTS {
        let node = inspect(operator, number).await;
        assert_eq!((node.state(), node.version), (NodeState::Active, 3), "{node:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_19_the_agents_of_a_journal_that_is_killed_go_to_others_that_they_were_told_of() {
    let (place, mut trio) = (tempfile::tempdir().unwrap(), Trio::start().await);
    let mut agents = agents(place.path(), &trio).await;
    let lost = trio.leader(&[0, 1, 2]).await;
    let others: Vec<usize> = (0..3).filter(|nth| *nth != lost).collect();

    trio.kill(lost).await;

    for agent in agents.iter_mut().skip(lost).step_by(3) {
        agent.tells("lost").await;
        agent.tells("subscribed").await;
    }
    trio.leader(&others).await;
    nothing_is_lost(&trio.operator(others[0]).await).await;
    trio.start_again(lost).await;
    trio.level(&[0, 1, 2]).await;
    drop(agents);
    trio.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_of_a_journal_that_is_evicted_leave_it() {
    let (place, trio) = (tempfile::tempdir().unwrap(), Trio::start().await);
    let leader = trio.leader(&[0, 1, 2]).await;
    let mut agents = agents(place.path(), &trio).await;
    let evicted = (leader + 1) % 3;
    let evicted = if evicted == 0 { (leader + 2) % 3 } else { evicted };

    let operator = trio.operator(leader).await;
    let request = EvictRequest {
        journal_id: format!("j{}", evicted + 1),
        revoke_issued: false,
        reason: "a test".to_owned(),
    };
    MemberServiceClient::new(operator.connection().channel()).evict(request).await.unwrap();

    for agent in agents.iter_mut().skip(evicted).step_by(3) {
        let lost = agent.tells("lost").await;
        let subscribed = agent.tells("subscribed").await;
        assert_eq!(lost["reason"], "JOURNAL_EVICTED", "{lost}");
        let address = trio.journal(evicted).agents.port();
        assert!(!subscribed["journal"].as_str().unwrap().ends_with(&format!(":{address}")), "{subscribed}");
    }
    nothing_is_lost(&operator).await;
}
