//! When the next journal is tried, as arithmetic; and rounds over loopback with journals that are wrong in their own way.

use std::cell::RefCell;

use events::vocabulary::HardwareIdentity;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::{enroll, fake_journal::FakeJournal, key::NodeKey, machine::Machine};

/// On a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(700);

#[test]
fn rule_19_the_next_journal_is_tried_once_all_others_made_no_progress_for_a_second() {
    let began = Instant::now();
    let at = |millis| began + Duration::from_millis(millis);
    assert_eq!(next_try(0, None, at(5)), Some(at(5)), "the first at once");
    // At 0.999 s it waits, at 1.000 s it does not.
    assert_eq!(next_try(1, Some(began), at(999)), Some(at(1000)));
    assert_eq!(next_try(2, Some(at(1000)), at(1999)), Some(at(2000)));
    assert_eq!(next_try(AT_ONCE, Some(at(2000)), at(9000)), None, "no more at once");
    assert_eq!(next_try(1, Some(began), at(1700)), Some(at(1000)), "the one beside it failed: at once");
}

/// What happens to a try: it stands, fails or stalls for ever, after so many milliseconds.
#[derive(Clone, Copy)]
enum Try {
    Stands(u64),
    Fails(u64),
    Stalls,
}

/// Who stood first, after how many milliseconds, and in which order they were tried.
async fn raced(waiting: &mut VecDeque<usize>, tries: &[Try]) -> (Option<usize>, u128, Vec<usize>) {
    let (began, tried, mut kept) = (Instant::now(), RefCell::new(Vec::new()), None);
    let first = first_to_stand(waiting, &mut kept, |nth: usize| {
        tried.borrow_mut().push(nth);
        let script = tries[nth];
        async move {
            match script {
                Try::Stands(millis) => {
                    time::sleep(Duration::from_millis(millis)).await;
                    Ok(nth)
                }
                Try::Fails(millis) => {
                    time::sleep(Duration::from_millis(millis)).await;
                    Err(Failure::Unreachable(format!("{nth} is not there")))
                }
                Try::Stalls => std::future::pending().await,
            }
        }
    });
    let first = first.await.unwrap();
    (first, began.elapsed().as_millis(), tried.into_inner())
}

#[tokio::test]
async fn a_journal_that_serves_is_the_only_one_that_is_tried() {
    let mut waiting = VecDeque::from([0, 1, 2]);
    let (first, _, tried) = raced(&mut waiting, &[Try::Stands(1), Try::Stands(0), Try::Stands(0)]).await;
    assert_eq!((first, tried), (Some(0), vec![0]));
    assert_eq!(waiting, [1, 2]);
}

#[tokio::test]
async fn whoever_fails_is_followed_at_once_and_is_not_tried_again() {
    let mut waiting = VecDeque::from([0, 1, 2]);
    let (first, millis, tried) = raced(&mut waiting, &[Try::Fails(0), Try::Fails(1), Try::Stands(0)]).await;
    assert_eq!((first, tried), (Some(2), vec![0, 1, 2]));
    assert!(millis < STALLED_AFTER.as_millis(), "{millis} ms");
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn rule_19_beside_one_that_stalls_the_next_is_tried_and_the_stalled_one_comes_last() {
    let mut waiting = VecDeque::from([0, 1, 2]);
    let (first, millis, tried) = raced(&mut waiting, &[Try::Stalls, Try::Stands(1), Try::Stalls]).await;
    assert_eq!((first, tried), (Some(1), vec![0, 1]));
    assert!(millis >= 1000 && millis < 1000 + SLACK.as_millis(), "{millis} ms");
    assert_eq!(waiting, [2, 0]);
}

#[tokio::test]
async fn rule_19_a_slow_journal_that_stands_first_is_taken_though_another_is_tried_beside_it() {
    let mut waiting = VecDeque::from([0, 1]);
    let (first, millis, tried) = raced(&mut waiting, &[Try::Stands(1200), Try::Stalls]).await;
    assert_eq!((first, tried), (Some(0), vec![0, 1]));
    assert!(millis >= 1200, "{millis} ms");
    assert_eq!(waiting, [1]);
}

#[tokio::test]
async fn rule_19_no_more_than_three_are_connected_to_at_once() {
    let mut waiting = VecDeque::from([0, 1, 2, 3]);
    let tries = [Try::Stalls, Try::Stalls, Try::Fails(1500), Try::Stands(0)];
    let (first, millis, tried) = raced(&mut waiting, &tries).await;
    assert_eq!((first, tried), (Some(3), vec![0, 1, 2, 3]));
    // The fourth was not tried at 3 s, but when the third had failed.
    assert!(millis >= 3500 && millis < 3500 + SLACK.as_millis(), "{millis} ms");
}

#[tokio::test]
async fn a_round_in_which_nobody_serves_ends() {
    let mut waiting = VecDeque::from([0, 1]);
    let (first, _, tried) = raced(&mut waiting, &[Try::Fails(0), Try::Fails(0)]).await;
    assert_eq!((first, tried), (None, vec![0, 1]));
}

fn address(listener: &TcpListener) -> JournalAddress {
    format!("https://{}", listener.local_addr().unwrap()).parse().unwrap()
}

/// The kernel accepts whoever comes, and nobody ever says a word: so does a stopped process, or a half-open connection.
async fn silent() -> (TcpListener, JournalAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = address(&listener);
    (listener, address)
}

/// Its backlog is full, so that the kernel drops every SYN: so does a machine that is gone.
async fn unreachable() -> (TcpListener, Vec<TcpStream>, JournalAddress) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let (at, mut filling) = (listener.local_addr().unwrap(), Vec::new());
    while let Ok(Ok(stream)) = time::timeout(Duration::from_millis(100), TcpStream::connect(at)).await {
        filling.push(stream);
        assert!(filling.len() < 100, "its backlog has no end");
    }
    let address = address(&listener);
    (listener, filling, address)
}

