//! R11: a workload identity of others opens what the node's current certificate opens that a fact binds it to, and nothing else.

use std::time::{Duration, Instant};

use events::vocabulary::CertificateHash;
use proto::channel::ConnectionRefusal;
use proto::outcome::Failure;
use proto::pb;
use proto::pb::enrollment_service_client::EnrollmentServiceClient;
use proto::pb::node_service_client::NodeServiceClient;
use proto::pem_file::Credential;
use proto::reason::Reason;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::timeout;

use crate::calls::{Agent, Answer, answer, reason, refusal};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, until};
use crate::request::csr;

use super::{Enrolled, agents_door, enrolled, operators_door};

/// From a change until a connection is cut; the machine may be busy.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// Another authority, as SPIRE is.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// An identity with its key.
struct Svid {
    chain: Vec<Vec<u8>>,
    key: KeyPair,
    credential: Credential,
}

fn now() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![SanType::URI("spiffe://site.example".try_into().unwrap())];
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn svid(&self, uris: &[&str]) -> Svid {
        self.svid_for(uris, time::Duration::hours(1))
    }

    fn svid_for(&self, uris: &[&str], life: time::Duration) -> Svid {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (now() - time::Duration::minutes(5), now() + life);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Svid { chain: vec![der.clone()], credential: credential(der, &key), key }
    }
}

fn credential(der: Vec<u8>, key: &KeyPair) -> Credential {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credential::new(vec![CertificateDer::from(der)], key).unwrap()
}

/// A journal that takes identities of site.example.
struct Site {
    journal: Journal,
    authority: Authority,
    // Dropped with the site.
    bundle: tempfile::NamedTempFile,
}

