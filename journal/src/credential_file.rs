//! The file of an operator whom this process makes: certificate chain and key, one PEM file that only its owner reads.
//!
//! The key lies on disk before the certificate is asked for, so that none is given that nobody could keep.
//!
//! **Invariant:** the file appears whole or not at all, with the mode 0600 from its first byte on, and replaces nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use events::vocabulary::Der;
use zeroize::Zeroizing;

use crate::domain_ca::{MakeError, OwnRequest, certificates_pem};

/// Why the credential cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialFileError {
    /// It would replace something.
    #[error("{} exists; choose another --out", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No key.
    #[error("no key could be made")]
    Key(#[from] MakeError),
}

/// A key, and the place where it shall stand. Removed when it is dropped before it is settled.
pub struct CredentialFile {
    path: PathBuf,
    draft: PathBuf,
    file: File,
    request: OwnRequest,
    settled: bool,
}

impl CredentialFile {
    /// Makes a key, and puts it beside the file that shall be.
    ///
    /// # Errors
    /// If there is such a file, or none can be written.
    pub fn begin(path: &Path) -> Result<Self, CredentialFileError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(CredentialFileError::Exists { path: path.to_owned() });
        }
        let request = OwnRequest::generate()?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let draft = path.with_file_name(name);
        let failed = |source| CredentialFileError::Write { path: path.to_owned(), source };
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        let mut kept = Self { path: path.to_owned(), draft, file, request, settled: false };
        let key = kept.request.key_pem.clone();
        kept.fill(key.as_bytes()).map_err(failed)?;
        Ok(kept)
    }

    /// The request for the certificate, DER PKCS#10.
    pub fn csr(&self) -> &[u8] {
        &self.request.csr
    }

    /// Puts the certificates before the key, and the file into its place.
    ///
    /// # Errors
    /// If it cannot be written. The certificate has been given by then.
    pub fn settle(mut self, chain: &[Der]) -> Result<(), CredentialFileError> {
        let text = Zeroizing::new([certificates_pem(chain).as_str(), self.request.key_pem.as_str()].concat());
        let written = self.fill(text.as_bytes()).and_then(|()| fs::rename(&self.draft, &self.path));
        self.settled = written.is_ok();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            // The file is whole already; this makes its name last.
            folder.sync_all().ok();
        }
        written.map_err(|source| CredentialFileError::Write { path: self.path.clone(), source })
    }

    fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)?;
        self.file.sync_all()
    }
}

impl Drop for CredentialFile {
    fn drop(&mut self) {
        if !self.settled {
            fs::remove_file(&self.draft).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_whole_and_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rescue.pem");
        CredentialFile::begin(&path).unwrap().settle(&[Der::new(vec![1])]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-----BEGIN CERTIFICATE") && text.contains("PRIVATE KEY"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(CredentialFile::begin(&path), Err(CredentialFileError::Exists { .. })));
    }

    #[test]
    fn a_key_without_a_certificate_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        drop(CredentialFile::begin(&folder.path().join("rescue.pem")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = CredentialFile::begin(&folder.path().join("no/such.pem"));
        assert!(matches!(nowhere, Err(CredentialFileError::Write { .. })));
    }
}
