//! A machine without a disk, from its first boot to its last, and one whose clock woke up wrong; as an operator sees them.

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
const TASKS: [&str; 4] = ["reaper", "watchdog", "network", "agent"];

const NODE: &str = "compute-042";

/// Where a Workload API listens, in a network namespace that has nothing else there.
const API: u16 = 8081;

/// So short that a machine that was cut off is let in again while a test waits.
const SETTINGS: [(&str, &str); 2] =
    [("PACT_JOURNAL_CERTIFICATE_TTL_SECS", "30"), ("PACT_JOURNAL_GRACE_PERIOD_SECS", "5")];

async fn quorum_with_the_node() -> Quorum {
    let quorum = Quorum::start(&SETTINGS).await;
    quorum.pact_json(&["node", "enroll", NODE, "--mac", MAC, "--bmc-serial", SERIAL, "--uuid", UUID]);
    quorum
}

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

fn verify(quorum: &Quorum) {
    let log = quorum.data_dir(0);
    let output = Command::new(binary("pact-replay")).arg("verify").arg(log).output();
    let output = output.expect("pact-replay is a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_diskless_machine_enrolls_is_moved_renews_survives_its_journal_and_a_power_cut_and_is_decommissioned()
 {
    // given
    let mut quorum = quorum_with_the_node().await;
    let image = Image::of(&quorum, AGENT);
    let words = format!(
        "pact.journal={} pact.ca=/etc/pact/domain-ca.pem pact.ip=10.0.2.15/24,{HOST} pact.hostname=node-42",
        quorum.agents(&HOST.to_string())
    );

    // it enrolls
    let mut guest = Guest::boot(&quorum, &image, &words, &[]);
    let (line, seen) = guest.says("subscribed at", 0).await;
    let node = quorum.sees(NODE, "the machine is up", is_up).await;
    let first = serial(&node);
    assert!(guest.console().iter().any(|line| line.contains("the watchdog is armed")));

    // it is assigned, and moved
    for vcluster in ["ml", "batch"] {
        let overlay = quorum.file(vcluster);
        fs::write(&overlay, format!("# of {vcluster}\n")).unwrap();
        let overlay = overlay.display().to_string();
        quorum.pact_json(&["vcluster", "set", vcluster, "--overlay", &overlay]);
    }
    quorum.pact_json(&["node", "assign", NODE, "--vcluster", "ml"]);
    let (_, seen) = guest.says("configured in ml", seen).await;
    quorum.pact_json(&["node", "move", NODE, "--to-vcluster", "batch"]);
    guest.says("configured in batch", seen).await;

    // it renews
    let renewed = |node: &Value| is_up(node) && serial(node) != first;
    let second = serial(&quorum.sees(NODE, "the certificate is renewed", renewed).await);

    // it loses its journal, and goes to another
    let lines = guest.console();
    let last = lines.iter().rev().find(|line| line.contains("subscribed at")).unwrap_or(&line).clone();
    let lost = journal_of(&last);
    let seen = lines.len();
    let killed = quorum.kill(&lost);
    let (line, _) = guest.says("subscribed at", seen).await;
    assert_ne!(journal_of(&line), lost);
    quorum.sees(NODE, "the machine is still up", is_up).await;
    quorum.serve(killed, &SETTINGS).await;

    // it is cut off from power, boots again, and is let in when the journals have missed it for long enough
    guest.cut();
    let (planted, panics) = (Image::of(&quorum, PLANTED), format!("PACT_PLANTED_PANICS={}", TASKS.join(",")));
    let guest = Guest::boot(&quorum, &planted, &format!("{words} {panics}"), &[]);
    let (_, seen) = guest.says("subscribed at", 0).await;
    // Though everything in it panicked, too: the kernel hands words of others on in the environment.
    for task in TASKS {
        guest.says(&format!("a panic was planted in {task}"), 0).await;
    }
    let again = |node: &Value| is_up(node) && serial(node) != second;
    quorum.sees(NODE, "the machine is up again", again).await;

    // it is decommissioned
    let output = quorum.pact(&["node", "decommission", NODE, "--reason", "a test"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    guest.says("NODE_REVOKED", seen).await;
    guest.says("the agent starts again", seen).await;
    let node = quorum.sees(NODE, "the node is revoked", |node| node["state"] == "revoked").await;
    assert_eq!(node["certificate"], Value::Null);
    verify(&quorum);
}

#[tokio::test]
async fn rule_25_a_machine_that_wakes_up_in_2020_asks_for_its_address_and_names_and_starts_again_on_request()
{
    // given: an image of an hour ago, and a clock of 2020
    let quorum = quorum_with_the_node().await;
    let image = Image::of(&quorum, AGENT);
    let port = name_server::start(&quorum.network);
    let date = Command::new("date").args(["-u", "-d", "1 hour ago", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let words = format!(
        "pact.journal={} pact.ca=/etc/pact/domain-ca.pem pact.ip=dhcp pact.dns={HOST}:{port} pact.image_built_at={}",
        quorum.agents(HOST_NAME),
        String::from_utf8_lossy(&date.stdout).trim()
    );

    // when
    let mut guest = Guest::boot(&quorum, &image, &words, &["-rtc", "base=2020-01-01T00:00:00"]);

    // then
    let (line, _) = guest.says("the clock was behind this image", 0).await;
    assert!(line.contains("2020-01-01T00:"), "{line}");
    let (line, _) = guest.says("the interface has its address", 0).await;
    assert!(line.contains("10.0.2.15/24"), "{line}");
    guest.says("subscribed at", 0).await;
    quorum.sees(NODE, "the machine is up", is_up).await;

    // and its keys are heard: it says goodbye, disarms its watchdog, and starts again
    guest.press_reset_keys();
    guest.ends().await;
    let console = guest.console().join("\n");
    assert!(console.contains("stopped after a goodbye"), "{console}");
    assert!(!console.contains("watchdog did not stop"), "{console}");
    quorum.sees(NODE, "the machine is gone", |node| node["state"] == "inactive").await;
    verify(&quorum);
}

#[tokio::test]
async fn rule_11_spire_appears_late_for_a_diskless_machine_and_goes() {
    // given: journals that take its identities, and a machine that finds no Workload API
    let mut spire = Spire::new();
    let bundle = spire.file("bundle.pem").display().to_string();
    let quorum = Quorum::start(&[
        ("PACT_JOURNAL_WORKLOAD_TRUST_DOMAIN", "site.example"),
        ("PACT_JOURNAL_WORKLOAD_BUNDLE", &bundle),
    ])
    .await;
    quorum.pact_json(&["node", "enroll", NODE, "--mac", MAC, "--bmc-serial", SERIAL, "--uuid", UUID]);
    let image = Image::of(&quorum, AGENT);
    let words = format!(
        "pact.journal={} pact.ca=/etc/pact/domain-ca.pem pact.ip=10.0.2.15/24,{HOST} pact.workload_api=tcp://{HOST}:{API}",
        quorum.agents(&HOST.to_string())
    );
    let guest = Guest::boot(&quorum, &image, &words, &[]);
    let (_, seen) = guest.says("subscribed at", 0).await;
    quorum.sees(NODE, "the machine is up", is_up).await;

    // when: it appears
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes_at(&format!("tcp://127.0.0.1:{API}"), |python| {
        quorum.network.command(python.display().to_string())
    });

    // then: the machine goes by it
    let (_, seen) = guest.says(&format!("identity {SPIFFE_ID}"), seen).await;
    let node = quorum.sees(NODE, "it is bound", |node| node["spiffe_id"] == SPIFFE_ID).await;
    let first = serial(&node);

    // and by a certificate again before an identity ends that nobody replaces
    spire.issues(SPIFFE_ID, time::Duration::seconds(40));
    let (_, seen) = guest.says(&format!("identity {SPIFFE_ID}"), seen).await;
    spire.goes();
    guest.says("identity its certificate", seen).await;
    let renewed = |node: &Value| is_up(node) && serial(node) != first;
    quorum.sees(NODE, "the certificate is another", renewed).await;
    verify(&quorum);
}
