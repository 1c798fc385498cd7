//! Two machines that claim to be one node and ask different journals (R14), and what the second one is told.

use std::time::Duration;

use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::{Agent, refusal};
use crate::journal_process::{ANSWERED, LOOK, until};
use crate::request::{Impostor, Machine, csr};

use super::Trio;

/// What certificates live here, but for the seconds that a test takes.
const NEARLY_THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600 - 300);

/// A machine asks to be a node that is active with another key. Answers how long it is told to wait.
async fn refused(at: &Agent, machine: &Machine, request: &[u8]) -> Duration {
    let told = refusal(at.enroll(&machine.hardware, request).await);
    assert_eq!(told.reason, Reason::AlreadyActive, "{told}");
    told.retry_after.expect("it says how long")
}

#[tokio::test]
async fn rule_14_two_machines_at_different_journals_make_their_node_contested() {
    let trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let (one, two) = ((leader + 1) % 3, (leader + 2) % 3);
    for (stream_at, asks_at) in [(one, leader), (leader, one), (one, two)] {
        let operator = trio.operator(asks_at).await;
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(stream_at), &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        let (rival, other) = (machine.with_new_key(), trio.journal(asks_at).agent(None).await.unwrap());

        // It asks again until the leader has heard of the stream, and the stream has been heard of since.
        let contested = until("it is contested", ANSWERED, async || {
            let wait = refused(&other, &rival, &rival.csr()).await;
            stream.say_sessions(1).await;
            tokio::time::sleep(LOOK * 10).await;
            let node = operator.inspect(&machine.node_id).await.ok()?;
            assert!(wait > Duration::from_secs(60), "{wait:?}");
            Some(node).filter(|node| node.contested)
        })
        .await;

        assert!(contested.confirmed, "the certificate that stands stands");
        assert_eq!(operator.contested().await, [machine.node_id.as_str()]);
        let facts = operator.facts(&machine.node_id, "EnrollmentContested").await;
        let holder = serde_json::Value::from(format!("journal:j{}", stream_at + 1));
        assert_eq!((facts.len(), &facts[0]["principal"]), (1, &holder), "stream at {stream_at}: {facts:?}");
        assert!(facts[0]["source"].to_string().contains("127.0.0.1"), "{facts:?}");
        operator.resolve(&machine.node_id).await.unwrap();
    }
}

#[tokio::test]
async fn rule_12_neither_a_bad_proof_nor_a_silent_stream_at_another_journal_contests_anything() {
    let trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let (one, two) = ((leader + 1) % 3, (leader + 2) % 3);
    let operator = trio.operator(leader).await;
    let [forged, silent, control] = [
        Machine::registered(&operator).await,
        Machine::registered(&operator).await,
        Machine::registered(&operator).await,
    ];
    let other = trio.journal(two).agent(None).await.unwrap();
    let (forging, still, asking) = (
        booted(trio.journal(one), &forged).await,
        booted(trio.journal(one), &silent).await,
        booted(trio.journal(one), &control).await,
    );
    let (mut forged_stream, _silent_stream, mut stream) = (
        forging.subscribe().await.unwrap(),
        still.subscribe().await.unwrap(),
        asking.subscribe().await.unwrap(),
    );
    let (shown, held) = (forged.with_new_key().key, forged.with_new_key().key);
    let forgery = csr(&Impostor { shown, held });
    let (silent_rival, rival) = (silent.with_new_key(), control.with_new_key());

    // One that is contested shows that the others have been looked at, too.
    until("it is contested", ANSWERED, async || {
        refused(&other, &forged, &forgery).await;
        refused(&other, &silent_rival, &silent_rival.csr()).await;
        refused(&other, &rival, &rival.csr()).await;
        forged_stream.say_sessions(1).await;
        stream.say_sessions(1).await;
        tokio::time::sleep(LOOK * 10).await;
        let node = operator.inspect(&control.node_id).await.ok()?;
        node.contested.then_some(())
    })
    .await;

    assert_eq!(operator.contested().await, [control.node_id.as_str()]);
}

#[tokio::test]
async fn rule_14_who_asks_for_a_node_whose_stream_stands_nowhere_is_told_the_rest_of_the_grace_period() {
    let grace = Duration::from_secs(60);
    let trio = Trio::start_with(vec![("PACT_JOURNAL_GRACE_PERIOD_SECS", "60")]).await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let operator = trio.operator(leader).await;
    let machine = Machine::registered(&operator).await;
    // It got its certificate, and nobody ever subscribed with it.
    let agent = booted(trio.journal((leader + 1) % 3), &machine).await;
    let rival = machine.with_new_key();
    for nth in 0..3 {
        let other = trio.journal(nth).agent(None).await.unwrap();
        let wait = refused(&other, &rival, &rival.csr()).await;
        assert!(wait <= grace && wait > grace / 2, "at {nth}: {wait:?}");
    }

    // While a stream stands, nobody is let in before the certificate's end.
    let _stream = agent.subscribe().await.unwrap();
    for nth in 0..3 {
        let other = trio.journal(nth).agent(None).await.unwrap();
        until("the leader has heard of the stream", ANSWERED, async || {
            let wait = refused(&other, &rival, &rival.csr()).await;
            (wait > NEARLY_THREE_DAYS).then_some(())
        })
        .await;
    }
}