impl Site {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(configure: impl FnOnce(&DataDirectory)) -> Self {
        let (authority, bundle) = (Authority::new(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(bundle.path(), authority.certificate.pem()).unwrap();
        let dir = DataDirectory::init("test");
        dir.configure("workload_trust_domain", "\"site.example\"");
        dir.configure("workload_bundle", format!("{:?}", bundle.path()));
        configure(&dir);
        Self { journal: Journal::serve(dir), authority, bundle }
    }

    /// A node with an identity that it has bound.
    async fn bound(&self, name: &str) -> (Enrolled, Svid) {
        let node = enrolled(&self.journal).await;
        let svid = self.authority.svid(&[&uri(name)]);
        let own = self.journal.agent(Some(&node.credential)).await.unwrap();
        let told = bind(&own, &node, &svid).await.unwrap();
        assert_eq!(told.spiffe_id, uri(name));
        (node, svid)
    }

    /// Connects to the agents' listener by an identity.
    async fn by(&self, svid: &Svid) -> Agent {
        self.journal.agent(Some(&svid.credential)).await.unwrap()
    }
}

fn uri(name: &str) -> String {
    format!("spiffe://site.example/pact/{name}")
}

fn proof(svid: &Svid, over: &[u8]) -> Vec<u8> {
    let random = ring::rand::SystemRandom::new();
    let kind = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(kind, &svid.key.serialize_der(), &random).unwrap();
    let bytes = proto::binding::signed_bytes(&CertificateHash::of(over));
    pair.sign(&random, &bytes).unwrap().as_ref().to_vec()
}

async fn bind(own: &Agent, node: &Enrolled, svid: &Svid) -> Answer<pb::BindIdentityResponse> {
    bind_by(own, svid, proof(svid, &node.issued.certificate)).await
}

async fn bind_by(agent: &Agent, svid: &Svid, proof: Vec<u8>) -> Answer<pb::BindIdentityResponse> {
    let request = pb::BindIdentityRequest { svid_chain: svid.chain.clone(), proof, signature_scheme: 0x0403 };
    answer(&agent.0, EnrollmentServiceClient::new(agent.0.channel()).bind_identity(request).await)
}

async fn bind_by_operator(journal: &Journal, node_id: &str, spiffe_id: &str) -> Answer<pb::Node> {
    let operator = journal.operator().await;
    let request =
        pb::BindNodeIdentityRequest { node_id: node_id.to_owned(), spiffe_id: spiffe_id.to_owned() };
    let answered = NodeServiceClient::new(operator.0.channel()).bind_node_identity(request).await;
    Ok(answer(&operator.0, answered)?.node.expect("every change answers with the node"))
}

#[tokio::test]
async fn rule_11_a_node_binds_its_identity_and_lives_by_it() {
    let site = Site::new();
    let (node, svid) = site.bound("n1").await;
    let shown = site.journal.operator().await.inspect(&node.machine.node_id).await.unwrap();
    assert_eq!(shown.spiffe_id, Some(uri("n1")));

    let by = site.by(&svid).await;
    let stream = by.subscribe().await.unwrap();
    // It renews the enrollment, and goes on.
    let next = KeyPair::generate().unwrap();
    let renewed = by.renew(&node.issued.serial, &csr(&next)).await.unwrap();
    assert_ne!(renewed.serial, node.issued.serial);
    // Had the answer been lost, it would name the one before; its key tells that it asks again (R15).
    let repeated = by.renew(&node.issued.serial, &csr(&next)).await.unwrap();
    assert_eq!(repeated.serial, renewed.serial);
    let again = site.by(&svid).await;
    assert!(again.subscribe().await.is_ok());
    let shown = site.journal.operator().await.inspect(&node.machine.node_id).await.unwrap();
    assert_eq!(shown.certificate.unwrap().serial, renewed.serial);
    // And says goodbye, after which it may come back.
    drop(stream);
    again.subscribe().await.unwrap().goodbye().await;
    let shown = site.journal.operator().await.inspect(&node.machine.node_id).await.unwrap();
    assert_eq!(shown.state(), pb::NodeState::Inactive);
    assert!(again.subscribe().await.is_ok());
}

#[tokio::test]
async fn rule_11_an_identity_that_nobody_bound_is_told_so_and_opens_nothing() {
    let site = Site::new();
    let node = enrolled(&site.journal).await;
    let by = site.by(&site.authority.svid(&[&uri("nobody")])).await;
    let told = refusal(by.subscribe().await.map(drop));
    assert_eq!(told.reason, Reason::CertificateRequired);
    assert!(told.message.contains(&uri("nobody")) && told.message.contains("proves no node"), "{told}");
    assert_eq!(
        reason(by.enroll(&node.machine.hardware, &node.machine.csr()).await),
        Reason::CertificateRequired
    );
    assert_eq!(reason(by.renew(&node.issued.serial, &node.machine.csr()).await), Reason::CertificateRequired);
}

#[tokio::test]
async fn rule_11_no_identity_opens_anything_for_operators() {
    let site = Site::new();
    let (_, svid) = site.bound("n1").await;
    assert_eq!(operators_door(&site.journal, &svid.credential).await, Some(ConnectionRefusal::Unknown));
}

#[tokio::test]
async fn rule_11_what_does_not_prove_its_one_name_in_the_trust_domain_is_refused_in_the_handshake() {
    let site = Site::new();
    let (_, _svid) = site.bound("n1").await;
    let stranger = Authority::new();
    let authority = &site.authority;
    let own = uri("n1");
    let expired = authority.svid_for(&[&own], -time::Duration::minutes(1));
    for (what, svid, told) in [
        ("another authority", stranger.svid(&[&own]), ConnectionRefusal::Unknown),
        (
            "another trust domain",
            authority.svid(&["spiffe://other.example/pact/n1"]),
            ConnectionRefusal::Unknown,
        ),
        ("two names", authority.svid(&[&own, &uri("n2")]), ConnectionRefusal::Unknown),
        ("the same name twice", authority.svid(&[&own, &own]), ConnectionRefusal::Unknown),
        ("a name of pact's", authority.svid(&["spiffe://test/agent/n1"]), ConnectionRefusal::Unknown),
        ("an operator's name", authority.svid(&["spiffe://test/operator/admin"]), ConnectionRefusal::Unknown),
        ("a journal's name", authority.svid(&["spiffe://test/journal/j1"]), ConnectionRefusal::Unknown),
        (
            "a name beside pact's",
            authority.svid(&["spiffe://test/agent/n1", &own]),
            ConnectionRefusal::Unknown,
        ),
        ("no name", authority.svid(&[]), ConnectionRefusal::Unknown),
        ("its time is over", expired, ConnectionRefusal::Expired),
    ] {
        assert_eq!(agents_door(&site.journal, &svid.credential).await, Some(told), "{what}");
    }
}

#[tokio::test]
async fn rule_11_a_revoked_node_is_cut_and_its_identity_opens_nothing_more() {
    let site = Site::new();
    let (node, svid) = site.bound("n1").await;
    let (_, other) = site.bound("n2").await;
    let mut stream = site.by(&svid).await.subscribe().await.unwrap();
    let mut untouched = site.by(&other).await.subscribe().await.unwrap();
    site.journal.operator().await.revoke(&node.machine.node_id).await.unwrap();
    timeout(CUT_WITHIN, stream.ended()).await.expect("it is cut within a second");
    assert_eq!(agents_door(&site.journal, &svid.credential).await, Some(ConnectionRefusal::Revoked));
    assert!(timeout(Duration::from_millis(50), untouched.ended()).await.is_err(), "nobody else is cut");
    // Its name is free.
    let next = enrolled(&site.journal).await;
    let shown = bind_by_operator(&site.journal, &next.machine.node_id, &uri("n1")).await.unwrap();
    assert_eq!(shown.spiffe_id, Some(uri("n1")));
    assert!(site.by(&svid).await.subscribe().await.is_ok());
}

#[tokio::test]
async fn rule_11_a_deactivated_node_is_cut_and_so_is_one_whose_machine_was_replaced() {
    let site = Site::new();
    let (node, svid) = site.bound("n1").await;
    let mut stream = site.by(&svid).await.subscribe().await.unwrap();
    site.journal.operator().await.deactivate(&node.machine.node_id).await.unwrap();
    timeout(CUT_WITHIN, stream.ended()).await.expect("it is cut within a second");
    assert_eq!(agents_door(&site.journal, &svid.credential).await, Some(ConnectionRefusal::Revoked));
    // Whoever enrolls anew has bound nothing.
    let again = node.machine.with_new_key();
    let anonymous = site.journal.agent(None).await.unwrap();
    anonymous.enroll(&again.hardware, &again.csr()).await.unwrap();
    let told = refusal(site.by(&svid).await.subscribe().await.map(drop));
    assert!(told.message.contains("proves no node"), "{told}");
}

#[tokio::test]
async fn rule_11_what_an_operator_bound_outlives_an_enrollment() {
    let site = Site::new();
    let node = enrolled(&site.journal).await;
    let svid = site.authority.svid(&[&uri("n1")]);
    bind_by_operator(&site.journal, &node.machine.node_id, &uri("n1")).await.unwrap();
    assert!(site.by(&svid).await.subscribe().await.is_ok());
    site.journal.operator().await.deactivate(&node.machine.node_id).await.unwrap();
    let again = node.machine.with_new_key();
    site.journal.agent(None).await.unwrap().enroll(&again.hardware, &again.csr()).await.unwrap();
    assert!(site.by(&svid).await.subscribe().await.is_ok());
}

#[tokio::test]
async fn rule_11_a_connection_ends_with_its_identity() {
    let site = Site::new();
    let (node, _) = site.bound("n1").await;
    let short = site.authority.svid_for(&[&uri("n1")], time::Duration::seconds(3));
    let by = site.by(&short).await;
    let mut stream = by.subscribe().await.unwrap();
    let began = Instant::now();
    timeout(Duration::from_secs(8), stream.ended()).await.expect("it ends with its certificate");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(agents_door(&site.journal, &short.credential).await, Some(ConnectionRefusal::Expired));
    assert!(
        site.journal.agent(Some(&node.credential)).await.unwrap().subscribe().await.is_ok(),
        "the node lives"
    );
}

#[tokio::test]
async fn rule_11_when_what_vouches_for_an_identity_leaves_the_bundle_it_is_cut() {
    let site = Site::new();
    let (_, svid) = site.bound("n1").await;
    let mut stream = site.by(&svid).await.subscribe().await.unwrap();
    let next = Authority::new();
    let both = site.authority.certificate.pem() + &next.certificate.pem();
    std::fs::write(site.bundle.path(), both).unwrap();
    // Both count now, and nobody was cut for it.
    let rotated = next.svid(&[&uri("n1")]);
    until("the new authority counts", ANSWERED, async || {
        let agent = site.journal.agent(Some(&rotated.credential)).await.ok()?;
        agent.subscribe().await.ok()
    })
    .await;
    assert!(timeout(Duration::from_millis(50), stream.ended()).await.is_err());
    std::fs::write(site.bundle.path(), "damaged").unwrap();
    std::fs::write(site.bundle.path(), next.certificate.pem()).unwrap();
    timeout(ANSWERED, stream.ended()).await.expect("it is cut");
    assert_eq!(agents_door(&site.journal, &svid.credential).await, Some(ConnectionRefusal::Unknown));
    assert!(site.by(&rotated).await.subscribe().await.is_ok());
}

#[tokio::test]
async fn rule_11_an_identity_is_bound_by_its_holder_over_the_nodes_own_certificate_only() {
    let site = Site::new();
    let (node, svid) = site.bound("n1").await;
    let other = enrolled(&site.journal).await;
    let own = site.journal.agent(Some(&other.credential)).await.unwrap();
    // The signature of another connection, or of another key.
    assert_eq!(reason(bind(&own, &node, &svid).await), Reason::FieldInvalid);
    let thief = Svid { key: KeyPair::generate().unwrap(), ..site.authority.svid(&[&uri("n9")]) };
    assert_eq!(reason(bind(&own, &other, &thief).await), Reason::FieldInvalid);
    // It proves another node already.
    assert_eq!(reason(bind(&own, &other, &svid).await), Reason::WorkloadIdentityConflict);
    // It is of nobody that this journal trusts.
    let strange = Authority::new().svid(&[&uri("n3")]);
    assert_eq!(reason(bind(&own, &other, &strange).await), Reason::WorkloadNotTrusted);
    // Over an identity, and without a certificate.
    let third = site.authority.svid(&[&uri("n3")]);
    let by = site.by(&svid).await;
    let signed = proof(&third, &svid.chain[0]);
    assert_eq!(reason(bind_by(&by, &third, signed.clone()).await), Reason::RoleNotAllowed);
    let anonymous = site.journal.agent(None).await.unwrap();
    assert_eq!(reason(bind_by(&anonymous, &third, signed).await), Reason::CertificateRequired);
    // Said twice it is said once.
    let own = site.journal.agent(Some(&node.credential)).await.unwrap();
    let [one, two] = [bind(&own, &node, &svid).await.unwrap(), bind(&own, &node, &svid).await.unwrap()];
    assert_eq!(one.seq, two.seq);
}

#[tokio::test]
async fn rule_11_an_operator_binds_identities_of_the_trust_domain_to_nodes_that_are_not_revoked() {
    let site = Site::new();
    let (node, _) = site.bound("n1").await;
    let journal = &site.journal;
    let bind = |node_id: String, id: String| async move { bind_by_operator(journal, &node_id, &id).await };
    let own = node.machine.node_id.clone();
    assert_eq!(
        reason(bind(own.clone(), "spiffe://other.example/a".to_owned()).await),
        Reason::WorkloadNotTrusted
    );
    assert_eq!(reason(bind(own.clone(), "site.example/a".to_owned()).await), Reason::FieldInvalid);
    assert_eq!(reason(bind("nobody".to_owned(), uri("a")).await), Reason::NodeNotFound);
    let other = enrolled(journal).await;
    let told = refusal(bind(other.machine.node_id.clone(), uri("n1")).await);
    assert_eq!(told.reason, Reason::WorkloadIdentityConflict);
    assert!(told.message.contains(&own), "{told}");
    journal.operator().await.revoke(&own).await.unwrap();
    assert_eq!(reason(bind(own, uri("n1")).await), Reason::NodeRevoked);
}

#[tokio::test]
async fn rule_11_where_none_is_configured_no_identity_counts() {
    let journal = Journal::start();
    let node = enrolled(&journal).await;
    let svid = Authority::new().svid(&[&uri("n1")]);
    let own = journal.agent(Some(&node.credential)).await.unwrap();
    let told = refusal(bind(&own, &node, &svid).await);
    assert_eq!(told.reason, Reason::WorkloadNotTrusted);
    assert_eq!(
        reason(bind_by_operator(&journal, &node.machine.node_id, &uri("n1")).await),
        Reason::WorkloadNotTrusted
    );
    assert_eq!(agents_door(&journal, &svid.credential).await, Some(ConnectionRefusal::Unknown));
    let closed = journal.agent(Some(&svid.credential)).await.unwrap().subscribe().await.map(drop);
    assert!(matches!(closed, Err(Failure::ConnectionRefused(_))), "{closed:?}");
}

#[test]
fn a_bundle_that_cannot_be_used_is_told_before_anything_is_served() {
    let dir = DataDirectory::init("test");
    dir.configure("workload_trust_domain", "\"site.example\"");
    dir.configure("workload_bundle", "\"/no/such/bundle.pem\"");
    let (code, told) = dir.refused();
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("/no/such/bundle.pem"), "{told}");
    dir.configure("workload_trust_domain", "\"test\"");
    let (_, told) = dir.refused();
    assert!(told.contains("this domain's own name"), "{told}");
}
