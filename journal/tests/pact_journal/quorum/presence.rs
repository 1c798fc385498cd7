//! Who is believed here when nodes are connected to any member, and only the leader judges (R19).

use std::time::{Duration, Instant};

use proto::pb;
use rustix::process::Signal;

use crate::boot_configuration::booted;
use crate::calls::{Agent, Operator, Subscription};
use crate::journal_process::{ANSWERED, LOOK, until};
use crate::request::Machine;

use super::Trio;

const GRACE: Duration = Duration::from_secs(2);
/// Whoever is missed is deactivated within this: the grace period, and the time of a report and of a look.
const JUDGED: Duration = Duration::from_secs(5);

async fn trio() -> Trio {
    Trio::start_with(vec![("PACT_JOURNAL_GRACE_PERIOD_SECS", "2")]).await
}

/// A node whose stream stands at a member.
struct Here {
    machine: Machine,
    _agent: Agent,
    _stream: Subscription,
}

async fn here(trio: &Trio, at: usize) -> Here {
    let operator = trio.operator(at).await;
    let machine = Machine::registered(&operator).await;
    let agent = booted(trio.journal(at), &machine).await;
    let stream = agent.subscribe().await.unwrap();
    // The last fact that comes to it by itself.
    until("it is confirmed", ANSWERED, async || {
        operator.inspect(&machine.node_id).await.ok()?.confirmed.then_some(())
    })
    .await;
    Here { machine, _agent: agent, _stream: stream }
}

async fn is_active(operator: &Operator, machine: &Machine) -> pb::Node {
    let node = operator.inspect(&machine.node_id).await.unwrap();
    assert_eq!(node.state(), pb::NodeState::Active, "{}", node.node_id);
    node
}

async fn becomes_inactive(operator: &Operator, machine: &Machine) {
    until("it is inactive", ANSWERED, async || {
        let node = operator.inspect(&machine.node_id).await.ok()?;
        (node.state() == pb::NodeState::Inactive).then_some(())
    })
    .await
}

/// They stay active for so long, with not one fact more.
async fn stay_active(operator: &Operator, machines: &[&Machine], span: Duration) {
    let (until, mut versions) = (Instant::now() + span, Vec::new());
    for machine in machines {
        versions.push(is_active(operator, machine).await.version);
    }
    while Instant::now() < until {
        for (machine, version) in machines.iter().zip(&versions) {
            assert_eq!(is_active(operator, machine).await.version, *version, "no fact came to it");
        }
        tokio::time::sleep(LOOK * 10).await;
    }
}

#[tokio::test]
async fn rule_19_a_node_at_a_follower_is_active_while_its_stream_stands_and_no_longer() {
    let trio = trio().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let operator = trio.operator(leader).await;
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let (one, two) = (here(&trio, followers[0]).await, here(&trio, followers[1]).await);
    let at_the_leader = here(&trio, leader).await;

    stay_active(&operator, &[&one.machine, &two.machine, &at_the_leader.machine], GRACE + JUDGED).await;
    let Here { machine, _agent, _stream } = one;
    drop((_stream, _agent));
    let left = Instant::now();
    becomes_inactive(&operator, &machine).await;

    assert!(left.elapsed() >= GRACE - Duration::from_millis(50), "{:?}", left.elapsed());
    is_active(&operator, &two.machine).await;
    is_active(&operator, &at_the_leader.machine).await;
}

#[tokio::test]
async fn rule_19_after_the_leader_is_killed_nobody_is_deactivated_whose_stream_stands() {
    let mut trio = trio().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let (one, two) = (here(&trio, others[0]).await, here(&trio, others[1]).await);
    let lost = here(&trio, leader).await;

    trio.journals[leader].kill();

    let next = trio.leader_but(&others, leader).await;
    let operator = trio.operator(next).await;
    stay_active(&operator, &[&one.machine, &two.machine], GRACE + JUDGED).await;
    becomes_inactive(&operator, &lost.machine).await;
    is_active(&operator, &one.machine).await;
    is_active(&operator, &two.machine).await;
}

#[tokio::test]
async fn rule_19_a_leader_that_stood_still_deactivates_nobody_whose_stream_stands() {
    let trio = trio().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let (one, two) = (here(&trio, others[0]).await, here(&trio, others[1]).await);
    // The leader hears of them before it stands still.
    let operator = trio.operator(leader).await;
    for machine in [&one.machine, &two.machine] {
        until("it is seen", ANSWERED, async || operator.inspect(&machine.node_id).await.ok()?.last_seen)
            .await;
    }

    trio.journal(leader).signal(Signal::STOP);

    let next = trio.leader_but(&others, leader).await;
    let operator = trio.operator(next).await;
    let versions =
        [is_active(&operator, &one.machine).await.version, is_active(&operator, &two.machine).await.version];
    // Longer than a journal may be silent and a node be away.
    stay_active(&operator, &[&one.machine, &two.machine], GRACE + JUDGED).await;
    trio.journal(leader).signal(Signal::CONT);

    stay_active(&operator, &[&one.machine, &two.machine], GRACE + JUDGED).await;
    let after =
        [is_active(&operator, &one.machine).await.version, is_active(&operator, &two.machine).await.version];
    assert_eq!(versions, after);
}
