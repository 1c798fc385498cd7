//! A member that stands still for some seconds while the others record, as a virtual machine that is moved does.

use std::{sync::Arc, time::Duration};

use loadtest::progress::Counter;
use rustix::process::Signal;

use crate::{
    ledger::{Ledger, Place, SERVED},
    trio::{Trio, nodes},
};

const NODES: u32 = 900;
const AT_ONCE: u32 = 64;
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_a_leader_or_a_follower_that_stands_still_in_a_storm_loses_nothing() {
    let trio = Trio::start().await;
    let part = nodes(NODES) / 3;
    for round in 0..2u32 {
        let leader = trio.leader(&[0, 1, 2]).await;
        let still = if round == 0 { (leader + 1) % 3 } else { leader };
        let machines = round * part..(round + 1) * part;
        trio.operator(leader).await.register(machines.clone(), &Counter::default()).await.unwrap();
        let (mut ledger, place) = (Ledger::of(machines), Place::of(&trio.all(), SERVED));
        let pause = async {
            trio.journal(still).signal(Signal::STOP).unwrap();
            // The pause is what is tested; nothing is waited for.
            tokio::time::sleep(PAUSE).await;
            trio.journal(still).signal(Signal::CONT).unwrap();
        };

        // when
        let never = Arc::default();
        tokio::join!(ledger.storm(&place, AT_ONCE, &never), pause);

        // then
        assert_eq!(ledger.told(), ledger.len(), "all came up");
        trio.level(&[0, 1, 2]).await;
        for nth in 0..3 {
            ledger.nothing_is_lost(&trio.operator(nth).await).await;
        }
    }
    trio.verify().await;
}
