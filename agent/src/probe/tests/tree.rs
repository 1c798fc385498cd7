//! Makes a sysfs in a temporary directory, as the kernel lays it out: interfaces are links into `devices/`, a card has
//! a `device`, which has a `subsystem`.
//!
//! **Invariant:** dropping removes the tree.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A sysfs.
pub struct Tree {
    root: TempDir,
}

impl Tree {
    /// With a list of interfaces that is empty.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("class/net")).unwrap();
        Self { root }
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file, with the folders above it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        write(&self.path().join(name), bytes.as_ref());
    }

    /// Adds an interface, behind which there is a device if it is on a bus. Answers its folder.
    pub fn interface(&self, name: &str, bus: Option<&str>) -> PathBuf {
        let parent = match bus {
            Some(bus) => format!("devices/{bus}-bus/{name}-device"),
            None => "devices/virtual".to_owned(),
        };
        let folder = self.path().join(&parent).join("net").join(name);
        fs::create_dir_all(&folder).unwrap();
        if let Some(bus) = bus {
            symlink(format!("../../../bus/{bus}"), self.path().join(&parent).join("subsystem")).unwrap();
            symlink(format!("../../../{name}-device"), folder.join("device")).unwrap();
        }
        symlink(format!("../../{parent}/net/{name}"), self.path().join("class/net").join(name)).unwrap();
        folder
    }
}

/// Writes a file, with the folders above it.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
