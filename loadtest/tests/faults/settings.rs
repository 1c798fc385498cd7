//! The sizes of the tests, from the environment.

use std::{env, path::Path, process::Command};

use loadtest::{journal_process::JournalProcess, log_check, preparation::Operator, siblings};

/// A number from the environment, or the one that fits two cores.
pub fn number(name: &str, usual: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text}, and no number")),
        Err(_) => usual,
    }
}

/// How many machines take part.
pub fn nodes(usual: u32) -> u32 {
    number("PACT_FAULT_NODES", usual.into()).try_into().expect("PACT_FAULT_NODES is a number of nodes")
}

/// Says so if the other binaries are missing, before anything is waited for.
pub fn binaries() {
    for name in ["pact-journal", "pact-replay"] {
        siblings::find(name).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// The operator of a journal.
pub async fn operator(journal: &JournalProcess) -> Operator {
    let (trust, credential) = (journal.trust().unwrap(), journal.operator().unwrap());
    Operator::connect(&journal.operators, &trust, &credential).await.expect("the operator is let in")
}

/// The independent reader: the chain, and every invariant after every fact, among them that no node has two current
/// certificates.
pub async fn verify(data_dir: &Path) {
    log_check::verify(data_dir).await.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A small file system in memory; unmounted when it is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount(megabytes: u32) -> Self {
        let at = tempfile::tempdir().expect("there is a directory for temporary files");
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at.path()).output();
        let mounted = mounted.is_ok_and(|done| done.status.success());
        assert!(mounted, "this test mounts a small disk: run it as root");
        Self(at)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Bytes that can still be written.
    pub fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.path()).expect("it is mounted");
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left over at worst, in memory.
        Command::new("umount").arg(self.path()).status().ok();
    }
}
