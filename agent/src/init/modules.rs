//! Kernel modules: the drivers that this image was made with, loaded before anything looks for a network.
//!
//! The image says which and in which order: `/etc/pact/modules` has a line for each, `PATH [PARAMETERS]`; without it, all of
//! `/lib/pact-modules` are loaded in the order of their names. `scripts/make-image.sh` writes them so.
//!
//! Not here, on purpose: what depends on what. Whoever makes the image knows it (`modprobe --show-depends`), and the agent
//! would need `modules.dep` and a parser for it.
//!
//! **Invariant:** a module that cannot be loaded keeps no other from being loaded.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::system::finit_module;

const LIST: &str = "/etc/pact/modules";
const FOLDER: &str = "/lib/pact-modules";
/// An image has tens of modules; a file that is larger is another file.
const LIST_BYTES: u64 = 64 * 1024;
/// The kernel unpacks it itself (`MODULE_INIT_COMPRESSED_FILE` of linux/module.h).
const COMPRESSED: i32 = 4;

/// A file with a module, and what it is told.
#[derive(Debug, PartialEq, Eq)]
struct Module {
    path: PathBuf,
    parameters: CString,
}

/// Loads all modules of the image; what fails is told.
pub(super) fn load_all() {
    let modules = match listed() {
        Ok(modules) => modules,
        Err(error) => {
            tracing::warn!(%error, "the list of kernel modules cannot be read");
            return;
        }
    };
    for module in modules {
        match module.load() {
            Ok(()) => tracing::debug!(path = %module.path.display(), "kernel module loaded"),
            Err(error) => {
                tracing::warn!(path = %module.path.display(), %error, "a kernel module could not be loaded");
            }
        }
    }
}

fn listed() -> io::Result<Vec<Module>> {
    let mut text = String::new();
    match File::open(LIST) {
        Ok(list) => list.take(LIST_BYTES).read_to_string(&mut text).map(|_| parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => of_folder(Path::new(FOLDER)),
        Err(error) => Err(error),
    }
}

fn of_folder(folder: &Path) -> io::Result<Vec<Module>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths.into_iter().map(|path| Module { path, parameters: CString::default() }).collect())
}

/// Blank lines and those that begin with # say nothing.
fn parse(text: &str) -> Vec<Module> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(Module::of_line).collect()
}

impl Module {
    /// None for a line with a zero byte, which no parameter can have.
    fn of_line(line: &str) -> Option<Self> {
        let (path, parameters) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let parameters = CString::new(parameters.trim()).ok()?;
        Some(Self { path: path.into(), parameters })
    }

    fn load(&self) -> io::Result<()> {
        let compressed = self.path.extension().is_some_and(|extension| extension != "ko");
        let flags = if compressed { COMPRESSED } else { 0 };
        match finit_module(File::open(&self.path)?, &self.parameters, flags) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_names_a_file_and_what_it_is_told() {
        let modules =
            parse("# drivers\n/lib/a.ko\n\n  /lib/softdog.ko  soft_margin=30 nowayout=0 \n/lib/b.ko \0x\n");
        let told =
            |module: &Module| format!("{} {}", module.path.display(), module.parameters.to_str().unwrap());
        assert_eq!(
            modules.iter().map(told).collect::<Vec<_>>(),
            ["/lib/a.ko ", "/lib/softdog.ko soft_margin=30 nowayout=0"]
        );
    }

    #[test]
    fn a_folder_is_loaded_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["20-net.ko", "10-virtio.ko"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let modules = of_folder(folder.path()).unwrap();
        let names: Vec<_> = modules.iter().filter_map(|module| module.path.file_name()?.to_str()).collect();
        assert_eq!(names, ["10-virtio.ko", "20-net.ko"]);
        assert_eq!(of_folder(Path::new("/no/such/folder")).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_list_makes_reading_panic(text: String) {
            prop_assert!(parse(&text).len() <= text.lines().count());
        }
    }
}
