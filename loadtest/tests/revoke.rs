//! The real `pact-loadtest revoke`, small: every stream is cut, wherever it is, and the logs are the same.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_stream_is_cut_at_every_journal_and_the_logs_are_sound() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
        .args(["revoke", "--nodes", "60", "--rate", "50", "-o", "json"])
        .env("TMPDIR", place.path())
        .output()
        .expect("pact-loadtest is a program");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    assert_eq!((&told["revoked"], &told["failed"]), (&60.into(), &0.into()));
    assert_eq!((&told["left_connected"], &told["lost"]), (&0.into(), &0.into()));
    assert_eq!(told["log_verified"], true);
    for quantile in ["p50", "p95", "p99", "max"] {
        assert!(told["latency_ms"][quantile].is_number(), "{quantile}: {told}");
    }
    let journals = told["journals"].as_array().expect("a list");
    let streams = journals.iter().filter_map(|journal| journal["streams"].as_u64()).collect::<Vec<_>>();
    assert_eq!((streams.len(), streams.iter().sum::<u64>()), (3, 60), "{told}");
    assert!(streams.iter().all(|streams| *streams > 0), "the streams lie at all journals: {told}");
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "nothing is left behind");
}
