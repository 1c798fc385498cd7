//! Real agents of two machines with one hardware identity (R14), and of a machine in another one's place.

use proto::pb::{
    HardwareIdentity, NodeState, ReplaceHardwareRequest, ResolveNodeRequest,
    node_service_client::NodeServiceClient,
};
use rustix::process::Signal;

use super::{
    agent_process::{RunningAgent, run_at},
    journal_under_test::{JournalUnderTest, mac},
};

#[tokio::test]
async fn rule_14_two_agents_with_the_same_hardware_make_their_node_contested_until_it_is_resolved() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-001", 1).await;
    let hardware = journal.hardware(1);
    let mut first = RunningAgent::start(&mut run_at(&journal, &hardware));
    first.tells("enrolled").await;
    first.tells("configured").await;
    let before = journal.sees("compute-001", NodeState::Active).await;

    let second = RunningAgent::start(&mut run_at(&journal, &hardware));

    // The next ping of the first one's stream shows that it lives.
    let contested = journal.sees_that("compute-001", |node| node.contested).await;
    assert_eq!((contested.state(), contested.certificate), (NodeState::Active, before.certificate));
    second.signal(Signal::KILL);
    let request = ResolveNodeRequest { node_id: "compute-001".to_owned() };
    let mut nodes = NodeServiceClient::new(journal.operator().await.channel());
    let resolved = nodes.resolve_node(request).await.unwrap().into_inner().node.unwrap();
    assert!(!resolved.contested && resolved.state() == NodeState::Active);
}

#[tokio::test]
async fn an_agent_of_another_machine_takes_over_its_nodes_name_once_the_hardware_is_replaced() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-001", 1).await;
    let mut former = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    former.tells("enrolled").await;
    journal.sees("compute-001", NodeState::Active).await;
    let hardware =
        HardwareIdentity { mac_addresses: vec![mac(2)], bmc_serial: "SN2".to_owned(), ..Default::default() };

    let request =
        ReplaceHardwareRequest { node_id: "compute-001".to_owned(), hardware_identity: Some(hardware) };
    let mut nodes = NodeServiceClient::new(journal.operator().await.channel());
    let replaced = nodes.replace_hardware(request).await.unwrap().into_inner().node.unwrap();

    assert_eq!((replaced.state(), replaced.certificate), (NodeState::Inactive, None));
    // The former machine asks anew, and is not let in: nobody has its hardware registered any more.
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(2)));
    assert_eq!(agent.tells("enrolled").await["node_id"], "compute-001");
    let node = journal.sees("compute-001", NodeState::Active).await;
    assert_eq!((node.epoch, node.hardware.unwrap().bmc_serial.as_str()), (1, "SN2"));
    former.signal(Signal::KILL);
    let told = String::from_utf8(former.end().await.stdout).unwrap();
    assert!(!told.contains("\"enrolled\""), "{told}");
}
