//! Power cuts, and a disk that lies (R3, R27): a journal in a machine of its own, whose power goes in the middle of a storm.
//!
//! Honest disk: it has a volatile cache, and what lies in it when the power goes is lost, kept or torn by chance
//! ([`write_cache`]). Lying disk: dm-flakey in the machine drops every write and says that it was done, syncs too.
//!
//! A disk that lies until the power goes leaves a machine as it was before the lie, and nothing on it can tell. So a journal
//! alone may forget what it said then, as any program would; one of three catches up.

mod machine;
mod write_cache;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loadtest::{log_check, preparation::Operator, progress::Counter, siblings};
use proto::{
    channel::JournalAddress,
    pb::{CreateJoinTokenRequest, MembersRequest, member_service_client::MemberServiceClient},
    pem_file::{Credential, Trust},
};

use self::{
    machine::{HOST, Hardware, Machine},
    write_cache::WriteCache,
};
use crate::{
    ledger::{Ledger, Place, SERVED},
    settings,
};

/// Machines of a round, and how many of them are on their way at once: an emulated journal serves some dozens a second.
const NODES: u32 = 60;
const AT_ONCE: u32 = 8;
/// Power cuts of the honest disk.
const CUTS: u64 = 3;
const SEED: u64 = 7;
/// What an emulated journal takes for an answer, at most.
const UNHURRIED: Duration = Duration::from_secs(10);
const SERVES_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Machines and networks of one test at a time: each takes all that this machine has.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs it in a network of its own, with one thread: that one is in the network.
fn in_a_network(test: impl AsyncFnOnce(&Path) + Send + 'static) {
    // Whether another one failed is of no account.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = thread::spawn(move || {
        let network = machine::network();
        let place = tempfile::tempdir().expect("there is room");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(test(place.path()));
        drop(network);
    });
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// A domain, and whom its clients ask.
struct Domain {
    trust: Trust,
    operator: Credential,
    /// Listeners for agents and for operators.
    journals: Vec<[JournalAddress; 2]>,
}

impl Domain {
    /// Of one journal, which is not started.
    fn found(data_dir: &Path, flags: Vec<String>, listeners: [JournalAddress; 2]) -> Self {
        settings::binaries();
        let mut init = Command::new(siblings::find("pact-journal").unwrap());
        init.args(["init", "--domain", "power", "--journal-id", "j1"]).args(flags);
        machine::succeeds(init.arg("--data-dir").arg(data_dir));
        let bootstrap = data_dir.join("bootstrap");
        Self {
            trust: Trust::read(&bootstrap.join("domain-ca.pem")).unwrap(),
            operator: Credential::read(&bootstrap.join("operator.pem")).unwrap(),
            journals: vec![listeners],
        }
    }

    fn place(&self, patience: Duration) -> Place {
        let agents = self.journals.iter().map(|[agents, _]| agents.clone()).collect();
        Place::at(self.trust.clone(), agents, patience)
    }

