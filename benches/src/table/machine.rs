//! The machine on which it was measured: without it a figure says nothing.

use std::fs;
use std::path::Path;
use std::thread;

/// Processor, cores, memory, kernel, and the file system of the logs: one line each. What cannot be told is `unknown`.
pub fn describe(logs: &Path) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let unknown = || "unknown".to_owned();
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(unknown);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| unknown());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| unknown());
    let load = load.split(' ').next().unwrap_or_default();
    let disk = file_system(logs).unwrap_or_else(unknown);
    format!(
        "machine: {cores} cores of {model}, {memory} memory, Linux {}, logs on {disk}, load {load} at the end\n",
        kernel.trim()
    )
}

/// The first `name : value` of a file in /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The kind of the file system in which a path lies.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
        path.starts_with(at).then(|| (at.len(), kind.to_owned()))
    });
    // Of two that are mounted one over the other the later one counts.
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told() {
        let told = describe(Path::new("/proc"));
        assert!(told.starts_with("machine: ") && told.contains(" cores of "), "{told}");
        assert!(told.contains("logs on proc"), "{told}");
    }
}
