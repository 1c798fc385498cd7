//! The other binaries of pact: beside this one, or where `PACT_BIN_DIR` says.

use std::{env, path::PathBuf};

use proto::outcome::Failure;

/// Finds a binary by its name.
///
/// # Errors
/// Says where it was looked for.
pub fn find(name: &str) -> Result<PathBuf, Failure> {
    let folder = match env::var_os("PACT_BIN_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => {
            let own = env::current_exe().map_err(|error| Failure::other(format!("where am I? {error}")))?;
            own.parent().map(PathBuf::from).unwrap_or_default()
        }
    };
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let told = format!(
        "there is no {name} in {}; `make build` puts it there, or set PACT_BIN_DIR",
        folder.display()
    );
    Err(Failure::Usage(told))
}
