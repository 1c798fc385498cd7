//! Overlays: how large, for whom, and that they last.

use proto::reason::Reason;

use super::booted;
use crate::calls::reason;
use crate::journal_process::Journal;
use crate::request::Machine;

#[tokio::test]
async fn a_node_gets_the_overlay_of_its_vcluster_and_others_the_domain_default() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let set = operator.set_overlay("prod", b"services = []").await.unwrap();
    let (inside, outside) = (Machine::new(), Machine::registered(&operator).await);
    let node = operator.register_in(&inside, "prod").await.unwrap();
    assert_eq!(node.vcluster_id.as_deref(), Some("prod"));

    let maintenance = booted(&journal, &outside).await;
    let nothing = maintenance.boot_config(0).await.unwrap();
    assert_eq!((nothing.overlay, nothing.complete.revision), (None, 0), "there is no default yet");
    assert_eq!(nothing.complete.vcluster_id, "");

    let assigned = booted(&journal, &inside).await;
    let fetched = assigned.boot_config(0).await.unwrap();
    assert_eq!(fetched.overlay.as_deref(), Some(&b"services = []"[..]));
    assert_eq!(fetched.complete.vcluster_id, "prod");
    assert_eq!(fetched.complete.revision, set.seq, "the revision is the place of the fact");

    let default = operator.set_default(b"").await.unwrap();
    let fetched = maintenance.boot_config(0).await.unwrap();
    assert_eq!((fetched.overlay, fetched.complete.revision), (Some(vec![]), default.seq));
}

#[tokio::test]
async fn a_node_that_has_the_revision_is_told_so_and_sent_nothing() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let set = operator.set_default(&[7; 100_000]).await.unwrap();
    let agent = booted(&journal, &Machine::registered(&operator).await).await;
    let known = agent.boot_config(set.seq).await.unwrap();
    assert_eq!((known.overlay, known.complete.revision), (None, set.seq));
    let other = agent.boot_config(set.seq + 1).await.unwrap();
    assert_eq!(other.overlay.map(|whole| whole.len()), Some(100_000));
}

#[tokio::test]
async fn an_overlay_of_ten_mebibytes_lasts_through_a_crash_and_a_larger_one_is_refused() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    let large: Vec<u8> = (0..10 << 20).map(|at: usize| (at % 251) as u8).collect();
    let set = operator.set_overlay("prod", &large).await.unwrap();
    let shown = set.vcluster.unwrap();
    assert_eq!((shown.size, shown.revision, shown.nodes), (10 << 20, set.seq, 0));
    let too_large = operator.set_overlay("prod", &[&large[..], b"x"].concat()).await;
    assert_eq!(reason(too_large), Reason::OverlayTooLarge);
    let machine = Machine::new();
    operator.register_in(&machine, "prod").await.unwrap();

    journal.kill();
    journal.start_again();

    let operator = journal.operator().await;
    assert_eq!(operator.vcluster("prod").await.unwrap().overlay, large);
    let fetched = booted(&journal, &machine).await.boot_config(0).await.unwrap();
    assert_eq!(fetched.overlay, Some(large));
}

#[tokio::test]
async fn the_overlay_that_stands_is_not_set_again() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let first = operator.set_overlay("prod", b"one").await.unwrap();
    let again = operator.set_overlay("prod", b"one").await.unwrap();
    let other = operator.set_overlay("prod", b"two").await.unwrap();
    assert_eq!(again.vcluster, first.vcluster);
    assert!(other.vcluster.unwrap().revision > first.seq);
    let default = operator.set_default(b"one").await.unwrap();
    assert_eq!(operator.set_default(b"one").await.unwrap().domain_default, default.domain_default);
}

#[tokio::test]
async fn vclusters_are_listed_with_their_nodes() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    for name in ["test", "prod"] {
        operator.set_overlay(name, name.as_bytes()).await.unwrap();
    }
    operator.set_default(b"default").await.unwrap();
    let machine = Machine::new();
    operator.register_in(&machine, "prod").await.unwrap();
    Machine::registered(&operator).await;
    let gone = Machine::new();
    operator.register_in(&gone, "prod").await.unwrap();
    operator.revoke(&gone.node_id).await.unwrap();

    let listed = operator.vclusters().await.unwrap();
    let shown: Vec<_> = listed.vclusters.iter().map(|one| (one.vcluster_id.as_str(), one.nodes)).collect();
    assert_eq!(shown, [("prod", 1), ("test", 0)], "a revoked node does not count");
    assert_eq!(
        listed.domain_default.map(|default| (default.nodes, default.set_by)),
        Some((1, "operator:admin".to_owned()))
    );
}

#[tokio::test]
async fn what_does_not_exist_or_has_a_bad_name_is_refused() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::new();
    assert_eq!(reason(operator.register_in(&machine, "prod").await), Reason::VclusterNotFound);
    assert_eq!(
        reason(operator.inspect(&machine.node_id).await),
        Reason::NodeNotFound,
        "nothing was recorded"
    );
    assert_eq!(reason(operator.vcluster("prod").await), Reason::VclusterNotFound);
    assert_eq!(reason(operator.vcluster("").await), Reason::VclusterNotFound, "no default is set");
    for name in ["", "Prod", "a b", &"v".repeat(64)] {
        assert_eq!(reason(operator.set_overlay(name, b"x").await), Reason::FieldInvalid, "{name:?}");
    }
}

#[tokio::test]
async fn the_boot_configuration_is_for_nodes_and_vclusters_are_for_operators() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let anonymous = journal.agent(None).await.unwrap();
    assert_eq!(reason(anonymous.boot_config(0).await), Reason::CertificateRequired);
    let machine = Machine::registered(&operator).await;
    booted(&journal, &machine).await.boot_config(0).await.unwrap();
    let unknown = journal.operator_with(None).await.unwrap();
    assert_eq!(reason(unknown.set_overlay("prod", b"x").await), Reason::CertificateRequired);
}
