//! What a member answers rests on what the quorum has recorded, not on how far that member is (R22).

use std::time::{Duration, Instant};

use proto::pb;
use proto::pb::node_service_client::NodeServiceClient;
use proto::pb::status_service_client::StatusServiceClient;
use proto::reason::Reason;
use rustix::process::Signal;

use crate::calls::{Answer, Operator, answer, reason};
use crate::request::Machine;

use super::Trio;

const ROUNDS: usize = 30;
/// An answer for which nothing has to be waited for.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Operator {
    async fn inspect_at(&self, node_id: &str, min_seq: u64) -> Answer<pb::InspectNodeResponse> {
        let request = pb::InspectNodeRequest { node_id: node_id.to_owned(), min_seq: Some(min_seq) };
        answer(&self.0, NodeServiceClient::new(self.0.channel()).inspect_node(request).await)
    }

    async fn status_at(&self, min_seq: u64, within: Duration) -> Answer<pb::StatusResponse> {
        let mut request = tonic::Request::new(pb::StatusRequest { min_seq: Some(min_seq) });
        request.set_timeout(within);
        answer(&self.0, StatusServiceClient::new(self.0.channel()).status(request).await)
    }

    async fn registered_at(&self, machine: &Machine) -> u64 {
        let request = pb::RegisterNodeRequest {
            node_id: machine.node_id.clone(),
            hardware_identity: Some(machine.hardware.clone()),
            ..Default::default()
        };
        let answered = NodeServiceClient::new(self.0.channel()).register_node(request).await;
        answer(&self.0, answered).expect("it is new").seq
    }
}

#[tokio::test]
async fn rule_22_a_read_at_any_member_shows_at_least_the_fact_that_it_asks_for() {
    let trio = Trio::start().await;
    let operators = [trio.operator(0).await, trio.operator(1).await, trio.operator(2).await];
    for round in 0..ROUNDS {
        let (at, by) = (round % 3, (round + 1 + round / 3 % 2) % 3);
        let machine = Machine::new();
        let seq = operators[at].registered_at(&machine).await;
        let seen = operators[by].inspect_at(&machine.node_id, seq).await.unwrap();
        assert!(seen.seq >= seq);
        assert!(operators[by].status_at(seq, AT_ONCE).await.unwrap().last_seq >= seq);
    }
}

#[tokio::test]
async fn rule_22_a_fact_that_no_quorum_has_is_refused_at_once() {
    let trio = Trio::start().await;
    for nth in 0..3 {
        let operator = trio.operator(nth).await;
        let last = operator.list().await.unwrap().seq;
        let asked = Instant::now();
        assert_eq!(reason(operator.status_at(last + 1_000, AT_ONCE * 10).await), Reason::FieldInvalid);
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn rule_22_without_a_quorum_a_read_waits_no_longer_than_its_caller() {
    let trio = Trio::start().await;
    let operator = trio.operator(2).await;
    let last = operator.list().await.unwrap().seq;
    for nth in [0, 1] {
        trio.journal(nth).signal(Signal::STOP);
    }
    let asked = Instant::now();
    let refused = reason(operator.status_at(last + 1, Duration::from_secs(1)).await);
    assert_eq!(refused, Reason::StaleJournal);
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    for nth in [0, 1] {
        trio.journal(nth).signal(Signal::CONT);
    }
}

#[tokio::test]
async fn rule_22_an_operator_at_any_member_finds_and_orders_what_was_registered_elsewhere_a_moment_ago() {
    let trio = Trio::start().await;
    let operators = [trio.operator(0).await, trio.operator(1).await, trio.operator(2).await];
    for round in 0..ROUNDS {
        let (at, by) = (round % 3, (round + 1 + round / 3 % 2) % 3);
        let machine = Machine::registered(&operators[at]).await;
        operators[by]
            .inspect(&machine.node_id)
            .await
            .unwrap_or_else(|failure| panic!("{round}: {failure:?}"));
        let other = Machine::registered(&operators[at]).await;
        let revoked = operators[by].revoke(&other.node_id).await;
        let revoked = revoked.unwrap_or_else(|failure| panic!("{round}: {failure:?}"));
        assert_eq!(revoked.state(), pb::NodeState::Revoked);
        // And what was revoked there begins anew here, and is revoked there once more.
        operators[at].register(&other.node_id, &other.hardware).await.unwrap();
        let again = operators[by].revoke(&other.node_id).await.unwrap();
        assert_eq!((again.state(), again.epoch), (pb::NodeState::Revoked, 2), "{round}");
    }
    for operator in &operators {
        assert_eq!(reason(operator.inspect("nobody").await), Reason::NodeNotFound);
        assert_eq!(reason(operator.revoke("nobody").await), Reason::NodeNotFound);
    }
}
