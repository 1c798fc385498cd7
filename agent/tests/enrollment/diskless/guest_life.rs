//! The whole life of a machine without a disk, as an operator sees it: as such, with a clock that woke up wrong, and where SPIRE
//! appears late.

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    binary,
    guest::{Guest, Image, MAC, SERIAL, UUID},
    name_server,
    quorum::{HOST, HOST_NAME, Quorum},
    spire::{SPIFFE_ID, Spire},
};

const AGENT: &str = "pact-agent-static";
/// In this one each task panics once.
const PLANTED: &str = "pact-agent-planted";
const TASKS: [&str; 8] =
    ["reaper", "watchdog", "network", "agent", "workload", "attendant", "supervisor", "desk"];

const NODE: &str = "compute-042";

/// Where a Workload API may listen, in a network namespace that has nothing else there.
const API: u16 = 8081;

/// So short that a machine that was cut off is let in again while a test waits.
const SETTINGS: [(&str, &str); 2] =
    [("PACT_JOURNAL_CERTIFICATE_TTL_SECS", "30"), ("PACT_JOURNAL_GRACE_PERIOD_SECS", "5")];

/// A service that stays, one that asks the agent how it is until it is told, and one that shows whom the kernel ends first when
/// memory is short: the agent, then itself.
const ML: &str = r#"pact_services = 1
[[service]]
name = "asks"
command = ["/init", "status", "-o", "json"]
restart = "on-failure"
[[service]]
name = "scores"
command = ["/bin/busybox", "cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"]
restart = "never"
[[service]]
name = "stays"
command = ["/bin/busybox", "sleep", "100000"]
"#;
const BATCH: &str = r#"pact_services = 1
[[service]]
name = "stays"
command = ["/bin/busybox", "sleep", "100000"]
"#;
/// As an administrator on the node would.
const OFF: &str = r#"pact_services = 1
[[service]]
name = "off"
command = ["/bin/busybox", "kill", "-TERM", "1"]
restart = "never"
"#;

fn serial(node: &Value) -> String {
    node["certificate"]["serial"].as_str().unwrap_or_default().to_owned()
}

fn is_up(node: &Value) -> bool {
    node["state"] == "active" && node["confirmed"] == true
}

/// The journal that a line of the agent names.
fn journal_of(line: &str) -> String {
    let told = line.rsplit_once("subscribed at ").map(|(_, journal)| journal.trim().to_owned());
    told.unwrap_or_else(|| panic!("{line:?} names a journal"))
}

fn count(guest: &Guest, what: &str) -> usize {
    guest.console().iter().filter(|line| line.contains(what)).count()
}

/// Where a machine is switched on, and with what.
struct Site {
    quorum: Quorum,
    settings: Vec<(&'static str, String)>,
    image: Image,
    /// For the agent.
    words: String,
    /// Of QEMU.
    flags: &'static [&'static str],
    /// By what the node goes once it was let in, if not by its certificate.
    identity: Option<&'static str>,
}

