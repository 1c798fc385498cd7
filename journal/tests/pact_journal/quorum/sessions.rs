//! Whichever member decides knows of sessions on streams at any of them; a leader that does not know yet lets nobody believe
//! that there are none.

use proto::pb::NodeState;
use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::reason;
use crate::request::Machine;

use super::Trio;

#[tokio::test]
async fn whichever_member_decides_knows_of_sessions_at_any_other() {
    let trio = Trio::start().await;
    trio.leader(&[0, 1, 2]).await;
    for (at, by) in (0..3).flat_map(|at| (0..3).map(move |by| (at, by))) {
        let operator = trio.operator(by).await;
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(at), &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        stream.say_sessions(1).await;
        operator.knows_of_sessions(&machine.node_id, Some(1)).await;
        assert_eq!(
            reason(operator.decommission(&machine.node_id).await),
            Reason::ActiveSessions,
            "at {at} by {by}"
        );
        stream.say_sessions(0).await;
        operator.knows_of_sessions(&machine.node_id, None).await;
        let gone = operator.decommission(&machine.node_id).await.unwrap();
        assert_eq!(gone.state(), NodeState::Revoked, "at {at} by {by}");
    }
}

#[tokio::test]
async fn a_leader_that_was_elected_just_now_does_not_take_what_it_has_not_heard_for_none() {
    let mut trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let operator = trio.operator(leader).await;
    let mut here = vec![];
    for at in others {
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(at), &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        stream.say_sessions(1).await;
        operator.knows_of_sessions(&machine.node_id, Some(1)).await;
        here.push((machine, agent, stream));
    }
    drop(operator);

    trio.journals[leader].kill();
    let next = trio.leader_but(&others, leader).await;

    // At once, at the new leader and at the one that follows it: each waits until it knows.
    for by in [next, others[usize::from(others[0] == next)]] {
        let operator = trio.operator(by).await;
        for (machine, ..) in &here {
            assert_eq!(reason(operator.decommission(&machine.node_id).await), Reason::ActiveSessions);
        }
    }
}
