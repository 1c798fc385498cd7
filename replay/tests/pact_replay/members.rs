//! The journals of a quorum, as a log tells of them: states, words, differences.

use events::domain;
use events::fact::{Fact, Record};
use events::member::{Endpoints, Event};
use events::vocabulary::{CertificateHash, JoinTokenId, JournalId, KeyHash, SecretHash};
use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::preface;
use crate::written_log::{Closed, WrittenLog, at, remark};

fn j2() -> JournalId {
    "j2".parse().expect("an id")
}

fn endpoints(host: &str) -> Endpoints {
    Endpoints {
        cluster: format!("{host}:9444"),
        agent: format!("https://{host}:9443"),
        operator: format!("https://{host}:9446"),
    }
}

/// The preface; a token (fact 4), by which j2 comes (5 and 6, one append) and votes (7); j1 announces (8); j2 is evicted (9).
fn quorum() -> Closed {
    let mut log = WrittenLog::create();
    preface(&mut log);
    let secret_sha256 = SecretHash::of(b"secret");
    let (token_id, expires_at) = (JoinTokenId::new(at(4), 7), at(3600));
    log.append(Fact::Domain(domain::Event::JoinTokenCreated { token_id, secret_sha256, expires_at }), &[]);
    let joining = Event::Joining {
        raft_id: 2,
        endpoints: endpoints("h2"),
        certificate: CertificateHash::of(b"j2"),
        key: KeyHash::of(b"key"),
        token: secret_sha256,
    };
    let mut first: Option<Record> = None;
    for fact in joining.into_facts(&j2()) {
        let mut record = log.record(fact);
        if let Some(first) = &first {
            record = Record {
                append_id: first.append_id,
                decided_at: first.decided_at,
                recorded_at: first.recorded_at,
                ..record
            };
        }
        let body = events::codec::encode_body(&record).expect("within the limit");
        log.append_body(&record, &body, &[]);
        first = Some(record);
    }
    log.append(Fact::Member(j2(), Event::Joined), &[]);
    let certificate = CertificateHash::of(b"j1");
    let announced = Event::Announced { endpoints: endpoints("h1"), certificate };
    log.append(Fact::Member("j1".parse().expect("an id"), announced), &[]);
    let reason = remark("burnt");
    let evicted = Event::Evicted { reason: Some(reason.hash()) };
    log.append(Fact::Member(j2(), evicted), std::slice::from_ref(&reason));
    log.close()
}

fn members(log: &Closed, seq: &str) -> Value {
    json(&run(&["state", path(log.path()), "--seq", seq, "-o", "json"]))["members"].clone()
}

#[test]
fn the_founder_is_the_first_member() {
    let founder = json!([{
        "journal_id": "j1", "raft_id": 1, "standing": "voter", "cluster": null, "agent": null, "operator": null,
        "certificate_sha256": null, "spki_sha256": null, "version": 0,
    }]);
    assert_eq!(members(&quorum(), "1"), founder);
}

#[test]
fn a_journal_joins_votes_and_is_evicted() {
    let log = quorum();
    let of_j2 = |seq| {
        let members = members(&log, seq);
        let row = members.as_array().unwrap().iter().find(|row| row["journal_id"] == "j2").cloned();
        row.map(|row| (row["standing"].clone(), row["cluster"].clone(), row["raft_id"].clone()))
    };
    assert_eq!(of_j2("5"), None);
    assert_eq!(of_j2("6"), Some((json!("joining"), json!("h2:9444"), json!(2))));
    assert_eq!(of_j2("7"), Some((json!("voter"), json!("h2:9444"), json!(2))));
    assert_eq!(of_j2("9"), Some((json!("evicted"), Value::Null, json!(2))));
}

#[test]
fn a_log_of_a_quorum_is_verified() {
    let output = run(&["verify", path(quorum().path()), "-o", "json"]);
    assert_eq!((code(&output), json(&output)["facts"].clone()), (0, json!(9)), "{output:?}");
}

#[test]
fn facts_about_journals_are_told_in_words() {
    let log = quorum();
    let sentence = |seq| {
        let explained = json(&run(&["explain", path(log.path()), "--seq", seq, "-o", "json"]));
        explained["sentence"].as_str().unwrap().to_owned()
    };
    assert!(sentence("5").starts_with("Journal j2 came by the join token "), "{}", sentence("5"));
    assert!(sentence("6").starts_with("Journal j2 was let in as number 2, "), "{}", sentence("6"));
    assert!(sentence("7").starts_with("Journal j2 has learned the log and votes "), "{}", sentence("7"));
    assert!(sentence("8").starts_with("Journal j1 says that it listens at h1:9444 "), "{}", sentence("8"));
    let evicted = sentence("9");
    assert!(evicted.starts_with("Journal j2 is no member any more"), "{evicted}");
    assert!(evicted.ends_with(" The reason given: burnt."), "{evicted}");
}

#[test]
fn a_difference_tells_who_came_and_who_went() {
    let log = quorum();
    let printed = text(&run(&["diff", path(log.path()), "--from", "4", "--to", "7"]).stdout);
    assert!(printed.lines().any(|line| line == "  + j2 (voter)"), "{printed}");
    let printed = text(&run(&["diff", path(log.path()), "--from", "7", "--to", "9"]).stdout);
    assert!(printed.lines().any(|line| line == "      standing: voter -> evicted"), "{printed}");
}
