//! Names outside design §8, and fields that this release does not honour.

use proto::outcome::Exit;
use proto::pb::EnrollRequest;
use proto::reason::Reason;

use crate::calls::{reason, refusal};
use crate::issued::is_exactly_rule_8;
use crate::journal_process::{init, shared};
use crate::request::Machine;

#[tokio::test]
async fn node_ids_outside_the_grammar_are_refused() {
    let journal = shared();
    let operator = journal.operator().await;
    let machine = Machine::new();
    for name in [
        "",
        "-a",
        "a-",
        ".a",
        "a.",
        "_a",
        "A",
        "Node",
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "ä",
        "a\n",
        "a\0b",
        "node\u{202e}",
        "../etc",
        &"n".repeat(44),
        &"n".repeat(10_000),
    ] {
        assert_eq!(
            reason(operator.register(name, &machine.hardware).await),
            Reason::NodeIdInvalid,
            "{name:?}"
        );
        assert_eq!(reason(operator.inspect(name).await), Reason::NodeIdInvalid, "{name:?}");
        assert_eq!(reason(operator.revoke(name).await), Reason::NodeIdInvalid, "{name:?}");
        assert_eq!(reason(operator.decommission(name).await), Reason::NodeIdInvalid, "{name:?}");
    }
    operator.register(&machine.node_id, &machine.hardware).await.expect("the hardware is still free");
}

#[tokio::test]
async fn node_id_and_domain_have_at_most_44_characters_together() {
    let journal = shared();
    let operator = journal.operator().await;
    let machine = Machine::new();
    let longest = format!("{}{}", "n".repeat(40 - machine.node_id.len()), machine.node_id);
    let too_long = format!("n{longest}");
    let refused = operator.register(&too_long, &machine.hardware).await;
    assert_eq!(reason(refused), Reason::NodeIdInvalid, "`test` and {too_long} have 45");

    operator.register(&longest, &machine.hardware).await.unwrap();
    let agent = journal.agent(None).await.unwrap();
    let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    is_exactly_rule_8(&issued, &longest, "test");
}

#[test]
fn domains_outside_the_grammar_are_wrong_usage_and_make_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("j1");
    for domain in ["", "-a", "a-", "A", "a b", "a/b", "a@b", "ä", "a\n", &"d".repeat(41)] {
        let output = init(&data_dir, domain);
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{domain:?}: {output:?}");
        assert!(!output.stderr.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{domain:?}");
    }
}

#[test]
fn a_domain_of_40_characters_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let output = init(&folder.path().join("j1"), &"d".repeat(40));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn what_this_release_cannot_honour_is_refused_by_the_name_of_its_field() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    let good = || EnrollRequest {
        hardware_identity: Some(machine.hardware.clone()),
        csr: machine.csr(),
        protocol: 1,
        ..Default::default()
    };
    let word = || "enroll_0123456789".to_owned();
    for (field, request) in [
        ("token", EnrollRequest { token: word(), ..good() }),
        ("node_id", EnrollRequest { node_id: word(), ..good() }),
        ("wireguard_public_key", EnrollRequest { wireguard_public_key: word(), ..good() }),
        ("underlay_endpoint", EnrollRequest { underlay_endpoint: word(), ..good() }),
        ("protocol", EnrollRequest { protocol: 2, ..good() }),
        ("protocol", EnrollRequest { protocol: u32::MAX, ..good() }),
        ("boot_id", EnrollRequest { boot_id: "not a boot id\u{7}".to_owned(), ..good() }),
    ] {
        let refusal = refusal(agent.enroll_as(request).await);
        assert_eq!(refusal.reason, Reason::FieldInvalid, "{refusal}");
        assert!(refusal.message.starts_with(&format!("{field}: ")), "{refusal}");
        assert!(!refusal.message.contains("enroll_"), "rule 23: {refusal}");
    }
    assert_eq!(operator.inspect(&machine.node_id).await.unwrap().version, 1, "nothing was recorded");
    assert!(agent.enroll_as(good()).await.is_ok());
}
