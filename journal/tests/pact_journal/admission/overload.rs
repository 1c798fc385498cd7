//! More known callers than can be served in time: told when to come back, and served then (R21).

use std::time::Duration;

use futures_util::future::join_all;
use proto::outcome::Failure;
use proto::reason::Reason;

use crate::calls::Agent;
use crate::journal_process::{Journal, READY, shared, until};
use crate::request::Machine;

use super::PROMPT;

/// Callers at one moment: several times what gets a place without a question.
const CALLERS: usize = 320;
/// Calls on one connection: what the journal allows.
const CALLS: usize = 8;
/// How long they wait: shorter than a line of so many takes.
const IMPATIENT: Duration = Duration::from_millis(60);

async fn all_ask(agents: &[Agent], machines: &[Machine], wait: Duration) -> Vec<Option<Failure>> {
    let asked = machines
        .iter()
        .enumerate()
        .map(async |(number, machine)| agents[number / CALLS].enroll_within(machine, wait).await.err());
    join_all(asked).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_21_who_would_not_be_served_in_time_is_overloaded_with_a_slot_and_served_later() {
    // given many machines that wait for a short time only
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machines = join_all((0..CALLERS).map(|_| Machine::registered(&operator))).await;
    let agents = join_all((0..CALLERS / CALLS).map(|_| journal.agent(None))).await;
    let agents: Vec<Agent> = agents.into_iter().map(Result::unwrap).collect();

    // when they ask at once
    let slots = until("somebody is sent away", READY, async || {
        let answers = all_ask(&agents, &machines, IMPATIENT).await;
        let mut slots = vec![];
        for failure in answers.into_iter().flatten() {
            match failure {
                Failure::Refused(ref refusal) => {
                    assert_eq!(refusal.reason, Reason::Overloaded, "{refusal}");
                    slots.push(refusal.retry_after.expect("it says when"));
                }
                // Its time was over before it was served.
                Failure::Deadline(_) | Failure::Failed { .. } => {}
                Failure::ConnectionRefused(_)
                | Failure::Unreachable(_)
                | Failure::NotTrusted(_)
                | Failure::Evicted(_)
                | Failure::Usage(_)
                | Failure::Violation(_) => panic!("{failure:?}"),
            }
        }
        (slots.len() > 1).then_some(slots)
    })
    .await;

    // then each has a slot of its own, soon
    assert!(slots.iter().all(|slot| !slot.is_zero() && *slot <= Duration::from_secs(10)), "{slots:?}");
    let (least, most) = (slots.iter().min(), slots.iter().max());
    assert!(least < most, "{slots:?}");
    drop(agents);
    let late = journal.agent(None).await.unwrap();
    for machine in &machines {
        let answered = tokio::time::timeout(PROMPT, late.enroll(&machine.hardware, &machine.csr())).await;
        assert!(answered.expect("in time").is_ok());
    }
}

#[tokio::test]
async fn rule_21_of_two_keys_that_ask_at_once_one_is_served_and_the_same_key_may_ask_again() {
    let journal = shared();
    let machine = Machine::registered(&journal.operator().await).await;
    let others: Vec<Machine> = (0..8).map(|_| machine.with_new_key()).collect();
    let agents = join_all((0..12).map(|_| journal.agent(None))).await;
    let agents: Vec<Agent> = agents.into_iter().map(Result::unwrap).collect();

    let asked = agents.iter().enumerate().map(async |(number, agent)| {
        // Every third asks with the same key.
        let asks = if number % 3 == 0 { &machine } else { &others[number % 8] };
        (number % 3 == 0, agent.enroll(&asks.hardware, &asks.csr()).await)
    });
    let answers = join_all(asked).await;

    let serials: Vec<&str> =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).map(|issued| &*issued.serial).collect();
    assert!(!serials.is_empty() && serials.iter().all(|serial| *serial == serials[0]), "{serials:?}");
    for (_, answer) in &answers {
        let Err(failure) = answer else { continue };
        let Failure::Refused(refusal) = failure else { panic!("{failure:?}") };
        assert!(matches!(refusal.reason, Reason::Overloaded | Reason::AlreadyActive), "{refusal}");
        assert!(refusal.retry_after.is_some(), "{refusal}");
    }
}
