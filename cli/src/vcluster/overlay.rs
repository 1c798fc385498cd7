//! Overlays on this machine: read from a file or stdin, checked and written.
//!
//! `set` and `set-default` read one, `show` writes one.
//!
//! **Invariant:** never more than an overlay's largest size is held, whatever the file is.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use events::vocabulary::Digest;
use proto::{outcome::Failure, reason::Reason, refusal::Refusal, vcluster_json::VClusterJson};

/// An overlay has at most this many bytes (design §8).
pub const OVERLAY_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// The path that means stdin or stdout.
pub const DASH: &str = "-";

/// Reads the overlay from a file, or from stdin if the path is `-`. It may be empty.
///
/// # Errors
/// [`Failure::Usage`] if it cannot be read; `OVERLAY_TOO_LARGE` before it is read further than its limit.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new(DASH) {
        return bounded(io::stdin().lock(), None).map_err(|error| unreadable("stdin", error))?;
    }
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&shown, error))?;
    let size = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
    bounded(file, size).map_err(|error| unreadable(&shown, error))?
}

/// Writes an overlay to a file.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, overlay: &[u8]) -> Result<(), Failure> {
    fs::write(path, overlay)
        .map_err(|error| Failure::other(format!("cannot write {}: {error}", path.display())))
}

/// Looks whether these bytes are the ones that the vCluster has.
///
/// # Errors
/// `ANSWER_INVALID` if they are not.
pub fn check(vcluster: &VClusterJson, overlay: &[u8]) -> Result<(), Failure> {
    if Digest::of(overlay) == vcluster.overlay_sha256 {
        Ok(())
    } else {
        Err(Failure::named(
            "ANSWER_INVALID",
            "the overlay that the journal sent has another hash than it says",
        ))
    }
}

/// Reads at most one byte more than is allowed; of a file whose size is known and too large, nothing.
fn bounded(from: impl Read, size: Option<u64>) -> io::Result<Result<Vec<u8>, Failure>> {
    if let Some(size) = size.filter(|size| *size > OVERLAY_BYTES_MAX) {
        return Ok(Err(too_large(&size.to_string())));
    }
    let mut overlay = Vec::new();
    let read = from.take(OVERLAY_BYTES_MAX + 1).read_to_end(&mut overlay)?;
    if read as u64 > OVERLAY_BYTES_MAX {
        return Ok(Err(too_large(&format!("more than {OVERLAY_BYTES_MAX}"))));
    }
    Ok(Ok(overlay))
}

fn too_large(bytes: &str) -> Failure {
    let message = format!("the overlay has {bytes} bytes; at most {OVERLAY_BYTES_MAX} are allowed");
    Refusal::new(Reason::OverlayTooLarge, message).into()
}

fn unreadable(what: &str, error: io::Error) -> Failure {
    Failure::Usage(format!("cannot read {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;

    #[test]
    fn an_overlay_may_be_empty_and_as_large_as_allowed() {
        assert_eq!(bounded(io::empty(), Some(0)).unwrap(), Ok(Vec::new()));
        let largest = bounded(repeat(7).take(OVERLAY_BYTES_MAX), None).unwrap().unwrap();
        assert_eq!(largest.len() as u64, OVERLAY_BYTES_MAX);
    }

    #[test]
    fn one_byte_more_is_too_large_and_an_endless_source_is_not_read_on() {
        for from in [repeat(7).take(OVERLAY_BYTES_MAX + 1), repeat(7).take(u64::MAX)] {
            let failure = bounded(from, None).unwrap().unwrap_err();
            assert_eq!((failure.reason_text(), failure.exit() as u8), ("OVERLAY_TOO_LARGE", 1));
        }
    }

    /// Fails when somebody reads it.
    struct Unread;

    impl Read for Unread {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("it was read"))
        }
    }

    #[test]
    fn a_file_that_is_known_to_be_too_large_is_not_read_at_all() {
        let failure = bounded(Unread, Some(OVERLAY_BYTES_MAX + 1)).unwrap().unwrap_err();
        let told = failure.to_string();
        assert_eq!(told, "the overlay has 10485761 bytes; at most 10485760 are allowed");
        assert!(bounded(Unread, Some(OVERLAY_BYTES_MAX)).is_err(), "it would be read");
    }

    #[test]
    fn a_file_that_is_not_there_and_a_folder_are_wrong_usage() {
        for path in ["/no/such/overlay", "/"] {
            let failure = read(Path::new(path)).unwrap_err();
            assert!(failure.to_string().starts_with(&format!("cannot read {path}: ")), "{failure}");
            assert_eq!(failure.exit() as u8, 2);
        }
    }

    #[test]
    fn bytes_of_another_hash_are_not_the_overlay() {
        let vcluster = VClusterJson {
            vcluster: None,
            revision: 1,
            overlay_sha256: Digest::of(b"overlay"),
            overlay_size: 7,
            set_at: events::vocabulary::Timestamp::default(),
            set_by: String::new(),
            nodes: 0,
        };
        assert_eq!(check(&vcluster, b"overlay"), Ok(()));
        assert_eq!(check(&vcluster, b"other").unwrap_err().reason_text(), "ANSWER_INVALID");
    }
}
