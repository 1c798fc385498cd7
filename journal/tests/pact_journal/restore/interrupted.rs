//! A restore that is killed leaves nothing that a journal would serve, and the next one does not mind.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use super::{beside, lived_in, restored, said};
use crate::journal_process::{DataDirectory, LOOK, Process, READY, pact_journal};

/// Nobody can serve what lies there.
fn is_no_journal(path: &Path) {
    let output = pact_journal().args(["serve", "--data-dir"]).arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("error: DATA_DIR_INVALID: "), "{}", said(&output));
}

#[tokio::test]
async fn rule_27_a_restore_that_is_killed_leaves_nothing_to_serve() {
    let (old, _) = lived_in().await;
    for file in [
        "log",
        "log.synced",
        "identity.json",
        "server.pem",
        "bootstrap/domain-ca.pem",
        "bootstrap/operator.pem",
    ] {
        let dir = DataDirectory::to_join();
        let mut command = dir.restore_command(&old.path());
        let mut process = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + READY;
        // As soon as this much of it is there, or if it was too quick, when it is over.
        while !beside(&dir).iter().any(|draft| draft.join(file).exists()) {
            assert!(Instant::now() < deadline, "{file} never comes");
            if process.0.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(LOOK / 5);
        }
        process.0.kill().ok();
        process.0.wait().unwrap();
        if dir.path().exists() {
            assert_eq!(beside(&dir), [dir.path()], "{file}: the whole");
            continue;
        }
        for draft in beside(&dir) {
            is_no_journal(&draft);
            fs::remove_dir_all(draft).unwrap();
        }
    }
    restored(&old.path(), None);
}