impl Site {
    /// Three journals that know the node, and an image for it. They are also told this.
    async fn with(more: Vec<(&'static str, String)>) -> Self {
        let settings: Vec<_> =
            SETTINGS.into_iter().map(|(name, value)| (name, value.to_owned())).chain(more).collect();
        let quorum = Quorum::start(&borrowed(&settings)).await;
        quorum.pact_json(&["node", "enroll", NODE, "--mac", MAC, "--bmc-serial", SERIAL, "--uuid", UUID]);
        for (vcluster, text) in [("ml", ML), ("batch", BATCH), ("off", OFF)] {
            let overlay = quorum.file(vcluster);
            fs::write(&overlay, text).expect("the folder is ours");
            quorum.pact_json(&["vcluster", "set", vcluster, "--overlay", &overlay.display().to_string()]);
        }
        let image = Image::of(&quorum, AGENT);
        let words = format!(
            "pact.journal={} pact.ip=10.0.2.15/24,{HOST} pact.hostname=node-42",
            quorum.agents(&HOST.to_string())
        );
        Self { quorum, settings, image, words, flags: &[], identity: None }
    }

    fn boot(&self, image: &Image, more: &str) -> Guest {
        let words = format!(
            "pact.ca=/etc/pact/domain-ca.pem pact.workload_api=tcp://{HOST}:{API} {} {more}",
            self.words
        );
        Guest::boot(&self.quorum, image, &words, self.flags)
    }

    /// Switches the machine on. It enrolls.
    async fn comes_up(&self) -> Guest {
        let guest = self.boot(&self.image, "");
        guest.says("subscribed at", 0).await;
        self.quorum.sees(NODE, "the machine is up", is_up).await;
        guest
    }

    /// What becomes of a machine that is up: it works, renews, loses its journal and its power, and comes back, to its end.
    async fn lives(mut self, mut guest: Guest) {
        assert!(guest.console().iter().any(|line| line.contains("the watchdog is armed")));
        self.works(&guest).await;
        self.renews_and_loses_its_journal(&guest).await;

        // it is cut off from power, boots again, and is let in when the journals have missed it for long enough
        let before = serial(&self.quorum.sees(NODE, "the machine is still up", is_up).await);
        guest.cut();
        let guest = self.comes_back_though_everything_panics().await;
        let again = |node: &Value| is_up(node) && serial(node) != before;
        self.quorum.sees(NODE, "the machine is up again", again).await;
        self.is_decommissioned(&guest).await;
    }

    /// It is assigned, moved, unassigned and assigned again: services come and go, and nothing else does.
    async fn works(&self, guest: &Guest) {
        let (lost, enrolled) = (count(guest, "lost "), count(guest, "enrolled "));
        let seen = guest.console().len();
        self.quorum.pact_json(&["node", "assign", NODE, "--vcluster", "ml"]);
        let (_, seen) = guest.says("configured in ml", seen).await;
        guest.says("service asks ended with code 0", seen).await;
        let (_, spared) = guest.says("\"-1000\"", seen).await;
        guest.says("\"0\"", spared).await;
        let (_, seen) = guest.says("service stays runs", seen).await;
        self.quorum.pact_json(&["node", "move", NODE, "--to-vcluster", "batch"]);
        let (_, seen) = guest.says("configured in batch", seen).await;
        self.quorum.pact_json(&["node", "unassign", NODE]);
        let (_, seen) = guest.says("configured in no vCluster", seen).await;
        let (_, seen) = guest.says("service stays ended", seen).await;
        self.quorum
            .sees(NODE, "it is unassigned, and up", |node| is_up(node) && node["vcluster"].is_null())
            .await;
        self.quorum.pact_json(&["node", "assign", NODE, "--vcluster", "ml"]);
        guest.says("service stays runs", seen).await;
        assert_eq!((count(guest, "lost "), count(guest, "enrolled ")), (lost, enrolled));
    }

    async fn renews_and_loses_its_journal(&mut self, guest: &Guest) {
        let first = serial(&self.quorum.sees(NODE, "the machine is up", is_up).await);
        let renewed = |node: &Value| is_up(node) && serial(node) != first;
        self.quorum.sees(NODE, "the certificate is renewed", renewed).await;

        // it loses its journal, and goes to another
        let lines = guest.console();
        let last = lines.iter().rev().find(|line| line.contains("subscribed at")).expect("it is subscribed");
        let lost = journal_of(last);
        let killed = self.quorum.kill(&lost);
        let (line, _) = guest.says("subscribed at", lines.len()).await;
        assert_ne!(journal_of(&line), lost);
        self.quorum.sees(NODE, "the machine is still up", is_up).await;
        self.quorum.serve(killed, &borrowed(&self.settings)).await;
    }

    /// The kernel hands words of others on in the environment.
    async fn comes_back_though_everything_panics(&self) -> Guest {
        let planted = Image::of(&self.quorum, PLANTED);
        let guest = self.boot(&planted, &format!("PACT_PLANTED_PANICS={}", TASKS.join(",")));
        let (_, seen) = guest.says("subscribed at", 0).await;
        if let Some(identity) = self.identity {
            guest.says(&format!("identity {identity}"), seen).await;
        }
        for task in TASKS {
            guest.says(&format!("a panic was planted in {task}"), 0).await;
        }
        // Who asks was told in the end.
        guest.says("service asks ended with code 0", seen).await;
        guest
    }

    async fn is_decommissioned(&self, guest: &Guest) {
        let seen = guest.console().len();
        let output = self.quorum.pact(&["node", "decommission", NODE, "--reason", "a test"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        guest.says("NODE_REVOKED", seen).await;
        guest.says("the agent starts again", seen).await;
        let node = self.quorum.sees(NODE, "the node is revoked", |node| node["state"] == "revoked").await;
        assert_eq!(node["certificate"], Value::Null);
        self.log_is_sound();
    }

    fn log_is_sound(&self) {
        let log = self.quorum.data_dir(0);
        let output = Command::new(binary("pact-replay")).arg("verify").arg(log).output();
        let output = output.expect("pact-replay is a program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The machine has said goodbye, disarmed its watchdog, and ended.
    async fn has_left(&self, mut guest: Guest, last: &str) {
        guest.ends().await;
        let console = guest.console().join("\n");
        for told in ["stopped after a goodbye", last] {
            assert!(console.contains(told), "{told}: {console}");
        }
        assert!(!console.contains("watchdog did not stop"), "{console}");
        self.quorum.sees(NODE, "the machine is gone", |node| node["state"] == "inactive").await;
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn a_diskless_machine_enrolls_is_moved_renews_survives_its_journal_and_a_power_cut_and_is_decommissioned()
 {
    let site = Site::with(vec![]).await;
    let guest = site.comes_up().await;
    site.lives(guest).await;
}

#[tokio::test]
async fn rule_25_a_machine_that_wakes_up_in_2020_asks_for_its_address_and_names_starts_again_on_request_and_lives()
 {
    // given: an image of an hour ago, and a clock of 2020
    let mut site = Site::with(vec![]).await;
    let port = name_server::start(&site.quorum.network);
    let date = Command::new("date").args(["-u", "-d", "1 hour ago", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    site.words = format!(
        "random.trust_cpu=off random.trust_bootloader=off pact.journal={} pact.ip=dhcp pact.dns={HOST}:{port} pact.image_built_at={}",
        site.quorum.agents(HOST_NAME),
        String::from_utf8_lossy(&date.stdout).trim()
    );
    site.flags = &["-rtc", "base=2020-01-01T00:00:00"];

    // when
    let guest = site.comes_up().await;

    // then
    let (line, _) = guest.says("the clock was behind this image", 0).await;
    assert!(line.contains("2020-01-01T00:"), "{line}");
    let (line, _) = guest.says("the interface has its address", 0).await;
    assert!(line.contains("10.0.2.15/24"), "{line}");
    // Its processor's random numbers are not trusted: it has none at first, and says so once.
    // A kernel that has gathered enough by then is not waited for.
    assert!(count(&guest, "waiting for the kernel's entropy") <= 1);

    // and its keys are heard: it starts again
    guest.press_reset_keys();
    site.has_left(guest, "reboot: Restarting system").await;
    let guest = site.comes_up().await;
    site.lives(guest).await;
}

#[tokio::test]
async fn rule_11_spire_appears_late_for_a_diskless_machine_goes_and_comes_back() {
    // given: journals that take its identities, and a machine that finds no Workload API
    let mut spire = Spire::new();
    let mut site = Site::with(vec![
        ("PACT_JOURNAL_WORKLOAD_TRUST_DOMAIN", "site.example".to_owned()),
        ("PACT_JOURNAL_WORKLOAD_BUNDLE", spire.file("bundle.pem").display().to_string()),
    ])
    .await;
    site.identity = Some(SPIFFE_ID);
    let guest = site.comes_up().await;
    let seen = guest.console().len();
    let comes = |spire: &mut Spire| {
        spire.issues(SPIFFE_ID, time::Duration::hours(1));
        spire.comes_at(&format!("tcp://127.0.0.1:{API}"), |python| {
            site.quorum.network.command(python.display().to_string())
        });
    };

    // when: it appears
    comes(&mut spire);

    // then: the machine goes by it
    let (_, seen) = guest.says(&format!("identity {SPIFFE_ID}"), seen).await;
    let bound = |node: &Value| is_up(node) && node["spiffe_id"] == SPIFFE_ID;
    let first = serial(&site.quorum.sees(NODE, "it is bound", bound).await);

    // and by a certificate again before an identity ends that nobody replaces
    spire.issues(SPIFFE_ID, time::Duration::seconds(30));
    let (_, seen) = guest.says(&format!("identity {SPIFFE_ID}"), seen).await;
    spire.goes();
    let (_, seen) = guest.says("identity its certificate", seen).await;
    let renewed = |node: &Value| is_up(node) && serial(node) != first;
    site.quorum.sees(NODE, "the certificate is another", renewed).await;

    // and when it is back, so is the identity, in which the machine lives on
    comes(&mut spire);
    guest.says(&format!("identity {SPIFFE_ID}"), seen).await;
    site.lives(guest).await;
}

#[tokio::test]
async fn a_diskless_machine_that_is_told_to_stop_says_goodbye_and_is_off() {
    let site = Site::with(vec![]).await;
    let guest = site.comes_up().await;
    site.quorum.pact_json(&["node", "assign", NODE, "--vcluster", "off"]);
    site.has_left(guest, "reboot: Power down").await;
    site.log_is_sound();
}
