//! Waiting for a directory to keep still: a running journal flushes and compacts, so files come and go while a reader
//! opens them. Called by [`super::Reader::open`] only.
//!
//! **Invariant:** what is returned was opened while the manifest stayed as it was. A flush writes the manifest first and
//! deletes write-ahead logs then; a reader that had the old manifest and missed the old write-ahead log would open a
//! log with a gap, without any error: a false alarm.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use super::OpenError;

/// With the pauses between them: 10 s.
const TRIES: u32 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The files of a directory and their sizes.
type Listing = BTreeMap<OsString, u64>;

/// Opens what lies in the directory, again and again while files move.
pub(super) fn when_still<T>(dir: &Path, open: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let listing = || list(dir).map_err(|source| OpenError::List { dir: dir.to_owned(), source });
    let moving = || OpenError::Moving { dir: dir.to_owned(), tries: TRIES };
    repeat(listing, open, thread::sleep)?.ok_or_else(moving)
}

/// Tries [`TRIES`] times. None: files moved each time. An error while no file moved is final.
fn repeat<T, E: std::error::Error>(
    mut listing: impl FnMut() -> Result<Listing, E>,
    mut open: impl FnMut() -> Result<T, E>,
    mut pause: impl FnMut(Duration),
) -> Result<Option<T>, E> {
    let mut wait = FIRST_PAUSE;
    for tried in 1..=TRIES {
        let before = listing()?;
        let opened = open();
        let after = listing()?;
        match opened {
            Ok(opened) if manifest(&before).eq(manifest(&after)) => return Ok(Some(opened)),
            Ok(_) => tracing::debug!(tried, "the manifest changed while the log was opened"),
            Err(error) if before == after => return Err(error),
            Err(error) => tracing::debug!(tried, %error, "files moved while the log was opened"),
        }
        pause(wait);
        wait = LONGEST_PAUSE.min(wait * 2);
    }
    Ok(None)
}

/// The file in which RocksDB notes which files count: its name and size tell whether anything was noted.
fn manifest(listing: &Listing) -> impl Iterator<Item = (&OsString, &u64)> {
    listing.iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MANIFEST-"))
}

fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        match file.metadata() {
            Ok(metadata) => listing.insert(file.file_name(), metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, u64)]) -> Listing {
        files.iter().map(|(name, bytes)| (OsString::from(name), *bytes)).collect()
    }

    /// Plays listings and results one after another; answers what came of it and how long it waited.
    fn play(
        listings: &[Listing],
        results: &[Result<u8, io::ErrorKind>],
    ) -> (Result<Option<u8>, io::ErrorKind>, Duration) {
        let (mut listings, mut results) = (listings.iter().cycle(), results.iter().cycle());
        let mut waited = Duration::ZERO;
        let answer = repeat(
            || Ok(listings.next().unwrap().clone()),
            || results.next().unwrap().map_err(io::Error::from),
            |pause| waited += pause,
        );
        (answer.map_err(|error| error.kind()), waited)
    }

    #[test]
    fn a_directory_that_keeps_still_is_opened_at_once() {
        let still = files(&[("CURRENT", 16), ("000004.log", 7)]);
        assert_eq!(play(&[still], &[Ok(1)]), (Ok(Some(1)), Duration::ZERO));
    }

    #[test]
    fn an_error_while_nothing_moves_is_final() {
        let still = files(&[("CURRENT", 16)]);
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!(play(&[still], &[Err(denied)]), (Err(denied), Duration::ZERO));
    }

    #[test]
    fn a_missing_file_is_tried_again_while_files_move() {
        let (before, after) = (files(&[("000004.log", 7)]), files(&[("000004.log", 9)]));
        let (answer, waited) = play(&[before, after], &[Err(io::ErrorKind::NotFound), Ok(2)]);
        assert_eq!((answer, waited), (Ok(Some(2)), FIRST_PAUSE));
    }

    #[test]
    fn a_log_opened_while_its_manifest_changed_is_opened_again() {
        let (before, after) = (files(&[("MANIFEST-000005", 7)]), files(&[("MANIFEST-000005", 9)]));
        let (answer, _) = play(&[before, after.clone(), after.clone(), after], &[Ok(1), Ok(2)]);
        assert_eq!(answer, Ok(Some(2)));
    }

    #[test]
    fn facts_that_are_written_meanwhile_do_no_harm() {
        let (before, after) = (files(&[("000004.log", 7)]), files(&[("000004.log", 9), ("000006.log", 0)]));
        assert_eq!(play(&[before, after], &[Ok(1)]), (Ok(Some(1)), Duration::ZERO));
    }

    #[test]
    fn tries_end_after_ten_seconds() {
        let (before, after) = (files(&[("MANIFEST-000005", 7)]), files(&[("MANIFEST-000009", 7)]));
        let (answer, waited) = play(&[before, after], &[Ok(1)]);
        assert_eq!(answer, Ok(None));
        assert!((10..=11).contains(&waited.as_secs()), "{waited:?}");
    }
}
