//! The published names of the fields, and the words that people and scripts look for.

use super::*;

fn showing() -> Showing {
    Showing {
        succeeded: 3,
        failed: 0,
        failures: BTreeMap::new(),
        subscribed_again: 0,
        seconds: 1.5,
        nodes_per_second: 2.0,
        latency_ms: LatencyMs { p50: 1.0, p95: 2.0, p99: 3.0, max: 4.0 },
        journal_cpu_us_per_node: Some(400.0),
        client_cpu_us_per_node: 300.0,
        raft_entries: Some(2),
        appends_per_entry: Some(3.0),
        fsyncs: Some(2),
        journal_rss_bytes: vec![100_000_000],
        rss_per_subscription_bytes: Some(40_000),
    }
}

fn summary() -> Summary {
    Summary {
        nodes: 3,
        storm: showing(),
        crypto_floor_us_per_node: 200.0,
        floor_ratio: Some(2.0),
        crypto_floor: Floor {
            handshake_us: 60.0,
            csr_check_us: 40.0,
            signature_us: 20.0,
            mutual_handshake_us: 80.0,
        },
        overload: None,
        journals_killed: 0,
        log_verified: Some(true),
        log_facts: Some(12),
    }
}

#[test]
fn a_sound_storm_ends_with_the_words_that_are_looked_for() {
    let text = summary().to_string();
    assert!(text.starts_with("nodes 3\nsucceeded 3\nfailed 0\n"), "{text}");
    assert!(text.contains("\nfloor ratio 2.00\n"), "{text}");
    assert!(text.ends_with("\nlog verified"), "{text}");
}

#[test]
fn that_journals_were_killed_is_told() {
    let storm = Showing { subscribed_again: 7, ..showing() };
    let text = Summary { storm, journals_killed: 3, ..summary() }.to_string();
    let told = "failed 0\njournals killed and started again 3, subscriptions opened again 7\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn the_fields_are_the_published_ones() {
    let json = serde_json::to_string(&summary()).unwrap();
    let expected = "{\"nodes\":3,\"succeeded\":3,\"failed\":0,\"failures\":{},\"seconds\":1.5,\
                    \"nodes_per_second\":2.0,\"latency_ms\":{\"p50\":1.0,\"p95\":2.0,\"p99\":3.0,\"max\":4.0},\
                    \"journal_cpu_us_per_node\":400.0,\"client_cpu_us_per_node\":300.0,\
                    \"raft_entries\":2,\"appends_per_entry\":3.0,\"fsyncs\":2,\
                    \"journal_rss_bytes\":[100000000],\"rss_per_subscription_bytes\":40000,\
                    \"crypto_floor_us_per_node\":200.0,\"floor_ratio\":2.0,\
                    \"crypto_floor\":{\"handshake_us\":60.0,\"csr_check_us\":40.0,\"signature_us\":20.0,\
                    \"mutual_handshake_us\":80.0},\"log_verified\":true,\"log_facts\":12}";
    assert_eq!(json, expected);
}

#[test]
fn of_a_journal_elsewhere_only_what_clients_see_is_told() {
    let storm = Showing {
        journal_cpu_us_per_node: None,
        raft_entries: None,
        appends_per_entry: None,
        fsyncs: None,
        journal_rss_bytes: vec![],
        rss_per_subscription_bytes: None,
        ..showing()
    };
    let summary = Summary { storm, floor_ratio: None, log_verified: None, log_facts: None, ..summary() };
    let json = serde_json::to_string(&summary).unwrap();
    for unknown in ["journal", "raft", "fsyncs", "rss", "ratio", "log", "null"] {
        assert!(!json.contains(unknown), "{json}");
    }
    let text = summary.to_string();
    assert!(text.ends_with("\nlog not looked at: it lies on another machine"), "{text}");
}

#[test]
fn a_node_that_failed_is_told_with_its_reason_and_exits_with_1() {
    let failures = BTreeMap::from([("DEADLINE".to_owned(), 1)]);
    let storm = Showing { failed: 1, succeeded: 2, failures, ..showing() };
    let summary = Summary { storm, ..summary() };
    assert!(summary.to_string().contains("failed 1\n  DEADLINE 1\n"));
    assert_eq!(summary.print(Output::Json), Exit::Failed);
}

#[test]
fn a_node_that_failed_in_the_overload_counts_too() {
    let overload = |failed| Overload {
        factor: 10,
        concurrency: 3,
        storm: Showing { failed, ..showing() },
        nodes_per_journal_cpu_second: Some(2000.0),
        unloaded_nodes_per_journal_cpu_second: Some(2500.0),
        goodput_ratio: Some(0.8),
    };
    let sound = Summary { overload: Some(overload(0)), ..summary() };
    let text = sound.to_string();
    assert!(text.contains("\noverload 10x, 3 at once: 1.50 s, p99 3 ms\n"), "{text}");
    assert!(text.contains("\nserved 2000 nodes a CPU second, 80 % of 2500 without overload\n"), "{text}");
    assert_eq!(sound.print(Output::Json), Exit::Done);
    let json = serde_json::to_string(&sound).unwrap();
    assert!(json.contains("\"overload\":{\"factor\":10,\"concurrency\":3,\"succeeded\":3,"), "{json}");
    assert_eq!(Summary { overload: Some(overload(1)), ..summary() }.print(Output::Json), Exit::Failed);
}
