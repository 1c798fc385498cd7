//! Authorities come with every start and go when nobody needs them any more (R9).

use proto::pb;
use proto::pb::status_service_client::StatusServiceClient;

use crate::calls::{Operator, answer};
use crate::journal_process::{ANSWERED, Journal, until};
use crate::request::Machine;

const RESTARTS: usize = 6;

async fn live(operator: &Operator) -> usize {
    let request = pb::ListAuthoritiesRequest::default();
    let answered = StatusServiceClient::new(operator.0.channel()).list_authorities(request).await;
    let known = answer(&operator.0, answered).unwrap().authorities;
    known.iter().filter(|authority| !authority.retired).count()
}

#[tokio::test]
async fn rule_09_the_set_of_authorities_stays_bounded_over_many_restarts() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    journal.agent(None).await.unwrap().enroll(&machine.hardware, &machine.csr()).await.unwrap();
    for _ in 0..RESTARTS {
        journal.kill();
        journal.start_again();
    }
    // Those that signed: of init for the operator, the first process's for the node; and the present one.
    let operator = journal.operator().await;
    until("the others are retired", ANSWERED, async || (live(&operator).await == 3).then_some(())).await;
}
