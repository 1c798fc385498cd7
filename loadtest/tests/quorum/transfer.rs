//! The leader is moved from process to process while nodes boot, by an order at any of them: nobody is lost.

use std::time::{Duration, Instant};

use agent::journals::Journals;
use loadtest::{
    clients::Clients,
    fleet::{Boot, Fleet},
    preparation::Operator,
    progress::Counter,
};
use proto::{
    outcome::Failure,
    pb::{TransferLeaderRequest, member_service_client::MemberServiceClient},
    reason::Reason,
};

use crate::trio::{IN_TIME, Trio, nodes};

const NODES: u32 = 600;
const AT_ONCE: u32 = 64;
const LOOK: Duration = Duration::from_millis(20);

/// Who leads then, by the word of the one that was asked.
async fn transfer(operator: &Operator, to: usize) -> Result<bool, Failure> {
    let mut client = MemberServiceClient::new(operator.connection().channel());
    let request = TransferLeaderRequest { journal_id: format!("j{}", to + 1) };
    let answer = client.transfer_leader(request).await;
    let member = answer.map_err(|status| operator.connection().failure(&status))?.into_inner().member;
    Ok(member.expect("the journal is told").leader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_the_leader_is_moved_round_in_a_storm_and_no_node_fails() {
    let trio = Trio::start().await;
    let nodes = nodes(NODES);
    trio.operator(0).await.register(0..nodes, &Counter::default()).await.unwrap();
    let clients = Clients::start().unwrap();
    let agents = trio.all().map(|journal| journal.agents.clone()).to_vec();
    let journals = Journals::new(trio.journal(0).trust().unwrap(), agents).unwrap();
    let boot = Boot { journals: [journals].into(), machines: 0..nodes, concurrency: AT_ONCE };
    let counted = Counter::default();
    let moves = async {
        for round in 1..=3u64 {
            let until = Instant::now() + IN_TIME;
            while counted.count() < round * u64::from(nodes) / 5 {
                assert!(Instant::now() < until, "the storm does not get under way");
                tokio::time::sleep(LOOK).await;
            }
            let leader = trio.leader(&[0, 1, 2]).await;
            let (next, other) = ((leader + 1) % 3, (leader + 2) % 3);

            // when one that follows is asked, the next leader itself, or the one that leads, then it is moved, and who was
            // asked says so; or that it was not, where a busy machine does not let it
            let asked = [other, next, leader][round as usize - 1];
            loop {
                match transfer(&trio.operator(asked).await, next).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(Failure::Refused(told)) if told.reason == Reason::NoLeader => {}
                    Err(failure) => panic!("{failure:?}"),
                }
                assert!(Instant::now() < until, "the leader is not moved to {next}");
                tokio::time::sleep(LOOK).await;
            }
            assert_eq!(trio.leader(&[0, 1, 2]).await, next);
        }
    };

    // when
    let (mut fleet, ()) = tokio::join!(Fleet::boot(&clients, &boot, &counted), moves);

    // then
    assert_eq!(fleet.failures, [].into(), "{:?}", fleet.example);
    fleet.leave(&clients, AT_ONCE, &Counter::default()).await;
    assert_eq!(fleet.failures, [].into(), "{:?}", fleet.example);
    trio.level(&[0, 1, 2]).await;
    trio.verify().await;
}
