//! A data directory that appears whole or not at all: made beside the path asked for, and moved there in one step.
//!
//! `init` and `restore` make one. Not here: what the log in it holds, and `join`, whose beginning is kept for the next try.
//!
//! **Invariant:** before the last step nothing that a journal would serve lies anywhere: the lock comes last.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::Config;
use crate::data_dir::{DataDirError, Identity, write_new};
use crate::domain_ca::{DomainCa, ServerCredential};
use crate::random::{self, RandomError};
use crate::server_credential;

/// Why there is no new directory. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NewDirectoryError {
    /// Something is there already; it was not touched.
    #[error("{} exists already; nothing was changed", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// No directory of this name can be made.
    #[error("{} is no name for a data directory", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A directory could not be made, moved or listed.
    #[error("could not make {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The configuration could not be written down.
    #[error("the configuration could not be written")]
    Config(#[from] toml::ser::Error),
    /// The identity could not be written down.
    #[error("the journal's identity could not be written")]
    Identity(#[from] serde_json::Error),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// See the module. Removed with all that is in it when it is dropped before [`NewDirectory::settle`].
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    draft: PathBuf,
    settled: bool,
}

/// What lies beside every log.
pub struct Beside<'a> {
    /// Whose it is.
    pub identity: &'a Identity,
    /// How the journal is configured.
    pub config: &'a Config,
    /// Its server certificate.
    pub server: &'a ServerCredential,
    /// Who signed that.
    pub domain_ca: &'a DomainCa,
    /// Whether the domain CA's key is kept here.
    pub keeps_key: bool,
}

impl NewDirectory {
    /// Begins one for `path`; `verb` is in its name until it is settled.
    ///
    /// # Errors
    /// If something is there already, or the directory cannot be made.
    pub fn begin(path: &Path, verb: &str) -> Result<Self, NewDirectoryError> {
        let path = named(path)?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(NewDirectoryError::Exists { path });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .map_err(|source| NewDirectoryError::Directory { path: parent.to_owned(), source })?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{verb}-{}", hex::encode(random::bytes::<6>()?)));
        let draft = path.with_file_name(name);
        make_private(&draft)?;
        let directory = Self { path, draft, settled: false };
        make_private(&directory.draft.join("bootstrap"))?;
        Ok(directory)
    }

    /// Where everything is put until it is settled.
    pub fn draft(&self) -> &Path {
        &self.draft
    }

    /// Where it will be: absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what lies beside the log.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, beside: &Beside<'_>) -> Result<(), NewDirectoryError> {
        let (dir, bootstrap) = (&self.draft, self.draft.join("bootstrap"));
        let Beside { identity, config, server, domain_ca, keeps_key } = beside;
        write_new(&dir.join("identity.json"), &serde_json::to_vec_pretty(identity)?, 0o644)?;
        write_new(&dir.join("journal.toml"), toml::to_string_pretty(config)?.as_bytes(), 0o644)?;
        let credential = Zeroizing::new([server.chain_pem.as_str(), server.key_pem.as_str()].concat());
        write_new(&dir.join(server_credential::FILE), credential.as_bytes(), 0o600)?;
        write_new(&bootstrap.join("domain-ca.pem"), domain_ca.certificate_pem().as_bytes(), 0o644)?;
        if *keeps_key {
            write_new(&bootstrap.join("domain-ca.key"), domain_ca.key_pem().as_bytes(), 0o600)?;
        }
        Ok(())
    }

    /// Makes it last, then moves it: after that it is there, whatever happens to the machine.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn settle(mut self) -> Result<(), NewDirectoryError> {
        write_new(&self.draft.join("lock"), b"", 0o600)?;
        let sync = |dir: &Path| fs::File::open(dir).and_then(|dir| dir.sync_all());
        let settle = || {
            sync(&self.draft.join("bootstrap"))?;
            sync(&self.draft)?;
            fs::rename(&self.draft, &self.path)?;
            self.path.parent().map_or(Ok(()), sync)
        };
        let settled = settle();
        settled.map_err(|source| NewDirectoryError::Directory { path: self.path.clone(), source })?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.settled {
            // What cannot be removed either is named by the error that came first.
            fs::remove_dir_all(&self.draft).ok();
        }
    }
}

/// The directory asked for, absolute and with a name of its own: what is printed must hold elsewhere too.
fn named(path: &Path) -> Result<PathBuf, NewDirectoryError> {
    let unusable = || NewDirectoryError::Path { path: path.to_owned() };
    let absolute = std::path::absolute(path).map_err(|_| unusable())?;
    let plain = absolute.file_name().is_some() && absolute.to_str().is_some();
    if plain { Ok(absolute) } else { Err(unusable()) }
}

fn make_private(path: &Path) -> Result<(), NewDirectoryError> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|source| NewDirectoryError::Directory { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_settled_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let directory = NewDirectory::begin(&folder.path().join("j1"), "restore").unwrap();
        assert!(directory.draft().is_dir() && !directory.draft().join("lock").exists());
        drop(directory);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j1");
        fs::write(&path, "x").unwrap();
        assert!(matches!(NewDirectory::begin(&path, "init"), Err(NewDirectoryError::Exists { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_lock_comes_with_the_last_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/j1");
        NewDirectory::begin(&path, "init").unwrap().settle().unwrap();
        assert!(path.join("lock").exists());
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
