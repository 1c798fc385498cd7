//! Binds a workload identity to the node, over a connection that the node's own certificate opened (R11).
//!
//! **Invariant:** bound once more it changes nothing; so a reply that was lost is asked for again.

use events::vocabulary::CertificateHash;
use proto::{channel::Connection, outcome::Failure, pb::enrollment_service_client::EnrollmentServiceClient};
use tokio::time;

use crate::{answer::Identity, enroll::ANSWER_WITHIN, journals, workload_identity::Svid};

/// Binds it.
///
/// # Errors
/// With the journal's refusal, or what happened to the connection.
pub(crate) async fn bind(connection: &Connection, current: &Identity, svid: &Svid) -> Result<(), Failure> {
    let over = CertificateHash::of(&current.certificate);
    let request = svid.binding(&over).map_err(|error| Failure::other(error.to_string()))?;
    let mut client = EnrollmentServiceClient::new(connection.channel());
    match time::timeout(ANSWER_WITHIN, client.bind_identity(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(journals::failure(connection, &status)),
        Err(_) => Err(Failure::Deadline(format!("{} bound nothing in time", connection.address()))),
    }
}
