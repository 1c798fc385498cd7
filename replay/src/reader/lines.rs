//! The lines of an exported log (`pact-replay export --format jsonl`), each as [`events::codec::export_line`] takes it apart.
//!
//! What the words say must be what the bytes say; [`super::Facts`] compares them.
//!
//! Called by [`super::Reader`] only. Not here: what facts mean, and whether the chain holds.
//!
//! **Invariant:** no line takes more memory than [`LONGEST_LINE`], whatever the file is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use events::codec::export_line::{LONGEST_LINE, take_apart, words};
pub(crate) use events::codec::export_line::{STORED, in_base64};
use serde_json::{Map, Value};

use super::{OpenError, rows::Row};

/// One line.
pub(crate) struct Line<'a> {
    /// Its place, by its own word.
    pub(crate) seq: u64,
    /// The stored value.
    pub(crate) value: &'a [u8],
    /// All that it says beside it.
    pub(crate) words: Map<String, Value>,
}

/// An exported log that was opened.
pub(super) struct ExportFile {
    file: File,
}

impl ExportFile {
    /// Opens a file and looks at its first line: whether it is the beginning of an exported log.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Unreadable { file: path.to_owned(), source };
        let export = Self { file: File::open(path).map_err(unreadable)? };
        let mut lines = export.lines();
        let first = if lines.read_line().map_err(unreadable)? { words(&lines.line).ok() } else { None };
        check_first(path.to_owned(), first)?;
        Ok(export)
    }

    /// Its lines, from the first.
    pub(super) fn lines(&self) -> Lines<'_> {
        let from = BufReader::with_capacity(1 << 18, At { file: &self.file, offset: 0 });
        Lines { from, line: vec![], value: vec![] }
    }
}

/// Tells what a file is, if it is no exported log.
fn check_first(file: PathBuf, words: Option<Map<String, Value>>) -> Result<(), OpenError> {
    let has = |name: &str| words.as_ref().is_some_and(|words| words.contains_key(name));
    let seq = words.as_ref().and_then(|words| words.get("seq")?.as_u64());
    match seq {
        _ if has("specversion") => Err(OpenError::CloudEvents { file }),
        Some(_) if !has(STORED) => Err(OpenError::WordsOnly { file }),
        Some(1) => Ok(()),
        Some(first) => Err(OpenError::Part { file, first }),
        None => Err(OpenError::NotAnExport { file }),
    }
}

/// See the module.
pub(crate) struct Lines<'a> {
    from: BufReader<At<'a>>,
    line: Vec<u8>,
    value: Vec<u8>,
}

impl Lines<'_> {
    /// The next line; none: that was the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Row<'_>>> {
        if !self.read_line()? {
            return Ok(None);
        }
        Ok(Some(match take_apart(&self.line, &mut self.value) {
            Ok((seq, words)) => Row::Exported(Line { seq, value: &self.value, words }),
            Err(damage) => Row::Illegible(damage),
        }))
    }

    /// Whether there was one.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = u64::try_from(LONGEST_LINE).expect("8 MiB are a number") + 1;
        let read = (&mut self.from).take(most).read_until(b'\n', &mut self.line)?;
        if self.line.len() > LONGEST_LINE && self.line.last() != Some(&b'\n') {
            self.from.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }
}

/// Reads a file from an offset of its own, so that it can be read by several at once.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
