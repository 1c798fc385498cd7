//! Renewal: asks for the next certificate over the connection that the present one opened (R15, R20).
//!
//! [`crate::run`] calls it when the present certificate's `renew_after` has come, or a journal asks for it.
//!
//! Not here, on purpose: when to renew, and what becomes of the old connection.
//!
//! **Invariant:** asking again with the same key gives the same certificate (R15), so that the caller keeps the key
//! until it has its answer.

use proto::{
    channel::Connection,
    outcome::Failure,
    pb::{RenewCertRequest, enrollment_service_client::EnrollmentServiceClient},
};
use tokio::time;

use crate::{
    answer::{self, Identity},
    enroll::ANSWER_WITHIN,
    journals::{self, Told},
    key::NodeKey,
};

/// Renews a certificate with a new key. The connection must be one that `current` opened. Also answers what the journal
/// told of all journals.
///
/// # Errors
/// With the journal's refusal, what happened to the connection, or what is wrong with the answer.
pub async fn renew(
    connection: &Connection,
    current: &Identity,
    next: &NodeKey,
) -> Result<(Identity, Told), Failure> {
    let request = RenewCertRequest { current_serial: current.serial.to_string(), csr: next.csr().to_vec() };
    let mut client = EnrollmentServiceClient::new(connection.channel());
    let mut answer = match time::timeout(ANSWER_WITHIN, client.renew_cert(request)).await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return Err(journals::failure(connection, &status)),
        Err(_) => return Err(Failure::Deadline(format!("{} renewed nothing in time", connection.address()))),
    };
    let told = Told::of(&mut answer);
    Ok((answer::check(answer, next)?, told))
}
