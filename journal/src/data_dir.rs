//! The data directory: who may use it, whose it is, and what lies where in it.
//!
//! ```text
//! DIR/lock             held while a journal serves
//! DIR/identity.json    which journal of which domain this is
//! DIR/journal.toml     the configuration
//! DIR/server.pem       the server certificate and its key, 0600
//! DIR/bootstrap/       what `init` hands over: domain CA, first operator, join token
//! DIR/log/             the database
//! DIR/endpoints.json   while a journal is ready: where it listens
//! ```
//!
//! **Invariant:** one process at a time uses a data directory, and a refusal to do so changes nothing in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use events::vocabulary::{DomainId, JournalId, LogId};
use serde::{Deserialize, Serialize};

/// Which journal of which domain a data directory belongs to. Written once, by `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The domain.
    pub domain_id: DomainId,
    /// The journal.
    pub journal_id: JournalId,
    /// The log that must lie beside.
    pub log_id: LogId,
}

/// Where a ready journal listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Its process.
    pub pid: u32,
    /// The agents' listener.
    pub agent: Option<SocketAddr>,
    /// The operators' listener.
    pub operator: Option<SocketAddr>,
    /// The cluster listener; none before there is a quorum.
    pub cluster: Option<SocketAddr>,
    /// The listener for probes and metrics.
    pub http: Option<SocketAddr>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error("{} is in use by process {holder}; stop that journal first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, as far as it says.
        holder: String,
    },
    /// It was never initialised.
    #[error("{} is no data directory of a journal; make one with `pact-journal init`", path.display())]
    NotInitialised {
        /// The directory.
        path: PathBuf,
    },
    /// A file in it cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it is damaged.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file in it cannot be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A data directory in the hands of this process. The lock is released when it is dropped, or by the kernel.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Takes an initialised directory.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let lock_path = path.join("lock");
        let not_initialised = || DataDirError::NotInitialised { path: path.to_owned() };
        let mut lock = OpenOptions::new().read(true).write(true).open(&lock_path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                not_initialised()
            } else {
                DataDirError::Read { path: lock_path.clone(), source }
            }
        })?;
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let read = lock.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if read { holder.trim().to_owned() } else { "unknown".to_owned() };
            return Err(DataDirError::InUse { path: path.to_owned(), holder });
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Says in the lock whose it is, for people who find the directory in use, and removes what a killed journal said
    /// of where it listened. Only after all checks have passed.
    pub fn sign_lock(&self) -> Result<(), DataDirError> {
        self.remove_endpoints();
        let path = self.path.join("lock");
        std::fs::write(&path, format!("{}\n", std::process::id()))
            .map_err(|source| DataDirError::Write { path, source })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which journal it belongs to.
    pub fn identity(&self) -> Result<Identity, DataDirError> {
        identity(&self.path)
    }

    /// Tells where the journal listens, in one step, so that no reader sees half of it.
    pub fn write_endpoints(&self, endpoints: &Endpoints) -> Result<(), DataDirError> {
        let (path, draft) = (self.path.join("endpoints.json"), self.path.join("endpoints.json.new"));
        let write = || {
            std::fs::write(&draft, serde_json::to_vec(endpoints)?)?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|source| DataDirError::Write { path: path.clone(), source })
    }

    /// The journal does not listen any more.
    pub fn remove_endpoints(&self) {
        // A file that is already gone is what was wanted; any other failure leaves a pid that no longer lives.
        std::fs::remove_file(self.path.join("endpoints.json")).ok();
    }
}

/// Which journal a directory belongs to, whoever uses it.
///
/// # Errors
/// If it does not say so.
pub fn identity(dir: &Path) -> Result<Identity, DataDirError> {
    let path = dir.join("identity.json");
    let text = std::fs::read(&path).map_err(|source| DataDirError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|error| DataDirError::Damaged { path, message: error.to_string() })
}

/// Makes a file that did not exist, durably, with these permissions.
pub fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), DataDirError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|source| DataDirError::Write { path: path.to_owned(), source })
}

/// Puts a file in the place of another, durably and in one step: whoever reads sees the one or the other. It belongs to
/// whom the other belonged to, so that root can do it for a journal that runs as somebody else.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<(), DataDirError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let failed = |source| DataDirError::Write { path: path.to_owned(), source };
    // What a crash left is half a file.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    write_new(&draft, contents, mode)?;
    if let Ok(former) = std::fs::metadata(path) {
        std::os::unix::fs::chown(&draft, Some(former.uid()), Some(former.gid())).map_err(failed)?;
    }
    std::fs::rename(&draft, path).map_err(failed)?;
    let folder =
        path.parent().map_or(Ok(()), |parent| File::open(parent).and_then(|folder| folder.sync_all()));
    folder.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_with_its_mode_whatever_a_crash_left() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.pem");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(dir.path().join("server.pem.new"), "half a f").unwrap();
        replace(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_in_use_names_its_process() {
        let dir = tempfile::tempdir().unwrap();
        write_new(&dir.path().join("lock"), b"", 0o600).unwrap();
        let first = DataDir::lock(dir.path()).unwrap();
        first.sign_lock().unwrap();
        let message = DataDir::lock(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        assert!(DataDir::lock(dir.path()).is_ok());
    }

    #[test]
    fn a_directory_without_a_lock_was_never_initialised() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(DataDir::lock(dir.path()), Err(DataDirError::NotInitialised { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
