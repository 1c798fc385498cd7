//! An agent that is asked how it is.

use std::{fs, os::unix::fs::PermissionsExt};

use tokio::sync::watch;

use super::*;

#[tokio::test]
async fn who_asks_is_told_how_it_is_at_that_moment() {
    let directory = tempfile::tempdir().unwrap();
    let socket = socket(Some(directory.path()));
    let (is, snapshot) = watch::channel(Snapshot::new());
    let desk = Desk::open(&socket, snapshot).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    for phase in [Phase::Probing, Phase::Active] {
        is.send_modify(|snapshot| snapshot.phase = phase);
        let at = socket.clone();
        let told = tokio::task::spawn_blocking(move || ask(&at)).await.unwrap().unwrap();
        assert_eq!(told, Snapshot { phase, ..Snapshot::new() });
    }
    drop(desk);
    assert_eq!(ask(&socket).unwrap_err().exit() as u8, 3);
}

#[tokio::test]
async fn a_socket_that_an_agent_left_is_taken_over_and_one_that_answers_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let socket = socket(Some(directory.path()));
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let snapshot = || watch::channel(Snapshot::new()).1;
    let _desk = Desk::open(&socket, snapshot()).unwrap();
    assert_eq!(Desk::open(&socket, snapshot()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert!(socket.exists());
}

#[test]
fn the_fields_of_a_status_are_the_published_ones() {
    let told = serde_json::to_value(Snapshot::new()).unwrap();
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let mut published = [
        "phase",
        "node_id",
        "domain_id",
        "identity",
        "spiffe_id",
        "spiffe_not_after",
        "serial",
        "not_after",
        "renew_after",
        "vcluster",
        "overlay_sha256",
        "journal",
        "services",
        "last_failure",
    ];
    published.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, published);
    assert!(Snapshot::new().lines().starts_with("phase          probing\nnode           -"));
}