    /// An operator of one of them, as soon as it serves.
    async fn operator(&self, nth: usize) -> Operator {
        let deadline = Instant::now() + SERVES_WITHIN;
        loop {
            match Operator::connect(&self.journals[nth][1], &self.trust, &self.operator).await {
                Ok(operator) => return operator,
                Err(failure) => assert!(Instant::now() < deadline, "{failure}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// As soon as it serves, or if the machine's journal ended instead. None: it did.
    async fn operator_or_end(&self, nth: usize, machine: &mut Machine) -> Option<Operator> {
        tokio::select! {
            operator = self.operator(nth) => Some(operator),
            _ = machine.says(&["JOURNAL ENDED WITH"]) => None,
        }
    }

    /// Registers machines which boot, until so many of them were told; then `then` comes about.
    async fn storm_until(
        &self,
        by: usize,
        machines: std::ops::Range<u32>,
        told: usize,
        then: impl FnOnce(),
    ) -> Ledger {
        self.storm_until_also(by, machines, (told, || true), then).await
    }

    /// The same, and until something else is so, if that comes before all of them were told.
    async fn storm_until_also(
        &self,
        by: usize,
        machines: std::ops::Range<u32>,
        (told, also): (usize, impl Fn() -> bool),
        then: impl FnOnce(),
    ) -> Ledger {
        let all = machines.len();
        self.operator(by).await.register(machines.clone(), &Counter::default()).await.unwrap();
        let (mut ledger, place, over) =
            (Ledger::of(machines), self.place(UNHURRIED), Arc::new(AtomicBool::new(false)));
        let watch = async {
            let deadline = Instant::now() + SERVES_WITHIN;
            let goes_on = |so_far: usize| so_far < told || so_far < all && !also();
            while goes_on(place.told_at.lock().unwrap().len()) {
                assert!(Instant::now() < deadline, "too few are told");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            then();
            over.store(true, Ordering::Relaxed);
        };
        tokio::join!(ledger.storm(&place, AT_ONCE, &over), watch);
        ledger
    }

    /// What these machines were told is so, and everybody is served by what there is.
    async fn holds(&self, by: usize, ledger: &mut Ledger) {
        let operator = self.operator(by).await;
        ledger.nothing_is_lost(&operator).await;
        let place = self.place(SERVED);
        ledger.ask_again(&place, AT_ONCE as usize).await;
        ledger.every_certificate_opens(&place, AT_ONCE as usize).await;
        ledger.nothing_is_lost(&operator).await;
    }
}

/// A journal alone in a machine.
fn alone(place: &Path) -> (Domain, Hardware) {
    let content = place.join("content");
    fs::create_dir(&content).unwrap();
    let domain = Domain::found(&content.join("j1"), machine::own_flags(), machine::listeners());
    (domain, Hardware::with(&content, place))
}

async fn serves(machine: &mut Machine, words: &str) {
    let (mounted, _) = machine.says(&["DISK MOUNTED", "DISK BROKEN"]).await;
    assert_eq!(mounted, "DISK MOUNTED", "a file system outlives a power cut");
    machine.order(&format!("serve {words}"));
}

/// Ends it in good order, and reads its log.
async fn sound(machine: &mut Machine, hardware: &Hardware, name: &str, place: &Path) -> PathBuf {
    machine.order("stop");
    machine.says(&["UNMOUNTED"]).await;
    machine.ends().await;
    let out = place.join("out");
    fs::create_dir_all(&out).unwrap();
    hardware.files(name, &out);
    settings::verify(&out.join(name)).await;
    out.join(name)
}

#[test]
#[ignore = "minutes of emulation: make power-cut"]
fn rule_03_what_machines_were_told_survives_power_cuts_that_lose_all_that_was_not_synced() {
    in_a_network(async |place| {
        let (domain, hardware) = alone(place);
        let socket = place.join("nbd");
        let disk = WriteCache::serve(&hardware.disk(), &socket);
        let url = format!("nbd:unix:{}", socket.display());
        let mut chance = fastrand::Rng::with_seed(settings::number("PACT_FAULT_SEED", SEED));
        let mut machine = Machine::boot(&hardware, &url);
        serves(&mut machine, "serve --data-dir /data/j1").await;
        let mut lost_blocks = 0;
        for round in 0..u32::try_from(settings::number("PACT_FAULT_CUTS", CUTS)).unwrap() {
            let told = chance.usize(1..NODES as usize / 2);
            let machines = round * NODES..(round + 1) * NODES;
            let cut = || {
                machine.cut();
                let (cached, lost) = disk.cut(&mut chance);
                eprintln!("cut {round}: {lost} of {cached} blocks in the cache are lost or torn");
                lost_blocks += lost;
            };
            // In the middle of a write that is not synced yet.
            let moment = (told, || disk.holds_back());
            let mut ledger = domain.storm_until_also(0, machines, moment, cut).await;
            assert!(disk.flushes() > 0, "nothing was ever synced");

            machine = Machine::boot(&hardware, &url);
            serves(&mut machine, "serve --data-dir /data/j1").await;
            assert!(ledger.told() >= told);
            domain.holds(0, &mut ledger).await;
        }
        assert!(lost_blocks > 0, "a power cut that loses nothing shows nothing");
        sound(&mut machine, &hardware, "j1", place).await;
    });
}

#[test]
#[ignore = "minutes of emulation: make power-cut"]
fn rule_27_a_lone_journal_whose_disk_lied_for_a_while_refuses_to_start_or_has_lost_nothing() {
    in_a_network(async |place| {
        let (domain, hardware) = alone(place);
        let disk = hardware.disk().display().to_string();
        let mut machine = Machine::boot(&hardware, &disk);
        serves(&mut machine, "serve --data-dir /data/j1").await;
        let quiet = || {};
        let before = domain.storm_until(0, 0..NODES, 10, quiet).await;
        machine.order("lie");
        machine.says(&["DISK LIES"]).await;
        let meanwhile = domain.storm_until(0, NODES..2 * NODES, 10, quiet).await;
        machine.order("stop-lying");
        machine.says(&["DISK IS HONEST"]).await;
        let after = domain.storm_until(0, 2 * NODES..3 * NODES, 10, || machine.cut()).await;

        let mut machine = Machine::boot(&hardware, &disk);
        if machine.says(&["DISK MOUNTED", "DISK BROKEN"]).await.0 == "DISK BROKEN" {
            return eprintln!("the file system is gone: nothing serves");
        }
        machine.order("serve serve --data-dir /data/j1");
        match domain.operator_or_end(0, &mut machine).await {
            None => {
                let told = machine.told();
                let error = told.iter().find(|line| line.contains("error: ")).expect("it says why");
                eprintln!("{error}");
                assert!(told.iter().any(|line| line.contains("JOURNAL ENDED WITH 1")), "{error}");
            }
            Some(operator) => {
                for ledger in [before, meanwhile, after] {
                    ledger.nothing_is_lost(&operator).await;
                }
            }
        }
    });
}

#[test]
#[ignore = "minutes of emulation: make power-cut"]
fn rule_27_a_lone_journal_whose_disk_lied_to_the_end_is_what_it_was_before() {
    in_a_network(async |place| {
        let (domain, hardware) = alone(place);
        let disk = hardware.disk().display().to_string();
        let mut machine = Machine::boot(&hardware, &disk);
        serves(&mut machine, "serve --data-dir /data/j1").await;
        let mut before = domain.storm_until(0, 0..NODES, 10, || {}).await;
        machine.order("lie");
        machine.says(&["DISK LIES"]).await;
        domain.storm_until(0, NODES..2 * NODES, 10, || machine.cut()).await;

        let mut machine = Machine::boot(&hardware, &disk);
        serves(&mut machine, "serve --data-dir /data/j1").await;
        // Its clients come again: of the others nobody knows any more.
        domain.holds(0, &mut before).await;
        let operator = domain.operator(0).await;
        operator.register(NODES..2 * NODES, &Counter::default()).await.unwrap();
        let mut again = Ledger::of(NODES..2 * NODES);
        again.ask_again(&domain.place(SERVED), AT_ONCE as usize).await;
        sound(&mut machine, &hardware, "j1", place).await;
    });
}

/// A journal on the host.
struct HostJournal {
    child: Child,
    data_dir: PathBuf,
    ports: [u16; 4],
}

impl Drop for HostJournal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl HostJournal {
    const FIRST: [u16; 4] = [9543, 9544, 9545, 9546];
    const SECOND: [u16; 4] = [9643, 9644, 9645, 9646];

    /// QEMU shows a machine the loopback interface at [`HOST`]: they listen everywhere.
    fn flags(ports: [u16; 4]) -> Vec<String> {
        let mut flags = machine::flags(Ipv4Addr::UNSPECIFIED, ports);
        // In place of the address that nobody reaches it by.
        *flags.last_mut().unwrap() = HOST.to_string();
        flags
    }

    fn listeners(ports: [u16; 4]) -> [JournalAddress; 2] {
        [ports[0], ports[3]].map(|port| format!("https://{HOST}:{port}").parse().unwrap())
    }

    fn run(place: &Path, name: &str, ports: [u16; 4], words: &[String]) -> Self {
        let data_dir = place.join(name);
        let log = fs::File::create(place.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(siblings::find("pact-journal").unwrap()).args(words);
        command.arg("--data-dir").arg(&data_dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), data_dir, ports }
    }

    /// Ends it in good order.
    fn stop(&mut self) {
        machine::succeeds(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        assert!(self.child.wait().unwrap().success());
    }

    fn door(&self) -> String {
        format!("{HOST}:{}", self.ports[1])
    }
}

/// The words with which another journal joins.
async fn join(operator: &Operator, door: &str, name: &str, flags: Vec<String>) -> Vec<String> {
    let mut client = MemberServiceClient::new(operator.connection().channel());
    let token = client.create_join_token(CreateJoinTokenRequest { expires_secs: None }).await.unwrap();
    let words =
        ["join", "--journal-id", name, "--join-addr", door, "--join-token", &token.into_inner().token];
    words.into_iter().map(str::to_owned).chain(flags).collect()
}

async fn votes(operator: &Operator, voters: usize) {
    let deadline = Instant::now() + SERVES_WITHIN;
    loop {
        let mut client = MemberServiceClient::new(operator.connection().channel());
        if let Ok(told) = client.members(MembersRequest::default()).await
            && told.get_ref().members.iter().filter(|member| member.standing == "voter").count() == voters
        {
            return;
        }
        assert!(Instant::now() < deadline, "they do not vote");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Three journals, of which the third is in a machine.
async fn trio(place: &Path) -> (Domain, [HostJournal; 2], Hardware, Machine) {
    let (first, second) = (HostJournal::FIRST, HostJournal::SECOND);
    let mut domain =
        Domain::found(&place.join("j1"), HostJournal::flags(first), HostJournal::listeners(first));
    let one = HostJournal::run(place, "j1", first, &["serve".to_owned()]);
    let operator = domain.operator(0).await;
    let words = join(&operator, &one.door(), "j2", HostJournal::flags(second)).await;
    let other = HostJournal::run(place, "j2", second, &words);
    domain.journals.push(HostJournal::listeners(second));
    votes(&operator, 2).await;

    let content = place.join("content");
    fs::create_dir(&content).unwrap();
    let hardware = Hardware::with(&content, place);
    let mut machine = Machine::boot(&hardware, &hardware.disk().display().to_string());
    let words = join(&operator, &one.door(), "j3", machine::own_flags()).await;
    serves(&mut machine, &format!("{} --data-dir /data/j3", words.join(" "))).await;
    domain.journals.push(machine::listeners());
    votes(&operator, 3).await;
    domain.operator(2).await;
    (domain, [one, other], hardware, machine)
}

#[test]
#[ignore = "minutes of emulation: make power-cut"]
fn rule_27_of_three_journals_the_one_whose_disk_lied_catches_up_or_refuses_and_nothing_is_lost() {
    in_a_network(async |place| {
        let (domain, mut hosts, hardware, mut machine) = trio(place).await;
        let disk = hardware.disk().display().to_string();
        let mut ledgers = vec![domain.storm_until(0, 0..NODES, 20, || {}).await];

        // It lies until the power goes: the machine is what it was before.
        machine.order("lie");
        machine.says(&["DISK LIES"]).await;
        ledgers.push(domain.storm_until(0, NODES..2 * NODES, 30, || machine.cut()).await);
        let mut machine = Machine::boot(&hardware, &disk);
        serves(&mut machine, "serve --data-dir /data/j3").await;
        let back = domain.operator_or_end(2, &mut machine).await.is_some();
        eprintln!(
            "after a disk that lied to the end the journal {}",
            if back { "caught up" } else { "refused" }
        );
        for ledger in &mut ledgers {
            domain.holds(0, ledger).await;
        }
        assert!(back, "its disk is what it was at one moment: {:?}", machine.told());

        // It lies for a while, and then no more: what is on it is of two times.
        machine.order("lie");
        machine.says(&["DISK LIES"]).await;
        ledgers.push(domain.storm_until(0, 2 * NODES..3 * NODES, 30, || {}).await);
        machine.order("stop-lying");
        machine.says(&["DISK IS HONEST"]).await;
        ledgers.push(domain.storm_until(0, 3 * NODES..4 * NODES, 30, || machine.cut()).await);
        let mut machine = Machine::boot(&hardware, &disk);
        let (mounted, _) = machine.says(&["DISK MOUNTED", "DISK BROKEN"]).await;
        let mut back = None;
        if mounted == "DISK MOUNTED" {
            machine.order("serve serve --data-dir /data/j3");
            back = domain.operator_or_end(2, &mut machine).await;
        }
        let said = machine.told().into_iter().find(|line| line.contains("error: "));
        eprintln!("{mounted}; it serves: {}; {}", back.is_some(), said.unwrap_or_default());
        for ledger in &mut ledgers {
            domain.holds(0, ledger).await;
        }

        let mut logs = vec![];
        if back.is_some() {
            logs.push(sound(&mut machine, &hardware, "j3", place).await);
        }
        hosts.iter_mut().rev().for_each(HostJournal::stop);
        settings::verify(&hosts[0].data_dir).await;
        logs.push(hosts[1].data_dir.clone());
        for log in logs {
            let alike = log_check::verify_against(&log, &hosts[0].data_dir).await;
            alike.unwrap_or_else(|failure| panic!("{}: {failure}", log.display()));
        }
    });
}
