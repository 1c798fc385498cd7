//! Hardware identities (R13): who is unknown, who resembles a node, who is somebody else, and what is no identity.

use proto::pb::{HardwareIdentity, NodeState};
use proto::reason::Reason;

use crate::calls::{reason, refusal};
use crate::journal_process::shared;
use crate::request::{Machine, hardware, mac, next};

const ZERO_UUID: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn rule_13_hardware_that_nobody_registered_is_node_not_enrolled() {
    let journal = shared();
    let agent = journal.agent(None).await.unwrap();
    let stranger = Machine::with_all_fields();
    assert_eq!(reason(agent.enroll(&stranger.hardware, &stranger.csr()).await), Reason::NodeNotEnrolled);
    let nothing = HardwareIdentity::default();
    assert_eq!(reason(agent.enroll(&nothing, &stranger.csr()).await), Reason::NodeNotEnrolled);
    let placeholders = hardware(&["00:00:00:00:00:00".to_owned()], "To be filled by O.E.M.", ZERO_UUID);
    assert_eq!(reason(agent.enroll(&placeholders, &stranger.csr()).await), Reason::NodeNotEnrolled);
}

#[tokio::test]
async fn rule_13_a_partial_match_is_a_mismatch_that_names_no_field() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let node = Machine::with_all_fields();
    operator.register(&node.node_id, &node.hardware).await.unwrap();
    let HardwareIdentity { mac_addresses: macs, bmc_serial: serial, system_uuid: uuid } = &node.hardware;
    let strange_mac = [mac(next())];
    let strange_uuid = "4c4c4544-0000-0000-0000-000000000001";
    for partial in [
        hardware(macs, "", ""),
        hardware(macs, serial, ""),
        hardware(macs, "", uuid),
        hardware(macs, "another", uuid),
        hardware(macs, &serial.to_lowercase(), uuid),
        hardware(macs, serial, strange_uuid),
        hardware(macs, "To be filled by O.E.M.", uuid),
        hardware(macs, serial, ZERO_UUID),
        hardware(&strange_mac, serial, uuid),
        hardware(&[], serial, uuid),
        hardware(&[], serial, ""),
        hardware(&[], "", uuid),
    ] {
        let refusal = refusal(agent.enroll(&partial, &node.csr()).await);
        assert_eq!(refusal.reason, Reason::HardwareMismatch, "{partial:?}");
        let told = refusal.message.to_lowercase();
        for field in ["mac", "serial", "uuid", &node.node_id, serial.as_str(), &macs[0]] {
            assert!(!told.contains(&field.to_lowercase()), "{told}");
        }
    }
    let shown = operator.inspect(&node.node_id).await.unwrap();
    assert_eq!((shown.state(), shown.certificate), (NodeState::Registered, None), "nothing came of it");
    let issued = agent.enroll(&node.hardware, &node.csr()).await.unwrap();
    assert_eq!(issued.node_id, node.node_id);
}

#[tokio::test]
async fn rule_13_a_mac_of_another_node_is_a_mismatch_for_machines_and_a_conflict_for_operators() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (one, two) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    for [first, second] in [[&one, &two], [&two, &one]] {
        let macs = [&first.hardware, &second.hardware].map(|hardware| hardware.mac_addresses[0].clone());
        let both = hardware(&macs, "", "");
        assert_eq!(reason(agent.enroll(&both, &one.csr()).await), Reason::HardwareMismatch);
    }
    let refused = operator.register(&format!("thief-{}", next()), &one.hardware).await;
    let refused = refusal(refused);
    assert_eq!(refused.reason, Reason::HardwareIdentityConflict);
    assert!(refused.message.contains(&one.node_id), "{refused}");
    assert!(agent.enroll(&one.hardware, &one.csr()).await.is_ok());
}

#[tokio::test]
async fn a_presented_placeholder_counts_as_absent() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let node = Machine::registered(&operator).await;
    let macs =
        [node.hardware.mac_addresses[0].to_uppercase().replace(':', "-"), "00:00:00:00:00:00".to_owned()];
    let presented = hardware(&macs, " To Be Filled By O.E.M. ", ZERO_UUID);
    let issued = agent.enroll(&presented, &node.csr()).await.unwrap();
    assert_eq!(issued.node_id, node.node_id);
}

#[tokio::test]
async fn what_identifies_no_machine_cannot_be_registered() {
    let journal = shared();
    let operator = journal.operator().await;
    let good = mac(next());
    let one = |text: &str| [text.to_owned()];
    for refused in [
        hardware(&[], "SN-1", ""),
        hardware(&one("00:00:00:00:00:00"), "", ""),
        hardware(&one("01:00:5e:00:00:01"), "", ""),
        hardware(&one("ff:ff:ff:ff:ff:ff"), "", ""),
        hardware(&one("02:00:00:00:00"), "", ""),
        hardware(&one("02:00:00:00:00:zz"), "", ""),
        hardware(&one(&good), "To be filled by O.E.M.", ""),
        hardware(&one(&good), "0000000000", ""),
        hardware(&one(&good), "a\nb", ""),
        hardware(&one(&good), &"s".repeat(65), ""),
        hardware(&one(&good), "", ZERO_UUID),
        hardware(&one(&good), "", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        hardware(&one(&good), "", "03000200-0400-0500-0006-000700080009"),
        hardware(&one(&good), "", "no uuid"),
        hardware(&vec![good.clone(); 17], "", ""),
    ] {
        let name = format!("unborn-{}", next());
        assert_eq!(reason(operator.register(&name, &refused).await), Reason::HardwareInvalid, "{refused:?}");
        assert_eq!(reason(operator.inspect(&name).await), Reason::NodeNotFound);
    }
    let node = operator.register(&format!("born-{}", next()), &hardware(&one(&good), "", "")).await.unwrap();
    assert_eq!(node.state(), NodeState::Registered);
}

#[tokio::test]
async fn a_mac_that_no_machine_has_cannot_be_presented() {
    let journal = shared();
    let agent = journal.agent(None).await.unwrap();
    let machine = Machine::new();
    for text in ["01:00:5e:00:00:01", "nonsense", "", "02:00:00:00:00:00:00"] {
        let presented = hardware(&[text.to_owned()], "", "");
        assert_eq!(reason(agent.enroll(&presented, &machine.csr()).await), Reason::HardwareInvalid, "{text}");
    }
}
