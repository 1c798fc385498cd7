//! What a life waits for: calls that go on side by side, at most one of each kind.
//!
//! **Invariant:** one that is dropped has no effect any more; what it asked a journal may have been done all the same.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use proto::outcome::Failure;

use crate::{
    answer::Identity, boot_config::BootConfig, enroll::Enrolled, journals, services::News,
    subscription::Subscription, workload_identity::Svid,
};

/// What came of an errand.
#[derive(Debug)]
pub(super) enum Outcome {
    Enrolled(Result<Enrolled, Failure>),
    Opened(Result<(Subscription, Result<BootConfig, Failure>), Failure>),
    Renewed(Result<(Identity, journals::Told), Failure>),
    Fetched(Result<BootConfig, Failure>),
    /// What came of binding this identity.
    Bound(Arc<Svid>, Result<(), Failure>),
    /// Whether a journal has taken the goodbye, and what happened to services until then.
    Left(bool, Vec<News>),
}

/// One that goes on.
pub(super) type Errand = Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// See the module.
#[derive(Default)]
pub(super) struct Errands {
    pub(super) enrolling: Errand,
    pub(super) opening: Errand,
    pub(super) renewing: Errand,
    pub(super) fetching: Errand,
    pub(super) binding: Errand,
    pub(super) leaving: Errand,
}

impl Errands {
    /// What goes on over a connection is over with it.
    pub(super) fn let_go(&mut self) {
        (self.fetching, self.renewing, self.binding) = (None, None, None);
    }

    /// The next that is done. May be dropped while it waits, and called again.
    pub(super) async fn next(&mut self) -> Outcome {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let Self { enrolling, opening, renewing, fetching, binding, leaving } = self;
        for slot in [enrolling, opening, renewing, fetching, binding, leaving] {
            let Some(errand) = slot else { continue };
            if let Poll::Ready(outcome) = errand.as_mut().poll(context) {
                *slot = None;
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").finish_non_exhaustive()
    }
}
