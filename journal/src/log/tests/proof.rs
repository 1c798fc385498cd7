//! How old proofs of freshness are when somebody stood still (R17), whose clock is wrong (R24), and how many read indexes
//! are asked for (R22).

use std::time::{Duration, Instant};

use super::fixture::step;
use super::quorum::{Quorum, SOON, by, committed, eventually, name};
use crate::log::read_index::EVERY;
use crate::log::wire::{self, Ask, Told};
use crate::log::writer::UNDECIDED;
use crate::log::{AppendError, Fitness, TransferError};

/// How long somebody stands still: longer than anybody is fresh.
const STILL: Duration = Duration::from_secs(60);
/// Much longer than a heartbeat, and less than anything that is tested here.
const FRESH: Duration = Duration::from_secs(2);

fn is_fresh(quorum: &Quorum, member: u64) -> bool {
    quorum.log(member).age().is_some_and(|age| age < FRESH)
}

#[tokio::test]
async fn rule_17_what_lay_in_the_socket_of_a_stopped_follower_proves_nothing_of_the_time_in_which_it_was_stopped()
 {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    eventually("it is fresh", || is_fresh(&quorum, follower)).await;
    // The leader's next messages lie in its socket while it stands still.
    quorum.lose(leader, follower);
    eventually("a message lies there", || !quorum.last_lost(leader, follower).is_empty()).await;
    let message = quorum.last_lost(leader, follower);
    quorum.grounds[&follower].stand_still(STILL);

    let answer = quorum.log(follower).answer(&name(leader), &message).await.unwrap();

    let told: Told = wire::read(&answer).unwrap();
    assert!(matches!(told, Told::Appended(wire::Appended::All, _)), "it follows: {told:?}");
    let age = quorum.log(follower).age().unwrap();
    assert!(age >= STILL, "{age:?}");
    assert_eq!(quorum.log(follower).fitness(), Fitness::Stale);

    // when it is spoken to and heard again
    quorum.heal();
    eventually("it is fresh again", || is_fresh(&quorum, follower)).await;
}

#[tokio::test]
async fn rule_17_answers_that_lay_in_the_socket_of_a_stopped_leader_acknowledge_what_it_was_before() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let others: Vec<u64> = (1..=3).filter(|member| *member != leader).collect();
    eventually("it is fresh", || is_fresh(&quorum, leader)).await;
    quorum.hold_answers(leader, true);
    // Some are on their way.
    tokio::time::sleep(Duration::from_millis(10)).await;
    quorum.cut_to(&others, leader);
    quorum.grounds[&leader].stand_still(STILL);

    quorum.hold_answers(leader, false);

    let until = Instant::now() + Duration::from_millis(150);
    while Instant::now() < until {
        let age = quorum.log(leader).age().unwrap();
        assert!(age >= STILL, "{age:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    quorum.heal();
    eventually("everybody is fresh again", || (1..=3).all(|member| is_fresh(&quorum, member))).await;
}

#[tokio::test]
async fn rule_17_a_read_index_makes_fresh_at_once() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    quorum.lose(leader, follower);
    quorum.grounds[&follower].stand_still(STILL);
    assert_eq!(quorum.log(follower).fitness(), Fitness::Stale);
    quorum.log(follower).read_index(SOON).await.unwrap();
    assert!(quorum.log(follower).age().unwrap() < FRESH);
}

#[tokio::test]
async fn rule_24_a_follower_with_a_wrong_clock_finds_out_and_is_no_successor() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let wrong = quorum.follower_of(leader);
    let right = (1..=3).find(|member| ![leader, wrong].contains(member)).unwrap();
    for ahead in [60, 3_600] {
        quorum.grounds[&wrong].pass(Duration::from_secs(ahead));
        eventually("it finds out", || quorum.log(wrong).judge_clock()).await;
    }
    assert_eq!(quorum.log(wrong).fitness(), Fitness::Skewed);
    for member in [leader, right] {
        assert!(!quorum.log(member).judge_clock());
        assert_eq!(quorum.log(member).fitness(), Fitness::Fit);
    }
    eventually("the other one is", || quorum.log(leader).successor() == Some(right)).await;
    let refused = quorum.log(leader).transfer(wrong).await.unwrap_err();
    // As the leader knows by now, or as it says itself when it is asked to stand.
    assert!(matches!(refused, TransferError::WrongClock | TransferError::NotElected), "{refused}");
    // The others go on.
    committed(&quorum.log(right), by(right, step(1, "n1", 0))).await;
}

