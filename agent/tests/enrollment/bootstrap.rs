//! The identity that an image holds to enroll with (R11): it opens nothing that no certificate opens, keeps no node out, and is gone
//! once the node has a certificate of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proto::pb::{DeactivateNodeRequest, NodeState, node_service_client::NodeServiceClient};
use rustix::process::Signal;
use tokio::process::Command;

use super::{
    agent_process::{RunningAgent, assert_refused, ended, run_at},
    journal_under_test::JournalUnderTest,
};

/// What an agent logs each time that a journal refuses it.
const REFUSED: &str = "the image's bootstrap identity opens nothing: enrolling without it";

/// A certificate and its key that no journal knows.
fn unknown(journal: &JournalUnderTest) -> PathBuf {
    let (path, key) = (journal.file("bootstrap.pem"), rcgen::KeyPair::generate().expect("there is chance"));
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("it is its own");
    fs::write(&path, certificate.pem() + &key.serialize_pem()).expect("the directory is ours");
    path
}

fn run_with(journal: &JournalUnderTest, bootstrap: &Path) -> Command {
    let mut command = run_at(journal, &journal.hardware(1));
    command.arg("--bootstrap-identity").arg(bootstrap);
    command
}

#[tokio::test]
async fn rule_11_a_bootstrap_identity_that_no_journal_knows_keeps_no_node_out_and_is_discarded() {
    // given
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;

    // when
    let mut agent = RunningAgent::start(&mut run_with(&journal, &unknown(&journal)));

    // then: the node goes by a certificate of its own
    let first = agent.tells("enrolled").await;
    agent.tells("configured").await;
    let node =
        journal.sees_that("compute-042", |node| node.state() == NodeState::Active && node.confirmed).await;
    assert_eq!(node.certificate.map(|certificate| certificate.serial).as_deref(), first["serial"].as_str());

    // and when it enrolls again, it shows nothing of the image any more
    let request = DeactivateNodeRequest { node_id: "compute-042".to_owned() };
    let mut nodes = NodeServiceClient::new(journal.operator().await.channel());
    nodes.deactivate_node(request).await.unwrap();
    let second = agent.tells("enrolled").await;
    assert_ne!(second["serial"], first["serial"]);
    agent.tells("configured").await;
    agent.signal(Signal::TERM);
    let output = agent.end().await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.matches(REFUSED).count(), 1, "{stderr}");
}

#[tokio::test]
async fn rule_11_a_bootstrap_identity_opens_nothing_by_itself() {
    // given: a machine that nobody registered, with an identity of nobody, and with one that opens a lot elsewhere
    let journal = JournalUnderTest::start().await;
    let operator = journal.file("j1/bootstrap/operator.pem");
    for bootstrap in [unknown(&journal), operator] {
        // when
        let mut agent = RunningAgent::start(&mut run_with(&journal, &bootstrap));

        // then: it is told what it is told without one, and waits
        agent.warns("NODE_NOT_ENROLLED").await;
        agent.signal(Signal::TERM);
        assert_eq!(agent.end().await.status.code(), Some(0));
        let once = ended(run_with(&journal, &bootstrap).arg("--once")).await;
        assert_refused(&once, 1, "NODE_NOT_ENROLLED");
    }
}

#[tokio::test]
async fn rule_11_an_image_that_holds_an_identity_which_is_no_node_s_keeps_no_node_out() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let operator = journal.file("j1/bootstrap/operator.pem");
    let mut agent = RunningAgent::start(&mut run_with(&journal, &operator));
    agent.tells("configured").await;
    journal.sees("compute-042", NodeState::Active).await;
}
