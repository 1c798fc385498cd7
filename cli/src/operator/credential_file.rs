//! The file of an operator: certificate chain and key, one PEM file that only its owner reads.
//!
//! [`super::create`] and [`super::renew`] draft it before they ask: a certificate that nobody could keep is not asked for.
//!
//! **Invariant:** the file appears as a whole or not at all, with the mode 0600 from its first byte on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use proto::outcome::Failure;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use zeroize::Zeroizing;

/// More than a chain and a key take.
const ROOM: usize = 8 * 1024;

/// A key and the place where it shall stand.
pub struct Draft {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    key: Zeroizing<String>,
    csr: Vec<u8>,
    settled: bool,
}

impl Draft {
    /// Makes a key, and a file beside the one that shall be. `present`: a file that may be replaced.
    ///
    /// # Errors
    /// If the file exists and is another one than `present`, cannot be made, or there are no random numbers.
    pub fn new(path: &Path, present: Option<&Path>) -> Result<Self, Failure> {
        let mut path = path.to_owned();
        if fs::symlink_metadata(&path).is_ok() {
            // A link stays, and the file that it leads to is replaced.
            let own = fs::canonicalize(&path).ok();
            match own
                .filter(|own| present.and_then(|other| fs::canonicalize(other).ok()).as_ref() == Some(own))
            {
                Some(own) => path = own,
                None => {
                    return Err(Failure::Usage(format!("{} exists; choose another --out", path.display())));
                }
            }
        }
        let (key, csr) =
            request().map_err(|error| Failure::other(format!("a key could not be made: {error}")))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let temporary = path.with_file_name(name);
        let told = format!("cannot write {}", path.display());
        let unwritable = |error: io::Error| Failure::Usage(format!("{told}: {error}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(unwritable)?;
        let mut draft = Self { path, temporary, file, key, csr, settled: false };
        // Before anybody is asked: a full disk must not be found out by a certificate that nobody can keep.
        draft.fill(&[b'\n'; ROOM]).map_err(unwritable)?;
        Ok(draft)
    }

    /// Makes these the file's bytes, for good.
    fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)?;
        self.file.sync_all()
    }

    /// The request for the certificate, DER PKCS#10.
    pub fn csr(&self) -> &[u8] {
        &self.csr
    }

    /// Writes the certificate (DER), those that signed it, and the key; then moves the file into its place.
    ///
    /// # Errors
    /// If it cannot be written. The journal has given the certificate by then.
    pub fn settle(mut self, certificate: &[u8], chain: &[Vec<u8>]) -> Result<(), Failure> {
        let certificates = std::iter::once(certificate).chain(chain.iter().map(Vec::as_slice));
        let text: Vec<String> = certificates.map(pem).collect();
        let text = Zeroizing::new([text.concat().as_str(), self.key.as_str()].concat());
        let written = self.fill(text.as_bytes()).and_then(|()| fs::rename(&self.temporary, &self.path));
        self.settled = written.is_ok();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            // The file is whole already; this makes its name last.
            folder.sync_all().ok();
        }
        written.map_err(|error| {
            Failure::other(format!(
                "the certificate was given, but {} could not be written: {error}; a renewal can be asked for again within \
                 5 minutes, a new operator must be created under another name",
                self.path.display()
            ))
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.settled {
            // There is no certificate for it.
            fs::remove_file(&self.temporary).ok();
        }
    }
}

/// A P-256 key as PKCS #8 PEM, and a request that says nothing else (R8).
fn request() -> Result<(Zeroizing<String>, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key)?.der().to_vec();
    Ok((Zeroizing::new(key.serialize_pem()), csr))
}

fn pem(der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_exists_is_not_replaced_unless_it_is_the_present_credential() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own.pem"), dir.path().join("other.pem"));
        fs::write(&own, "own").unwrap();
        fs::write(&other, "other").unwrap();
        assert!(matches!(Draft::new(&own, None), Err(Failure::Usage(_))));
        assert!(matches!(Draft::new(&own, Some(&other)), Err(Failure::Usage(_))));
        Draft::new(&own, Some(&own)).unwrap().settle(b"certificate", &[]).unwrap();
        assert!(fs::read_to_string(&own).unwrap().contains("PRIVATE KEY"));
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
    }

    #[test]
    fn a_draft_without_a_certificate_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        drop(Draft::new(&dir.path().join("a.pem"), None).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_before_anything_is_asked() {
        let failure = Draft::new(Path::new("/no/such/folder/a.pem"), None).err().unwrap();
        assert!(failure.to_string().contains("cannot write /no/such/folder/a.pem"), "{failure}");
    }
}
