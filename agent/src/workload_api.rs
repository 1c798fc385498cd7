//! The SPIFFE Workload API, as SPIRE serves it on a node: where the node's workload identity comes from (R11), if it ever does.
//!
//! A task of its own connects, hears of every new identity, and begins anew when the stream ends, breaks or brings nonsense. It
//! only ever leaves the newest one in a place where [`crate::run`] finds it: nothing waits for it, so a Workload API that is not
//! there, hangs, or answers garbage keeps the node from nothing.
//!
//! **Invariant:** no key gets into a message, and waits are bounded.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use spiffe::WorkloadApiClient;
use tokio::{sync::watch, task::JoinHandle, time};

use crate::workload_identity::Svid;

/// A Workload API answers at once, or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// And its first identity comes soon: until it does, another connection may do better.
const FIRST_WITHIN: Duration = Duration::from_secs(60);
/// It may appear at any time, as a service that the node starts late.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Nobody is bothered by this for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Listens to one, for as long as it is held.
#[derive(Debug)]
pub(crate) struct WorkloadApi {
    newest: watch::Receiver<Option<Arc<Svid>>>,
    task: JoinHandle<()>,
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WorkloadApi {
    /// Begins to listen. The endpoint was checked.
    pub(crate) fn listen(endpoint: spiffe::transport::Endpoint) -> Self {
        let (found, newest) = watch::channel(None);
        Self { newest, task: tokio::spawn(listen(endpoint, found)) }
    }

    /// The next identity. May be dropped while it waits, and called again.
    pub(crate) async fn next(&mut self) -> Arc<Svid> {
        loop {
            if self.newest.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(svid) = self.newest.borrow_and_update().clone() {
                return svid;
            }
        }
    }
}

async fn listen(endpoint: spiffe::transport::Endpoint, found: watch::Sender<Option<Arc<Svid>>>) {
    let (mut wait, mut told) = (FIRST_WAIT, String::new());
    while !found.is_closed() {
        let known = found.borrow().as_ref().map(|svid| svid.certificate);
        // What a foreign answer may break ends one try.
        let tried = AssertUnwindSafe(hear(&endpoint, &found)).catch_unwind().await;
        let why = tried.unwrap_or_else(|_| "its answer could not be taken apart".to_owned());
        if found.borrow().as_ref().map(|svid| svid.certificate) != known {
            (wait, told) = (FIRST_WAIT, String::new());
        }
        if why != told {
            tracing::info!(%why, "no workload identity at the moment");
            told = why;
        }
        time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Hears until it is over; answers why.
async fn hear(endpoint: &spiffe::transport::Endpoint, found: &watch::Sender<Option<Arc<Svid>>>) -> String {
    #[cfg(feature = "planted-panics")]
    crate::panics::panic_if_asked("workload");
    let connecting = time::timeout(CONNECT_WITHIN, WorkloadApiClient::connect(endpoint.clone()));
    let client = match connecting.await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "the Workload API did not answer in time".to_owned(),
    };
    let identities = match time::timeout(FIRST_WITHIN, client.stream_x509_svids()).await {
        Ok(Ok(identities)) => identities,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "the Workload API gave no identity in time".to_owned(),
    };
    let mut identities = pin!(identities);
    let mut first = true;
    loop {
        let next = match first {
            true => time::timeout(FIRST_WITHIN, identities.next()).await,
            false => Ok(identities.next().await),
        };
        let given = match next {
            Ok(Some(Ok(given))) => given,
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(None) => return "the Workload API ended the stream".to_owned(),
            Err(_) => return "the Workload API gave no identity in time".to_owned(),
        };
        first = false;
        let chain = given.cert_chain().iter().map(|der| der.as_bytes().to_vec()).collect();
        match Svid::new(chain, given.private_key().as_bytes()) {
            Ok(svid) => {
                tracing::debug!(spiffe_id = %svid.spiffe_id, not_after = %svid.not_after, "a workload identity");
                found.send_replace(Some(Arc::new(svid)));
            }
            Err(error) => return error.to_string(),
        }
    }
}
