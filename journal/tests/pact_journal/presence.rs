//! Which nodes are believed here (R19), with a grace period of some seconds. That it lasts exactly as long as it is set is
//! shown on virtual time (`events::node::due`).

use std::time::Duration;

use proto::pb;
use proto::pb::node_service_client::NodeServiceClient;
use proto::pb::status_service_client::StatusServiceClient;
use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::{Operator, reason};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, until};
use crate::request::Machine;

const GRACE_SECS: u64 = 2;

fn journal() -> Journal {
    let dir = DataDirectory::init("test");
    dir.configure("grace_period_secs", GRACE_SECS);
    Journal::serve(dir)
}

async fn becomes(operator: &Operator, machine: &Machine, state: pb::NodeState) -> pb::Node {
    until(state.as_str_name(), ANSWERED, async || {
        let node = operator.inspect(&machine.node_id).await.unwrap();
        Some(node).filter(|node| node.state() == state)
    })
    .await
}

#[tokio::test]
async fn rule_19_a_node_that_goes_away_without_a_word_is_inactive_after_the_grace_period() {
    let journal = journal();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let agent = booted(&journal, &machine).await;
    let subscription = agent.subscribe().await.unwrap();
    let seen = operator.inspect(&machine.node_id).await.unwrap();
    assert!(seen.last_seen.is_some(), "its stream is open");
    drop((subscription, agent));

    let node = becomes(&operator, &machine, pb::NodeState::Inactive).await;

    let (left, now) = (node.last_seen.expect("it was seen"), std::time::SystemTime::now());
    let left = Duration::from_secs(left.seconds.try_into().unwrap());
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap() - left;
    assert!(since >= Duration::from_secs(GRACE_SECS - 1), "{since:?}: not before its time");
    let again = machine.with_new_key();
    booted(&journal, &again).await.subscribe().await.unwrap();
    becomes(&operator, &machine, pb::NodeState::Active).await;
}

#[tokio::test]
async fn a_deactivated_node_is_cut_and_enrolls_again_with_any_key() {
    let journal = journal();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    assert_eq!(reason(operator.deactivate("nobody").await), Reason::NodeNotFound);
    assert_eq!(operator.deactivate(&machine.node_id).await.unwrap().state(), pb::NodeState::Registered);
    let agent = booted(&journal, &machine).await;
    let mut subscription = agent.subscribe().await.unwrap();

    // when
    let node = operator.deactivate(&machine.node_id).await.unwrap();

    // then
    assert_eq!((node.state(), node.certificate), (pb::NodeState::Inactive, None));
    subscription.ended().await;
    booted(&journal, &machine.with_new_key()).await.subscribe().await.unwrap();
    becomes(&operator, &machine, pb::NodeState::Active).await;
}

#[tokio::test]
async fn rule_19_a_node_that_never_connects_is_inactive_after_the_grace_period() {
    let journal = journal();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let anonymous = journal.agent(None).await.unwrap();
    anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    let node = becomes(&operator, &machine, pb::NodeState::Inactive).await;
    assert!(!node.confirmed && node.last_seen.is_none());
}

#[tokio::test]
async fn rule_19_a_node_whose_stream_is_open_outlasts_the_grace_period_and_a_late_call_brings_one_back() {
    let journal = journal();
    let operator = journal.operator().await;
    let (staying, leaving) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let stays = booted(&journal, &staying).await;
    let _open = stays.subscribe().await.unwrap();
    let leaves = booted(&journal, &leaving).await;
    drop(leaves.subscribe().await.unwrap());

    becomes(&operator, &leaving, pb::NodeState::Inactive).await;

    let node = operator.inspect(&staying.node_id).await.unwrap();
    assert_eq!(node.state(), pb::NodeState::Active, "it came before the other");
    leaves.boot_config(0).await.unwrap();
    becomes(&operator, &leaving, pb::NodeState::Active).await;
}

#[tokio::test]
async fn rule_19_after_a_start_everybody_active_gets_a_full_grace_period() {
    let mut journal = journal();
    let machine = {
        let operator = journal.operator().await;
        let machine = Machine::registered(&operator).await;
        let agent = booted(&journal, &machine).await;
        let _open = agent.subscribe().await.unwrap();
        machine
    };
    journal.kill();
    std::thread::sleep(Duration::from_secs(GRACE_SECS));
    journal.start_again();
    let operator = journal.operator().await;
    let node = operator.inspect(&machine.node_id).await.unwrap();
    assert_eq!(node.state(), pb::NodeState::Active, "its grace began with the process");
    becomes(&operator, &machine, pb::NodeState::Inactive).await;
}

#[tokio::test]
async fn a_node_that_does_not_use_its_certificate_in_time_is_told_as_stuck() {
    let dir = DataDirectory::init("test");
    dir.configure("unconfirmed_alert_secs", 1);
    let journal = Journal::serve(dir);
    let operator = journal.operator().await;
    let (stuck, sound) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let anonymous = journal.agent(None).await.unwrap();
    anonymous.enroll(&stuck.hardware, &stuck.csr()).await.unwrap();
    let _open = booted(&journal, &sound).await.subscribe().await.unwrap();

    let warning = until("it is told", ANSWERED, async || {
        let mut status = StatusServiceClient::new(operator.0.channel());
        let told = status.status(pb::StatusRequest::default()).await.unwrap().into_inner();
        told.warnings.into_iter().find(|warning| warning.contains("--stuck"))
    });
    let told = "1 nodes have not used their certificate for more than 1 s: pact node list --stuck";
    assert_eq!(warning.await, told);
    let request = pb::ListNodesRequest { stuck: true, ..Default::default() };
    let nodes =
        NodeServiceClient::new(operator.0.channel()).list_nodes(request).await.unwrap().into_inner().nodes;
    assert_eq!(nodes.iter().map(|node| &node.node_id).collect::<Vec<_>>(), [&stuck.node_id]);
}

#[tokio::test]
async fn rule_19_a_goodbye_is_believed_at_once() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let agent = booted(&journal, &machine).await;
    agent.subscribe().await.unwrap().goodbye().await;
    let node = operator.inspect(&machine.node_id).await.unwrap();
    assert_eq!((node.state(), node.confirmed), (pb::NodeState::Inactive, true));
}
