//! Sessions that a node tells of on its stream hinder a decommission for as long as the stream says so (R5: no fact).

use proto::pb;
use proto::pb::NodeState;
use proto::pb::node_service_client::NodeServiceClient;
use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::{Answer, Operator, answer, reason, refusal};
use crate::journal_process::{ANSWERED, Journal, until};
use crate::request::Machine;

impl Operator {
    pub async fn decommission_by_force(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::DecommissionNodeRequest {
            node_id: node_id.to_owned(),
            force: true,
            ..pb::DecommissionNodeRequest::default()
        };
        let answered = NodeServiceClient::new(self.0.channel()).decommission_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    /// Waits until the journal that is asked knows of so many.
    pub async fn knows_of_sessions(&self, node_id: &str, count: Option<u32>) {
        until("the sessions are known", ANSWERED, async || {
            let node = self.inspect(node_id).await.ok()?;
            (node.sessions == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_node_is_not_decommissioned_while_sessions_run_on_it() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let id = machine.node_id.as_str();
    let agent = booted(&journal, &machine).await;
    let mut stream = agent.subscribe().await.unwrap();
    stream.say_sessions(2).await;
    operator.knows_of_sessions(id, Some(2)).await;
    let before = operator.inspect(id).await.unwrap();

    let refused = refusal(operator.decommission(id).await);
    assert_eq!(refused.reason, Reason::ActiveSessions);
    assert!(refused.message.starts_with("2 sessions run"), "{refused}");
    operator.drain(id).await.unwrap();
    assert_eq!(reason(operator.decommission(id).await), Reason::ActiveSessions, "a drained node, too");
    stream.say_sessions(1).await;
    operator.knows_of_sessions(id, Some(1)).await;
    assert_eq!(reason(operator.decommission(id).await), Reason::ActiveSessions);
    stream.say_sessions(0).await;
    operator.knows_of_sessions(id, None).await;

    let gone = operator.decommission(id).await.unwrap();
    assert_eq!((gone.state(), gone.draining), (NodeState::Revoked, false));
    assert_eq!(
        gone.version,
        before.version + 2,
        "drained and revoked: what was refused and counted is no fact"
    );
    assert_eq!(operator.decommission(id).await.unwrap(), gone);
}

#[tokio::test]
async fn force_decommissions_whatever_runs_and_a_revocation_never_waits() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let mut gone = vec![];
    for _ in 0..2 {
        let machine = Machine::registered(&operator).await;
        let agent = booted(&journal, &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        stream.say_sessions(3).await;
        operator.knows_of_sessions(&machine.node_id, Some(3)).await;
        gone.push((machine, agent, stream));
    }
    let forced = operator.decommission_by_force(&gone[0].0.node_id).await.unwrap();
    assert_eq!(forced.state(), NodeState::Revoked);
    let revoked = operator.revoke(&gone[1].0.node_id).await.unwrap();
    assert_eq!(revoked.state(), NodeState::Revoked);
    for (_, _, stream) in &mut gone {
        tokio::time::timeout(ANSWERED, stream.ended()).await.expect("it is cut");
    }
}

#[tokio::test]
async fn sessions_are_forgotten_with_the_stream_on_which_they_were_told() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    let (left, lost) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let leaving = booted(&journal, &left).await;
    let mut stream = leaving.subscribe().await.unwrap();
    stream.say_sessions(2).await;
    operator.knows_of_sessions(&left.node_id, Some(2)).await;
    drop((stream, leaving));
    operator.knows_of_sessions(&left.node_id, None).await;
    assert_eq!(operator.decommission(&left.node_id).await.unwrap().state(), NodeState::Revoked);

    let staying = booted(&journal, &lost).await;
    let mut stream = staying.subscribe().await.unwrap();
    stream.say_sessions(2).await;
    operator.knows_of_sessions(&lost.node_id, Some(2)).await;
    journal.kill();
    journal.start_again();
    let operator = journal.operator().await;
    assert_eq!(operator.inspect(&lost.node_id).await.unwrap().sessions, None, "it is in memory only");
    assert_eq!(operator.decommission(&lost.node_id).await.unwrap().state(), NodeState::Revoked);
}

#[tokio::test]
async fn a_node_without_a_stream_has_no_sessions() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let (registered, active) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    booted(&journal, &active).await;
    for machine in [registered, active] {
        assert_eq!(operator.decommission(&machine.node_id).await.unwrap().state(), NodeState::Revoked);
    }
}