#[tokio::test]
async fn rule_24_a_leader_with_a_wrong_clock_stamps_nothing_and_hands_the_lead_over() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    quorum.grounds[&leader].pass(Duration::from_secs(60));
    let log = quorum.log(leader);
    assert!(!log.has_right_clock() && log.judge_clock(), "it knows without another message");
    let recording = {
        let log = log.clone();
        tokio::spawn(async move { log.append(by(leader, step(1, "n1", 0))).await })
    };
    let successor = log.successor().unwrap();
    log.stands_for_election(false);
    log.transfer(successor).await.unwrap();
    assert_eq!(quorum.leader().await, successor);
    // By the successor's clock the append was decided long ago, or not; the wrong clock is in no stamp.
    let recorded = recording.await.unwrap();
    assert!(matches!(recorded, Ok(_) | Err(AppendError::Skewed)), "{recorded:?}");
    let at = quorum.log(successor).views().recorded_at;
    committed(&quorum.log(successor), by(successor, step(2, "n2", 0))).await;
    assert!(quorum.log(successor).views().recorded_at.since(at) < Duration::from_secs(30));
}

#[tokio::test]
async fn rule_22_all_who_ask_within_50_ms_share_a_read_index() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let log = quorum.log(quorum.follower_of(leader));
    let (before, began) = (quorum.read_indexes(), Instant::now());
    for _ in 0..4 {
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let log = log.clone();
                tokio::spawn(async move { log.read_index(SOON).await })
            })
            .collect();
        for one in asking {
            one.await.unwrap().unwrap();
        }
    }
    let (asked, periods) = (quorum.read_indexes() - before, began.elapsed().as_millis() / EVERY.as_millis());
    assert!(asked as u128 <= periods + 2, "{asked} in {periods} times 50 ms");
}

#[tokio::test]
async fn rule_22_a_read_index_that_is_shared_shows_what_was_recorded_before_each_asked() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    for version in 0..20 {
        let told = committed(&quorum.log(leader), by(leader, step(version + 1, "n1", version))).await;
        let logs = (quorum.log(follower), quorum.log(follower));
        let (one, other) = tokio::join!(logs.0.read_index(SOON), logs.1.read_index(SOON));
        assert!(one.unwrap() >= told.last_seq && other.unwrap() >= told.last_seq);
    }
}

#[tokio::test]
async fn a_leader_knows_how_far_the_others_are_and_what_they_run() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    let told = committed(&quorum.log(leader), by(leader, step(1, "n1", 0))).await;
    eventually("it tells", || {
        quorum.log(leader).heard(follower).is_some_and(|word| word.applied_seq == told.last_seq)
    })
    .await;
    let word = quorum.log(leader).heard(follower).unwrap();
    assert_eq!((word.version.as_str(), word.disk_low), (env!("CARGO_PKG_VERSION"), false));
    assert!(word.ago < FRESH);
    assert_eq!(quorum.log(follower).heard(leader), None, "who never led knows nothing of others");
}

#[tokio::test]
async fn the_message_that_carries_proof_says_what_it_was_sent_after() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    quorum.lose(leader, follower);
    eventually("a message is lost", || !quorum.last_lost(leader, follower).is_empty()).await;
    let Ask::Append(ask) = wire::read(&quorum.last_lost(leader, follower)).unwrap() else {
        panic!("not from a leader")
    };
    assert!(ask.after.is_some() && ask.proven_ms_ago.is_some() && ask.median.is_some());
}

/// How wrong a clock is: less than what appends bear (R24), so that what it stamps would be recorded.
const AHEAD: Duration = Duration::from_secs(45);

