//! A node is in the vCluster that an operator put it into at any member, and hears of it at whichever its stream stands.

use crate::boot_configuration::booted;
use crate::boot_configuration::groups::told;
use crate::request::Machine;

use super::Trio;

#[tokio::test]
async fn a_node_hears_within_a_second_of_a_change_that_another_member_decided() {
    let trio = Trio::start().await;
    let founder = trio.operator(0).await;
    for vcluster in ["prod", "test"] {
        founder.set_overlay(vcluster, vcluster.as_bytes()).await.unwrap();
    }
    for (at, by) in (0..3).flat_map(|at| (0..3).map(move |by| (at, by))).filter(|(at, by)| at != by) {
        let operator = trio.operator(by).await;
        let machine = Machine::registered(&operator).await;
        let agent = booted(trio.journal(at), &machine).await;
        let seq = agent.boot_config(0).await.unwrap().complete.seq;
        let mut stream = agent.subscribe_from(seq).await.unwrap();

        operator.assign(&machine.node_id, "prod").await.unwrap();
        assert_eq!(told(&mut stream).await.vcluster_id, "prod", "at {at} by {by}");
        operator.move_to(&machine.node_id, "test").await.unwrap();
        assert_eq!(told(&mut stream).await.vcluster_id, "test", "at {at} by {by}");
        let fetched = agent.boot_config(0).await.unwrap();
        assert_eq!(fetched.overlay.as_deref(), Some(&b"test"[..]));
        operator.unassign(&machine.node_id).await.unwrap();
        assert_eq!(told(&mut stream).await.vcluster_id, "", "at {at} by {by}");
    }
}
