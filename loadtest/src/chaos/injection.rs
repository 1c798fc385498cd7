//! Carries out a schedule of faults, each in its time, and lifts every one of them.
//!
//! [`crate::chaos`] runs it beside the load and waits for its end.
//!
//! Not here, on purpose: what the faults must not bring about ([`super::oracles`]).
//!
//! **Invariant:** when [`run`] is over no fault is left: nobody is stopped, cut off, held down or traced, and disks have
//! room.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::{
    outcome::Failure,
    pb::{
        EvictRequest, EvictResponse, TransferLeaderRequest, TransferLeaderResponse,
        member_service_client::MemberServiceClient,
    },
};
use rustix::process::Signal;
use serde::Serialize;
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::{self, Instant},
};

use super::{
    history::What,
    member::Member,
    network::{CLIENTS, Cut},
    quorum::Quorum,
    schedule::{Fault, Planned, Way, Whom},
};
use crate::progress::say;

/// A process that began while a fault lasted may end of it a little later.
const AFTERMATH: Duration = Duration::from_secs(3);
/// A killed process is gone within this.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Every journal but the founder may be evicted, and a change of members takes its time.
const CHANGES_WITHIN: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(300);
/// The system calls by which RocksDB syncs.
const SYNCS: &str = "fsync,fdatasync";

/// A fault as it came.
#[derive(Debug, Clone, Serialize)]
pub struct Injected {
    /// As it was planned.
    #[serde(flatten)]
    pub planned: Planned,
    /// Whom it met.
    pub journals: Vec<String>,
    /// When it was begun, in ms from the beginning.
    pub began_ms: u64,
    /// When it was lifted.
    pub lifted_ms: u64,
    /// Why nothing came of it, if nothing did.
    pub failed: Option<String>,
}

/// Carries out all, in their time. Answers when all are lifted.
pub async fn run(quorum: &Arc<Quorum>, schedule: Vec<Planned>, began: Instant) -> Vec<Injected> {
    let injected = Arc::new(Mutex::new(BTreeMap::new()));
    let mut faults = JoinSet::new();
    for (number, planned) in schedule.into_iter().enumerate() {
        let (quorum, injected) = (Arc::clone(quorum), Arc::clone(&injected));
        faults.spawn(async move {
            time::sleep_until(began + planned.at()).await;
            let came = inject(&quorum, number, planned).await;
            injected.lock().expect("nobody panics while it is held").insert(number, came);
        });
    }
    while faults.join_next().await.is_some() {}
    let injected = std::mem::take(&mut *injected.lock().expect("nobody panics while it is held"));
    injected.into_values().collect()
}

async fn inject(quorum: &Arc<Quorum>, number: usize, planned: Planned) -> Injected {
    let met = met(quorum, planned.fault);
    let journals: Vec<String> = met.iter().map(|nth| quorum.members[*nth].name.clone()).collect();
    say(&format!("{planned}: {}", journals.join(", ")));
    let began = quorum.history.now();
    let hold = Hold { quorum, number: number as u64, lasts: planned.lasts() };
    let came = hold.carry_out(planned.fault, &met).await;
    quorum.disturb(&met, began);
    if let Fault::Clock { ahead_secs, .. } | Fault::ClockJump { ahead_secs, .. } = planned.fault {
        met.iter().for_each(|nth| quorum.note_wrong_clock(*nth, began, ahead_secs));
    }
    if let Err(failure) = &came {
        say(&format!("{planned}: nothing came of it: {failure}"));
    }
    let millis = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    Injected {
        planned,
        journals,
        began_ms: millis(began),
        lifted_ms: millis(quorum.history.now()),
        failed: came.err().map(|failure| failure.to_string()),
    }
}

/// Whom a fault meets.
fn met(quorum: &Quorum, fault: Fault) -> Vec<usize> {
    match fault {
        Fault::Kill { whom, .. }
        | Fault::Pause { whom }
        | Fault::DiskFull { whom, .. }
        | Fault::ReadOnly { whom }
        | Fault::IoError { whom }
        | Fault::SlowDisk { whom, .. }
        | Fault::Clock { whom, .. }
        | Fault::ClockJump { whom, .. } => vec![quorum.find(whom)],
        Fault::Partition { way: Way::Apart, .. } | Fault::Loss { .. } | Fault::RestartAll {} => {
            quorum.seated()
        }
        Fault::Partition { whom, way: Way::Halves } => {
            smaller_half(&quorum.seated(), quorum.find(whom)).collect()
        }
        Fault::Partition { whom, way: Way::FromOne } => {
            let own = quorum.find(whom);
            let other = quorum.seated().into_iter().find(|nth| *nth != own);
            [own].into_iter().chain(other).collect()
        }
        Fault::Partition { whom, .. } => vec![quorum.find(whom)],
        Fault::Transfer { to } => vec![quorum.find(to)],
        // The founder keeps the domain CA's key: nobody could join without it.
        Fault::Membership { whom } => match quorum.find(whom) {
            0 => quorum.seated().into_iter().find(|nth| *nth != 0).into_iter().collect(),
            other => vec![other],
        },
    }
}

