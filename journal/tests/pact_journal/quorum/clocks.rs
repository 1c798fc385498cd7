//! A journal whose clock is the wrong one neither leads nor serves (R24). The clocks are set by libfaketime, which reads
//! how far from a file: real processes, whose clock jumps while they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::reason::Reason;

use crate::boot_configuration::booted;
use crate::calls::reason;
use crate::journal_process::{ANSWERED, Journal, until};
use crate::probes::get;
use crate::request::Machine;

use super::{ONE_AT_A_TIME, Trio, founder_dir};

/// A journal finds out within some looks, and a leader is followed by another within an election.
const NOTICED: Duration = Duration::from_secs(20);

/// A clock that can be set.
struct Clock(PathBuf);

impl Clock {
    fn new(folder: &Path, name: &str) -> Self {
        let clock = Self(folder.join(name));
        clock.set(0);
        clock
    }

    /// So many seconds from the right time.
    fn set(&self, seconds: i64) {
        // In one step: a half of it would be read.
        let draft = self.0.with_extension("new");
        fs::write(&draft, format!("{seconds:+}\n")).expect("it can be written");
        fs::rename(&draft, &self.0).expect("it can be moved");
    }

    fn environment(&self) -> Vec<(&'static str, &'static str)> {
        let file = self.0.to_str().expect("a path in UTF-8").to_owned();
        vec![
            ("LD_PRELOAD", library()),
            // As long as this test process, like the rest of the environment.
            ("FAKETIME_TIMESTAMP_FILE", Box::leak(file.into_boxed_str())),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
            ("PACT_JOURNAL_STALE_AFTER_SECS", "30"),
        ]
    }
}

fn library() -> &'static str {
    const PLACES: [&str; 3] = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib64/faketime/libfaketimeMT.so.1",
    ];
    let found = PLACES.iter().find(|place| Path::new(place).is_file());
    found.expect("libfaketime is missing: apt-get install faketime, or scripts/install-prerequisites.sh")
}

/// A trio whose clocks can be set.
async fn trio(clocks: &[Clock; 3]) -> Trio {
    let turn = ONE_AT_A_TIME.lock().await;
    let [first, second, third] = clocks;
    let founder = Journal::serve_with(founder_dir(), first.environment());
    let (operator, door) = (founder.operator().await, founder.cluster_address().to_string());
    let join = async |name: &str, voters: usize, clock: &Clock| {
        let journal = Journal::join(name, &door, &operator.join_token().await, clock.environment());
        operator.voters(voters).await;
        journal
    };
    let (two, three) = (join("j2", 2, second).await, join("j3", 3, third).await);
    Trio { journals: [founder, two, three], _turn: turn }
}

fn readiness(journal: &Journal) -> (u16, String) {
    let answer = get(journal.probes_address(), "/readyz").expect("it answers");
    (answer.status, answer.body)
}

async fn is_not_ready_for_its_clock(journal: &Journal) {
    until("it is not ready", NOTICED, async || {
        let (status, said) = readiness(journal);
        (status == 503 && said.starts_with("clock skew")).then_some(())
    })
    .await;
}

async fn is_ready(journal: &Journal) {
    until("it is ready", NOTICED, async || (readiness(journal).0 == 200).then_some(())).await;
}

#[tokio::test]
async fn rule_24_of_three_journals_the_one_that_is_60_s_ahead_neither_leads_nor_serves() {
    let folder = tempfile::tempdir().unwrap();
    let clocks = ["j1", "j2", "j3"].map(|name| Clock::new(folder.path(), name));
    let trio = trio(&clocks).await;
    let first = trio.leader(&[0, 1, 2]).await;
    for (wrong, seconds) in [(first, 60), ((first + 1) % 3, -60)] {
        // Of a leader, and of a follower or the leader that came after it.
        let others = [(wrong + 1) % 3, (wrong + 2) % 3];
        let operator = trio.operator(wrong).await;
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(wrong), &machine).await;

        clocks[wrong].set(seconds);

        is_not_ready_for_its_clock(trio.journal(wrong)).await;
        for answered in [reason(operator.list().await), reason(agent.boot_config(0).await)] {
            assert_eq!(answered, Reason::ClockSkew);
        }
        let leader = trio.leader_but(&others, wrong).await;
        assert_ne!(leader, wrong);
        // The others go on, by the right time.
        for nth in others {
            let machine = Machine::registered(&trio.operator(nth).await).await;
            booted(trio.journal(nth), &machine).await;
            is_ready(trio.journal(nth)).await;
        }

        clocks[wrong].set(0);

        is_ready(trio.journal(wrong)).await;
        until("it serves again", ANSWERED, async || operator.list().await.ok()).await;
    }
}
