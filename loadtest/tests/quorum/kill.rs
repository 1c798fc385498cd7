//! kill -9 of members (R3, R7): whatever a machine was told stays told, nobody is certified twice, and service is back
//! within seconds.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use loadtest::progress::Counter;

use crate::{
    ledger::{Ledger, Place, SERVED},
    trio::{IN_TIME, Trio, nodes},
};

const NODES: u32 = 600;
/// Machines on their way at one moment: fewer than there are, so that some are done when others begin.
const AT_ONCE: u32 = 64;
/// Enrollments flow again after a leader was lost.
const BACK_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_a_leader_killed_in_a_storm_loses_nothing_and_service_is_back_within_five_seconds() {
    let mut trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    killed_in_a_storm(&mut trio, leader, 0..nodes(NODES)).await;
    trio.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_each_member_killed_in_turn_loses_nothing() {
    let mut trio = Trio::start().await;
    let part = nodes(NODES) / 2;
    for (nth, first) in (0..3).zip((0..).step_by(part as usize)) {
        killed_in_a_storm(&mut trio, nth, first..first + part).await;
    }
    trio.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_09_certificates_outlast_a_stop_of_all_members() {
    let mut trio = Trio::start().await;
    let nodes = nodes(NODES) / 6;
    trio.operator(1).await.register(0..nodes, &Counter::default()).await.unwrap();
    let mut ledger = Ledger::of(0..nodes);
    ledger.storm(&Place::of(&trio.all(), SERVED), AT_ONCE, &Arc::default()).await;
    assert_eq!(ledger.told(), ledger.len());
    for nth in 0..3 {
        trio.kill(nth).await;
    }

    trio.start_all_again().await;

    for nth in 0..3 {
        let place = Place::of(&[trio.journal(nth)], SERVED);
        ledger.every_certificate_opens(&place, AT_ONCE as usize).await;
        ledger.every_certificate_opens(&place, AT_ONCE as usize).await;
        ledger.nothing_is_lost(&trio.operator(nth).await).await;
    }
    trio.verify().await;
}

/// A storm over all members in whose middle one is killed; it is started again at the end, and catches up.
async fn killed_in_a_storm(trio: &mut Trio, victim: usize, machines: std::ops::Range<u32>) {
    let others: Vec<usize> = (0..3).filter(|nth| *nth != victim).collect();
    trio.operator(others[0]).await.register(machines.clone(), &Counter::default()).await.unwrap();
    let (mut ledger, place) = (Ledger::of(machines.clone()), Place::of(&trio.all(), SERVED));
    let kill = async {
        reaches(&place.told_at, machines.len() / 3).await;
        let killed = Instant::now();
        trio.kill(victim).await;
        killed
    };

    let never = Arc::default();
    let ((), killed) = tokio::join!(ledger.storm(&place, AT_ONCE, &never), kill);

    // then
    assert_eq!(ledger.told(), ledger.len(), "all came up");
    let silence = longest_silence(&place.told_at.lock().unwrap(), killed);
    assert!(silence <= BACK_WITHIN, "member {} killed: no enrollment for {silence:?}", victim + 1);
    trio.level(&others).await;
    for nth in &others {
        ledger.nothing_is_lost(&trio.operator(*nth).await).await;
    }
    let living: Vec<_> = others.iter().map(|nth| trio.journal(*nth)).collect();
    ledger.ask_again(&Place::of(&living, SERVED), AT_ONCE as usize).await;

    // when it is started again, then
    trio.start_again(victim).await;
    trio.level(&[0, 1, 2]).await;
    ledger.nothing_is_lost(&trio.operator(victim).await).await;
}

async fn reaches(told_at: &Mutex<Vec<Instant>>, count: usize) {
    let until = Instant::now() + IN_TIME;
    while told_at.lock().unwrap().len() < count {
        assert!(Instant::now() < until, "the storm does not get under way");
        tokio::time::sleep(LOOK).await;
    }
}

/// The longest time between two answers from a moment on.
fn longest_silence(told_at: &[Instant], from: Instant) -> Duration {
    let mut after: Vec<Instant> = told_at.iter().copied().filter(|at| *at > from).collect();
    assert!(after.len() >= 10, "the storm was over before it was interrupted");
    after.push(from);
    after.sort_unstable();
    after.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
