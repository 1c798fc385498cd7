//! Evicting a member and all that it had signed: thousands of certificates end in seconds, in steps that anybody may go on
//! with, and the machines come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::progress::Counter;
use proto::pb::{EvictRequest, EvictResponse, member_service_client::MemberServiceClient};

use crate::{
    ledger::{Ledger, Place, SERVED},
    trio::{IN_TIME, Trio, nodes},
};

/// More than one step of [`EvictRequest`] ends.
const NODES: u32 = 2500;
const AT_ONCE: u32 = 64;
/// 10,000 nodes in seconds; the machine may be busy.
const PER_NODE: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_had_signed_for_thousands_ends_in_seconds_and_they_come_back() {
    let trio = Trio::start().await;
    let all = 0..nodes(NODES);
    trio.operator(0).await.register(all.clone(), &Counter::default()).await.unwrap();
    let mut ledger = Ledger::of(all.clone());
    ledger.storm(&Place::of(&[trio.journal(2)], SERVED), AT_ONCE, &Arc::default()).await;
    assert_eq!(ledger.told(), ledger.len());
    trio.leader(&[0, 1, 2]).await;
    let began = Instant::now();

    // One member begins, the other goes on: as if the first had broken off.
    let mut revoked = 0;
    for nth in (0..2).cycle() {
        let Some(step) = step(&trio, nth).await else { continue };
        revoked += step.revoked;
        if step.left == 0 && !step.seated {
            break;
        }
        assert!(began.elapsed() < IN_TIME, "{step:?}");
    }

    assert_eq!(revoked, u64::from(all.end));
    let taken = began.elapsed();
    assert!(taken < Duration::from_secs(5) + PER_NODE * all.end, "{taken:?}");
    let mut again = Ledger::of(all);
    again.storm(&Place::of(&[trio.journal(0), trio.journal(1)], SERVED), AT_ONCE, &Arc::default()).await;
    assert_eq!(again.told(), again.len(), "all enrolled again, with other keys");
    trio.level(&[0, 1]).await;
    trio.verify_these(&[0, 1]).await;
}

async fn step(trio: &Trio, nth: usize) -> Option<EvictResponse> {
    let request = EvictRequest { journal_id: "j3".to_owned(), revoke_issued: true, reason: String::new() };
    let operator = trio.operator(nth).await;
    let answer = MemberServiceClient::new(operator.connection().channel()).evict(request).await;
    if answer.is_err() {
        // Nobody leads at the moment.
        tokio::time::sleep(LOOK).await;
    }
    answer.ok().map(|answer| answer.into_inner())
}
