//! Several logs and the ways between them, which a test can cut: what is recorded, by whom, and who hears of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::append::{Append, Outcome};
use events::codec::{StoredValue, keys};
use events::stream::StreamName;
use events::vocabulary::JournalId;
use parking_lot::Mutex;

use super::fixture::{
    Ground, created, founding, journal_announced, journal_evicted, journal_joining, node, operator_created,
    remark_erased, step,
};
use crate::log::TransferError;
use crate::log::quorum::is_alone;
use crate::log::store::Store;
use crate::log::types::RaftMetrics;
use crate::log::wire::{self, Ask, Recorded, Told};
use crate::log::{AppendError, Committed, Exchange, Log, PeerError, Peers, Settings, Timing};

pub(super) const SOON: Duration = Duration::from_secs(20);

/// Who is reachable from where.
#[derive(Default)]
pub(super) struct Ways {
    logs: BTreeMap<u64, Log>,
    cut: BTreeSet<(u64, u64)>,
    /// Ways on which messages get lost, and the last of each.
    lost: BTreeMap<(u64, u64), Vec<u8>>,
    /// Whom answers reach only when they are let through.
    held: BTreeSet<u64>,
    /// How many read indexes were asked of a leader.
    read_indexes: usize,
}

/// One member's way to the others.
struct Way {
    from: u64,
    ways: Arc<Mutex<Ways>>,
}

impl Peers for Way {
    fn exchange(&self, member: u64, question: Vec<u8>) -> Exchange {
        let (from, ways) = (self.from, Arc::clone(&self.ways));
        Box::pin(async move {
            let log = {
                let mut ways = ways.lock();
                if matches!(wire::read(&question), Ok(Ask::ReadIndex)) {
                    ways.read_indexes += 1;
                }
                let mut open = !ways.cut.contains(&(from, member));
                if let Some(lost) = ways.lost.get_mut(&(from, member)) {
                    lost.clone_from(&question);
                    open = false;
                }
                ways.logs.get(&member).filter(|_| open).cloned()
            };
            let unreachable = PeerError::Unreachable { member, reason: "the way is cut".to_owned() };
            let log = log.ok_or_else(|| unreachable.clone())?;
            let answer = log.answer(&name(from), &question).await;
            let answer = answer.map_err(|reason| PeerError::Broken { member, reason })?;
            while ways.lock().held.contains(&from) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // An answer takes the same way back.
            if ways.lock().cut.contains(&(member, from)) { Err(unreachable) } else { Ok(answer) }
        })
    }
}

/// Journals j1, j2, … with the numbers 1, 2, … in Raft.
pub(super) struct Quorum {
    ways: Arc<Mutex<Ways>>,
    pub(super) grounds: BTreeMap<u64, Ground>,
    keep_entries: u64,
}

pub(super) fn name(member: u64) -> JournalId {
    format!("j{member}").parse().unwrap()
}

impl Quorum {
    /// A log with its first member.
    pub(super) async fn found(keep_entries: u64) -> Self {
        let mut quorum = Self { ways: Arc::default(), grounds: BTreeMap::new(), keep_entries };
        let ground = Ground::keeping(keep_entries);
        let log = Log::create_with(&ground.dir, name(1), founding(), quorum.settings(1, &ground)).await;
        quorum.grounds.insert(1, ground);
        quorum.ways.lock().logs.insert(1, log.unwrap());
        quorum.log(1).append(created()).await.unwrap();
        quorum
    }

    pub(super) async fn of(members: u64) -> Self {
        let mut quorum = Self::found(1_000).await;
        for member in 2..=members {
            quorum.join(member).await;
        }
        quorum
    }

    fn settings(&self, member: u64, ground: &Ground) -> Settings {
        let peers = Arc::new(Way { from: member, ways: Arc::clone(&self.ways) });
        let timing = Timing { heartbeat_ms: 40, silence_ms: 700 };
        Settings { peers, timing, keep_entries: self.keep_entries, ..ground.settings() }
    }

    pub(super) async fn join(&mut self, member: u64) {
        let ground = Ground::keeping(self.keep_entries);
        Log::create_member(&ground.dir, name(member), founding(), member).unwrap();
        self.grounds.insert(member, ground);
        let leader = self.log(self.leader().await);
        self.start(member).await;
        leader.add_learner(member).await.unwrap();
        let last = leader.chain_head().0;
        eventually("the learner has all facts", || self.log(member).chain_head().0 >= last).await;
        leader.promote(member).await.unwrap();
    }

