//! A journal's server certificate is renewed in time and taken up while it serves (design §7), or it says what to do.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use journal::cluster::names_of;
use proto::channel::JournalAddress;
use proto::pb;
use proto::pb::status_service_client::StatusServiceClient;
use proto::pem_file::Credential;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use tokio::time::timeout;

use crate::boot_configuration::booted;
use crate::calls::{Operator, answer, health};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, pact_journal, until};
use crate::probes::client::get;
use crate::request::Machine;
use crate::tls_peer::certificate_of;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A third of it is long over: it is tried to renew it every 5 s.
const LEFT: Duration = Duration::from_secs(300);

/// Puts a certificate in the place of the journal's that ends soon, for the same names, as the domain CA would have signed it
/// a month ago.
pub fn age(dir: &Path, domain_ca_key: &Path) {
    let file = dir.join("server.pem");
    let present = Credential::read(&file).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.distinguished_name.remove(DnType::CommonName);
    authority.distinguished_name.push(DnType::CommonName, "pact-domain-ca/test");
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let domain_ca_key = KeyPair::from_pem(&fs::read_to_string(domain_ca_key).unwrap()).unwrap();
    let issuer = Issuer::new(authority, domain_ca_key);
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("identity.json")).unwrap()).unwrap();
    let uri = format!("spiffe://test/journal/{}", identity["journal_id"].as_str().unwrap());
    let mut params = CertificateParams::new(names_of(&present.chain()[0])).unwrap();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now + LEFT - 30 * DAY).into(), (now + LEFT).into());
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let domain_ca = text.split("-----BEGIN CERTIFICATE-----").nth(2).unwrap();
    let domain_ca = domain_ca.split_inclusive("-----END CERTIFICATE-----").next().unwrap();
    let chain = format!("{}-----BEGIN CERTIFICATE-----{domain_ca}\n", certificate.pem());
    fs::write(&file, chain + &key.serialize_pem()).unwrap();
}

/// What a new handshake shows.
async fn shown(address: &JournalAddress) -> Vec<u8> {
    certificate_of(&format!("{}:{}", address.host(), address.port())).await
}

async fn warnings(operator: &Operator) -> Vec<String> {
    let answered = StatusServiceClient::new(operator.0.channel()).status(pb::StatusRequest::default()).await;
    answer(&operator.0, answered).unwrap().warnings
}

fn not_after(journal: &Journal) -> f64 {
    let text = get(journal.probes_address(), "/metrics").unwrap().body;
    let line =
        text.lines().find(|line| line.starts_with("pact_server_certificate_not_after_timestamp_seconds "));
    line.expect("the gauge is there").rsplit(' ').next().unwrap().parse().unwrap()
}

fn seconds_from_now(within: Duration) -> f64 {
    (SystemTime::now() + within).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

fn renew(dir: &Path, key: Option<&Path>) -> Output {
    let mut command = pact_journal();
    command.args(["renew-certificate", "--data-dir"]).arg(dir);
    if let Some(key) = key {
        command.arg("--domain-ca-key").arg(key);
    }
    command.output().unwrap()
}

/// A journal whose certificate is about to end and whose domain CA key is elsewhere; where that is.
fn aged() -> (Journal, std::path::PathBuf) {
    let dir = DataDirectory::init("test");
    let away = dir.folder().join("domain-ca.key");
    fs::rename(dir.path().join("bootstrap/domain-ca.key"), &away).unwrap();
    age(&dir.path(), &away);
    (Journal::serve(dir), away)
}

#[tokio::test]
async fn a_server_certificate_is_renewed_while_streams_stay_open_and_without_the_key_an_alert_says_what_to_do()
 {
    let (journal, away) = aged();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let agent = booted(&journal, &machine).await;
    let mut stream = agent.subscribe().await.unwrap();
    let before = shown(journal.agents_address()).await;
    assert!(not_after(&journal) < seconds_from_now(LEFT + DAY));

    let alert = until("it is told", ANSWERED, async || {
        warnings(&operator)
            .await
            .into_iter()
            .find(|warning| warning.starts_with("ALERT: the server certificate"))
    })
    .await;
    let command = format!(
        "pact-journal renew-certificate --data-dir {} --domain-ca-key FILE",
        journal.dir.path().display()
    );
    assert!(alert.ends_with(&command), "{alert}");
    assert!(journal.dir.last_words().contains(&command), "the log says it too");

    // When the key comes back, nothing else is to be done.
    fs::rename(&away, journal.dir.path().join("bootstrap/domain-ca.key")).unwrap();
    until("new handshakes show another", ANSWERED, async || {
        (shown(journal.agents_address()).await != before).then_some(())
    })
    .await;
    let after = shown(journal.agents_address()).await;
    for address in [journal.operators_address().clone(), cluster(&journal)] {
        assert_eq!(shown(&address).await, after, "all listeners show it");
    }
    let file = journal.dir.path().join("server.pem");
    assert_eq!(Credential::read(&file).unwrap().chain()[0].to_vec(), after);
    assert_eq!(names_of(&after), names_of(&before), "it is for the same names");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(not_after(&journal) > seconds_from_now(29 * DAY));
    assert_eq!(warnings(&operator).await, [""; 0]);
    assert!(timeout(Duration::from_millis(100), stream.ended()).await.is_err(), "the stream goes on");
    health(&agent.0).await.expect("and so does its connection");
}

fn cluster(journal: &Journal) -> JournalAddress {
    format!("https://{}", journal.cluster_address()).parse().unwrap()
}

#[tokio::test]
async fn a_certificate_renewed_by_hand_beside_a_running_journal_is_taken_up() {
    let (journal, away) = aged();
    let (dir, address) = (journal.dir.path(), journal.agents_address());
    let before = shown(address).await;

    let refused = renew(&dir, None);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("error: DOMAIN_CA_KEY_ABSENT: ") && said.contains("--domain-ca-key"), "{said}");
    let other = DataDirectory::init("other");
    let foreign = renew(&dir, Some(&other.path().join("bootstrap/domain-ca.key")));
    assert_eq!(foreign.status.code(), Some(1), "{foreign:?}");
    assert_eq!(shown(address).await, before, "nothing was changed");

    let renewed = renew(&dir, Some(&away));
    assert!(renewed.status.success(), "{renewed:?}");
    until("new handshakes show another", ANSWERED, async || (shown(address).await != before).then_some(()))
        .await;

    // What is no credential is not served, and the one before goes on.
    let good = shown(address).await;
    fs::write(dir.join("server.pem"), "no certificate").unwrap();
    journal.signal(rustix::process::Signal::HUP);
    until("it is told", ANSWERED, async || {
        journal.dir.last_words().contains("is not served: the former goes on").then_some(())
    })
    .await;
    assert_eq!(shown(address).await, good);
}
