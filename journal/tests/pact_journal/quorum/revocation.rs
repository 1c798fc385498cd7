//! What is recorded at one member counts at all of them at once (R10, R17, R22).

use std::time::Duration;

use proto::channel::ConnectionRefusal;
use tokio::time::timeout;

use crate::boot_configuration::booted;
use crate::calls::{credential, health, turned_away};
use crate::journal_process::{ANSWERED, until};
use crate::request::Machine;

use super::Trio;

/// From a revocation's answer until every stream is cut, wherever it is; the machine may be busy.
const CUT_WITHIN: Duration = Duration::from_secs(1);
const ROUNDS: usize = 30;

#[tokio::test]
async fn rule_17_a_revocation_at_one_member_cuts_the_stream_at_another_within_a_second() {
    let trio = Trio::start().await;
    for (at, by) in (0..3).flat_map(|at| (0..3).map(move |by| (at, by))).filter(|(at, by)| at != by) {
        let operator = trio.operator(by).await;
        let (machine, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
        let agent = booted(trio.journal(at), &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        let others = booted(trio.journal(at), &other).await;
        let mut untouched = others.subscribe().await.unwrap();

        operator.revoke(&machine.node_id).await.unwrap();

        let cut = timeout(CUT_WITHIN, stream.ended()).await;
        assert!(cut.is_ok(), "node at {at}, revoked at {by}");
        assert!(timeout(Duration::from_millis(50), untouched.ended()).await.is_err(), "nobody else is cut");
    }
}

#[tokio::test]
async fn rule_17_a_revoked_certificate_soon_opens_nothing_on_any_member() {
    let trio = Trio::start().await;
    let operator = trio.operator(1).await;
    let machine = Machine::registered(&operator).await;
    let anonymous = trio.journal(0).agent(None).await.unwrap();
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    let shown = credential(&issued, &machine.key);
    operator.revoke(&machine.node_id).await.unwrap();
    for nth in 0..3 {
        until("the door is closed", CUT_WITHIN, async || {
            let opened = trio.journal(nth).agent(Some(&shown)).await;
            let refused = turned_away(opened.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await;
            (refused == Some(ConnectionRefusal::Revoked)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn rule_22_a_node_registered_at_one_member_is_enrolled_at_another_at_once() {
    let trio = Trio::start().await;
    let operators = [trio.operator(0).await, trio.operator(1).await, trio.operator(2).await];
    let anonymous = [
        trio.journal(0).agent(None).await.unwrap(),
        trio.journal(1).agent(None).await.unwrap(),
        trio.journal(2).agent(None).await.unwrap(),
    ];
    for round in 0..ROUNDS {
        let (at, by) = (round % 3, (round + 1 + round / 3 % 2) % 3);
        let machine = Machine::registered(&operators[at]).await;
        let enrolled = anonymous[by].enroll(&machine.hardware, &machine.csr()).await;
        enrolled.unwrap_or_else(|failure| panic!("round {round}: registered at {at}, at {by}: {failure:?}"));
    }
}

#[tokio::test]
async fn rule_10_a_certificate_of_one_member_opens_the_others_at_once() {
    let trio = Trio::start().await;
    let operator = trio.operator(0).await;
    for round in 0..ROUNDS {
        let (at, by) = (round % 3, (round + 1 + round / 3 % 2) % 3);
        let machine = Machine::registered(&operator).await;
        let anonymous = trio.journal(at).agent(None).await.unwrap();
        let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
        let opened = trio.journal(by).agent(Some(&credential(&issued, &machine.key))).await;
        let opened = opened.unwrap_or_else(|failure| panic!("round {round}: of {at} at {by}: {failure:?}"));
        health(&opened.0)
            .await
            .unwrap_or_else(|failure| panic!("round {round}: of {at} at {by}: {failure:?}"));
        drop(timeout(ANSWERED, opened.subscribe()).await.unwrap().unwrap());
    }
}