/// A leader that was started again and leads again, and the two others, of whom only the first runs.
async fn leads_again(quorum: &Quorum, ahead: Duration) -> (u64, [u64; 2]) {
    let leader = quorum.leader().await;
    let others: Vec<u64> = (1..=3).filter(|member| *member != leader).collect();
    let others = [others[0], others[1]];
    others.iter().for_each(|other| quorum.log(*other).stands_for_election(false));
    quorum.stop(leader).await;
    quorum.stop(others[1]).await;
    quorum.grounds[&leader].pass(ahead);
    quorum.start(leader).await;
    eventually("it leads again", || quorum.log(leader).leads()).await;
    eventually("it hears of the other", || quorum.log(leader).heard_members().contains(&others[0])).await;
    (leader, others)
}

#[tokio::test]
async fn rule_24_a_leader_started_with_a_wrong_clock_stamps_nothing_before_it_knows() {
    let quorum = Quorum::of(3).await;
    let (leader, [other, away]) = leads_again(&quorum, AHEAD).await;
    let log = quorum.log(other);
    let mut recording = tokio::spawn(async move { log.append(by(other, step(1, "n1", 0))).await });
    // Longer than it once waited for the one that is away.
    let early = tokio::time::timeout(Duration::from_secs(3), &mut recording).await;
    assert!(early.is_err(), "of two clocks nobody can say which is wrong: {early:?}");

    // when the third is heard, it knows
    quorum.start(away).await;
    eventually("it finds out", || quorum.log(leader).judge_clock()).await;
    // what the timekeeper does
    quorum.log(leader).stands_for_election(false);
    eventually("somebody is fit", || quorum.log(leader).successor().is_some()).await;
    for other in [other, away] {
        quorum.log(other).stands_for_election(true);
    }
    quorum.log(leader).transfer(quorum.log(leader).successor().unwrap()).await.unwrap();

    let told = recording.await.unwrap();
    let told = match told {
        Ok(told) => told,
        // It took longer than an append waits.
        Err(AppendError::NoLeader) => committed(&quorum.log(other), by(other, step(1, "n1", 0))).await,
        Err(error) => panic!("{error}"),
    };
    let (record, _) = quorum.log(other).record(told.last_seq).unwrap().unwrap();
    assert_eq!(record.recorded_at, record.decided_at, "not by the wrong clock");
}

#[tokio::test]
async fn rule_24_of_two_voters_with_contradicting_clocks_the_leader_stamps_nothing_at_once() {
    let quorum = Quorum::of(2).await;
    let leader = quorum.leader().await;
    let other = quorum.follower_of(leader);
    quorum.log(other).stands_for_election(false);
    quorum.stop(leader).await;
    quorum.grounds[&leader].pass(AHEAD);
    quorum.start(leader).await;
    let log = quorum.log(other);
    let append = by(other, step(1, "n1", 0));
    let early = tokio::time::timeout(Duration::from_secs(2), log.append(append.clone())).await;
    assert!(early.is_err(), "{early:?}");
    // The clock is set right.
    quorum.stop(leader).await;
    quorum.grounds[&leader].pass_back(AHEAD);
    quorum.start(leader).await;
    let told = committed(&log, append).await;
    let (record, _) = log.record(told.last_seq).unwrap().unwrap();
    assert_eq!(record.recorded_at, record.decided_at);
}

#[tokio::test]
async fn rule_24_a_leader_whose_clock_the_only_other_one_confirms_waits_for_nobody() {
    let quorum = Quorum::of(3).await;
    let (_, [other, _]) = leads_again(&quorum, Duration::ZERO).await;
    // It would take half a minute of a clock that stands still here.
    committed(&quorum.log(other), by(other, step(1, "n1", 0))).await;
}

#[tokio::test]
async fn rule_24_two_contradicting_clocks_do_not_hold_up_a_quorum_for_ever() {
    let quorum = Quorum::of(3).await;
    let (leader, [other, _]) = leads_again(&quorum, AHEAD).await;
    let log = quorum.log(leader);
    let append = by(leader, step(1, "n1", 0));
    let refused = tokio::time::timeout(Duration::from_secs(1), log.append(append.clone())).await;
    assert!(refused.is_err(), "not at once: {refused:?}");
    // All machines are as much older; that they are, their clocks show.
    for member in [leader, other] {
        quorum.grounds[&member].age(UNDECIDED);
    }
    committed(&log, append).await;
}