    pub(super) async fn start(&self, member: u64) {
        let ground = &self.grounds[&member];
        let log = Log::open_with(&ground.dir, name(member), self.settings(member, ground)).await.unwrap();
        self.ways.lock().logs.insert(member, log);
    }

    pub(super) async fn stop(&self, member: u64) {
        let log = self.ways.lock().logs.remove(&member).unwrap();
        log.stop().await;
    }

    pub(super) fn log(&self, member: u64) -> Log {
        self.ways.lock().logs[&member].clone()
    }

    fn cut(&self, from: u64, to: u64) {
        self.ways.lock().cut.insert((from, to));
    }

    pub(super) fn cut_to(&self, to: &[u64], from: u64) {
        to.iter().for_each(|to| self.cut(from, *to));
    }

    /// From now on messages on this way get lost.
    pub(super) fn lose(&self, from: u64, to: u64) {
        self.ways.lock().lost.insert((from, to), vec![]);
    }

    /// The last that was lost on it; empty if none was.
    pub(super) fn last_lost(&self, from: u64, to: u64) -> Vec<u8> {
        self.ways.lock().lost[&(from, to)].clone()
    }

    /// From now on answers wait in front of this member, or get through again.
    pub(super) fn hold_answers(&self, to: u64, hold: bool) {
        let mut ways = self.ways.lock();
        if hold {
            ways.held.insert(to)
        } else {
            ways.held.remove(&to)
        };
    }

    pub(super) fn read_indexes(&self) -> usize {
        self.ways.lock().read_indexes
    }

    pub(super) fn isolate(&self, member: u64) {
        for other in self.grounds.keys().filter(|other| **other != member) {
            self.cut(member, *other);
            self.cut(*other, member);
        }
    }

    pub(super) fn heal(&self) {
        let mut ways = self.ways.lock();
        ways.cut.clear();
        ways.lost.clear();
    }

    /// Who leads, as everybody who runs agrees.
    pub(super) async fn leader(&self) -> u64 {
        let among: Vec<u64> = self.ways.lock().logs.keys().copied().collect();
        self.leader_among(&among).await
    }

    async fn leader_among(&self, members: &[u64]) -> u64 {
        let mut leader = 0;
        eventually("they agree on a leader", || {
            let told: BTreeSet<_> =
                members.iter().map(|member| self.log(*member)).map(|log| log.seats().leader).collect();
            leader = told.first().copied().flatten().unwrap_or_default();
            told.len() == 1 && members.contains(&leader) && self.log(leader).leads()
        })
        .await;
        leader
    }

    pub(super) fn follower_of(&self, leader: u64) -> u64 {
        *self.ways.lock().logs.keys().find(|member| **member != leader).unwrap()
    }

    /// The logs that run are equal, byte for byte, and so are their views.
    pub(super) async fn agree(&self) {
        let logs: Vec<Log> = self.ways.lock().logs.values().cloned().collect();
        eventually("all have the same facts", || {
            let heads: Vec<_> = logs.iter().map(Log::chain_head).collect();
            heads.windows(2).all(|pair| pair[0] == pair[1])
        })
        .await;
        for log in &logs {
            assert!(*log.views() == *logs[0].views(), "the views differ");
        }
    }
}

pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One step of a node, proposed by a member.
pub(super) fn by(member: u64, append: Append) -> Append {
    Append { proposed_by: name(member), ..append }
}

pub(super) async fn committed(log: &Log, append: Append) -> Committed {
    log.append(append).await.unwrap()
}

