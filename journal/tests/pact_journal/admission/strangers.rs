//! Callers whom nobody registered: their budget, and the journal's memory while they knock (R22).

use std::env;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::outcome::Failure;
use proto::reason::Reason;

use crate::calls::{Agent, refusal};
use crate::journal_process::Journal;
use crate::request::{Machine, hardware};

use super::{PROMPT, resident, with_budget};

/// How many knock; another number may be set, to measure.
fn knocks() -> u64 {
    env::var("PACT_TEST_STRANGERS").ok().and_then(|number| number.parse().ok()).unwrap_or(4000)
}

/// What the journal's memory may grow by while they do, in KB: connections come and go, a few hundred at a time.
const GROWTH: u64 = 8 * 1024;
/// Who knocks at one moment.
const LANES: u64 = 16;

#[tokio::test]
async fn rule_22_strangers_are_limited_and_told_when_to_come_back_while_a_known_node_enrolls() {
    // given half of the budget for one source: 5 at once, and one more every 12 seconds
    let journal = with_budget(10);
    let known = Machine::registered(&journal.operator().await).await;
    let agent = journal.agent(None).await.unwrap();
    let began = Instant::now();

    // when
    let mut answered = 0;
    for asked in 0..40 {
        let stranger = Machine::with_all_fields();
        let refusal = refusal(agent.enroll(&stranger.hardware, b"no request").await);
        if refusal.reason == Reason::NodeNotEnrolled {
            answered += 1;
            continue;
        }
        assert_eq!(refusal.reason, Reason::RateLimited);
        let wait = refusal.retry_after.expect("it says when");
        assert!(asked >= 5 && !wait.is_zero() && wait <= Duration::from_secs(72), "{asked}: {wait:?}");
    }

    // then
    let refilled = began.elapsed().as_secs() / 12 + 1;
    assert!((5..=5 + refilled).contains(&answered), "{answered} were answered");
    let resembling = hardware(&known.hardware.mac_addresses, "", "4c4c4544-0000-0000-0000-000000000001");
    // A field beside the registered ones is no mismatch (R13).
    let issued = agent.enroll(&resembling, &known.csr()).await.expect("a known node is not limited");
    assert_eq!(issued.node_id, known.node_id);
}

#[tokio::test]
async fn rule_22_who_resembles_a_node_without_a_full_match_draws_on_the_budget_and_the_node_does_not() {
    let journal = with_budget(2);
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let known = Machine::with_all_fields();
    operator.register(&known.node_id, &known.hardware).await.unwrap();
    let claimed = hardware(&known.hardware.mac_addresses, "", "");
    assert_eq!(refusal(agent.enroll(&claimed, &known.csr()).await).reason, Reason::HardwareMismatch);
    for _ in 0..10 {
        assert_eq!(refusal(agent.enroll(&claimed, &known.csr()).await).reason, Reason::RateLimited);
    }
    assert!(agent.enroll(&known.hardware, &known.csr()).await.is_ok());
}

/// Knocks so often: one half over few connections, the other each time over a new one.
async fn knock(journal: &Journal, times: u64) {
    let lanes = (0..LANES).map(async |lane| {
        let stranger = Machine::with_all_fields();
        let mut open: Option<Agent> = None;
        for _ in 0..times / LANES {
            let agent = match open.take() {
                Some(agent) if lane % 2 == 0 => agent,
                Some(_) | None => journal.agent(None).await.expect("there are places"),
            };
            let refused = agent.enroll(&stranger.hardware, b"no request").await.expect_err("nobody knows it");
            if let Failure::Refused(refusal) = refused {
                assert!(matches!(refusal.reason, Reason::NodeNotEnrolled | Reason::RateLimited), "{refusal}");
                open = Some(agent);
            } else {
                // A connection without a certificate lasts a minute at most.
                assert!(matches!(refused, Failure::Unreachable(_)), "{refused:?}");
            }
        }
    });
    join_all(lanes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_22_memory_stays_flat_while_strangers_knock() {
    // given a journal that has met all sorts of callers, so that what is allocated once is there
    let journal = with_budget(100);
    let known = Machine::registered(&journal.operator().await).await;
    knock(&journal, 400).await;
    let (before, began) = (resident(&journal), Instant::now());

    // when
    knock(&journal, knocks()).await;

    // then
    let (after, seconds) = (resident(&journal), began.elapsed().as_secs_f64());
    eprintln!("{} strangers in {seconds:.1} s: VmRSS {before} KB -> {after} KB", knocks());
    assert!(after <= before + GROWTH, "from {before} KB to {after} KB");
    let agent = journal.agent(None).await.unwrap();
    let enrolled = tokio::time::timeout(PROMPT, agent.enroll(&known.hardware, &known.csr())).await;
    assert!(enrolled.expect("at once").is_ok());
}
