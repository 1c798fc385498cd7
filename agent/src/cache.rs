//! The last boot configuration, in the state directory: what the next process goes by when no journal answers.
//!
//! [`crate::run`] reads it once and writes it after every change. Written beside, synced, renamed, and the directory synced: who
//! reads finds the one before or this one, whole.
//!
//! Not here, on purpose: keys and certificates. A process that starts enrolls (R18).
//!
//! **Invariant:** what is read is what was written: a checksum over all of it says so. No bytes make reading panic.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use events::vocabulary::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    boot_config::{BootConfig, OVERLAY_BYTES, Overlay},
    life::Cached,
};

/// How it begins. Another form has another number.
const MARK: &[u8] = b"pact boot configuration 1\n";
/// Its name in the state directory.
const NAME: &str = "boot-config";
/// While it is written.
const BESIDE: &str = "boot-config.next";
/// Names and numbers take far less.
const HEADER_BYTES: usize = 4096;
/// No file of ours is larger.
const FILE_BYTES: usize = OVERLAY_BYTES + HEADER_BYTES + 1024;
/// A hash as text, and the end of its line.
const HASH_LINE: usize = 65;

/// Why what was kept is not used. Shows nothing of an overlay.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory or a file in it cannot be used.
    #[error("cannot use {path}: {source}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is of another form, or longer than any.
    #[error("it is no boot configuration that this release has written")]
    Form,
    /// It is not what was written.
    #[error("its checksum is wrong: it was damaged")]
    Damaged,
}

/// What stands before the overlay.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    node_id: String,
    domain_id: String,
    vcluster: Option<String>,
    revision: u64,
    seq: u64,
    has_overlay: bool,
}

/// A state directory.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// In this directory, which is made if there is none: nobody else may look into it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let unusable = |source| CacheError::Unusable { path: directory.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
        // What lies there is run as services: nobody else may put it there, or a link in its place.
        let found = fs::metadata(directory).map_err(unusable)?;
        if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            let why = "it belongs to somebody else, or others may write to it; chown and chmod 0700 it";
            return Err(unusable(io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// What was kept last. `None`: nothing.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn read(&self) -> Result<Option<Cached>, CacheError> {
        let path = self.directory.join(NAME);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes)) {
            Ok(_) => decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CacheError::Unusable { path, source }),
        }
    }

    /// Keeps this in the place of what was kept before.
    ///
    /// # Errors
    /// If it cannot be written. What was kept before is there, or this is.
    pub fn write(&self, cached: &Cached) -> Result<(), CacheError> {
        let (path, beside) = (self.directory.join(NAME), self.directory.join(BESIDE));
        let written = || {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
            file.write_all(&encode(cached))?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|source| CacheError::Unusable { path: path.clone(), source })
    }

    /// Keeps nothing.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self) -> Result<(), CacheError> {
        let path = self.directory.join(NAME);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::Unusable { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The bytes of a file.
pub fn encode(cached: &Cached) -> Vec<u8> {
    let Cached { node_id, domain_id, config } = cached;
    let header = Header {
        node_id: node_id.to_string(),
        domain_id: domain_id.to_string(),
        vcluster: config.vcluster.as_ref().map(ToString::to_string),
        revision: config.revision,
        seq: config.seq,
        has_overlay: config.overlay.is_some(),
    };
    let mut rest = serde_json::to_vec(&header).expect("texts and numbers are JSON");
    rest.push(b'\n');
    if let Some(overlay) = &config.overlay {
        rest.extend_from_slice(&overlay.bytes);
    }
    let hash = format!("{}\n", Digest::of(&rest));
    [MARK, hash.as_bytes(), &rest].concat()
}

/// What the bytes of a file say.
///
/// # Errors
/// If they are not what was written.
pub fn decode(bytes: &[u8]) -> Result<Cached, CacheError> {
    if bytes.len() > FILE_BYTES {
        return Err(CacheError::Form);
    }
    let checked = bytes.strip_prefix(MARK).ok_or(CacheError::Form)?;
    let (hash, rest) = checked.split_at_checked(HASH_LINE).ok_or(CacheError::Damaged)?;
    if hash != format!("{}\n", Digest::of(rest)).as_bytes() {
        return Err(CacheError::Damaged);
    }
    let end = rest.iter().take(HEADER_BYTES).position(|byte| *byte == b'\n').ok_or(CacheError::Form)?;
    let (header, overlay) = rest.split_at(end);
    let header: Header = serde_json::from_slice(header).map_err(|_| CacheError::Form)?;
    let vcluster = header.vcluster.map(|name| name.parse()).transpose().map_err(|_| CacheError::Form)?;
    let overlay = overlay.get(1..).unwrap_or_default().to_vec();
    if overlay.len() > OVERLAY_BYTES || (!header.has_overlay && !overlay.is_empty()) {
        return Err(CacheError::Form);
    }
    let overlay = header.has_overlay.then(|| {
        let sha256 = Digest::of(&overlay);
        Arc::new(Overlay { bytes: overlay, sha256 })
    });
    Ok(Cached {
        node_id: header.node_id.parse().map_err(|_| CacheError::Form)?,
        domain_id: header.domain_id.parse().map_err(|_| CacheError::Form)?,
        config: BootConfig { vcluster, revision: header.revision, seq: header.seq, overlay },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn cached(overlay: Option<&[u8]>) -> Cached {
        let overlay =
            overlay.map(|bytes| Arc::new(Overlay { bytes: bytes.to_vec(), sha256: Digest::of(bytes) }));
        let config = BootConfig { vcluster: "ml".parse().ok(), revision: 7, seq: 9, overlay };
        Cached { node_id: "compute-042".parse().unwrap(), domain_id: "alps".parse().unwrap(), config }
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("a/state");
        let cache = Cache::open(&state).unwrap();
        assert_eq!(cache.read().unwrap(), None);
        for overlay in [None, Some(&b""[..]), Some(b"an overlay\nof \xff lines")] {
            cache.write(&cached(overlay)).unwrap();
            assert_eq!(Cache::open(&state).unwrap().read().unwrap(), Some(cached(overlay)));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(NAME))), (0o700, 0o600));
        cache.remove().unwrap();
        cache.remove().unwrap();
        assert_eq!(cache.read().unwrap(), None);
    }

    #[test]
    fn what_a_crash_left_half_written_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        cache.write(&cached(Some(b"first"))).unwrap();
        fs::write(directory.path().join(BESIDE), &encode(&cached(Some(b"second")))[..40]).unwrap();
        assert_eq!(cache.read().unwrap(), Some(cached(Some(b"first"))));
        cache.write(&cached(Some(b"third"))).unwrap();
        assert_eq!(cache.read().unwrap(), Some(cached(Some(b"third"))));
    }

    #[test]
    fn whatever_byte_is_damaged_it_is_noticed() {
        let whole = encode(&cached(Some(b"twelve bytes")));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "{at}");
            assert!(decode(&whole[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn the_largest_overlay_is_kept_and_a_larger_file_is_not_read() {
        let largest = vec![7; OVERLAY_BYTES];
        assert_eq!(decode(&encode(&cached(Some(&largest)))).unwrap(), cached(Some(&largest)));
        let larger = encode(&cached(Some(&vec![7; FILE_BYTES])));
        assert!(matches!(decode(&larger), Err(CacheError::Form)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
            let hash = format!("{}\n", Digest::of(&bytes));
            decode(&[MARK, hash.as_bytes(), &bytes].concat()).ok();
        }
    }
}
