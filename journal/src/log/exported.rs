//! The facts of an exported log (`pact-replay export --format jsonl`), for a domain of which no data directory is left.
//!
//! [`super::restoring`] reads them; the stored bytes count, the words beside them are for people. An export has no overlays:
//! their bytes are given beside it.
//!
//! **Invariant:** no line takes more memory than [`LONGEST_LINE`], whatever the file is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use events::codec::export_line::{LONGEST_LINE, LineDamage, take_apart};
use events::codec::{StoredValue, decode_body};
use events::domain;
use events::fact::Fact;
use events::vocabulary::{CertificateHash, OverlayHash};

use super::Founding;

/// Why a file is not read as a log.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is none of an export's.
    #[error("line {number} is no fact: {source}")]
    Line {
        /// Which, from 1.
        number: u64,
        /// What is wrong with it.
        source: LineDamage,
    },
    /// It begins elsewhere.
    #[error("{} does not begin with the creation of a domain: export the whole log, as jsonl", path.display())]
    Part {
        /// The file.
        path: PathBuf,
    },
}

/// An exported log, open at its beginning.
pub(super) struct Exported {
    lines: Lines,
    overlays: BTreeMap<OverlayHash, Vec<u8>>,
    founding: Founding,
}

impl Exported {
    /// Opens a file, with the overlays that its facts name.
    pub(super) fn open(path: &Path, overlays: Vec<Vec<u8>>) -> Result<Self, ExportError> {
        let first = Lines::open(path)?.next()?;
        let founding = first.and_then(|(_, value)| founding(&value));
        let founding = founding.ok_or_else(|| ExportError::Part { path: path.to_owned() })?;
        let overlays = overlays.into_iter().map(|bytes| (OverlayHash::of(&bytes), bytes)).collect();
        Ok(Self { lines: Lines::open(path)?, overlays, founding })
    }

    /// Where its chain begins, by its own word; the facts show whether that is so.
    pub(super) fn founding(&self) -> Founding {
        self.founding
    }

    /// The next fact: its place by its own word, and its stored value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, ExportError> {
        self.lines.next()
    }

    /// The bytes of an overlay.
    pub(super) fn overlay(&self, sha256: &OverlayHash) -> Option<Vec<u8>> {
        self.overlays.get(sha256).cloned()
    }
}

struct Lines {
    path: PathBuf,
    from: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, ExportError> {
        let file = File::open(path).map_err(|source| ExportError::Read { path: path.to_owned(), source })?;
        let from = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), from, line: vec![], number: 0 })
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, ExportError> {
        self.line.clear();
        self.number += 1;
        let most = u64::try_from(LONGEST_LINE).expect("8 MiB are a number") + 1;
        let read = (&mut self.from).take(most).read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| ExportError::Read { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        let (number, mut value) = (self.number, vec![]);
        let taken = take_apart(&self.line, &mut value);
        taken.map(|(seq, _)| Some((seq, value))).map_err(|source| ExportError::Line { number, source })
    }
}

fn founding(value: &[u8]) -> Option<Founding> {
    let record = decode_body(StoredValue::parse(value).ok()?.body).ok()?;
    let Fact::Domain(domain::Event::Created(created)) = record.fact else { return None };
    let domain_ca_sha256 = CertificateHash::of(created.domain_ca.as_bytes());
    Some(Founding { log_id: created.log_id, domain_ca_sha256 })
}
