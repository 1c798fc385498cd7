//! Certificate requests (R8, R12): what is no proof of a key is refused, what a request asks for beside is ignored.

use proto::pb::NodeState;
use proto::reason::Reason;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use crate::calls::{Agent, Operator, reason, refusal};
use crate::issued::{P256, P384, curve, is_exactly_rule_8};
use crate::journal_process::{Journal, shared};
use crate::openssl::Openssl;
use crate::request::{Impostor, Machine, csr};

/// Sends requests for a registered node of a journal that does nothing else: each is `CSR_INVALID`, its sentence has
/// the given words, and no fact follows.
async fn all_are_refused(requests: &[(&str, Vec<u8>, &str)]) {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let agent = journal.agent(None).await.unwrap();
    let before = operator.list().await.unwrap();

    for (what, request, words) in requests {
        let refusal = refusal(agent.enroll(&machine.hardware, request).await);
        assert_eq!(refusal.reason, Reason::CsrInvalid, "{what}");
        assert!(refusal.message.contains(words), "{what}: {refusal}");
    }

    let after = operator.list().await.unwrap();
    assert_eq!(after, before, "a bad request changes nothing");
    assert_eq!(after.nodes[0].state(), NodeState::Registered);
    assert!(agent.enroll(&machine.hardware, &machine.csr()).await.is_ok(), "a good one is then accepted");
}

#[tokio::test]
async fn rule_12_what_is_no_certificate_request_is_refused_and_changes_nothing() {
    let good = csr(&KeyPair::generate().unwrap());
    let mut long = good.clone();
    long.resize(64 * 1024, 0);
    all_are_refused(&[
        ("empty", vec![], "malformed"),
        ("garbage", b"not a certificate request at all".to_vec(), "malformed"),
        ("a certificate's PEM", b"-----BEGIN CERTIFICATE REQUEST-----".to_vec(), "malformed"),
        ("zeros", vec![0; 300], "malformed"),
        ("the first half", good[..good.len() / 2].to_vec(), "malformed"),
        ("all but the last byte", good[..good.len() - 1].to_vec(), "malformed"),
        ("one byte more", [&good[..], &[0]].concat(), "left over"),
        ("itself twice", [&good[..], &good[..]].concat(), "left over"),
        ("64 KB behind a good one", long, "65536 bytes"),
        ("64 KB of anything", vec![0x30; 64 * 1024], "65536 bytes"),
    ])
    .await;
}

#[tokio::test]
async fn rule_08_a_request_that_its_own_key_did_not_sign_is_refused_and_changes_nothing() {
    let mut flipped = csr(&KeyPair::generate().unwrap());
    *flipped.last_mut().unwrap() ^= 1;
    let impostor = Impostor { shown: KeyPair::generate().unwrap(), held: KeyPair::generate().unwrap() };
    let (shown, held) = [KeyPair::generate_for(&PKCS_ED25519), KeyPair::generate_for(&PKCS_ED25519)]
        .map(Result::unwrap)
        .into();
    all_are_refused(&[
        ("a flipped bit in the signature", flipped, "proof of possession"),
        ("signed by another key", csr(&impostor), "proof of possession"),
        ("signed by another Ed25519 key", csr(&Impostor { shown, held }), "proof of possession"),
    ])
    .await;
}

#[tokio::test]
async fn rule_08_keys_of_other_kinds_are_refused_by_name_and_change_nothing() {
    let openssl = Openssl::new();
    let curve = |name: &str| openssl.csr(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name}"));
    let explicit = |name: &str| {
        let parameters = "-pkeyopt ec_param_enc:explicit";
        openssl.csr(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name} {parameters}"))
    };
    all_are_refused(&[
        ("RSA", openssl.csr("-algorithm RSA -pkeyopt rsa_keygen_bits:2048"), "RSA"),
        ("secp256k1", curve("secp256k1"), "secp256k1"),
        ("P-521", curve("P-521"), "P-521"),
        ("explicit P-256", explicit("P-256"), "explicit parameters"),
        ("explicit P-384", explicit("P-384"), "explicit parameters"),
    ])
    .await;
}

async fn issue(operator: &Operator, agent: &Agent, request: &[u8]) -> (String, proto::pb::EnrollResponse) {
    let machine = Machine::registered(operator).await;
    let issued = agent.enroll(&machine.hardware, request).await.unwrap();
    is_exactly_rule_8(&issued, &machine.node_id, "test");
    (machine.node_id, issued)
}

#[tokio::test]
async fn rule_08_a_p384_request_that_openssl_signed_with_sha_256_gets_a_p384_certificate() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let request = Openssl::new().csr("-algorithm EC -pkeyopt ec_paramgen_curve:P-384");
    let (_, issued) = issue(&operator, &agent, &request).await;
    assert_eq!(curve(&issued), P384);

    let request = csr(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    assert_eq!(curve(&issue(&operator, &agent, &request).await.1), P384);
    let request = Openssl::new().csr("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    assert_eq!(curve(&issue(&operator, &agent, &request).await.1), P256);
    issue(&operator, &agent, &Openssl::new().csr("-algorithm ED25519")).await;
}

#[tokio::test]
async fn rule_08_whatever_a_request_asks_for_is_neither_copied_nor_a_reason_to_refuse() {
    const ASKED: [&str; 6] = [
        "basicConstraints=critical,CA:TRUE,pathlen:3",
        "subjectAltName=DNS:evil.example,URI:spiffe://test/operator/root,IP:10.0.0.1",
        "extendedKeyUsage=serverAuth,codeSigning,anyExtendedKeyUsage",
        "keyUsage=critical,keyCertSign,cRLSign",
        "tlsfeature=status_request",
        "nameConstraints=critical,permitted;DNS:evil.example",
    ];
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let openssl = Openssl::new();
    let key = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
    for asked in ASKED.iter().map(std::slice::from_ref).chain([ASKED.as_slice()]) {
        issue(&operator, &agent, &openssl.csr_asking(key, asked)).await;
    }
}

#[tokio::test]
async fn rule_08_a_key_belongs_to_one_node_and_epoch() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (first, second) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    agent.enroll(&first.hardware, &first.csr()).await.unwrap();

    let reused = agent.enroll(&second.hardware, &first.csr()).await;
    assert_eq!(reason(reused), Reason::KeyReused, "another node's key");
    let operators = std::fs::read_to_string(journal.dir.path().join("bootstrap/operator.pem")).unwrap();
    let begin = operators.find("-----BEGIN PRIVATE KEY").unwrap();
    let operators = KeyPair::from_pem(&operators[begin..]).unwrap();
    assert_eq!(
        reason(agent.enroll(&second.hardware, &csr(&operators)).await),
        Reason::KeyReused,
        "an operator's"
    );
    assert_eq!(operator.inspect(&second.node_id).await.unwrap().state(), NodeState::Registered);

    operator.revoke(&first.node_id).await.unwrap();
    operator.register(&first.node_id, &first.hardware).await.unwrap();
    let reused = agent.enroll(&first.hardware, &first.csr()).await;
    assert_eq!(reason(reused), Reason::KeyReused, "its own of the epoch before");
}
