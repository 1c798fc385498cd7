//! What a node is configured by, from the operator's overlay to what the real agent tells of it.

use std::time::Duration;

use agent::{
    boot_config::{BootConfig, OVERLAY_BYTES},
    journals::Journals,
    machine::Machine,
    retry::Patience,
    run::Agent,
    subscription::Subscription,
};
use events::vocabulary::{Digest, HardwareIdentity};
use proto::{
    pb::{
        SetDomainDefaultRequest, SetOverlayRequest, VCluster, journal_message::Message,
        v_cluster_service_client::VClusterServiceClient,
    },
    pem_file::Trust,
};
use tokio::time::{self, Instant};

use super::{
    agent_process::{RunningAgent, ended, run_at},
    journal_under_test::{JournalUnderTest, PATIENCE, mac},
};

/// How soon a change is seen on a running node.
const WITHIN: Duration = Duration::from_secs(1);

pub async fn set(journal: &JournalUnderTest, vcluster: &str, overlay: &[u8]) -> VCluster {
    let request = SetOverlayRequest { vcluster_id: vcluster.to_owned(), overlay: overlay.to_vec() };
    let mut vclusters = VClusterServiceClient::new(journal.operator().await.channel());
    let answer = vclusters.set_overlay(request).await.expect("an overlay can be set");
    answer.into_inner().vcluster.expect("an answer has a vcluster")
}

async fn set_default(journal: &JournalUnderTest, overlay: &[u8]) -> VCluster {
    let request = SetDomainDefaultRequest { overlay: overlay.to_vec() };
    let mut vclusters = VClusterServiceClient::new(journal.operator().await.channel());
    let answer = vclusters.set_domain_default(request).await.expect("a default can be set");
    answer.into_inner().domain_default.expect("an answer has the default")
}

fn sha256(overlay: &[u8]) -> String {
    Digest::of(overlay).to_string()
}

/// The same agent inside this process.
fn agent_in_process(journal: &JournalUnderTest, number: u8) -> Agent {
    let trust = Trust::read(&journal.ca()).expect("init wrote it");
    let journals = Journals::new(trust, vec![journal.agents.parse().expect("the journal told it")]);
    let hardware = HardwareIdentity {
        macs: [mac(number).parse().expect("it is one")].into(),
        bmc_serial: Some(format!("SN{number}").parse().expect("it is one")),
        uuid: None,
    };
    Agent::new(journals.expect("there is one"), Machine::just_booted(hardware))
}

/// The next revision that a subscription tells.
async fn told_revision(subscription: &mut Subscription) -> u64 {
    let changed = async {
        loop {
            if let Message::Changed(changed) = subscription.next().await.expect("the stream is open") {
                return changed.revision;
            }
        }
    };
    time::timeout(PATIENCE, changed).await.expect("the journal tells it")
}

#[tokio::test]
async fn once_tells_the_vcluster_and_the_hash_of_its_overlay() {
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", b"the overlay of ml").await;
    journal.register_in("ml", "compute-042", 1).await;

    let output = ended(run_at(&journal, &journal.hardware(1)).arg("--once")).await;

    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["vcluster"], told["overlay_sha256"].as_str()),
        (&"ml".into(), Some(sha256(b"the overlay of ml").as_str()))
    );
}

#[tokio::test]
async fn a_changed_overlay_is_on_the_node_within_a_second() {
    // given
    let journal = JournalUnderTest::start().await;
    let first = set(&journal, "ml", b"first").await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    let told = agent.tells("configured").await;
    assert_eq!((&told["revision"], &told["vcluster"]), (&first.revision.into(), &"ml".into()));

    // when
    let second = set(&journal, "ml", b"second").await;
    let began = Instant::now();
    let told = agent.tells("configured").await;

    // then
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    assert_eq!(told["revision"], second.revision);
    assert_eq!(told["overlay_sha256"], sha256(b"second"));
}

#[tokio::test]
async fn in_maintenance_mode_a_node_follows_the_default_of_the_domain() {
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", b"not for this node").await;
    journal.register("compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    let told = agent.tells("configured").await;
    assert!(told["vcluster"].is_null() && told["overlay_sha256"].is_null(), "{told}");
    assert_eq!(told["revision"], 0);

    let default = set_default(&journal, b"the default").await;

    let told = agent.tells("configured").await;
    assert!(told["vcluster"].is_null(), "{told}");
    assert_eq!(told["revision"], default.revision);
    assert_eq!(told["overlay_sha256"], sha256(b"the default"));
}

#[tokio::test]
async fn the_largest_overlay_arrives_whole() {
    let journal = JournalUnderTest::start().await;
    let overlay: Vec<u8> = (0..OVERLAY_BYTES).map(|at| (at % 251).to_le_bytes()[0]).collect();
    set(&journal, "ml", &overlay).await;
    journal.register_in("ml", "compute-042", 1).await;

    let agent = agent_in_process(&journal, 1);
    let (_, subscription, BootConfig { overlay: arrived, .. }) =
        agent.boot(Patience::of(PATIENCE)).await.expect("the node is registered");

    assert!(arrived.expect("there is one").bytes == overlay);
    subscription.goodbye(PATIENCE).await.expect("the journal takes it");
}

#[tokio::test]
async fn a_subscription_is_told_what_changed_since_the_configuration_that_the_node_has() {
    // given: a node that was away while its overlay changed
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", b"first").await;
    journal.register_in("ml", "compute-042", 1).await;
    let agent = agent_in_process(&journal, 1);
    let (enrolled, first, held) = agent.boot(Patience::of(PATIENCE)).await.expect("the node is registered");
    drop(first);
    let second = set(&journal, "ml", b"second").await;

    // when
    let again = async |held: &BootConfig| {
        let patience = Patience::of(PATIENCE);
        let (journals, machine) = (&agent.journals, &agent.machine().expect("it is known"));
        Subscription::open(journals, &enrolled.journal, &enrolled.identity, machine, Some(held), patience)
            .await
            .expect("the certificate is valid")
            .0
    };
    let mut subscription = again(&held).await;

    // then: it is told at once; and one that has it is told the next change only
    assert_eq!(told_revision(&mut subscription).await, second.revision);
    let config = agent::boot_config::fetch(subscription.connection(), Some(&held), Patience::of(PATIENCE));
    let config = config.await.expect("the journal serves");
    assert_eq!(config.revision, second.revision);
    let mut subscription = again(&config).await;
    let third = set(&journal, "ml", b"third").await;
    assert_eq!(told_revision(&mut subscription).await, third.revision);
}
