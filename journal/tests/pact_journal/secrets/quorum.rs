//! R23 where journals meet: a token that is printed, handed over in a file and presented; a journal that joins by it; an
//! administrator made by the domain CA's key; a server certificate renewed by hand.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::journal_process::{Journal, READY, free_port};

use super::needles::Needles;
use super::programs::{Programs, start_of};
use super::{secret_of_credential, secret_of_token};

/// Everything of it, on a founder whose cluster listener has a port that is known.
pub async fn journals_meet(
    journal: &Journal,
    programs: &mut Programs<'_>,
    needles: &mut Needles,
    named: &mut BTreeSet<PathBuf>,
) {
    let admin = journal.dir.path().join("bootstrap/operator.pem");
    let own = journal.dir.path().display().to_string();
    let token = token(programs, &admin, needles, named);

    // A journal that joins: how it was started is seen for as long as it serves.
    let two = programs.file("j2");
    let door = journal.cluster_address().to_string();
    let (from, at) = (format!("@{}", token.display()), two.display().to_string());
    let cluster = free_port().to_string();
    let mut join = vec!["join", "--data-dir", &at, "--join-addr", &door, "--join-token", &from];
    join.extend(["--advertise", "127.0.0.1", "--cluster-listen", &cluster, "--http-listen", "127.0.0.1:0"]);
    join.extend(["--agent-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
    let mut joined = programs.journal(&join);
    assert_plain(joined.0.id(), needles);
    journal.operator().await.voters(2).await;
    let server = two.join("server.pem");
    secret_of_credential(&server, needles);
    named.insert(server);
    assert_plain(joined.0.id(), needles);
    assert_plain(journal.pid(), needles);

    // By the domain CA's key. The founder's server.pem is one of the named files already; its new key is another.
    let rescue = programs.file("rescue.pem");
    let out = rescue.display().to_string();
    let recover = ["recover-operator", "--data-dir", &own, "--name", "rescue", "--out", &out, "-o", "json"];
    for arguments in [&recover[..], &["renew-certificate", "--data-dir", &own]] {
        let ended = programs.journal(arguments).ended_within(READY);
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
    }
    secret_of_credential(&rescue, needles);
    secret_of_credential(&journal.dir.path().join("server.pem"), needles);
    assert_eq!(programs.pact(&rescue, &["journal", "members", "-o", "json"]), Some(0));
    named.insert(rescue);

    assert_eq!(programs.pact(&admin, &["journal", "transfer-leader", "j1"]), Some(0));
    assert_eq!(programs.pact(&admin, &["journal", "evict", "j2", "--reason", "replaced"]), Some(0));
    assert_eq!(joined.ended_within(READY).code(), Some(1), "an evicted journal ends");
}

/// A token as `pact` prints it, and the file in which the new machine gets it.
fn token(
    programs: &mut Programs<'_>,
    admin: &Path,
    needles: &mut Needles,
    named: &mut BTreeSet<PathBuf>,
) -> PathBuf {
    let (code, printed) = programs.pact_in_private(admin, &["journal", "join-token", "create", "-o", "json"]);
    assert_eq!(code, Some(0));
    let told: serde_json::Value = serde_json::from_slice(&fs::read(&printed).unwrap()).unwrap();
    let token = told["token"].as_str().expect("it is told");
    secret_of_token(token, needles);
    let file = programs.file("token");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, token).unwrap();
    named.extend([printed, file.clone()]);
    file
}

/// No secret in how a process was started.
pub fn assert_plain(pid: u32, needles: &Needles) {
    for (path, bytes) in start_of(pid) {
        let found = needles.found_in(&bytes);
        assert!(found.is_empty(), "{path:?} holds {found:?}");
    }
}
