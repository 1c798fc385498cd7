//! The real `pact-loadtest renew`, small: agents live for longer than their certificates, and nobody loses a stream.

use std::process::Command;

use serde_json::Value;

#[test]
fn agents_with_certificates_of_half_a_minute_renew_them_and_keep_their_streams() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
        .args(["renew", "--nodes", "60", "--certificate-ttl-secs", "30", "--seconds", "30", "-o", "json"])
        .args(["--journals", "3"])
        .env("TMPDIR", place.path())
        .output()
        .expect("pact-loadtest is a program");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    assert_eq!((&told["up"], &told["failed"]), (&60.into(), &0.into()));
    assert_eq!((&told["streams_lost"], &told["enrolled_again"]), (&0.into(), &0.into()));
    assert!(told["renewals"].as_u64() >= Some(60), "each had to: {told}");
    assert_eq!(told["log_verified"], true);
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "nothing is left behind");
}