/// A fault under way.
struct Hold<'a> {
    quorum: &'a Arc<Quorum>,
    number: u64,
    lasts: Duration,
}

impl Hold<'_> {
    async fn carry_out(&self, fault: Fault, met: &[usize]) -> Result<(), Failure> {
        let Some(nth) = met.first().copied() else { return Ok(()) };
        let member = &*self.quorum.members[nth];
        match fault {
            Fault::Kill { cut_off: false, .. } => self.kill(&[member]).await,
            Fault::Kill { cut_off: true, .. } => self.kill_cut_off(nth).await,
            Fault::Pause { .. } => self.pause(member).await,
            Fault::Partition { way, .. } => self.cut(cuts(self.quorum, met, way)).await,
            Fault::Loss { percent } => self.cut(everywhere(self.quorum, percent)).await,
            Fault::DiskFull { leaves, .. } => self.fill(member, leaves).await,
            Fault::ReadOnly { .. } => self.read_only(member).await,
            Fault::IoError { .. } => self.trace(member, "error=EIO").await,
            Fault::SlowDisk { delay_ms, .. } => {
                self.trace(member, &format!("delay_enter={}", delay_ms * 1000)).await
            }
            Fault::Clock { ahead_secs, .. } => self.set_clock(member, ahead_secs).await,
            Fault::RestartAll {} => {
                let all: Vec<_> = met.iter().map(|nth| &*self.quorum.members[*nth]).collect();
                self.kill(&all).await
            }
            Fault::Transfer { .. } => self.transfer(member).await,
            Fault::Membership { .. } => self.replace(nth).await,
            Fault::ClockJump { ahead_secs, .. } => self.jump(member, ahead_secs).await,
        }
    }

    async fn kill(&self, members: &[&Member]) -> Result<(), Failure> {
        members.iter().for_each(|member| member.life().held_down += 1);
        members.iter().for_each(|member| member.kill());
        for member in members {
            gone(member).await;
        }
        time::sleep(self.lasts).await;
        members.iter().for_each(|member| member.life().held_down -= 1);
        Ok(())
    }

    /// What it had promised alone must outlast its death.
    async fn kill_cut_off(&self, nth: usize) -> Result<(), Failure> {
        let member = &*self.quorum.members[nth];
        self.quorum.network.cut(self.number, cuts(self.quorum, &[nth], Way::Alone))?;
        time::sleep(self.lasts * 2 / 3).await;
        member.life().held_down += 1;
        member.kill();
        gone(member).await;
        member.life().held_down -= 1;
        time::sleep(self.lasts / 3 + AFTERMATH).await;
        self.quorum.network.heal(self.number)
    }

    async fn pause(&self, member: &Member) -> Result<(), Failure> {
        member.signal(Signal::STOP);
        time::sleep(self.lasts).await;
        member.signal(Signal::CONT);
        Ok(())
    }

    async fn cut(&self, cuts: Vec<Cut>) -> Result<(), Failure> {
        self.quorum.network.cut(self.number, cuts)?;
        time::sleep(self.lasts).await;
        self.quorum.network.heal(self.number)
    }

    async fn fill(&self, member: &Member, leaves: u64) -> Result<(), Failure> {
        let ballast = member.disk().join(format!("ballast{}", self.number));
        let done = excused(member, async {
            fill(member.disk(), &ballast, leaves)?;
            time::sleep(self.lasts).await;
            Ok(())
        });
        let done = done.await;
        // Another fault may have made the disk read-only meanwhile.
        let until = Instant::now() + CHANGES_WITHIN;
        while ballast.exists() && fs::remove_file(&ballast).is_err() && Instant::now() < until {
            time::sleep(AGAIN).await;
        }
        aftermath(member).await;
        done
    }

    async fn read_only(&self, member: &Member) -> Result<(), Failure> {
        member.life().held_down += 1;
        member.kill();
        gone(member).await;
        let done = excused(member, async {
            remount(member.disk(), "remount,ro").await?;
            member.life().held_down -= 1;
            time::sleep(self.lasts).await;
            member.life().held_down += 1;
            Ok(())
        });
        let done = done.await;
        // Whoever was starting has nothing open for writing.
        let back = remount(member.disk(), "remount,rw").await;
        member.life().held_down -= 1;
        aftermath(member).await;
        done.and(back)
    }

    async fn trace(&self, member: &Member, injection: &str) -> Result<(), Failure> {
        let done = excused(member, async {
            let mut tracer = strace(member, injection)?;
            time::sleep(self.lasts).await;
            tracer.start_kill().ok();
            tracer.wait().await.ok();
            // A tracer that dies lets go of a process that is stopped just then.
            member.signal(Signal::CONT);
            Ok(())
        });
        let done = done.await;
        aftermath(member).await;
        done
    }

    async fn set_clock(&self, member: &Member, ahead_secs: i32) -> Result<(), Failure> {
        let done = excused(member, async {
            restart(member, ahead_secs).await;
            time::sleep(self.lasts).await;
            restart(member, 0).await;
            Ok(())
        });
        let done = done.await;
        aftermath(member).await;
        done
    }

    /// Its process runs on, and must.
    async fn jump(&self, member: &Member, ahead_secs: i32) -> Result<(), Failure> {
        member.set_clock(ahead_secs)?;
        time::sleep(self.lasts).await;
        member.set_clock(0)
    }

    async fn transfer(&self, to: &Member) -> Result<(), Failure> {
        // Any of them may be asked.
        let seated = self.quorum.seated();
        let asked = usize::try_from(self.number).unwrap_or_default() % seated.len();
        let connection = self.quorum.operator_at(seated[asked]).await?;
        let mut client = MemberServiceClient::new(connection.channel());
        let request = TransferLeaderRequest { journal_id: to.name.clone() };
        let asked = client.transfer_leader(request);
        let told = |_: &TransferLeaderResponse| None;
        self.quorum.noted(&connection, &to.name, What::TransferLeader, asked, told).await.map(drop)
    }

    /// Evicts one and has another join.
    async fn replace(&self, nth: usize) -> Result<(), Failure> {
        // Another change may be under way: each has a host of its own.
        let fresh = self.quorum.members.iter().position(|member| {
            let mut life = member.life();
            let is_free = !life.joined && life.door.is_none() && !life.chosen;
            life.chosen |= is_free;
            is_free
        });
        let Some(fresh) = fresh else { return Err(Failure::other("there is no host left")) };
        let evicted = &*self.quorum.members[nth];
        let until = Instant::now() + CHANGES_WITHIN;
        if let Err(failure) = until_done(until, || self.evict(nth, &evicted.name)).await {
            self.quorum.members[fresh].life().chosen = false;
            return Err(failure);
        }
        time::sleep(self.lasts).await;
        // A member that was killed or cut off meanwhile cannot stand in the way.
        evicted.life().evicted = true;
        evicted.kill();
        until_done(until, || async { self.quorum.admit(fresh, self.quorum.find(Whom::Leader)).await })
            .await?;
        let name = &self.quorum.members[fresh].name;
        until_done(until, || async {
            let voters = self.quorum.voters(self.quorum.find(Whom::Leader)).await?;
            voters.contains(name).then_some(()).ok_or_else(|| Failure::other(format!("{name} does not vote")))
        })
        .await?;
        self.quorum.members[fresh].life().joined = true;
        Ok(())
    }

    async fn evict(&self, nth: usize, name: &str) -> Result<(), Failure> {
        let others: Vec<usize> = self.quorum.seated().into_iter().filter(|other| *other != nth).collect();
        let by = match self.quorum.find(Whom::Leader) {
            leader if leader != nth => leader,
            _ => others[0],
        };
        let connection = self.quorum.operator_at(by).await?;
        let mut client = MemberServiceClient::new(connection.channel());
        let request = EvictRequest {
            journal_id: name.to_owned(),
            revoke_issued: false,
            reason: "a fault of a run".to_owned(),
        };
        // From now on it may end, whatever is answered.
        self.quorum.members[nth].life().excused += 1;
        let told = |answer: &EvictResponse| Some(answer.seq);
        self.quorum.noted(&connection, name, What::Evict, client.evict(request), told).await.map(drop)
    }
}

