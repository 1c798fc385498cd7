//! Warm reboots on a quorum (R14 c): whichever journal holds the former machine's stream, and whichever the next boot asks.
//!
//! A machine that is frozen is a thread that does nothing: the kernel answers for it, and nothing else does.

use std::sync::mpsc;
use std::time::Duration;

use proto::pb;
use proto::pb::NodeState;
use proto::pem_file::Credential;
use proto::reason::Reason;

use crate::calls::{Agent, Answer, Operator, credential, refusal, turned_away};
use crate::journal_process::{ANSWERED, until};
use crate::request::Machine;

use super::Trio;

const CLAIMED: (&str, &str) = ("PACT_JOURNAL_WARM_REBOOT", "claimed");

/// A machine asks in the boot of this name.
async fn enroll(at: &Agent, machine: &Machine, boot: &str) -> Answer<pb::EnrollResponse> {
    at.enroll_as(pb::EnrollRequest {
        hardware_identity: Some(machine.hardware.clone()),
        csr: machine.csr(),
        boot_id: boot.to_owned(),
        protocol: 1,
        ..Default::default()
    })
    .await
}

/// A machine asks until it is let in, as often as it is told to.
async fn let_in(trio: &Trio, nth: usize, machine: &Machine, boot: &str) -> pb::EnrollResponse {
    let mut waited = Duration::ZERO;
    loop {
        let agent = trio.journal(nth).agent(None).await.unwrap();
        let refused = match enroll(&agent, machine, boot).await {
            Ok(issued) => return issued,
            refused @ Err(_) => refusal(refused),
        };
        assert_eq!(refused.reason, Reason::AlreadyActive, "{refused}");
        let wait = refused.retry_after.expect("it says how long");
        waited += wait;
        assert!(waited < Duration::from_secs(45), "it is told to wait {wait:?} more: {refused}");
        tokio::time::sleep(wait).await;
    }
}

/// Enrolled in the boot `a` at a journal, confirmed, and with its stream at another, on a thread of its own that stands still.
struct Frozen {
    issued: pb::EnrollResponse,
    credential: Credential,
    _thaw: mpsc::Sender<()>,
}

impl Frozen {
    async fn machine(trio: &Trio, stream_at: usize, operator: &Operator, machine: &Machine) -> Self {
        let anonymous = trio.journal(stream_at).agent(None).await.unwrap();
        let issued = enroll(&anonymous, machine, "a").await.unwrap();
        let credential = credential(&issued, &machine.key);
        let opening = trio.journal(stream_at).agent_later(&credential);
        let (thaw, thawed) = mpsc::channel::<()>();
        let (opened, is_open) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let kept = runtime.block_on(async {
                let agent = opening.await.unwrap();
                let stream = agent.subscribe().await.unwrap();
                (agent, stream)
            });
            opened.send(()).unwrap();
            // It stands still until the test is over.
            thawed.recv().ok();
            drop(kept);
        });
        is_open.await.unwrap();
        until("it is confirmed", ANSWERED, async || {
            operator.inspect(&machine.node_id).await.ok().filter(|node| node.confirmed)
        })
        .await;
        Self { issued, credential, _thaw: thaw }
    }
}

#[tokio::test]
async fn rule_14_another_boot_gets_in_at_any_journal_whichever_holds_the_stream_of_a_machine_that_answers_nobody()
 {
    let trio = Trio::start_with(vec![CLAIMED]).await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let (one, two) = ((leader + 1) % 3, (leader + 2) % 3);
    let operator = trio.operator(leader).await;
    let mut cases = vec![];
    for (stream_at, asks_at) in [(leader, leader), (one, one), (one, leader), (leader, one), (one, two)] {
        let machine = Machine::registered(&operator).await;
        let former = Frozen::machine(&trio, stream_at, &operator, &machine).await;
        cases.push((machine, former, asks_at));
    }
    // Side by side: each takes the 5 s that a machine has to answer.
    let next = cases.iter().map(|(machine, _, asks_at)| {
        let next = machine.with_new_key();
        let trio = &trio;
        async move { (let_in(trio, *asks_at, &next, "b").await, next) }
    });
    let let_in = futures_util::future::join_all(next).await;

    for ((machine, former, asks_at), (issued, next)) in cases.iter().zip(let_in) {
        let node = operator.inspect(&machine.node_id).await.unwrap();
        assert_eq!((node.state(), node.contested), (NodeState::Active, false));
        assert_eq!(node.certificate.unwrap().serial, issued.serial);
        let facts = operator.facts(&machine.node_id, "CertificateIssued").await;
        assert_eq!(facts.last().unwrap()["cause"], "warm-reboot", "asked at {asks_at}");

        // The former machine was frozen, and goes on at another journal: it has the last word.
        let back = trio.journal((asks_at + 1) % 3).agent(Some(&former.credential)).await;
        assert_eq!(turned_away(back.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await, None);
        let node = operator.inspect(&machine.node_id).await.unwrap();
        assert!(node.contested && node.state() == NodeState::Active);
        assert_eq!(node.certificate.unwrap().serial, former.issued.serial);
        let claimed = credential(&issued, &next.key);
        until("the claimed certificate opens nothing", ANSWERED, async || {
            let claimed = trio.journal(*asks_at).agent(Some(&claimed)).await;
            turned_away(claimed.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await
        })
        .await;
        let began = operator.facts(&machine.node_id, "EnrollmentContested").await;
        assert_eq!((began.len(), &began[0]["boot_id"]), (1, &serde_json::Value::from("b")));
        let ended = operator.facts(&machine.node_id, "CertificateRevoked").await;
        assert_eq!((ended.len(), &ended[0]["cause"]), (1, &serde_json::Value::from("former-key-proved")));
    }
}
