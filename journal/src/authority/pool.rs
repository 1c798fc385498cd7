//! The pool: worker threads that check proofs of possession and sign, so that no asymmetric cryptography runs where
//! connections are served.
//!
//! Node actors call [`Pool::sign`] once a certificate is decided, and [`Pool::verify`] when a known key asks again
//! (R14a). The journal calls [`Pool::install`] once an authority's announcement is committed (R9).
//!
//! Not here, on purpose: any decision. A profile that names an authority which is not installed is refused.
//!
//! **Invariant:** a panic over one request answers that request and costs no worker.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use actix::{Actor, Addr, Handler, Message, SyncArbiter, SyncContext};
use arc_swap::ArcSwap;
use events::certificate::Profile;
use events::vocabulary::{AuthorityId, Der, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::csr::Csr;
use super::ephemeral::EphemeralAuthority;
use super::issue::IssueError;

/// Requests admitted per worker. The queue of a SyncArbiter has no bound of its own, so admission is ahead of it. A
/// worker does about 10,000 requests a second: 512 keep it busy for 50 ms, and hold 4 MB at the very most. Whoever is
/// not admitted waits in its own node's actor, in order.
const ADMITTED_PER_WORKER: usize = 512;

/// Workers unless said otherwise: a check and a signature are less than a tenth of what an enrollment costs.
fn enough() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(4)
}

/// The way to the workers. Clones share them.
#[derive(Clone)]
pub struct Pool {
    workers: Addr<Worker>,
    authorities: Arc<Authorities>,
    admission: Arc<Semaphore>,
}

impl Pool {
    /// Starts the workers, one for four cores unless said otherwise. No authority is installed yet.
    ///
    /// # Panics
    /// Outside of an actix `System`, or if the operating system gives no thread.
    pub fn start(workers: Option<NonZeroUsize>) -> Self {
        let count = workers.map_or_else(enough, NonZeroUsize::get);
        let authorities = Arc::new(Authorities::default());
        let shared = Arc::clone(&authorities);
        let workers = SyncArbiter::start_with_thread_builder(
            count,
            || thread::Builder::new().name("pact-authority".to_owned()),
            move || Worker { authorities: Arc::clone(&shared) },
        );
        Self { workers, authorities, admission: Arc::new(Semaphore::new(count * ADMITTED_PER_WORKER)) }
    }

    /// Makes this authority the current one. Call it only after its announcement is committed (R9). The one before
    /// it still signs what was decided for it just before; the one before that is dropped, and its key with it.
    pub fn install(&self, authority: EphemeralAuthority) {
        self.authorities.install(Arc::new(authority));
    }

    /// The authority that new decisions shall name, and its end. None before the first installation.
    pub fn current(&self) -> Option<(AuthorityId, Timestamp)> {
        let installed = self.authorities.0.load();
        installed.current.as_ref().map(|authority| (authority.id(), authority.not_after()))
    }

    /// Whether the key of an authority is still here and may sign.
    pub fn holds(&self, id: AuthorityId) -> bool {
        self.authorities.named(id).is_some()
    }

    /// Checks the request's proof of possession and signs a certificate as decided.
    pub async fn sign(&self, profile: Profile, csr: Csr) -> Result<Der, IssueError> {
        self.ask(|place| Sign { profile, csr, place }).await
    }

    /// Checks the request's proof of possession, and signs nothing.
    pub async fn verify(&self, csr: Csr) -> Result<(), IssueError> {
        self.ask(|place| Verify { csr, place }).await
    }

    async fn ask<M, T>(&self, message: impl FnOnce(Place) -> M) -> Result<T, IssueError>
    where
        M: Message<Result = Result<T, IssueError>> + Send + 'static,
        T: Send + 'static,
        Worker: Handler<M>,
    {
        let admission = Arc::clone(&self.admission);
        let place = admission.acquire_owned().await.map_err(|_| IssueError::Stopped)?;
        self.workers.send(message(place)).await.map_err(|_| IssueError::Stopped)?
    }
}

/// The authorities whose keys this process holds and uses; swapped as one.
#[derive(Default)]
struct Authorities(ArcSwap<Installed>);

#[derive(Default)]
struct Installed {
    current: Option<Arc<EphemeralAuthority>>,
    previous: Option<Arc<EphemeralAuthority>>,
}

impl Authorities {
    fn install(&self, authority: Arc<EphemeralAuthority>) {
        self.0.rcu(|installed| Installed {
            current: Some(Arc::clone(&authority)),
            previous: installed.current.clone(),
        });
    }

    fn named(&self, id: AuthorityId) -> Option<Arc<EphemeralAuthority>> {
        let installed = self.0.load();
        [&installed.current, &installed.previous].into_iter().flatten().find(|one| one.id() == id).cloned()
    }
}

/// A place in the queue. It travels with the request: when a caller gives up, its place is free only once its request
/// has left the queue.
type Place = OwnedSemaphorePermit;

/// Check the proof, then sign.
struct Sign {
    profile: Profile,
    csr: Csr,
    place: Place,
}

impl Message for Sign {
    type Result = Result<Der, IssueError>;
}

/// Check the proof only.
struct Verify {
    csr: Csr,
    place: Place,
}

impl Message for Verify {
    type Result = Result<(), IssueError>;
}

/// One thread of the pool.
struct Worker {
    authorities: Arc<Authorities>,
}

impl Actor for Worker {
    type Context = SyncContext<Self>;
}

impl Handler<Sign> for Worker {
    type Result = Result<Der, IssueError>;

    fn handle(&mut self, Sign { profile, csr, place }: Sign, _: &mut SyncContext<Self>) -> Self::Result {
        caught(place, || {
            let unknown = IssueError::UnknownAuthority { authority: profile.authority };
            let authority = self.authorities.named(profile.authority).ok_or(unknown)?;
            authority.sign(&profile, &csr.verify()?)
        })
    }
}

impl Handler<Verify> for Worker {
    type Result = Result<(), IssueError>;

    fn handle(&mut self, Verify { csr, place }: Verify, _: &mut SyncContext<Self>) -> Self::Result {
        caught(place, || csr.verify().map(drop).map_err(IssueError::Csr))
    }
}

/// Works, and answers a panic: a SyncArbiter's thread that panics never comes back. Nothing is left half done by one:
/// the work reads shared state and returns bytes.
fn caught<T>(place: Place, work: impl FnOnce() -> Result<T, IssueError>) -> Result<T, IssueError> {
    let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("a worker of the authority panicked");
        Err(IssueError::Panicked)
    });
    drop(place);
    answer
}

#[cfg(test)]
mod tests;