async fn until_done<F: Future<Output = Result<(), Failure>>>(
    until: Instant,
    mut step: impl FnMut() -> F,
) -> Result<(), Failure> {
    loop {
        match step().await {
            Ok(()) => return Ok(()),
            Err(failure) if Instant::now() >= until => return Err(failure),
            Err(_) => time::sleep(AGAIN).await,
        }
    }
}

/// While this is under way the journal may end with a failure.
async fn excused(member: &Member, step: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    member.life().excused += 1;
    step.await
}

/// And a little longer: the end of [`excused`].
async fn aftermath(member: &Member) {
    time::sleep(AFTERMATH).await;
    member.life().excused -= 1;
}

/// Kills it; it is started again with another clock.
async fn restart(member: &Member, ahead_secs: i32) {
    {
        let mut life = member.life();
        life.held_down += 1;
        life.ahead_secs = ahead_secs;
    }
    member.kill();
    gone(member).await;
    member.life().held_down -= 1;
}

async fn gone(member: &Member) {
    let deadline = Instant::now() + GONE_WITHIN;
    while member.runs() && Instant::now() < deadline {
        // Another fault may have stopped it: SIGKILL reaches it anyway.
        time::sleep(LOOK_EVERY).await;
    }
}

/// The most that are no majority of all: one of them, and who comes behind it.
fn smaller_half(all: &[usize], one: usize) -> impl Iterator<Item = usize> + use<> {
    let at = all.iter().position(|nth| *nth == one).unwrap_or_default();
    let (before, behind) = all.split_at(at);
    let half = (all.len().saturating_sub(1) / 2).max(1);
    [behind, before].concat().into_iter().take(half)
}

