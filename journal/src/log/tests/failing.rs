//! A disk that takes no more.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::fixture::{Ground, append, goodbye, node, operator_created, operator_revoked, step};
use super::quorum::eventually;
use crate::log::AppendError;
use crate::log::room::is_spared;

/// A small file system in memory; unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Self {
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        let mounted = mounted.is_ok_and(|done| done.status.success());
        assert!(mounted, "this test mounts a small disk: run it as root");
        Self(at.to_owned())
    }

    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left over at worst, in memory.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test]
async fn rule_03_on_a_full_disk_nothing_is_acknowledged_and_the_log_says_so() {
    let at = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(at.path(), 4);
    let ground = Ground::at(at.path().to_owned());
    let log = ground.create().await;
    let broken = log.broken();
    let mut acknowledged = 0;
    let error = loop {
        let name = format!("n{acknowledged}");
        let facts = vec![goodbye(&name); 16];
        let mut append = append(acknowledged + 1, &[(node(&name), 0)], facts);
        append.remarks = (0..100)
            .map(|salt| events::vocabulary::Remark::new([salt; 16], &"x".repeat(1000)).unwrap())
            .collect();
        match log.append(append).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, AppendError::Stopped { reason } if reason.contains("No space")), "{error:?}");
    let reason = tokio::time::timeout(Duration::from_secs(10), broken).await.expect("the log is broken");
    assert!(reason.contains("No space"), "{reason}");
    let after = log.append(append(u64::MAX, &[(node("late"), 0)], vec![goodbye("late")])).await;
    assert!(matches!(after, Err(AppendError::Stopped { .. })), "{after:?}");
    log.stop().await;

    disk.grow();
    let log = ground.open().await;
    assert!(acknowledged > 3, "{acknowledged}");
    for name in 0..acknowledged {
        assert_eq!(log.version(&node(&format!("n{name}"))).unwrap(), 16, "n{name} was acknowledged");
    }
    assert_eq!(log.version(&node("late")).unwrap(), 0);
    log.stop().await;
    drop(log);
}

#[tokio::test]
async fn rule_03_below_the_reserve_only_revocations_are_recorded_until_there_is_room_again() {
    let at = tempfile::tempdir().unwrap();
    let _disk = SmallDisk::mount(at.path(), 64);
    let ground = Ground::at(at.path().to_owned()).reserving(16 << 20);
    let log = ground.create().await;
    log.append(operator_created(1)).await.unwrap();
    assert_eq!((log.is_short_of_disk(), log.little_disk()), (false, None));
    let ballast = at.path().join("ballast");
    std::fs::write(&ballast, vec![0; 50 << 20]).unwrap();
    eventually("it is noticed", || log.is_short_of_disk()).await;
    assert!(log.little_disk().is_some_and(|left| left < 16 << 20));

    assert_eq!(log.append(step(2, "n1", 0)).await, Err(AppendError::DiskLow));
    log.append(operator_revoked(3)).await.unwrap();

    std::fs::remove_file(&ballast).unwrap();
    eventually("there is room again", || !log.is_short_of_disk()).await;
    log.append(step(2, "n1", 0)).await.unwrap();
    log.stop().await;
    drop(log);
}

#[test]
fn rule_03_only_what_takes_something_away_is_spared() {
    assert!(is_spared(&operator_revoked(1)));
    assert!(!is_spared(&operator_created(1)));
    assert!(!is_spared(&append(1, &[(node("n"), 0)], vec![goodbye("n")])));
    let mut both = operator_revoked(1);
    both.facts.push(goodbye("n"));
    assert!(!is_spared(&both), "all of it must be");
}

#[tokio::test]
async fn rule_03_a_panic_while_applying_breaks_the_log_and_what_was_committed_stays() {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(operator_created(1)).await.unwrap();
    let broken = log.broken();
    log.on_change(|_| panic!("a listener fails"));
    let answer = log.append(operator_revoked(2)).await;
    assert!(matches!(answer, Err(AppendError::Stopped { .. })), "{answer:?}");
    tokio::time::timeout(Duration::from_secs(10), broken).await.expect("the log is broken");
    assert!(matches!(log.append(step(3, "n1", 0)).await, Err(AppendError::Stopped { .. })));
    log.stop().await;
    let log = ground.open().await;
    assert_eq!(log.chain_head().0, 3);
    log.stop().await;
}
