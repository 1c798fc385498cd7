//! The file systems that every program expects, and that no disk holds.
//!
//! [`super::FirstProcess::begin`] mounts them before anything else: the kernel command line is read from `/proc`. There is
//! no log yet, so what fails is kept, and told later.
//!
//! Not here, on purpose: file systems with something on them, which are the image's business.
//!
//! **Invariant:** it may be done again at any time: what is mounted already stays, and on a machine that is not the agent's
//! nothing that lies in a directory is hidden.

use std::{fmt, fs, io, path::Path};

use rustix::{
    fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx},
    mount::{MountFlags, mount},
};

/// What to mount, where, and how.
struct Mount {
    target: &'static str,
    kind: &'static str,
    flags: MountFlags,
    options: &'static std::ffi::CStr,
}

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// In the order in which they lie in each other.
const MOUNTS: [Mount; 8] = [
    Mount { target: "/proc", kind: "proc", flags: QUIET.union(MountFlags::NOEXEC), options: c"" },
    Mount { target: "/sys", kind: "sysfs", flags: QUIET.union(MountFlags::NOEXEC), options: c"" },
    Mount { target: "/dev", kind: "devtmpfs", flags: MountFlags::NOSUID, options: c"mode=0755" },
    Mount {
        target: "/dev/pts",
        kind: "devpts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: c"mode=0620,ptmxmode=0666",
    },
    Mount { target: "/dev/shm", kind: "tmpfs", flags: QUIET, options: c"mode=1777" },
    Mount { target: "/run", kind: "tmpfs", flags: QUIET, options: c"mode=0755" },
    Mount { target: "/tmp", kind: "tmpfs", flags: QUIET, options: c"mode=1777" },
    Mount { target: "/sys/fs/cgroup", kind: "cgroup2", flags: QUIET.union(MountFlags::NOEXEC), options: c"" },
];

/// A file system that is missing, and why.
#[derive(Debug)]
pub(super) struct NotMounted {
    target: &'static str,
    error: io::Error,
}

impl fmt::Display for NotMounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be mounted: {}", self.target, self.error)
    }
}

/// Mounts what is not mounted yet. On a machine of its own the agent decides; elsewhere others may have put something
/// into a directory. Whose machine it is can be told once the first is mounted.
pub(super) fn mount_all(owns_the_machine: impl Fn() -> bool) -> Vec<NotMounted> {
    let missing = MOUNTS.iter().filter(|mount| !is_mounted(mount.target));
    let due = missing.filter(|mount| owns_the_machine() || is_empty(mount.target));
    due.filter_map(|mount| mount.mount().err().map(|error| NotMounted { target: mount.target, error }))
        .collect()
}

impl Mount {
    fn mount(&self) -> io::Result<()> {
        fs::create_dir_all(self.target)?;
        Ok(mount(self.kind, self.target, self.kind, self.flags, self.options)?)
    }
}

/// The kernel says so itself: a bind mount has no other device than what lies around it.
fn is_mounted(target: &str) -> bool {
    let told = statx(CWD, target, AtFlags::empty(), StatxFlags::empty());
    told.is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// What is not there is empty.
fn is_empty(target: &str) -> bool {
    fs::read_dir(Path::new(target)).map_or(true, |mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_is_known() {
        assert!(is_mounted("/proc") && is_mounted("/"));
        assert!(!is_mounted("/proc/self") && !is_mounted("/no/such/directory"));
    }

    #[test]
    fn what_lies_in_a_directory_is_not_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().to_str().unwrap();
        assert!(is_empty(name) && is_empty("/no/such/directory"));
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(!is_empty(name));
    }
}
