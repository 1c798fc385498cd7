//! A file that is there whole or not at all, and never in the place of another.
//!
//! `export --out` writes one. Its mode is 0600: facts carry personal remarks.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::failure::Failure;

/// Writes a new file: under a temporary name beside it, synced, then renamed.
pub(super) fn write<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = |error: io::Error| Failure::out(path, &error);
    if path.symlink_metadata().is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    let mut lines = BufWriter::new(file.as_file_mut());
    let filled = fill(&mut lines)?;
    lines.flush().map_err(failed)?;
    drop(lines);
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    Ok(filled)
}
