//! Who may go on and who is told to come back (R21, R22): strangers, silent connections, more known callers than can be
//! served.

mod connections;
mod overload;
mod strangers;

use std::fs;
use std::time::Duration;

use crate::journal_process::{DataDirectory, Journal};

/// A journal of its own with this budget for unknown callers.
fn with_budget(unknown_per_minute: u64) -> Journal {
    let dir = DataDirectory::init("test");
    dir.configure("unknown_per_minute", unknown_per_minute);
    Journal::serve(dir)
}

/// Memory of the journal's process that lies in RAM, in KB.
fn resident(journal: &Journal) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", journal.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5)");
    line.trim().trim_end_matches(" kB").parse().expect("proc(5)")
}

/// How many files the journal's process has open: each connection is one.
fn open_files(journal: &Journal) -> usize {
    fs::read_dir(format!("/proc/{}/fd", journal.pid())).expect("it runs").count()
}

/// A node without anybody in its way takes milliseconds; the machine may be busy.
const PROMPT: Duration = Duration::from_secs(10);
