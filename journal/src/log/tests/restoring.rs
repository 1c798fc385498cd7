//! A log that is gone on with by another journal (R27).

use events::append::Append;
use events::codec::keys;
use events::domain;
use events::fact::Fact;
use events::stream::StreamName;
use events::vocabulary::{JoinTokenId, JournalId, Overlay, SecretHash, Timestamp};

use super::fixture::{Ground, append, step};
use crate::log::store::{Row, Store};
use crate::log::{Log, RestoringError};

/// The creation of the join token of this number: a sound fact that needs nothing but the domain.
fn token(number: u64) -> Append {
    let secret_sha256 = SecretHash::of(&number.to_be_bytes());
    let event = domain::Event::JoinTokenCreated {
        token_id: JoinTokenId::new(Timestamp::from_millis(0), number.into()),
        secret_sha256,
        expires_at: Timestamp::from_millis(2_000_000_000_000),
    };
    let expects = [(StreamName::Domain, number), (StreamName::Join(secret_sha256), 0)];
    append(number, &expects, vec![Fact::Domain(event)])
}

async fn tokens(log: &Log, last: u64) {
    for number in 1..=last {
        log.append(token(number)).await.unwrap();
    }
}

fn founder() -> JournalId {
    "j1000".parse().unwrap()
}

fn rows(ground: &Ground, column: &str) -> Vec<Row> {
    let store = Store::open_read_only(&ground.dir.join(keys::DIRECTORY)).unwrap();
    store.scan(column, &[]).map(Result::unwrap).collect()
}

#[tokio::test]
async fn rule_27_a_log_is_taken_over_byte_by_byte_and_goes_on_alone_under_another_raft_id() {
    let old = Ground::new();
    let log = old.create().await;
    tokens(&log, 3).await;
    let (views, head) = (log.views().clone(), log.chain_head());
    log.stop().await;
    let before = super::fixture::files(&old.dir);

    let new = Ground::new();
    let restoration = Log::take_over(&old.dir, &new.dir).unwrap();
    assert_eq!((restoration.views(), restoration.head()), (&views, head.1));
    let log = restoration.found(founder(), 1000).await.unwrap();
    assert!(log.is_alone() && log.leads() && log.is_fresh());
    log.stop().await;

    assert!(before == super::fixture::files(&old.dir), "the other log is not changed");
    for column in [keys::FACTS, keys::HEADS, keys::SUBJECTS, keys::OVERLAYS] {
        assert_eq!(rows(&new, column), rows(&old, column), "{column}");
    }
    for _ in 0..2 {
        let log = new.try_open(founder()).await.unwrap();
        assert!(log.is_alone() && log.leads());
        assert_eq!((&*log.views(), log.chain_head()), (&views, head));
        log.stop().await;
    }
    let log = new.try_open(founder()).await.unwrap();
    log.append(token(4)).await.unwrap();
    assert_eq!(log.chain_head().0, head.0 + 1);
    log.stop().await;
    assert!(new.try_open(super::fixture::journal()).await.is_err(), "it belongs to the new journal");
}

/// A crash may leave entries that are synced and not applied, and the two who acknowledged them are lost.
#[tokio::test]
async fn rule_27_what_was_synced_and_not_applied_is_recorded_too() {
    let old = Ground::new();
    let log = old.create().await;
    tokens(&log, 5).await;
    let head = log.chain_head();
    let crashed = old.image();
    log.stop().await;
    let [wal] = crashed.store_files(".log").try_into().unwrap();
    let whole = std::fs::metadata(&wal).unwrap().len();
    let mut applied = 0;
    for cut in (0..1200).step_by(23) {
        let image = crashed.image();
        let wal = image.store_files(".log").pop().unwrap();
        std::fs::File::options().write(true).open(&wal).unwrap().set_len(whole - cut).unwrap();
        if Log::inspect(&image.dir, &super::fixture::journal()).is_err() {
            continue;
        }
        let new = Ground::new();
        let restoration = Log::take_over(&image.dir, &new.dir).unwrap();
        assert_eq!((restoration.views().seq, restoration.head()), head, "cut {cut}");
        applied += usize::from(rows(&image, keys::FACTS).len() < rows(&old, keys::FACTS).len());
    }
    assert!(applied > 3, "{applied}");
}

#[tokio::test]
async fn rule_27_a_log_that_makes_no_sense_is_not_taken_over_and_says_where() {
    let old = Ground::new();
    let log = old.create().await;
    tokens(&log, 1).await;
    log.append(step(9, "n1", 0)).await.unwrap();
    log.stop().await;
    let new = Ground::new();
    let error = Log::take_over(&old.dir, &new.dir).err().unwrap();
    assert!(matches!(error, RestoringError::Continue(_)), "{error:?}");
    assert!(error.to_string().contains("fact 3 breaks node_fact_fits_its_state"), "{error}");
}

#[tokio::test]
async fn overlays_are_taken_over_with_the_facts_that_name_them() {
    let old = Ground::new();
    let log = old.create().await;
    let set = |number: u64, bytes: &[u8]| {
        let overlay = Overlay::of(bytes).unwrap();
        let vcluster: events::vocabulary::VClusterId = "prod".parse().unwrap();
        let stream = StreamName::VCluster(vcluster.clone());
        let event = events::vcluster::Event::OverlaySet { overlay };
        append(number, &[(stream, number - 1)], vec![Fact::VCluster(vcluster, event)])
    };
    for (number, bytes) in [(1, b"one"), (2, b"two"), (3, b"one")] {
        log.append_with_overlay(set(number, bytes), bytes.to_vec()).await.unwrap();
    }
    log.stop().await;
    let new = Ground::new();
    drop(Log::take_over(&old.dir, &new.dir).unwrap());
    assert_eq!(rows(&new, keys::OVERLAYS), rows(&old, keys::OVERLAYS));
    assert_eq!(rows(&new, keys::OVERLAYS).len(), 2);
}
