//! The other binaries of pact: beside this one, or where `PACT_BIN_DIR` says.

use std::{
    env,
    path::{Path, PathBuf},
};

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
            beside(&own)
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

/// Where the binaries of this build lie. Cargo puts the tests' executables one folder below, into `deps`.
fn beside(own: &Path) -> PathBuf {
    let folder = own.parent().unwrap_or(Path::new(""));
    let built = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    built.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_lie_beside_the_binary_and_above_a_test() {
        assert_eq!(beside(Path::new("/target/release/pact-loadtest")), Path::new("/target/release"));
        assert_eq!(beside(Path::new("/target/release/deps/faults-1f")), Path::new("/target/release"));
    }
}