/// Enrolls with a stalled journal as the first of the round. Answers how long that took.
async fn enrolled_beside(stalled: &JournalAddress, journal: &FakeJournal) -> Duration {
    let journals = Journals::new(journal.journals().trust, vec![stalled.clone(), journal.address().clone()]);
    let (journals, began) = (journals.unwrap(), Instant::now());
    let mut round = Round::new(&journals, Preference::First(stalled), None, Patience::ENDLESS);
    let connection = round.connect().await.unwrap().unwrap();
    assert_eq!(connection.address(), journal.address());
    began.elapsed()
}

#[tokio::test]
async fn rule_19_a_journal_that_says_nothing_costs_little_more_than_a_second() {
    let journal = FakeJournal::start(Vec::new()).await;
    let (_listener, stalled) = silent().await;
    let took = enrolled_beside(&stalled, &journal).await;
    assert!(took >= STALLED_AFTER && took < STALLED_AFTER + SLACK, "{took:?}");
}

#[tokio::test]
async fn rule_19_a_journal_whose_machine_is_gone_costs_little_more_than_a_second() {
    let journal = FakeJournal::start(Vec::new()).await;
    let (_listener, _filling, stalled) = unreachable().await;
    let took = enrolled_beside(&stalled, &journal).await;
    assert!(took >= STALLED_AFTER && took < STALLED_AFTER + SLACK, "{took:?}");
}

#[tokio::test]
async fn rule_19_of_five_journals_two_that_stall_cost_little_more_than_two_seconds_and_enroll_is_sent_once() {
    let journals = FakeJournal::start(Vec::new()).await;
    let (one, two) = (silent().await, unreachable().await);
    let trust = journals.journals().trust;
    let known = vec![one.1.clone(), two.2.clone(), journals.address().clone()];
    let known = Journals::new(trust, known).unwrap();
    let machine = Machine::just_booted(HardwareIdentity::default());
    for _ in 0..3 {
        let (key, began) = (NodeKey::generate().unwrap(), Instant::now());
        let enrolled = enroll::enroll(&known, &machine, &key, Patience::ENDLESS).await.unwrap();
        assert!(began.elapsed() < 2 * STALLED_AFTER + SLACK, "{:?}", began.elapsed());
        assert_eq!(enrolled.journal, *journals.address());
    }
    assert_eq!(journals.enroll_requests().len(), 3);
}

#[tokio::test]
async fn a_connection_that_lost_the_race_is_closed() {
    let journal = FakeJournal::start(Vec::new()).await;
    let (listener, stalled) = silent().await;
    let journals = Journals::new(journal.journals().trust, vec![stalled.clone(), journal.address().clone()]);
    let journals = journals.unwrap();
    let mut round = Round::new(&journals, Preference::First(&stalled), None, Patience::ENDLESS);
    let connection = round.connect().await.unwrap().unwrap();

    let (mut lost, _) = listener.accept().await.unwrap();

    // What it said lies there, and then its end.
    let mut said = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut lost, &mut said);
    time::timeout(Duration::from_secs(60), end).await.unwrap().unwrap();
    assert!(!said.is_empty());
    drop(connection);
}
