//! Between [`Cascade`] and the [`super::shell`]: times of identities in the life's own, and which one the node goes by.
//!
//! **Invariant:** the node holds one identity, and while another one takes its place, two.

use std::{sync::Arc, time::Duration};

use events::vocabulary::Timestamp;
use proto::outcome::Failure;
use spiffe::transport::Endpoint;
use tokio::time::Instant;

use crate::{
    answer::Identity,
    cascade::{Cascade, Offer, Order},
    retry,
    workload_api::WorkloadApi,
    workload_identity::Svid,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Rungs {
    cascade: Cascade,
    began: Instant,
    api: Option<WorkloadApi>,
    newest: Option<Arc<Svid>>,
    /// What is to take the place of the node's identity.
    candidate: Option<Identity>,
    /// With what a stream is being opened.
    opening: Option<Identity>,
}

impl Rungs {
    /// Listens to a Workload API, if there may be one. Times count from `began`.
    pub(super) fn new(endpoint: Option<&Endpoint>, began: Instant) -> Self {
        let api = endpoint.cloned().map(WorkloadApi::listen);
        Self { cascade: Cascade::new(), began, api, newest: None, candidate: None, opening: None }
    }

    /// The next identity that there is. May be dropped while it waits, and called again.
    pub(super) async fn offered(&mut self) -> Arc<Svid> {
        match &mut self.api {
            Some(api) => api.next().await,
            None => std::future::pending().await,
        }
    }

    /// There is a newer identity.
    pub(super) fn take(&mut self, svid: Arc<Svid>) {
        let offer = self.offer(&svid);
        self.cascade.offered(offer);
        self.newest = Some(svid);
    }

    /// The node was enrolled, as this.
    pub(super) fn enrolled(&mut self, identity: &Identity) {
        self.candidate = None;
        self.cascade.enrolled();
        if let Some(svid) = identity.svid() {
            self.cascade.resumed(&svid.spiffe_id);
        }
    }

    /// The node was given its next certificate. As what it goes on: a workload identity that is still good stays.
    pub(super) fn renewed(&mut self, identity: Identity) -> Identity {
        self.candidate = None;
        let Some(kept) = self.cascade.keeps(self.now()) else { return identity };
        let newest = self.newest.as_ref().filter(|svid| svid.certificate == kept.certificate);
        newest.map_or(identity.clone(), |svid| identity.lent(Arc::clone(svid)))
    }

    /// With what the next stream is opened: what is to take the node's place; or what the node is, by the newest identity of
    /// its name.
    pub(super) fn connects_as(&mut self, identity: &Identity) -> Identity {
        let newest = identity.svid().zip(self.newest.as_ref());
        let newest = newest.filter(|(svid, newest)| svid.spiffe_id == newest.spiffe_id);
        let as_newest = newest.map(|(_, newest)| identity.lent(Arc::clone(newest)));
        let identity = self.candidate.clone().or(as_newest).unwrap_or_else(|| identity.clone());
        self.opening = Some(identity.clone());
        identity
    }

    /// What was opened last is the present stream. As what the node goes on.
    pub(super) fn stands(&mut self, identity: &Identity) -> Identity {
        let identity = self.opening.take().unwrap_or_else(|| identity.clone());
        self.candidate = None;
        let offer = identity.svid().map(|svid| self.offer(svid));
        self.cascade.stands(offer);
        identity
    }

    /// There is no stream.
    pub(super) fn lost(&mut self) {
        if self.candidate.take().is_some() {
            self.opening = None;
        }
        self.cascade.lost();
    }

    /// Whether the stream that is being opened is the candidate's.
    pub(super) fn has_candidate(&self) -> bool {
        self.candidate.is_some()
    }

    /// What is due now.
    pub(super) fn begin(&mut self) -> Option<Order> {
        self.cascade.begin(self.now())
    }

    /// The newest identity is to take the place of this one.
    pub(super) fn propose(&mut self, identity: &Identity) {
        self.candidate = self.newest.as_ref().map(|svid| identity.lent(Arc::clone(svid)));
    }

    /// What came of binding an identity.
    pub(super) fn bound(&mut self, svid: &Svid, bound: Result<(), Failure>) {
        match bound {
            Ok(()) => self.cascade.bound(&svid.spiffe_id),
            Err(failure) => {
                let wait_ms = self.put_off().as_millis();
                let reason = failure.reason_text();
                tracing::warn!(reason, message = %failure, wait_ms, "the workload identity is not bound yet");
            }
        }
    }

    /// No stream came of the candidate, or there is none to be opened.
    pub(super) fn failed(&mut self) {
        self.put_off();
    }

    fn put_off(&mut self) -> Duration {
        if self.candidate.take().is_some() {
            self.opening = None;
        }
        self.cascade.failed(self.now(), retry::random())
    }

    /// When something is due even if nothing happens.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.cascade.wakes_at(self.now()).map(|at| self.began + at)
    }

    /// The newest identity.
    pub(super) fn newest(&self) -> Option<Arc<Svid>> {
        self.newest.clone()
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Times of a certificate are by the clock of the wall, as authorities and journals read it.
    fn offer(&self, svid: &Svid) -> Offer {
        let (now, wall) = (self.now(), crate::waking::wall_clock());
        let at = |moment: Timestamp| {
            if moment >= wall { now + moment.since(wall) } else { now.saturating_sub(wall.since(moment)) }
        };
        let lifetime = svid.not_after.since(svid.not_before);
        let good_until = Offer::good_until(lifetime, at(svid.not_after));
        Offer { spiffe_id: svid.spiffe_id.clone(), certificate: svid.certificate, good_until }
    }
}
