//! Threads that do much for many: whoever runs on one asks the kernel for long turns instead of quick ones.
//!
//! In a storm every core has more to do than it can. A thread that interrupts another for each message spends the time
//! on switching: journal and clients on two cores switched 7,000 times a second, and with this 2,700, for a sixth less
//! CPU a node (docs/performance.md). What must be quick (Raft, the log's writer, probes) keeps the usual turns, and so
//! comes before these threads.
//!
//! Not here, on purpose: priorities. Nobody starves; only the length of turns changes.

use std::io;

/// `SCHED_BATCH` of `sched(7)`: does not interrupt others when it wakes up.
const SCHED_BATCH: u32 = 3;
/// The turn that is asked for. Since Linux 6.12 ordinary threads may (EEVDF); before, it is ignored.
const TURN_NANOSECONDS: u64 = 10_000_000;

/// `struct sched_attr` of `sched_setattr(2)`, in its first version.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for long turns for the calling thread, whose niceness stays, unless it has another policy than the usual one. Threads that it starts afterwards inherit them.
///
/// # Errors
/// If the system refuses, as some containers do: a pity, no harm.
pub fn prefer() -> io::Result<()> {
    // SAFETY: it takes two numbers and touches no memory.
    #[allow(unsafe_code)]
    let present = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    if present != libc::c_long::from(libc::SCHED_OTHER) {
        // Whoever runs the process has chosen.
        return Ok(());
    }
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: SCHED_BATCH,
        flags: 0,
        nice: rustix::process::getpriority_process(None)?,
        priority: 0,
        runtime: TURN_NANOSECONDS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns, and keeps no pointer.
    #[allow(unsafe_code)]
    let refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// [`prefer`], where a refusal is only worth a word.
pub fn prefer_if_possible() {
    if let Err(error) = prefer() {
        tracing::debug!(%error, "no long turns for this thread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calling_thread_becomes_a_batch_thread_and_keeps_its_niceness() {
        std::thread::spawn(|| {
            let before = rustix::process::getpriority_process(None).unwrap();
            match prefer() {
                // Some containers refuse it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
                preferred => preferred.unwrap(),
            }
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // proc(5): fields are counted from 1; after the name, which ends with `)`, comes the third.
            let policy = stat.rsplit_once(") ").unwrap().1.split(' ').nth(41 - 3).unwrap().to_owned();
            assert_eq!(policy, SCHED_BATCH.to_string());
            assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
        })
        .join()
        .unwrap();
    }
}
