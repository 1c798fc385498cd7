//! Programs that others wrote judge what pact issues and speaks.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proto::pb::EnrollResponse;
use serde_json::Value;

use crate::journal_process::{Journal, shared};
use crate::openssl::{Openssl, judge};
use crate::request::Machine;

/// A node's certificate and its issuer's as PEM files.
async fn issued(journal: &Journal, openssl: &Openssl) -> EnrollResponse {
    let machine = Machine::registered(&journal.operator().await).await;
    let agent = journal.agent(None).await.unwrap();
    let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    openssl.write("node.der", &issued.certificate);
    openssl.write("authority.der", &issued.ca_chain[0]);
    for name in ["node", "authority"] {
        openssl.must(&format!("x509 -inform DER -in {name}.der -out {name}.pem"));
    }
    issued
}

#[tokio::test]
async fn openssl_accepts_an_issued_certificate_strictly() {
    let (journal, openssl) = (shared(), Openssl::new());
    issued(&journal, &openssl).await;
    let told = openssl.must("verify -x509_strict -purpose sslclient -CAfile authority.pem node.pem");
    assert!(told.contains("node.pem: OK"), "{told}");
    let (succeeded, told) =
        openssl.run("verify -x509_strict -purpose sslserver -CAfile authority.pem node.pem");
    assert!(!succeeded, "a node is no server: {told}");
    let domain_ca = journal.dir.path().join("bootstrap/domain-ca.pem");
    let server = journal.dir.path().join("server.pem");
    let (domain_ca, server) = (domain_ca.display(), server.display());
    openssl.must(&format!("verify -x509_strict -purpose sslserver -CAfile {domain_ca} {server}"));
}

/// What pkilint finds in a certificate, as `severity code`.
fn findings(certificate: &Path) -> Vec<String> {
    let arguments = ["lint", "-s", "WARNING", "-f", "JSON"];
    let output = Command::new(judge("lint_pkix_cert")).args(arguments).arg(certificate).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let validators = report["results"].as_array().unwrap_or_else(|| panic!("{report}"));
    let found = validators.iter().flat_map(|result| result["finding_descriptions"].as_array().unwrap());
    found.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pkilint_finds_nothing_but_its_own_mistake_about_spiffe() {
    let (journal, openssl) = (shared(), Openssl::new());
    issued(&journal, &openssl).await;
    openssl.must(&format!("x509 -in {} -out server.pem", journal.dir.path().join("server.pem").display()));
    openssl.must(&format!(
        "x509 -in {} -out operator.pem",
        journal.dir.path().join("bootstrap/operator.pem").display()
    ));
    // `spiffe:` is no URI scheme that pkilint knows.
    for leaf in ["node.pem", "operator.pem"] {
        assert_eq!(findings(&openssl.path(leaf)), ["pkix.invalid_uri_syntax"], "{leaf}");
    }
    for ca in [openssl.path("authority.pem"), journal.dir.path().join("bootstrap/domain-ca.pem")] {
        assert_eq!(findings(&ca), Vec::<String>::new(), "{ca:?}");
    }
    // Nor does it take `localhost` for a name; a server of a domain of its own has real ones.
    let of_server = findings(&openssl.path("server.pem"));
    let known = ["pkix.invalid_uri_syntax", "pkix.invalid_domain_name_syntax"];
    assert!(of_server.iter().all(|code| known.contains(&code.as_str())), "{of_server:?}");
}

/// `grpcurl` with our .proto files and the domain CA, as anybody would call it.
fn grpcurl(journal: &Journal, request: &Value) -> Output {
    let protos = Path::new("../proto/proto");
    let address = journal.agents_address();
    Command::new(judge("grpcurl"))
        .arg("-import-path")
        .arg(protos)
        .args(["-proto", "pact/v1/enrollment.proto", "-cacert"])
        .arg(journal.dir.path().join("bootstrap/domain-ca.pem"))
        .args(["-d", &request.to_string(), &format!("{}:{}", address.host(), address.port())])
        .arg("pact.v1.EnrollmentService/Enroll")
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_request_of_openssl_sent_with_grpcurl_enrolls() {
    let (journal, openssl) = (shared(), Openssl::new());
    let machine = Machine::registered(&journal.operator().await).await;
    openssl.csr("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let csr = openssl.must("base64 -A -in csr.der");
    let request = serde_json::json!({
        "hardware_identity": { "mac_addresses": machine.hardware.mac_addresses },
        "csr": csr,
    });

    let output = grpcurl(&journal, &request);
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["nodeId"], machine.node_id.as_str());
    openssl.write("issued.b64", answer["certificate"].as_str().unwrap());
    openssl.must("base64 -d -A -in issued.b64 -out issued.der");
    openssl.must("x509 -inform DER -in issued.der -noout -pubkey -out issued.pub");
    openssl.must("pkey -in key.pem -pubout -out own.pub");
    let [issued, own] = ["issued.pub", "own.pub"].map(|name| fs::read(openssl.path(name)).unwrap());
    assert_eq!(issued, own, "the certificate is for openssl's key");
}

#[tokio::test]
async fn grpcurl_is_told_why_a_request_is_refused() {
    let journal = shared();
    let stranger = Machine::new();
    let request =
        serde_json::json!({ "hardware_identity": { "mac_addresses": stranger.hardware.mac_addresses } });
    let output = grpcurl(&journal, &request);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    // The details are there; grpcurl does not know their type.
    for word in ["NotFound", "no enrolled node", "google.rpc.ErrorInfo"] {
        assert!(told.contains(word), "{told}");
    }
}