#[tokio::test]
async fn what_any_member_proposes_all_record_in_the_same_bytes() {
    let quorum = Quorum::of(3).await;
    let mut id = 1;
    for version in 0..4 {
        for member in 1..=3 {
            let name = format!("n{member}");
            let told = committed(&quorum.log(member), by(member, step(id, &name, version))).await;
            // R10: whoever answers has applied it.
            assert!(quorum.log(member).chain_head().0 >= told.last_seq);
            id += 1;
        }
    }
    quorum.agree().await;
    let [one, other] = [1, 3].map(|member| {
        let log = quorum.log(member);
        (1..=log.chain_head().0).map(|seq| log.fact_json(seq).unwrap().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(one, other);
}

#[tokio::test]
async fn rule_07_the_same_append_sent_to_two_members_is_recorded_once() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    let append = by(follower, step(1, "n1", 0));
    let first = committed(&quorum.log(follower), append.clone()).await;
    let again = committed(&quorum.log(follower), append.clone()).await;
    assert_eq!(first, again);
    let other = by(follower, step(2, "n1", 0));
    let refused = quorum.log(follower).append(other).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { found: 1, .. }), "{refused}");
    assert_eq!(quorum.log(leader).version(&node("n1")).unwrap(), 1);
}

#[tokio::test]
async fn rule_01_a_member_records_nothing_in_the_name_of_another() {
    let quorum = Quorum::of(2).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    let refused = quorum.log(follower).append(by(leader, step(1, "n1", 0))).await.unwrap_err();
    assert_eq!(refused, AppendError::Malformed);
}

#[tokio::test]
async fn rule_07_appends_under_way_when_the_leader_goes_are_recorded_once_by_the_next() {
    let quorum = Arc::new(Quorum::of(3).await);
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    let log = quorum.log(follower);
    let writing = tokio::spawn(async move {
        for version in 0..60 {
            let told = log.append(by(follower, step(version + 1, "n1", version))).await;
            told.unwrap_or_else(|error| panic!("{version}: {error}"));
        }
    });
    let third = (1..=3).find(|member| ![leader, follower].contains(member)).unwrap();
    eventually("some are recorded", || quorum.log(third).version(&node("n1")).unwrap() > 10).await;
    quorum.isolate(leader);
    writing.await.unwrap();
    assert_eq!(quorum.log(follower).version(&node("n1")).unwrap(), 60);
    let next = quorum.leader_among(&[follower, third]).await;
    assert_ne!(next, leader);
    quorum.heal();
    quorum.agree().await;
    assert_eq!(quorum.log(leader).version(&node("n1")).unwrap(), 60);
}

#[tokio::test]
async fn rule_03_a_leader_without_its_quorum_acknowledges_nothing_and_what_it_wrote_is_dropped_or_kept_by_all()
 {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let others: Vec<u64> = (1..=3).filter(|member| *member != leader).collect();
    quorum.isolate(leader);
    let alone = quorum.log(leader);
    let lost = tokio::spawn(async move { alone.append(by(leader, step(1, "lost", 0))).await });
    let next = quorum.leader_among(&others).await;
    committed(&quorum.log(next), by(next, step(2, "kept", 0))).await;
    assert_eq!(lost.await.unwrap(), Err(AppendError::NoLeader));
    quorum.heal();
    quorum.agree().await;
    for member in 1..=3 {
        assert_eq!(quorum.log(member).version(&node("kept")).unwrap(), 1);
        assert_eq!(quorum.log(member).version(&node("lost")).unwrap(), 0);
    }
}

#[tokio::test]
async fn rule_17_proof_of_freshness_grows_old_where_no_quorum_is_heard() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    let fresh = |member| quorum.log(member).age().is_some_and(|age| age < Duration::from_millis(150));
    eventually("everybody is fresh", || (1..=3).all(fresh)).await;
    quorum.isolate(follower);
    let old = |member| quorum.log(member).age().is_none_or(|age| age > Duration::from_millis(400));
    eventually("the one that is cut off is not", || old(follower)).await;
    assert!(fresh(leader));
    quorum.isolate(leader);
    eventually("nor is a leader without its quorum", || old(leader)).await;
    quorum.heal();
    eventually("everybody is fresh again", || (1..=3).all(fresh)).await;
}

#[tokio::test]
async fn rule_10_a_read_index_shows_what_was_recorded_elsewhere_before_it() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    for version in 0..10 {
        let told = committed(&quorum.log(leader), by(leader, step(version + 1, "n1", version))).await;
        let seen = quorum.log(follower).read_index(SOON).await.unwrap();
        assert!(seen >= told.last_seq && quorum.log(follower).chain_head().0 >= told.last_seq);
    }
    quorum.isolate(follower);
    assert!(quorum.log(follower).read_index(Duration::from_millis(300)).await.is_err());
}

