//! Who is let in, who may call what, and when an open connection ends (R10, R17).

mod end_of_a_connection;
mod issuance_is_the_proof;
mod listeners;
mod transport;
mod workloads;

use proto::channel::{Connection, ConnectionRefusal};
use proto::pb::EnrollResponse;
use proto::pem_file::Credential;

use crate::calls::{Answer, credential, turned_away};
use crate::journal_process::Journal;
use crate::request::Machine;

/// A node with its certificate, ready to connect.
struct Enrolled {
    machine: Machine,
    issued: EnrollResponse,
    credential: Credential,
}

/// Registers and enrolls a new node.
async fn enrolled(journal: &Journal) -> Enrolled {
    let machine = Machine::registered(&journal.operator().await).await;
    let anonymous = journal.agent(None).await.expect("everybody may connect");
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.expect("it is registered");
    let credential = credential(&issued, &machine.key);
    Enrolled { machine, issued, credential }
}

/// Why the agents' listener does not let a client in; none if it does.
async fn agents_door(journal: &Journal, credential: &Credential) -> Option<ConnectionRefusal> {
    door(&journal.agent(Some(credential)).await.map(|agent| agent.0)).await
}

/// Why the operators' listener does not let a client in; none if it does.
async fn operators_door(journal: &Journal, credential: &Credential) -> Option<ConnectionRefusal> {
    door(&journal.operator_with(Some(credential)).await.map(|operator| operator.0)).await
}

async fn door(opened: &Answer<Connection>) -> Option<ConnectionRefusal> {
    turned_away(opened.as_ref().map_err(Clone::clone)).await
}
