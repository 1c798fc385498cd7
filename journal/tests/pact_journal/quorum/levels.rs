//! A release beside the one before (R26). `pact-journal-previous` is this release, built to pretend that it is the one before:
//! it announces one format level less and stops at facts that are newer.

use std::fs;

use proto::pb;
use proto::pb::member_service_client::MemberServiceClient;

use crate::boot_configuration::booted;
use crate::calls::{Answer, Operator};
use crate::journal_process::{ANSWERED, CURRENT, DataDirectory, Journal, PREVIOUS, binary, free_port, until};
use crate::request::Machine;

use super::ONE_AT_A_TIME;

/// A word that only a build with the feature `previous-level` has in it.
const CONFESSION: &[u8] = b"pretends to be the release before";

fn holds(program: &str, words: &[u8]) -> bool {
    let bytes = fs::read(binary(program)).unwrap();
    bytes.windows(words.len()).any(|window| window == words)
}

#[test]
fn what_is_shipped_pretends_nothing() {
    assert!(holds(PREVIOUS, CONFESSION), "or else the test finds nothing");
    assert!(!holds(CURRENT, CONFESSION));
}

fn reason<T: std::fmt::Debug>(answer: Answer<T>) -> String {
    answer.expect_err("it is refused").reason_text().to_owned()
}

/// Which levels the members read, by the word of one; none: it does not answer.
async fn levels(operator: &Operator) -> Vec<(String, Option<u32>)> {
    let members = operator.members().await.unwrap();
    members.into_iter().map(|member| (member.journal_id, member.format_level)).collect()
}

/// Moves the lead to a journal, by one of these: only the journal that leads can move it.
async fn move_leader(operators: &[&Operator], to: &str) {
    until("it leads", ANSWERED * 3, async || {
        for operator in operators {
            let request = pb::TransferLeaderRequest { journal_id: to.to_owned() };
            // Refused by those that do not lead.
            MemberServiceClient::new(operator.0.channel()).transfer_leader(request).await.ok();
        }
        let members = operators[0].members().await.ok()?;
        members.iter().any(|member| member.leader && member.journal_id == to).then_some(())
    })
    .await;
}

/// A machine is enrolled and revoked, each at a member of its own.
async fn works(journals: [&Journal; 3], operators: [&Operator; 3]) {
    for nth in 0..3 {
        let machine = Machine::registered(operators[nth]).await;
        let agent = booted(journals[(nth + 1) % 3], &machine).await;
        let mut stream = agent.subscribe().await.unwrap();
        operators[(nth + 2) % 3].revoke(&machine.node_id).await.unwrap();
        tokio::time::timeout(ANSWERED, stream.ended()).await.expect("a revoked node is cut off");
    }
}

#[tokio::test]
async fn rule_26_a_member_of_the_previous_release_runs_beside_new_ones_until_it_is_replaced() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let dir = DataDirectory::init_by(PREVIOUS, "test", &[]);
    dir.configure("cluster_listen", format!("\"{}\"", free_port()));
    let credential = dir.operator();
    let mut old = Journal::serve(dir);
    let operator = old.operator().await;
    let door = old.cluster_address().to_string();
    let join = async |name: &str, voters: usize| {
        let journal = Journal::join(name, &door, &operator.join_token().await, vec![]);
        operator.voters(voters).await;
        journal
    };
    let (two, three) = (join("j2", 2).await, join("j3", 3).await);
    let operator_two = two.operator_with(Some(&credential)).await.unwrap();
    let operator_three = three.operator_with(Some(&credential)).await.unwrap();

    // given two new ones and an old one, whoever leads
    let named = |levels: [u32; 3]| -> Vec<(String, Option<u32>)> {
        ["j1", "j2", "j3"].into_iter().map(str::to_owned).zip(levels.map(Some)).collect()
    };
    for leader in ["j1", "j2"] {
        move_leader(&[&operator, &operator_two], leader).await;
        assert_eq!(levels(&operator_three).await, named([1, 2, 2]));
        works([&old, &two, &three], [&operator, &operator_two, &operator_three]).await;
        for operator in [&operator, &operator_two, &operator_three] {
            assert_eq!(reason(operator.set_default(b"new").await), "LEVEL_TOO_LOW", "{leader} leads");
        }
    }

    // when the old one is replaced
    assert_eq!(old.terminate(), Some(0));
    old.dir.program = CURRENT;
    old.start_again();

    // then what is new is written
    let operator = old.operator().await;
    until("the level is raised", ANSWERED, async || operator.set_default(b"new").await.ok()).await;
    assert_eq!(levels(&operator_two).await, named([2, 2, 2]));
    works([&old, &two, &three], [&operator, &operator_two, &operator_three]).await;

    // and the release before refuses, and changes nothing
    assert_eq!(old.terminate(), Some(0));
    old.dir.program = PREVIOUS;
    let before = old.dir.snapshot();
    let (code, said) = old.dir.refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: UPGRADE_NEEDED: ") && said.contains("upgrade"), "{said}");
    assert!(old.dir.snapshot() == before, "nothing was changed");
    old.dir.program = CURRENT;
    old.start_again();
    old.operator().await.set_default(b"newer").await.unwrap();
}

#[tokio::test]
async fn rule_26_a_new_domain_begins_at_the_newest_level_and_the_previous_release_cannot_join_it() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(super::founder_dir());
    let operator = founder.operator().await;
    operator.set_default(b"at once").await.unwrap();
    let (door, token) = (founder.cluster_address().to_string(), operator.join_token().await);
    let dir = DataDirectory::to_join_by(PREVIOUS);
    let (code, said) = dir.join_refused("j2", &door, &token);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: UPGRADE_NEEDED: ") && said.contains("upgrade"), "{said}");
    assert!(!dir.path().exists(), "nothing half is left");

    // when it was upgraded, the token is still good, and so is its key
    let mut dir = dir;
    dir.program = CURRENT;
    let _joined = Journal::join_in(dir, "j2", &door, &token, vec![]);
    operator.voters(2).await;
}
