//! A node that comes into a vCluster, leaves it or moves hears of it within a second on the stream that it has, and its
//! certificate serves the vCluster that it is in and no other.

use std::time::Duration;

use proto::pb;
use proto::pb::journal_message::{Changed, Message};
use proto::pb::node_service_client::NodeServiceClient;
use proto::reason::Reason;
use tokio::time::timeout;

use super::booted;
use crate::calls::{Agent, Answer, Operator, Subscription, answer, reason};
use crate::journal_process::{ANSWERED, Journal, until};
use crate::request::Machine;

/// The promise.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Operator {
    pub async fn assign(&self, node_id: &str, vcluster: &str) -> Answer<pb::Node> {
        let request = pb::AssignNodeRequest { node_id: node_id.to_owned(), vcluster_id: vcluster.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).assign_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn unassign(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::UnassignNodeRequest { node_id: node_id.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).unassign_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn move_to(&self, node_id: &str, vcluster: &str) -> Answer<pb::Node> {
        let request =
            pb::MoveNodeRequest { node_id: node_id.to_owned(), to_vcluster_id: vcluster.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).move_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn drain(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::DrainNodeRequest { node_id: node_id.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).drain_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn undrain(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::UndrainNodeRequest { node_id: node_id.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).undrain_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }
}

/// What a subscriber is told within a second.
pub async fn told(subscription: &mut Subscription) -> Changed {
    match timeout(AT_ONCE, subscription.next()).await.expect("within a second") {
        Some(Message::Changed(changed)) => changed,
        other => panic!("{other:?}"),
    }
}

/// The overlay that a node is configured by, and the vCluster that it comes from.
async fn configured(agent: &Agent) -> (String, Option<Vec<u8>>) {
    let fetched = agent.boot_config(0).await.unwrap();
    (fetched.complete.vcluster_id, fetched.overlay)
}

fn of(vcluster: &str, overlay: &[u8]) -> (String, Option<Vec<u8>>) {
    (vcluster.to_owned(), Some(overlay.to_vec()))
}

#[tokio::test]
async fn a_node_that_comes_into_a_vcluster_moves_and_leaves_hears_of_each_on_the_stream_that_it_has() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    for (vcluster, overlay) in [("prod", b"p"), ("test", b"t")] {
        operator.set_overlay(vcluster, overlay).await.unwrap();
    }
    operator.set_default(b"d").await.unwrap();
    let (machine, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let (agent, untouched) = (booted(&journal, &machine).await, booted(&journal, &other).await);
    let seq = agent.boot_config(0).await.unwrap().complete.seq;
    let mut stream = agent.subscribe_from(seq).await.unwrap();
    let mut others = untouched.subscribe_from(seq).await.unwrap();
    // Registered, certified, and confirmed by its first call, which is recorded behind the answer.
    let confirmed = async || operator.inspect(&machine.node_id).await.ok().filter(|node| node.version == 3);
    let before = until("it is confirmed", ANSWERED, confirmed).await;

    let node = operator.assign(&machine.node_id, "prod").await.unwrap();
    let first = told(&mut stream).await;
    assert_eq!((node.vcluster_id.as_deref(), first.vcluster_id.as_str()), (Some("prod"), "prod"));
    assert_eq!(configured(&agent).await, of("prod", b"p"));

    let node = operator.move_to(&machine.node_id, "test").await.unwrap();
    let second = told(&mut stream).await;
    assert_eq!((node.vcluster_id.as_deref(), second.vcluster_id.as_str()), (Some("test"), "test"));
    assert_eq!(configured(&agent).await, of("test", b"t"));

    let node = operator.unassign(&machine.node_id).await.unwrap();
    let third = told(&mut stream).await;
    assert_eq!((node.vcluster_id.as_deref(), third.vcluster_id.as_str()), (None, ""));
    assert_eq!(configured(&agent).await, of("", b"d"));
    assert!(first.seq < second.seq && second.seq < third.seq);

    // What it left concerns it no more; the connection is the same one, and so is the certificate.
    operator.set_overlay("test", b"t2").await.unwrap();
    let default = operator.set_default(b"d2").await.unwrap();
    assert_eq!(told(&mut stream).await.revision, default.seq, "not the one of test");
    assert_eq!(told(&mut others).await.revision, default.seq, "the first that the other node is told");
    assert_eq!(node.certificate, before.certificate);
    assert_eq!(node.version, before.version + 3, "one fact a change");
}

#[tokio::test]
async fn the_same_order_again_answers_the_same_and_records_nothing() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    for vcluster in ["prod", "test"] {
        operator.set_overlay(vcluster, b"x").await.unwrap();
    }
    let machine = Machine::registered(&operator).await;
    let id = machine.node_id.as_str();
    let answers = [
        (operator.assign(id, "prod").await, operator.assign(id, "prod").await),
        (operator.drain(id).await, operator.drain(id).await),
        (operator.move_to(id, "test").await, operator.move_to(id, "test").await),
        (operator.unassign(id).await, operator.unassign(id).await),
        (operator.undrain(id).await, operator.undrain(id).await),
    ];
    let drains: Vec<bool> = answers.iter().map(|(first, _)| first.as_ref().unwrap().draining).collect();
    assert_eq!(drains, [false, true, true, true, false]);
    for (nth, (first, again)) in answers.into_iter().enumerate() {
        let first = first.unwrap();
        assert_eq!(first.version, u64::try_from(nth).unwrap() + 2, "one fact each");
        assert_eq!(again.unwrap(), first);
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    operator.set_overlay("prod", b"x").await.unwrap();
    operator.set_overlay("test", b"x").await.unwrap();
    let machine = Machine::registered(&operator).await;
    let id = machine.node_id.as_str();
    assert_eq!(reason(operator.assign(id, "nowhere").await), Reason::VclusterNotFound);
    assert_eq!(reason(operator.assign(id, "No Name").await), Reason::FieldInvalid);
    assert_eq!(reason(operator.assign(id, "").await), Reason::FieldInvalid);
    assert_eq!(reason(operator.move_to(id, "prod").await), Reason::NodeUnassigned);
    operator.assign(id, "prod").await.unwrap();
    assert_eq!(reason(operator.assign(id, "test").await), Reason::NodeAssigned);
    assert_eq!(reason(operator.move_to(id, "nowhere").await), Reason::VclusterNotFound);
    operator.revoke(id).await.unwrap();
    for id in [id, "nobody"] {
        let expected = if id == "nobody" { Reason::NodeNotFound } else { Reason::NodeRevoked };
        assert_eq!(reason(operator.assign(id, "test").await), expected);
        assert_eq!(reason(operator.unassign(id).await), expected);
        assert_eq!(reason(operator.move_to(id, "test").await), expected);
        assert_eq!(reason(operator.drain(id).await), expected);
        assert_eq!(reason(operator.undrain(id).await), expected);
    }
}

#[tokio::test]
async fn where_a_node_is_outlives_the_process() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    for vcluster in ["prod", "test"] {
        operator.set_overlay(vcluster, vcluster.as_bytes()).await.unwrap();
    }
    let machine = Machine::registered(&operator).await;
    operator.assign(&machine.node_id, "prod").await.unwrap();
    operator.move_to(&machine.node_id, "test").await.unwrap();
    let drained = operator.drain(&machine.node_id).await.unwrap();
    journal.kill();
    journal.start_again();
    let shown = journal.operator().await.inspect(&machine.node_id).await.unwrap();
    assert_eq!(shown, drained);
    let agent = booted(&journal, &machine).await;
    assert_eq!(configured(&agent).await, of("test", b"test"));
}