/// The packets that a partition drops, of those whom it meets.
fn cuts(quorum: &Quorum, met: &[usize], way: Way) -> Vec<Cut> {
    let hosts = |places: &[usize]| places.iter().map(|nth| quorum.members[*nth].host).collect::<Vec<_>>();
    let (met, all) = (hosts(met), hosts(&quorum.seated()));
    let own = met[0];
    let others = all.iter().copied().filter(|host| *host != own);
    let from = |from: usize, to: usize| Cut { from, to, percent: 100 };
    let both = |one: usize, other: usize| [from(one, other), from(other, one)];
    match way {
        Way::Alone => others.flat_map(|other| both(own, other)).collect(),
        Way::Halves => {
            let larger = all.iter().filter(|host| !met.contains(host));
            larger.flat_map(|one| met.iter().flat_map(|other| both(*one, *other))).collect()
        }
        Way::Mute => others.map(|other| from(own, other)).collect(),
        Way::Deaf => others.map(|other| from(other, own)).collect(),
        Way::FromOne => met.iter().skip(1).flat_map(|other| both(own, *other)).collect(),
        Way::Apart => {
            let pairs = all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other)));
            pairs.filter(|(one, other)| one != other).map(|(one, other)| from(one, other)).collect()
        }
        Way::Unplugged => others.chain([CLIENTS]).flat_map(|other| both(own, other)).collect(),
    }
}

fn everywhere(quorum: &Quorum, percent: u8) -> Vec<Cut> {
    let mut hosts: Vec<usize> = quorum.seated().into_iter().map(|nth| quorum.members[nth].host).collect();
    hosts.push(CLIENTS);
    let pairs = hosts.iter().flat_map(|one| hosts.iter().map(move |other| (*one, *other)));
    pairs.filter(|(one, other)| one != other).map(|(from, to)| Cut { from, to, percent }).collect()
}

/// Writes until so many bytes are left.
fn fill(disk: &Path, ballast: &Path, leaves: u64) -> Result<(), Failure> {
    let failed = |why: String| Failure::other(format!("{}: {why}", ballast.display()));
    let room = rustix::fs::statvfs(disk).map_err(|error| failed(error.to_string()))?;
    let weight = (room.f_bavail * room.f_frsize).saturating_sub(leaves);
    let file = fs::File::create(ballast).map_err(|error| failed(error.to_string()))?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, weight)
        .map_err(|error| failed(error.to_string()))
}

async fn remount(disk: &Path, options: &str) -> Result<(), Failure> {
    let mut command = Command::new("mount");
    let done = command.args(["-o", options]).arg(disk).stderr(Stdio::piped()).output().await;
    let failed = |why: String| Failure::other(format!("mount -o {options}: {why}"));
    let done = done.map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

/// Attaches to a journal; its syncs are what is said from then on.
fn strace(member: &Member, injection: &str) -> Result<Child, Failure> {
    let pid = member.pid().ok_or_else(|| Failure::other(format!("{} does not run", member.name)))?;
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-p", &pid.to_string()])
        .args(["-e", &format!("trace={SYNCS}"), "-e", &format!("inject={SYNCS}:{injection}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::other(format!("strace cannot be started: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_half_is_no_majority_and_has_whom_the_fault_meets() {
        let half = |all: &[usize], one| smaller_half(all, one).collect::<Vec<_>>();
        assert_eq!(half(&[0, 2, 3, 5, 7], 3), [3, 5]);
        assert_eq!(half(&[0, 2, 3, 5, 7], 7), [7, 0]);
        assert_eq!(half(&[0, 1, 2, 3], 1), [1]);
        assert_eq!(half(&[0, 1, 4], 4), [4]);
        assert_eq!(half(&[0, 1], 1), [1]);
    }
}
