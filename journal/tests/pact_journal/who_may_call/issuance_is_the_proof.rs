//! R10: a certificate opens what its issuance fact says. What no fact records is refused, whoever signed it.

use std::time::{Duration, SystemTime};

use events::append::Append;
use events::authority::Event as AuthorityEvent;
use events::certificate::Terms;
use events::fact::Fact;
use events::node::{
    Command, Decision, Enroll, Event, Former, Issue, KeyClaim, Register, State, decide, evolve,
};
use events::stream::StreamVersion;
use events::vocabulary::{
    AppendId, Assurance, AuthorityId, Der, HardwareIdentity, Labels, NodeId, Principal, Serial, Timestamp,
};
use journal::authority::{Csr, EphemeralAuthority, Identity};
use journal::log::Log;
use proto::channel::ConnectionRefusal;
use proto::pem_file::Credential;
use rcgen::{CertificateParams, KeyPair};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::journal_process::{DataDirectory, Journal, shared};
use crate::request::{csr, mac, next};

use super::{agents_door, enrolled, operators_door};

fn credential(der: &[u8], issuer: Option<&Der>, key: &KeyPair) -> Credential {
    let chain = [der.to_vec()].into_iter().chain(issuer.map(|der| der.as_bytes().to_vec()));
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credential::new(chain.map(CertificateDer::from).collect(), key).unwrap()
}

#[tokio::test]
async fn rule_10_the_journals_own_server_certificate_opens_nothing() {
    let journal = shared();
    let own = Credential::read(&journal.dir.path().join("server.pem")).unwrap();
    assert_eq!(agents_door(&journal, &own).await, Some(ConnectionRefusal::Unknown));
    assert_eq!(operators_door(&journal, &own).await, Some(ConnectionRefusal::Unknown));
}

#[tokio::test]
async fn rule_10_a_self_signed_certificate_opens_nothing_whatever_it_says() {
    let journal = shared();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "pact-operator/admin@test");
    let own = params.self_signed(&key).unwrap();
    let own = credential(own.der(), None, &key);
    assert_eq!(agents_door(&journal, &own).await, Some(ConnectionRefusal::Unknown));
    assert_eq!(operators_door(&journal, &own).await, Some(ConnectionRefusal::Unknown));
}

#[tokio::test]
async fn rule_10_an_operator_of_another_domain_is_nobody_here() {
    let journal = shared();
    let other = DataDirectory::init("test");
    assert_eq!(operators_door(&journal, &other.operator()).await, Some(ConnectionRefusal::Unknown));
}

#[tokio::test]
async fn rule_10_a_certificate_without_its_key_opens_nothing() {
    let journal = shared();
    let node = enrolled(&journal).await;
    let thief = KeyPair::generate().unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(
        &PrivateKeyDer::try_from(thief.serialize_der()).unwrap(),
    );
    let chain = vec![CertificateDer::from(node.issued.certificate.clone())];
    let shown = rustls::sign::CertifiedKey::new(chain, key.unwrap());
    let told = super::transport::first_bytes(&journal, Some(shown)).await;
    assert!(told.is_err(), "the handshake fails");
}

/// An authority whose key this test holds, announced in the log like any other, and the node that it certified.
struct Planted {
    dir: DataDirectory,
    recorded: Credential,
    same_again: Credential,
    unrecorded: Credential,
}

#[tokio::test]
async fn rule_10_what_an_announced_authority_signed_and_no_fact_records_opens_nothing() {
    let planted = plant().await;
    let journal = Journal::serve(planted.dir);
    assert_eq!(agents_door(&journal, &planted.recorded).await, None, "its fact is recorded: the control");
    let agent = journal.agent(Some(&planted.recorded)).await.unwrap();
    assert!(agent.subscribe().await.is_ok());

    for stolen in [&planted.unrecorded, &planted.same_again] {
        assert_eq!(agents_door(&journal, stolen).await, Some(ConnectionRefusal::Unknown));
        assert_eq!(operators_door(&journal, stolen).await, Some(ConnectionRefusal::Unknown));
    }
}

