//! What a process has used: processor time and resident memory, as the kernel counts them under `/proc`.
//!
//! [`crate::storm`] measures the journal and itself before and after a storm: a [`Reading`] each.

use std::{fs, io, time::Duration};

use proto::outcome::Failure;
use tokio::time::Instant;

use crate::{journal_metrics::LogCounters, target::Watched};

/// The unit of times in `/proc/PID/stat`: 1/100 s on every architecture, whatever the kernel's own tick is (proc(5)).
const USER_HZ: u64 = 100;

/// What was used up to a moment.
#[derive(Debug)]
pub struct Reading {
    at: Instant,
    clients: Duration,
    journals: Vec<JournalReading>,
}

#[derive(Debug)]
struct JournalReading {
    pid: u32,
    cpu: Duration,
    resident_bytes: u64,
    log: Option<LogCounters>,
}

/// What was used between two moments.
#[derive(Debug, Clone)]
pub struct Used {
    /// Between them.
    pub time: Duration,
    /// Processor time of this process.
    pub clients: Duration,
    /// Of each journal, if they run on this machine.
    pub journals: Vec<JournalUsed>,
}

/// What a journal used between two moments.
#[derive(Debug, Clone)]
pub struct JournalUsed {
    /// Processor time.
    pub cpu: Duration,
    /// Its memory at the second moment.
    pub resident_bytes: u64,
    /// How much more that is than at the first.
    pub grown_bytes: u64,
    /// What its log did, if it has metrics.
    pub log: Option<LogCounters>,
}

impl Reading {
    /// Reads all that can be read at the beginning: the clocks last, so that reading the rest counts for nothing.
    ///
    /// # Errors
    /// If a process is gone, or a journal does not answer for its metrics.
    pub async fn first(watched: &[Watched]) -> Result<Self, Failure> {
        let logs = log_counters(watched).await?;
        let journals = journals(watched, logs)?;
        Ok(Self { clients: own_cpu()?, journals, at: Instant::now() })
    }

    /// Reads the same at the end: the clocks first.
    ///
    /// # Errors
    /// If a process is gone, or a journal does not answer for its metrics.
    pub async fn second(watched: &[Watched]) -> Result<Self, Failure> {
        let (at, clients) = (Instant::now(), own_cpu()?);
        let mut journals = journals(watched, vec![])?;
        let logs = log_counters(watched).await?;
        journals.iter_mut().zip(logs).for_each(|(journal, log)| journal.log = log);
        Ok(Self { at, clients, journals })
    }

    /// What was used from another reading to this one. What a journal used that was killed in between, nobody knows: then
    /// nothing is told of any.
    pub fn since(&self, before: &Self) -> Used {
        let pids = |reading: &Self| reading.journals.iter().map(|journal| journal.pid).collect::<Vec<_>>();
        let are_the_same = pids(self) == pids(before);
        let known = self.journals.iter().zip(&before.journals).filter(|_| are_the_same);
        let journals = known.map(|(after, before)| JournalUsed {
            cpu: after.cpu.saturating_sub(before.cpu),
            resident_bytes: after.resident_bytes,
            grown_bytes: after.resident_bytes.saturating_sub(before.resident_bytes),
            log: after.log.zip(before.log).map(|(after, before)| after.since(before)),
        });
        Used {
            time: self.at.duration_since(before.at),
            clients: self.clients.saturating_sub(before.clients),
            journals: journals.collect(),
        }
    }
}

async fn log_counters(watched: &[Watched]) -> Result<Vec<Option<LogCounters>>, Failure> {
    let mut logs = Vec::with_capacity(watched.len());
    for watched in watched {
        logs.push(match watched.http {
            Some(http) => Some(LogCounters::read(http).await?),
            None => None,
        });
    }
    Ok(logs)
}

fn journals(watched: &[Watched], logs: Vec<Option<LogCounters>>) -> Result<Vec<JournalReading>, Failure> {
    let logs = logs.into_iter().chain(std::iter::repeat(None));
    let read = |(watched, log): (&Watched, Option<LogCounters>)| {
        let cpu = cpu_time(Some(watched.pid)).map_err(unmeasured)?;
        let resident_bytes = resident_bytes(watched.pid).map_err(unmeasured)?;
        Ok(JournalReading { pid: watched.pid, cpu, resident_bytes, log })
    };
    watched.iter().zip(logs).map(read).collect()
}

fn own_cpu() -> Result<Duration, Failure> {
    cpu_time(None).map_err(unmeasured)
}

fn unmeasured(error: io::Error) -> Failure {
    Failure::other(format!("what the processes used cannot be measured: {error}"))
}

/// User and system time of all threads of a process, with a precision of 10 ms. `None` is this process.
///
/// # Errors
/// If there is no such process.
pub fn cpu_time(pid: Option<u32>) -> io::Result<Duration> {
    let text = fs::read_to_string(file(pid, "stat"))?;
    parse_stat(&text).ok_or_else(|| unreadable("stat"))
}

/// Memory of a process that lies in RAM, in bytes.
///
/// # Errors
/// If there is no such process.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(file(Some(pid), "status"))?;
    parse_status(&text).ok_or_else(|| unreadable("status"))
}

fn file(pid: Option<u32>, name: &str) -> String {
    match pid {
        Some(pid) => format!("/proc/{pid}/{name}"),
        None => format!("/proc/self/{name}"),
    }
}

fn unreadable(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/PID/{name} has another form than proc(5) says"))
}

/// The name of the program, the second field, may hold spaces and parentheses: the last one closes it.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    // Fields 14 and 15; the first after the name is field 3.
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let millis = user.checked_add(system)?.checked_mul(1000 / USER_HZ)?;
    Some(Duration::from_millis(millis))
}

fn parse_status(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_journal_used_that_was_killed_in_between_is_not_guessed() {
        let reading = |pid| Reading {
            at: Instant::now(),
            clients: Duration::ZERO,
            journals: vec![JournalReading { pid, cpu: Duration::from_secs(1), resident_bytes: 1, log: None }],
        };
        let before = reading(1);
        assert_eq!(
            (reading(1).since(&before).journals.len(), reading(2).since(&before).journals.len()),
            (1, 0)
        );
    }

    const STAT: &str = "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 900 0 1 0 123 45 7 8 20 0 9 0 100 200 300";

    #[test]
    fn user_and_system_time_are_added_whatever_the_program_is_called() {
        assert_eq!(parse_stat(STAT), Some(Duration::from_millis(1680)));
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(parse_status("Name:\tx\nVmRSS:\t  12345 kB\nThreads:\t1\n"), Some(12_345 * 1024));
        assert_eq!(parse_status("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_used_memory_and_another_that_never_was_has_not() {
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
        assert!(cpu_time(None).is_ok());
        // Process ids end far below.
        assert!(cpu_time(Some(u32::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,200}", user: u64, system: u64) {
            parse_stat(&text);
            parse_status(&text);
            parse_stat(&format!("1 (x) S 1 2 3 4 5 6 7 8 9 10 {user} {system}"));
            parse_status(&format!("VmRSS: {user} kB"));
        }
    }
}
