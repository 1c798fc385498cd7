//! The processes that the agent starts itself, and those that it inherits.
//!
//! Whoever starts a process does it with [`spawn`]. The first process of a machine is also handed every process whose
//! parent has ended; `init::reaper` calls [`reap_inherited`] for those. The two must not be taken for each other: a
//! process can be waited for once, and the one who started it wants its status.
//!
//! Not here, on purpose: who is started, and what for.
//!
//! **Invariant:** the end of a process that [`spawn`] started is for its [`Child`] alone. A process is entered before
//! anybody can look for ended ones, because both hold the same lock.

use std::{
    collections::BTreeSet,
    fs, io,
    ops::{Deref, DerefMut},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::{process::Command, sync::Notify};

/// A process has one set of children.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// Somebody gave a child up: it may have ended before, and nothing else would tell.
static GIVEN_UP: Notify = Notify::const_new();

/// A process of ours: tokio's, whose status nobody else takes. Dropped, it is one of those that are inherited.
#[derive(Debug)]
pub struct Child {
    // Dropped first: while tokio lets go of it, it is still ours.
    process: tokio::process::Child,
    _entry: Entry,
}

impl Deref for Child {
    type Target = tokio::process::Child;

    fn deref(&self) -> &Self::Target {
        &self.process
    }
}

impl DerefMut for Child {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.process
    }
}

#[derive(Debug)]
struct Entry(Option<u32>);

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            own().remove(&pid);
            GIVEN_UP.notify_one();
        }
    }
}

/// A panic elsewhere leaves a set of numbers as sound as it was.
fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process. It does not inherit the first process's protection from the kernel's choice when memory is short.
///
/// # Errors
/// If it cannot be started.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut own = own();
    let process = command.spawn()?;
    let pid = process.id();
    own.extend(pid);
    drop(own);
    if let Some(pid) = pid.filter(|_| process::id() == 1) {
        // Where it has ended already there is nothing to set.
        fs::write(format!("/proc/{pid}/oom_score_adj"), "0").ok();
    }
    Ok(Child { process, _entry: Entry(pid) })
}

/// Ends when somebody gave up a child that may have ended already.
pub(crate) async fn given_up() {
    GIVEN_UP.notified().await;
}

/// Takes the status of every process that has ended and that nobody here started. Answers how many.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn reap_inherited() -> io::Result<usize> {
    let own = own();
    if !somebody_has_ended() {
        return Ok(0);
    }
    let mut reaped = 0;
    for pid in ended_children()? {
        let inherited = !own.contains(&pid);
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| inherited);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Some(Ok(Some(_))) = pid.map(|pid| waitid(WaitId::Pid(pid), options)) {
            reaped += 1;
        }
    }
    Ok(reaped)
}

/// Asks without taking anything.
fn somebody_has_ended() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Ok(Some(_)))
}

/// Not `waitid` for any: it tells the same one until somebody takes it, and that may be one of ours.
fn ended_children() -> io::Result<Vec<u32>> {
    let me = process::id();
    let processes = fs::read_dir("/proc")?.filter_map(Result::ok);
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stat = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Ok(numbers.filter(|pid| is_ended_child_of(me, &stat(pid))).collect())
}

/// `PID (NAME) STATE PARENT …`, where the name may hold anything (proc_pid_stat(5)).
fn is_ended_child_of(parent: u32, stat: &str) -> bool {
    let mut fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.next() == Some("Z") && fields.next().and_then(|field| field.parse().ok()) == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_child_is_known_whatever_its_name() {
        assert!(is_ended_child_of(1, "42 (sh) Z 1 1 1 0"));
        assert!(is_ended_child_of(1, "42 (a) R 7 (b) Z 1 1"));
        for stat in
            ["", "42", "42 (sh)", "42 (sh) S 1 1", "42 (sh) Z 2 1", "42 (Z 1) R 2", "42 (x) Z", ") Z x"]
        {
            assert!(!is_ended_child_of(1, stat), "{stat}");
        }
    }

    #[tokio::test]
    async fn the_status_of_an_own_child_is_not_taken_by_the_reaper() {
        let mut child = spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap();
        let pid = child.id().unwrap();
        // It is over, and nobody has asked.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()), options).unwrap();
        assert!(ended_children().unwrap().contains(&pid));

        reap_inherited().unwrap();

        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert!(own().contains(&pid));
        drop(child);
        assert!(!own().contains(&pid));
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_told_and_not_entered() {
        let before = own().len();
        assert!(spawn(&mut Command::new("/no/such/program")).is_err());
        assert!(own().len() <= before);
    }
}