/// Writes into the log of a journal that does not run: an authority, a node, and one of three certificates for it.
async fn plant() -> Planted {
    let dir = DataDirectory::init("test");
    let log = Log::open(&dir.path(), "j1".parse().unwrap()).await.unwrap();
    let authority = authority();
    append(&log, vec![Fact::Authority(authority.id(), AuthorityEvent::Announced(authority.announced()))])
        .await;

    let (node, key, other_key) = (
        format!("n-{}", next()).parse::<NodeId>().unwrap(),
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
    );
    let hardware = HardwareIdentity::registered(&[mac(next())], "", "").unwrap();
    let register = Command::Register(Register {
        domain: "test".parse().unwrap(),
        hardware: hardware.clone(),
        labels: Labels::default(),
        macs: Default::default(),
        vcluster: None,
    });
    let Decision::Record(registered) = decide(&node, &State::Unknown, register).unwrap() else {
        unreachable!()
    };
    append(&log, of(&node, registered.clone())).await;

    let state = registered.iter().fold(State::Unknown, |state, event| evolve(state, event, now(), None));
    let issue = issue(&node, &state, &hardware, &key, &authority);
    let der = sign(&authority, &issue, &key);
    let again = sign(&authority, &issue, &key);
    assert_ne!(der, again, "ECDSA signatures differ");
    append(&log, of(&node, issue.complete(der.clone()))).await;
    let never = self::issue(&node, &state, &hardware, &other_key, &authority);
    let never = sign(&authority, &never, &other_key);
    log.stop().await;

    let issuer = &authority.announced().der;
    Planted {
        dir,
        recorded: credential(der.as_bytes(), Some(issuer), &key),
        same_again: credential(again.as_bytes(), Some(issuer), &key),
        unrecorded: credential(never.as_bytes(), Some(issuer), &other_key),
    }
}

fn authority() -> EphemeralAuthority {
    let id = AuthorityId::new(now(), u128::from_be_bytes(random()));
    let identity =
        Identity { domain: "test".parse().unwrap(), journal_id: "j1".parse().unwrap(), generation: 2, id };
    EphemeralAuthority::create(identity, Serial::from_random(random()), now(), Duration::from_secs(86_400))
        .unwrap()
}

fn issue(
    node: &NodeId,
    state: &State,
    hardware: &HardwareIdentity,
    key: &KeyPair,
    authority: &EphemeralAuthority,
) -> Issue {
    let command = Command::Enroll(Enroll {
        presented: hardware.clone(),
        macs: hardware.macs.iter().map(|mac| (*mac, node.clone())).collect(),
        key: Some(KeyClaim { key: Csr::parse(&csr(key)).unwrap().key(), holder: None }),
        boot_id: None,
        former: Former::Untouchable,
        terms: Terms {
            now: now(),
            serial: Serial::from_random(random()),
            jitter: 0,
            lifetime: Duration::from_secs(3600),
            authority: authority.id(),
            authority_not_after: authority.not_after(),
        },
    });
    let Decision::Issue(issue) = decide(node, state, command).unwrap() else { unreachable!() };
    *issue
}

fn sign(authority: &EphemeralAuthority, issue: &Issue, key: &KeyPair) -> Der {
    let csr = Csr::parse(&csr(key)).unwrap();
    authority.sign(&issue.profile, &csr.verify().unwrap()).unwrap()
}

fn of(node: &NodeId, events: Vec<Event>) -> Vec<Fact> {
    events.into_iter().map(|event| Fact::Node(node.clone(), event)).collect()
}

async fn append(log: &Log, facts: Vec<Fact>) {
    let names = facts.iter().flat_map(Fact::streams);
    let expects = names.map(|name| StreamVersion { version: log.version(&name).unwrap(), name }).collect();
    let issues = facts.iter().any(|fact| matches!(fact, Fact::Node(_, Event::CertificateIssued { .. })));
    let append = Append {
        append_id: AppendId::new(random()),
        decided_at: now(),
        principal: Principal::Anonymous,
        proposed_by: "j1".parse().unwrap(),
        source: None,
        assurance: issues.then_some(Assurance::Claimed),
        expects,
        facts,
        remarks: vec![],
    };
    log.append(append).await.unwrap();
}

fn now() -> Timestamp {
    Timestamp::default().plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}
