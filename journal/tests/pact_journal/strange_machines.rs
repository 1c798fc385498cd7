//! Machines that ask to be a node and are not, or may not: what is recorded of them (R5), nodes that two machines claim to
//! be (R14), and nodes whose machine is another one.

use proto::pb;
use proto::pb::event_service_client::EventServiceClient;
use proto::pb::node_service_client::NodeServiceClient;
use proto::pb::{HardwareIdentity, NodeState};
use proto::reason::Reason;
use serde_json::{Value, json};

use crate::boot_configuration::booted;
use crate::calls::{Answer, Operator, answer, reason, refusal, turned_away};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, until};
use crate::request::{Impostor, Machine, csr, hardware, mac, next};

impl Operator {
    pub async fn replace_hardware(&self, node_id: &str, hardware: &pb::HardwareIdentity) -> Answer<pb::Node> {
        let request = pb::ReplaceHardwareRequest {
            node_id: node_id.to_owned(),
            hardware_identity: Some(hardware.clone()),
        };
        let answered = NodeServiceClient::new(self.0.channel()).replace_hardware(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn resolve(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::ResolveNodeRequest { node_id: node_id.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).resolve_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    pub async fn contested(&self) -> Vec<String> {
        let request = pb::ListNodesRequest { contested: true, ..Default::default() };
        let answered = NodeServiceClient::new(self.0.channel()).list_nodes(request).await;
        let nodes = answer(&self.0, answered).unwrap().nodes;
        nodes.into_iter().map(|node| node.node_id).collect()
    }

    /// The facts of a node, of one type.
    pub async fn facts(&self, node_id: &str, kind: &str) -> Vec<Value> {
        let request = pb::TailEventsRequest { node_id: node_id.to_owned(), from_seq: None, follow: false };
        let answered = EventServiceClient::new(self.0.channel()).tail_events(request).await;
        let (mut stream, mut facts) = (answer(&self.0, answered).unwrap(), vec![]);
        while let Some(told) = stream.message().await.unwrap() {
            facts.push(serde_json::from_str::<Value>(&told.json).unwrap());
        }
        facts.retain(|fact| fact["type"] == kind);
        facts
    }

    /// The first fact of this type, once it is there.
    async fn fact(&self, node_id: &str, kind: &str) -> Value {
        until(kind, ANSWERED, async || self.facts(node_id, kind).await.into_iter().next()).await
    }
}

async fn is_contested(operator: &Operator, machine: &Machine) -> pb::Node {
    until("it is contested", ANSWERED, async || {
        Some(operator.inspect(&machine.node_id).await.unwrap()).filter(|node| node.contested)
    })
    .await
}

#[tokio::test]
async fn rule_05_what_was_refused_to_machines_of_a_node_is_recorded_in_one_fact_a_minute() {
    let journal = Journal::start();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    for _ in 0..5 {
        let asked = agent.enroll(&machine.hardware, &machine.with_new_key().csr()).await;
        assert_eq!(reason(asked), Reason::AlreadyActive);
    }
    let told = operator.fact(&machine.node_id, "AttemptsRefused").await;
    // All of them, unless this machine is very slow.
    let count = told["count"].as_u64().unwrap();
    assert!(told["reason"] == "ALREADY_ACTIVE" && (1..=5).contains(&count), "{told}");
    assert_eq!((&told["source"], &told["principal"]), (&json!("127.0.0.1"), &json!("journal:j1")));
    assert_eq!(told["differing"], json!([]));
    assert!(
        told["first"].as_str() <= told["last"].as_str()
            && told["last"].as_str() <= told["decided_at"].as_str()
    );

    // when there are more within the minute
    for _ in 0..3 {
        reason(agent.enroll(&machine.hardware, &machine.with_new_key().csr()).await);
    }
    // then another node's fact comes before them
    let other = Machine::registered(&operator).await;
    let unreadable = agent.enroll(&other.hardware, b"garbage").await;
    assert_eq!(reason(unreadable), Reason::CsrInvalid);
    let told = operator.fact(&other.node_id, "AttemptsRefused").await;
    assert_eq!((&told["reason"], &told["count"]), (&json!("CSR_INVALID"), &json!(1)), "{told}");
    assert_eq!(operator.facts(&machine.node_id, "AttemptsRefused").await.len(), 1);
    let node = operator.inspect(&machine.node_id).await.unwrap();
    assert_eq!((node.state(), node.version), (NodeState::Active, 3), "registered, issued, refused");
}

#[tokio::test]
async fn rule_05_a_mismatch_is_recorded_with_the_fields_that_no_caller_hears() {
    let journal = Journal::start();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let node = Machine::with_all_fields();
    operator.register(&node.node_id, &node.hardware).await.unwrap();
    let HardwareIdentity { mac_addresses: macs, system_uuid: uuid, .. } = &node.hardware;
    let other_serial = hardware(macs, "another", uuid);

    let refused = refusal(agent.enroll(&other_serial, &node.csr()).await);

    assert_eq!(refused.reason, Reason::HardwareMismatch);
    assert!(!refused.message.contains("serial"), "{refused}");
    let told = operator.fact(&node.node_id, "AttemptsRefused").await;
    assert_eq!(told["reason"], "HARDWARE_MISMATCH");
    assert_eq!(told["differing"], json!(["bmc_serial"]), "{told}");

    // when a full match presents an address of another node beside its own
    let one = Machine::registered(&operator).await;
    let both = [&one.hardware, &node.hardware].map(|hardware| hardware.mac_addresses[0].clone());
    assert_eq!(reason(agent.enroll(&hardware(&both, "", ""), &one.csr()).await), Reason::HardwareMismatch);
    let told = operator.fact(&one.node_id, "AttemptsRefused").await;
    assert_eq!(told["differing"], json!(["foreign_mac"]), "{told}");
}

#[tokio::test]
async fn rule_05_a_revoked_node_and_a_used_key_are_recorded_and_a_stranger_is_not() {
    let journal = Journal::start();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (gone, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    agent.enroll(&gone.hardware, &gone.csr()).await.unwrap();
    operator.revoke(&gone.node_id).await.unwrap();
    let stranger = Machine::new();
    let before = operator.list().await.unwrap().seq;

    assert_eq!(reason(agent.enroll(&stranger.hardware, &stranger.csr()).await), Reason::NodeNotEnrolled);
    assert_eq!(reason(agent.enroll(&gone.hardware, &gone.csr()).await), Reason::NodeRevoked);
    assert_eq!(reason(agent.enroll(&other.hardware, &gone.csr()).await), Reason::KeyReused);

    assert_eq!(operator.fact(&gone.node_id, "AttemptsRefused").await["reason"], "NODE_REVOKED");
    assert_eq!(operator.fact(&other.node_id, "AttemptsRefused").await["reason"], "KEY_REUSED");
    assert_eq!(operator.list().await.unwrap().seq, before + 2, "one fact each, and none of the stranger");
}

#[tokio::test]
async fn rule_14_two_machines_that_both_live_make_a_node_contested_until_an_operator_settles_it() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let own = booted(&journal, &machine).await;
    let mut stream = own.subscribe().await.unwrap();
    let mut more = machine.hardware.clone();
    more.mac_addresses.push(mac(next()));
    let rival = machine.with_new_key();
    let other = journal.agent(None).await.unwrap();
    assert_eq!(reason(other.enroll(&more, &rival.csr()).await), Reason::AlreadyActive);
    let unmoved = operator.inspect(&machine.node_id).await.unwrap();

    // when the machine that was there shows that it is there still
    stream.say_sessions(1).await;

    let node = is_contested(&operator, &machine).await;
    assert!(!unmoved.contested, "a stream that says nothing may have nobody behind it any more");
    assert_eq!((node.state(), node.certificate), (NodeState::Active, unmoved.certificate));
    assert_eq!(operator.contested().await, [machine.node_id.as_str()]);
    let told = operator.fact(&machine.node_id, "EnrollmentContested").await;
    assert_eq!(told["presented"]["macs"], json!(more.mac_addresses), "{told}");
    assert_eq!((&told["source"], &told["boot_id"]), (&json!("127.0.0.1"), &Value::Null));

    // when it goes on
    assert_eq!(reason(other.enroll(&more, &rival.csr()).await), Reason::AlreadyActive);
    stream.say_sessions(2).await;
    own.boot_config(0).await.unwrap();

    // then an operator settles it, and again
    for _ in 0..2 {
        assert!(!operator.resolve(&machine.node_id).await.unwrap().contested);
    }
    assert_eq!(operator.contested().await, [""; 0]);
    assert_eq!(
        operator.facts(&machine.node_id, "EnrollmentContested").await.len(),
        1,
        "one fact when it begins"
    );
    assert_eq!(operator.facts(&machine.node_id, "EnrollmentResolved").await.len(), 1);

    // and it may begin anew, which a new epoch settles
    assert_eq!(reason(other.enroll(&machine.hardware, &rival.csr()).await), Reason::AlreadyActive);
    stream.say_sessions(3).await;
    is_contested(&operator, &machine).await;
    assert!(!operator.revoke(&machine.node_id).await.unwrap().contested);
    assert!(!operator.register(&machine.node_id, &machine.hardware).await.unwrap().contested);
    let metrics = crate::probes::metric(&journal, "pact_contested_total");
    assert_eq!(metrics, 2.0);
}

#[tokio::test]
async fn rule_14_a_goodbye_a_lost_stream_a_bad_proof_and_the_nodes_own_question_contest_nothing() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let other = journal.agent(None).await.unwrap();
    let refused = async |machine: &Machine, request: &[u8]| {
        assert_eq!(reason(other.enroll(&machine.hardware, request).await), Reason::AlreadyActive);
    };
    let [leaving, lost, forged, own] = [0; 4].map(|_| Machine::new());
    for machine in [&leaving, &lost, &forged, &own] {
        operator.register(&machine.node_id, &machine.hardware).await.unwrap();
    }

    let agent = booted(&journal, &leaving).await;
    let stream = agent.subscribe().await.unwrap();
    refused(&leaving, &leaving.with_new_key().csr()).await;
    stream.goodbye().await;

    let agent = booted(&journal, &lost).await;
    let stream = agent.subscribe().await.unwrap();
    refused(&lost, &lost.with_new_key().csr()).await;
    drop((stream, agent));

    let forging = booted(&journal, &forged).await;
    let mut forged_stream = forging.subscribe().await.unwrap();
    let (shown, held) = (forged.with_new_key().key, forged.with_new_key().key);
    refused(&forged, &csr(&Impostor { shown, held })).await;
    forged_stream.say_sessions(1).await;

    let asking = booted(&journal, &own).await;
    let mut own_stream = asking.subscribe().await.unwrap();
    let asked = asking.enroll(&own.hardware, &own.with_new_key().csr()).await;
    assert_eq!(reason(asked), Reason::AlreadyActive);
    own_stream.say_sessions(1).await;

    // One that is contested shows that all of them have been looked at.
    let machine = Machine::registered(&operator).await;
    let agent = booted(&journal, &machine).await;
    let mut stream = agent.subscribe().await.unwrap();
    refused(&machine, &machine.with_new_key().csr()).await;
    stream.say_sessions(1).await;
    is_contested(&operator, &machine).await;
    assert_eq!(operator.contested().await, [machine.node_id.as_str()]);
}

#[tokio::test]
async fn replaced_hardware_cuts_the_former_machine_and_enrolls_under_the_same_name() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let (old, new) = (Machine::registered(&operator).await, Machine::with_all_fields());
    let agent = booted(&journal, &old).await;
    let mut stream = agent.subscribe().await.unwrap();

    let node = operator.replace_hardware(&old.node_id, &new.hardware).await.unwrap();

    stream.ended().await;
    assert_eq!((node.state(), node.epoch, node.certificate), (NodeState::Inactive, 1, None));
    assert_eq!(node.hardware, Some(new.hardware.clone()));
    let anonymous = journal.agent(None).await.unwrap();
    assert_eq!(reason(anonymous.enroll(&old.hardware, &old.csr()).await), Reason::HardwareMismatch);
    let issued = anonymous.enroll(&new.hardware, &new.csr()).await.unwrap();
    assert_eq!(issued.node_id, old.node_id);
    let told = operator.fact(&old.node_id, "HardwareReplaced").await;
    assert_eq!(told["released"], json!(old.hardware.mac_addresses), "{told}");
    assert_eq!(told["principal"], "operator:admin");
    let heir = format!("heir-{}", next());
    assert_eq!(operator.register(&heir, &old.hardware).await.unwrap().state(), NodeState::Registered);
    let connected = journal.agent(Some(&crate::calls::credential(&issued, &new.key))).await;
    assert_eq!(turned_away(connected.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await, None);
}

#[tokio::test]
async fn hardware_is_replaced_and_nodes_are_settled_as_the_table_says() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let (node, other, gone) = (
        Machine::registered(&operator).await,
        Machine::registered(&operator).await,
        Machine::registered(&operator).await,
    );
    operator.revoke(&gone.node_id).await.unwrap();
    let fresh = Machine::new();
    let both = [&node.hardware, &other.hardware].map(|hardware| hardware.mac_addresses[0].clone());
    for (id, presented, expected) in [
        ("nobody", &fresh.hardware, Reason::NodeNotFound),
        ("Not A Name", &fresh.hardware, Reason::NodeIdInvalid),
        (gone.node_id.as_str(), &fresh.hardware, Reason::NodeRevoked),
        (node.node_id.as_str(), &hardware(&both, "", ""), Reason::HardwareIdentityConflict),
        (node.node_id.as_str(), &hardware(&[], "SN", ""), Reason::HardwareInvalid),
        (node.node_id.as_str(), &hardware(&both[..1], "To be filled by O.E.M.", ""), Reason::HardwareInvalid),
    ] {
        assert_eq!(reason(operator.replace_hardware(id, presented).await), expected, "{id} {presented:?}");
    }
    assert_eq!(
        operator.replace_hardware(&node.node_id, &node.hardware).await.unwrap().version,
        1,
        "the same"
    );
    let replaced = operator.replace_hardware(&node.node_id, &fresh.hardware).await.unwrap();
    assert_eq!((replaced.state(), replaced.version), (NodeState::Registered, 2));

    let many = |from: u32| (from..from + 16).map(mac).collect::<Vec<String>>();
    operator.replace_hardware(&node.node_id, &hardware(&many(9000), "", "")).await.unwrap();
    let at_once = operator.replace_hardware(&node.node_id, &hardware(&many(9016), "", "")).await;
    assert_eq!(reason(at_once), Reason::HardwareInvalid);
    operator.replace_hardware(&node.node_id, &hardware(&many(9015), "", "")).await.unwrap();

    assert_eq!(reason(operator.resolve("nobody").await), Reason::NodeNotFound);
    for machine in [&node, &other, &gone] {
        let before = operator.inspect(&machine.node_id).await.unwrap();
        assert_eq!(operator.resolve(&machine.node_id).await.unwrap(), before, "nothing to settle");
    }
}

#[tokio::test]
async fn strange_machines_are_remembered_after_a_restart() {
    let mut journal = Journal::serve(DataDirectory::init("test"));
    let machine = {
        let operator = journal.operator().await;
        let machine = Machine::registered(&operator).await;
        let own = booted(&journal, &machine).await;
        let mut stream = own.subscribe().await.unwrap();
        let other = journal.agent(None).await.unwrap();
        reason(other.enroll(&machine.hardware, &machine.with_new_key().csr()).await);
        stream.say_sessions(1).await;
        is_contested(&operator, &machine).await;
        machine
    };
    journal.kill();
    journal.start_again();
    let operator = journal.operator().await;
    assert_eq!(operator.contested().await, [machine.node_id]);
    assert_eq!(crate::probes::metric(&journal, "pact_contested_total"), 1.0);
}
