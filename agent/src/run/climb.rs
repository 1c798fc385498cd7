//! How the node's shell goes from one identity to another: what [`Rungs`](super::rungs::Rungs) orders, and what becomes of it.
//!
//! **Invariant:** the identity that is given up is dropped once the one in its place has a stream.

use events::vocabulary::CertificateHash;

use super::{errands::Outcome, shell::Shell};
use crate::{
    answer::Identity,
    bind,
    cascade::Order,
    enroll::Enrolled,
    life::{Heard, Input},
    report::Change,
};

impl Shell<'_> {
    /// The node's successor, or its next life, goes on with this.
    pub(super) fn hand_on(&self, identity: &Identity) {
        if let Some(journal) = self.journal.clone() {
            let told = self.told.clone();
            self.agent.session.keep(&Enrolled { identity: identity.clone(), journal, told });
        }
    }

    pub(super) fn report_identity(&mut self, identity: &Identity) {
        self.goes_by = proof(identity);
        let (spiffe_id, not_after) = match identity.svid() {
            Some(svid) => (Some(svid.spiffe_id.clone()), svid.not_after),
            None => (None, identity.not_after),
        };
        self.report.change(&Change::Identity { spiffe_id, not_after });
    }

    /// Does what is due for a better identity, or a newer one.
    pub(super) fn climb(&mut self) {
        while let Some(order) = self.rungs.begin() {
            match (order, self.identity.clone(), self.connection(), self.rungs.newest()) {
                (Order::Bind, Some(identity), Some(connection), Some(svid)) => {
                    self.errands.binding = Some(Box::pin(async move {
                        let bound = bind::bind(&connection, &identity, &svid).await;
                        Outcome::Bound(svid, bound)
                    }));
                }
                (Order::Swap, Some(identity), ..) => {
                    self.rungs.propose(&identity);
                    self.happened.push_back(Input::Swap);
                }
                (Order::Descend, ..) => self.happened.push_back(Input::Heard(Heard::RenewNow)),
                (Order::Bind | Order::Swap, ..) => self.rungs.failed(),
            }
        }
    }
}

/// By which workload identity a node is proved; none: by its certificate, whichever that is.
pub(super) fn proof(identity: &Identity) -> Option<CertificateHash> {
    identity.svid().map(|svid| svid.certificate)
}
