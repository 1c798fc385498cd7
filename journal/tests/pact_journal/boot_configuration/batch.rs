//! BatchRegisterNodes: each row for itself, again without harm, and in rehearsal.

use proto::pb;
use proto::pb::batch_row::Outcome;
use proto::reason::Reason;

use crate::calls::{Answer, Operator, answer, reason};
use crate::journal_process::Journal;
use crate::request::{Machine, hardware, mac, next};

impl Operator {
    async fn batch(
        &self,
        rows: Vec<pb::RegisterNodeRequest>,
        dry_run: bool,
    ) -> Answer<pb::BatchRegisterNodesResponse> {
        let request = pb::BatchRegisterNodesRequest { rows, dry_run };
        let mut client = pb::node_service_client::NodeServiceClient::new(self.0.channel());
        answer(&self.0, client.batch_register_nodes(request).await)
    }
}

fn row(machine: &Machine) -> pb::RegisterNodeRequest {
    pb::RegisterNodeRequest {
        node_id: machine.node_id.clone(),
        hardware_identity: Some(machine.hardware.clone()),
        ..Default::default()
    }
}

fn outcomes(answered: &pb::BatchRegisterNodesResponse) -> Vec<(Outcome, &str)> {
    answered.rows.iter().map(|row| (row.outcome(), row.reason.as_str())).collect()
}

#[tokio::test]
async fn each_row_is_decided_for_itself_and_a_second_time_nothing_changes() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    operator.set_overlay("prod", b"x").await.unwrap();
    let (good, taken, bad) = (Machine::with_all_fields(), Machine::new(), Machine::new());
    let in_prod = pb::RegisterNodeRequest { vcluster_id: Some("prod".to_owned()), ..row(&good) };
    let rows = vec![
        in_prod.clone(),
        pb::RegisterNodeRequest { hardware_identity: Some(good.hardware.clone()), ..row(&taken) },
        pb::RegisterNodeRequest { node_id: "Not A Name".to_owned(), ..row(&bad) },
        pb::RegisterNodeRequest { hardware_identity: None, ..row(&bad) },
        pb::RegisterNodeRequest { vcluster_id: Some("nowhere".to_owned()), ..row(&bad) },
    ];
    let failed = [
        (Outcome::Failed, "HARDWARE_IDENTITY_CONFLICT"),
        (Outcome::Failed, "NODE_ID_INVALID"),
        (Outcome::Failed, "HARDWARE_INVALID"),
        (Outcome::Failed, "VCLUSTER_NOT_FOUND"),
    ];
    let first = operator.batch(rows.clone(), false).await.unwrap();
    assert_eq!(outcomes(&first)[0], (Outcome::Registered, ""));
    assert_eq!(outcomes(&first)[1..], failed);
    assert!(first.rows[1..].iter().all(|row| !row.message.is_empty()), "each failure has a sentence");

    let second = operator.batch(rows, false).await.unwrap();
    assert_eq!(outcomes(&second)[0], (Outcome::Unchanged, ""));
    assert_eq!((second.seq, operator.list().await.unwrap().nodes.len()), (first.seq, 1));

    let elsewhere = pb::RegisterNodeRequest { vcluster_id: None, ..in_prod };
    let other = operator.batch(vec![elsewhere], false).await.unwrap();
    assert_eq!(outcomes(&other), [(Outcome::Failed, "NODE_ALREADY_ENROLLED")]);
}

#[tokio::test]
async fn a_rehearsal_says_what_would_become_of_each_row_and_records_nothing() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let (new, known) = (Machine::new(), Machine::registered(&operator).await);
    let before = operator.list().await.unwrap();
    let rehearsed = operator.batch(vec![row(&new), row(&known)], true).await.unwrap();
    assert_eq!(outcomes(&rehearsed), [(Outcome::Registered, ""), (Outcome::Unchanged, "")]);
    assert_eq!(operator.list().await.unwrap(), before);
}

#[tokio::test]
async fn a_thousand_rows_fit_into_one_call_and_more_are_refused() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let rows = |count: u32| -> Vec<_> {
        let of = |number: u32| pb::RegisterNodeRequest {
            node_id: format!("row-{number}"),
            hardware_identity: Some(hardware(&[mac(number)], "", "")),
            ..Default::default()
        };
        (0..count).map(|_| of(next())).collect()
    };
    let answered = operator.batch(rows(1000), false).await.unwrap();
    assert!(outcomes(&answered).iter().all(|one| *one == (Outcome::Registered, "")));
    assert_eq!(operator.list().await.unwrap().nodes.len(), 1000);
    assert_eq!(reason(operator.batch(rows(1001), false).await), Reason::FieldInvalid);
}

#[tokio::test]
async fn of_two_equal_rows_in_one_batch_one_is_registered_and_one_unchanged() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::new();
    let answered = operator.batch(vec![row(&machine), row(&machine)], false).await.unwrap();
    assert_eq!(outcomes(&answered), [(Outcome::Registered, ""), (Outcome::Unchanged, "")]);
}