#[tokio::test]
async fn rule_27_a_member_far_behind_gets_the_facts_that_it_lacks_and_an_erased_remark_stays_erased() {
    let mut quorum = Quorum::found(10).await;
    let founder = quorum.log(1);
    committed(&founder, operator_created(900)).await;
    for version in 0..200 {
        committed(&founder, step(version + 1, "n1", version)).await;
    }
    committed(&founder, remark_erased(901, 2, 1)).await;
    eventually("the Raft log was purged", || founder.raft().applied_index > 100).await;
    quorum.join(2).await;
    quorum.join(3).await;
    quorum.agree().await;
    assert_eq!(quorum.log(3).record(2).unwrap().unwrap().1, [], "the remark is not there");
    // One that was away, and one that starts again in the middle of it.
    quorum.stop(3).await;
    for version in 200..400 {
        committed(&founder, step(version + 1, "n1", version)).await;
    }
    quorum.start(3).await;
    quorum.agree().await;
    for member in 1..=3 {
        quorum.stop(member).await;
    }
    let bytes = |member: &u64| {
        let store = Store::open_read_only(&quorum.grounds[member].dir.join(keys::DIRECTORY)).unwrap();
        let rows = store.scan(keys::FACTS, &[]).map(Result::unwrap);
        rows.map(|(key, value)| {
            let value = StoredValue::parse(&value).unwrap();
            (key, *value.chain.as_bytes(), value.body.to_vec())
        })
        .collect::<Vec<_>>()
    };
    let first = bytes(&1);
    assert_eq!(first.len(), 403);
    assert!([2, 3].iter().all(|member| bytes(member) == first), "the logs are not the same bytes");
}

#[tokio::test]
async fn all_members_stopped_and_started_again_go_on() {
    let quorum = Quorum::of(3).await;
    committed(&quorum.log(2), by(2, step(1, "n1", 0))).await;
    for member in 1..=3 {
        quorum.stop(member).await;
    }
    for member in [3, 1, 2] {
        quorum.start(member).await;
    }
    committed(&quorum.log(3), by(3, step(2, "n1", 1))).await;
    quorum.agree().await;
}

#[tokio::test]
async fn a_leader_steps_aside_for_another_and_an_evicted_member_counts_no_more() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let next = quorum.follower_of(leader);
    quorum.log(leader).transfer(next).await.unwrap();
    assert_eq!(quorum.leader().await, next);
    let third = (1..=3).find(|member| ![leader, next].contains(member)).unwrap();
    quorum.log(next).remove(third).await.unwrap();
    eventually("it is no voter", || !quorum.log(next).seats().voters.contains(&third)).await;
    quorum.stop(third).await;
    committed(&quorum.log(leader), by(leader, step(1, "n1", 0))).await;
}

#[tokio::test]
async fn whoever_is_asked_the_leader_steps_aside() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let next = quorum.follower_of(leader);
    let third = (1..=3).find(|member| ![leader, next].contains(member)).unwrap();
    for (asked, to) in [(third, next), (leader, leader), (leader, third), (next, third), (third, third)] {
        quorum.log(asked).hand_over(to).await.unwrap();
        assert_eq!(quorum.log(asked).seats().leader, Some(to), "who was asked knows");
        assert_eq!(quorum.leader().await, to);
    }
    let refused = quorum.log(next).hand_over(9).await.unwrap_err();
    let says = refused.to_string();
    assert!(says.contains("does not vote"), "as the leader says: {says}");
    assert_eq!(quorum.leader().await, third);
    committed(&quorum.log(leader), by(leader, step(1, "n1", 0))).await;
}

#[tokio::test]
async fn a_leader_that_steps_aside_writes_nothing_meanwhile_and_goes_on_if_the_other_does_not_lead() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let next = quorum.follower_of(leader);
    eventually("it could lead", || quorum.log(leader).fit_members().contains(&next)).await;
    // given: it lacks an entry, and does not get it
    quorum.lose(leader, next);
    let log = quorum.log(leader);
    committed(&log, by(leader, step(1, "n1", 0))).await;

    let (transfer, append) = (log.transfer(next), log.append(by(leader, step(2, "n1", 1))));
    tokio::pin!(transfer, append);
    let refused = tokio::select! {
        biased;
        refused = &mut transfer => refused,
        written = &mut append => panic!("written while the lead was on its way: {written:?}"),
    };

    assert_eq!(refused.unwrap_err(), TransferError::Behind);
    append.await.unwrap();
    assert!(log.leads(), "it leads on");
    quorum.heal();
    quorum.agree().await;
}

