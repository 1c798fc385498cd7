//! The end of a machine: everybody is asked to stop, then made to, then it is off or starts again.
//!
//! `init::live` calls it after the goodbye.
//!
//! Not here, on purpose: file systems of a disk. The image that mounts one stops what uses it and unmounts it; all are
//! synced.
//!
//! **Invariant:** nothing is signalled by a process that is not the first: where it is, the signal for all reaches its own
//! machine's processes, or those of its namespace, and nobody else's.

use std::{
    fs, io, process,
    time::{Duration, Instant},
};

use rustix::{
    fs::sync,
    process::{Pid, Signal, kill_process_group},
    system::{RebootCommand, reboot},
};
use tokio::time;

use super::signals::Asked;
use crate::children;

/// Who was asked to stop has so long.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The kernel ends who was killed at once, unless it waits for a device.
const KILL_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends all other processes.
pub(super) async fn stop_all() {
    for (signal, within) in [(Signal::TERM, STOP_WITHIN), (Signal::KILL, KILL_WITHIN)] {
        // No such process: nobody is left.
        if process::id() != 1 || kill_process_group(Pid::INIT, signal).is_err() {
            return;
        }
        let until = Instant::now() + within;
        while others_run() && Instant::now() < until {
            children::reap_inherited().ok();
            time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether there is a process with a program. The kernel's own threads have none.
fn others_run() -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let me = process::id();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| *pid != me).any(has_a_program)
}

fn has_a_program(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Ends this machine. Comes back only if the kernel refuses.
pub(super) fn of_machine(asked: Asked) -> io::Error {
    sync();
    let command = match asked {
        Asked::PowerOff | Asked::Succeed => RebootCommand::PowerOff,
        Asked::Reboot => RebootCommand::Restart,
    };
    match reboot(command) {
        Ok(()) => io::Error::other("the kernel went on"),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_with_a_program_are_told_from_others() {
        assert!(has_a_program(process::id()) && others_run());
        assert!(!has_a_program(u32::MAX));
    }
}
