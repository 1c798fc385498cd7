//! A member whose disk is nearly full keeps the rest for revocations and evictions; members with room go on (R3).

use std::fs;
use std::path::Path;
use std::process::Command;

use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::{Operator, reason};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, until};
use crate::request::Machine;

use super::{ONE_AT_A_TIME, founder_dir};

const RESERVE: (&str, &str) = ("PACT_JOURNAL_DISK_RESERVE_BYTES", "67108864");
const DISK_MEGABYTES: usize = 256;
/// Half of the reserve.
const LEFT: usize = 32 << 20;

/// A small file system in memory; unmounted at the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Self {
        let size = format!("size={DISK_MEGABYTES}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mounted.is_ok_and(|done| done.success()), "this test mounts a small disk: run it as root");
        Self(at)
    }

    /// Bytes that can still be written.
    fn free(&self) -> usize {
        let disk = rustix::fs::statvfs(self.0).expect("it is mounted");
        usize::try_from(disk.f_bavail * disk.f_frsize).expect("it is small")
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Left over at worst, in memory.
        Command::new("umount").arg("--lazy").arg(self.0).status().ok();
    }
}

async fn is_low(operator: &Operator, low: bool) {
    until("the disk is noticed", ANSWERED, async || {
        let told = operator.warnings().await.iter().any(|warning| warning.contains("disk of journal j2"));
        (told == low).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rule_03_a_member_short_of_disk_records_revocations_only_and_those_with_room_go_on() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let operator = founder.operator().await;
    let (door, dir) = (founder.cluster_address().to_string(), DataDirectory::to_join());
    let place = dir.folder().to_owned();
    let disk = SmallDisk::mount(&place);
    let token = operator.join_token().await;
    let short = Journal::join_in(dir, "j2", &door, &token, vec![RESERVE]);
    operator.voters(2).await;
    let third = Journal::join("j3", &door, &operator.join_token().await, vec![]);
    operator.voters(3).await;
    let credential = founder.dir.operator();
    let there = short.operator_with(Some(&credential)).await.unwrap();
    let machine = Machine::registered(&there).await;
    let agent = booted(&short, &machine).await;

    let ballast = place.join("ballast");
    fs::write(&ballast, vec![0; disk.free() - LEFT]).unwrap();

    is_low(&there, true).await;
    let (unknown, other) = (Machine::new(), Machine::registered(&operator).await);
    assert_eq!(reason(there.register(&unknown.node_id, &unknown.hardware).await), Reason::DiskLow);
    let anonymous = short.agent(None).await.unwrap();
    assert_eq!(reason(anonymous.enroll(&other.hardware, &other.csr()).await), Reason::DiskLow);
    // What takes nothing of the disk goes on, and so does what is taken away.
    agent.boot_config(0).await.unwrap();
    there.revoke(&machine.node_id).await.unwrap();
    // Those with room go on, also for what the short one has to keep.
    for journal in [&founder, &third] {
        let operator = journal.operator_with(Some(&credential)).await.unwrap();
        booted(journal, &Machine::registered(&operator).await).await;
    }

    fs::remove_file(&ballast).unwrap();

    is_low(&there, false).await;
    there.register(&unknown.node_id, &unknown.hardware).await.unwrap();
    drop((short, disk));
}