#[tokio::test]
async fn nothing_waits_for_a_voter_that_is_away_and_shall_lead() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let away = quorum.follower_of(leader);
    quorum.stop(away).await;
    eventually("it is missed", || !quorum.log(leader).heard_members().contains(&away)).await;
    let log = quorum.log(leader);
    let (transfer, append) = (log.transfer(away), log.append(by(leader, step(1, "n1", 0))));
    tokio::pin!(transfer, append);
    tokio::select! {
        biased;
        _ = &mut transfer => panic!("the append was held up"),
        written = &mut append => drop(written.unwrap()),
    }
    assert_eq!(transfer.await.unwrap_err(), TransferError::Silent);
}

#[test]
fn a_member_of_which_raft_knows_nothing_yet_is_not_alone() {
    let before_the_first_step = RaftMetrics::new_initial(1);
    assert!(!is_alone(&before_the_first_step), "it may be one of many that starts again");
}

#[tokio::test]
async fn the_founder_starts_again_while_another_leads() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    if leader == 1 {
        quorum.log(1).transfer(2).await.unwrap();
    }
    let leader = quorum.leader().await;
    committed(&quorum.log(leader), by(leader, step(1, "n1", 0))).await;
    quorum.stop(1).await;
    quorum.start(1).await;
    assert!(!quorum.log(1).is_alone(), "it does not take itself for the only one");
    committed(&quorum.log(1), by(1, step(2, "n1", 1))).await;
    quorum.agree().await;
}

#[tokio::test]
async fn rule_27_what_an_evicted_member_had_sent_before_is_not_recorded_whoever_leads() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let evicted = quorum.follower_of(leader);
    committed(&quorum.log(leader), by(leader, journal_joining(1, &name(evicted), evicted))).await;
    quorum.agree().await;
    // What it sends is on its way for a while.
    quorum.lose(evicted, leader);
    let log = quorum.log(evicted);
    let sending = tokio::spawn(async move { log.append(by(evicted, step(2, "n1", 0))).await });
    eventually("it is on its way", || !quorum.last_lost(evicted, leader).is_empty()).await;
    let late = quorum.last_lost(evicted, leader);
    assert!(matches!(wire::read(&late), Ok(Ask::Record(..))));
    committed(&quorum.log(leader), by(leader, journal_evicted(3, &name(evicted)))).await;

    // It has its seat in Raft yet, so that nothing but the facts shows that it is evicted.
    let answer = quorum.log(leader).answer(&name(evicted), &late).await.unwrap();

    let Told::Recorded(recorded, _) = wire::read(&answer).unwrap() else { panic!("it is an answer") };
    let [Recorded::Outcome(Outcome::Conflict { stream, found: 2, .. })] = &*recorded else {
        panic!("{recorded:?}")
    };
    assert_eq!(*stream, StreamName::Journal(name(evicted)));
    // Nor what it decides when it knows.
    quorum.heal();
    quorum.agree().await;
    let refused = quorum.log(evicted).append(by(evicted, step(4, "n1", 0))).await;
    assert_eq!(refused, Err(AppendError::NoLeader));
    let sent = sending.await.unwrap();
    assert!(matches!(sent, Err(AppendError::Conflict { .. } | AppendError::NoLeader)), "{sent:?}");
    assert_eq!(quorum.log(leader).version(&node("n1")).unwrap(), 0);
}

#[tokio::test]
async fn rule_07_an_append_sent_again_is_the_same_although_its_journals_stream_moved_meanwhile() {
    let quorum = Quorum::of(2).await;
    let leader = quorum.leader().await;
    let log = quorum.log(leader);
    let append = by(leader, step(1, "n1", 0));
    let first = committed(&log, append.clone()).await;
    committed(&log, by(leader, journal_announced(2, &name(leader)))).await;
    assert_eq!(committed(&log, append).await, first);
}
