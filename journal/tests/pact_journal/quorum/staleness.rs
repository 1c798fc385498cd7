//! A journal that is cut off from its quorum, or stood still, serves nobody (R17).

use std::time::{Duration, Instant};

use proto::channel::ConnectionRefusal;
use proto::outcome::Failure;
use proto::reason::Reason;
use rustix::process::Signal;
use tokio::time::timeout;

use crate::boot_configuration::booted;
use crate::calls::{health, reason, refusal};
use crate::journal_process::{ANSWERED, until};
use crate::probes::get;
use crate::request::Machine;

use super::Trio;

/// The least that may be configured.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// All streams of a stale journal are cut within this; the machine may be busy.
const CUT_WITHIN: Duration = Duration::from_secs(13);
/// Many, so that some are early and some late.
const STREAMS: usize = 12;

async fn trio() -> Trio {
    Trio::start_with(vec![("PACT_JOURNAL_STALE_AFTER_SECS", "10")]).await
}

impl Trio {
    fn readiness(&self, nth: usize) -> (u16, String) {
        let answer = get(self.journal(nth).probes_address(), "/readyz").expect("it answers");
        (answer.status, answer.body)
    }

    fn signal(&self, members: &[usize], signal: Signal) {
        members.iter().for_each(|nth| self.journal(*nth).signal(signal));
    }

    async fn becomes_ready(&self, nth: usize) {
        until("it is ready", ANSWERED, async || (self.readiness(nth).0 == 200).then_some(())).await;
    }
}

#[tokio::test]
async fn rule_17_a_journal_without_its_quorum_closes_its_door_and_cuts_its_streams_over_ten_seconds() {
    let trio = trio().await;
    let (alone, others) = (2, [0, 1]);
    let operator = trio.operator(alone).await;
    let (mut streams, mut agents) = (Vec::new(), Vec::new());
    for _ in 0..STREAMS {
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(alone), &machine).await;
        streams.push(agent.subscribe().await.unwrap());
        agents.push(agent);
    }
    drop(operator);

    trio.signal(&others, Signal::STOP);

    let stopped = Instant::now();
    until("it is stale", STALE_AFTER * 2, async || (trio.readiness(alone).0 == 503).then_some(())).await;
    let stale = Instant::now();
    assert!(stale - stopped > STALE_AFTER - Duration::from_secs(2), "{:?}", stale - stopped);
    let (_, said) = trio.readiness(alone);
    assert!(said.starts_with("stale"), "{said}");
    // Whoever shows a certificate is not let in, and the certificate is not called bad.
    let credential = trio.journal(0).dir.operator();
    let refused = match trio.journal(alone).operator_with(Some(&credential)).await {
        Ok(operator) => health(&operator.0).await,
        Err(failure) => Err(failure),
    };
    assert!(matches!(refused, Err(Failure::Unreachable(_))), "{refused:?}");
    // Whoever shows none is told why.
    let anonymous = trio.journal(alone).agent(None).await.unwrap();
    let machine = Machine::new();
    let told = refusal(anonymous.enroll(&machine.hardware, &machine.csr()).await);
    assert!(told.reason == Reason::StaleJournal && told.retry_after.is_some(), "{told:?}");
    // Streams are cut one after another.
    let mut ends = Vec::new();
    for stream in &mut streams {
        timeout(CUT_WITHIN, stream.ended()).await.expect("it is cut");
        ends.push(stale.elapsed());
    }
    assert!(ends[STREAMS - 1] <= CUT_WITHIN, "{ends:?}");
    assert!(ends[STREAMS - 1] >= Duration::from_secs(4), "not all at once: {ends:?}");

    trio.signal(&others, Signal::CONT);

    trio.becomes_ready(alone).await;
    trio.operator(alone).await.list().await.unwrap();
}

/// The hole that was: what the others said lay in the socket of a process that stood still, and counted as fresh when it was
/// read.
#[tokio::test]
async fn rule_17_a_journal_that_stood_still_is_stale_whatever_lies_in_its_sockets() {
    let trio = trio().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    for still in [(leader + 1) % 3, leader] {
        let others = [(still + 1) % 3, (still + 2) % 3];
        trio.becomes_ready(still).await;
        let machine = Machine::registered(&trio.operator(others[0]).await).await;
        let agent = booted(trio.journal(still), &machine).await;
        agent.boot_config(0).await.unwrap();

        trio.signal(&[still], Signal::STOP);
        // The pause is what is tested; nothing is waited for.
        tokio::time::sleep(STALE_AFTER + Duration::from_secs(1)).await;
        let revoking = trio.operator(others[0]).await;
        revoking.revoke(&machine.node_id).await.unwrap();
        // From now on nobody says anything new to it.
        trio.signal(&others, Signal::STOP);
        trio.signal(&[still], Signal::CONT);

        // At once, or its connection is cut already: that comes within seconds. Its node was revoked meanwhile.
        let told = agent.boot_config(0).await.unwrap_err();
        let stale = matches!(&told, Failure::Refused(refusal) if refusal.reason == Reason::StaleJournal);
        assert!(stale || matches!(told, Failure::Unreachable(_)), "{told:?}");
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            let (status, said) = trio.readiness(still);
            assert!(status == 503 && said.starts_with("stale"), "{status} {said}");
        }
        let opened = trio.journal(still).agent(None).await.unwrap();
        assert_eq!(reason(opened.enroll(&machine.hardware, &machine.csr()).await), Reason::StaleJournal);

        trio.signal(&others, Signal::CONT);
        trio.becomes_ready(still).await;
        let after = agent.boot_config(0).await.unwrap_err();
        let revoked = matches!(
            &after,
            Failure::Refused(refusal) if refusal.reason == Reason::CertificateRequired
        ) || matches!(
            &after,
            Failure::Unreachable(_) | Failure::ConnectionRefused(ConnectionRefusal::Revoked)
        );
        assert!(revoked, "{after:?}");
    }
}
