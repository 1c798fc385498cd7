//! R23: no key, token or certificate request in anything that a full run writes, but in the 0600 files that `init`
//! names.

mod needles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use journal::log::Log;
use proto::pb::EnrollRequest;
use rcgen::KeyPair;

use crate::calls::credential;
use crate::journal_process::{ANSWERED, DataDirectory, Journal};
use crate::request::{Impostor, Machine, csr};

use needles::Needles;

/// The token that a request carries; no release honours it yet.
const TOKEN: &str = "enroll_7Zq0kX1yVb3mPd5tRf8wLs2gHj4nCu6aEi9oQxTzYvB";

#[tokio::test]
async fn rule_23_no_secret_is_written_but_into_the_files_that_init_names() {
    let dir = DataDirectory::init_with("test", &[("RUST_LOG", "trace")]);
    let mut needles = Needles::default();
    let named = secrets_of_init(&dir, &mut needles);
    let mut journal = Journal::serve_with(dir, vec![("RUST_LOG", "trace")]);
    full_run(&journal, &mut needles).await;
    journal.terminate();
    let dir = journal.into_dir();

    let written = files(dir.folder());
    assert!(dir.last_words().contains("TRACE"), "the log tells everything");
    let (own, others): (Vec<_>, Vec<_>) = written.into_iter().partition(|path| named.contains(path));
    for path in &own {
        let found = needles.found_in(&fs::read(path).unwrap());
        assert!(!found.is_empty(), "the control: {path:?} holds a secret, and the scan finds it");
    }
    for path in &others {
        let found = needles.found_in(&fs::read(path).unwrap());
        assert!(found.is_empty(), "{path:?} holds {found:?}");
    }
    facts_are_clean(&dir, &needles).await;
}

/// What `init` made and who may hold it: the paths, and the secrets in them.
fn secrets_of_init(dir: &DataDirectory, needles: &mut Needles) -> BTreeSet<PathBuf> {
    let path = |key: &str| PathBuf::from(dir.made[key].as_str().expect("init names it"));
    let keys = [path("operator"), path("domain_ca_key"), path("server")];
    for file in &keys {
        let text = fs::read_to_string(file).unwrap();
        let begin = text.find("-----BEGIN PRIVATE KEY").expect("it holds a key");
        needles.key(&file.display().to_string(), &KeyPair::from_pem(&text[begin..]).unwrap());
    }
    let token = fs::read_to_string(path("join_token")).unwrap();
    let (secret, _) = token.split_once(':').unwrap();
    needles.text("the join token", secret);
    needles.bytes("the join token's bytes", &hex::decode(secret).unwrap());
    keys.into_iter().chain([path("join_token")]).collect()
}

/// Everything that this release can do, with good requests and bad ones.
async fn full_run(journal: &Journal, needles: &mut Needles) {
    needles.text("the token", TOKEN);
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (machine, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    needles.key("the agent's key", &machine.key);
    needles.key("the other agent's key", &other.key);
    let issued = agent.enroll(&machine.hardware, &needles.csr("the request", machine.csr())).await.unwrap();
    agent.enroll(&other.hardware, &needles.csr("the other request", other.csr())).await.unwrap();

    let own = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    let mut subscription = own.subscribe().await.unwrap();
    let second = KeyPair::generate().unwrap();
    needles.key("the second key", &second);
    let renewal = needles.csr("the renewal", csr(&second));
    let renewed = own.renew(&issued.serial, &renewal).await.unwrap();
    own.renew(&"4f".repeat(16), &renewal).await.unwrap_err();
    let new = journal.agent(Some(&credential(&renewed, &second))).await.unwrap();
    new.subscribe().await.unwrap().goodbye().await;

    let held = KeyPair::generate().unwrap();
    needles.key("the impostor's key", &held);
    let forged =
        needles.csr("the forged request", csr(&Impostor { shown: KeyPair::generate().unwrap(), held }));
    agent.enroll(&machine.hardware, &forged).await.unwrap_err();
    let garbage = needles.csr("garbage", b"garbage 7Zq0kX1yVb3mPd5tRf8wLs2gHj4nCu6aEi9oQxTzYvB".to_vec());
    agent.enroll(&machine.hardware, &garbage).await.unwrap_err();
    let stranger = Machine::new();
    agent.enroll(&stranger.hardware, &needles.csr("the stranger's", stranger.csr())).await.unwrap_err();
    let with_token = EnrollRequest {
        hardware_identity: Some(other.hardware.clone()),
        csr: needles.csr("the request with a token", other.csr()),
        token: TOKEN.to_owned(),
        ..Default::default()
    };
    agent.enroll_as(with_token).await.unwrap_err();
    operator.revoke(&machine.node_id).await.unwrap();
    operator.decommission(&other.node_id).await.unwrap();
    tokio::time::timeout(ANSWERED, subscription.ended()).await.expect("the revocation cuts it");
    agent.enroll(&machine.hardware, &machine.csr()).await.unwrap_err();
}

/// RocksDB compresses its tables, so the facts are looked at once more, as they read.
async fn facts_are_clean(dir: &DataDirectory, needles: &Needles) {
    let log = Log::open(&dir.path(), "j1".parse().unwrap()).await.unwrap();
    let (last, _) = log.chain_head();
    assert!(last > 10, "the run has left facts");
    for seq in 1..=last {
        let record = log.record(seq).unwrap().expect("no gap");
        let stored = events::codec::encode::<{ 1 << 20 }>(&record.0).unwrap();
        let told = format!("{record:?}");
        let json = serde_json::to_vec(&record.0).unwrap();
        for form in [&stored, told.as_bytes(), &json] {
            let found = needles.found_in(form);
            assert!(found.is_empty(), "fact {seq} holds {found:?}");
        }
    }
    log.stop().await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
